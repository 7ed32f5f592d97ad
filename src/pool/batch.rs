//! Batches over slices: pieces are claimed from a shared counter, large ones first.

#![expect(unsafe_code, reason = "pieces of one slice are handed to many threads")]

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use super::board::Batch;
use crate::error::{keep_first, swallow};
use crate::sync::{AtomicUsize, Relaxed};

/// Pieces a thread, at first: a piece is an eighth of each thread's share of what is left, so that a piece
/// of costly items costs the others at most an eighth of their share in waiting.
const PIECES: usize = 8;

/// Hands out the range `0..len` in pieces. After "guided self-scheduling" (Polychronopoulos and Kuck, 1987).
struct Pieces {
    next: AtomicUsize,
    len: usize,
    threads: usize,
}

impl Pieces {
    fn new(len: usize, threads: usize) -> Self {
        Self {
            next: AtomicUsize::new(0),
            len,
            threads,
        }
    }

    fn has_more(&self) -> bool {
        self.next.load(Relaxed) < self.len
    }

    /// The next piece; every index is in exactly one.
    fn claim(&self) -> Option<Range<usize>> {
        let mut start = self.next.load(Relaxed);
        loop {
            if start >= self.len {
                return None;
            }
            let size = ((self.len - start) / (PIECES * self.threads)).max(1);
            // Relaxed: a piece's items are the caller's, published by the board; results by the leaving.
            match self
                .next
                .compare_exchange_weak(start, start + size, Relaxed, Relaxed)
            {
                Ok(_) => return Some(start..start + size),
                Err(now) => start = now,
            }
        }
    }
}

/// The first panic of a batch.
#[derive(Default)]
pub(crate) struct FirstPanic(Mutex<Option<Box<dyn Any + Send>>>);

impl FirstPanic {
    /// Runs `call`; whether it did not panic. Does not unwind.
    pub(crate) fn guard(&self, call: impl FnOnce()) -> bool {
        let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else {
            return true;
        };
        keep_first(
            &mut self.0.lock().unwrap_or_else(PoisonError::into_inner),
            payload,
        );
        false
    }

    fn take(&mut self) -> Option<Box<dyn Any + Send>> {
        self.0
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Goes on with the panic, if there was one.
    pub(crate) fn resume(mut self) {
        if let Some(payload) = self.take() {
            resume_unwind(payload);
        }
    }
}

/// A payload may panic when it is dropped; that one is forgotten.
impl Drop for FirstPanic {
    fn drop(&mut self) {
        if let Some(payload) = self.take() {
            swallow(payload);
        }
    }
}

/// `f` of every item, in order. `run` may have others work at the batch that it is given, and what they leave is done
/// here. The first panic goes on when all results are dropped.
pub(crate) fn map<T, R, F>(
    items: &[T],
    f: F,
    threads: usize,
    run: impl FnOnce(&dyn Batch),
) -> Vec<R>
where
    T: Sync,
    R: Send,
    F: Fn(&T) -> R + Sync,
{
    let map = Map::new(items, f, threads);
    run(&map);
    map.finish()
}

/// `f` over every item of a slice, results in order.
///
/// # Invariants
/// * I1: each index is claimed once, so each place is written at most once, and by one thread.
/// * I2: of what a call of `work` has claimed, each place is written when it returns, but those in `missing`; it does
///   not unwind.
/// * I3: `places` are the `items.len()` places of `out`, which nobody else uses before `finish`.
struct Map<'a, T, R, F> {
    items: &'a [T],
    out: Vec<R>,
    places: *mut R,
    f: F,
    pieces: Pieces,
    missing: Mutex<Vec<usize>>,
    panic: FirstPanic,
}

// SAFETY: items are shared (`T: Sync`), results are handed over (`R: Send`) through places that by I1 no
// two threads touch, `f` is shared (`F: Sync`).
unsafe impl<T: Sync, R: Send, F: Sync> Sync for Map<'_, T, R, F> {}

impl<'a, T: Sync, R: Send, F: Fn(&T) -> R + Sync> Map<'a, T, R, F> {
    fn new(items: &'a [T], f: F, threads: usize) -> Self {
        let mut out = Vec::new();
        out.reserve_exact(items.len());
        Self {
            items,
            places: out.as_mut_ptr(),
            out,
            f,
            pieces: Pieces::new(items.len(), threads),
            missing: Mutex::default(),
            panic: FirstPanic::default(),
        }
    }

