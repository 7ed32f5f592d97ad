//! One face for channels and rings whose ends wait for each other.

use std::hint::spin_loop;
use std::marker::PhantomData;
use std::sync::mpsc;

use crossbeam_utils::Backoff;

/// Goes from one thread to another, in order.
pub trait Pipe<T: Send + 'static>: 'static {
    type Tx: Send + 'static;
    type Rx: Send + 'static;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx);

    /// Waits for room; whether there is anybody left to receive.
    fn send(tx: &mut Self::Tx, item: T) -> bool;

    /// Waits for an item; none if nobody is left to send any.
    fn recv(rx: &mut Self::Rx) -> Option<T>;
}

/// Two ends that wait by themselves.
macro_rules! pipe {
    ($name:ident, $tx:ty, $rx:ty, $new:expr) => {
        pub struct $name;

        impl<T: Send + Unpin + 'static> Pipe<T> for $name {
            type Tx = $tx;
            type Rx = $rx;

            fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
                $new(capacity)
            }

            #[inline]
            fn send(tx: &mut Self::Tx, item: T) -> bool {
                tx.send(item).is_ok()
            }

            #[inline]
            fn recv(rx: &mut Self::Rx) -> Option<T> {
                rx.recv().ok()
            }
        }
    };
}

pipe!(
    CrossbeamChannel,
    crossbeam_channel::Sender<T>,
    crossbeam_channel::Receiver<T>,
    crossbeam_channel::bounded
);
pipe!(
    Crossfire,
    crossfire::Tx<crossfire::spsc::Array<T>>,
    crossfire::Rx<crossfire::spsc::Array<T>>,
    crossfire::spsc::bounded_blocking
);
pipe!(
    StdMpsc,
    mpsc::SyncSender<T>,
    mpsc::Receiver<T>,
    mpsc::sync_channel
);
pipe!(Kanal, kanal::Sender<T>, kanal::Receiver<T>, kanal::bounded);
pipe!(Flume, flume::Sender<T>, flume::Receiver<T>, flume::bounded);

/// What to do between two looks.
pub trait Wait: Default + 'static {
    fn wait(&mut self);
}

/// For threads that have a core each.
#[derive(Default)]
pub struct Spin;

impl Wait for Spin {
    #[inline]
    fn wait(&mut self) {
        spin_loop();
    }
}

/// For more threads than cores: spins for a moment, then lets others run.
#[derive(Default)]
pub struct Snooze(Backoff);

impl Wait for Snooze {
    #[inline]
    fn wait(&mut self) {
        self.0.snooze();
    }
}

/// It waits for nothing; who uses it does.
pub struct Rtrb<W>(PhantomData<W>);

impl<T: Send + 'static, W: Wait> Pipe<T> for Rtrb<W> {
    type Tx = rtrb::Producer<T>;
    type Rx = rtrb::Consumer<T>;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx) {
        rtrb::RingBuffer::new(capacity)
    }

    #[inline]
    fn send(tx: &mut Self::Tx, mut item: T) -> bool {
        let mut pause = W::default();
        while let Err(rtrb::PushError::Full(back)) = tx.push(item) {
            if tx.is_abandoned() {
                return false;
            }
            item = back;
            pause.wait();
        }
        true
    }

    #[inline]
    fn recv(rx: &mut Self::Rx) -> Option<T> {
        let mut pause = W::default();
        loop {
            if let Ok(item) = rx.pop() {
                return Some(item);
            }
            // Looks once more: the last items may have come in between.
            if rx.is_abandoned() {
                return rx.pop().ok();
            }
            pause.wait();
        }
    }
}
