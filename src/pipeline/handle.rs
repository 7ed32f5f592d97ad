//! Handles: to watch and end an executor from anywhere, and to join it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::builder::Builder;
use super::receiver::Receiver;
use super::scaling::Scaling;
use super::watch::Watch;
use crate::counters::{Counters, Running, WorkerCounters};
use crate::error::{Fault, JoinError};
use crate::executor::Executor;
#[cfg(feature = "hdr")]
use crate::latency::Latencies;
use crate::lifecycle::Phase;
use crate::placement::Placement;
use crate::plan::Detached;
use crate::policy::Policy;
use crate::stage::Token;
use crate::worker::is_inside;

/// Watches an executor and ends it, from any thread, also from inside its jobs. Every call may be made any
/// number of times and in any order; the strongest wins: failed over stopped over closed.
pub struct Handle<E>(Arc<Executor<E>>);

impl<E> Handle<E> {
    pub(crate) fn new(executor: &Arc<Executor<E>>) -> Self {
        Self(Arc::clone(executor))
    }

    /// No new jobs; those accepted are processed.
    pub fn close(&self) {
        self.0.core.advance(Phase::Closed);
    }

    /// No new jobs; queued ones are dropped and counted, running ones finish: a result goes out if there is
    /// room, otherwise it is discarded and counted.
    pub fn stop(&self) {
        self.0.core.advance(Phase::Stopped);
    }

    /// Fails the executor with an error of your own, which implies a stop.
    ///
    /// # Errors
    /// The error back, if another was first or the executor has finished.
    pub fn set_err(&self, error: E) -> Result<(), E> {
        self.0
            .set_fault(Arc::new(Fault::Set(error)))
            .map_err(|fault| match Arc::try_unwrap(fault) {
                Ok(Fault::Set(error)) => error,
                _ => unreachable!("the fault made above, and never shared"),
            })
    }

    /// The first error, if the executor has failed.
    #[must_use]
    pub fn err(&self) -> Option<Arc<Fault<E>>> {
        self.0.lifecycle.error()
    }

    /// How many errors came after the first.
    #[must_use]
    pub fn suppressed(&self) -> usize {
        self.0.lifecycle.suppressed()
    }

    /// Whether queued jobs are being dropped: stopped, failed, or the last receiver is gone.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.core.phase().drops_queued()
    }

    /// Whether new jobs are refused, for whatever reason.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.core.phase() != Phase::Open
    }

    /// Whether all stages have ended and nobody runs. Who sees it sees every counter and the error.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.lifecycle.is_finished()
    }

    /// The number of instances of the stage of this name, if it was built to change; `None` otherwise, and before the
    /// start.
    #[must_use]
    pub fn scaling(&self, stage: &str) -> Option<Scaling<E>> {
        let scale = self.0.scale(stage)?;
        Some(Scaling::new(self.clone(), scale))
    }

    /// How long jobs have waited, been worked on and taken in all so far; `None` unless the builder was told to measure
    /// it. An instance adds its jobs at the end of each of its polls.
    #[cfg(feature = "hdr")]
    #[must_use]
    pub fn latencies(&self) -> Option<Latencies> {
        self.0.latencies()
    }

    /// Something that looks for instances stuck in a job.
    #[must_use]
    pub fn watch(&self) -> Watch<E> {
        Watch::new(self.clone())
    }

    /// Whether there are jobs, in whatever stage: accepted, and not yet brought to an end.
    #[must_use]
    pub fn has_jobs(&self) -> bool {
        self.counters().active() > 0
    }

    /// What the jobs of each stage are doing; adds up at every instant.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }

    /// What each worker has done so far, by number; none before the start. Each number is read for itself, and only
    /// grows.
    #[must_use]
    pub fn worker_counters(&self) -> Vec<WorkerCounters> {
        let Some(lot) = self.0.core.lot() else {
            return Vec::new();
        };
        let of_worker = |worker| {
            let (polls, moved) = lot.done_by(worker);
            WorkerCounters {
                worker,
                polls,
                moved,
            }
        };
        (0..lot.len()).map(of_worker).collect()
    }

    /// Which worker runs where and what is at home there; empty before the start.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.0.placement()
    }

    /// A token that others can look at, or stop the executor with.
    #[must_use]
    pub fn token(&self) -> Token {
        Token::new(&self.0.core, None)
    }

    pub(crate) fn executor(&self) -> &Arc<Executor<E>> {
        &self.0
    }

    pub(crate) fn report<A>(
        &self,
        states: &Mutex<Vec<(usize, A)>>,
    ) -> Result<Report<A>, JoinError<E>> {
        if let Some(fault) = self.err() {
            return Err(JoinError::Failed(fault));
        }
        let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
        states.sort_by_key(|&(instance, _)| instance); // Stable: an instance may have had several.
        let states = states.drain(..).map(|(_, state)| state).collect();
        Ok(Report {
            counters: self.counters(),
            placement: self.placement(),
            states,
        })
    }
}

