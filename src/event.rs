//! Sleeping and waking, and the only fences of this crate.
//!
//! An [`Event`] is an eventcount: one word holds an epoch and how many wait; a lock and a condition
//! variable serve only those that really sleep.
//!
//! # Protocol
//! The sleeper: (1) registers in the word, (2) heavy fence, (3) looks once more whether what it waits for
//! is there, (4) sleeps until the word's epoch is another one, or until there is a token to take.
//! The waker: (a) makes it true (publishes a slot, gives one back, sets a flag), (b) light fence, (c) reads
//! the word; if somebody is registered, [`Event::notify`] starts the next epoch with nobody registered, and
//! [`Event::notify_one`] takes one registration away and puts a token down for it. Then it rings the bell.
//!
//! The two fences put (2) before (b) or (b) before (2) in one total order. In the first case (c) reads what
//! (1) wrote and wakes; in the second (3) sees what (a) wrote and nobody sleeps. Model:
//! `loom-tests/tests/event.rs`; without either fence it deadlocks.
//!
//! # Waking one
//! A token is a wake that has been paid for. The thread that takes it owes something: if it leaves without having taken
//! what it was woken for, it wakes the next one, and if it has taken one thing and sees another, too ([`Token`]).
//! So a waker that makes several things true wakes one thread, and no thread is woken for nothing: with a
//! broadcast, each slot that is given back would wake every thread that waits for one.
//! A thread whose time is up may find that its registration is gone: then a token is meant for it, and it takes that.
//! Tokens belong to an epoch; those of an epoch that is over are void, since its sleepers have all been woken.
//!
//! # Fences
//! Wakers are many and quick, sleepers are rare and about to lose 27–57 µs anyway. So the light fence is a
//! compiler fence where Linux's `membarrier` (private expedited) can make the heavy one reach every running
//! thread of the process; elsewhere, and where the environment has `RINGMILL_NO_MEMBARRIER`, both are full
//! fences. (The idea is that of liburcu and of Folly's asymmetric fences.)
//!
//! To register for `membarrier` takes 6 to 12 ms in a process with other threads, so it is nothing for a start. The
//! first thread that is about to sleep has a thread of its own do it, once a process. Until then both fences are full ones.
//! The order in which the process changes over: register, make heavy fences reach everybody (`HEAVY`), fence once, make
//! light fences light (`LIGHT`). A waker that reads `LIGHT` has therefore been told by every sleeper that fences from now
//! on, and a sleeper that fenced before that is seen by it. If the call fails later (a seccomp filter, say), `LIGHT` is
//! taken back for good, and from then on no sleep is longer than [`UNSURE`]: a waker may be between its two steps.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the membarrier system call")
)]

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::sync::{
    AcqRel, Acquire, AtomicUsize, Condvar, Mutex, MutexGuard, Relaxed, fence_compiler,
    fence_seq_cst,
};

/// The longest sleep once light fences can no longer be trusted: ten wakes a second cost less than 0.1 % of a core.
const UNSURE: Duration = Duration::from_millis(100);

/// Low part of the word: how many wait and have not been woken. The rest: the epoch.
const SLEEPERS: usize = 0xffff;
const EPOCH: usize = SLEEPERS + 1;

/// Something to wait for. Any number of threads may sleep on it.
pub(crate) struct Event {
    word: AtomicUsize,
    tokens: Mutex<Tokens>,
    bell: Condvar,
}

/// How many sleepers of an epoch have been woken one by one, and have not noticed.
struct Tokens {
    epoch: usize,
    count: usize,
}

impl Tokens {
    fn take(&mut self, epoch: usize) -> bool {
        let is_there = self.epoch == epoch && self.count > 0;
        self.count -= usize::from(is_there);
        is_there
    }

    /// Begins with an epoch, unless a later one has begun.
    fn begin(&mut self, epoch: usize) {
        if epoch.wrapping_sub(self.epoch).cast_signed() > 0 {
            *self = Self { epoch, count: 0 };
        }
    }
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// By itself: what it waits for is there, or its time is up.
    No,
    /// With all others.
    All,
    /// Alone: see [`Token`].
    One,
}

