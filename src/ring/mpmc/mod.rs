//! A ring with any number of producers and consumers.
//!
//! Every slot carries a *stamp* beside its value, after Dmitry Vyukov's bounded MPMC queue (2010). With
//! positions in words (see `cursor`), the slot of position `p` says
//!
//! ```text
//!   stamp == p              free for the push that claims p
//!   stamp == p + 1          holds the item of p
//!   stamp == p + 2·slots    given back: free for the push one lap later
//! ```
//! Words are even and the odd stamp is "full", so one slot is enough and a lap cannot be mistaken for
//! another before positions wrap. A claim is one compare-exchange, for one position or for many: all the
//! stamps of a batch are looked at *before* the claim, and a stamp that lets a claim in stays as it is
//! until somebody claims, so that a claim never waits for anyone. The closed mark lives in the tail word:
//! a claim sees it, and after it no claim succeeds.
//!
//! A producer preempted between its claim and its publication delays the consumers of this ring at that
//! slot, and after a lap its producers; no other ring.

#![expect(
    unsafe_code,
    reason = "moves values through slots; invariants on `Shared`"
)]

mod claim;
mod hand;
mod sole;

use std::collections::VecDeque;
use std::fmt;

use crate::error::{Closed, PushError, RingError};
use crate::ring::cursor::{Cursors, LEFT, STEP, distance};
use crate::ring::slots::{Slot, allocate, drop_each};
use crate::sync::{
    AcqRel, Acquire, Arc, AtomicUsize, IS_MODEL, Relaxed, Release, spin_hint, yield_thread,
};
use claim::Claim;
pub(crate) use hand::Hand;
pub(crate) use sole::{Sole, sole_ring_at};

/// Makes a ring that takes exactly `capacity` items.
///
/// # Errors
/// [`RingError`] if the capacity is 0, or more than the address space or the allocator can hold.
///
/// ```
/// let (tx, rx) = ringmill::ring::mpmc::ring(1)?;
/// tx.try_push("a").unwrap();
/// assert!(tx.clone().try_push("b").is_err());
/// assert_eq!(rx.clone().try_pop(), Some("a"));
/// # Ok::<(), ringmill::RingError>(())
/// ```
pub fn ring<T>(capacity: usize) -> Result<(Producer<T>, Consumer<T>), RingError> {
    ring_at(capacity, 0)
}

/// [`ring`] whose first position is `start` instead of 0, for tests of what happens when positions wrap.
///
/// # Errors
/// As [`ring`].
#[doc(hidden)]
pub fn ring_at<T>(capacity: usize, start: usize) -> Result<(Producer<T>, Consumer<T>), RingError> {
    shared_ring_at(capacity, start, 0)
}

/// [`ring_at`] with words for the claims of so many consumers.
pub(crate) fn shared_ring_at<T>(
    capacity: usize,
    start: usize,
    claims: usize,
) -> Result<(Producer<T>, Consumer<T>), RingError> {
    let cursors = Arc::new(Cursors::new(capacity, size_of::<Cell<T>>(), start)?);
    let count = cursors.slots();
    let first = cursors.start();
    let slots = allocate(count, capacity, |_| Cell {
        stamp: AtomicUsize::new(0),
        slot: Slot::new(),
    })?;
    for position in 0..count {
        let word = first.wrapping_add(position * STEP);
        slots[cursors.index(word)].stamp.store(word, Relaxed);
    }
    let lap = count * STEP;
    let exact = capacity == count;
    // Where room is counted by claims, none is of more than one.
    let claims = if exact { claims } else { 0 };
    let shared = Arc::new(Shared {
        slots,
        cursors: Arc::clone(&cursors),
        lap,
        exact,
        claims: (0..claims).map(|_| Claim::new(first)).collect(),
        owned: AtomicUsize::new(0),
    });
    let producer = Producer {
        shared: Arc::clone(&shared),
        cursors: Arc::clone(&cursors),
    };
    Ok((producer, Consumer { shared, cursors }))
}

