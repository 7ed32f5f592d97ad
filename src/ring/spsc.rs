//! A ring with one producer and one consumer, wait-free at both ends.
//!
//! ```text
//!            released        taken                       published      claimed
//!   …free…  ──│── in the consumer's hand ──│── to be taken ──│── hidden ──│── free…
//!            head word      Consumer::head                 tail word   Producer::tail
//! ```
//! Each end keeps its own position privately and the other's in a cache that is refreshed only when it
//! says "full" or "empty" (the idea is as old as FastForward and MCRingBuffer: Lee, Bu and Chandranmenon,
//! 2009). The private positions may run ahead of the shared words: a batch is published, and its slots
//! are given back, with one store.

#![expect(
    unsafe_code,
    reason = "moves values through slots; invariants on `Shared`"
)]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use crossbeam_utils::CachePadded;

use super::cursor::{Cursors, LEFT, STEP, distance};
use super::slots::{Slot, allocate_empty, drop_each};
use crate::error::{Full, RingError};
use crate::sync::{Acquire, Arc, IS_MODEL, Relaxed, Release, spin_hint};

/// Spin hints that a consumer waits at the most before a look: with 9 ns each, as measured here, one trip of a cache line
/// between cores (136 ns).
const MOMENT: usize = 16;
/// From so many items on, a look was worth its line, also for who asks for fewer.
const MANY: usize = 64;

/// Makes a ring that takes exactly `capacity` items.
///
/// # Errors
/// [`RingError`] if the capacity is 0, or more than the address space or the allocator can hold.
///
/// ```
/// let (mut tx, mut rx) = ringmill::ring::spsc::ring(2)?;
/// tx.try_push(1).unwrap();
/// tx.try_push(2).unwrap();
/// assert_eq!(tx.try_push(3).unwrap_err().0, 3);
/// assert_eq!(rx.try_pop(), Some(1));
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
    let cursors = Arc::new(Cursors::new(capacity, size_of::<T>(), start)?);
    let slots = allocate_empty(cursors.slots(), capacity)?;
    let word = cursors.start();
    let shared = Arc::new(Shared {
        slots,
        cursors: Arc::clone(&cursors),
    });
    let producer = ProducerState {
        shared: Arc::clone(&shared),
        cursors: Arc::clone(&cursors),
        tail: word,
        published: word,
        full_at: word.wrapping_add(capacity * STEP),
        not_sync: PhantomData,
    };
    let consumer = ConsumerState {
        shared,
        cursors,
        head: word,
        released: word,
        tail_seen: word,
        more: 0,
        not_sync: PhantomData,
    };
    Ok((
        Producer(CachePadded::new(producer)),
        Consumer(CachePadded::new(consumer)),
    ))
}

/// # Invariants
/// * I1: slots of positions in `released..claimed` are the only ones that may hold values; those in
///   `taken..claimed` do, all others do not.
/// * I2: only the producer touches slots in `published..released + capacity`, only the consumer those in
///   `released..published`. `claimed` stays at most `released + capacity`, so the two never overlap.
/// * I3: `released` and `published` only grow, each written by its owner alone.
struct Shared<T> {
    slots: Box<[Slot<T>]>,
    cursors: Arc<Cursors>,
}

impl<T> Shared<T> {
    /// The slot of a word's position. The mask comes from the slots, so that there is no bound to check.
    #[inline]
    fn slot(&self, word: usize) -> &Slot<T> {
        let slots = &*self.slots;
        &slots[(word / STEP) & (slots.len() - 1)]
    }

    /// The slots from that of a word's position to the last one.
    #[inline]
    fn slots_from(&self, word: usize) -> &[Slot<T>] {
        let slots = &*self.slots;
        &slots[(word / STEP) & (slots.len() - 1)..]
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both ends are gone, and each left its shared word equal to its private position.
        let tail = self.cursors.tail.load(Relaxed) & !LEFT;
        let mut head = self.cursors.head.load(Relaxed) & !LEFT;
        drop_each(|| {
            (head != tail).then(|| {
                let word = head;
                head = head.wrapping_add(STEP);
                // SAFETY: I1, `head..tail` is `taken..claimed` here; `&mut self` is exclusive.
                unsafe { self.slot(word).take() }
            })
        });
    }
}

