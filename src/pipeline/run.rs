//! `run`: the calling thread feeds, collects and works. Feeding and collecting are two more duties, bound
//! to the caller.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::dispatcher::unwrap;
use super::handle::{Handle, Report};
use super::start::mouth_of;
use crate::edge::{Rx, Tx};
use crate::error::{RunError, keep_first};
use crate::executor::Executor;
use crate::lifecycle::{Core, Inside, Phase};
use crate::lot::ENDED;
use crate::plan::{self, CallerDuty, Plan, Spawn};
use crate::policy::Policy;
use crate::sync::{AtomicUsize, Relaxed};
use crate::timing::Clock;
use crate::worker::duty::{Poll, Polled};
use crate::worker::pace::Pace;

/// No lane: nothing waits.
const NOTHING: usize = usize::MAX;

/// The results' end of `run`.
pub(crate) struct Collect<T, F> {
    pub(crate) rx: Rx<T>,
    pub(crate) edge: usize,
    pub(crate) each: F,
}

/// Threads that end before the call does.
#[derive(Clone, Copy)]
struct Scoped<'scope, 'env>(&'scope thread::Scope<'scope, 'env>);

impl<'scope, 'plan: 'scope> Spawn<'plan> for Scoped<'scope, '_> {
    fn spawn(
        &self,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send + 'plan>,
    ) -> io::Result<()> {
        builder.spawn_scoped(self.0, body).map(drop)
    }
}

/// The first panic in the caller's own closures.
type Unwound = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

pub(crate) fn run<'plan, J, E, P, T, F, A>(
    plan: Plan<'plan, E>,
    mouth: Vec<Tx<'plan, P::Item<J>>>,
    jobs: impl IntoIterator<Item = J>,
    collect: Option<Collect<T, F>>,
    states: &Mutex<Vec<(usize, A)>>,
) -> Result<Report<A>, RunError<E>>
where
    J: Send + 'plan,
    E: Send + Sync + 'static,
    P: Policy<E>,
    T: Send + 'plan,
    F: FnMut(T),
{
    let handle = Handle::new(&plan.executor);
    let executor = Arc::clone(&plan.executor);
    let mut tx = mouth_of(mouth);
    tx.stay();
    let inside = executor.core.stay();
    let unwound = Unwound::default();
    let built = thread::scope(|scope| {
        let mut duties = Vec::new();
        if let Some(Collect { mut rx, edge, each }) = collect {
            let results = rx.peek();
            let at_end = Arc::clone(&executor);
            let guard = Guarded::new(&executor, &unwound);
            duties.push(CallerDuty {
                is_ready: Box::new(move || results.has_jobs() || at_end.lifecycle.is_finished()),
                edge,
                is_feed: false,
                duty: Box::new(move |wiring| {
                    rx.attach(|lane| wiring.in_front(edge, lane));
                    Box::new(Collecting {
                        rx,
                        each,
                        guard,
                        failed: false,
                        ended: false,
                        pace: Pace::new(),
                    }) as Box<dyn Poll + '_>
                }),
            });
        }
        let room = tx.peek();
        let timing = plan.config.timing.clone();
        let phase = Arc::clone(&executor);
        let guard = Guarded::new(&executor, &unwound);
        let jobs = jobs.into_iter().fuse(); // A poll may ask again after the end.
        let refused = Arc::new(AtomicUsize::new(NOTHING));
        let waits_for = Arc::clone(&refused);
        duties.push(CallerDuty {
            is_ready: Box::new(move || {
                // Only this thread writes it.
                match waits_for.load(Relaxed) {
                    NOTHING => room.has_room() || phase.core.phase() != Phase::Open,
                    // A job in hand is dispatched before anything else, whatever the phase.
                    lane => room.has_room_in(lane),
                }
            }),
            edge: 0,
            is_feed: true,
            duty: Box::new(move |wiring| {
                let mut tx = tx;
                tx.attach(|edge, lane| wiring.behind(edge, lane));
                let source = Source::<J, E, P, _> {
                    jobs,
                    tx,
                    clock: P::clock(|| Clock::of_dispatcher(&timing)),
                    held: None,
                    pace: Pace::new(),
                };
                Box::new(Feeding {
                    source,
                    refused,
                    guard,
                    inside: Some(inside),
                })
            }),
        });
        let started = plan.start(&Scoped(scope), Some(duties), 0)?;
        if let Some(mut worker) = started.caller {
            plan::run(&mut worker, 0, &executor);
        }
        Ok(())
    });
    if let Some(payload) = unwound
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        resume_unwind(payload);
    }
    built.map_err(RunError::Build)?;
    handle.report(states).map_err(RunError::Join)
}

/// Calls the caller's closures; a panic in one stops the executor, and is kept.
struct Guarded<E> {
    executor: Arc<Executor<E>>,
    unwound: Unwound,
}

impl<E> Guarded<E> {
    fn new(executor: &Arc<Executor<E>>, unwound: &Unwound) -> Self {
        Self {
            executor: Arc::clone(executor),
            unwound: Arc::clone(unwound),
        }
    }

