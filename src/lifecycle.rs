//! The state of an executor: one phase that only grows, one error that is set at most once, one end.
//!
//! ```text
//!            new jobs    queued jobs   refusals say
//! OPEN       accepted    processed     –
//! CLOSED     refused     processed     Closed
//! ABANDONED  refused     dropped       Closed      (the last receiver left)
//! STOPPED    refused     dropped       Stopped
//! FAILED     refused     dropped       Failed
//! ```
//! The phase is moved by `fetch_max`, so calls in any order and number end in the strongest of them.
//!
//! The error pointer: null → an error, by whoever is first; or null → sealed, by the natural end. Each by
//! one compare-exchange, so exactly one of them wins; later errors are only counted.
//!
//! The end: the last duty to end seals the pointer, then sets `finished`, then wakes everybody.

#![expect(unsafe_code, reason = "the error is one pointer")]

use std::ops::Deref;
use std::ptr;
use std::sync::{Arc as StdArc, OnceLock};

use crossbeam_utils::CachePadded;

use crate::event::{Event, heavy_fence, light_fence};
use crate::lot::Lot;
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicUsize, Relaxed, Release};

/// How far the executor is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    Closed,
    Abandoned,
    Stopped,
    Failed,
}

impl Phase {
    fn from_word(word: usize) -> Self {
        match word {
            0 => Self::Open,
            1 => Self::Closed,
            2 => Self::Abandoned,
            3 => Self::Stopped,
            _ => Self::Failed,
        }
    }

    /// Whether queued jobs are dropped rather than run.
    pub(crate) fn drops_queued(self) -> bool {
        self >= Self::Abandoned
    }
}

/// What everybody who takes part in an executor shares, whatever its types: the phase, and whom to wake.
pub(crate) struct Core {
    phase: CachePadded<AtomicUsize>,
    /// Whether the only dispatcher is inside a push, or a feeder stays; its alone, where there is one.
    inside: CachePadded<AtomicUsize>,
    /// The executor's workers, once there are any.
    lot: OnceLock<StdArc<Lot>>,
    /// Dispatchers that wait for room, by ring: one list each, so that a slot wakes a thread that can use it.
    mouth: OnceLock<Box<[CachePadded<Event>]>>,
    /// Receivers that wait for a result.
    pub(crate) exit: CachePadded<Event>,
    /// Who waits for the end.
    pub(crate) end: Event,
}

impl Core {
    pub(crate) fn new() -> StdArc<Self> {
        StdArc::new(Self {
            phase: CachePadded::new(AtomicUsize::new(0)),
            inside: CachePadded::new(AtomicUsize::new(0)),
            lot: OnceLock::new(),
            mouth: OnceLock::new(),
            exit: CachePadded::new(Event::new()),
            end: Event::new(),
        })
    }

    /// Where we are. Read before every job.
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        // ORDERING: Acquire. Who sees FAILED sees the error.
        // Pairs with: `advance` (AcqRel). Model: loom-tests/tests/lifecycle.rs::first_error_wins.
        Phase::from_word(self.phase.load(Acquire))
    }

    /// Moves on to `phase`, or stays where it is if that is further, and wakes everybody.
    pub(crate) fn advance(&self, phase: Phase) {
        // ORDERING: AcqRel. Release: what led here (the error) is visible to who sees the phase.
        // Pairs with: `phase` (Acquire). Model: loom-tests/tests/lifecycle.rs::first_error_wins.
        if self.phase.fetch_max(phase as usize, AcqRel) < phase as usize {
            // A dispatcher that leaves behind a light fence and has not seen this has left before what follows.
            heavy_fence();
            self.wake_everybody();
        }
    }

    /// The only dispatcher begins to push, and is done when what this gives is dropped. `None`: no job is taken any
    /// more.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Inside<&Self>> {
        // Relaxed: the fence puts this before the look at the phase.
        self.inside.store(1, Relaxed);
        light_fence();
        let inside = Inside(self);
        (self.phase() == Phase::Open).then_some(inside)
    }

    /// A feeder stays inside until what this gives is dropped, also where the phase is no longer open: it sees that
    /// itself, and pushes what it has in hand. To be said before there are threads, by which they see it.
    pub(crate) fn stay(self: &StdArc<Self>) -> Inside<StdArc<Self>> {
        self.inside.store(1, Relaxed);
        Inside(StdArc::clone(self))
    }

    /// Whether the only dispatcher is seen inside a push. While it is, the end cannot be; it tells when it is out.
    pub(crate) fn has_inside(&self) -> bool {
        // ORDERING: Acquire. Who sees it out sees what it pushed.
        // Pairs with: `Inside::drop` (Release). Model: loom-tests/tests/lifecycle.rs::close_against_push.
        self.inside.load(Acquire) != 0
    }

    /// Whether the only dispatcher will never push again. To be asked by who has seen that the phase is not open.
    pub(crate) fn is_left(&self) -> bool {
        if self.has_inside() {
            return false;
        }
        // Either the dispatcher's look at the phase comes after this, or its word is seen below.
        heavy_fence();
        !self.has_inside()
    }

    /// The executor's workers, once there are any.
    pub(crate) fn lot(&self) -> Option<&StdArc<Lot>> {
        self.lot.get()
    }

    pub(crate) fn wake_everybody(&self) {
        light_fence(); // Who puts up the lot looks at the phase after it.
        if let Some(lot) = self.lot.get() {
            lot.wake_all();
        }
        for mouth in self.mouth.get().into_iter().flatten() {
            mouth.notify();
        }
        self.exit.notify();
        self.end.notify();
    }

    /// Says how many rings dispatchers push into. A phase that was left before is seen by each before it first sleeps.
    pub(crate) fn set_mouths(&self, rings: usize) {
        let events = (0..rings).map(|_| CachePadded::new(Event::new()));
        let _once = self.mouth.set(events.collect());
    }

    /// Where dispatchers wait for room in this ring of the first edge.
    #[inline]
    pub(crate) fn mouth(&self, ring: usize) -> &Event {
        match self.mouth.get().and_then(|events| events.get(ring)) {
            Some(event) => event,
            None => unreachable!("ring {ring} is made before anybody waits for it"),
        }
    }

    /// Says who the workers are. A phase that was left before is seen by each before it first sleeps.
    pub(crate) fn set_lot(&self, lot: &StdArc<Lot>) {
        let _once = self.lot.set(StdArc::clone(lot));
    }
}

