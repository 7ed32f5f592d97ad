//! How long do jobs take that are offered at a rate, and what happens at rates that are too high?
//!
//! Each job has a time at which it is meant to begin, whether or not those before are through, and its latency counts
//! from then. All waiting lets others have the core: there are more threads than cores. In some cases only the feeder
//! does not: it spins until the next job is due, as a thread does that polls a socket.

use std::convert::Infallible;
use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ringmill::stage::map;
use ringmill::{Instances, Pipeline};
use ringmill_benches::work;

use crate::effort::steps;
use crate::places::cores;
use crate::protocol::{Better, Case, Finding, nanoseconds};
use crate::staged::{
    CAPACITY, Channel, CrossbeamChannel, Kanal, Load, Manner, Rtrb, StdMpsc, through,
    through_disruptor, through_ringmill,
};

const GROUP: &str = "openloop";
/// Jobs a second, and how that is written.
const RATES: [(u64, &str); 5] = [
    (100_000, "100 k/s"),
    (300_000, "300 k/s"),
    (1_000_000, "1 M/s"),
    (3_000_000, "3 M/s"),
    (10_000_000, "10 M/s"),
];
/// A rate at which every job is late: there is no waiting for the clock.
const AT_ONCE: u64 = 1_000_000_000;
/// Words of the state that a stage may have: 1 MiB.
const STATE: usize = (1 << 20) / size_of::<u64>();
/// Jobs before the time begins.
const WARM: usize = 64;

pub fn cases() -> Vec<Case<'static>> {
    let plain = |nanoseconds| Shape {
        nanoseconds,
        has_state: false,
    };
    let with_state = Shape {
        has_state: true,
        ..plain(70)
    };
    let mut cases = Vec::new();
    for (shape, what) in [(plain(0), "0 ns"), (plain(70), "70 ns")] {
        cases.extend(RATES.map(|(rate, name)| {
            let name = format!("{what}, {name}");
            latency(name, shape, Pace::yielding(rate))
        }));
    }
    for (rate, name) in &RATES[..3] {
        let name = format!("0 ns, the feeder spins, {name}");
        cases.push(latency(name, plain(0), Pace::spinning(*rate)));
    }
    for (rate, name) in &RATES[1..4] {
        let name = format!("70 ns and 1 MiB of state, {name}");
        cases.push(latency(name, with_state, Pace::yielding(*rate)));
    }
    for (shape, what) in [(plain(0), "0 ns"), (plain(70), "70 ns")] {
        let name = format!("{what}, sustained at twice what saturates");
        let case = Case::figure(GROUP, name, ("of saturated", Better::Higher), 400_000);
        cases.push(subjects(case, shape, sustained));
    }
    cases
}

/// What the stages do with a job.
#[derive(Clone, Copy)]
struct Shape {
    nanoseconds: u32,
    /// The second one touches eight random lines of its state.
    has_state: bool,
}

impl Shape {
    fn stage(self) -> impl Fn(usize) -> Box<dyn FnMut(u64) -> u64 + Send> + Copy + Send + Sync {
        let steps = steps(self.nanoseconds);
        move |nth| {
            if nth != 1 || !self.has_state {
                return Box::new(move |job| {
                    let _done = work(job, steps);
                    job
                });
            }
            let mut state = vec![1_u64; STATE];
            Box::new(move |job| {
                let mut random = work(job, steps);
                for _ in 0..8 {
                    random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (random >> 29);
                    state[(random >> 40) as usize % STATE] += job;
                }
                job
            })
        }
    }
}

/// When jobs come.
#[derive(Clone, Copy)]
struct Pace {
    /// Jobs a second.
    rate: u64,
    /// What the feeder does between two looks at the clock.
    between: fn(),
}

impl Pace {
    fn yielding(rate: u64) -> Self {
        Self {
            rate,
            between: thread::yield_now,
        }
    }

    fn spinning(rate: u64) -> Self {
        Self {
            rate,
            between: spin_loop,
        }
    }
}

/// Jobs that say when they are meant to begin, in nanoseconds since `epoch`; each comes out at that time, or at once
/// if it is late.
struct Paced {
    epoch: Instant,
    pace: Pace,
    count: u64,
    next: u64,
    start: u64,
    now: u64,
}

impl Paced {
    fn new(epoch: Instant, pace: Pace, count: u64) -> Self {
        Self {
            epoch,
            pace,
            count,
            next: 0,
            start: 0,
            now: 0,
        }
    }

    fn due(&self, number: u64) -> u64 {
        self.start + number * 1_000_000_000 / self.pace.rate
    }
}

impl Iterator for Paced {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if self.next == self.count {
            return None;
        }
        if self.next == 0 {
            self.start = since(self.epoch);
        }
        let due = self.due(self.next);
        // While it is late the clock has nothing new to say.
        while self.now < due {
            self.now = since(self.epoch);
            if self.now < due {
                (self.pace.between)();
            }
        }
        self.next += 1;
        Some(due)
    }
}

fn since(epoch: Instant) -> u64 {
    epoch.elapsed().as_nanos() as u64
}

