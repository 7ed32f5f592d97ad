//! A feed handler: a stream is split into ITCH messages, those are decoded and applied to order books by
//! symbol, and every change of a top of book comes out. Checked against one fused loop over the same bytes.

mod feed;
mod stages;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::HumanBytes;
use ringmill::{Builder, Handle, Instances, RunError};

use crate::args::{Placement, TicksArgs};
use crate::exit::{Exit, Failure, say};
use crate::interrupt::Interrupt;
use crate::memory;
use crate::progress::Progress;
use crate::report::{Input, Latency, Report};
use feed::{Piece, pieces};
use ringmill_perf::itch::frame::LONGEST_FRAME;
use ringmill_perf::itch::generate::BYTES_A_MESSAGE;
use ringmill_perf::itch::{Books, FinalState, Frames, Plan, StreamError, audit, generate};
use stages::{Book, Change, Raw, Seen, Shelf, Split, merge};

/// Messages or pieces that wait in a ring.
const CAPACITY: usize = 1024;

/// Messages made up where nobody says how many.
const MESSAGES: usize = 1_000_000;

/// Makes or reads the input, runs it through the executor, then through one loop.
pub(super) fn ticks(args: &TicksArgs, interrupt: &Interrupt) -> Result<Exit, Failure> {
    // Flags that the executor refuses are refused before there is work: by a run of nothing.
    saturate(
        args,
        interrupt,
        &[],
        &Shelf::default(),
        &mut Seen::default(),
    )?;
    let owned = args.clone();
    let made = interrupt.unless_pressed(move || {
        let input = input(&owned)?;
        let messages = owned.messages.unwrap_or(usize::MAX);
        let audit = audit(input, messages).map_err(|error| Failure::Job(error.to_string()))?;
        Ok((&input[..audit.bytes], audit))
    });
    let Some(made) = made else {
        return Ok(Exit::Interrupted);
    };
    // From here on nothing can be wrong with the input: what fails is not its fault.
    let (input, audit) = made?;

    let shelf = Shelf::default();
    let mut seen = Seen::default();
    let (handle, wall, latency) = match args.rate {
        None => {
            let (handle, wall) = saturate(args, interrupt, input, &shelf, &mut seen)?;
            (handle, wall, None)
        }
        Some(rate) => offer(args, interrupt, input, Pace::new(rate), &shelf, &mut seen)?,
    };

    let jobs = handle
        .counters()
        .stage("book")
        .map_or(0, |stage| stage.finished);
    let bytes = input.len() as u64;
    let mut report = Report::new("ticks", &handle, (jobs, bytes), wall);
    report.latency_ns = latency;
    report.input = Some(Input {
        anomalies: audit.anomalies,
        first: audit.first,
    });
    if interrupt.pressed() {
        return Ok(print(args, &report));
    }
    let Some(expected) = interrupt.unless_pressed(|| sequential(input)) else {
        return Ok(print(args, &report));
    };
    let (expected, sequential) = expected?;
    if args.rate.is_none() {
        report.compare(sequential);
    }
    let same_books = merge(&shelf).is_some_and(|state| state == expected);
    report.verified = Some(same_books && seen.equals(&expected));
    let printed = print(args, &report);
    if report.verified == Some(false) {
        say("error: the books or their changes are not those of the sequential loop");
        return Ok(Exit::Failed);
    }
    Ok(printed)
}

fn print(args: &TicksArgs, report: &Report) -> Exit {
    if args.flags.json {
        super::print_json(report)
    } else {
        super::print_text(&format!("{report}\n"))
    }
}

/// The input, which lives as long as the process: a started executor borrows nothing, and neither does work
/// that an interrupt leaves behind.
fn input(args: &TicksArgs) -> Result<&'static [u8], Failure> {
    let bytes = if let Some(path) = &args.input {
        read(path, args.messages)?
    } else {
        let messages = args.messages.unwrap_or(MESSAGES);
        let plan = Plan {
            seed: args.seed,
            messages,
            symbols: args.symbols.into(),
        };
        let none = Plan {
            messages: 0,
            ..plan
        };
        memory::ask("--messages", messages, none.bytes(), BYTES_A_MESSAGE)?;
        generate(&plan).map_err(|error| Failure::Usage(error.to_string()))?
    };
    Ok(bytes.leak())
}

/// Reads a file, or as much of it as so many messages can be long.
fn read(path: &Path, messages: Option<usize>) -> Result<Vec<u8>, Failure> {
    let refused = |error: &dyn Display| Failure::Usage(format!("{}: {error}", path.display()));
    let wanted = messages.map_or(usize::MAX, |messages| {
        messages.saturating_mul(LONGEST_FRAME)
    });
    let usable = memory::usable();
    let too_long = || {
        let usable = HumanBytes(usable as u64);
        refused(&format_args!(
            "longer than the {usable} of memory that can be had; --messages N reads a part"
        ))
    };
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::OutOfMemory => too_long(),
        _ => refused(&error),
    };
    let file = File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len(); // Zero of what is no file.
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(wanted);
    let mut bytes = Vec::new();
    if length > usable || bytes.try_reserve_exact(length).is_err() {
        return Err(too_long());
    }
    let most = wanted.min(usable.saturating_add(1)) as u64;
    file.take(most).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > usable {
        return Err(too_long());
    }
    Ok(bytes)
}

