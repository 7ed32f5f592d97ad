//! The loom facade: every atomic, cell, lock and spin hint of this crate comes from here.
//!
//! The only file that knows loom. In ordinary builds each item is an inline newtype or a re-export of
//! std; in model builds it is loom's. A build is a model's if `--cfg loom` and the feature `__loom` say so: a program that
//! sets the flag for models of its own gets the ordinary library. Newtypes rather than re-exports keep std's names banned by
//! `clippy.toml` everywhere else.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "this is the facade"
)]

#[cfg(all(loom, feature = "__loom"))]
use loom::{cell, hint, sync, thread};
#[cfg(not(all(loom, feature = "__loom")))]
use std::{hint, sync, thread};

use std::sync::LockResult;
pub(crate) use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;
pub(crate) use sync::{Arc, Mutex, MutexGuard};
/// The facade's condition variable: an alias would be std's, which is banned elsewhere.
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(sync::Condvar::new())
    }
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }
    pub(crate) fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> MutexGuard<'a, T> {
        match self.0.wait_timeout(guard, time) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

#[cfg(all(loom, feature = "__loom"))]
macro_rules! model_local {
    ($(#[$doc:meta])* static $name:ident: $value:ty = const { $init:expr };) => {
        loom::thread_local! { $(#[$doc])* static $name: $value = $init; }
    };
}
/// One of each for every thread: in a model, for every thread of the model.
#[cfg(all(loom, feature = "__loom"))]
pub(crate) use model_local as thread_local;
#[cfg(not(all(loom, feature = "__loom")))]
pub(crate) use std::thread_local;

macro_rules! atomics {
    ($($name:ident: $value:ty),*) => {$(
        /// The facade's atomic of this width.
        pub(crate) struct $name(sync::atomic::$name);

        #[allow(dead_code, reason = "one set of operations for every width")]
        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(sync::atomic::$name::new(value))
            }
            #[inline]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }
            #[inline]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, order);
            }
            #[inline]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.0.swap(value, order)
            }
            #[inline]
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_add(value, order)
            }
            #[inline]
            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_sub(value, order)
            }
            #[inline]
            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_or(value, order)
            }
            #[inline]
            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_and(value, order)
            }
            #[inline]
            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.0.fetch_max(value, order)
            }
            #[inline]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange(current, new, success, failure)
            }
            #[inline]
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange_weak(current, new, success, failure)
            }
        }
    )*};
}

atomics!(AtomicUsize: usize, AtomicU64: u64);

/// The facade's atomic pointer.
pub(crate) struct AtomicPtr<T>(sync::atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub(crate) fn new(value: *mut T) -> Self {
        Self(sync::atomic::AtomicPtr::new(value))
    }
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        self.0.load(order)
    }
    pub(crate) fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        self.0.compare_exchange(current, new, success, failure)
    }
}

/// A cell whose every access is a closure over a raw pointer, so that loom sees how long it lasts.
#[cfg(all(loom, feature = "__loom"))]
pub(crate) struct UnsafeCell<T>(cell::UnsafeCell<T>);
/// A cell whose every access is a closure over a raw pointer, so that loom sees how long it lasts.
#[cfg(not(all(loom, feature = "__loom")))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[cfg(all(loom, feature = "__loom"))]
    pub(crate) fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }
    #[cfg(not(all(loom, feature = "__loom")))]
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }
    #[cfg(all(loom, feature = "__loom"))]
    pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        self.0.with(access)
    }
    #[cfg(not(all(loom, feature = "__loom")))]
    #[inline]
    pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        access(self.0.get())
    }
    #[cfg(all(loom, feature = "__loom"))]
    pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(access)
    }
    #[cfg(not(all(loom, feature = "__loom")))]
    #[inline]
    pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}

/// A full memory fence. Only `event` uses it.
#[inline]
pub(crate) fn fence_seq_cst() {
    sync::atomic::fence(SeqCst);
}

/// Keeps the compiler, not the processor, from reordering.
#[inline]
pub(crate) fn fence_compiler() {
    std::sync::atomic::compiler_fence(SeqCst);
}

/// A fact about the process. Not a model's atomic: models have no such facts, and no statics either.
pub(crate) struct Fact(std::sync::atomic::AtomicBool);

impl Fact {
    pub(crate) const fn new() -> Self {
        Self(std::sync::atomic::AtomicBool::new(false))
    }
    /// Says so from now on; returns what was said before.
    pub(crate) fn settle(&self, is_so: bool) -> bool {
        // ORDERING: AcqRel. Release: what led to a fact is there for the thread that reads it. Acquire: as `is_so`.
        // Pairs with: `is_so` (Acquire). No model: models have no such facts.
        self.0.swap(is_so, AcqRel)
    }
    #[inline]
    pub(crate) fn is_so(&self) -> bool {
        // ORDERING: Acquire. See `settle`.
        // Pairs with: `settle` (AcqRel). No model: models have no such facts.
        self.0.load(Acquire)
    }
}

/// Whether loom runs this build. A model knows only the fences of the abstract machine.
pub(crate) const IS_MODEL: bool = cfg!(all(loom, feature = "__loom"));

/// Tells the processor that this is a wait loop (9 ns on the machines measured).
#[inline]
pub(crate) fn spin_hint() {
    hint::spin_loop();
}

/// Gives the core to another runnable thread, if there is one.
#[inline]
pub(crate) fn yield_thread() {
    thread::yield_now();
}
