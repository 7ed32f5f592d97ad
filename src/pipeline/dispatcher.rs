//! The way in.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::builder::{Many, One};
use crate::counters::Spill;
use crate::edge::Tx;
use crate::error::{DispatchAllError, DispatchError, Fault, PushError};
use crate::executor::Executor;
use crate::idle::{Idle, IdleStrategy, Step, pause, wait};
use crate::lifecycle::Phase;
use crate::overflow::Overflow;
use crate::policy::{FailFast, Policy, Timed};
use crate::sync::{AcqRel, AtomicUsize};
use crate::worker::is_inside;

/// How often room is made for one job before others have taken it each time, and the job itself is dropped.
const EVICTIONS: u32 = 64;

/// Hands jobs to an executor. Made by `start`; can be cloned if the builder was told `many_dispatchers`. Cloning allocates:
/// an idle strategy, and in front of a keyed stage an end for each instance. Dispatching does not, also through a new clone.
///
/// The last one to be dropped closes the executor, as [`Dispatcher::done`] does at any time for all.
pub struct Dispatcher<J, E, P = FailFast, D = One>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    tx: Tx<'static, P::Item<J>>,
    clock: P::Clock,
    executor: Arc<Executor<E>>,
    idle: Idle,
    is_crowded: bool,
    strategy: Box<dyn IdleStrategy>,
    overflow: Overflow,
    spill: Arc<Spill>,
    /// Who gets what that drops.
    on_drop: Option<Arc<dyn Fn(J) + Send + Sync>>,
    attach: Arc<dyn Fn(&mut Tx<'static, P::Item<J>>) + Send + Sync>,
    clones: Arc<AtomicUsize>,
    types: PhantomData<fn() -> D>,
}