/// Looks at what comes out: all jobs, in their order.
struct Seen {
    times: Histogram<u64>,
    /// The same jobs, as they were sent.
    sent: Paced,
    wrong: u64,
}

impl Seen {
    #[inline]
    fn look(&mut self, due: u64, is_timed: bool) {
        // What came before the time began has no time.
        if due == 0 {
            return;
        }
        if self.sent.next == 0 {
            self.sent.start = due;
        }
        self.wrong |= due ^ self.sent.due(self.sent.next);
        self.sent.next += 1;
        if is_timed {
            let took = since(self.sent.epoch).saturating_sub(due);
            self.times.record(took).expect("it takes anything");
        }
    }
}

/// One who lets the jobs through stages.
type Way = fn(Load<u64, Paced, &mut (dyn FnMut(u64) + Send)>, Manner, Shape) -> Duration;

/// Runs so many jobs at a pace: how long all took, and each.
fn offer(way: Way, shape: Shape, pace: Pace, count: u64) -> (Duration, Histogram<u64>) {
    let epoch = Instant::now();
    let manner = if pace.rate == AT_ONCE {
        Manner::Together
    } else {
        Manner::Singly
    };
    let mut seen = Seen {
        times: nanoseconds(),
        sent: Paced::new(epoch, pace, count),
        wrong: 0,
    };
    let mut each = |due| seen.look(due, manner == Manner::Singly);
    let load = Load {
        warm: vec![0; WARM],
        jobs: Paced::new(epoch, pace, count),
        count: count as usize,
        each: &mut each as &mut (dyn FnMut(u64) + Send),
    };
    let took = way(load, manner, shape);
    assert_eq!(seen.sent.next, count, "as many results as jobs");
    assert_eq!(seen.wrong, 0, "results out of order");
    (took, seen.times)
}

fn latency(name: String, shape: Shape, pace: Pace) -> Case<'static> {
    let case = Case::latency(GROUP, name);
    subjects(case, shape, move |way, shape, count| {
        offer(way, shape, pace, count).1
    })
}

/// What is left of the highest rate when twice as much is offered, job by job.
fn sustained(way: Way, shape: Shape, count: u64) -> f64 {
    let saturated = count as f64
        / offer(way, shape, Pace::yielding(AT_ONCE), count)
            .0
            .as_secs_f64();
    // One nanosecond a job is the shortest that the clock tells.
    let rate = (2.0 * saturated).min(AT_ONCE as f64 - 1.0);
    let took = offer(way, shape, Pace::yielding(rate as u64), count).0;
    count as f64 / took.as_secs_f64() / saturated
}

fn subjects<F: Into<Finding>>(
    case: Case<'static>,
    shape: Shape,
    measure: impl Fn(Way, Shape, u64) -> F + Copy + 'static,
) -> Case<'static> {
    let by = move |way: Way| move |count| measure(way, shape, count);
    case.subject("ringmill", by(floating))
        .also("ringmill floating 1w", by(floating_alone))
        .also("ringmill bound 1w", by(bound))
        .subject("crossbeam-channel", by(staged::<CrossbeamChannel>))
        .subject("rtrb", by(staged::<Rtrb>))
        .subject("disruptor", by(disruptor))
        .subject("std mpsc", by(staged::<StdMpsc>))
        .subject("kanal", by(staged::<Kanal>))
}

type Offered<'a> = Load<u64, Paced, &'a mut (dyn FnMut(u64) + Send)>;

/// With what it does by itself: a worker for each core.
fn floating(load: Offered<'_>, manner: Manner, shape: Shape) -> Duration {
    float(load, manner, shape, cores().len())
}

fn floating_alone(load: Offered<'_>, manner: Manner, shape: Shape) -> Duration {
    float(load, manner, shape, 1)
}

fn float(load: Offered<'_>, manner: Manner, shape: Shape, workers: usize) -> Duration {
    let stage = shape.stage();
    let instance = || Instances::new(1);
    let ends = Pipeline::<Infallible>::builder::<u64>()
        .workers(workers)
        .stage("a", instance(), move |_| map(stage(0)))
        .stage("b", instance(), move |_| map(stage(1)))
        .stage("c", instance(), move |_| map(stage(2)))
        .start()
        .expect("so many workers");
    through_ringmill(ends, load, manner)
}

/// One worker, on the core on which the feeder is not.
fn bound(load: Offered<'_>, manner: Manner, shape: Shape) -> Duration {
    let stage = shape.stage();
    let core = cores().last().map_or(0, |core| core.id);
    let instance = || Instances::bound([core]);
    let ends = Pipeline::<Infallible>::builder::<u64>()
        .stage("a", instance(), move |_| map(stage(0)))
        .stage("b", instance(), move |_| map(stage(1)))
        .stage("c", instance(), move |_| map(stage(2)))
        .start()
        .expect("a core to be bound to");
    through_ringmill(ends, load, manner)
}

fn staged<C: Channel>(load: Offered<'_>, _: Manner, shape: Shape) -> Duration {
    through::<C, _, _>(load, (1, CAPACITY), shape.stage())
}

fn disruptor(load: Offered<'_>, manner: Manner, shape: Shape) -> Duration {
    through_disruptor(load, manner, shape.stage())
}