/// The pushing end. Dropping it closes the ring: what it holds can still be popped.
pub struct Producer<T>(CachePadded<ProducerState<T>>);

struct ProducerState<T> {
    shared: Arc<Shared<T>>,
    cursors: Arc<Cursors>,
    tail: usize,
    published: usize,
    /// Where the tail would be if the ring were full, as far as the producer has seen the head.
    full_at: usize,
    not_sync: PhantomData<Cell<()>>,
}

impl<T> Producer<T> {
    /// Pushes one item, visible to the consumer when this returns.
    ///
    /// # Errors
    /// [`Full`] gives the item back. Another thread can only make room: a ring that is not full stays so
    /// until this producer pushes.
    #[inline]
    pub fn try_push(&mut self, item: T) -> Result<(), Full<T>> {
        self.write(item).map_err(Full)?;
        self.publish();
        Ok(())
    }

    /// Pushes items until the ring is full or `items` ends, and returns how many. An item is asked for
    /// only when there is room for it. All become visible at once, also if `items` panics.
    pub fn push_batch(&mut self, items: impl IntoIterator<Item = T>) -> usize {
        struct Publish<'a, T>(&'a mut Producer<T>);
        impl<T> Drop for Publish<'_, T> {
            fn drop(&mut self) {
                self.0.publish();
            }
        }
        let batch = Publish(self);
        let mut items = items.into_iter();
        let mut count = 0;
        while batch.0.has_room() {
            let (written, wanted) = batch.0.0.fill(&mut items);
            count += written;
            if written < wanted {
                break;
            }
        }
        count
    }

    /// Puts one item in without making it visible; [`Producer::publish`] does that.
    ///
    /// # Errors
    /// Gives the item back if there is no room.
    #[inline]
    pub(crate) fn write(&mut self, item: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(item);
        }
        let this = &mut *self.0;
        // SAFETY: I2, `has_room` saw `tail < released + capacity`: the slot is the producer's and empty.
        unsafe { this.shared.slot(this.tail).write(item) };
        this.tail = this.tail.wrapping_add(STEP);
        Ok(())
    }

    /// Makes everything written so far visible.
    #[inline]
    pub(crate) fn publish(&mut self) {
        if self.0.published != self.0.tail {
            self.0.published = self.0.tail;
            // ORDERING: Release. Publishes the slots written since the last publication.
            // Pairs with: `ConsumerState::look` (Acquire). Model: loom-tests/tests/spsc.rs::publish_then_pop.
            self.0.cursors.tail.store(self.0.tail, Release);
        }
    }

    /// Publishes, and says that this was the last.
    pub(crate) fn close(&mut self) {
        self.0.published = self.0.tail;
        // ORDERING: Release. Publishes what was written, and that it was the last.
        // Pairs with: `ConsumerState::look` and `Cursors::is_ended` (Acquire).
        // Model: loom-tests/tests/spsc.rs::close.
        self.0.cursors.tail.store(self.0.tail | LEFT, Release);
    }

    /// Whether the next push would succeed.
    #[inline]
    pub(crate) fn has_room(&mut self) -> bool {
        let this = &mut *self.0;
        if this.tail != this.full_at {
            return true;
        }
        // ORDERING: Acquire. The consumer has done with the slots it gave back.
        // Pairs with: `Consumer::release` (Release). Model: loom-tests/tests/spsc.rs::wrap.
        let head = this.cursors.head.load(Acquire) & !LEFT;
        this.full_at = head.wrapping_add(this.cursors.capacity() * STEP);
        this.tail != this.full_at
    }

    /// Exactly how many items the ring takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.cursors.capacity()
    }

    /// Items in the ring at some moment during the call; the consumer can only make it less.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.cursors.len()
    }

    /// Whether [`Producer::len`] is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the consumer is gone: nothing pushed from now on will ever be popped.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        // ORDERING: Acquire. Who sees that the consumer left sees all it did.
        // Pairs with: `Consumer::drop` (Release). Model: loom-tests/tests/spsc.rs::abandon.
        self.0.cursors.head.load(Acquire) & LEFT != 0
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        &self.0.cursors
    }
}