impl<J, E, P, D> Dispatcher<J, E, P, D>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    pub(crate) fn new(
        mut tx: Tx<'static, P::Item<J>>,
        clock: P::Clock,
        executor: &Arc<Executor<E>>,
        idle: &Idle,
        is_crowded: bool,
        strategy: Box<dyn IdleStrategy>,
        attach: Arc<dyn Fn(&mut Tx<'static, P::Item<J>>) + Send + Sync>,
    ) -> Self {
        attach(&mut tx);
        Self {
            tx,
            clock,
            executor: Arc::clone(executor),
            idle: idle.clone(),
            is_crowded,
            strategy,
            overflow: Overflow::Block,
            spill: Arc::default(),
            on_drop: None,
            attach,
            clones: Arc::new(AtomicUsize::new(1)),
            types: PhantomData,
        }
    }

    pub(crate) fn with_overflow(mut self, (overflow, spill): (Overflow, Arc<Spill>)) -> Self {
        self.overflow = overflow;
        self.spill = spill;
        self
    }

    /// Who gets the jobs that this dispatcher, and clones made of it from now on, drop where there is no room
    /// ([`Overflow`]): called on the thread that dispatches. Where nothing is said they are dropped as values are.
    #[must_use]
    pub fn on_drop(mut self, hook: impl Fn(J) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Arc::new(hook));
        self
    }

    /// Dispatches a job, waiting for room as long as the executor is open. Inside a job of the same
    /// executor it does not wait, but acts as [`Dispatcher::try_dispatch`].
    ///
    /// # Errors
    /// [`DispatchError`] with the job: closed, stopped or failed, by anybody and also while it waits; full
    /// only inside a job.
    #[inline]
    pub fn dispatch(&mut self, job: J) -> Result<(), DispatchError<J>> {
        self.dispatch_by(P::wrap, job, None)
    }

    /// Dispatches a job if there is room now.
    ///
    /// # Errors
    /// [`DispatchError`] with the job: full (workers may make room right after), closed, stopped or
    /// failed.
    #[inline]
    pub fn try_dispatch(&mut self, job: J) -> Result<(), DispatchError<J>> {
        self.try_dispatch_by(P::wrap, job)
    }

    /// Offers a job as the item that `wrap` makes of it, anew each time.
    #[inline]
    fn try_dispatch_by(
        &mut self,
        wrap: impl Fn(&P::Clock, J) -> P::Item<J>,
        job: J,
    ) -> Result<(), DispatchError<J>> {
        match self.offer(wrap(&self.clock, job)) {
            Ok(()) => Ok(()),
            Err(DispatchError::Full(item)) => self.overflow(wrap, unwrap::<J, E, P>(item)),
            Err(refused) => Err(refused.map(unwrap::<J, E, P>)),
        }
    }

    /// Dispatches a job, waiting for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`Dispatcher::dispatch`], and [`DispatchError::Timeout`] with the job.
    pub fn dispatch_timeout(&mut self, job: J, timeout: Duration) -> Result<(), DispatchError<J>> {
        self.dispatch_by(P::wrap, job, Some(timeout))
    }

    /// [`Dispatcher::try_dispatch_by`], waiting for room where the overflow policy says so.
    #[inline]
    fn dispatch_by(
        &mut self,
        wrap: impl Fn(&P::Clock, J) -> P::Item<J>,
        job: J,
        timeout: Option<Duration>,
    ) -> Result<(), DispatchError<J>> {
        match self.offer(wrap(&self.clock, job)) {
            Ok(()) => Ok(()),
            Err(DispatchError::Full(item)) => {
                let job = unwrap::<J, E, P>(item);
                if self.overflow == Overflow::Block {
                    self.dispatch_slow(wrap, job, timeout)
                } else {
                    self.overflow(wrap, job)
                }
            }
            Err(refused) => Err(refused.map(unwrap::<J, E, P>)),
        }
    }

    /// Dispatches the jobs of an iterator one by one, in their order, and returns how many they were. Waits for room as
    /// [`Dispatcher::dispatch`] does.
    ///
    /// Each job can be run before the iterator is asked for the next one: a job may come of an earlier one's result, or
    /// late. If the iterator panics, the jobs that it gave are dispatched, and the panic goes on here. For jobs that are
    /// there already, [`Dispatcher::dispatch_batch`] costs less.
    ///
    /// # Errors
    /// [`DispatchAllError`] with how many were accepted, and the job that was not. No other job has been taken from the
    /// iterator.
    pub fn dispatch_all(
        &mut self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<usize, DispatchAllError<J>> {
        let mut accepted = 0;
        for job in jobs {
            if let Err(refused) = self.dispatch(job) {
                return Err(DispatchAllError { accepted, refused });
            }
            accepted += 1;
        }
        Ok(accepted)
    }

    /// Dispatches jobs that are there already from the front of `jobs`, in their order: as many as there is room for at
    /// once. In front of a keyed stage, where each job finds a ring of its own, one by one. Waits for room as
    /// [`Dispatcher::dispatch`] does.
    ///
    /// # Errors
    /// [`DispatchError`] without a job: those that were not accepted stay in `jobs`.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use ringmill::{Instances, Pipeline, stage::map};
    /// # let (mut dispatcher, mut receiver, pipeline) = Pipeline::<Infallible>::builder::<u32>()
    /// #     .stage("double", Instances::new(1), |_| map(|n: u32| 2 * n))
    /// #     .start()?;
    /// let mut jobs = vec![1, 2, 3].into();
    /// dispatcher.dispatch_batch(&mut jobs)?;
    /// assert!(jobs.is_empty());
    /// # assert_eq!(receiver.receive(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dispatch_batch(&mut self, jobs: &mut VecDeque<J>) -> Result<(), DispatchError<()>> {
        while !jobs.is_empty() {
            if self.executor.core.phase() == Phase::Open {
                let clock = &self.clock;
                self.tx.dispatch_batch(jobs.len(), || {
                    jobs.pop_front().map(|job| P::wrap(clock, job))
                });
            }
            // What did not fit waits for room alone, or learns why there is none.
            let Some(job) = jobs.pop_front() else {
                break;
            };
            if let Err(refused) = self.dispatch(job) {
                return Err(refused.map(|job| jobs.push_front(job)));
            }
        }
        Ok(())
    }

    #[inline]
    fn offer(&mut self, item: P::Item<J>) -> Result<(), DispatchError<P::Item<J>>> {
        offer(&mut self.tx, &self.executor, item)
    }

    /// There was no room, and this call does not wait.
    #[cold]
    #[inline(never)]
    fn overflow(
        &mut self,
        wrap: impl Fn(&P::Clock, J) -> P::Item<J>,
        job: J,
    ) -> Result<(), DispatchError<J>> {
        let mut waiting = job;
        // Whoever has claimed the oldest slot, or is about to fill it, needs a moment; more would be waiting.
        for _ in 0..EVICTIONS {
            match self.overflow {
                Overflow::Block | Overflow::Refuse => return Err(DispatchError::Full(waiting)),
                Overflow::DropNewest => break,
                Overflow::DropOldest => {}
            }
            if let Some(oldest) = self.tx.evict() {
                self.spill.drop_oldest();
                self.lose(unwrap::<J, E, P>(oldest));
            } else {
                pause(Step::Spin(1));
            }
            match self.offer(wrap(&self.clock, waiting)) {
                Ok(()) => return Ok(()),
                Err(DispatchError::Full(item)) => waiting = unwrap::<J, E, P>(item),
                Err(refused) => return Err(refused.map(unwrap::<J, E, P>)),
            }
        }
        self.spill.drop_newest();
        self.lose(waiting);
        Ok(())
    }

    /// A job is dropped.
    fn lose(&self, job: J) {
        if let Some(on_drop) = &self.on_drop {
            on_drop(job);
        }
    }

    #[cold]
    #[inline(never)]
    fn dispatch_slow(
        &mut self,
        wrap: impl Fn(&P::Clock, J) -> P::Item<J>,
        job: J,
        timeout: Option<Duration>,
    ) -> Result<(), DispatchError<J>> {
        let Self {
            tx,
            clock,
            executor,
            strategy,
            ..
        } = self;
        let core = &executor.core;
        if is_inside(core) {
            return Err(DispatchError::Full(job));
        }
        // A deadline beyond the clock's end is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut waiting = Some(job);
        let lane = tx.full_lane(); // The one that has refused the job.
        let tx = RefCell::new(tx); // Tried and looked at in turn.
        let answer = wait(
            &mut **strategy,
            core.mouth(lane),
            deadline,
            || match offer(*tx.borrow_mut(), executor, wrap(clock, waiting.take()?)) {
                Ok(()) => Some(Ok(())),
                Err(DispatchError::Full(item)) => {
                    waiting = Some(unwrap::<J, E, P>(item));
                    None
                }
                Err(refused) => Some(Err(refused.map(unwrap::<J, E, P>))),
            },
            || tx.borrow().may_dispatch() || core.phase() != Phase::Open,
        );
        match (answer, waiting) {
            (Some(answer), _) => answer,
            (None, Some(job)) => Err(DispatchError::Timeout(job)),
            (None, None) => Ok(()),
        }
    }

    /// Closes the executor for all dispatchers: no new jobs, those accepted are processed. Saying it again
    /// changes nothing.
    pub fn done(&self) {
        self.executor.core.advance(Phase::Closed);
    }

    /// The executor's error, if it has failed.
    #[must_use]
    pub fn err(&self) -> Option<Arc<Fault<E>>> {
        self.executor.lifecycle.error()
    }
}

