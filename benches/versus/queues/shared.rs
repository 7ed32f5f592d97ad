//! Queues that many threads push into and pop from.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;

use super::{
    ArrayQueue, AsyncChannel, ConcurrentQueue, CrossbeamChannel, CrossfireMpmc, Flume, Item, Kanal,
    Queue, ThingBuf,
};

/// A queue with as many ends of both kinds as one wants.
pub trait Shared<T: Item>: Queue<T> {
    /// Whether [`push`](Self::push) and [`pop`](Self::pop) wait by themselves. If they do, nothing pushed or popped
    /// means that all ends of the other kind are gone.
    const WAITS: bool = false;

    fn ends(capacity: usize, ends: [usize; 2]) -> (Vec<Self::Tx>, Vec<Self::Rx>);

    /// Pushes items with some of these numbers, from the first on, and takes their numbers out. At most
    /// `most` go together, the same for all calls.
    #[inline]
    fn push(tx: &mut Self::Tx, most: usize, numbers: &mut Range<u64>) {
        if most > 1 {
            Self::push_some(tx, numbers);
        } else if Self::try_push(tx, T::new(numbers.start)) {
            numbers.start += 1;
        }
    }

    /// Pops up to `most` items, and says how many.
    #[inline]
    fn pop(rx: &mut Self::Rx, most: usize, each: impl FnMut(T)) -> usize {
        if most > 1 {
            Self::pop_some(rx, most, each)
        } else {
            Self::try_pop(rx).map(each).is_some().into()
        }
    }
}

/// Clones of both ends.
macro_rules! shared {
    ($($name:ident),*) => {
        $(impl<T: Item> Shared<T> for $name {
            fn ends(capacity: usize, [txs, rxs]: [usize; 2]) -> (Vec<Self::Tx>, Vec<Self::Rx>) {
                let (tx, rx) = Self::new(capacity);
                (vec![tx; txs], vec![rx; rxs])
            }
        })*
    };
}

shared!(
    RingmillMpmc,
    GilMpmc,
    ArrayQueue,
    ConcurrentQueue,
    ThingBuf,
    CrossbeamChannel,
    Flume,
    AsyncChannel
);

/// Its own blocking calls are better than trying again, by far. So are kanal's, by a little; those of the other channels
/// make no difference, or are worse. Gil's have no end.
impl<T: Item> Shared<T> for CrossfireMpmc {
    const WAITS: bool = true;

    fn ends(capacity: usize, [txs, rxs]: [usize; 2]) -> (Vec<Self::Tx>, Vec<Self::Rx>) {
        // As its documentation wants it. It changes something only where there is one core.
        crossfire::detect_backoff_cfg();
        let (tx, rx) = Self::new(capacity);
        (vec![tx; txs], vec![rx; rxs])
    }

    #[inline]
    fn push(tx: &mut Self::Tx, _: usize, numbers: &mut Range<u64>) {
        numbers.start += u64::from(tx.send(T::new(numbers.start)).is_ok());
    }

    #[inline]
    fn pop(rx: &mut Self::Rx, _: usize, each: impl FnMut(T)) -> usize {
        rx.recv().map(each).is_ok().into()
    }
}

impl<T: Item> Shared<T> for Kanal {
    const WAITS: bool = true;

    fn ends(capacity: usize, [txs, rxs]: [usize; 2]) -> (Vec<Self::Tx>, Vec<Self::Rx>) {
        let (tx, rx) = Self::new(capacity);
        (vec![tx; txs], vec![rx; rxs])
    }

    #[inline]
    fn push(tx: &mut Self::Tx, _: usize, numbers: &mut Range<u64>) {
        numbers.start += u64::from(tx.send(T::new(numbers.start)).is_ok());
    }

    /// All that is there, and waits only if nothing is.
    #[inline]
    fn pop(rx: &mut Self::Rx, most: usize, mut each: impl FnMut(T)) -> usize {
        let some = if most > 1 {
            Self::pop_some(rx, most, &mut each)
        } else {
            0
        };
        if some > 0 {
            some
        } else {
            rx.0.recv().map(each).is_ok().into()
        }
    }
}

