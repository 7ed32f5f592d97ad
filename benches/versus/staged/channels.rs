//! Channels between stages.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crossbeam_utils::Backoff;

use super::Channel;

fn clones<T: Clone>(end: &T, count: usize) -> Vec<T> {
    vec![end.clone(); count]
}

/// Both ends can be cloned, and wait themselves.
macro_rules! channel {
    ($name:ident, $tx:ty, $rx:ty, $new:expr) => {
        pub struct $name;

        impl Channel for $name {
            type Tx<T: Send + 'static> = $tx;
            type Rx<T: Send + 'static> = $rx;

            fn ends<T: Send + 'static>(
                capacity: usize,
                senders: usize,
                receivers: usize,
            ) -> (Vec<Self::Tx<T>>, Vec<Self::Rx<T>>) {
                let (tx, rx) = $new(capacity);
                (clones(&tx, senders), clones(&rx, receivers))
            }

            #[inline]
            fn send<T: Send + 'static>(tx: &mut Self::Tx<T>, item: T) -> bool {
                tx.send(item).is_ok()
            }

            #[inline]
            fn receive<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T> {
                rx.recv().ok()
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
channel!(Kanal, kanal::Sender<T>, kanal::Receiver<T>, kanal::bounded);
channel!(Flume, flume::Sender<T>, flume::Receiver<T>, flume::bounded);
channel!(
    CrossfireShared,
    crossfire::MTx<crossfire::mpmc::Array<T>>,
    crossfire::MRx<crossfire::mpmc::Array<T>>,
    crossfire::mpmc::bounded_blocking
);

/// The flavour for one sender and one receiver, which is faster.
pub struct Crossfire;

impl Channel for Crossfire {
    type Tx<T: Send + 'static> = crossfire::Tx<crossfire::spsc::Array<T>>;
    type Rx<T: Send + 'static> = crossfire::Rx<crossfire::spsc::Array<T>>;

    fn ends<T: Send + 'static>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Tx<T>>, Vec<Self::Rx<T>>) {
        assert_eq!((senders, receivers), (1, 1), "one of each");
        let (tx, rx) = crossfire::spsc::bounded_blocking(capacity);
        (vec![tx], vec![rx])
    }

    #[inline]
    fn send<T: Send + 'static>(tx: &mut Self::Tx<T>, item: T) -> bool {
        tx.send(item).is_ok()
    }

    #[inline]
    fn receive<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T> {
        rx.recv().ok()
    }
}

pub struct StdMpsc;

impl Channel for StdMpsc {
    type Tx<T: Send + 'static> = mpsc::SyncSender<T>;
    type Rx<T: Send + 'static> = mpsc::Receiver<T>;

    fn ends<T: Send + 'static>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Tx<T>>, Vec<Self::Rx<T>>) {
        assert_eq!(receivers, 1, "its receivers cannot be shared");
        let (tx, rx) = mpsc::sync_channel(capacity);
        (clones(&tx, senders), vec![rx])
    }

    #[inline]
    fn send<T: Send + 'static>(tx: &mut Self::Tx<T>, item: T) -> bool {
        tx.send(item).is_ok()
    }

    #[inline]
    fn receive<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T> {
        rx.recv().ok()
    }
}

/// Receivers share one behind a lock.
pub struct StdMpscLocked;

impl Channel for StdMpscLocked {
    type Tx<T: Send + 'static> = mpsc::SyncSender<T>;
    type Rx<T: Send + 'static> = Arc<Mutex<mpsc::Receiver<T>>>;

    fn ends<T: Send + 'static>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Tx<T>>, Vec<Self::Rx<T>>) {
        let (tx, rx) = mpsc::sync_channel(capacity);
        let rx = Arc::new(Mutex::new(rx));
        (clones(&tx, senders), clones(&rx, receivers))
    }

    #[inline]
    fn send<T: Send + 'static>(tx: &mut Self::Tx<T>, item: T) -> bool {
        tx.send(item).is_ok()
    }

    #[inline]
    fn receive<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T> {
        let rx = rx.lock().unwrap_or_else(PoisonError::into_inner);
        rx.recv().ok()
    }
}

/// Nothing in it waits: its users do, and on shared cores they have to yield.
pub struct Rtrb;

impl Channel for Rtrb {
    type Tx<T: Send + 'static> = rtrb::Producer<T>;
    type Rx<T: Send + 'static> = rtrb::Consumer<T>;

    fn ends<T: Send + 'static>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Tx<T>>, Vec<Self::Rx<T>>) {
        assert_eq!((senders, receivers), (1, 1), "one of each");
        let (tx, rx) = rtrb::RingBuffer::new(capacity);
        (vec![tx], vec![rx])
    }

    #[inline]
    fn send<T: Send + 'static>(tx: &mut Self::Tx<T>, mut item: T) -> bool {
        let backoff = Backoff::new();
        loop {
            match tx.push(item) {
                Ok(()) => return true,
                Err(rtrb::PushError::Full(_)) if tx.is_abandoned() => return false,
                Err(rtrb::PushError::Full(refused)) => item = refused,
            }
            backoff.snooze();
        }
    }

    #[inline]
    fn receive<T: Send + 'static>(rx: &mut Self::Rx<T>) -> Option<T> {
        let backoff = Backoff::new();
        loop {
            // Whoever is gone has pushed all before.
            let is_last = rx.is_abandoned();
            match rx.pop() {
                Ok(item) => return Some(item),
                Err(_) if is_last => return None,
                Err(_) => backoff.snooze(),
            }
        }
    }
}