impl<J, E, P, D> Dispatcher<J, E, Timed<P>, D>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E, Clock = ()>,
{
    /// [`Dispatcher::dispatch`] of a job that is due at this moment, whatever the builder's
    /// [`job_timeout`](crate::Builder::job_timeout) says. One that is due already is accepted, and never begun.
    ///
    /// # Errors
    /// As [`Dispatcher::dispatch`].
    pub fn dispatch_due(&mut self, job: J, due: Instant) -> Result<(), DispatchError<J>> {
        let wrap = |clock: &_, job| Timed::<P>::wrap_due::<E, J>(clock, job, due);
        self.dispatch_by(wrap, job, None)
    }

    /// [`Dispatcher::try_dispatch`] of a job that is due at this moment.
    ///
    /// # Errors
    /// As [`Dispatcher::try_dispatch`].
    pub fn try_dispatch_due(&mut self, job: J, due: Instant) -> Result<(), DispatchError<J>> {
        let wrap = |clock: &_, job| Timed::<P>::wrap_due::<E, J>(clock, job, due);
        self.try_dispatch_by(wrap, job)
    }
}

/// Puts an item in, or says why not.
#[inline]
fn offer<T, E>(
    tx: &mut Tx<'static, T>,
    executor: &Executor<E>,
    item: T,
) -> Result<(), DispatchError<T>> {
    if executor.core.phase() != Phase::Open {
        return Err(refuse(executor, item));
    }
    match tx.dispatch(item) {
        Ok(()) => Ok(()),
        Err(PushError::Full(item)) => Err(DispatchError::Full(item)),
        Err(PushError::Closed(item)) => Err(refuse(executor, item)),
    }
}

#[cold]
fn refuse<T, E>(executor: &Executor<E>, item: T) -> DispatchError<T> {
    match executor.core.phase() {
        Phase::Failed => DispatchError::Failed(item),
        Phase::Stopped => DispatchError::Stopped(item),
        Phase::Open | Phase::Closed | Phase::Abandoned => DispatchError::Closed(item),
    }
}

/// A job that was wrapped for dispatching, itself again.
#[inline]
pub(super) fn unwrap<J: Send, E, P: Policy<E>>(item: P::Item<J>) -> J {
    P::unwrap(item).unwrap_or_else(|| unreachable!("a dispatched job is wrapped as a value"))
}

impl<J, E, P> Clone for Dispatcher<J, E, P, Many>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    fn clone(&self) -> Self {
        let strategy = self.idle.strategy(self.is_crowded); // May panic: nothing is counted yet.
        // Relaxed: a new clone is handed on by means that order it; only the last drop matters.
        self.clones.fetch_add(1, crate::sync::Relaxed);
        let mut tx = self.tx.clone();
        (self.attach)(&mut tx);
        Self {
            tx,
            clock: self.clock.clone(),
            executor: Arc::clone(&self.executor),
            idle: self.idle.clone(),
            is_crowded: self.is_crowded,
            strategy,
            overflow: self.overflow,
            spill: Arc::clone(&self.spill),
            on_drop: self.on_drop.clone(),
            attach: Arc::clone(&self.attach),
            clones: Arc::clone(&self.clones),
            types: PhantomData,
        }
    }
}

impl<J, E, P, D> Drop for Dispatcher<J, E, P, D>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    fn drop(&mut self) {
        // ORDERING: AcqRel. The last one closes after all pushes of the others.
        // Pairs with: itself. Model: loom-tests/tests/lifecycle.rs::close_against_dispatch.
        if self.clones.fetch_sub(1, AcqRel) == 1 {
            self.done();
        }
    }
}

impl<J, E, P, D> fmt::Debug for Dispatcher<J, E, P, D>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("phase", &self.executor.core.phase())
            .finish_non_exhaustive()
    }
}
