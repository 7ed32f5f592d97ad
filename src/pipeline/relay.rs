//! A relay: takes results in order from a window, which has one consumer, and hands them to many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::counters::Tally;
use crate::edge::{Rx, Tx};
use crate::error::Fault;
use crate::executor::Executor;
use crate::lot::{ENDED, HOLDS, LANE};
use crate::plan::{Build, DutyPlan, Plan};
use crate::worker::duty::{Poll, Polled, end_aborted};
use crate::worker::pace::BUDGET;

struct Relay<'env, T, E> {
    rx: Rx<T>,
    tx: Tx<'env, T>,
    held: Option<T>,
    ended: bool,
    tally: Arc<Tally>,
    /// What a stop drops here are results that no receiver took, not jobs that no stage did.
    is_exit: bool,
    executor: Arc<Executor<E>>,
}

/// Puts a relay between the edge `from` and that of `tx`.
pub(crate) fn add<'env, T, E>(
    plan: &mut Plan<'env, E>,
    rx: Rx<T>,
    tx: Tx<'env, T>,
    from: usize,
    tally: Arc<Tally>,
    is_exit: bool,
) where
    T: Send + 'env,
    E: Send + Sync + 'static,
{
    let executor = Arc::clone(&plan.executor);
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
            let mut relay = Relay {
                rx,
                tx,
                held: None,
                ended: false,
                tally,
                is_exit,
                executor,
            };
            relay.tx.attach(|edge, lane| wiring.behind(edge, lane));
            relay.rx.attach(|lane| wiring.in_front(from, lane));
            Ok(Box::new(relay))
        })),
    });
}

impl<T, E> Relay<'_, T, E> {
    fn work(&mut self, jobs: &mut usize) {
        if self.executor.core.phase().drops_queued() {
            self.abandon(jobs);
        } else {
            while *jobs < BUDGET {
                let next = self.held.take().or_else(|| self.rx.try_take());
                let Some(item) = next else { break };
                self.held = self.tx.try_send(item).err();
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
            if self.is_exit {
                self.tally.discard();
            } else {
                self.tally.drop_one();
            }
            drop(item);
        }
    }
}

impl<T, E> Poll for Relay<'_, T, E> {
    fn poll(&mut self) -> Polled {
        let mut jobs = 0;
        let was_ended = self.ended;
        // Only the key of a keyed stage behind, or a drop, is foreign code here.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.work(&mut jobs))) {
            jobs += 1;
            self.executor.fail(Fault::of_panic("relay", payload));
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
