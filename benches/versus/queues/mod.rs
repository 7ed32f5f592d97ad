//! One face for all queues of a fixed capacity: two ends that try, each used as its documentation says is best.

mod channels;
mod half_shared;
mod rings;
mod shared;

pub use channels::*;
pub use half_shared::*;
pub use rings::*;
pub use shared::*;

/// What goes through queues: it knows its number.
pub trait Item: Copy + Default + Send + Sync + 'static {
    fn new(number: u64) -> Self;

    fn number(self) -> u64;
}

impl Item for u64 {
    fn new(number: u64) -> Self {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

/// Sixty-four bytes.
#[derive(Clone, Copy, Default)]
pub struct Wide([u64; 8]);

impl Item for Wide {
    fn new(number: u64) -> Self {
        Self([number; 8])
    }

    /// Looks at both ends of what came.
    fn number(self) -> u64 {
        assert_eq!(self.0[0], self.0[7], "half an item");
        self.0[0]
    }
}

/// A queue of a fixed capacity, in two ends. Nothing waits: what does not work now says so.
pub trait Queue<T: Item> {
    type Tx: Send;
    type Rx: Send;

    fn new(capacity: usize) -> (Self::Tx, Self::Rx);

    /// Whether there was room.
    fn try_push(tx: &mut Self::Tx, item: T) -> bool;

    fn try_pop(rx: &mut Self::Rx) -> Option<T>;

    /// Pushes the items with some of these numbers, from the first on, and takes their numbers out. One a call where the
    /// queue knows no batches.
    #[inline]
    fn push_some(tx: &mut Self::Tx, numbers: &mut std::ops::Range<u64>) {
        if Self::try_push(tx, T::new(numbers.start)) {
            numbers.start += 1;
        }
    }

    /// Pops up to `most` items, and says how many; one a call where the queue knows no batches.
    #[inline]
    fn pop_some(rx: &mut Self::Rx, most: usize, mut each: impl FnMut(T)) -> usize {
        debug_assert!(most > 0);
        Self::try_pop(rx).map(&mut each).is_some().into()
    }
}
