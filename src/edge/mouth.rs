//! The way in for the only dispatcher: an SPSC ring, and the word by which a close is decided against a push.
//!
//! A push into an SPSC ring is no read-modify-write, so the ring itself cannot refuse it. The dispatcher says that
//! it is inside before it looks whether the executor is open, and that it is out after its push. Who takes the jobs
//! closes the ring once it has seen that the executor is not open and, after that, nobody inside: a later push sees
//! the former, an earlier one is in the ring. The fences are the two of `event`: the dispatcher's is light.

use std::iter;
use std::sync::Arc as StdArc;

use crate::error::PushError;
use crate::lifecycle::Core;
use crate::ring::spsc;

/// A pushing end.
pub(crate) struct Mouth<T> {
    pub(super) producer: spsc::Producer<T>,
    core: StdArc<Core>,
}

impl<T> Mouth<T> {
    pub(crate) fn new(producer: spsc::Producer<T>, core: &StdArc<Core>) -> Self {
        let core = StdArc::clone(core);
        Self { producer, core }
    }

    #[inline]
    pub(super) fn try_push(&mut self, item: T) -> Result<(), PushError<T>> {
        let Some(_inside) = self.core.enter() else {
            return Err(PushError::Closed(item));
        };
        let pushed = self.producer.try_push(item);
        pushed.map_err(|full| PushError::Full(full.0))
    }

    /// Pushes what `next` gives until that does not fit, or is all; returns how many. `next` runs none of the user's
    /// code: the end would have to wait for it.
    pub(super) fn push_each(&mut self, next: impl FnMut() -> Option<T>) -> usize {
        let Some(_inside) = self.core.enter() else {
            return 0;
        };
        self.producer.push_batch(iter::from_fn(next))
    }

    pub(super) fn has_room(&self) -> bool {
        self.producer.len() < self.producer.capacity()
    }
}
