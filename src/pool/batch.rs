//! Batches over slices: pieces are claimed from a shared counter, large ones first.

#![expect(unsafe_code, reason = "pieces of one slice are handed to many threads")]

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use super::board::Batch;
use crate::error::keep_first;
use crate::sync::{AtomicUsize, Relaxed};

/// Pieces a thread, at first: a piece is an eighth of each thread's share of what is left, so that a piece
/// of costly items costs the others at most an eighth of their share in waiting.
const PIECES: usize = 8;

/// Hands out the range `0..len` in pieces. After "guided self-scheduling" (Polychronopoulos and Kuck, 1987).
pub(crate) struct Pieces {
    next: AtomicUsize,
    len: usize,
    threads: usize,
}

impl Pieces {
    pub(crate) fn new(len: usize, threads: usize) -> Self {
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
    /// Runs `call`; whether it did not panic.
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

    /// Goes on with the panic, if there was one.
    pub(crate) fn resume(self) {
        if let Some(payload) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
    }
}

/// `f` over every item of a slice, results in order.
///
/// # Invariants
/// * I1: each index is claimed once, so each place behind `out` is written at most once, and by one thread.
/// * I2: when no visitor is left, every place is written but those in `missing`.
pub(crate) struct Map<'a, T, R, F> {
    items: &'a [T],
    out: *mut R,
    f: F,
    pieces: Pieces,
    missing: Mutex<Vec<usize>>,
    panic: FirstPanic,
}

// SAFETY: items are shared (`T: Sync`), results are handed over (`R: Send`) through places that by I1 no
// two threads touch, `f` is shared (`F: Sync`).
unsafe impl<T: Sync, R: Send, F: Sync> Sync for Map<'_, T, R, F> {}

impl<'a, T, R, F: Fn(&T) -> R> Map<'a, T, R, F> {
    /// `out` must have places for as many results as there are items.
    pub(crate) fn new(items: &'a [T], out: &mut Vec<R>, f: F, threads: usize) -> Self {
        out.reserve_exact(items.len());
        let pieces = Pieces::new(items.len(), threads);
        let missing = Mutex::default();
        let out = out.as_mut_ptr();
        Self {
            items,
            out,
            f,
            pieces,
            missing,
            panic: FirstPanic::default(),
        }
    }

    /// Ends the batch: `out` holds all results, or the first panic goes on once those made are dropped.
    pub(crate) fn finish(self, out: &mut Vec<R>) {
        let missing = self
            .missing
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if missing.is_empty() {
            // SAFETY: I2, all of the places reserved by `new` are written.
            unsafe { out.set_len(self.items.len()) };
            return;
        }
        for index in (0..self.items.len()).filter(|index| !missing.contains(index)) {
            self.panic.guard(|| {
                // SAFETY: the place lies within what `new` reserved.
                let place = unsafe { self.out.add(index) };
                // SAFETY: I2, it is written; `out` keeps its length of 0, so it is dropped only here.
                unsafe { place.drop_in_place() };
            });
        }
        self.panic.resume();
    }
}

impl<T, R, F: Fn(&T) -> R> Map<'_, T, R, F> {
    /// Writes the results of a piece that is the caller's, and takes their indices out of it one by one: after a panic its
    /// first is the index of the call.
    #[inline]
    fn write(&self, piece: &mut Range<usize>) {
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
            // SAFETY: the place lies within what `new` reserved, as the item does within the items.
            let place = unsafe { self.out.add(start + nth) };
            // SAFETY: I1, the place is ours and not written.
            unsafe { place.write(result) };
        }
        progress.1 = items.len();
    }
}

impl<T: Sync, R: Send, F: Fn(&T) -> R + Sync> Batch for Map<'_, T, R, F> {
    fn work(&self) {
        while let Some(mut piece) = self.pieces.claim() {
            while !self.panic.guard(|| self.write(&mut piece)) {
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

/// `f` over pieces of a slice that it may change.
///
/// # Invariants
/// * I1: pieces do not overlap, and each is claimed once.
pub(crate) struct ForEach<'a, T, F> {
    items: *mut T,
    f: F,
    pieces: Pieces,
    panic: FirstPanic,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: by I1 each item is lent to one thread (`T: Send`), `f` is shared (`F: Sync`).
unsafe impl<T: Send, F: Sync> Sync for ForEach<'_, T, F> {}

impl<'a, T, F: Fn(&mut [T])> ForEach<'a, T, F> {
    pub(crate) fn new(items: &'a mut [T], f: F, threads: usize) -> Self {
        let pieces = Pieces::new(items.len(), threads);
        let items = items.as_mut_ptr();
        Self {
            items,
            f,
            pieces,
            panic: FirstPanic::default(),
            borrow: PhantomData,
        }
    }

    /// Ends the batch; the first panic goes on.
    pub(crate) fn finish(self) {
        self.panic.resume();
    }
}

impl<T: Send, F: Fn(&mut [T]) + Sync> Batch for ForEach<'_, T, F> {
    fn work(&self) {
        while let Some(piece) = self.pieces.claim() {
            // SAFETY: the piece lies within the slice that `new` was given.
            let first = unsafe { self.items.add(piece.start) };
            // SAFETY: I1, the piece is ours alone; the slice is borrowed mutably while the batch lives.
            let items = unsafe { std::slice::from_raw_parts_mut(first, piece.len()) };
            self.panic.guard(|| (self.f)(items));
        }
    }

    fn has_more(&self) -> bool {
        self.pieces.has_more()
    }
}