/// # Invariants
/// * I1: the slot of `p` holds a value exactly while its stamp is `p + 1`, from publication to take.
/// * I2: between a claim of `p` by a producer (tail moves past `p` while stamp is `p`) and its
///   publication, only that producer touches the slot and its stamp.
/// * I3: between a claim of `p` by a consumer (head moves past `p` while stamp is `p + 1`) and its
///   release, only that consumer touches the slot and its stamp; or, where it has left `p` in its [`Claim`], who takes
///   it from there.
/// * I4: a stamp that equals `p` or `p + 1` changes only by the owner of a claim of `p`, so what was seen
///   before a successful claim still holds after it.
struct Shared<T> {
    slots: Box<[Cell<T>]>,
    cursors: Arc<Cursors>,
    /// Words per trip around the slots.
    lap: usize,
    /// Whether the slots are the capacity; otherwise room is also counted.
    exact: bool,
    /// What each consumer that may claim several has claimed and not begun.
    claims: Box<[Claim]>,
    /// How many of the claims have an owner.
    owned: AtomicUsize,
}

/// Stamp and value together: one cache line moves between cores where the item is small.
struct Cell<T> {
    stamp: AtomicUsize,
    slot: Slot<T>,
}

impl<T> Shared<T> {
    /// The cell of a word's position. The mask comes from the slots, so that there is no bound to check.
    #[inline]
    fn cell(&self, word: usize) -> &Cell<T> {
        let slots = &*self.slots;
        &slots[(word / STEP) & (slots.len() - 1)]
    }

    /// How many pushes could be claimed from `tail` on, up to `limit`.
    #[inline]
    fn free_from(&self, tail: usize, limit: usize) -> usize {
        let mut limit = limit.min(self.slots.len());
        if !self.exact {
            // A head that is old makes this too careful, never too bold.
            // ORDERING: Acquire. Room that is counted from this head was made by consumers before it.
            // Pairs with: the claim in `Consumer::claim`. Model: loom-tests/tests/mpmc.rs::capacity.
            let used = distance(self.cursors.head.load(Acquire), tail);
            limit = limit.min(self.cursors.capacity().saturating_sub(used));
        }
        let mut count = 0;
        while count < limit {
            let word = tail.wrapping_add(count * STEP);
            // ORDERING: Acquire. The consumer that gave this slot back has taken the value out.
            // Pairs with: `Shared::take` (Release). Model: loom-tests/tests/mpmc.rs::wrap.
            if self.cell(word).stamp.load(Acquire) != word {
                break;
            }
            count += 1;
        }
        count
    }

    /// The number of a claim that has no owner yet, for its only one; none if all have.
    fn own_claim(&self) -> Option<usize> {
        if self.claims.is_empty() {
            return None;
        }
        // Relaxed: each number is given once, and nothing else is handed over by it.
        let nth = self.owned.fetch_add(1, Relaxed);
        (nth < self.claims.len()).then_some(nth)
    }

    /// Whether a consumer has claimed something that nobody has begun.
    fn has_unbegun(&self) -> bool {
        self.claims.iter().any(|claim| !claim.is_empty())
    }

    fn has_room(&self) -> bool {
        let mut tail = self.cursors.tail.load(Relaxed);
        loop {
            if tail & LEFT != 0 || self.free_from(tail, 1) > 0 {
                return true;
            }
            // An old tail looks like a full ring: only one that still holds means it.
            let now = self.cursors.tail.load(Relaxed);
            if now == tail {
                return false;
            }
            tail = now;
        }
    }

