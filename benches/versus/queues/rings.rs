//! Rings with one producer and one consumer.

use std::num::NonZeroUsize;
use std::ops::Range;

use ringbuf::traits::{Consumer as _, Producer as _, Split as _};

use super::{Item, Queue};

pub struct Ringmill;

impl<T: Item> Queue<T> for Ringmill {
    type Tx = ringmill::ring::spsc::Producer<T>;
    type Rx = ringmill::ring::spsc::Consumer<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        ringmill::ring::spsc::ring(capacity).expect("a capacity")
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_push(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.try_pop()
    }

    #[inline]
    fn push_some(tx: &mut Self::Tx, numbers: &mut Range<u64>) {
        numbers.start += tx.push_batch(numbers.clone().map(T::new)) as u64;
    }

    #[inline]
    fn pop_some(rx: &mut Self::Rx, most: usize, each: impl FnMut(T)) -> usize {
        rx.drain(most, each)
    }
}

pub struct Rtrb;

impl<T: Item> Queue<T> for Rtrb {
    type Tx = rtrb::Producer<T>;
    type Rx = rtrb::Consumer<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        rtrb::RingBuffer::new(capacity)
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.push(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.pop().ok()
    }

    /// A whole chunk while there is room for one: asking for the room with `slots` would look at the other end's
    /// position each time.
    #[inline]
    fn push_some(tx: &mut Self::Tx, numbers: &mut Range<u64>) {
        let mut wanted = (numbers.end - numbers.start) as usize;
        while wanted > 0 {
            match tx.write_chunk_uninit(wanted) {
                Ok(chunk) => {
                    numbers.start += chunk.fill_from_iter(numbers.clone().map(T::new)) as u64;
                    return;
                }
                Err(rtrb::chunks::ChunkError::TooFewSlots(some)) => wanted = some,
            }
        }
    }

    #[inline]
    fn pop_some(rx: &mut Self::Rx, mut most: usize, each: impl FnMut(T)) -> usize {
        while most > 0 {
            match rx.read_chunk(most) {
                Ok(chunk) => {
                    chunk.into_iter().for_each(each);
                    return most;
                }
                Err(rtrb::chunks::ChunkError::TooFewSlots(some)) => most = some,
            }
        }
        0
    }
}

pub struct Gil;

impl<T: Item> Queue<T> for Gil {
    type Tx = gil::spsc::Sender<T>;
    type Rx = gil::spsc::Receiver<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        gil::spsc::channel(NonZeroUsize::new(capacity).expect("a capacity"))
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

pub struct Nexus;

impl<T: Item> Queue<T> for Nexus {
    type Tx = nexus_queue::spsc::Producer<T>;
    type Rx = nexus_queue::spsc::Consumer<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        nexus_queue::spsc::ring_buffer(capacity)
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

pub struct Ringbuf;

impl<T: Item> Queue<T> for Ringbuf {
    type Tx = ringbuf::HeapProd<T>;
    type Rx = ringbuf::HeapCons<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        ringbuf::HeapRb::new(capacity).split()
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_push(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.try_pop()
    }

    #[inline]
    fn push_some(tx: &mut Self::Tx, numbers: &mut Range<u64>) {
        numbers.start += tx.push_iter(numbers.clone().map(T::new)) as u64;
    }

    #[inline]
    fn pop_some(rx: &mut Self::Rx, most: usize, mut each: impl FnMut(T)) -> usize {
        let mut some = 0;
        for item in rx.pop_iter().take(most) {
            each(item);
            some += 1;
        }
        some
    }
}

pub struct Omango;

impl<T: Item> Queue<T> for Omango {
    type Tx = omango::queue::spsc::BSender<T>;
    type Rx = omango::queue::spsc::BReceiver<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        omango::queue::spsc::bounded(u32::try_from(capacity).expect("a small capacity"))
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }

    #[inline]
    fn try_pop(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

/// With its polling interface, which lets the caller choose the thread as all others do.
pub struct Disruptor;

impl<T: Item> Queue<T> for Disruptor {
    type Tx = disruptor::SingleProducer<T, disruptor::SingleConsumerBarrier>;
    type Rx = disruptor::EventPoller<T, disruptor::SingleProducerBarrier>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        let builder = disruptor::build_single_producer(capacity, T::default, disruptor::BusySpin);
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
