//! What the tests of pipelines share: a watchdog, handshakes, and payloads that are counted.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "only the library goes through a facade"
)]

pub mod alone;
#[cfg(target_os = "linux")]
pub mod masks;
pub mod place;
pub mod plant;

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{Location, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ringmill::{Fault, JoinError, Report, allowed_cores};

/// What a test may take before it counts as hanging.
pub const WATCHDOG: Duration = Duration::from_secs(30);

/// Runs the body of a test on a thread of its own; a hang fails the test and says which it is.
#[track_caller]
pub fn within<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    within_steps(move |_| body())
}

/// Where a test is, for the message if it fails or hangs.
#[derive(Clone, Default)]
pub struct Step(Arc<Mutex<String>>);

impl Step {
    pub fn say(&self, step: String) {
        *lock(&self.0) = step;
    }
}

/// [`within`] for a test of several steps.
#[track_caller]
pub fn within_steps<R: Send + 'static>(body: impl FnOnce(&Step) -> R + Send + 'static) -> R {
    watched(Box::new(body))
}

/// [`within_steps`], compiled once for each type of answer and not once for each test.
#[track_caller]
fn watched<R: Send + 'static>(body: Box<dyn FnOnce(&Step) -> R + Send>) -> R {
    let caller = Location::caller();
    let test = thread::current().name().unwrap_or("a test").to_string();
    let (say, hear) = channel();
    let step = Step::default();
    let steps = step.clone();
    let runner = thread::Builder::new()
        .name(test.clone())
        .spawn(move || {
            let answer = body(&steps);
            let _heard = say.send(());
            answer
        })
        .expect("a thread for the test");
    let at = || format!("{test} ({caller}) [{}]", lock(&step.0));
    let hangs = hear.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout);
    assert!(!hangs, "{} hangs: no end after {WATCHDOG:?}", at());
    runner.join().unwrap_or_else(|payload| {
        eprintln!("the panic above is of {}", at());
        resume_unwind(payload)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `jobs`, or fewer where the environment asks for quicker runs (many of them in a row).
pub fn jobs(jobs: u64) -> u64 {
    let divisor = std::env::var("RINGMILL_TEST_DIVIDE").ok();
    let divisor = divisor.and_then(|text| text.parse().ok()).unwrap_or(1);
    (jobs / divisor).max(1)
}

/// Waits for what nobody announces.
pub fn until(mut is_it: impl FnMut() -> bool) {
    while !is_it() {
        thread::yield_now();
    }
}

/// A number that threads add to and wait for.
#[derive(Clone, Default)]
pub struct Count(Arc<(Mutex<usize>, Condvar)>);

impl Count {
    pub fn add(&self, more: isize) {
        let mut count = lock(&self.0.0);
        *count = count.checked_add_signed(more).expect("never below zero");
        self.0.1.notify_all();
    }

    pub fn get(&self) -> usize {
        *lock(&self.0.0)
    }

    /// Waits until the number is at least this.
    pub fn reach(&self, least: usize) {
        self.wait(|count| count >= least);
    }

    pub fn wait(&self, is_it: impl Fn(usize) -> bool) {
        let mut count = lock(&self.0.0);
        while !is_it(*count) {
            count = self.0.1.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Closed until it is opened, then open for ever.
#[derive(Clone, Default)]
pub struct Gate(Count);

impl Gate {
    pub fn open(&self) {
        self.0.add(1);
    }

    pub fn pass(&self) {
        self.0.reach(1);
    }
}

/// A gate that counts who came to it, for jobs to pass.
#[derive(Clone, Default)]
pub struct Door {
    gate: Gate,
    inside: Count,
}

impl Door {
    pub fn pass<T>(&self, job: T) -> T {
        self.inside.add(1);
        self.gate.pass();
        job
    }

    pub fn open(&self) {
        self.gate.open();
    }

    /// How many have come.
    pub fn inside(&self) -> usize {
        self.inside.get()
    }

    /// Waits until so many have come.
    pub fn reach(&self, least: usize) {
        self.inside.reach(least);
    }

    /// Opens it at the latest when what this returns goes.
    pub fn open_late(&self) -> OpenLate {
        OpenLate(self.gate.clone())
    }
}

/// Opens its gate when it goes, so that a failed assertion leaves no job waiting.
pub struct OpenLate(pub Gate);

impl Drop for OpenLate {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Counts payloads: each is to be dropped exactly once.
#[derive(Clone, Default)]
pub struct Census(Arc<Mutex<Lives>>);

#[derive(Default)]
struct Lives {
    born: u64,
    alive: HashSet<u64>,
    died_twice: Vec<u64>,
}

impl Census {
    pub fn life(&self) -> Life {
        let mut lives = lock(&self.0);
        let id = lives.born;
        lives.born += 1;
        lives.alive.insert(id);
        Life {
            id,
            census: self.clone(),
        }
    }

    pub fn born(&self) -> u64 {
        lock(&self.0).born
    }

    pub fn alive(&self) -> usize {
        lock(&self.0).alive.len()
    }

    /// All that were made have been dropped, each once.
    #[track_caller]
    pub fn is_over(&self) {
        let lives = lock(&self.0);
        assert_eq!(lives.died_twice, [0; 0], "dropped twice");
        assert!(lives.alive.is_empty(), "never dropped: {:?}", lives.alive);
    }
}

/// What makes a payload counted; numbered in the order of creation.
pub struct Life {
    pub id: u64,
    census: Census,
}

/// A copy is a life of its own.
impl Clone for Life {
    fn clone(&self) -> Self {
        self.census.life()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let mut lives = lock(&self.census.0);
        if !lives.alive.remove(&self.id) {
            lives.died_twice.push(self.id);
        }
    }
}

/// Counts the threads of an executor, from their spawn hook to the end of their thread-locals.
#[derive(Clone, Default)]
pub struct Threads {
    alive: Count,
    ever: Count,
}

struct Leave(Count);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

thread_local! {
    static LEAVE: RefCell<Option<Leave>> = const { RefCell::new(None) };
}

impl Threads {
    /// For `on_spawn`.
    pub fn hook(&self) -> impl Fn(usize) + Send + Sync + 'static {
        let Self { alive, ever } = self.clone();
        move |_worker| {
            alive.add(1);
            ever.add(1);
            LEAVE.set(Some(Leave(alive.clone())));
        }
    }

    pub fn alive(&self) -> usize {
        self.alive.get()
    }

    pub fn ever(&self) -> usize {
        self.ever.get()
    }

    /// Waits until the last of them is gone; after a join none is left to wait for.
    pub fn wait_gone(&self) {
        self.alive.wait(|alive| alive == 0);
    }
}

/// Whether the calling thread is one of those counted.
pub fn is_counted_thread() -> bool {
    LEAVE.with_borrow(Option::is_some)
}

/// What `join` says of a panic: stage, instance, message, payload.
#[track_caller]
pub fn panicked<A, E>(
    joined: Result<Report<A>, JoinError<E>>,
) -> (String, usize, String, Option<Box<dyn Any + Send>>) {
    let Err(JoinError::Failed(fault)) = joined else {
        panic!("it panicked");
    };
    match &*fault {
        Fault::Panicked {
            stage,
            instance,
            message,
            payload,
            ..
        } => {
            let taken = payload.take();
            assert!(payload.take().is_none(), "a payload is taken once");
            (stage.to_string(), *instance, message.clone(), taken)
        }
        _ => panic!("another fault"),
    }
}

/// A core to bind to.
pub fn core() -> [usize; 1] {
    [allowed_cores()[0]]
}
