//! Order through four instances, whatever becomes of the jobs: some fail, some panic, some have no result and
//! some many; some take no time, and some a millisecond.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{jobs, within_steps};
use ringmill::stage::map;
use ringmill::{
    Context, Flow, Instances, JobError, JoinError, Outcome, Outlet, Pipeline, RunError, Stage,
};

/// Random, and the same in every run (Sebastiano Vigna's splitmix64).
fn random(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// So many results.
    Results(u64),
    /// An error, after so many results.
    Fails(u64),
    Panics(u64),
}

fn fate(job: u64) -> Fate {
    match random(job) % 10 {
        0 => Fate::Fails(0),
        1 => Fate::Panics(0),
        2 => Fate::Fails(2),
        3 => Fate::Panics(1),
        4 | 5 => Fate::Results(0),
        6 => Fate::Results(5),
        _ => Fate::Results(1),
    }
}

/// Those that are begun and not through, with the window that they must keep to.
#[derive(Clone)]
struct Window(Arc<Mutex<BTreeSet<u64>>>, u64);

impl Window {
    fn begin(&self, job: u64) {
        let mut begun = self.0.lock().unwrap();
        begun.insert(job);
        let oldest = begun.first().copied().unwrap();
        assert!(
            job - oldest < self.1,
            "{job} is begun, {oldest} is not through"
        );
    }

    fn end(&self, job: u64) {
        self.0.lock().unwrap().remove(&job);
    }
}

/// Works for as long as the job takes: up to a millisecond, asleep or busy.
fn work(job: u64) {
    let random = random(job ^ 0xfeed);
    let time = Duration::from_micros(random % 1000);
    match random >> 32 & 3 {
        0 => {}
        1 => thread::sleep(time),
        _ => {
            let start = Instant::now();
            while start.elapsed() < time {
                thread::yield_now();
            }
        }
    }
}

struct Obeys {
    window: Window,
    works: bool,
    job: u64,
    next: u64,
}

impl Obeys {
    fn new(window: &Window, works: bool) -> Self {
        Self {
            window: window.clone(),
            works,
            job: 0,
            next: 0,
        }
    }
}

impl Stage<u64, String> for Obeys {
    type Out = (u64, u64);

    fn job<O: Outlet<Self::Out>>(&mut self, job: u64, out: &mut O) -> Result<Flow, String> {
        self.window.begin(job);
        (self.job, self.next) = (job, 0);
        if self.works {
            work(job);
        }
        self.more(out)
    }

    fn more<O: Outlet<Self::Out>>(&mut self, out: &mut O) -> Result<Flow, String> {
        let fate = fate(self.job);
        let (Fate::Results(count) | Fate::Fails(count) | Fate::Panics(count)) = fate;
        while self.next < count {
            if out.emit((self.job, self.next)).is_err() {
                return Ok(Flow::More);
            }
            self.next += 1;
        }
        self.window.end(self.job);
        match fate {
            Fate::Results(_) => Ok(Flow::Done),
            Fate::Fails(_) => Err(format!("fails {}", self.job)),
            Fate::Panics(_) => std::panic::panic_any(format!("panics {}", self.job)),
        }
    }
}

/// Results, or what is said of the failure.
fn seen(outcome: Outcome<(u64, u64), String>) -> Result<(u64, u64), String> {
    outcome.map_err(|error| match error {
        JobError::Stage { error, .. } => error,
        JobError::Panicked { message, .. } => message,
        other => panic!("{other}"),
    })
}

fn expected(count: u64) -> impl Iterator<Item = Result<(u64, u64), String>> {
    (0..count).flat_map(|job| {
        let fate = fate(job);
        let (Fate::Results(count) | Fate::Fails(count) | Fate::Panics(count)) = fate;
        let failure = match fate {
            Fate::Results(_) => None,
            Fate::Fails(_) => Some(Err(format!("fails {job}"))),
            Fate::Panics(_) => Some(Err(format!("panics {job}"))),
        };
        (0..count).map(move |nth| Ok((job, nth))).chain(failure)
    })
}

const WINDOWS: [u64; 4] = [1, 3, 4, 64];

#[test]
fn f_1_order_where_jobs_fail_panic_are_filtered_and_fan_out() {
    for works in [false, true] {
        for capacity in [1, 5, 1024] {
            within_steps(move |step| {
                for window in WINDOWS {
                    for workers in [1, 2, 4] {
                        step.say(format!("{works} {capacity} {window} {workers}"));
                        let count = jobs(if works { 40 } else { 200 });
                        let begun = Window(Arc::default(), window);
                        let mut outcomes = Vec::new();
                        let size = usize::try_from(window).unwrap();
                        Pipeline::<String>::builder::<u64>()
                            .per_job()
                            .capacity(capacity)
                            .workers(workers)
                            .stage("four", Instances::new(4).ordered(size), |_| {
                                Obeys::new(&begun, works)
                            })
                            .run(0..count, |outcome| outcomes.push(seen(outcome)))
                            .unwrap();
                        let expected: Vec<_> = expected(count).collect();
                        assert_eq!(outcomes, expected);
                    }
                }
            });
        }
    }
}

/// The same through a second ordered stage behind it, and with a stage of one instance between.
#[test]
fn f_1_order_of_failures_through_further_stages() {
    within_steps(|step| {
        for capacity in [1, 7, 1024] {
            for window in [1, 4, 33] {
                step.say(format!("{capacity} {window}"));
                let count = jobs(500);
                let begun = Window(Arc::default(), 1 << 40);
                let ordered = |count| Instances::new(count).ordered(window);
                let same = |_: &Context| map(|result: (u64, u64)| result);
                let mut outcomes = Vec::new();
                Pipeline::<String>::builder::<u64>()
                    .per_job()
                    .capacity(capacity)
                    .workers(3)
                    .stage("four", ordered(4), |_| Obeys::new(&begun, false))
                    .stage("one", Instances::new(1), same)
                    .stage("two", ordered(2), same)
                    .stage("three", ordered(3), same)
                    .run(0..count, |outcome| outcomes.push(seen(outcome)))
                    .unwrap();
                assert!(outcomes.into_iter().eq(expected(count)));
            }
        }
    });
}

/// Where the first failure ends it, what came is the beginning, in order and without a gap.
#[test]
fn f_1_order_up_to_the_first_failure() {
    within_steps(|step| {
        for culprit in [0, 41, 400] {
            for window in WINDOWS {
                step.say(format!("{culprit} {window}"));
                let begun = Window(Arc::default(), window);
                let size = usize::try_from(window).unwrap();
                let mut results = Vec::new();
                let ended = Pipeline::<String>::builder::<u64>()
                    .workers(2)
                    .stage("four", Instances::new(4).ordered(size), |_| {
                        let begun = begun.clone();
                        move |job: u64| {
                            begun.begin(job);
                            begun.end(job);
                            if job >= culprit {
                                return Err(format!("fails {job}"));
                            }
                            Ok(job)
                        }
                    })
                    .run(0..1000, |result| results.push(result));
                let Err(RunError::Join(JoinError::Failed(_))) = ended else {
                    panic!("it failed");
                };
                assert!(results.len() as u64 <= culprit);
                assert!(results.iter().copied().eq(0..results.len() as u64));
            }
        }
    });
}
