//! Threads: what workers' and the supervisor's do, and whose they are.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Maker, Wiring};
use crate::affinity;
use crate::error::{BuildError, Fault, PinError, into_message};
use crate::event::sleep_precisely;
use crate::executor::Executor;
use crate::hooks::Hooks;
use crate::idle::{Idle, IdleStrategy, Step, pause};
use crate::worker::duty::Poll;
use crate::worker::floor::Floor;
use crate::worker::supervisor::Supervisor;
use crate::worker::{Bound, Inside, OnPanic, Worker};

/// Starts threads, scoped or not.
pub(crate) trait Spawn<'env> {
    fn spawn(
        &self,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send + 'env>,
    ) -> io::Result<()>;
}

/// Calls a hook of the user's; its panic is an error.
pub(crate) fn guard<R>(hook: &'static str, call: impl FnOnce() -> R) -> Result<R, BuildError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| BuildError::Hook {
        hook,
        message: into_message(payload),
    })
}

/// A strategy for one thread.
pub(super) fn strategy(idle: &Idle, is_crowded: bool) -> Result<Box<dyn IdleStrategy>, BuildError> {
    guard("the idle strategy", || idle.strategy(is_crowded))
}

/// What to do when an idle strategy panics, or a worker's own loop. Keeps the hooks while the worker lives.
pub(super) fn on_panic<E: Send + Sync + 'static>(
    executor: &Arc<Executor<E>>,
    hooks: &Arc<Hooks<E>>,
) -> OnPanic {
    let (executor, hooks) = (Arc::clone(executor), Arc::clone(hooks));
    Box::new(move |what, payload| {
        let _hooks = &hooks;
        executor.fail(Fault::of_panic(what, payload));
    })
}

/// Supervises on a thread of its own. A panic of the supervisor's fails the executor.
pub(super) fn supervise<E: Send + Sync + 'static>(
    supervisor: Supervisor<'_>,
    executor: &Executor<E>,
) {
    let _inside = Inside::enter(&executor.core);
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| supervisor.run())) {
        executor.fail(Fault::of_panic("the supervisor", payload));
    }
}

/// Lets a worker work, with what the user wants to be told of that.
pub(crate) fn run<E>(worker: &mut Worker<'_, '_>, index: usize, executor: &Executor<E>) {
    let _inside = Inside::enter(&executor.core);
    let tell = |what, hook: fn(&Hooks<E>, usize)| {
        let Some(hooks) = executor.hooks() else {
            return;
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(&hooks, index))) {
            executor.fail(Fault::of_panic(what, payload));
        }
    };
    tell("the worker start hook", Hooks::worker_starts);
    worker.run();
    tell("the worker stop hook", Hooks::worker_stops);
}

/// What the threads of workers are made of.
pub(super) struct WorkerThreads<'env, E> {
    pub(super) floor: Arc<Floor<'env>>,
    pub(super) executor: Arc<Executor<E>>,
    /// Theirs: they are dropped with the last thread.
    pub(super) hooks: Arc<Hooks<E>>,
    /// By number of worker.
    pub(super) names: Vec<Arc<str>>,
    pub(super) cores: Vec<Option<usize>>,
    pub(super) idle: Idle,
    pub(super) is_crowded: bool,
    /// Workers that float and are nobody's home: more than there are cores.
    pub(super) surplus: Range<usize>,
    pub(super) stack_size: Option<usize>,
    pub(super) on_spawn: Option<Arc<dyn Fn(usize) + Send + Sync>>,
}

/// What one of them is given besides.
pub(super) struct First<'env> {
    pub(super) wiring: Arc<Wiring>,
    pub(super) bound: Vec<(usize, Maker<'env, Box<dyn Poll + 'env>>)>,
    pub(super) helps: bool,
    pub(super) say_ready: mpsc::Sender<Result<Result<(), PinError>, BuildError>>,
    pub(super) hear_go: mpsc::Receiver<()>,
}

impl<E: Send + Sync + 'static> WorkerThreads<'_, E> {
    pub(super) fn thread(&self, index: usize) -> thread::Builder {
        let builder = thread::Builder::new().name(self.names[index].to_string());
        match self.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    pub(super) fn refused(&self, index: usize, error: io::Error) -> BuildError {
        let thread = self.names[index].to_string();
        BuildError::Spawn { thread, error }
    }

    /// What a new thread does first: whether it is pinned, and how it idles.
    fn enter(
        &self,
        index: usize,
    ) -> (
        Result<(), PinError>,
        Result<Box<dyn IdleStrategy>, BuildError>,
    ) {
        let pinned = self.cores[index].map_or(Ok(()), affinity::pin);
        let idle = guard("the spawn hook", || {
            if let Some(on_spawn) = &self.on_spawn {
                on_spawn(index);
            }
        })
        .and_then(|()| {
            let surplus = self
                .surplus
                .contains(&index)
                .then(|| self.idle.of_surplus());
            strategy(surplus.as_ref().unwrap_or(&self.idle), self.is_crowded)
        });
        (pinned, idle)
    }

    /// What a worker's thread does.
    pub(super) fn begin(&self, index: usize, first: First<'_>) {
        let First {
            wiring,
            bound,
            helps,
            say_ready,
            hear_go,
        } = first;
        let _inside = Inside::enter(&self.executor.core);
        if helps {
            sleep_precisely(); // It may be the one that watches.
        }
        let (pinned, idle) = self.enter(index);
        let made = idle.and_then(|idle| {
            let bind = |(number, make): (usize, Maker<'_, _>)| {
                Ok(Bound {
                    duty: make(&wiring, number)?,
                    station: Some(number),
                    is_ready: None,
                    has_ended: false,
                })
            };
            let mut bound = bound.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?;
            bound.reverse(); // Last stage first.
            Ok((idle, bound))
        });
        drop(wiring);
        match made {
            Err(error) => drop(say_ready.send(Err(error))),
            Ok((idle, bound)) => {
                // Made before it stands ready: afterwards nothing is allocated.
                let panic = on_panic(&self.executor, &self.hooks);
                let mut worker = Worker::new(index, &self.floor, bound, helps, idle, panic);
                let _heard = say_ready.send(Ok(pinned));
                if hear_soon(&hear_go).is_ok() {
                    run(&mut worker, index, &self.executor);
                }
            }
        }
    }
}

/// What is sent by a thread that is about to: looks for it, for twice as long as a wake costs (27–57 µs), before it
/// sleeps.
pub(super) fn hear_soon<T>(hear: &Receiver<T>) -> Result<T, RecvError> {
    const SOON: Duration = Duration::from_micros(100);
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        match hear.try_recv() {
            Ok(heard) => return Ok(heard),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) => pause(Step::Yield),
        }
    }
    hear.recv()
}

/// Threads that live until they are joined.
#[derive(Default)]
pub(crate) struct Detached(Mutex<Vec<JoinHandle<()>>>);

impl Detached {
    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all of them are gone.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            let _ended = thread.join(); // None of them panics.
        }
    }
}

impl Spawn<'static> for Detached {
    fn spawn(
        &self,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send + 'static>,
    ) -> io::Result<()> {
        let thread = builder.spawn(body)?;
        self.threads().push(thread);
        Ok(())
    }
}
