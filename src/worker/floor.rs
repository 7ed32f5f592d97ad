//! The floor: what the workers of one executor share.

use std::sync::Arc;
use std::time::Instant;

use super::duty::Polled;
use super::station::{NOBODY, Station};
use crate::lifecycle::Core;
use crate::lot::{ENDED, Lot};
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
    pub(crate) staff: Staff,
}

/// Which of the workers that poll floating duties have a thread.
///
/// ```text
/// HERE       has one
/// DISMISSED  has one, which leaves when nothing is at home there
/// LEAVING    has one, which will not work any more
/// GONE       has none
/// ```
/// The keeper dismisses and calls back (HERE ⇄ DISMISSED) and hires (GONE → HERE), the thread itself leaves
/// (DISMISSED → LEAVING → GONE). Each by one exchange, so that a worker that is called back stays.
pub(crate) struct Staff(Box<[AtomicUsize]>);

pub(super) const HERE: usize = 0;
pub(super) const DISMISSED: usize = 1;
const LEAVING: usize = 2;
const GONE: usize = 3;

impl Staff {
    /// Of `workers`, the first `here` have a thread.
    pub(crate) fn new(workers: usize, here: usize) -> Self {
        let state = |worker| AtomicUsize::new(if worker < here { HERE } else { GONE });
        Self((0..workers).map(state).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is(&self, worker: usize, state: usize) -> bool {
        self.0
            .get(worker)
            .is_some_and(|word| word.load(Relaxed) == state)
    }

    fn change(&self, worker: usize, from: usize, to: usize) -> bool {
        // ORDERING: AcqRel. A thread that is hired sees what the last one left, and a worker that leaves sees what
        // was at home there before it was dismissed.
        // Pairs with: itself. Model: loom-tests/tests/scale.rs::called_back_or_gone.
        let changed = self.0[worker].compare_exchange(from, to, AcqRel, Relaxed);
        changed.is_ok()
    }

    /// Tells a worker that it is not needed.
    pub(crate) fn dismiss(&self, worker: usize) -> bool {
        self.change(worker, HERE, DISMISSED)
    }

    /// Makes a worker have a thread: `None` if it does, and otherwise whether it may be given a new one.
    pub(crate) fn call_back(&self, worker: usize) -> Option<bool> {
        if self.is(worker, HERE) || self.change(worker, DISMISSED, HERE) {
            return None;
        }
        Some(self.change(worker, GONE, HERE))
    }

    /// The thread that was to be hired could not be.
    pub(super) fn not_hired(&self, worker: usize) {
        self.change(worker, HERE, GONE);
    }

    /// A dismissed worker with nothing at home leaves.
    pub(crate) fn leaves(&self, worker: usize) -> bool {
        self.change(worker, DISMISSED, LEAVING)
    }

    /// Its thread is over, as far as others are concerned. Whether it left because it was dismissed.
    pub(crate) fn has_left(&self, worker: usize) -> bool {
        worker < self.0.len() && self.change(worker, LEAVING, GONE)
    }
}

impl Floor<'_> {
    /// The clock by which duties are held, in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts a floating duty that a poll has brought to its end.
    pub(super) fn count_end(&self, polled: &Polled) {
        // ORDERING: AcqRel. Who sees that all have ended sees what each did.
        // Pairs with: `Floor::is_all_done` (Acquire). Model: loom-tests/tests/lifecycle.rs.
        if polled.word & ENDED != 0 && self.afloat.fetch_sub(1, AcqRel) == 1 {
            self.lot.wake_all();
        }
    }

    pub(super) fn is_all_done(&self) -> bool {
        // ORDERING: Acquire. Who leaves because all have ended sees what they did.
        // Pairs with: the subtraction in `Worker::poll_floating`. Model: loom-tests/tests/lifecycle.rs.
        self.afloat.load(Acquire) == 0
    }
}
