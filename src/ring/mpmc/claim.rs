//! A claim: positions that one consumer has claimed and nobody has begun, for others to see and to take.

use crossbeam_utils::CachePadded;

use crate::ring::cursor::{STEP, distance};
use crate::sync::{Acquire, AtomicUsize, Relaxed, Release};

/// The positions `next..end`, each of which goes to one taker: the owner, or another consumer of the ring.
///
/// Only the owner offers, and only where nothing is left: it stores `next` before `end`. Every take moves `next` by a
/// compare-exchange. The two are read one by one, and yet no position is taken twice or from nowhere:
/// * `next` of an offer with the `end` of an older one: that `end` lies before `next`, which says "empty";
/// * `next` of an older offer with a newer `end`: `next` has moved on, and never comes back to a value that it had
///   (an offer begins behind the end of the one before), so the compare-exchange fails.
pub(super) struct Claim(CachePadded<Words>);

struct Words {
    next: AtomicUsize,
    end: AtomicUsize,
}

impl Claim {
    /// Of a ring whose first position is `start`.
    pub(super) fn new(start: usize) -> Self {
        Self(CachePadded::new(Words {
            next: AtomicUsize::new(start),
            end: AtomicUsize::new(start),
        }))
    }

    /// How many lie between the two. An `end` that is older than `next` lies before it.
    fn left(next: usize, end: usize) -> usize {
        let left = distance(next, end);
        if left > usize::MAX / 4 { 0 } else { left }
    }

    /// How many positions are left.
    pub(super) fn len(&self) -> usize {
        // ORDERING: Acquire. A thread that sees that nothing is left sees what the takers did before.
        // Pairs with: `take` (Release). Model: loom-tests/tests/mpmc.rs::claim.
        let next = self.0.next.load(Acquire);
        Self::left(next, self.0.end.load(Relaxed))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first position that is left.
    pub(super) fn first(&self) -> Option<usize> {
        let next = self.0.next.load(Relaxed);
        (Self::left(next, self.0.end.load(Relaxed)) > 0).then_some(next)
    }

    /// Leaves `next..end` for anybody to take. For the owner, where nothing is left, with a `next` behind the last `end`.
    pub(super) fn offer(&self, next: usize, end: usize) {
        // Relaxed: nobody takes by it before the `end` below.
        self.0.next.store(next, Relaxed);
        // ORDERING: Release. Publishes `next`, and what the owner has seen of the positions' slots.
        // Pairs with: `take` (Acquire). Model: loom-tests/tests/mpmc.rs::claim.
        self.0.end.store(end, Release);
    }

    /// Takes the first position that is left.
    pub(super) fn take(&self) -> Option<usize> {
        // ORDERING: Acquire, here and where the exchange fails. An owner that finds nothing left, and offers again, hands on
        // what the takers of its last offer did before.
        // Pairs with: the exchange below (Release). Model: loom-tests/tests/mpmc.rs::claim.
        let mut next = self.0.next.load(Acquire);
        loop {
            // ORDERING: Acquire. With an `end` come the values in the slots before it, and the `next` of its offer: an
            // older one is not exchanged.
            // Pairs with: `offer` (Release). Model: loom-tests/tests/mpmc.rs::claim.
            if Self::left(next, self.0.end.load(Acquire)) == 0 {
                return None;
            }
            let after = next.wrapping_add(STEP);
            // ORDERING: Release. A thread that sees that nothing is left sees what came before.
            // Pairs with: `len` (Acquire). Model: loom-tests/tests/mpmc.rs::claim.
            match (self.0.next).compare_exchange_weak(next, after, Release, Acquire) {
                Ok(_) => return Some(next),
                Err(now) => next = now,
            }
        }
    }
}
