//! Who pushes into one ring.

use std::sync::Arc;

use crate::sync::{AcqRel, AtomicUsize};

/// The duties that push into one ring and have not ended; the last one closes it.
pub(crate) struct Crew(AtomicUsize);

impl Crew {
    pub(crate) fn new(duties: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(duties)))
    }

    /// One leaves, after its last push. Whether it was the last.
    pub(crate) fn leave(&self) -> bool {
        // ORDERING: AcqRel. The last to leave closes the ring after every other's last push.
        // Pairs with: itself. Model: loom-tests/tests/lifecycle.rs::done_is_last.
        self.0.fetch_sub(1, AcqRel) == 1
    }
}