/// Ends the builder given by `run`ning it with what follows, whatever the placement makes its type.
macro_rules! placed {
    ($args:expr, $builder:expr, $input:expr, $shelf:expr, $run:ident($($with:expr),*)) => {{
        let flags = &$args.flags;
        let (input, shelf) = ($input, $shelf);
        let by_symbol = move |raw: &Raw<_>| raw.locate(input);
        let split = move |_: &_| Split::new(input);
        let book = move |_: &_| Book::new(input, shelf);
        match flags.placement {
            Placement::Floating => $builder
                .stage("split", Instances::new(1), split)
                .stage("book", Instances::new(flags.workers()).keyed(by_symbol), book)
                .$run($($with),*),
            Placement::Bound => $builder
                .stage("split", Instances::bound(flags.bound_cores().into_iter().take(1)), split)
                .stage("book", Instances::bound(flags.bound_cores()).keyed(by_symbol), book)
                .$run($($with),*),
            Placement::Fused => $builder
                .stage("split", Instances::new(1), split)
                .then("book", book)
                .$run($($with),*),
        }
    }};
}

/// A builder for messages that are due at some time, or at none.
fn builder<'job, D: Send + 'job>(
    args: &TicksArgs,
) -> Result<Builder<'job, Piece<D>, StreamError>, Failure> {
    let flags = &args.flags;
    // Before the books each of their instances has a ring.
    let lanes = match flags.placement {
        Placement::Floating | Placement::Bound => flags.workers() * super::slot::<Raw<D>>(),
        Placement::Fused => 0,
    };
    let each = super::slot::<Piece<D>>() + lanes + super::slot::<Change<D>>();
    super::builder(flags, CAPACITY, each)
}

/// As fast as it goes.
fn saturate(
    args: &TicksArgs,
    interrupt: &Interrupt,
    input: &[u8],
    shelf: &Shelf,
    seen: &mut Seen,
) -> Result<(Handle<StreamError>, Duration), Failure> {
    let builder = builder::<()>(args)?;
    let handle = builder.handle();
    interrupt.steer(handle.clone());
    let progress = Progress::new("pieces", false);
    let feed = pieces(input.len()).inspect(|_| progress.step());
    let start = Instant::now();
    let ended = placed!(
        args,
        builder,
        input,
        shelf,
        run(feed, |change: Change<_>| seen.record(&change.top))
    );
    let wall = start.elapsed();
    drop(progress);
    super::settle(ended)?;
    Ok((handle, wall))
}

/// When messages are due.
#[derive(Clone, Copy)]
struct Pace {
    rate: f64,
}

impl Pace {
    fn new(rate: usize) -> Self {
        Self { rate: rate as f64 }
    }

    /// When message `nth` is due, in nanoseconds since the start.
    fn due(self, nth: usize) -> u64 {
        Duration::from_secs_f64(nth as f64 / self.rate)
            .as_nanos()
            .try_into()
            .unwrap_or(u64::MAX)
    }
}

fn since(start: Instant) -> u64 {
    start.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Open loop: each message is a piece of its own, offered when it is due, however far the executor is; its
/// latency counts from then.
fn offer(
    args: &TicksArgs,
    interrupt: &Interrupt,
    input: &'static [u8],
    pace: Pace,
    shelf: &Shelf,
    seen: &mut Seen,
) -> Result<(Handle<StreamError>, Duration, Option<Latency>), Failure> {
    let own: &'static Shelf = Box::leak(Box::default()); // As the input is.
    let builder = builder::<u64>(args)?;
    let handle = builder.handle();
    interrupt.steer(handle.clone());
    let started = placed!(args, builder, input, own, start());
    let (mut dispatcher, receiver, pipeline) =
        started.map_err(|error| Failure::Usage(error.to_string()))?;
    let start = Instant::now();
    let mut histogram = Histogram::<u64>::new_with_max(3_600_000_000_000, 3)
        .map_err(|error| Failure::Job(error.to_string()))?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (nth, frame) in Frames::new(input).enumerate() {
                let due = pace.due(nth);
                while since(start) < due {
                    std::hint::spin_loop();
                }
                // A frame that is none ends the stream, and the splitter says why.
                let end = frame.map_or(input.len(), |frame| frame.offset);
                if dispatcher.dispatch(Piece { end, due }).is_err() {
                    break; // Closed or failed; `join` says which.
                }
            }
        });
        for change in receiver {
            histogram.saturating_record(since(start).saturating_sub(change.due));
            seen.record(&change.top);
        }
    });
    let wall = start.elapsed();
    super::settle(pipeline.join().map_err(RunError::Join))?;
    shelf
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(own.lock().unwrap_or_else(PoisonError::into_inner).drain(..));
    let at = |quantile| histogram.value_at_quantile(quantile);
    let latency = Latency {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: histogram.max(),
    };
    Ok((handle, wall, Some(latency)))
}

/// The fastest form on one thread: one fused loop, no queue, no copy.
fn sequential(input: &[u8]) -> Result<(FinalState, Duration), Failure> {
    let start = Instant::now();
    let mut books = Books::new();
    let mut seen = Seen::default();
    for frame in Frames::new(input) {
        let frame = frame.map_err(|error| Failure::Job(error.to_string()))?;
        match &frame.decode() {
            Ok(message) => {
                if let Ok(Some(top)) = books.apply(message) {
                    seen.record(&top);
                }
            }
            Err(error) => return Err(Failure::Job(frame.blame(*error).to_string())),
        }
    }
    let state = books.final_state();
    let wall = start.elapsed();
    if !seen.equals(&state) {
        return Err(Failure::Job(
            "the sequential loop contradicts itself".to_string(),
        ));
    }
    Ok((state, wall))
}
