//! What is left of the throughput with more workers than cores?
//!
//! A job is three stages of about 1 µs each, through a pipeline, or in a batch. Where stages have threads, each has a
//! third of the workers, rounded up. Nobody is pinned who is not by himself: with more threads than cores the scheduler
//! knows better.

mod batch;
mod lines;
mod pipelines;

use std::sync::OnceLock;
use std::time::Duration;

use ringmill_benches::{LONG, work};

use crate::places::cores;
use crate::protocol::{Better, Case};

const GROUP: &str = "oversubscribed";
const FACTORS: [usize; 3] = [1, 2, 8];
/// Different jobs that there are.
const KINDS: u64 = 64;
/// Items of the figures that compare two runs.
const ITEMS: u64 = 20_000;

/// How long so many workers take for so many jobs.
type Run = fn(u64, usize) -> Duration;

pub fn cases() -> Vec<Case<'static>> {
    let kinds: [(_, &[(&'static str, Run)]); 2] =
        [("pipeline", pipelines::ALL), ("batch", batch::ALL)];
    let mut cases = Vec::new();
    for (kind, all) in kinds {
        for factor in FACTORS {
            let case = Case::rate(GROUP, format!("{kind}, {factor}x"));
            let workers = factor * cores().len();
            cases.push(all.iter().fold(case, |case, &(name, run)| {
                case.subject(name, move |items| run(items, workers))
            }));
        }
        let unit = ("of 1x", Better::Higher);
        let case = Case::figure(GROUP, format!("{kind}, kept at 8x"), unit, ITEMS);
        cases.push(all.iter().fold(case, |case, &(name, run)| {
            case.subject(name, move |items| kept(items, run))
        }));
    }
    cases
}

/// The rate with eight workers a core, of that with one.
fn kept(items: u64, run: Run) -> f64 {
    let [once, most] = [1, 8].map(|factor| run(items, factor * cores().len()));
    once.as_secs_f64() / most.as_secs_f64()
}

/// One stage.
fn stage(value: u64) -> u64 {
    work(value, LONG)
}

/// A job before its first stage.
fn job(number: u64) -> u64 {
    number % KINDS
}

/// All stages of a job, where nothing is between them.
fn fused(job: u64) -> u64 {
    stage(stage(stage(job)))
}

/// What must come of a job.
fn expected(number: u64) -> u64 {
    static ALL: OnceLock<Vec<u64>> = OnceLock::new();
    ALL.get_or_init(|| (0..KINDS).map(fused).collect())[(number % KINDS) as usize]
}

/// What the results of so many jobs add up to.
fn sum(items: u64) -> u64 {
    (0..items).map(expected).fold(0, u64::wrapping_add)
}

/// Threads of each of three stages.
fn share(workers: usize) -> usize {
    workers.div_ceil(3)
}
