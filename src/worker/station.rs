//! A station: where a duty lives, and what anybody may see of it without claiming it.

#![expect(unsafe_code, reason = "the claim hands the duty from worker to worker")]

use std::sync::Arc;

use super::duty::{Poll, Polled};
use crate::edge::{InputPeek, OutputPeek};
use crate::lifecycle::Phase;
use crate::lot::{BOUND, CLAIMED, DORMANT, ENDED, HAND, HOLDS, LANE, Neighbour};
use crate::scale::Share;
use crate::sync::{Acquire, AtomicU64, AtomicUsize, Relaxed, Release, UnsafeCell};

/// No worker.
pub(super) const NOBODY: usize = usize::MAX;

/// A duty that floats.
pub(crate) type Floating<'env> = Box<dyn Poll + Send + 'env>;

/// How long a duty stays where it is after a trial, at least, in nanoseconds: a trial that fails costs two
/// milliseconds at half the speed, say, and should not be seen in the whole. Four times as long after each that
/// failed, up to 4³ times (2 s).
const HOLD: u64 = 32_000_000;
const HOLD_MOST: u32 = 3;

/// What may make everything go faster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another worker polls the duty, too, while its home is busy: good for balance, and for duties with little state.
    Share,
    /// The duty has another home: good where its state is large.
    Move,
}

/// What is remembered of a duty's trials.
pub(super) struct Past {
    /// Until when it is not tried again, in nanoseconds of the floor's clock.
    pub(super) held_until: AtomicU64,
    /// How many have failed in a row.
    failed: AtomicUsize,
    /// The worker that saw to it that workers elsewhere may poll it, too, or nobody.
    sharer: AtomicUsize,
    /// Whether other instances take the same jobs: then those of other workers do what sharing would do.
    pub(super) has_siblings: bool,
}

impl Past {
    pub(super) fn new(has_siblings: bool) -> Self {
        Self {
            held_until: AtomicU64::new(0),
            failed: AtomicUsize::new(0),
            sharer: AtomicUsize::new(NOBODY),
            has_siblings,
        }
    }

    /// What is to be tried next: to share it first, and where that did not help, to move it.
    pub(super) fn next(&self) -> Kind {
        let has_failed = self.failed.load(Relaxed) % 2 == 1;
        if self.has_siblings || self.sharer.load(Relaxed) != NOBODY || has_failed {
            Kind::Move
        } else {
            Kind::Share
        }
    }

    /// Only who holds the trial writes.
    pub(super) fn record(&self, now: u64, succeeded: bool) {
        let failed = if succeeded {
            0
        } else {
            self.failed.load(Relaxed) + 1
        };
        self.failed.store(failed, Relaxed);
        let longer = u32::try_from(failed).map_or(HOLD_MOST, |failed| failed.min(HOLD_MOST));
        self.held_until.store(now + (HOLD << (2 * longer)), Relaxed);
    }
}

/// # Invariants
/// * I1: who changed the word from unclaimed to `CLAIMED` is the only one to touch the duty until it
///   gives the claim back.
pub(crate) struct Station<'env> {
    flags: Neighbour,
    duty: UnsafeCell<Option<Floating<'env>>>,
    input: Arc<dyn InputPeek + 'env>,
    output: Arc<dyn OutputPeek + 'env>,
    /// Later ones have higher numbers.
    pub(super) stage: usize,
    /// The worker that it comes back to when it needs no help.
    pub(crate) native: usize,
    pub(super) past: Past,
    /// From this backlog on another worker helps.
    pub(crate) threshold: usize,
    /// Its part in the number of its stage's instances, where that changes.
    pub(crate) share: Option<Share>,
}

// SAFETY: the duty is `Send`, and by I1 one thread at a time touches it; everything else is `Sync`.
unsafe impl Sync for Station<'_> {}

impl<'env> Station<'env> {
    pub(crate) fn new(
        flags: Neighbour,
        duty: Option<Floating<'env>>,
        input: Arc<dyn InputPeek + 'env>,
        output: Arc<dyn OutputPeek + 'env>,
        threshold: usize,
        share: Option<Share>,
        has_siblings: bool,
    ) -> Self {
        Self {
            stage: 0,
            native: flags.home(),
            past: Past::new(has_siblings),
            flags,
            duty: UnsafeCell::new(duty),
            input,
            output,
            threshold,
            share,
        }
    }

    /// Says which stage its duty belongs to.
    pub(crate) fn of_stage(mut self, stage: usize) -> Self {
        self.stage = stage;
        self
    }

    /// Whether the duty, left alone, would move something on. The one predicate: looked at before a claim,
    /// for helping, and before parking.
    #[inline]
    pub(crate) fn is_ready(&self, phase: Phase) -> bool {
        let word = self.flags.word.load(Relaxed);
        if word & (ENDED | DORMANT) != 0 {
            // A dormant instance builds its state when it is wanted, and ends with its input.
            let is_called = || self.is_wanted_alive() && !phase.drops_queued();
            return word & ENDED == 0 && (self.input.is_at_end() || is_called());
        }
        let stopping = phase.drops_queued();
        if word & HOLDS != 0 {
            return stopping || self.output.has_room_in(word >> LANE);
        }
        if word & HAND != 0 {
            return stopping || self.output.has_room();
        }
        let has_jobs = if stopping {
            self.input.has_waiting()
        } else {
            self.input.has_jobs() && self.output.has_room()
        };
        has_jobs || self.has_news()
    }

