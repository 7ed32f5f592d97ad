//! What does an executor cost that has had work, and has none now?

use std::thread;
use std::time::{Duration, Instant};

use crate::executors::{
    Chili, CrossbeamChannel, Disruptor, Executor, Paralight, Rayon, Ringmill, Rtrb, Size, Snooze,
    Tasks, Threads, Yielding,
};
use crate::places::cores;
use crate::protocol::{Better, Case};

const GROUP: &str = "idle";
const UNIT: (&str, Better) = ("% of a core", Better::Lower);
/// Jobs before it is idle.
const JOBS: u64 = 100;
/// Less than this is nothing: several times what the measuring thread itself takes to fall asleep, wake and look.
const NOTHING: f64 = 0.05;

/// When to begin to look.
#[derive(Clone, Copy)]
enum From {
    LastJob,
    /// As long as half of the look, after it.
    Later,
}

pub fn cases() -> Vec<Case<'static>> {
    vec![
        // In the first second executors may stay awake in case that more comes.
        case("from the last job on", From::LastJob, 1000),
        case("after 1 s", From::Later, 2000),
    ]
}

/// Subjects count the milliseconds of the look.
fn case(name: &str, from: From, window: u64) -> Case<'static> {
    Case::figure(GROUP, name, UNIT, window)
        .subject("ringmill", move |window| look::<Ringmill>(window, from))
        .subject("rayon", move |window| look::<Tasks<Rayon>>(window, from))
        .subject("crossbeam-channel", move |window| {
            look::<Threads<CrossbeamChannel>>(window, from)
        })
        .subject("threadpool", move |window| {
            look::<Tasks<threadpool::ThreadPool>>(window, from)
        })
        .subject("tokio", move |window| {
            look::<Tasks<tokio::runtime::Runtime>>(window, from)
        })
        .subject("chili", move |window| look::<Chili>(window, from))
        .subject("paralight", move |window| look::<Paralight>(window, from))
        // These two never sleep: what they are for is not to be woken.
        .subject("disruptor", move |window| {
            look::<Disruptor<Yielding>>(window, from)
        })
        .subject("rtrb", move |window| {
            look::<Threads<Rtrb<Snooze>>>(window, from)
        })
}

/// Percents of a core that the process takes while nobody does anything.
fn look<E: Executor>(window: u64, from: From) -> f64 {
    let size = Size {
        stages: 3,
        workers: cores().len(),
    };
    let window = Duration::from_millis(window);
    let mut executor = E::start(size);
    executor.work(size, JOBS);
    if matches!(from, From::Later) {
        thread::sleep(window / 2);
    }
    let (begun, before) = (Instant::now(), used());
    thread::sleep(window);
    let (took, after) = (begun.elapsed(), used());
    // It is still there, and wakes up.
    executor.work(size, 1);
    let share = after.saturating_sub(before).as_secs_f64() / took.as_secs_f64();
    (share * 100.0).max(NOTHING)
}

/// The time for which threads of this process have run.
fn used() -> Duration {
    let mut used = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[allow(unsafe_code, reason = "std does not know this clock")]
    // SAFETY: it writes one `timespec`, which is there.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut used) };
    assert_eq!(answer, 0, "no clock of the process");
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}
