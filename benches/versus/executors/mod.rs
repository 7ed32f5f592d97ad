//! One face for all that have jobs done by threads of their own: start it, have jobs done one after the other, drop it.

mod pipes;
mod pools;
mod rings;
mod threads;

use std::time::Instant;

pub use pipes::*;
pub use pools::*;
pub use rings::*;
pub use threads::Threads;

/// What executors do here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Job {
    /// Each stage adds one.
    pub number: u64,
    /// Where it is to be known how long the job waits: when it was dispatched. The first stage takes it out.
    pub dispatched: Option<Instant>,
    /// So many nanoseconds, then.
    pub waited: u64,
}

impl Job {
    /// One stage.
    #[inline]
    pub fn step(mut self) -> Self {
        if let Some(dispatched) = self.dispatched.take() {
            self.waited = dispatched.elapsed().as_nanos() as u64;
        }
        self.number += 1;
        self
    }

    /// All stages, where they are one after the other on one thread.
    #[inline]
    pub fn steps(self, stages: usize) -> Self {
        (0..stages).fold(self, |job, _| job.step())
    }
}

/// How large an executor is.
#[derive(Clone, Copy)]
pub struct Size {
    /// One or three.
    pub stages: usize,
    /// Threads, for those who have no thread for each stage.
    pub workers: usize,
}

/// Has jobs done. Dropping it waits until its threads are gone.
pub trait Executor: Sized {
    /// Returns when jobs can be dispatched.
    fn start(size: Size) -> Self;

    /// Has one job done, and waits for it.
    fn trip(&mut self, job: Job) -> Job;

    /// Has jobs with these numbers done one after the other, and checks what comes back.
    fn work(&mut self, size: Size, count: u64) {
        for number in 0..count {
            let job = self.trip(Job {
                number,
                ..Job::default()
            });
            assert_eq!(
                job.number,
                number + size.stages as u64,
                "a stage is missing"
            );
        }
    }
}