/// A push that is under way, or a feeder that stays.
pub(crate) struct Inside<C: Deref<Target = Core>>(C);

impl<C: Deref<Target = Core>> Drop for Inside<C> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release. The push is there for who sees that it is over. (Models keep a thread's stores in order, so
        // they would not miss it.)
        // Pairs with: `Core::has_inside` (Acquire). Model: loom-tests/tests/lifecycle.rs::close_against_push.
        self.0.inside.store(0, Release);
        // Who went to sleep because of this push did so before the fence, and had seen the phase.
        light_fence();
        if self.0.phase() != Phase::Open {
            self.0.wake_everybody();
        }
    }
}

/// # Invariants
/// * I1: `error` is null, `sealed()`, or came from `Arc::into_raw` and is owned by this lifecycle; it
///   changes at most once, from null.
pub(crate) struct Lifecycle<F> {
    error: AtomicPtr<F>,
    suppressed: AtomicUsize,
    finished: AtomicUsize,
}

// SAFETY: the only non-auto part is the pointer, which stands for an `Arc<F>` (I1): shared between threads
// it lends `&F` and clones of the `Arc`, which asks for `F: Send + Sync`.
unsafe impl<F: Send + Sync> Send for Lifecycle<F> {}
// SAFETY: as for `Send`.
unsafe impl<F: Send + Sync> Sync for Lifecycle<F> {}

impl<F> Lifecycle<F> {
    pub(crate) fn new() -> Self {
        Self {
            error: AtomicPtr::new(ptr::null_mut()),
            suppressed: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        }
    }

    /// Sets the error if it is the first and the end has not come.
    ///
    /// # Errors
    /// The error back: another one was first (it counts as suppressed), or the executor has finished.
    pub(crate) fn set_error(&self, error: StdArc<F>) -> Result<(), StdArc<F>> {
        let raw = StdArc::into_raw(error).cast_mut();
        // ORDERING: AcqRel. Release publishes the error's content; Acquire sees the seal's end.
        // Pairs with: `error` (Acquire). Model: loom-tests/tests/lifecycle.rs::first_error_wins.
        match self
            .error
            .compare_exchange(ptr::null_mut(), raw, AcqRel, Acquire)
        {
            Ok(_) => Ok(()),
            Err(now) => {
                if now != Self::sealed() {
                    self.suppressed.fetch_add(1, Relaxed);
                }
                // SAFETY: `raw` came from `into_raw` above and was not stored anywhere.
                Err(unsafe { StdArc::from_raw(raw) })
            }
        }
    }

    /// The first error.
    pub(crate) fn error(&self) -> Option<StdArc<F>> {
        // ORDERING: Acquire. Sees the content behind the pointer.
        // Pairs with: `set_error` (AcqRel). Model: loom-tests/tests/lifecycle.rs::first_error_wins.
        let raw = self.error.load(Acquire).cast_const();
        if raw.is_null() || raw == Self::sealed().cast_const() {
            return None;
        }
        // SAFETY: I1, the pointer came from `into_raw` and the lifecycle owns one count of it.
        unsafe { StdArc::increment_strong_count(raw) };
        // SAFETY: the count added above is ours to give away.
        Some(unsafe { StdArc::from_raw(raw) })
    }

    /// How many errors came after the first.
    pub(crate) fn suppressed(&self) -> usize {
        self.suppressed.load(Relaxed)
    }

    /// The end: from now on no error can be set, and `is_finished` holds.
    pub(crate) fn finish(&self) {
        // ORDERING: AcqRel. An error set before is seen here; one that comes after sees the seal.
        // Pairs with: `set_error` (AcqRel). Model: loom-tests/tests/lifecycle.rs::error_against_seal.
        let _ = self
            .error
            .compare_exchange(ptr::null_mut(), Self::sealed(), AcqRel, Acquire);
        // ORDERING: Release. Who sees the end sees the error or seal, all counters and all results.
        // Pairs with: `is_finished` (Acquire). Model: loom-tests/tests/lifecycle.rs::done_is_last.
        self.finished.store(1, Release);
    }

    /// Whether every stage has ended and nobody runs.
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: Acquire. See `finish`.
        // Pairs with: `finish` (Release). Model: loom-tests/tests/lifecycle.rs::done_is_last.
        self.finished.load(Acquire) != 0
    }

    /// An address that no `Arc<F>` has.
    fn sealed() -> *mut F {
        ptr::without_provenance_mut(ptr::null::<F>().wrapping_byte_sub(1).addr())
    }
}

impl<F> Drop for Lifecycle<F> {
    fn drop(&mut self) {
        let raw = self.error.load(Relaxed);
        if !raw.is_null() && raw != Self::sealed() {
            // SAFETY: I1, the lifecycle owns this count, and nobody can ask any more.
            drop(unsafe { StdArc::from_raw(raw.cast_const()) });
        }
    }
}