    /// Whether it went well.
    fn call(&self, call: impl FnOnce()) -> bool {
        let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else {
            return true;
        };
        keep_first(
            &mut self.unwound.lock().unwrap_or_else(PoisonError::into_inner),
            payload,
        );
        self.executor.core.advance(Phase::Stopped);
        false
    }
}

/// The caller's iterator, and where its jobs go.
struct Source<'plan, J: Send, E, P: Policy<E>, I> {
    jobs: I,
    tx: Tx<'plan, P::Item<J>>,
    clock: P::Clock,
    /// Taken from the iterator and not accepted: the ring of its key was full.
    held: Option<J>,
    pace: Pace,
}

impl<J, E, P, I> Source<'_, J, E, P, I>
where
    J: Send,
    P: Policy<E>,
    I: Iterator<Item = J>,
{
    /// Dispatches up to `limit` jobs and counts them in `fed`. Whether there are no more.
    ///
    /// Each is visible, and sleepers have been looked at, before the iterator is asked for the next: that may wait for a
    /// result, or panic.
    fn feed(&mut self, core: &Core, limit: usize, fed: &mut usize) -> bool {
        for _ in 0..limit {
            let job = match self.held.take() {
                Some(job) => job,
                None if core.phase() != Phase::Open || !self.tx.has_room() => return false,
                None => match self.jobs.next() {
                    Some(job) => job,
                    None => return true,
                },
            };
            if let Err(item) = self.tx.try_send(P::wrap(&self.clock, job)) {
                self.held = Some(unwrap::<J, E, P>(item));
                return false;
            }
            self.tx.publish();
            *fed += 1;
        }
        false
    }

    /// [`Source::feed`], one stride after the other while that is worth it.
    fn feed_strides(&mut self, core: &Core, fed: &mut usize) -> bool {
        loop {
            // A stride that has grown shows that more is cheap: a full ring keeps the others busy while this thread is
            // inside a job.
            let (stride, before) = (self.pace.stride(), *fed);
            let begun = self.pace.begin(stride);
            let is_over = self.feed(core, stride, fed);
            self.pace.end(begun, *fed - before);
            if *fed - before < stride || self.pace.stride() <= stride {
                return is_over;
            }
        }
    }
}

/// Takes jobs from the caller's iterator.
///
/// It is what closes the ring in front of the first stage, once it has seen that the executor is not open and has no job
/// in hand: each job that it takes is accepted by a ring, and is run or dropped there, and counted.
struct Feeding<'plan, J: Send, E, P: Policy<E>, I> {
    source: Source<'plan, J, E, P, I>,
    /// The lane that the job in hand waits for.
    refused: Arc<AtomicUsize>,
    guard: Guarded<E>,
    /// Until this is dropped no other end closes the ring.
    inside: Option<Inside<Arc<Core>>>,
}

impl<J, E, P, I> Poll for Feeding<'_, J, E, P, I>
where
    J: Send,
    P: Policy<E>,
    I: Iterator<Item = J>,
{
    fn poll(&mut self) -> Polled {
        let Self { source, guard, .. } = self;
        let core = &guard.executor.core;
        if core.phase() != Phase::Open && source.held.is_none() {
            source.tx.leave();
            drop(self.inside.take());
            return Polled {
                jobs: 1,
                is_light: false,
                is_slow: false,
                word: ENDED,
            };
        }
        let mut fed = 0;
        let mut is_over = false;
        let went_well = guard.call(|| is_over = source.feed_strides(core, &mut fed));
        let waits_for = match source.held {
            None => NOTHING,
            Some(_) => source.tx.full_lane(),
        };
        self.refused.store(waits_for, Relaxed);
        if is_over && went_well {
            core.advance(Phase::Closed);
        }
        Polled {
            jobs: fed + usize::from(is_over || !went_well),
            is_light: source.pace.is_light(fed),
            is_slow: false,
            word: 0,
        }
    }

    fn abort(&mut self) {} // The executor has failed: no job is taken any more.
}

/// Hands results to the caller's closure.
struct Collecting<T, E, F> {
    rx: Rx<T>,
    each: F,
    guard: Guarded<E>,
    /// The closure has panicked, and is not called again.
    failed: bool,
    ended: bool,
    pace: Pace,
}

impl<T, E, F: FnMut(T)> Poll for Collecting<T, E, F> {
    fn poll(&mut self) -> Polled {
        let Self {
            rx,
            each,
            guard,
            failed,
            ended,
            pace,
        } = self;
        let is_finished = guard.executor.lifecycle.is_finished();
        let mut taken = 0;
        let count = rx.fill(pace.limit(false));
        let begun = pace.begin(count);
        let went_well = guard.call(|| {
            while taken < count {
                let Some(result) = rx.try_receive() else {
                    break;
                };
                taken += 1;
                if !*failed {
                    each(result);
                }
            }
        });
        pace.end(begun, taken);
        *failed |= !went_well;
        rx.release();
        *ended = is_finished && taken == 0;
        Polled {
            jobs: taken + usize::from(*ended),
            is_light: pace.is_light(taken),
            is_slow: false,
            word: if *ended { ENDED } else { 0 },
        }
    }

    fn abort(&mut self) {} // The executor has failed: results that are left are dropped with their ring.
}