impl<E> Clone for Handle<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for Handle<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("phase", &self.0.core.phase())
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// The states of a `fold` end that have ended, each with its instance.
pub(crate) type States<A> = Arc<Mutex<Vec<(usize, A)>>>;

/// What an executor did, once it has finished without failing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report<A = ()> {
    /// The final counters: nothing waits, nothing runs.
    pub counters: Counters,
    /// Which worker ran where.
    pub placement: Placement,
    /// The states of a `fold` end, by instance; one that came and went has left one for each time.
    pub states: Vec<A>,
}

/// The owner of a started executor.
///
/// Dropping it stops the executor and joins it (from inside one of its jobs it only stops). So
/// `let (dispatcher, receiver, _) = builder.start()?` stops it at once: give the third part a name.
#[must_use = "dropping the pipeline stops it"]
pub struct Pipeline<E: Send + Sync + 'static, A = ()> {
    handle: Handle<E>,
    threads: Option<Detached>,
    states: States<A>,
}

impl<E: Send + Sync + 'static> Pipeline<E> {
    /// Begins to build a pipeline that takes jobs of type `J` and whose stages fail with `E`.
    pub fn builder<'env, J: Send + 'env>() -> Builder<'env, J, E> {
        Builder::new()
    }
}

impl<E: Send + Sync + 'static, A> std::ops::Deref for Pipeline<E, A> {
    type Target = Handle<E>;

    fn deref(&self) -> &Handle<E> {
        &self.handle
    }
}

impl<E: Send + Sync + 'static, A> Pipeline<E, A> {
    pub(crate) fn new(handle: Handle<E>, threads: Detached, states: States<A>) -> Self {
        Self {
            handle,
            threads: Some(threads),
            states,
        }
    }

    /// A handle that others can keep.
    #[must_use]
    pub fn handle(&self) -> Handle<E> {
        self.handle.clone()
    }

    /// Waits until the executor has finished and its threads are gone. It finishes after a close, once
    /// everything is processed, or after a stop or failure. Results that nobody takes are backpressure:
    /// somebody must receive, or see [`Pipeline::join_into`].
    ///
    /// # Errors
    /// [`JoinError`] if the executor failed, or this is called from inside one of its jobs.
    pub fn join(mut self) -> Result<Report<A>, JoinError<E>> {
        if is_inside(&self.handle.executor().core) {
            return Err(JoinError::InsideJob); // Dropping `self` stops it.
        }
        self.handle.0.wait(None);
        self.join_threads();
        self.handle.report(&self.states)
    }

    /// [`Pipeline::join`] that takes the receiver's part: calls `each` with every result that is left.
    ///
    /// # Errors
    /// As [`Pipeline::join`].
    pub fn join_into<T: Send + 'static, P: Policy<E>, R>(
        self,
        receiver: Receiver<T, E, P, R>,
        mut each: impl FnMut(P::Given<T>),
    ) -> Result<Report<A>, JoinError<E>> {
        for result in receiver {
            each(result);
        }
        self.join()
    }

    /// [`Pipeline::join`] for at most `timeout`.
    ///
    /// # Errors
    /// [`StillRunning`] gives the pipeline back and says which stages have what left to do.
    pub fn join_timeout(
        self,
        timeout: Duration,
    ) -> Result<Result<Report<A>, JoinError<E>>, StillRunning<E, A>> {
        let inside = is_inside(&self.handle.executor().core);
        // A deadline beyond the clock's end is none.
        if inside || self.handle.0.wait(Instant::now().checked_add(timeout)) {
            return Ok(self.join());
        }
        let counters = self.handle.counters();
        let running = self.handle.executor().running();
        Err(StillRunning {
            pipeline: self,
            counters,
            running,
        })
    }

    fn join_threads(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.join();
        }
    }
}

impl<E: Send + Sync + 'static, A> Drop for Pipeline<E, A> {
    fn drop(&mut self) {
        if self.threads.is_none() {
            return;
        }
        self.handle.stop();
        if !is_inside(&self.handle.executor().core) {
            self.join_threads();
        }
    }
}

impl<E: Send + Sync + 'static, A> fmt::Debug for Pipeline<E, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pipeline").field(&self.handle).finish()
    }
}

/// A join that ran out of time.
#[must_use = "dropping the pipeline inside stops it"]
#[non_exhaustive]
pub struct StillRunning<E: Send + Sync + 'static, A = ()> {
    /// The pipeline, as it was.
    pub pipeline: Pipeline<E, A>,
    /// What was waiting and running when time ran out.
    pub counters: Counters,
    /// Who was inside a job.
    pub running: Vec<Running>,
}

impl<E: Send + Sync + 'static, A> fmt::Debug for StillRunning<E, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StillRunning")
            .field("counters", &self.counters)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl<E: Send + Sync + 'static, A> fmt::Display for StillRunning<E, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "still running: {} jobs left", self.counters.active())?;
        for running in &self.running {
            let (stage, instance, job) = (&running.stage, running.instance, running.job);
            write!(f, ", {stage}/{instance} inside its job {job}")?;
        }
        Ok(())
    }
}

impl<E: Send + Sync + 'static, A> std::error::Error for StillRunning<E, A> {}