/// With the items that are on their way into it: a batch is what a list holds.
pub struct RingmillMpmc;

impl<T: Item> Queue<T> for RingmillMpmc {
    type Tx = (ringmill::ring::mpmc::Producer<T>, VecDeque<T>);
    type Rx = ringmill::ring::mpmc::Consumer<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = ringmill::ring::mpmc::ring(capacity).expect("a capacity");
        ((tx, VecDeque::new()), rx)
    }

    #[inline]
    fn try_push((tx, _): &mut Self::Tx, item: T) -> bool {
        tx.try_push(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.try_pop()
    }

    /// What did not fit the last time is still in the list, and the first of `numbers`.
    #[inline]
    fn push_some((tx, list): &mut Self::Tx, numbers: &mut Range<u64>) {
        let rest = numbers.start + list.len() as u64..numbers.end;
        list.extend(rest.map(T::new));
        numbers.start += tx.push_batch(list).expect("nobody closes it") as u64;
    }

    #[inline]
    fn pop_some(rx: &mut Self::Rx, most: usize, each: impl FnMut(T)) -> usize {
        rx.drain(most, each)
    }
}

pub struct GilMpmc;

impl<T: Item> Queue<T> for GilMpmc {
    type Tx = gil::mpmc::Sender<T>;
    type Rx = gil::mpmc::Receiver<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        gil::mpmc::channel(NonZeroUsize::new(capacity).expect("a capacity"))
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv()
    }
}

/// One ring for each producer, which consumers lock: its documentation's choice for many threads.
pub struct GilSharded;

impl<T: Item> Queue<T> for GilSharded {
    type Tx = gil::mpmc::sharded::Sender<T>;
    type Rx = gil::mpmc::sharded::Receiver<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        let capacity = NonZeroUsize::new(capacity).expect("a capacity");
        gil::mpmc::sharded::channel(NonZeroUsize::MIN, capacity)
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv()
    }

    #[inline]
    #[allow(unsafe_code, reason = "the only way to push batches into it")]
    fn push_some(tx: &mut Self::Tx, numbers: &mut Range<u64>) {
        let mut written = 0;
        for (slot, number) in tx.write_buffer().iter_mut().zip(numbers) {
            slot.write(T::new(number));
            written += 1;
        }
        // SAFETY: so many slots of the buffer have just been written.
        unsafe { tx.commit(written) };
    }

    #[inline]
    fn pop_some(rx: &mut Self::Rx, most: usize, mut each: impl FnMut(T)) -> usize {
        let mut guard = rx.read_guard();
        let some = guard.len().min(most);
        guard.as_slice()[..some].iter().for_each(|&item| each(item));
        guard.advance(some);
        some
    }
}

impl<T: Item> Shared<T> for GilSharded {
    /// The rings hold `capacity` together.
    fn ends(capacity: usize, [txs, rxs]: [usize; 2]) -> (Vec<Self::Tx>, Vec<Self::Rx>) {
        let shards = txs.max(rxs).next_power_of_two();
        let [shards, each] =
            [shards, capacity / shards].map(|size| NonZeroUsize::new(size).expect("a capacity"));
        let (tx, rx) = gil::mpmc::sharded::channel(shards, each);
        let more_tx: Vec<_> = (1..txs).map_while(|_| tx.try_clone()).collect();
        let more_rx: Vec<_> = (1..rxs).map_while(|_| rx.try_clone()).collect();
        let all_tx: Vec<_> = std::iter::once(tx).chain(more_tx).collect();
        let all_rx: Vec<_> = std::iter::once(rx).chain(more_rx).collect();
        assert_eq!([all_tx.len(), all_rx.len()], [txs, rxs], "too few shards");
        (all_tx, all_rx)
    }
}
