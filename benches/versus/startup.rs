//! How long until three stages are there, until the first result, and until all of it is gone again?

use std::time::{Duration, Instant};

use crate::executors::{
    Chili, CrossbeamChannel, Disruptor, Executor, Job, Paralight, Rayon, Ringmill, Rtrb, Size,
    Snooze, Tasks, Threads, Yielding,
};
use crate::places::cores;
use crate::protocol::{Better, Case};
use crate::stats::median;

const GROUP: &str = "startup";
const UNIT: (&str, Better) = ("µs", Better::Lower);
/// Executors a turn, one after the other.
const TIMES: u64 = 200;

/// What is timed of an executor's life.
#[derive(Clone, Copy)]
enum Phase {
    Start,
    /// From the beginning on.
    FirstResult,
    /// Jobs are done; from saying that no more come until the last thread is gone.
    Join,
}

pub fn cases() -> Vec<Case<'static>> {
    let join = case("join", Phase::Join);
    vec![
        with_threadpool(case("build and start", Phase::Start), Phase::Start),
        with_threadpool(case("first result", Phase::FirstResult), Phase::FirstResult),
        join,
    ]
}

fn case(name: &str, phase: Phase) -> Case<'static> {
    Case::figure(GROUP, name, UNIT, TIMES)
        .subject("ringmill", move |times| lives::<Ringmill>(times, phase))
        .subject("crossbeam-channel", move |times| {
            lives::<Threads<CrossbeamChannel>>(times, phase)
        })
        .subject("rayon", move |times| lives::<Tasks<Rayon>>(times, phase))
        .subject("tokio", move |times| {
            lives::<Tasks<tokio::runtime::Runtime>>(times, phase)
        })
        .subject("disruptor", move |times| {
            lives::<Disruptor<Yielding>>(times, phase)
        })
        .subject("rtrb", move |times| {
            lives::<Threads<Rtrb<Snooze>>>(times, phase)
        })
        .subject("chili", move |times| lives::<Chili>(times, phase))
        .subject("paralight", move |times| lives::<Paralight>(times, phase))
}

/// Its threads cannot be joined, so it is no part of that case.
fn with_threadpool(case: Case<'static>, phase: Phase) -> Case<'static> {
    case.subject("threadpool", move |times| {
        lives::<Tasks<threadpool::ThreadPool>>(times, phase)
    })
}

/// The median of so many lives, in microseconds.
fn lives<E: Executor>(times: u64, phase: Phase) -> f64 {
    life::<E>(phase); // Code and stacks are there from now on.
    let times: Vec<_> = (0..times)
        .map(|_| life::<E>(phase).as_secs_f64() * 1e6)
        .collect();
    median(&times)
}

/// Starts an executor, has one job done, and drops it; the time of one of these.
fn life<E: Executor>(phase: Phase) -> Duration {
    let size = Size {
        stages: 3,
        workers: cores().len(),
    };
    let begun = Instant::now();
    let mut executor = E::start(size);
    let started = begun.elapsed();
    let job = executor.trip(Job::default());
    let first_result = begun.elapsed();
    assert_eq!(job.number, 3, "a stage is missing");
    let begun = Instant::now();
    drop(executor);
    match phase {
        Phase::Start => started,
        Phase::FirstResult => first_result,
        Phase::Join => begun.elapsed(),
    }
}