    /// How many published items lie from `head` on, up to `limit`.
    #[inline]
    fn full_from(&self, head: usize, limit: usize) -> usize {
        let limit = limit.min(self.slots.len());
        let mut count = 0;
        while count < limit {
            let word = head.wrapping_add(count * STEP);
            // ORDERING: Acquire. Sees the value behind the stamp.
            // Pairs with: `Shared::put` (Release). Model: loom-tests/tests/mpmc.rs::publish_then_pop.
            if self.cell(word).stamp.load(Acquire) != word.wrapping_add(1) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Writes and publishes the item of a claimed position.
    ///
    /// # Safety
    /// The caller claimed `word` for pushing and has not put it before.
    #[inline]
    unsafe fn put(&self, word: usize, item: T) {
        let cell = self.cell(word);
        // SAFETY: I2, the claim makes the slot ours; I1, its stamp was `word`, so it is empty.
        unsafe { cell.slot.write(item) };
        // ORDERING: Release. Publishes the slot write above.
        // Pairs with: `Shared::full_from` (Acquire). Model: loom-tests/tests/mpmc.rs::publish_then_pop.
        cell.stamp.store(word.wrapping_add(1), Release);
    }

    /// Takes the item of a claimed position and gives the slot back.
    ///
    /// # Safety
    /// The caller claimed `word` for popping and has not taken it before.
    #[inline]
    unsafe fn take(&self, word: usize) -> T {
        let cell = self.cell(word);
        // SAFETY: I3, the claim makes the slot ours; I1, its stamp was `word + 1`, so it holds a value.
        let item = unsafe { cell.slot.take() };
        // ORDERING: Release. The value is out before the next lap may write over it.
        // Pairs with: `Shared::free_from` (Acquire). Model: loom-tests/tests/mpmc.rs::wrap.
        cell.stamp.store(word.wrapping_add(self.lap), Release);
        item
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Nobody is left, so every claim was completed: what lies between the cursors is published.
        let tail = self.cursors.tail.load(Relaxed) & !LEFT;
        let mut head = self.cursors.head.load(Relaxed);
        drop_each(|| {
            while head != tail {
                let word = head;
                head = head.wrapping_add(STEP);
                if self.cell(word).stamp.load(Relaxed) == word.wrapping_add(1) {
                    // SAFETY: `&mut self` is exclusive and `head` has moved past `word`, so this is the
                    // only claim of it; I1, the stamp says that it holds a value.
                    return Some(unsafe { self.take(word) });
                }
            }
            None
        });
    }
}

/// What a claim does that another one came before: waits, longer each time, so that the winner has the lines that it
/// is about to write for itself. Where both ends are shared by two threads it made one item per call 1.5 to 2 times as
/// fast, on cores near each other and far apart.
#[derive(Default)]
struct Lost {
    times: u32,
}

impl Lost {
    /// PAUSEs (about 9 ns each) after the first time, and how often that is doubled.
    const FIRST: u32 = 4;
    const DOUBLED: u32 = 4;

    /// Waits, and looks where the word is now.
    #[cold]
    fn again(&mut self, word: &AtomicUsize) -> usize {
        if !IS_MODEL {
            for _ in 0..Self::FIRST << self.times {
                spin_hint();
            }
        }
        self.times = (self.times + 1).min(Self::DOUBLED);
        word.load(Relaxed)
    }
}

/// A pushing end; clones push into the same ring.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    cursors: Arc<Cursors>,
}

impl<T> Producer<T> {
    /// Pushes one item, visible to consumers when this returns.
    ///
    /// # Errors
    /// [`PushError::Full`] if no slot was free when it looked (a consumer may free one right after),
    /// [`PushError::Closed`] if somebody closed the ring; both give the item back.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), PushError<T>> {
        match self.claim(1) {
            Ok((_, 0)) => Err(PushError::Full(item)),
            Ok((word, _)) => {
                // SAFETY: `claim` gave us exactly this position, and it is put here once.
                unsafe { self.shared.put(word, item) };
                Ok(())
            }
            Err(Closed(())) => Err(PushError::Closed(item)),
        }
    }

    /// Pushes as many items as fit, oldest first, and returns how many; the rest stay in `items`. One
    /// claim serves the whole batch, so no other producer's items come between them.
    ///
    /// # Errors
    /// [`Closed`] if somebody closed the ring; nothing was pushed.
    pub fn push_batch(&self, items: &mut VecDeque<T>) -> Result<usize, Closed<()>> {
        self.push_each(items.len(), || items.pop_front())
    }

