//! The word of a duty, with its bits, and the worker at which the duty is at home.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicUsize, Relaxed};

/// What everybody may see of one duty: who polls it, whether it waits for room, and where it is at home.
///
/// ```text
/// CLAIMED   a worker polls it
/// BOUND     only one worker ever polls it, without a claim
/// HOLDS     it has a result that found no room, or a job with results to come: it takes no new job
/// HAND      it has claimed jobs of a shared input that it has not started
/// ENDED     its input has ended and it will never be polled again
/// DORMANT   it has no state and takes no jobs, until it is wanted again or its input ends
/// the rest  while it holds: for which lane of its output
/// ```
pub(crate) struct Flags {
    pub(crate) word: AtomicUsize,
    home: AtomicUsize,
}

impl Flags {
    pub(crate) fn new(word: usize, home: usize) -> Neighbour {
        let (word, home) = (AtomicUsize::new(word), AtomicUsize::new(home));
        Arc::new(CachePadded::new(Self { word, home }))
    }

    /// The worker that always polls it. Another may become that.
    #[inline]
    pub(crate) fn home(&self) -> usize {
        self.home.load(Relaxed)
    }

    /// Gives it another home.
    pub(crate) fn move_to(&self, worker: usize) {
        // An exchange, like every write that a sleeper's last look must not miss; the fences are `Lot`'s.
        self.home.swap(worker, Relaxed);
    }
}

/// A duty at the other end of a ring, as who rings sees it.
pub(crate) type Neighbour = Arc<CachePadded<Flags>>;

pub(crate) const CLAIMED: usize = 1;
pub(crate) const HOLDS: usize = 2;
pub(crate) const ENDED: usize = 4;
pub(crate) const HAND: usize = 8;
pub(crate) const BOUND: usize = 16;
pub(crate) const DORMANT: usize = 32;
/// Where the lane begins in the word.
pub(crate) const LANE: u32 = 6;
