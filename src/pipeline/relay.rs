//! A relay: takes results in order from a window, which has one consumer, and hands them to many.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::counters::Tally;
use crate::edge::{Rx, Tx};
use crate::error::Fault;
use crate::executor::Executor;
use crate::lot::{ENDED, HOLDS, LANE};
use crate::plan::{Build, DutyPlan, Plan};
use crate::policy::Policy;
use crate::timing::Clock;
use crate::worker::duty::{Poll, Polled, end_aborted};
use crate::worker::pace::BUDGET;

/// Between which stages a relay is, for names and counts.
pub(crate) struct Between {
    /// The stage before.
    pub(crate) stage: Arc<str>,
    /// One of that stage's.
    pub(crate) before: Arc<Tally>,
    /// One of the stage behind, where the window counts as the ring in front of that.
    pub(crate) behind: Option<Arc<Tally>>,
}

impl Between {
    /// For a relay behind the last stage so far; the window counts as the ring in front of the stage behind if that
    /// `has_window`.
    pub(crate) fn behind_last<E>(plan: &mut Plan<'_, E>, has_window: bool) -> Self {
        let before = Tally::new();
        let stage = plan.stages.last_mut().map_or_else(
            || Arc::from("relay"),
            |stage| {
                stage.instances.push(Arc::clone(&before));
                Arc::clone(&stage.name)
            },
        );
        Self {
            stage,
            before,
            behind: has_window.then(Tally::new),
        }
    }
}

struct Relay<'env, T, E, P>
where
    T: Send,
    P: Policy<E>,
{
    rx: Rx<P::Item<T>>,
    tx: Tx<'env, P::Item<T>>,
    held: Option<P::Item<T>>,
    /// What is known of the time of the job whose result it hands on.
    clock: P::Clock,
    /// Whether it is inside the key of the stage behind.
    is_sending: bool,
    ended: bool,
    between: Between,
    executor: Arc<Executor<E>>,
}

/// Puts a relay between the edge `from` and that of `tx`.
pub(crate) fn add<'env, T, E, P>(
    plan: &mut Plan<'env, E>,
    rx: Rx<P::Item<T>>,
    tx: Tx<'env, P::Item<T>>,
    from: usize,
    between: Between,
) where
    T: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    let executor = Arc::clone(&plan.executor);
    let clock = P::clock(|| Clock::of_dispatcher(&plan.config.timing));
    let (input, output) = (rx.peek(), tx.peek());
    let capacity = rx.cursors().capacity();
    plan.add_duty(DutyPlan {
        stage: plan.stages.len(),
        name: Arc::from("relay"),
        instance: 0,
        instances: 1,
        core: None,
        input,
        output,
        capacity,
        input_edge: from,
        outputs: tx.places(),
        share: None,
        build: Build::Floating(Box::new(move |wiring, _| {
            let mut relay = Relay::<T, E, P> {
                rx,
                tx,
                held: None,
                clock,
                is_sending: false,
                ended: false,
                between,
                executor,
            };
            relay.tx.attach(|edge, lane| wiring.behind(edge, lane));
            relay.rx.attach(|lane| wiring.in_front(from, lane));
            Ok(Box::new(relay))
        })),
    });
}

impl<T, E, P> Relay<'_, T, E, P>
where
    T: Send,
    P: Policy<E>,
{
    fn work(&mut self, jobs: &mut usize) {
        if self.executor.core.phase().drops_queued() {
            self.abandon(jobs);
        } else {
            while *jobs < BUDGET {
                let next = self.held.take().or_else(|| self.rx.try_take());
                let Some(item) = next else { break };
                P::pass(&mut self.clock, &item);
                self.is_sending = true;
                self.held = self.tx.try_send(item).err();
                self.is_sending = false;
                if self.held.is_some() {
                    return;
                }
                *jobs += 1;
            }
        }
        self.ended = *jobs == 0 && self.held.is_none() && self.rx.is_ended();
    }

    fn abandon(&mut self, jobs: &mut usize) {
        while let Some(item) = self.held.take().or_else(|| self.rx.try_take()) {
            *jobs += 1;
            self.count_lost();
            drop(item);
        }
    }

    /// A result goes no further: a job of the stage behind is dropped, or nobody takes it.
    fn count_lost(&self) {
        match &self.between.behind {
            Some(tally) => tally.drop_one(),
            None => self.between.before.discard(),
        }
    }

    /// A panic of the key behind is a failure of the job whose result was to go there, as it is where the stage before
    /// sends its results itself. Its outcome goes on in the result's place.
    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) {
        let fault = Fault::of_stage_panic(Arc::clone(&self.between.stage), 0, payload);
        if !std::mem::take(&mut self.is_sending) {
            // A result's drop did.
            self.executor.fail(fault);
            return;
        }
        if !P::FAILS_FAST {
            self.executor.tell(&fault);
        }
        match P::fail(&self.clock, fault) {
            Ok(outcome) => self.held = Some(outcome),
            Err(fault) => {
                self.executor.fail(fault);
                self.count_lost();
            }
        }
        self.between.before.fail();
    }
}

impl<T, E, P> Poll for Relay<'_, T, E, P>
where
    T: Send,
    P: Policy<E>,
{
    fn poll(&mut self) -> Polled {
        let mut jobs = 0;
        let was_ended = self.ended;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.work(&mut jobs))) {
            jobs += 1;
            self.panicked(payload);
        }
        self.tx.publish();
        self.rx.release();
        if self.ended && !was_ended {
            self.tx.leave();
            self.executor.duty_ended();
            jobs += 1;
        }
        let holds = if self.held.is_some() {
            HOLDS | self.tx.full_lane() << LANE
        } else {
            0
        };
        Polled {
            jobs,
            is_light: 4 * jobs < BUDGET,
            is_slow: false,
            word: if self.ended { ENDED } else { holds },
        }
    }

    fn abort(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            end_aborted(&self.executor, || self.tx.leave());
        }
    }
}