    /// [`Producer::push_batch`] of the `limit` items that `next` gives, which runs no foreign code: a claimed position
    /// that it left empty would hold up the ring.
    pub(crate) fn push_each(
        &self,
        limit: usize,
        mut next: impl FnMut() -> Option<T>,
    ) -> Result<usize, Closed<()>> {
        let (word, count) = self.claim(limit)?;
        for nth in 0..count {
            if let Some(item) = next() {
                // SAFETY: `claim` gave us these `count` positions, and each is put here once.
                unsafe { self.shared.put(word.wrapping_add(nth * STEP), item) };
            }
        }
        Ok(count)
    }

    /// Claims up to `limit` positions in a row: the first one's word, and how many (0: no room).
    #[inline]
    fn claim(&self, limit: usize) -> Result<(usize, usize), Closed<()>> {
        let mut tail = self.cursors.tail.load(Relaxed);
        let mut lost = Lost::default();
        loop {
            if tail & LEFT != 0 {
                // ORDERING: Acquire. Who is refused sees what was decided before the ring was closed.
                // Pairs with: `close` (Release). Model: loom-tests/tests/mpmc.rs::close_against_push.
                self.cursors.tail.load(Acquire);
                return Err(Closed(()));
            }
            let count = self.shared.free_from(tail, limit);
            if count == 0 {
                let now = self.cursors.tail.load(Relaxed);
                if now == tail {
                    return Ok((tail, 0));
                }
                tail = now;
                continue;
            }
            let next = tail.wrapping_add(count * STEP);
            // Relaxed: the stamps carry the values; the tail only hands out positions (I4), and its own
            // modification order puts every claim before or after the closed mark.
            match self
                .cursors
                .tail
                .compare_exchange_weak(tail, next, Relaxed, Relaxed)
            {
                Ok(_) => return Ok((tail, count)),
                Err(_) => tail = lost.again(&self.cursors.tail),
            }
        }
    }

    /// No push succeeds from now on; what was pushed can still be popped. Returns whether this call did it.
    pub fn close(&self) -> bool {
        close(&self.cursors)
    }

    /// Whether somebody closed the ring.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.cursors.is_closed()
    }

    /// Exactly how many items the ring takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cursors.capacity()
    }

    /// Items in the ring at some moment during the call.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cursors.len()
    }

    /// Whether [`Producer::len`] is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the oldest item out again, in a consumer's place, if that makes room: not while somebody is about to give
    /// back, or to fill, the slot in question.
    pub(crate) fn evict(&self) -> Option<T> {
        let (shared, cursors) = (Arc::clone(&self.shared), Arc::clone(&self.cursors));
        let tail = cursors.tail.load(Relaxed);
        let is_full = |head| distance(head, tail) >= cursors.capacity();
        let consumer = Consumer {
            shared,
            cursors: Arc::clone(&cursors),
        };
        let (word, count) = consumer.claim(|head| usize::from(is_full(head)));
        if count == 0 {
            // The consumer that is about to may have lost its core.
            yield_thread();
            return None;
        }
        // SAFETY: `claim` gave us exactly this position, and it is taken here once.
        Some(unsafe { self.shared.take(word) })
    }

    /// Whether the ring is closed and empty.
    pub(crate) fn is_ended(&self) -> bool {
        self.cursors.is_ended()
    }

    /// See [`Peek::has_room`].
    pub(crate) fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// A look that is no end.
    pub(crate) fn peek(&self) -> Peek<T> {
        Peek(Arc::clone(&self.shared))
    }
}

/// What anybody may see of the pushing ends.
pub(crate) struct Peek<T>(Arc<Shared<T>>);

impl<T> Peek<T> {
    /// Whether a push would have succeeded at some moment during the call (or the ring is closed).
    pub(crate) fn has_room(&self) -> bool {
        self.0.has_room()
    }
}

