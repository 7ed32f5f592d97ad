//! Sleeping and waking, and the only fences of this crate.
//!
//! An [`Event`] is an eventcount: one word holds an epoch and how many sleep; a lock and a condition
//! variable serve only those who really sleep.
//!
//! # Protocol
//! The sleeper: (1) registers in the word, (2) heavy fence, (3) looks once more whether what it waits for
//! is there, (4) sleeps while the word's epoch is the one it registered in.
//! The waker: (a) makes it true (publishes a slot, gives one back, sets a flag), (b) light fence, (c) reads
//! the word; if somebody is registered, starts the next epoch with nobody registered and rings the bell.
//!
//! The two fences put (2) before (b) or (b) before (2) in one total order. In the first case (c) reads what
//! (1) wrote and wakes; in the second (3) sees what (a) wrote and nobody sleeps. Model:
//! `loom-tests/tests/event.rs`; without either fence it deadlocks.
//!
//! Wakers are many and quick, sleepers are rare and about to lose 27–57 µs anyway. So the light fence is a
//! compiler fence where Linux's `membarrier` (private expedited) can make the heavy one reach every running
//! thread of the process; elsewhere, and where the environment has `RINGMILL_NO_MEMBARRIER`, both are full
//! fences. (The idea is that of liburcu and of Folly's asymmetric fences.)

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the membarrier system call")
)]

use std::sync::PoisonError;
use std::time::Instant;

use crate::sync::{
    AcqRel, Acquire, AtomicUsize, Condvar, Mutex, MutexGuard, Relaxed, fence_compiler,
    fence_seq_cst,
};

/// Low half of the word: how many sleep. The rest: the epoch.
const SLEEPERS: usize = 0xffff;
const EPOCH: usize = SLEEPERS + 1;

/// Something to wait for. Any number of threads may sleep on it.
pub(crate) struct Event {
    word: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Event {
    pub(crate) fn new() -> Self {
        membarrier::register();
        Self {
            word: AtomicUsize::new(0),
            lock: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// Sleeps until somebody notifies, at the latest until `deadline`. Does not sleep if `ready` already
    /// holds after this thread is registered. Returns whether somebody notified.
    pub(crate) fn sleep(&self, deadline: Option<Instant>, ready: impl FnOnce() -> bool) -> bool {
        // Relaxed: the heavy fence orders this before what `ready` reads.
        let epoch = self.word.fetch_add(1, Relaxed) & !SLEEPERS;
        heavy_fence();
        if ready() {
            return !self.leave(epoch);
        }
        let mut guard = lock(&self.lock);
        while self.is_epoch(epoch) {
            let Some(deadline) = deadline else {
                guard = self
                    .bell
                    .wait(guard)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(guard);
                return !self.leave(epoch);
            }
            guard = self.bell.wait_for(guard, left);
        }
        true
    }

    /// Wakes all who sleep, after a light fence. Returns whether there was anybody.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        light_fence();
        self.has_sleepers() && self.ring()
    }

    /// Whether somebody sleeps or is about to; to be read after a [`light_fence`].
    #[inline]
    pub(crate) fn has_sleepers(&self) -> bool {
        self.word.load(Relaxed) & SLEEPERS != 0
    }

    #[cold]
    #[inline(never)]
    fn ring(&self) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & SLEEPERS != 0 {
            let next = (word & !SLEEPERS).wrapping_add(EPOCH);
            // ORDERING: AcqRel. Release: who wakes sees what the waker did before. Acquire: the sleeper's
            // registration comes before the bell below.
            // Pairs with: `is_epoch` (Acquire). Model: loom-tests/tests/event.rs::push_wakes.
            match self.word.compare_exchange_weak(word, next, AcqRel, Relaxed) {
                Ok(_) => {
                    // A sleeper that read the old epoch under the lock is at the bell once we have it.
                    drop(lock(&self.lock));
                    self.bell.notify_all();
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    fn is_epoch(&self, epoch: usize) -> bool {
        // ORDERING: Acquire. Who wakes sees what the waker did before it rang.
        // Pairs with: `ring` (AcqRel). Model: loom-tests/tests/event.rs::push_wakes.
        self.word.load(Acquire) & !SLEEPERS == epoch
    }

    /// Takes back a registration, unless a waker has counted it already: then returns false.
    fn leave(&self, epoch: usize) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & !SLEEPERS == epoch {
            // Relaxed: nothing is published by not sleeping.
            match self
                .word
                .compare_exchange_weak(word, word - 1, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }
}

/// Nothing is protected by these locks, so a poisoned one is as good as new.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The waker's half of the pair: orders what was made true before the look for sleepers.
#[inline]
pub(crate) fn light_fence() {
    if membarrier::is_registered() {
        fence_compiler();
    } else {
        fence_seq_cst();
    }
}

/// The sleeper's half of the pair: orders its registration before its last look.
#[inline(never)]
pub(crate) fn heavy_fence() {
    fence_seq_cst();
    if membarrier::is_registered() {
        membarrier::run();
    }
}

#[cfg(target_os = "linux")]
mod membarrier {
    use std::sync::Once;

    use crate::sync::{Fact, IS_MODEL};

    static ONCE: Once = Once::new();
    /// Read before every look for sleepers; whoever looks has an event, which was made after this was settled.
    static REGISTERED: Fact = Fact::new();

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes three integers, touches no memory of ours and fails with -1 where the
        // kernel does not have it.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Once per process, before the first event can be slept on.
    pub(super) fn register() {
        ONCE.call_once(|| {
            let is_registered = !IS_MODEL
                && std::env::var_os("RINGMILL_NO_MEMBARRIER").is_none()
                && call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
            REGISTERED.settle(is_registered);
        });
    }

    #[inline]
    pub(super) fn is_registered() -> bool {
        REGISTERED.is_so()
    }

    pub(super) fn run() {
        call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    }
}

#[cfg(not(target_os = "linux"))]
mod membarrier {
    pub(super) fn register() {}
    #[inline]
    pub(super) fn is_registered() -> bool {
        false
    }
    pub(super) fn run() {}
}
