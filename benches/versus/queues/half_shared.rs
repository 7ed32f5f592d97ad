//! Queues with many ends of one kind only, here used with one of each.

use std::ops::Range;

use super::{Item, Queue, Shared};

/// One of each, whatever the other kind of end could do.
macro_rules! one_of_each {
    ($($name:ident),*) => {
        $(impl<T: Item> Shared<T> for $name {
            fn ends(capacity: usize, ends: [usize; 2]) -> (Vec<Self::Tx>, Vec<Self::Rx>) {
                assert_eq!(ends, [1, 1], "an end that cannot be shared");
                let (tx, rx) = Self::new(capacity);
                (vec![tx], vec![rx])
            }
        })*
    };
}

one_of_each!(NexusMpsc, NexusSpmc, DisruptorMulti);

macro_rules! nexus {
    ($name:ident, $kind:ident) => {
        pub struct $name;

        impl<T: Item> Queue<T> for $name {
            type Tx = nexus_queue::$kind::Producer<T>;
            type Rx = nexus_queue::$kind::Consumer<T>;

            fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
                nexus_queue::$kind::ring_buffer(capacity)
            }

            #[inline]
            fn try_push(tx: &mut Self::Tx, item: T) -> bool {
                tx.push(item).is_ok()
            }

            #[inline]
            fn try_pop(rx: &mut Self::Rx) -> Option<T> {
                rx.pop()
            }
        }
    };
}

nexus!(NexusMpsc, mpsc);
nexus!(NexusSpmc, spmc);

/// Any number of producers; consumers do not share the items out, each sees all.
pub struct DisruptorMulti;

impl<T: Item> Queue<T> for DisruptorMulti {
    type Tx = disruptor::MultiProducer<T, disruptor::SingleConsumerBarrier>;
    type Rx = disruptor::EventPoller<T, disruptor::MultiProducerBarrier>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        let builder = disruptor::build_multi_producer(capacity, T::default, disruptor::BusySpin);
        let (poller, builder) = builder.new_event_poller();
        (builder.build(), poller)
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        disruptor::Producer::try_publish(tx, |slot| *slot = item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        let mut events = rx.take(1).ok()?;
        (&mut events).next().copied()
    }

    #[inline]
    fn push_some(tx: &mut Self::Tx, numbers: &mut Range<u64>) {
        let wanted = (numbers.end - numbers.start) as usize;
        let first = numbers.start;
        let pushed = disruptor::Producer::try_batch_publish(tx, wanted, |slots| {
            for (number, slot) in (first..).zip(slots) {
                *slot = T::new(number);
            }
        });
        if pushed.is_ok() {
            numbers.start = numbers.end;
        }
    }

    #[inline]
    fn pop_some(rx: &mut Self::Rx, most: usize, mut each: impl FnMut(T)) -> usize {
        let mut some = 0;
        if let Ok(mut events) = rx.take(most as u64) {
            for &item in &mut events {
                each(item);
                some += 1;
            }
        }
        some
    }
}
