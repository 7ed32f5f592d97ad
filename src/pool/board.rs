//! The board: batches that are open to helpers, each in a slot from which helpers come and go.
//!
//! ```text
//! RESERVED    a batch is here, from post to withdrawal
//! OPEN        helpers may enter: there may be something to begin
//! visitors    how many helpers are inside
//! ```
//! A helper enters by a compare-exchange on a word that says OPEN, and works until nothing is left to begin. The poster
//! works too. It sleeps only while nothing is left to begin and a helper is inside; it is called when something is added,
//! and when the last helper leaves. The batch is done when nothing is left to begin and nobody is inside. A batch lives on
//! its poster's stack, so that nothing is allocated; with the board full its poster works alone.

#![expect(unsafe_code, reason = "batches borrow; the withdrawal ends the borrow")]

use crossbeam_utils::CachePadded;

use crate::event::Event;
use crate::idle::{Idle, wait};
use crate::lot::Bell;
use crate::sync::{Acquire, AtomicUsize, Relaxed, Release, UnsafeCell};

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
/// * I2: who entered (added a visitor while OPEN was set) may use the batch until it leaves. The poster's
///   `Posted::finish` returns, and only then the batch's borrow ends, when one look at the word had no visitor and took
///   OPEN away, and nothing was left that a visitor could have been called for.
struct Slot {
    word: AtomicUsize,
    batch: UnsafeCell<Option<*const (dyn Batch + 'static)>>,
    /// Where the poster sleeps.
    poster: Event,
}

pub(crate) struct Board {
    slots: Box<[CachePadded<Slot>]>,
}

// SAFETY: the pointers stand for `&dyn Batch`, which is `Send` because a batch is `Sync`.
unsafe impl Send for Slot {}
// SAFETY: by I1 and I2 a slot's pointer is written by one thread while no other reads it.
unsafe impl Sync for Slot {}

/// A batch on the board. Only [`Board::post`] owns one, so that it is dropped before the batch's borrow ends, whatever the
/// body does.
pub(crate) struct Posted<'a> {
    batch: &'a dyn Batch,
    /// `None` where no helper can come.
    slot: Option<&'a Slot>,
    bell: Option<&'a Bell>,
}

impl Board {
    pub(crate) fn new(slots: usize) -> Self {
        let slot = || {
            CachePadded::new(Slot {
                word: AtomicUsize::new(0),
                batch: UnsafeCell::new(None),
                poster: Event::new(),
            })
        };
        Self {
            slots: (0..slots).map(|_| slot()).collect(),
        }
    }

    /// Puts a batch on the board while `body` runs, and until the batch is done. `bell` calls helpers for what is
    /// [added](Posted::added). Without a free slot the caller does all of the batch, after the body.
    pub(crate) fn post<R>(
        &self,
        bell: Option<&Bell>,
        batch: &dyn Batch,
        body: impl FnOnce(&Posted<'_>) -> R,
    ) -> R {
        let slot = self.reserve();
        if let Some(slot) = slot {
            let batch: *const (dyn Batch + '_) = batch;
            #[expect(
                clippy::transmute_ptr_to_ptr,
                reason = "a cast may not lengthen a lifetime"
            )]
            // SAFETY: only the lifetime changes; by I2 nobody uses the pointer after `Posted` is dropped, which is
            // at the end of this function, in an unwinding too.
            let batch = unsafe {
                std::mem::transmute::<*const (dyn Batch + '_), *const (dyn Batch + 'static)>(batch)
            };
            slot.batch.with_mut(|cell| {
                // SAFETY: I1, `reserve` turned the word from 0 to RESERVED, and OPEN is not set.
                unsafe { *cell = Some(batch) };
            });
        }
        let posted = Posted { batch, slot, bell };
        let result = body(&posted);
        drop(posted);
        result
    }

    /// A slot that nobody uses.
    fn reserve(&self) -> Option<&Slot> {
        let is_reserved = |slot: &&CachePadded<Slot>| {
            // ORDERING: Acquire. The slot's last visitor and poster have done with it.
            // Pairs with: the Release in `Posted::drop`. Model: loom-tests/tests/pool.rs::two_posters.
            slot.word.load(Relaxed) == 0
                && slot
                    .word
                    .compare_exchange(0, RESERVED, Acquire, Relaxed)
                    .is_ok()
        };
        self.slots.iter().find(is_reserved).map(|slot| &**slot)
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
            // Pairs with: `Slot::open` (Release). Model: loom-tests/tests/pool.rs::scope_join.
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
            self.close(batch);
        }
        // ORDERING: Release. What we did is done before the poster goes on.
        // Pairs with: `Slot::close` (Acquire). Model: loom-tests/tests/pool.rs::scope_join.
        let before = self.word.fetch_sub(VISITOR, Release);
        if before < 2 * VISITOR {
            self.poster.notify();
        }
        true
    }

    /// Lets helpers in.
    fn open(&self) {
        // ORDERING: Release. Publishes the batch, and what was added to it.
        // Pairs with: `Slot::visit`, `Slot::close` (Acquire). Model: loom-tests/tests/pool.rs::scope_join.
        self.word.fetch_or(OPEN, Release);
    }

    /// Lets no more helpers in, after a look that found nothing to begin; lets them in again if something was added
    /// meanwhile. Returns whether the batch is done: nothing is left to begin, and nobody was inside.
    fn close(&self, batch: &dyn Batch) -> bool {
        // ORDERING: Acquire. The look below sees what was added before an `open` that this undoes, and the caller sees all
        // that those did who have left.
        // Pairs with: `Slot::open`, `Slot::visit` (Release). Model: loom-tests/tests/pool.rs::scope_join.
        let before = self.word.fetch_and(!OPEN, Acquire);
        if batch.has_more() {
            self.open();
            return false;
        }
        before < VISITOR
    }

    fn has_visitors(&self) -> bool {
        self.word.load(Relaxed) >= VISITOR
    }
}

impl Posted<'_> {
    /// Says that there is something to begin: calls the poster if it sleeps, and a helper otherwise.
    pub(crate) fn added(&self) {
        let Some(slot) = self.slot else { return };
        slot.open();
        if !slot.poster.notify()
            && let Some(bell) = self.bell
        {
            bell.call_one();
        }
    }

    /// Works until the batch is done. To be called by the poster. Ends the process rather than unwind: others may be at
    /// what is borrowed.
    pub(crate) fn finish(&self) {
        let abort = Abort;
        self.batch.work();
        if let Some(slot) = self.slot
            && !slot.close(self.batch)
        {
            self.wait(slot);
        }
        std::mem::forget(abort);
    }

    #[cold]
    fn wait(&self, slot: &Slot) {
        let mut idle = Idle::backoff().strategy(false);
        let is_wanted = || self.batch.has_more() || !slot.has_visitors();
        loop {
            let attempt = || is_wanted().then_some(());
            wait(&mut *idle, &slot.poster, None, attempt, is_wanted);
            self.batch.work();
            if slot.close(self.batch) {
                return;
            }
        }
    }
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.finish();
        if let Some(slot) = self.slot {
            // ORDERING: Release. We have done with the slot.
            // Pairs with: `Board::reserve` (Acquire). Model: loom-tests/tests/pool.rs::two_posters.
            slot.word.store(0, Release);
        }
    }
}

/// Ends the process when it is dropped.
struct Abort;

impl Drop for Abort {
    fn drop(&mut self) {
        std::process::abort();
    }
}
