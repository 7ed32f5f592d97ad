//! What can be said of a pipeline as a whole, at any place among its stages.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::builder::{Builder, Many};
use super::handle::Handle;
use crate::affinity::Pin;
use crate::error::{BuildError, Fault};
use crate::idle::Idle;
use crate::overflow::Overflow;
use crate::policy::Policy;
use crate::stage::Context;

/// What is to be said before the first stage, since it decides the kind of the ring in front of it.
impl<'env, J, E, P, D, R> Builder<'env, J, E, P, D, R>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// What dispatching does where there is no room: wait, where nothing is said. What is dropped is counted
    /// ([`StageCounters::overflowed`](crate::StageCounters)), and handed to the hook that
    /// [`Dispatcher::on_drop`](crate::Dispatcher::on_drop) sets. `run` always waits: its jobs are at hand.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        if self.last.producers.is_some() {
            self.plan.refuse(BuildError::OverflowInBranch { overflow });
        }
        self.plan.config.overflow = overflow;
        self.plan.config.shares_mouth |= overflow == Overflow::DropOldest; // It takes, too.
        self
    }

    /// Dispatchers can be cloned. The executor closes when one of them says `done`, or the last is gone.
    pub fn many_dispatchers(mut self) -> Builder<'env, J, E, P, Many, R> {
        self.plan.config.shares_mouth = true;
        self.retyped()
    }
}

impl<'env, J, E, P, D, R, L> Builder<'env, J, E, P, D, R, L>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// Sets how many jobs each ring made after this call holds, exactly. Default: 1024.
    ///
    /// The number is that of one ring. Between two stages there may be several rings, and then as many times more jobs
    /// wait there:
    ///
    /// | in front of | rings | jobs that wait there, at `capacity(1024)` |
    /// |---|---|---|
    /// | the first stage, whatever its instances | 1 | 1024 |
    /// | a keyed stage of `n` instances | `n`, one for each | 1024 × `n` |
    /// | one instance, or one receiver, behind 2 to 8 instances | one behind each of those | 2048 to 8192 |
    /// | several instances, behind 2 to 32 instances | one behind each of those | 2048 to 32,768 |
    /// | all else: behind one instance, or behind more of them; ordered stages and stages that are scaled, behind any number; receivers that can be cloned | 1 | 1024 |
    ///
    /// Behind an ordered stage lies its window instead, which has a size of its own; a keyed stage, several instances or
    /// receivers that can be cloned have their rings, as above, behind that. Besides, each instance may have claimed up to
    /// 64 jobs that it has not begun; they count as waiting.
    pub fn capacity(mut self, jobs: usize) -> Self {
        self.capacity = jobs;
        self
    }

    /// How many workers poll the floating stages. Default: one for each [allowed core](crate::allowed_cores), or as many
    /// as a CPU quota has time for where those are fewer (2 under a limit of 2.5 cores), at least 1. There are never more
    /// workers than duties. With `run` the calling thread is one of them, and also feeds and collects. No more workers
    /// than there are cores have duties of their own; the others help. Bound stages have workers of their own.
    pub fn workers(mut self, workers: usize) -> Self {
        self.plan.config.workers = Some(workers);
        self
    }

    /// The cores that floating workers are pinned to, in turn. Default: [all allowed ones](crate::allowed_cores). Where
    /// the calling thread is a worker, in `run`, the others begin behind the one that it is on. The system judges named
    /// cores: they need not be allowed to the calling thread.
    pub fn cores(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.plan.config.cores = Some(cores.into_iter().collect());
        self
    }

    /// Whether floating workers are pinned: best effort where nothing is said. Bound ones always must be.
    pub fn pin(mut self, pin: Pin) -> Self {
        self.plan.config.pin = pin;
        self
    }

    /// How workers, and threads that wait in a blocking call, idle.
    pub fn idle(mut self, idle: Idle) -> Self {
        self.plan.config.idle = idle;
        self
    }

    /// How long all of it may take, from the start on: once that is over and the executor has not finished, it
    /// fails with [`Fault::DeadlineExceeded`](crate::Fault::DeadlineExceeded), whoever is waiting for what. None
    /// where nothing is said. Costs one more thread, which sleeps.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        if deadline.is_zero() {
            self.plan.refuse(BuildError::ZeroTime { what: "deadline" });
        }
        self.plan.config.deadline = Some(deadline);
        self
    }

    /// The stack of each thread, in bytes; the system's default where nothing is said.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.plan.config.stack_size = Some(bytes);
        self
    }

    /// Called on each new thread before it does anything else, with the worker's number. A panic in it is
    /// an error of `start`.
    pub fn on_spawn(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.plan.config.on_spawn = Some(Arc::new(hook));
        self
    }

    /// Called by each worker before it begins to work, with its number; also by the calling thread in `run`. A panic in
    /// this or one of the other hooks fails the executor.
    pub fn on_worker_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.plan.hooks.worker_start = Some(Arc::new(hook));
        self
    }

    /// Called by each worker when it has nothing to do any more.
    pub fn on_worker_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.plan.hooks.worker_stop = Some(Arc::new(hook));
        self
    }

    /// Called when an instance's state has been built: at the start (where a panic is an error of `start`), and after
    /// a panic in the per-job policy. Stages that are fused are one instance, and named like the first of them.
    pub fn on_instance_start(mut self, hook: impl Fn(&Context) + Send + Sync + 'static) -> Self {
        self.plan.hooks.instance_start = Some(Arc::new(hook));
        self
    }

    /// Called when an instance's state has been dropped, where the instance has had its last job or has panicked. Not
    /// for a start that fails.
    pub fn on_instance_stop(mut self, hook: impl Fn(&Context) + Send + Sync + 'static) -> Self {
        self.plan.hooks.instance_stop = Some(Arc::new(hook));
        self
    }

    /// Called with each error, panic and missed deadline, on the thread where it happens. In the per-job policy the call
    /// comes before the outcome goes out. In the policy fail fast it comes after the executor has failed, also for a fault
    /// that was not the first. For [`Builder::deadline`] it is the last act of the thread that keeps the time; `join`
    /// waits for it.
    ///
    /// For logs and alarms. The hook counts as being inside a job: calls on this executor do not wait there. It need not
    /// keep anything: outcomes are received, and the first fault is kept for [`Handle::err`]. It may own a [`Handle`]:
    /// hooks are dropped with the executor's last thread.
    pub fn on_fault(mut self, hook: impl Fn(&Fault<E>) + Send + Sync + 'static) -> Self {
        self.plan.hooks.fault = Some(Arc::new(hook));
        self
    }

    /// Receivers can be cloned; each result goes to one of them.
    pub fn many_receivers(self) -> Builder<'env, J, E, P, D, Many, L> {
        self.retyped()
    }

    /// The same builder; who may be cloned is known by type alone.
    fn retyped<D2, R2>(self) -> Builder<'env, J, E, P, D2, R2, L> {
        let Self {
            plan,
            mouth,
            capacity,
            last,
            ..
        } = self;
        Builder {
            plan,
            mouth,
            capacity,
            last,
            types: PhantomData,
        }
    }

    /// A handle to the executor to be: to close, stop or watch it from any thread, also while `run` has
    /// the calling one.
    pub fn handle(&self) -> Handle<E> {
        Handle::new(&self.plan.executor)
    }
}