/// Sets the closed mark of a ring.
pub(crate) fn close(cursors: &Cursors) -> bool {
    // ORDERING: AcqRel. Release publishes what led to the closing; Acquire lets the second closer see it.
    // Pairs with: `Cursors::is_closed`, `Cursors::is_ended`, `Producer::claim` (Acquire).
    // Model: loom-tests/tests/mpmc.rs::close_against_push.
    cursors.tail.fetch_or(LEFT, AcqRel) & LEFT == 0
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            cursors: Arc::clone(&self.cursors),
        }
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("mpmc::Producer")
            .field(&self.cursors)
            .finish()
    }
}

/// A popping end; clones pop from the same ring.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    cursors: Arc<Cursors>,
}

impl<T> Consumer<T> {
    /// Pops the oldest published item. `None` means that the oldest position was not published when it
    /// looked, which is not the end: that is only what [`Consumer::is_ended`] says.
    #[inline]
    pub fn try_pop(&self) -> Option<T> {
        let (word, count) = self.claim(|_| 1);
        (count == 1).then(|| {
            // SAFETY: `claim` gave us exactly this position, and it is taken here once.
            unsafe { self.shared.take(word) }
        })
    }

    /// Pops up to `limit` items into `each`, oldest first, and returns how many. One claim serves the
    /// batch; each slot is given back before its item is handed over. If `each` panics, the rest of the
    /// batch is dropped.
    pub fn drain(&self, limit: usize, mut each: impl FnMut(T)) -> usize {
        let mut hand = Hand::new(self); // Not a clone's: counting clones would be more work than a batch.
        let mut count = 0;
        while count < limit && hand.fill(|_| limit - count) > 0 {
            while hand.ticket().is_some() {
                count += 1;
                each(hand.take());
            }
        }
        count
    }

    /// Claims published positions in a row, up to what `limit` allows for the head it is given: the first
    /// one's word, and how many.
    #[inline]
    fn claim(&self, limit: impl Fn(usize) -> usize) -> (usize, usize) {
        let mut head = self.cursors.head.load(Relaxed);
        let mut lost = Lost::default();
        loop {
            let count = self.shared.full_from(head, limit(head));
            if count == 0 {
                let now = self.cursors.head.load(Relaxed);
                if now == head {
                    return (head, 0);
                }
                head = now;
                continue;
            }
            let next = head.wrapping_add(count * STEP);
            // ORDERING: Release. Who counts room, or sees the end, sees what came before this claim.
            // Pairs with: `Shared::free_from`, `Cursors::is_ended` (Acquire).
            // Model: loom-tests/tests/mpmc.rs::close_against_push.
            match self
                .cursors
                .head
                .compare_exchange_weak(head, next, Release, Relaxed)
            {
                Ok(_) => return (head, count),
                Err(_) => head = lost.again(&self.cursors.head),
            }
        }
    }

    /// No push succeeds from now on; what was pushed can still be popped. Returns whether this call did it.
    pub fn close(&self) -> bool {
        close(&self.cursors)
    }

    /// Whether somebody closed the ring.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.cursors.is_closed()
    }

    /// Whether the ring is closed and every item has been claimed by a consumer. Never true again false.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        // A consumer that has just claimed several, and does not show it yet, takes them all if nobody else does.
        self.cursors.is_ended() && !self.has_unbegun()
    }

    /// Exactly how many items the ring takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cursors.capacity()
    }

    /// Items in the ring at some moment during the call.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cursors.len()
    }

    /// Whether [`Consumer::len`] is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a consumer has claimed something that nobody has begun.
    pub(crate) fn has_unbegun(&self) -> bool {
        self.shared.has_unbegun()
    }

    /// Whether the oldest position that nobody has claimed holds a published item.
    pub(crate) fn has_published(&self) -> bool {
        let mut head = self.cursors.head.load(Relaxed);
        loop {
            if self.shared.full_from(head, 1) > 0 {
                return true;
            }
            // An old head looks like an empty ring, as above.
            let now = self.cursors.head.load(Relaxed);
            if now == head {
                return false;
            }
            head = now;
        }
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        &self.cursors
    }
}

impl<T> Clone for Consumer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            cursors: Arc::clone(&self.cursors),
        }
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("mpmc::Consumer")
            .field(&self.cursors)
            .finish()
    }
}
