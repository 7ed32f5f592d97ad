//! The way out.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::builder::{Many, One};
use crate::edge::Rx;
use crate::error::{Fault, ReceiveTimeoutError, TryReceiveError};
use crate::executor::Executor;
use crate::idle::{Idle, IdleStrategy, wait};
use crate::lifecycle::Phase;
use crate::policy::{FailFast, Policy};
use crate::sync::{AcqRel, AtomicUsize};
use crate::worker::is_inside;

/// Takes results from an executor. Made by `start`; can be cloned if the builder was told
/// `many_receivers`, and then each result goes to one of the clones.
///
/// Dropping the last one stops the executor: there is nobody left to work for.
pub struct Receiver<T, E, P = FailFast, R = One>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    rx: Rx<P::Item<T>>,
    clock: P::Clock,
    executor: Arc<Executor<E>>,
    idle: Idle,
    is_crowded: bool,
    strategy: Box<dyn IdleStrategy>,
    attach: Arc<dyn Fn(&mut Rx<P::Item<T>>) + Send + Sync>,
    clones: Arc<AtomicUsize>,
    types: PhantomData<fn() -> R>,
}

impl<T, E, P, R> Receiver<T, E, P, R>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    pub(crate) fn new(
        mut rx: Rx<P::Item<T>>,
        clock: P::Clock,
        executor: &Arc<Executor<E>>,
        idle: &Idle,
        is_crowded: bool,
        strategy: Box<dyn IdleStrategy>,
        attach: Arc<dyn Fn(&mut Rx<P::Item<T>>) + Send + Sync>,
    ) -> Self {
        attach(&mut rx);
        Self {
            rx,
            clock,
            executor: Arc::clone(executor),
            idle: idle.clone(),
            is_crowded,
            strategy,
            attach,
            clones: Arc::new(AtomicUsize::new(1)),
            types: PhantomData,
        }
    }

    /// The next result, waiting for it; `None` once the executor has finished and every result has been
    /// received. Inside a job of the same executor it does not wait, and `None` may mean "nothing yet".
    #[inline]
    pub fn receive(&mut self) -> Option<P::Given<T>> {
        match self.try_receive() {
            Ok(result) => Some(result),
            Err(TryReceiveError::Done) => None,
            Err(TryReceiveError::Empty) => {
                let item = self.receive_slow(None).ok()?;
                Some(P::give(&mut self.clock, item))
            }
        }
    }

    /// The next result, if there is one now.
    ///
    /// # Errors
    /// [`TryReceiveError::Empty`] if there is none yet, [`TryReceiveError::Done`] if there will be none.
    #[inline]
    pub fn try_receive(&mut self) -> Result<P::Given<T>, TryReceiveError> {
        let item = try_receive(&mut self.rx, &self.executor)?;
        Ok(P::give(&mut self.clock, item))
    }

    /// The next result, waiting for it for at most `timeout`.
    ///
    /// # Errors
    /// [`ReceiveTimeoutError::Timeout`] if none came in time, [`ReceiveTimeoutError::Done`] if none will.
    pub fn receive_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<P::Given<T>, ReceiveTimeoutError> {
        match self.try_receive() {
            Ok(result) => Ok(result),
            Err(TryReceiveError::Done) => Err(ReceiveTimeoutError::Done),
            // A deadline beyond the clock's end is none.
            Err(TryReceiveError::Empty) => {
                let item = self.receive_slow(Instant::now().checked_add(timeout))?;
                Ok(P::give(&mut self.clock, item))
            }
        }
    }

    /// Adds up to `max` results to `results`, waiting for the first, and returns how many; 0 once there
    /// will be none (or `max` is 0).
    pub fn receive_many(&mut self, results: &mut Vec<P::Given<T>>, max: usize) -> usize {
        if max == 0 {
            return 0;
        }
        let before = results.len();
        results.extend(self.receive());
        let mut left = if results.len() > before { max - 1 } else { 0 };
        while left > 0 && self.rx.fill(left) > 0 {
            let filled = left;
            while left > 0
                && let Some(item) = self.rx.try_receive()
            {
                results.push(P::give(&mut self.clock, item));
                left -= 1;
            }
            self.rx.release();
            if left == filled {
                break;
            }
        }
        results.len() - before
    }

    #[cold]
    #[inline(never)]
    fn receive_slow(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<P::Item<T>, ReceiveTimeoutError> {
        let Self {
            rx,
            executor,
            strategy,
            ..
        } = self;
        if is_inside(&executor.core) {
            return Err(ReceiveTimeoutError::Timeout);
        }
        let rx = RefCell::new(rx); // Tried and looked at in turn.
        let answer = wait(
            &mut **strategy,
            &executor.core.exit,
            deadline,
            || match try_receive(*rx.borrow_mut(), executor) {
                Err(TryReceiveError::Empty) => None,
                Ok(result) => Some(Ok(result)),
                Err(TryReceiveError::Done) => Some(Err(ReceiveTimeoutError::Done)),
            },
            || rx.borrow().has_published() || executor.lifecycle.is_finished(),
        );
        answer.unwrap_or(Err(ReceiveTimeoutError::Timeout))
    }

    /// The executor's error, if it has failed.
    #[must_use]
    pub fn err(&self) -> Option<Arc<Fault<E>>> {
        self.executor.lifecycle.error()
    }
}

/// The next result, if there is one now.
#[inline]
fn try_receive<T, E>(rx: &mut Rx<T>, executor: &Executor<E>) -> Result<T, TryReceiveError> {
    if let Some(result) = pop(rx) {
        return Ok(result);
    }
    if !executor.lifecycle.is_finished() {
        return Err(TryReceiveError::Empty);
    }
    // The end was seen after the look: what came in between is there now.
    pop(rx).ok_or(TryReceiveError::Done)
}

#[inline]
fn pop<T>(rx: &mut Rx<T>) -> Option<T> {
    if rx.fill(1) == 0 {
        return None;
    }
    let result = rx.try_receive();
    rx.release();
    result
}

/// Receives until the end.
impl<T, E, P, R> Iterator for Receiver<T, E, P, R>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    type Item = P::Given<T>;

    fn next(&mut self) -> Option<P::Given<T>> {
        self.receive()
    }
}

impl<T, E, P> Clone for Receiver<T, E, P, Many>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    fn clone(&self) -> Self {
        let strategy = self.idle.strategy(self.is_crowded); // May panic: nothing is counted yet.
        // Relaxed: a new clone is handed on by means that order it; only the last drop matters.
        self.clones.fetch_add(1, crate::sync::Relaxed);
        let mut rx = self
            .rx
            .another()
            .unwrap_or_else(|| unreachable!("many receivers share a ring"));
        (self.attach)(&mut rx);
        Self {
            rx,
            clock: self.clock.clone(),
            executor: Arc::clone(&self.executor),
            idle: self.idle.clone(),
            is_crowded: self.is_crowded,
            strategy,
            attach: Arc::clone(&self.attach),
            clones: Arc::clone(&self.clones),
            types: PhantomData,
        }
    }
}

impl<T, E, P, R> Drop for Receiver<T, E, P, R>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    fn drop(&mut self) {
        // ORDERING: AcqRel. The last to leave stops after all that the others received.
        // Pairs with: itself. Model: loom-tests/tests/lifecycle.rs::done_is_last.
        if self.clones.fetch_sub(1, AcqRel) == 1 {
            self.executor.core.advance(Phase::Abandoned);
        }
    }
}

impl<T, E, P, R> fmt::Debug for Receiver<T, E, P, R>
where
    T: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("phase", &self.executor.core.phase())
            .finish_non_exhaustive()
    }
}
