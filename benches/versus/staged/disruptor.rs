//! Stages as consumers of one disruptor, each behind the one before: jobs change in their slots and do not move.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use disruptor::wait_strategies::WaitStrategy;
use disruptor::{Polling, Producer, Sequence};

use super::{BATCH, CAPACITY, Load, Manner, STAGES, gate, took};
use crate::places::pin;

/// With more threads than cores, what it brings along would spin or sleep for too long.
#[derive(Clone, Copy)]
struct Yielding;

impl WaitStrategy for Yielding {
    #[inline]
    fn wait_for(&self, _sequence: Sequence) {
        thread::yield_now();
    }
}

/// Only one consumer at a time changes it, and the cursors order that.
type Slot = AtomicU64;

/// Lets a load go through three consumers between a feeder's and a receiver's thread.
pub fn through_disruptor<F>(
    load: Load<u64, impl Iterator<Item = u64> + Send, impl FnMut(u64) + Send>,
    manner: Manner,
    stage: impl Fn(usize) -> F,
) -> Duration
where
    F: FnMut(u64) -> u64 + Send + 'static,
{
    let Load {
        warm,
        mut jobs,
        count,
        mut each,
    } = load;
    let (mut results, gate) = gate(warm.len(), count);
    let handle = |step: &mut F, slot: &Slot, _: Sequence, _: bool| {
        slot.store(step(slot.load(Ordering::Relaxed)), Ordering::Relaxed);
    };
    let pinned = |nth| {
        let step = stage(nth);
        move || {
            pin(nth + 1);
            step
        }
    };
    // As many slots as others have in four rings.
    let builder = disruptor::build_single_producer(4 * CAPACITY, Slot::default, Yielding)
        .handle_events_and_state_with(handle, pinned(0))
        .and_then()
        .handle_events_and_state_with(handle, pinned(1))
        .and_then()
        .handle_events_and_state_with(handle, pinned(2))
        .and_then();
    let (mut poller, builder) = builder.new_event_poller();
    let mut producer = builder.build();
    thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            pin(0);
            publish_all(&mut producer, warm.into_iter(), manner);
            let is_warm = gate.opens();
            let begun = Instant::now();
            publish_all(&mut producer, jobs.by_ref(), manner);
            is_warm.then_some(begun)
        });
        let receiver = scope.spawn(move || {
            pin(STAGES + 1);
            loop {
                match poller.poll() {
                    Ok(mut slots) => {
                        for slot in &mut slots {
                            each(slot.load(Ordering::Relaxed));
                            results.one_more();
                        }
                    }
                    Err(Polling::NoEvents) => thread::yield_now(),
                    Err(Polling::Shutdown) => return results.ended,
                }
            }
        });
        took(feeder, receiver)
    })
}

fn publish_all(
    producer: &mut impl Producer<Slot>,
    mut jobs: impl Iterator<Item = u64>,
    manner: Manner,
) {
    if manner == Manner::Singly {
        for job in jobs {
            while producer.try_publish(|slot| *slot = Slot::new(job)).is_err() {
                thread::yield_now();
            }
        }
        return;
    }
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.extend(jobs.by_ref().take(BATCH));
        if batch.is_empty() {
            return;
        }
        let publish = |producer: &mut _| {
            Producer::try_batch_publish(producer, batch.len(), |slots| {
                for (slot, &job) in slots.zip(&batch) {
                    *slot = Slot::new(job);
                }
            })
        };
        while publish(producer).is_err() {
            thread::yield_now();
        }
        batch.clear();
    }
}
