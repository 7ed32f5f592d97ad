//! A ring with one producer and one consumer, wait-free at both ends.
//!
//! ```text
//!            released        taken                       published      claimed
//!   …free…  ──│── in the consumer's hand ──│── to be taken ──│── hidden ──│── free…
//!            head word      Consumer::head                 tail word   Producer::tail
//! ```
//! The items lie in frames, whose headers tell the consumer what was published (`frames.rs`); it does not look at the
//! tail word, which is for others. The producer keeps the head that it saw last, and looks again only when that says
//! "full" (the idea of MCRingBuffer: Lee, Bu and Chandranmenon, 2009). The private positions may run ahead of the
//! shared words: a batch is published, and its slots are given back, with one store.

#![expect(
    unsafe_code,
    reason = "moves values through slots; invariants on `Shared`"
)]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::swap;
use std::sync::PoisonError;

use crossbeam_utils::CachePadded;

use super::cursor::{Cursors, LEFT, distance};
use super::frames::{Cells, Frames, Reading, Writing};
use super::slots::drop_each;
use crate::error::{Full, RingError};
use crate::sync::{Acquire, Arc, Mutex, Release};

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
    let word = cursors.start();
    let shared = Arc::new(Shared {
        frames: Frames::new(capacity)?,
        left: Mutex::new(Reading::new(word)),
    });
    let cells = shared.frames.cells();
    let mut writing = Writing::new(word);
    writing.set_room(capacity, cells);
    let producer = ProducerState {
        writing,
        cells,
        cursors: Arc::clone(&cursors),
        _shared: Arc::clone(&shared),
        not_sync: PhantomData,
    };
    let consumer = ConsumerState {
        reading: Reading::new(word),
        released: word,
        cells,
        cursors,
        shared,
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
/// * I4: the groups of cells from the producer's to the one behind it hold nothing that the consumer may still look at,
///   neither items nor headers (see `Frames::new`).
struct Shared<T> {
    frames: Frames<T>,
    /// Where the consumer was when it left.
    left: Mutex<Reading>,
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both ends are gone, and all that was written is published.
        let cells = self.frames.cells();
        let mut reading = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        drop_each(|| {
            (reading.at != reading.end || reading.refresh(cells)).then(|| {
                reading.at += 1;
                // SAFETY: I1, what was published and not taken holds values; `&mut self` is exclusive, and `at` has moved
                // past the cell, so it is taken once.
                unsafe { cells.slot(reading.at - 1).take() }
            })
        });
    }
}

/// The pushing end. Dropping it closes the ring: what it holds can still be popped.
pub struct Producer<T>(CachePadded<ProducerState<T>>);

struct ProducerState<T> {
    writing: Writing,
    cells: Cells<T>,
    cursors: Arc<Cursors>,
    /// Keeps the cells alive.
    _shared: Arc<Shared<T>>,
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
            let wanted = batch.0.0.writing.stop - batch.0.0.writing.at;
            let written = batch.0.0.fill(wanted, &mut items);
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
        // SAFETY: I2, `has_room` saw that the next cell is the producer's and empty.
        unsafe { this.cells.slot(this.writing.at).write(item) };
        this.writing.at += 1;
        Ok(())
    }

    /// Makes everything written so far visible.
    #[inline]
    pub(crate) fn publish(&mut self) {
        let this = &mut *self.0;
        if this.writing.is_hidden() {
            // ORDERING: Release. Who sees the tail sees what led to it. It is stored before the headers: whoever has
            // taken an item, and says so in the head, is never ahead of the tail.
            // Pairs with: `Cursors::len` and `Cursors::pushed` (Acquire). Model: loom-tests/tests/spsc.rs::length.
            this.cursors.tail.store(this.writing.word(), Release);
            this.writing.publish(this.cells);
        }
    }

    /// Publishes, and says that this was the last.
    pub(crate) fn close(&mut self) {
        self.publish();
        // ORDERING: Release. Says that what was published was the last.
        // Pairs with: `Cursors::is_ended` (Acquire). Model: loom-tests/tests/spsc.rs::close.
        self.0
            .cursors
            .tail
            .store(self.0.writing.word() | LEFT, Release);
    }

    /// Whether the next push would succeed.
    #[inline]
    pub(crate) fn has_room(&mut self) -> bool {
        self.0.writing.at != self.0.writing.stop || self.0.make_room()
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
    /// Looks how much room there is, where none was known.
    fn make_room(&mut self) -> bool {
        // ORDERING: Acquire. The consumer has done with the slots it gave back.
        // Pairs with: `Consumer::release` (Release). Model: loom-tests/tests/spsc.rs::lap.
        let head = self.cursors.head.load(Acquire);
        let used = distance(head, self.writing.word());
        let room = self.cursors.capacity() - used;
        self.writing.set_room(room, self.cells);
        room > 0
    }

    /// Writes up to `wanted` items, for which there is room, and says how many there were.
    #[inline]
    fn fill(&mut self, wanted: usize, items: &mut impl Iterator<Item = T>) -> usize {
        struct Count<'a, T>(&'a mut ProducerState<T>, usize);
        impl<T> Drop for Count<'_, T> {
            fn drop(&mut self) {
                self.0.writing.at += self.1;
            }
        }
        let (cells, at) = (self.cells, self.writing.at);
        let mut written = Count(self, 0);
        while written.1 < wanted {
            let Some(item) = items.next() else { break };
            // SAFETY: I2, the caller saw room for all of them: the slots are the producer's and empty.
            unsafe { cells.slot(at + written.1).write(item) };
            written.1 += 1;
        }
        written.1
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
    reading: Reading,
    /// The word up to which slots were given back.
    released: usize,
    cells: Cells<T>,
    cursors: Arc<Cursors>,
    shared: Arc<Shared<T>>,
    not_sync: PhantomData<Cell<()>>,
}

