//! How long from dispatching one job to its first instruction, and until its result is back?
//!
//! One job is under way at a time, and one thread does it. The next one follows at once, after a pause in which those
//! who spin or yield are still awake, or after one in which all who ever sleep are asleep.

use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

use disruptor::BusySpin;
use hdrhistogram::Histogram;

use crate::executors::{
    CrossbeamChannel, Crossfire, Disruptor, Executor, Flume, Job, Kanal, Rayon, Ringmill, Rtrb,
    Size, Spin, StdMpsc, Tasks, Threads,
};
use crate::places::pin;
use crate::protocol::{Case, nanoseconds};

const GROUP: &str = "dispatch";
const ONE: Size = Size {
    stages: 1,
    workers: 1,
};
/// Jobs before the clock counts.
const WARM_UP: u64 = 64;

/// What time is taken of a job.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Start,
    Back,
}

/// What lies between two jobs.
#[derive(Clone, Copy)]
struct Pause {
    name: &'static str,
    time: Duration,
    /// Samples a turn, however many are wanted: each costs a pause.
    most: u64,
    /// Those who never sleep are no part of it.
    is_for_sleepers: bool,
}

const PAUSES: [Pause; 3] = [
    Pause {
        name: "hot",
        time: Duration::ZERO,
        most: u64::MAX,
        is_for_sleepers: false,
    },
    Pause {
        name: "500 µs idle",
        time: Duration::from_micros(500),
        most: 100,
        is_for_sleepers: false,
    },
    // Four times as long as ringmill's workers stay awake, which is longest.
    Pause {
        name: "parked",
        time: Duration::from_millis(4),
        most: 16,
        is_for_sleepers: true,
    },
];

pub fn cases() -> Vec<Case<'static>> {
    let untils = [(Until::Start, "start"), (Until::Back, "round trip")];
    PAUSES
        .into_iter()
        .flat_map(|pause| untils.map(|(until, name)| case(pause, until, name)))
        .collect()
}

fn case(pause: Pause, until: Until, name: &str) -> Case<'static> {
    let case = Case::latency(GROUP, format!("{}, {name}", pause.name))
        .subject("ringmill", move |items| {
            jobs::<Ringmill>(items, pause, until)
        })
        .subject("crossbeam-channel", move |items| {
            jobs::<Threads<CrossbeamChannel>>(items, pause, until)
        })
        .subject("crossfire", move |items| {
            jobs::<Threads<Crossfire>>(items, pause, until)
        })
        .subject("std mpsc", move |items| {
            jobs::<Threads<StdMpsc>>(items, pause, until)
        })
        .subject("kanal", move |items| {
            jobs::<Threads<Kanal>>(items, pause, until)
        })
        .subject("flume", move |items| {
            jobs::<Threads<Flume>>(items, pause, until)
        })
        .subject("rayon", move |items| {
            jobs::<Tasks<Rayon>>(items, pause, until)
        })
        .subject("threadpool", move |items| {
            jobs::<Tasks<threadpool::ThreadPool>>(items, pause, until)
        })
        .subject("tokio", move |items| {
            jobs::<Tasks<tokio::runtime::Runtime>>(items, pause, until)
        });
    if pause.is_for_sleepers {
        return case;
    }
    case.subject("disruptor", move |items| {
        jobs::<Disruptor<BusySpin>>(items, pause, until)
    })
    .subject("rtrb", move |items| {
        jobs::<Threads<Rtrb<Spin>>>(items, pause, until)
    })
}

/// Dispatches from a thread of its own, on another core than the one of a worker that is pinned.
fn jobs<E: Executor>(items: u64, pause: Pause, until: Until) -> Histogram<u64> {
    let dispatch = || {
        // First: what is started by a pinned thread is pinned as well, unless it says otherwise.
        let mut executor = E::start(ONE);
        pin(1);
        executor.work(ONE, WARM_UP);
        let mut times = nanoseconds();
        for number in 0..items.min(pause.most) {
            idle(pause.time);
            times += one(&mut executor, number, until);
        }
        times
    };
    thread::scope(|scope| scope.spawn(dispatch).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Stays awake: it is the worker who is to be idle.
fn idle(time: Duration) {
    if time.is_zero() {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed() < time {
        spin_loop();
    }
}

/// One job; nanoseconds.
fn one<E: Executor>(executor: &mut E, number: u64, until: Until) -> u64 {
    let begun = Instant::now();
    // Who asks for the way back only is spared the look at the clock within the job.
    let dispatched = (until == Until::Start).then_some(begun);
    let job = executor.trip(Job {
        number,
        dispatched,
        waited: 0,
    });
    let back = begun.elapsed();
    assert_eq!(job.number, number + 1, "another job");
    match until {
        Until::Start => {
            assert!(job.waited > 0, "nobody looked at the clock");
            job.waited
        }
        Until::Back => back.as_nanos() as u64,
    }
}