impl<T> ProducerState<T> {
    /// Writes items into the slots that lie one behind the other, as far as there is known to be room: a loop over a
    /// slice, which is as fast as copying one. How many there were, and for how many there was room.
    #[inline]
    fn fill(&mut self, items: &mut impl Iterator<Item = T>) -> (usize, usize) {
        /// Counts what is written, also if the iterator panics.
        struct Count<'a>(&'a mut usize, usize);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                *self.0 = self.0.wrapping_add(self.1 * STEP);
            }
        }
        let room = distance(self.tail, self.full_at);
        let slots = self.shared.slots_from(self.tail);
        let wanted = room.min(slots.len());
        let mut written = Count(&mut self.tail, 0);
        for slot in &slots[..wanted] {
            let Some(item) = items.next() else { break };
            // SAFETY: I2, all of them lie before `released + capacity`: the slot is the producer's and empty.
            unsafe { slot.write(item) };
            written.1 += 1;
        }
        (written.1, wanted)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("spsc::Producer")
            .field(&self.0.cursors)
            .finish()
    }
}

/// The popping end. Dropping it leaves what is in the ring to be dropped with the producer.
pub struct Consumer<T>(CachePadded<ConsumerState<T>>);

struct ConsumerState<T> {
    shared: Arc<Shared<T>>,
    cursors: Arc<Cursors>,
    head: usize,
    released: usize,
    tail_seen: usize,
    /// How many the last look saw behind the oldest, if it saw fewer than were asked for, or than [`MANY`]: then the producer
    /// is at work, and no faster.
    more: usize,
    not_sync: PhantomData<Cell<()>>,
}

impl<T> Consumer<T> {
    /// Pops the oldest item and gives its slot back. `None` means that nothing was published when it
    /// looked; the producer may push right after. It is the end only if [`Consumer::is_ended`] says so.
    ///
    /// Where the last look found several items, but fewer than 64, and they are taken, the call that looks next waits first,
    /// once, for half as many spin hints, 16 at the most (about 150 ns where it was measured): who takes the producer's line
    /// after each push slows both down. After an item that came alone, and after a look that found nothing, it does not wait.
    #[inline]
    pub fn try_pop(&mut self) -> Option<T> {
        if self.0.head == self.0.tail_seen && self.0.catch_up(1) == 0 {
            return None;
        }
        let item = self.take();
        self.release();
        Some(item)
    }