impl<T> Consumer<T> {
    /// Pops the oldest item and gives its slot back. `None` means that nothing was published when it
    /// looked; the producer may push right after. It is the end only if [`Consumer::is_ended`] says so.
    #[inline]
    pub fn try_pop(&mut self) -> Option<T> {
        self.has_published().then(|| {
            let item = self.take();
            self.release();
            item
        })
    }

    /// Pops up to `limit` items into `each`, oldest first, and returns how many. Slots are given back
    /// together at the end, also if `each` panics (which costs only the item it had).
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(T)) -> usize {
        struct Release<'a, T>(&'a mut Consumer<T>);
        impl<T> Drop for Release<'_, T> {
            fn drop(&mut self) {
                self.0.release();
            }
        }
        let batch = Release(self);
        let mut count = 0;
        while count < limit && batch.0.has_published() {
            count += batch.0.0.empty(limit - count, &mut each);
        }
        count
    }

    /// Takes the oldest item without giving its slot back; [`Consumer::release`] does that. For a ring with
    /// something [`published`](Consumer::has_published); panics otherwise.
    #[inline]
    pub(crate) fn take(&mut self) -> T {
        assert!(self.has_published(), "a take from an empty ring");
        let this = &mut *self.0;
        let at = this.reading.at;
        this.reading.at += 1;
        // SAFETY: I1 and I2, the header counts this cell: the slot is the consumer's and holds a value, and
        // `at` has moved past it, so it is taken once.
        unsafe { this.cells.slot(at).take() }
    }

    /// The position of the next item, as a word.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.0.reading.word()
    }

    /// The position of the oldest item whose slot has not been given back, as a word.
    #[inline]
    pub(crate) fn released(&self) -> usize {
        self.0.released
    }

    /// Gives back the slots of everything taken so far. Whether there were any.
    #[inline]
    pub(crate) fn release(&mut self) -> bool {
        let head = self.0.reading.word();
        let is_due = self.0.released != head;
        if is_due {
            self.0.released = head;
            // ORDERING: Release. The values are out before the producer may write over them.
            // Pairs with: `ProducerState::make_room` (Acquire). Model: loom-tests/tests/spsc.rs::lap.
            self.0.cursors.head.store(head, Release);
        }
        is_due
    }

    /// How many items can be taken without another look at what was published, up to `limit`; looks if there are
    /// none. The producer can only make it more.
    #[inline]
    pub(crate) fn available(&mut self, limit: usize) -> usize {
        if self.has_published() {
            (self.0.reading.end - self.0.reading.at).min(limit)
        } else {
            0
        }
    }

    /// [`Consumer::has_published`] for those who only look.
    pub(crate) fn has_more(&self) -> bool {
        self.0.reading.has_more(self.0.cells)
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn has_published(&mut self) -> bool {
        let this = &mut *self.0;
        this.reading.at != this.reading.end || this.reading.refresh(this.cells)
    }

    /// Exactly how many items the ring takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.cursors.capacity()
    }

    /// Items in the ring at some moment during the call; the producer can only make it more. The last of them may be
    /// those of a push that has not returned, which cannot be popped yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.cursors.len()
    }

    /// Whether nothing can be popped; the producer may push right after.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_more()
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
    /// Takes up to `limit` of the items that are known to be published, and says how many.
    #[inline]
    fn empty(&mut self, limit: usize, each: &mut impl FnMut(T)) -> usize {
        struct Count<'a, T>(&'a mut ConsumerState<T>, usize);
        impl<T> Drop for Count<'_, T> {
            fn drop(&mut self) {
                self.0.reading.at += self.1;
            }
        }
        let known = limit.min(self.reading.end - self.reading.at);
        let (cells, at) = (self.cells, self.reading.at);
        let mut taken = Count(self, 0);
        for cell in at..at + known {
            taken.1 += 1;
            // SAFETY: I1 and I2, the header counts these cells: the slots are the consumer's and hold values, and
            // each is counted before it is taken, so it is taken once.
            each(unsafe { cells.slot(cell).take() });
        }
        taken.1
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        let this = &mut *self.0;
        let left = this.reading.word() | LEFT;
        let mut place = this
            .shared
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        swap(&mut *place, &mut this.reading);
        drop(place);
        // ORDERING: Release. The values taken are out, and nothing more will be.
        // Pairs with: `Producer::is_abandoned` and `ProducerState::make_room` (Acquire).
        // Model: loom-tests/tests/spsc.rs::abandon.
        this.cursors.head.store(left, Release);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("spsc::Consumer")
            .field(&self.0.cursors)
            .finish()
    }
}
