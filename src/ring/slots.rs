//! Slots: the memory under a ring, and how values go in, come out and are dropped.

#![expect(unsafe_code, reason = "slots hold values that may or may not be there")]

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::panicking;

use crate::error::{RingError, keep_first, swallow};
use crate::sync::UnsafeCell;

/// One slot's memory. Whether a value is there is the ring's knowledge, not the slot's.
pub(crate) struct Slot<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: a slot hands a `T` from the thread that writes to the thread that takes, which is what `Send`
// allows; it never lends `&T` to two threads. Both calls are unsafe and ask for exclusive access.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Puts a value in.
    ///
    /// # Safety
    /// Nobody else accesses the slot during the call, and the slot is empty (a value in it would be
    /// forgotten).
    #[inline]
    pub(crate) unsafe fn write(&self, value: T) {
        self.0.with_mut(|cell| {
            // SAFETY: the pointer comes from a live cell; the caller vouches for exclusive access.
            unsafe { cell.write(MaybeUninit::new(value)) }
        });
    }

    /// Takes the value out.
    ///
    /// # Safety
    /// Nobody else accesses the slot during the call, and a value written and not yet taken is in it.
    #[inline]
    pub(crate) unsafe fn take(&self) -> T {
        self.0.with_mut(|cell| {
            // SAFETY: the pointer comes from a live cell; the caller vouches for exclusive access.
            let value = unsafe { cell.read() };
            // SAFETY: the caller vouches that a value is in it.
            unsafe { value.assume_init() }
        })
    }
}

/// Memory for `count` slots of a ring that takes `capacity`, each made by `slot`.
///
/// # Errors
/// [`RingError::OutOfMemory`] where the allocator has none (never an abort).
pub(crate) fn allocate<S>(
    count: usize,
    capacity: usize,
    slot: impl FnMut(usize) -> S,
) -> Result<Box<[S]>, RingError> {
    let mut slots = reserve(count, capacity)?;
    slots.extend((0..count).map(slot));
    Ok(slots.into_boxed_slice())
}

/// [`allocate`] of empty slots; takes no time where they take no memory.
pub(crate) fn allocate_empty<T>(
    count: usize,
    capacity: usize,
) -> Result<Box<[Slot<T>]>, RingError> {
    let mut slots = reserve(count, capacity)?;
    if size_of::<Slot<T>>() == 0 {
        // SAFETY: a Vec of what has no size has room for any number; and an empty slot is memory that need not be
        // initialised, here none at all.
        unsafe { slots.set_len(count) };
    } else {
        slots.extend((0..count).map(|_| Slot::new()));
    }
    Ok(slots.into_boxed_slice())
}

fn reserve<S>(count: usize, capacity: usize) -> Result<Vec<S>, RingError> {
    let mut slots = Vec::new();
    slots
        .try_reserve_exact(count)
        .map_err(|_| RingError::OutOfMemory {
            capacity,
            bytes: count.saturating_mul(size_of::<S>()),
        })?;
    Ok(slots)
}

/// Drops values one by one until `next` has none, also when a drop panics. `next` must have forgotten
/// the value it returns. The first panic goes on afterwards, unless the thread is unwinding already.
pub(crate) fn drop_each<T>(mut next: impl FnMut() -> Option<T>) {
    let mut first = None;
    while let Some(value) = next() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            keep_first(&mut first, payload);
        }
    }
    match first {
        Some(payload) if panicking() => swallow(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}
