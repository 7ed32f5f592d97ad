//! One face for all that let jobs go through three stages: jobs come from a feeder, and results go to a receiver.
//!
//! The first few jobs go through before the time begins, and the pipeline is empty then. It ends with the last result.

mod channels;
mod check;
mod disruptor;
mod ringmill;

pub use channels::*;
pub use check::Check;
pub use disruptor::through_disruptor;
pub use ringmill::through_ringmill;

use std::iter::zip;
use std::mem::replace;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, TryRecvError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::places::pin;

pub const STAGES: usize = 3;
/// Jobs between two stages, where nothing else is said.
pub const CAPACITY: usize = 1024;
/// Jobs that go together where jobs go together.
pub const BATCH: usize = 64;

/// Whether jobs may wait for each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// What counts is how many there are in all: in batches, where that is known.
    Together,
    /// Each is under way at once.
    Singly,
}

/// What goes through, and what is done with the results.
pub struct Load<T, J, E> {
    /// These are through before the others begin.
    pub warm: Vec<T>,
    pub jobs: J,
    /// How many they are.
    pub count: usize,
    /// Gets all results, also those of `warm`.
    pub each: E,
}

/// The two ends of a channel between stages. Both wait in the way that its documentation says is best.
pub trait Channel {
    type Tx<T: Send + 'static>: Send;
    type Rx<T: Send + 'static>: Send;

    /// So many ends on both sides.
    fn ends<T: Send + 'static>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Tx<T>>, Vec<Self::Rx<T>>);

    /// False once nobody will receive it.
    fn send<T: Send + 'static>(tx: &mut Self::Tx<T>, item: T) -> bool;

    /// None once nobody will send any more.
    fn receive<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T>;
}

/// Lets a load go through three stages of `instances` threads each, between a feeder's and a receiver's.
pub fn through<C, T, F>(
    load: Load<T, impl Iterator<Item = T> + Send, impl FnMut(T) + Send>,
    (instances, capacity): (usize, usize),
    stage: impl Fn(usize) -> F,
) -> Duration
where
    C: Channel,
    T: Send + 'static,
    F: FnMut(T) -> T + Send,
{
    let Load {
        warm,
        mut jobs,
        count,
        mut each,
    } = load;
    let (mut results, gate) = gate(warm.len(), count);
    thread::scope(|scope| {
        let (mut tx, mut rx) = C::ends::<T>(capacity, 1, instances);
        let mut first = tx.pop().expect("an end for the feeder");
        let feeder = scope.spawn(move || {
            pin(0);
            let is_warm = warm.into_iter().all(|job| C::send(&mut first, job)) && gate.opens();
            let begun = Instant::now();
            let all = is_warm && jobs.all(|job| C::send(&mut first, job));
            all.then_some(begun)
        });
        let mut place = 1;
        for nth in 0..STAGES {
            let receivers = if nth + 1 == STAGES { 1 } else { instances };
            let (tx, next) = C::ends(capacity, instances, receivers);
            for (mut rx, mut tx) in zip(replace(&mut rx, next), tx) {
                let mut step = stage(nth);
                scope.spawn(move || {
                    pin(place);
                    while let Some(job) = C::receive(&mut rx) {
                        if !C::send(&mut tx, step(job)) {
                            break;
                        }
                    }
                });
                place += 1;
            }
        }
        let mut last = rx.pop().expect("an end for the receiver");
        let receiver = scope.spawn(move || {
            pin(place);
            while let Some(result) = C::receive(&mut last) {
                each(result);
                results.one_more();
            }
            results.ended
        });
        took(feeder, receiver)
    })
}

/// Lets the feeder through once so many results are there, and tells when so many more are.
fn gate(warm: usize, count: usize) -> (Results, Gate) {
    let (opener, gate) = mpsc::channel();
    let results = Results {
        opener,
        count: 0,
        warm,
        all: warm + count,
        ended: None,
    };
    if warm == 0 {
        results.open();
    }
    (results, Gate(gate))
}

struct Results {
    opener: mpsc::Sender<()>,
    count: usize,
    warm: usize,
    all: usize,
    /// When the last one was there.
    ended: Option<Instant>,
}

impl Results {
    #[inline]
    fn one_more(&mut self) {
        self.count += 1;
        if self.count == self.warm {
            self.open();
        }
        if self.count == self.all {
            self.ended = Some(Instant::now());
        }
    }

    fn open(&self) {
        self.opener.send(()).expect("the feeder is there");
    }
}

struct Gate(mpsc::Receiver<()>);

impl Gate {
    /// Waits, without sleeping: what is warm stays so. False if the receiver is gone.
    fn opens(&self) -> bool {
        loop {
            match self.0.try_recv() {
                Ok(()) => return true,
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }
}

/// From the feeder's first job to the receiver's last result.
fn took(
    feeder: ScopedJoinHandle<'_, Option<Instant>>,
    receiver: ScopedJoinHandle<'_, Option<Instant>>,
) -> Duration {
    let ended = receiver.join().unwrap_or_else(|panic| resume_unwind(panic));
    let begun = feeder.join().unwrap_or_else(|panic| resume_unwind(panic));
    ended.expect("all results are there") - begun.expect("all jobs are sent")
}
