//! The floor: what the workers of one executor share.

use std::sync::Arc;
use std::time::Instant;

use super::station::{NOBODY, Station};
use crate::lifecycle::Core;
use crate::lot::Lot;
use crate::sync::{AcqRel, Acquire, AtomicUsize, Relaxed};

/// What the workers of one executor share for their trials.
pub(crate) struct Trials {
    /// The worker whose trial is on.
    pub(super) holder: AtomicUsize,
    /// How often a duty has changed its home.
    moves: AtomicUsize,
}

impl Trials {
    pub(crate) fn new() -> Self {
        Self {
            holder: AtomicUsize::new(NOBODY),
            moves: AtomicUsize::new(0),
        }
    }

    /// How often that was.
    #[inline]
    pub(super) fn moves(&self) -> usize {
        self.moves.load(Relaxed)
    }

    /// A duty changes its home.
    pub(super) fn moved(&self) {
        self.moves.fetch_add(1, Relaxed);
    }
}

/// What the workers of one executor share.
pub(crate) struct Floor<'env> {
    pub(crate) core: Arc<Core>,
    pub(crate) lot: Arc<Lot>,
    /// When the clock began by which duties are held.
    pub(crate) epoch: Instant,
    pub(crate) trials: Trials,
    /// All duties, by number; bound ones show only their word here.
    pub(crate) stations: Vec<Station<'env>>,
    /// Numbers of the duties that float, last stage first.
    pub(crate) floating: Vec<usize>,
    /// How many of them have not ended.
    pub(crate) afloat: AtomicUsize,
    /// The worker that also feeds and collects, if one does.
    pub(crate) caller: Option<usize>,
}

impl Floor<'_> {
    /// The clock by which duties are held, in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts a floating duty that has come to its end.
    pub(super) fn count_end(&self) {
        // ORDERING: AcqRel. Who sees that all have ended sees what each did.
        // Pairs with: `Floor::is_all_done` (Acquire). Model: loom-tests/tests/lifecycle.rs.
        if self.afloat.fetch_sub(1, AcqRel) == 1 {
            self.lot.wake_all();
        }
    }

    pub(super) fn is_all_done(&self) -> bool {
        // ORDERING: Acquire. Who leaves because all have ended sees what they did.
        // Pairs with: the subtraction in `Worker::poll_floating`. Model: loom-tests/tests/lifecycle.rs.
        self.afloat.load(Acquire) == 0
    }
}
