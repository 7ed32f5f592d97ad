//! Positions: the two cursors of a ring, exact capacity, and the closed mark inside the tail word.
//!
//! A position counts jobs since the ring began and wraps at 2⁶³ (on 64-bit machines). A *word* holds a
//! position shifted left by one; the free bit marks an end that has left: in the tail word "closed", in
//! the head word "abandoned". Slots are a power of two, so a position finds its slot by a mask and
//! stays right when it wraps; the capacity may be smaller than the slots and is kept by counting.

use crossbeam_utils::CachePadded;

use crate::error::RingError;
use crate::sync::{Acquire, AtomicUsize};

/// The end that owns this word has left.
pub(crate) const LEFT: usize = 1;
/// One position, in words.
pub(crate) const STEP: usize = 2;

/// How many positions lie between two words, `from` first.
#[inline]
pub(crate) fn distance(from: usize, to: usize) -> usize {
    (to & !LEFT).wrapping_sub(from & !LEFT) / STEP
}

/// The two ends of one ring, each on cache lines of its own. Knows nothing of the items.
pub(crate) struct Cursors {
    /// Next push, and whether the pushing end has left.
    pub(crate) tail: CachePadded<AtomicUsize>,
    /// Next pop, and whether the popping end has left.
    pub(crate) head: CachePadded<AtomicUsize>,
    capacity: usize,
    slots: usize,
    start: usize,
}

impl Cursors {
    /// Cursors of a ring that takes exactly `capacity` items of `size` bytes, whose first position is
    /// `start`.
    pub(crate) fn new(capacity: usize, size: usize, start: usize) -> Result<Self, RingError> {
        if capacity == 0 {
            return Err(RingError::ZeroCapacity);
        }
        let too_large = RingError::CapacityTooLarge { capacity, size };
        let slots = capacity
            .checked_next_power_of_two()
            .ok_or(too_large.clone())?;
        // The quarter keeps every distance, also a mistaken one, apart from a wrapped one.
        let bytes = slots
            .checked_mul(size.max(STEP * 2))
            .ok_or(too_large.clone())?;
        if isize::try_from(bytes).is_err() {
            return Err(too_large);
        }
        let word = start.wrapping_mul(STEP);
        Ok(Self {
            tail: CachePadded::new(AtomicUsize::new(word)),
            head: CachePadded::new(AtomicUsize::new(word)),
            capacity,
            slots,
            start: word,
        })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many slots lie under the ring: a power of two, at least the capacity.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// The word of the first position.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The slot that a word's position lives in.
    #[inline]
    pub(crate) fn index(&self, word: usize) -> usize {
        (word / STEP) & (self.slots - 1)
    }

    /// How many positions have been claimed for pushing since the ring began.
    pub(crate) fn pushed(&self) -> u64 {
        // ORDERING: Acquire. A reader that has seen a later count (a job's start) must see at least the
        // push that led to it; the start count is read before, with Acquire.
        // Pairs with: the Release of the counters. Model: loom-tests/tests/lifecycle.rs::done_is_last.
        distance(self.start, self.tail.load(Acquire)) as u64
    }

    /// Items in the ring at some moment during the call: claimed and not yet taken.
    pub(crate) fn len(&self) -> usize {
        // ORDERING: Acquire on the head, read first: the tail read after it is at least as new, so the
        // distance is never negative.
        // Pairs with: the consumers' publication of the head. Model: loom-tests/tests/mpmc.rs.
        let head = self.head.load(Acquire);
        // ORDERING: Acquire, for the same pair seen from the other end.
        let tail = self.tail.load(Acquire);
        distance(head, tail).min(self.capacity)
    }

    /// The pushing end has left: what is in the ring now is all there will be.
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Acquire. Who sees the mark sees what was decided before it was set.
        // Pairs with: the Release of `close`. Model: loom-tests/tests/mpmc.rs::close_against_push.
        self.tail.load(Acquire) & LEFT != 0
    }

    /// Closed, and every position that was claimed has been taken. Never true again false.
    pub(crate) fn is_ended(&self) -> bool {
        // ORDERING: Acquire, as in `is_closed`: after the mark no claim can follow, so this tail is final.
        let tail = self.tail.load(Acquire);
        // ORDERING: Acquire. Who sees the end sees what the consumers did before they took the last item.
        // Pairs with: the publication of the head. Model: loom-tests/tests/mpmc.rs::close_against_push.
        tail & LEFT != 0 && distance(self.head.load(Acquire), tail) == 0
    }
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursors")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn positions_wrap() {
        let cursors = Cursors::new(3, 8, usize::MAX).unwrap();
        assert_eq!(cursors.slots(), 4);
        let first = cursors.start();
        let second = first.wrapping_add(STEP);
        assert_eq!(distance(first, second), 1);
        assert_eq!(distance(first | LEFT, second), 1);
        assert_eq!(cursors.index(first), 3);
        assert_eq!(cursors.index(second), 0);
    }

    #[test]
    fn sizes_that_cannot_be() {
        assert_eq!(Cursors::new(0, 8, 0).unwrap_err(), RingError::ZeroCapacity);
        for capacity in [usize::MAX, isize::MAX as usize / 8 + 1] {
            let refused = Cursors::new(capacity, 8, 0).unwrap_err();
            assert_eq!(refused, RingError::CapacityTooLarge { capacity, size: 8 });
        }
    }
}
