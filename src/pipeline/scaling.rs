//! How many instances of a stage live, and how many should.

use std::fmt;
use std::sync::Arc;

use super::handle::Handle;
use crate::error::ScaleError;
use crate::scale::Scale;

/// The number of live instances of one stage that was built with
/// [`Instances::up_to`](crate::Instances::up_to). Had from [`Handle::scaling`].
///
/// Instances come and go on the executor's workers: each is built and ended by the worker at which it is at home, between
/// two polls. No call here waits for that, and no dispatcher ever does. The number of threads does not change; a worker
/// without a live instance sleeps.
#[derive(Clone)]
pub struct Scaling<E> {
    handle: Handle<E>,
    scale: Arc<Scale>,
}

impl<E> Scaling<E> {
    pub(crate) fn new(handle: Handle<E>, scale: &Arc<Scale>) -> Self {
        let scale = Arc::clone(scale);
        Self { handle, scale }
    }

    /// How many instances have a state at this moment. One that was scaled away counts until its running job is over
    /// and its state is gone, a new one from when its init closure has returned.
    #[must_use]
    pub fn size(&self) -> usize {
        self.scale.size()
    }

    /// How many there should be: what was said last, by hand or by load.
    #[must_use]
    pub fn target(&self) -> usize {
        self.scale.target()
    }

    /// The least and the most that there may be.
    #[must_use]
    pub fn limits(&self) -> (usize, usize) {
        (self.scale.min, self.scale.max)
    }

    /// Jobs that wait for the stage, for each of its live instances.
    #[must_use]
    pub fn load(&self) -> f64 {
        let counters = self.handle.counters();
        let waiting = counters.stage(&self.scale.stage).map_or(0, |it| it.waiting);
        waiting as f64 / self.size().max(1) as f64
    }

    /// Makes it so many. Those that are too many finish the job that they are at; the last ones go first. Where the
    /// number also follows the load ([`Scaling::set_load`]), it goes on from there.
    ///
    /// # Errors
    /// [`ScaleError`] if that is below the least or above the most; nothing changes.
    pub fn scale_to(&self, instances: usize) -> Result<(), ScaleError> {
        let (least, most) = self.limits();
        if !(least..=most).contains(&instances) {
            return Err(ScaleError {
                instances,
                least,
                most,
            });
        }
        self.scale.set_target(instances);
        Ok(())
    }

    /// Makes the number follow the load, as [`Instances::by_load`](crate::Instances::by_load); 0 for by hand only.
    pub fn set_load(&self, waiting: usize) {
        self.scale.set_load(waiting);
    }
}

impl<E> fmt::Debug for Scaling<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scaling")
            .field("stage", &self.scale.stage)
            .field("size", &self.size())
            .field("target", &self.target())
            .field("limits", &self.limits())
            .finish_non_exhaustive()
    }
}
