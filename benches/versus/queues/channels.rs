//! Queues and channels whose ends can be shared.

use std::sync::{Arc, mpsc};

use super::{Item, Queue};

/// Both ends are the same object, shared.
macro_rules! shared_queue {
    ($name:ident, $queue:ty, $new:expr) => {
        pub struct $name;

        impl<T: Item> Queue<T> for $name {
            type Tx = Arc<$queue>;
            type Rx = Arc<$queue>;

            fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
                let queue = Arc::new($new(capacity));
                (Arc::clone(&queue), queue)
            }

            #[inline]
            fn try_push(tx: &mut Self::Tx, item: T) -> bool {
                tx.push(item).is_ok()
            }

            #[inline]
            fn try_pop(rx: &mut Self::Rx) -> Option<T> {
                rx.pop().into_iter().next()
            }
        }
    };
}

shared_queue!(
    ArrayQueue,
    crossbeam_queue::ArrayQueue<T>,
    crossbeam_queue::ArrayQueue::new
);
shared_queue!(
    ConcurrentQueue,
    concurrent_queue::ConcurrentQueue<T>,
    concurrent_queue::ConcurrentQueue::bounded
);
shared_queue!(ThingBuf, thingbuf::ThingBuf<T>, thingbuf::ThingBuf::new);

/// Two ends that send and receive.
macro_rules! channel {
    ($name:ident, $tx:ty, $rx:ty, $new:expr) => {
        pub struct $name;

        impl<T: Item> Queue<T> for $name {
            type Tx = $tx;
            type Rx = $rx;

            fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
                $new(capacity)
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
    };
}

channel!(
    CrossbeamChannel,
    crossbeam_channel::Sender<T>,
    crossbeam_channel::Receiver<T>,
    crossbeam_channel::bounded
);
channel!(Flume, flume::Sender<T>, flume::Receiver<T>, flume::bounded);
channel!(
    AsyncChannel,
    async_channel::Sender<T>,
    async_channel::Receiver<T>,
    async_channel::bounded
);
channel!(
    CrossfireSpsc,
    crossfire::Tx<crossfire::spsc::Array<T>>,
    crossfire::Rx<crossfire::spsc::Array<T>>,
    crossfire::spsc::bounded_blocking
);
channel!(
    CrossfireMpmc,
    crossfire::MTx<crossfire::mpmc::Array<T>>,
    crossfire::MRx<crossfire::mpmc::Array<T>>,
    crossfire::mpmc::bounded_blocking
);
channel!(
    StdMpsc,
    mpsc::SyncSender<T>,
    mpsc::Receiver<T>,
    mpsc::sync_channel
);

/// Its `try_` calls say with a value whether there was room. What it has comes out all at once, into a list.
pub struct Kanal;

impl<T: Item> Queue<T> for Kanal {
    type Tx = kanal::Sender<T>;
    type Rx = (kanal::Receiver<T>, Vec<T>);

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = kanal::bounded(capacity);
        (tx, (rx, Vec::with_capacity(capacity)))
    }

    #[inline]
    fn try_push(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item) == Ok(true)
    }

    #[inline]
    fn try_pop((rx, _): &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok().flatten()
    }

    /// More than `most`, if there are more.
    #[inline]
    fn pop_some((rx, list): &mut Self::Rx, _: usize, each: impl FnMut(T)) -> usize {
        let some = rx.drain_into(list).unwrap_or(0);
        list.drain(..).for_each(each);
        some
    }
}
