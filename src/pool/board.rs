//! The board: batches that are open to helpers, each in a slot from which helpers come and go.
//!
//! ```text
//! RESERVED    somebody's batch is here, from post to withdrawal
//! OPEN        helpers may enter
//! visitors    how many are inside
//! ```
//! A helper enters by a compare-exchange on a word that says OPEN, and works until no piece is left. Who
//! posted withdraws: no more helpers enter, and it waits for those inside. A batch lives on its poster's
//! stack, so that nothing is allocated; with the board full its poster works alone.

#![expect(unsafe_code, reason = "batches borrow; the withdrawal ends the borrow")]

use crossbeam_utils::CachePadded;

use crate::event::Event;
use crate::idle::{Idle, Step, pause};
use crate::sync::{AcqRel, Acquire, AtomicUsize, Relaxed, Release, UnsafeCell};

const RESERVED: usize = 1;
const OPEN: usize = 2;
const VISITOR: usize = 4;

/// Work that any number of threads can do at once, a piece at a time.
pub(crate) trait Batch: Sync {
    /// Does pieces until none is left. Does not unwind.
    fn work(&self);

    /// Whether a piece is left.
    fn has_more(&self) -> bool;
}

/// # Invariants
/// * I1: `batch` is written only by who turned the word from 0 to RESERVED, before it sets OPEN.
/// * I2: who entered (added a visitor while OPEN was set) may use the batch until it leaves; the poster
///   returns from `withdraw`, and so ends the batch's borrow, only when it has seen no visitor and no
///   OPEN in one word.
struct Slot {
    word: AtomicUsize,
    batch: UnsafeCell<Option<*const (dyn Batch + 'static)>>,
    left: Event,
}

pub(crate) struct Board {
    slots: Box<[CachePadded<Slot>]>,
}

// SAFETY: the pointers stand for `&dyn Batch`, which is `Send` because a batch is `Sync`.
unsafe impl Send for Slot {}
// SAFETY: by I1 and I2 a slot's pointer is written by one thread while no other reads it.
unsafe impl Sync for Slot {}

/// A batch on the board, until it is dropped.
pub(crate) struct Posted<'a> {
    slot: &'a Slot,
}

impl Board {
    pub(crate) fn new(slots: usize) -> Self {
        let slot = || {
            CachePadded::new(Slot {
                word: AtomicUsize::new(0),
                batch: UnsafeCell::new(None),
                left: Event::new(),
            })
        };
        Self {
            slots: (0..slots).map(|_| slot()).collect(),
        }
    }

    /// Opens a batch to helpers, if there is a slot for it.
    pub(crate) fn post<'a>(&'a self, batch: &'a (dyn Batch + 'a)) -> Option<Posted<'a>> {
        let is_reserved = |slot: &&CachePadded<Slot>| {
            // ORDERING: Acquire. The slot's last visitor and poster have done with it.
            // Pairs with: the Release in `Posted::drop`. Model: loom-tests/tests/pool.rs::scope_join.
            slot.word.load(Relaxed) == 0
                && slot
                    .word
                    .compare_exchange(0, RESERVED, Acquire, Relaxed)
                    .is_ok()
        };
        let slot = self.slots.iter().find(is_reserved)?;
        let batch: *const (dyn Batch + 'a) = batch;
        #[expect(
            clippy::transmute_ptr_to_ptr,
            reason = "a cast may not lengthen a lifetime"
        )]
        // SAFETY: only the lifetime changes; by I2 nobody uses the pointer after `Posted` is dropped, and
        // `Posted` borrows the batch.
        let batch = unsafe {
            std::mem::transmute::<*const (dyn Batch + 'a), *const (dyn Batch + 'static)>(batch)
        };
        slot.batch.with_mut(|cell| {
            // SAFETY: I1, the exchange above reserved the slot, and OPEN is not set.
            unsafe { *cell = Some(batch) };
        });
        let posted = Posted { slot };
        posted.open();
        Some(posted)
    }

    /// Whether a helper would find something.
    pub(crate) fn has_open(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.word.load(Relaxed) & OPEN != 0)
    }

    /// Helps with one batch, if one is open; `before` is called once inside.
    pub(crate) fn help(&self, before: impl Fn()) -> bool {
        self.slots.iter().any(|slot| slot.visit(&before))
    }
}

impl Slot {
    fn visit(&self, before: impl Fn()) -> bool {
        let mut word = self.word.load(Relaxed);
        loop {
            if word & OPEN == 0 {
                return false;
            }
            // ORDERING: Acquire. Sees the batch behind OPEN.
            // Pairs with: `Posted::open` (Release). Model: loom-tests/tests/pool.rs::scope_join.
            match self
                .word
                .compare_exchange_weak(word, word + VISITOR, Acquire, Relaxed)
            {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        before();
        let batch = self.batch.with(|cell| {
            // SAFETY: I1 and I2, we are a visitor: nobody writes the cell.
            unsafe { *cell }
        });
        if let Some(batch) = batch {
            // SAFETY: I2, the batch lives until we have left.
            let batch = unsafe { &*batch };
            batch.work();
            // Nothing is left to do, so nobody else need come.
            // ORDERING: AcqRel. If this undoes a later `open`, the look below sees what it was for.
            // Pairs with: `Posted::open` (Release). Model: loom-tests/tests/pool.rs::scope_join.
            self.word.fetch_and(!OPEN, AcqRel);
            if batch.has_more() {
                // ORDERING: Release. As `Posted::open`.
                // Pairs with: the entry above (Acquire). Model: loom-tests/tests/pool.rs::scope_join.
                self.word.fetch_or(OPEN, Release);
            }
        }
        // ORDERING: Release. What we did is done before the poster goes on.
        // Pairs with: the look in `Posted::drop` (Acquire). Model: loom-tests/tests/pool.rs::scope_join.
        let before = self.word.fetch_sub(VISITOR, Release);
        if before < 2 * VISITOR {
            self.left.notify();
        }
        true
    }
}

impl Posted<'_> {
    /// Lets helpers in (again).
    pub(crate) fn open(&self) {
        // ORDERING: Release. Publishes the batch.
        // Pairs with: `Slot::visit` (Acquire). Model: loom-tests/tests/pool.rs::scope_join.
        self.slot.word.fetch_or(OPEN, Release);
    }

    /// Lets no more helpers in, and waits for those inside; also for those whom they let in meanwhile.
    pub(crate) fn drain(&self) {
        let is_empty = || {
            // ORDERING: AcqRel. After it no visitor enters, and it sees all that those did who have left.
            // Pairs with: `Slot::visit` (Acquire, Release). Model: loom-tests/tests/pool.rs::scope_join.
            self.slot.word.fetch_and(!OPEN, AcqRel) == RESERVED
        };
        let mut idle = Idle::backoff().strategy(false);
        while !is_empty() {
            match idle.idle() {
                Step::Park => drop(self.slot.left.sleep(None, is_empty)),
                step => pause(step),
            }
        }
    }
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.drain();
        // ORDERING: Release. We have done with the slot.
        // Pairs with: `Board::post` (Acquire). Model: loom-tests/tests/pool.rs::scope_join.
        self.slot.word.store(0, Release);
    }
}
