//! For tests of this crate's inside: makes one of its own loops panic.

use std::sync::{Arc, Mutex, PoisonError};

/// A loop of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// A worker's loop, between two polls.
    Worker,
    /// A poll of a stage's instance, where none of the user's code runs.
    Poll,
    /// The supervisor's loop.
    Supervisor,
    /// A poll of a pool's helper.
    Helper,
}

static PLANNED: Mutex<Vec<(usize, Spot)>> = Mutex::new(Vec::new());

fn planned() -> std::sync::MutexGuard<'static, Vec<(usize, Spot)>> {
    PLANNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whatever is told apart by its address comes to this spot: it panics there, once.
pub(crate) fn plan<T>(spot: Spot, of: &Arc<T>) {
    planned().push((Arc::as_ptr(of).addr(), spot));
}

/// Panics if that was planned.
pub(crate) fn at<T>(spot: Spot, of: &Arc<T>) {
    let here = (Arc::as_ptr(of).addr(), spot);
    let mut planned = planned();
    if let Some(nth) = planned.iter().position(|planned| *planned == here) {
        planned.swap_remove(nth);
        drop(planned);
        panic!("sabotage: {spot:?}");
    }
}
