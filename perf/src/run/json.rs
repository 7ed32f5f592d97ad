//! Three stages that each serialise a map and parse it into a new one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringmill::Instances;

use crate::args::{JsonArgs, Placement};
use crate::exit::{Exit, Failure, say};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::{Report, Times};

/// Maps that wait in a ring: at 40 kB each, a few.
const CAPACITY: usize = 64;

/// Entries of the map: as JSON it has 20,601 bytes.
const ENTRIES: usize = 100;

/// Letters of each key and each value.
const LETTERS: usize = 100;

/// Random, but the same in every run.
const SEED: u64 = 0x5eed;

/// The map that goes round.
type Letters = HashMap<String, String>;

/// Runs the jobs through the executor, then in one loop.
pub(super) fn json(args: &JsonArgs, interrupt: &Interrupt) -> Result<Exit, Failure> {
    let flags = &args.flags;
    let original = letters();
    let builder = super::builder::<serde_json::Error, Job>(flags, CAPACITY);
    let handle = builder.handle();
    interrupt.steer(handle.clone());

    let progress = Progress::new("jobs", false);
    progress.expect(args.jobs as u64);
    let mut total = Total::default();
    let collect = |job: Job| {
        progress.step();
        total.add(&job);
    };
    let jobs = (0..args.jobs).map(|_| Job::new(&original));
    let trip = |_: &_| trip();
    let last = |_: &_| last(&original);

    let start = Instant::now();
    let ended = match flags.placement {
        Placement::Floating => {
            let instances = || Instances::new(flags.workers());
            builder
                .stage("first", instances(), trip)
                .stage("second", instances(), trip)
                .stage("third", instances(), last)
                .run(jobs, collect)
        }
        Placement::Bound => {
            let instances = || Instances::bound(flags.bound_cores());
            builder
                .stage("first", instances(), trip)
                .stage("second", instances(), trip)
                .stage("third", instances(), last)
                .run(jobs, collect)
        }
        Placement::Fused => builder
            .stage("first", Instances::new(flags.workers()), trip)
            .then("second", trip)
            .then("third", last)
            .run(jobs, collect),
    };
    let wall = start.elapsed();
    super::settle(ended)?;
    drop(progress);

    let mut report = Report::new("json", &handle, (total.jobs, total.bytes), wall);
    let threads = report.placement.len() as f64;
    let work = total.work.as_secs_f64();
    let outside = threads * report.seconds - work - total.check.as_secs_f64();
    report.times = Some(Times {
        work_seconds: work,
        overhead_seconds: outside.max(0.0),
    });
    report.verified = (total.jobs > 0).then_some(total.right == total.jobs);
    if let Some(sequential) = sequential(args.jobs, &original, interrupt)? {
        report.compare(sequential);
    }
    let printed = if flags.json {
        super::print_json(&report)
    } else {
        super::print_text(&format!("{report}\n"))
    };
    if report.verified == Some(false) {
        say("error: a map came out other than it went in");
        return Ok(Exit::Failed);
    }
    Ok(printed)
}

/// A map on its way.
struct Job<'a> {
    map: Cow<'a, Letters>,
    /// Bytes of JSON so far.
    bytes: u64,
    /// Time inside serialising, parsing and dropping so far.
    work: Duration,
    /// Time inside comparing.
    check: Duration,
    /// Whether the map is equal to the first.
    right: bool,
}

impl<'a> Job<'a> {
    fn new(map: &'a Letters) -> Self {
        let none = Duration::ZERO;
        Self {
            map: Cow::Borrowed(map),
            bytes: 0,
            work: none,
            check: none,
            right: false,
        }
    }
}

/// What the jobs came to.
#[derive(Default)]
struct Total {
    jobs: u64,
    bytes: u64,
    work: Duration,
    check: Duration,
    right: u64,
}

impl Total {
    fn add(&mut self, job: &Job) {
        self.jobs += 1;
        self.bytes += job.bytes;
        self.work += job.work;
        self.check += job.check;
        self.right += u64::from(job.right);
    }
}

/// The work of one stage: the map becomes text, the text a new map, the old one is dropped.
fn round_trip<'a>(text: &mut Vec<u8>, mut job: Job<'a>) -> Result<Job<'a>, serde_json::Error> {
    let start = Instant::now();
    text.clear();
    serde_json::to_writer(&mut *text, &*job.map)?;
    job.map = Cow::Owned(serde_json::from_slice(text)?);
    job.bytes += text.len() as u64;
    job.work += start.elapsed();
    Ok(job)
}

/// An instance of the first and the second stage.
fn trip<'a>() -> impl FnMut(Job<'a>) -> Result<Job<'a>, serde_json::Error> + Send {
    let mut text = Vec::new();
    move |job| round_trip(&mut text, job)
}

/// An instance of the third stage, which also looks at what came out.
fn last<'a>(
    original: &'a Letters,
) -> impl FnMut(Job<'a>) -> Result<Job<'a>, serde_json::Error> + Send {
    let mut trip = trip();
    move |job| trip(job).map(|job| check(job, original))
}

fn check<'a>(mut job: Job<'a>, original: &Letters) -> Job<'a> {
    let start = Instant::now();
    job.right = *job.map == *original;
    job.check += start.elapsed();
    job
}

/// The time of the same work in one loop; none if it was interrupted.
fn sequential(
    jobs: usize,
    original: &Letters,
    interrupt: &Interrupt,
) -> Result<Option<Duration>, Failure> {
    let mut text = Vec::new();
    let mut three = |mut job| {
        for _ in 0..3 {
            job = round_trip(&mut text, job)?;
        }
        Ok(check(job, original))
    };
    let mut total = Total::default();
    let start = Instant::now();
    for _ in 0..jobs {
        if interrupt.pressed() {
            return Ok(None);
        }
        let job = three(Job::new(original));
        total.add(&job.map_err(|error: serde_json::Error| Failure::Job(error.to_string()))?);
    }
    Ok(Some(start.elapsed()))
}

fn letters() -> Letters {
    let mut random = SplitMix(SEED);
    (0..ENTRIES)
        .map(|_| (random.word(), random.word()))
        .collect()
}

/// Sebastiano Vigna's splitmix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn word(&mut self) -> String {
        const ALPHABET: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let letter = |_| char::from(ALPHABET[(self.next() % 52) as usize]);
        (0..LETTERS).map(letter).collect()
    }
}
