//! A thread for each stage, with pipes between them.

use std::thread::{self, JoinHandle};

use super::{Executor, Job, Pipe, Size};
use crate::places::pin;

/// Jobs on their way between two threads, at most.
const CAPACITY: usize = 64;

pub struct Threads<P: Pipe<Job>> {
    /// None once it is closed.
    tx: Option<P::Tx>,
    rx: P::Rx,
    stages: Vec<JoinHandle<()>>,
}

impl<P: Pipe<Job>> Executor for Threads<P> {
    fn start(size: Size) -> Self {
        let (tx, mut last) = P::new(CAPACITY);
        let mut stages = Vec::new();
        for nth in 0..size.stages {
            let (mut next, rx) = P::new(CAPACITY);
            let mut from = std::mem::replace(&mut last, rx);
            stages.push(thread::spawn(move || {
                pin(nth);
                while let Some(job) = P::recv(&mut from) {
                    if !P::send(&mut next, job.step()) {
                        return;
                    }
                }
            }));
        }
        Self {
            tx: Some(tx),
            rx: last,
            stages,
        }
    }

    #[inline]
    fn trip(&mut self, job: Job) -> Job {
        let tx = self.tx.as_mut().expect("it is open");
        assert!(P::send(tx, job), "the first stage is gone");
        P::recv(&mut self.rx).expect("the last stage is there")
    }
}

impl<P: Pipe<Job>> Drop for Threads<P> {
    fn drop(&mut self) {
        self.tx = None;
        for stage in self.stages.drain(..) {
            let ended = stage.join();
            assert!(ended.is_ok() || thread::panicking(), "a stage panicked");
        }
    }
}