    /// Does what is left. All results, unless there was a panic: then that goes on, once the others are dropped.
    fn finish(mut self) -> Vec<R> {
        self.work();
        let mut missing = self
            .missing
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if missing.is_empty() {
            // SAFETY: all is claimed, and no other call of `work` goes on, since nobody else borrows `self`: I2, all
            // places are written.
            unsafe { self.out.set_len(self.items.len()) };
            return self.out;
        }
        missing.sort_unstable();
        let mut missing = missing.into_iter().peekable();
        for index in 0..self.items.len() {
            if missing.next_if_eq(&index).is_some() {
                continue;
            }
            self.panic.guard(|| {
                // SAFETY: I3, the place is one of `out`'s.
                let place = unsafe { self.places.add(index) };
                // SAFETY: as above, it is written; `out` keeps its length of 0, so it is dropped only here.
                unsafe { place.drop_in_place() };
            });
        }
        self.panic.resume();
        self.out
    }
}

impl<T, R, F: Fn(&T) -> R> Map<'_, T, R, F> {
    /// Writes the results of a piece, and takes their indices out of it one by one: after a panic its first is the index of
    /// the call.
    ///
    /// # Safety
    /// The piece is what is left of one that the calling thread has claimed.
    #[inline]
    unsafe fn write(&self, piece: &mut Range<usize>) {
        /// Says how far it came, also in a panic: until then that stays in a register.
        struct Progress<'a>(&'a mut usize, usize);
        impl Drop for Progress<'_> {
            fn drop(&mut self) {
                *self.0 += self.1;
            }
        }
        let (items, start) = (&self.items[piece.clone()], piece.start);
        let mut progress = Progress(&mut piece.start, 0);
        for (nth, item) in items.iter().enumerate() {
            progress.1 = nth;
            let result = (self.f)(item);
            // SAFETY: I3, the place is one of `out`'s, as the item is one of the items.
            let place = unsafe { self.places.add(start + nth) };
            // SAFETY: I1 and the caller, the place is this thread's and not written.
            unsafe { place.write(result) };
        }
        progress.1 = items.len();
    }
}

impl<T: Sync, R: Send, F: Fn(&T) -> R + Sync> Batch for Map<'_, T, R, F> {
    fn work(&self) {
        while let Some(mut piece) = self.pieces.claim() {
            // SAFETY: this thread has claimed the piece, and what was written or failed is taken out of it.
            while !self.panic.guard(|| unsafe { self.write(&mut piece) }) {
                // This index has no result; the rest of the piece goes on.
                let failed = piece.start;
                piece.start += 1;
                self.missing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(failed);
            }
        }
    }

    fn has_more(&self) -> bool {
        self.pieces.has_more()
    }
}

/// `f` of pieces that together are `items`. `run` as in [`map`].
pub(crate) fn for_each_mut<T, F>(
    items: &mut [T],
    f: F,
    threads: usize,
    run: impl FnOnce(&dyn Batch),
) where
    T: Send,
    F: Fn(&mut [T]) + Sync,
{
    let each = ForEach {
        pieces: Pieces::new(items.len(), threads),
        items: items.as_mut_ptr(),
        f,
        panic: FirstPanic::default(),
        borrow: PhantomData,
    };
    run(&each);
    each.work();
    each.panic.resume();
}

/// `f` over pieces of a slice that it may change.
///
/// # Invariants
/// * I1: pieces do not overlap, and each is claimed once.
/// * I2: `items` is the first of as many items as there are in `pieces`, borrowed mutably for `'a`.
struct ForEach<'a, T, F> {
    items: *mut T,
    f: F,
    pieces: Pieces,
    panic: FirstPanic,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: by I1 each item is lent to one thread (`T: Send`), `f` is shared (`F: Sync`).
unsafe impl<T: Send, F: Sync> Sync for ForEach<'_, T, F> {}

impl<T: Send, F: Fn(&mut [T]) + Sync> Batch for ForEach<'_, T, F> {
    fn work(&self) {
        while let Some(piece) = self.pieces.claim() {
            // SAFETY: I2, the piece lies within the slice.
            let first = unsafe { self.items.add(piece.start) };
            // SAFETY: I1, the piece is ours alone; I2, the slice is borrowed mutably while the batch lives.
            let items = unsafe { std::slice::from_raw_parts_mut(first, piece.len()) };
            self.panic.guard(|| (self.f)(items));
        }
    }

    fn has_more(&self) -> bool {
        self.pieces.has_more()
    }
}