    /// Pops up to `limit` items into `each`, oldest first, and returns how many. Slots are given back
    /// together at the end, also if `each` panics (which costs only the item it had). Waits as [`Consumer::try_pop`] does,
    /// also where a look found more than 64, but fewer than `limit`.
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(T)) -> usize {
        struct Release<'a, T>(&'a mut Consumer<T>);
        impl<T> Drop for Release<'_, T> {
            fn drop(&mut self) {
                self.0.release();
            }
        }
        let batch = Release(self);
        let count = batch.0.0.catch_up(limit);
        let mut left = count;
        while left > 0 {
            left -= batch.0.0.empty(left, &mut each);
        }
        count
    }

    /// Takes the oldest item without giving its slot back; [`Consumer::release`] does that. For a ring with
    /// something [`published`](Consumer::has_published); panics otherwise.
    #[inline]
    pub(crate) fn take(&mut self) -> T {
        assert!(self.has_published(), "a take from an empty ring");
        let this = &mut *self.0;
        let word = this.head;
        this.head = word.wrapping_add(STEP);
        // SAFETY: I1 and I2, a look saw `head < published`: the slot is the consumer's and holds a
        // value, and `head` has moved past it, so it is taken once.
        unsafe { this.shared.slot(word).take() }
    }

    /// The position of the next item, as a word.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.0.head
    }

    /// The position of the oldest item whose slot has not been given back, as a word.
    #[inline]
    pub(crate) fn released(&self) -> usize {
        self.0.released
    }

    /// Gives back the slots of everything taken so far. Whether there were any.
    #[inline]
    pub(crate) fn release(&mut self) -> bool {
        let is_due = self.0.released != self.0.head;
        if is_due {
            self.0.released = self.0.head;
            // ORDERING: Release. The values are out before the producer may write over them.
            // Pairs with: `Producer::has_room` (Acquire). Model: loom-tests/tests/spsc.rs::wrap.
            self.0.cursors.head.store(self.0.head, Release);
        }
        is_due
    }

    /// How many items can be taken now, up to `limit`; the producer can only make it more. Looks at its
    /// tail only where what was seen last is not enough.
    #[inline]
    pub(crate) fn available(&mut self, limit: usize) -> usize {
        let this = &mut *self.0;
        if this.seen() < limit {
            this.look();
        }
        this.seen().min(limit)
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn has_published(&mut self) -> bool {
        self.0.head != self.0.tail_seen || self.available(1) > 0
    }

    /// Closes the ring in the place of a producer that is known to push no more.
    pub(crate) fn close(&mut self) {
        // ORDERING: Release. Who sees the end sees what let the consumer say so.
        // Pairs with: `Cursors::is_ended` (Acquire). Model: loom-tests/tests/lifecycle.rs::close_against_push.
        self.0.cursors.tail.fetch_or(LEFT, Release);
    }

    /// Exactly how many items the ring takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.cursors.capacity()
    }

    /// Items in the ring at some moment during the call; the producer can only make it more.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.cursors.len()
    }

    /// Whether [`Consumer::len`] is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the producer is gone and everything it pushed has been popped. Never true again false.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.cursors.is_ended()
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        &self.0.cursors
    }
}

impl<T> ConsumerState<T> {
    /// How many can be taken without a look.
    #[inline]
    fn seen(&self) -> usize {
        distance(self.head, self.tail_seen)
    }

    /// How many can be taken, up to `limit`, for who asks again and again. Where it has caught up with a producer at work
    /// it leaves that its line for a moment, half as many hints as items came: a look after each push would take the line
    /// from it each time. (What a worker asks is [`Consumer::available`]: it has others to look after.)
    #[inline]
    fn catch_up(&mut self, limit: usize) -> usize {
        if self.seen() < limit {
            if self.head == self.tail_seen && !IS_MODEL {
                for _ in 0..(self.more / 2).min(MOMENT) {
                    spin_hint();
                }
            }
            self.look();
            let seen = self.seen();
            let has_caught_up = seen < limit.max(MANY);
            self.more = if has_caught_up {
                seen.saturating_sub(1)
            } else {
                0
            };
        }
        self.seen().min(limit)
    }

    #[inline]
    fn look(&mut self) {
        // ORDERING: Acquire. Sees the slots behind the published tail.
        // Pairs with: `Producer::publish` (Release). Model: loom-tests/tests/spsc.rs::publish_then_pop.
        self.tail_seen = self.cursors.tail.load(Acquire) & !LEFT;
    }

    /// Takes the items that lie one behind the other out of slots that hold at least `limit`, and says how many.
    #[inline]
    fn empty(&mut self, limit: usize, each: &mut impl FnMut(T)) -> usize {
        /// Counts what is taken, also if `each` panics.
        struct Count<'a>(&'a mut usize, usize);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                *self.0 = self.0.wrapping_add(self.1 * STEP);
            }
        }
        let slots = self.shared.slots_from(self.head);
        let wanted = limit.min(slots.len());
        let mut taken = Count(&mut self.head, 0);
        for slot in &slots[..wanted] {
            taken.1 += 1;
            // SAFETY: I1 and I2, the caller saw so many before `published`: the slot is the consumer's and holds a value,
            // and is counted before it is taken, so it is taken once.
            each(unsafe { slot.take() });
        }
        taken.1
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        // ORDERING: Release. The values taken are out, and nothing more will be.
        // Pairs with: `Producer::is_abandoned` and `Producer::has_room` (Acquire).
        // Model: loom-tests/tests/spsc.rs::abandon.
        self.0.cursors.head.store(self.0.head | LEFT, Release);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("spsc::Consumer")
            .field(&self.0.cursors)
            .finish()
    }
}
