//! Models of this crate's inside, run by `cargo loom`, each in a process of its own: the assembly that the builder makes,
//! whose workers and supervisor run on threads of the model, and the parts that it consists of.
//!
//! How models are judged: the library in `loom-tests`.

mod chains;
mod snapshots;
mod supervision;

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::event::{Event, Token};
use crate::pipeline::builder::{Link, Staged};
use crate::plan::Started;
use crate::sync::{Acquire, AtomicUsize, Relaxed, Release, yield_thread};
use crate::worker::Worker;
use crate::worker::floor::Floor;
use crate::worker::supervisor::Supervisor;
use crate::{Builder, Dispatcher, FailFast, Handle, Idle, One, Pipeline, Receiver};

/// A pipeline as `start` makes it, all but its threads.
struct Assembly<D> {
    dispatcher: Dispatcher<usize, usize, FailFast, D>,
    receiver: Receiver<usize, usize>,
    handle: Handle<usize>,
    workers: Workers,
    supervisor: Option<Supervisor<'static>>,
}

/// A builder with rings of one job, whose threads sleep at once.
fn builder() -> Builder<'static, usize, usize> {
    Pipeline::builder().capacity(1).idle(Idle::parking())
}

impl<D> Assembly<D> {
    fn new<L>(builder: Builder<'static, usize, usize, FailFast, D, One, L>) -> Self
    where
        L: Link<'static, usize, usize, FailFast, Out = usize> + Staged,
    {
        let handle = builder.handle();
        let (dispatcher, receiver, (workers, supervisor)) = builder
            .start_by(|plan| {
                let mut assembled = plan.assemble(None, 2)?;
                let supervisor = assembled.supervisor();
                let workers = Workers(Arc::clone(&assembled.floor));
                let started = Started {
                    wiring: assembled.wiring,
                    caller: None,
                    is_crowded: assembled.is_crowded,
                    strategies: assembled.strategies,
                };
                Ok((started, (workers, supervisor)))
            })
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            dispatcher,
            receiver,
            handle,
            workers,
            supervisor,
        }
    }
}

/// The workers of an assembly.
#[derive(Clone)]
struct Workers(Arc<Floor<'static>>);

impl Workers {
    /// Runs one to its end.
    fn run(&self, worker: usize) {
        self.worker(worker).run();
    }

    /// Polls a duty once, as its home does: how many jobs that moved on.
    fn poll(&self, duty: usize) -> usize {
        let home = self.0.stations[duty].home();
        self.worker(home).poll_floating(duty)
    }

    /// Polls a duty as long as there is something to do, or somebody else polls it.
    fn poll_all(&self, duty: usize) {
        while self.0.stations[duty].is_wanted(self.0.core.phase()) {
            if self.poll(duty) == 0 {
                yield_thread();
            }
        }
    }

    /// A worker that parks as soon as there is nothing to do.
    fn worker(&self, index: usize) -> Worker<'static, 'static> {
        let on_panic = Box::new(|_: &str, payload| resume_unwind(payload));
        let idle = Idle::parking().strategy(false);
        Worker::new(index, &self.0, Vec::new(), true, idle, on_panic)
    }
}

/// Things to be taken, one at a time. Each wakes one that waits.
struct Things {
    count: AtomicUsize,
    event: Event,
}

impl Things {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            event: Event::new(),
        })
    }

    fn is_any(&self) -> bool {
        self.count.load(Acquire) > 0
    }

    /// Puts so many, and wakes one for all of them. Whether there was one to wake.
    fn put(&self, count: usize) -> bool {
        self.count.fetch_add(count, Release);
        self.event.notify_one()
    }

    fn try_take(&self) -> bool {
        let count = self.count.load(Acquire);
        count > 0
            && self
                .count
                .compare_exchange(count, count - 1, Acquire, Relaxed)
                .is_ok()
    }

    /// Takes one, and waits for it.
    fn take(&self) {
        let mut token = Token::new(&self.event, || self.is_any());
        while !self.try_take() {
            token.sleep(None);
        }
    }
}