    /// Whether a poll of its home is worth it: as [`Station::is_runnable`], but for jobs that others are likely to take,
    /// and for the room behind it. The duty knows of that without a look at what others write, mostly.
    #[inline]
    pub(crate) fn is_due(&self, phase: Phase) -> bool {
        let word = self.flags.word.load(Relaxed);
        if word & (CLAIMED | BOUND) != 0 {
            return false;
        }
        if word & (ENDED | DORMANT | HOLDS | HAND) != 0 || phase.drops_queued() {
            return self.is_ready(phase);
        }
        self.input.has_near_jobs() || self.has_news()
    }

    /// Whether all that it could do now is what another instance at the same worker has just done: taking jobs from a ring
    /// that both share.
    #[inline]
    pub(super) fn is_spare(&self) -> bool {
        let word = self.flags.word.load(Relaxed);
        self.past.has_siblings && self.input.is_shared() && word & (HOLDS | HAND) == 0
    }

    /// Whether a poll would find its input at the end, or that it is not wanted any more.
    #[inline]
    fn has_news(&self) -> bool {
        self.input.is_at_end() || self.share.as_ref().is_some_and(|it| !it.is_wanted())
    }

    /// Whether it is one of as many instances as are wanted.
    fn is_wanted_alive(&self) -> bool {
        self.share.as_ref().is_none_or(Share::is_wanted)
    }

    /// Whether it has no state at the moment.
    pub(crate) fn is_dormant(&self) -> bool {
        self.flags.word.load(Relaxed) & DORMANT != 0
    }

    /// Whether it stays at home where it is: the number of its stage's instances changes.
    pub(crate) fn is_kept(&self) -> bool {
        self.share.is_some()
    }

    /// [`Station::is_ready`], or somebody polls it right now.
    pub(crate) fn is_wanted(&self, phase: Phase) -> bool {
        self.is_claimed() || self.is_ready(phase)
    }

    /// [`Station::is_ready`], and nobody has claimed it.
    #[inline]
    pub(crate) fn is_runnable(&self, phase: Phase) -> bool {
        self.flags.word.load(Relaxed) & (CLAIMED | BOUND) == 0 && self.is_ready(phase)
    }

    /// Whether somebody polls it right now.
    #[inline]
    pub(crate) fn is_claimed(&self) -> bool {
        self.flags.word.load(Relaxed) & CLAIMED != 0
    }

    /// The worker that always polls it.
    #[inline]
    pub(crate) fn home(&self) -> usize {
        self.flags.home()
    }

    /// Whether workers elsewhere may poll it, too.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.sharer().is_some()
    }

    /// Who saw to that.
    #[inline]
    pub(super) fn sharer(&self) -> Option<usize> {
        Some(self.past.sharer.load(Relaxed)).filter(|&sharer| sharer != NOBODY)
    }

    /// Says who sees to it, if anybody.
    pub(super) fn share(&self, sharer: Option<usize>) {
        self.past.sharer.store(sharer.unwrap_or(NOBODY), Relaxed);
    }

    /// Gives it another home.
    pub(crate) fn move_to(&self, worker: usize) {
        self.flags.move_to(worker);
    }

    pub(crate) fn backlog(&self) -> usize {
        self.input.backlog()
    }

    /// The number of the next job that its input gives.
    pub(super) fn next_job(&self) -> usize {
        self.input.next_job()
    }

    /// Polls the duty if nobody else does. `None` if somebody does, or it has ended.
    pub(crate) fn try_poll(&self) -> Option<Polled> {
        let word = self.flags.word.load(Relaxed);
        if word & (CLAIMED | BOUND | ENDED) != 0 {
            return None;
        }
        // ORDERING: Acquire. The duty's state is as its last holder left it.
        // Pairs with: the swap below (Release). Model: loom-tests/tests/station.rs::claim_hands_over.
        self.flags
            .word
            .compare_exchange(word, word | CLAIMED, Acquire, Relaxed)
            .ok()?;
        let polled = self.duty.with_mut(|duty| {
            // SAFETY: I1, the exchange above gave us the claim; the pointer comes from a live cell.
            let duty = unsafe { &mut *duty };
            duty.as_mut().map(|duty| duty.poll())
        });
        let next = polled.as_ref().map_or(ENDED, |polled| polled.word);
        // ORDERING: Release, by an exchange so that no look in between is lost.
        // Pairs with: the claim above (Acquire). Model: loom-tests/tests/station.rs::claim_hands_over.
        self.flags.word.swap(next, Release);
        polled
    }

    /// Ends the duty, in whose poll the calling thread has panicked: it holds the claim still. Whether it did.
    pub(super) fn abort(&self) -> bool {
        let word = self.flags.word.load(Relaxed);
        if word & CLAIMED == 0 || word & ENDED != 0 {
            return false;
        }
        self.duty.with_mut(|duty| {
            // SAFETY: I1, the claim of the poll that panicked was not given back; the pointer comes from a live cell.
            let duty = unsafe { &mut *duty };
            if let Some(duty) = duty {
                duty.abort();
            }
        });
        // ORDERING: Release, as in `try_poll`.
        // Pairs with: the claim there (Acquire). Model: loom-tests/tests/station.rs::claim_hands_over.
        self.flags.word.swap(ENDED, Release);
        true
    }

    /// What a bound duty, polled by its only worker, lets others see.
    pub(crate) fn show(&self, polled: &Polled) {
        // Relaxed: looks at the word of a bound duty only hint. By an exchange, so that no sleeper's last look misses it.
        self.flags.word.swap(polled.word | BOUND, Relaxed);
    }
}