impl Event {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            tokens: Mutex::new(Tokens { epoch: 0, count: 0 }),
            bell: Condvar::new(),
        }
    }

    /// Sleeps until it is woken, at the latest until `deadline`. Does not sleep if `ready` already holds after this thread
    /// is registered.
    pub(crate) fn sleep(&self, deadline: Option<Instant>, ready: impl FnOnce() -> bool) -> Woken {
        system::prepare();
        // Relaxed: the heavy fence orders this before what `ready` reads.
        let epoch = self.word.fetch_add(1, Relaxed) & !SLEEPERS;
        let is_sure = heavy_fence();
        if ready() && self.leave(epoch) {
            return Woken::No;
        }
        let unsure = (!is_sure).then(|| Instant::now() + UNSURE);
        let deadline = deadline.into_iter().chain(unsure).min();
        let mut tokens = lock(&self.tokens);
        loop {
            if !self.is_epoch(epoch) {
                return Woken::All;
            }
            if tokens.take(epoch) {
                return Woken::One;
            }
            let Some(deadline) = deadline else {
                tokens = self
                    .bell
                    .wait(tokens)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && self.leave(epoch) {
                return Woken::No;
            }
            // Where the registration is gone, a token is on its way.
            tokens = self.bell.wait_for(tokens, left);
        }
    }

    /// Wakes all that sleep, after a light fence. Returns whether there was anybody.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        light_fence();
        self.has_sleepers() && self.ring()
    }

    /// Wakes one that sleeps, after a light fence. Returns whether there was anybody.
    #[inline]
    pub(crate) fn notify_one(&self) -> bool {
        light_fence();
        self.has_sleepers() && self.put_token()
    }

    /// Whether somebody sleeps or is about to, and has not been woken; to be read after a [`light_fence`].
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
            // ORDERING: AcqRel. Release: the woken thread sees what the waker did before. Acquire: the sleeper's
            // registration comes before the bell below.
            // Pairs with: `is_epoch` (Acquire). Model: loom-tests/tests/event.rs::push_wakes.
            match self.word.compare_exchange_weak(word, next, AcqRel, Relaxed) {
                Ok(_) => {
                    // A sleeper that read the old epoch under the lock is at the bell once we have it.
                    lock(&self.tokens).begin(next);
                    self.bell.notify_all();
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    #[cold]
    #[inline(never)]
    fn put_token(&self) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & SLEEPERS != 0 {
            // ORDERING: Acquire. The sleeper's registration comes before the bell below. What the waker did before reaches
            // the sleeper through the lock.
            // Pairs with: `sleep` (the lock). Model: loom-tests/tests/event.rs::one_token_wakes_one.
            match self
                .word
                .compare_exchange_weak(word, word - 1, Acquire, Relaxed)
            {
                Ok(_) => {
                    let epoch = word & !SLEEPERS;
                    let mut tokens = lock(&self.tokens);
                    tokens.begin(epoch);
                    // Of an epoch that is over it would be void: all its sleepers have been woken.
                    if tokens.epoch == epoch {
                        tokens.count += 1;
                    }
                    drop(tokens);
                    self.bell.notify_one();
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    fn is_epoch(&self, epoch: usize) -> bool {
        // ORDERING: Acquire. The woken thread sees what the waker did before it rang.
        // Pairs with: `ring` (AcqRel). Model: loom-tests/tests/event.rs::push_wakes.
        self.word.load(Acquire) & !SLEEPERS == epoch
    }

    /// Takes back a registration, unless a waker has taken all there are: then returns false.
    fn leave(&self, epoch: usize) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & !SLEEPERS == epoch && word & SLEEPERS != 0 {
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

/// What a thread owes that was woken alone, and not with all others: to wake the next ones if there is more than it
/// takes, and one if it takes nothing.
pub(crate) struct Token<'a, F: FnMut() -> bool> {
    event: &'a Event,
    /// Whether there is something to take.
    ready: F,
    /// Whether it has been woken alone, and has not passed that on.
    is_held: bool,
}

impl<'a, F: FnMut() -> bool> Token<'a, F> {
    pub(crate) fn new(event: &'a Event, ready: F) -> Self {
        Self {
            event,
            ready,
            is_held: false,
        }
    }

    /// Whether trying is worth it.
    pub(crate) fn is_ready(&mut self) -> bool {
        (self.ready)()
    }

    /// Sleeps, as [`Event::sleep`].
    pub(crate) fn sleep(&mut self, deadline: Option<Instant>) {
        self.is_held |= self.event.sleep(deadline, &mut self.ready) == Woken::One;
    }
}

impl<F: FnMut() -> bool> Drop for Token<'_, F> {
    /// However the wait ends. Two at a time, so that many sleepers are woken in a few steps and not one by one.
    fn drop(&mut self) {
        if self.is_held {
            let _woken = (0..2).all(|_| (self.ready)() && self.event.notify_one());
        }
    }
}

/// Only tokens are protected by these locks, and no step leaves them half changed: a poisoned one is as good as new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The waker's half of the pair: orders what was made true before the look for sleepers.
#[inline]
pub(crate) fn light_fence() {
    if system::is_light() {
        fence_compiler();
    } else {
        fence_seq_cst();
    }
}

/// The sleeper's half of the pair: orders its registration before its last look. Returns whether it can be relied on
/// for sure: if not, a waker may have missed the registration.
#[inline(never)]
pub(crate) fn heavy_fence() -> bool {
    fence_seq_cst();
    system::run()
}

/// Has sleeps of the calling thread end on time, where the system lets it: by default Linux adds up to 50 µs, so that
/// wakes can be done together. Threads that this one starts inherit it.
pub(crate) fn sleep_precisely() {
    #[cfg(target_os = "linux")]
    system::set_timer_slack();
}

/// System calls.
#[cfg(target_os = "linux")]
mod system {
    use std::thread;

    use crate::sync::{Fact, IS_MODEL};

    /// Set by the first that asks for it.
    static ASKED: Fact = Fact::new();
    /// Heavy fences reach every thread.
    static HEAVY: Fact = Fact::new();
    /// Light fences are light: set after `HEAVY` and a barrier, read before each look for sleepers.
    static LIGHT: Fact = Fact::new();
    /// The call has failed although it had worked.
    static BROKEN: Fact = Fact::new();

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes three integers, touches no memory of ours and fails with -1 where the
        // kernel does not have it.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn set_timer_slack() {
        // SAFETY: the call takes integers and changes a number of the calling thread.
        let _ignored =
            unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize, 0_usize, 0_usize, 0_usize) };
    }

    /// Sees to it that the process is registered some time. Waits for nothing.
    #[inline]
    pub(super) fn prepare() {
        if !IS_MODEL && !ASKED.is_so() {
            ask();
        }
    }

    #[cold]
    fn ask() {
        if ASKED.settle(true) || std::env::var_os("RINGMILL_NO_MEMBARRIER").is_some() {
            return;
        }
        // Where there is no thread to be had, all fences stay full ones.
        let _spawned = thread::Builder::new()
            .name("ringmill/fences".into())
            .stack_size(64 << 10)
            .spawn(|| {
                if call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) {
                    HEAVY.settle(true);
                    let _was = LIGHT.settle(call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED));
                }
            });
    }

    #[inline]
    pub(super) fn is_light() -> bool {
        LIGHT.is_so()
    }

    /// Has every running thread of the process execute a full fence, if the process is registered. Whether all is as it
    /// should be.
    pub(super) fn run() -> bool {
        if HEAVY.is_so() && !call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            HEAVY.settle(false);
            LIGHT.settle(false);
            BROKEN.settle(true);
        }
        !BROKEN.is_so()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn prepare() {}
    #[inline]
    pub(super) fn is_light() -> bool {
        false
    }
    pub(super) fn run() -> bool {
        true
    }
}
