//! How long until three stages are there, until the first result, and until all of it is gone again?
//!
//! One case is about the first start in a process that has another thread: some executors register with the system at
//! their first start, and the system answers later where there are threads. Each sample is a process of its own: this
//! program again, with a hidden argument.

use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, thread};

use ringmill_benches::stats::median;

use crate::executors::{
    Chili, CrossbeamChannel, Disruptor, Executor, Job, Paralight, Rayon, Ringmill, Rtrb, Size,
    Snooze, Tasks, Threads, Yielding,
};
use crate::places::cores;
use crate::protocol::{Better, Case};

const GROUP: &str = "startup";
const UNIT: (&str, Better) = ("µs", Better::Lower);
/// Executors a turn, one after the other.
const TIMES: u64 = 200;
/// Processes a turn, one after the other.
const PROCESSES: u64 = 20;
/// Executors whose first start in a process is timed, ringmill first.
const FIRST_STARTS: [(&str, fn() -> Duration); 4] = [
    ("ringmill", beside_a_thread::<Ringmill>),
    ("rayon", beside_a_thread::<Tasks<Rayon>>),
    (
        "threadpool",
        beside_a_thread::<Tasks<threadpool::ThreadPool>>,
    ),
    ("tokio", beside_a_thread::<Tasks<tokio::runtime::Runtime>>),
];

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
        first_start_case(),
    ]
}

fn first_start_case() -> Case<'static> {
    let case = Case::figure(
        GROUP,
        "first start in a process with one more thread",
        UNIT,
        PROCESSES,
    );
    FIRST_STARTS.iter().fold(case, |case, &(name, _)| {
        case.subject(name, move |processes| {
            let times: Vec<_> = (0..processes).map(|_| in_new_process(name)).collect();
            median(&times)
        })
    })
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

/// The time of a subject's first start in a process of its own, in microseconds.
fn in_new_process(subject: &str) -> f64 {
    let program = env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["--first-start", subject])
        .stderr(Stdio::inherit())
        .output()
        .expect("this program starts again");
    assert!(output.status.success(), "{subject}: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let nanoseconds: f64 = text
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{subject} printed {text:?} instead of nanoseconds"));
    nanoseconds / 1e3
}

/// What the new process does: prints the nanoseconds of the subject's start.
pub fn first_start(subject: &str) -> ExitCode {
    let Some((_, start)) = FIRST_STARTS.iter().find(|(name, _)| *name == subject) else {
        eprintln!("{subject} is no subject of a first start");
        return ExitCode::FAILURE;
    };
    println!("{}", start().as_nanos());
    ExitCode::SUCCESS
}

/// The time of a start while another thread of the process waits for something.
fn beside_a_thread<E: Executor>() -> Duration {
    let size = Size {
        stages: 3,
        workers: cores().len(),
    };
    let (here, is_here) = mpsc::channel();
    let (end, is_end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            here.send(()).expect("the first thread waits");
            // Until the sender is gone.
            let _ended = is_end.recv();
        });
        is_here.recv().expect("the other thread says so");
        let begun = Instant::now();
        let mut executor = E::start(size);
        let took = begun.elapsed();
        executor.work(size, 1);
        drop(end);
        took
    })
}
