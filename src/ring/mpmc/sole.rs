//! The pushing end of a ring that has no other: a push needs no read-modify-write.

#![expect(unsafe_code, reason = "puts items at positions that are its own")]

use super::{Consumer, Peek, Producer, shared_ring_at};
use crate::error::RingError;
use crate::ring::cursor::{Cursors, STEP};
use crate::sync::{Arc, Relaxed};

/// The only pushing end of a ring. It alone writes the tail: nobody else may push into such a ring, or close it.
pub(crate) struct Sole<T> {
    producer: Producer<T>,
    tail: usize,
}

/// A ring with one pushing end and any number of popping ones, whose first position is `start` and where `claims` of them
/// show what they have claimed.
pub(crate) fn sole_ring_at<T>(
    capacity: usize,
    start: usize,
    claims: usize,
) -> Result<(Sole<T>, Consumer<T>), RingError> {
    let (producer, consumer) = shared_ring_at(capacity, start, claims)?;
    let tail = producer.cursors.start();
    Ok((Sole { producer, tail }, consumer))
}

impl<T> Sole<T> {
    /// Pushes one item, visible to consumers when this returns.
    ///
    /// # Errors
    /// Gives the item back if there is no room.
    #[inline]
    pub(crate) fn try_push(&mut self, item: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(item);
        }
        let word = self.tail;
        self.tail = word.wrapping_add(STEP);
        // Relaxed: before the stamp, by which alone a consumer gets past this position; so no head that anybody reads is
        // ahead of the tail read after it.
        self.producer.cursors.tail.store(self.tail, Relaxed);
        // SAFETY: nobody else pushes, so this position, which was free, is claimed by having moved the tail past it; and
        // it is put here once.
        unsafe { self.producer.shared.put(word, item) };
        Ok(())
    }

    /// Whether the next push will succeed: only this end makes it less.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.producer.shared.free_from(self.tail, 1) > 0
    }

    /// Says that this was the last.
    pub(crate) fn close(&self) {
        self.producer.close();
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        &self.producer.cursors
    }

    /// A look that is no end.
    pub(crate) fn peek(&self) -> Peek<T> {
        self.producer.peek()
    }
}
