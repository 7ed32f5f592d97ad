//! What came of the wishes: which worker runs where, and what it polls.

use std::sync::Arc;

use crate::error::PinError;

/// The workers of an executor. Fixed once it has started.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Placement {
    /// One entry a worker; the first is the calling thread where `run` was used.
    pub workers: Vec<WorkerPlacement>,
}

/// One worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerPlacement {
    /// Its number.
    pub worker: usize,
    /// Its thread's name, as `perf` shows it.
    pub name: Arc<str>,
    /// The core it was to be pinned to, if any.
    pub core: Option<usize>,
    /// Whether it is.
    pub pinned: bool,
    /// Why it is not pinned, where it was to be.
    pub refused: Option<PinError>,
    /// The duties at home here, as `stage/instance`. A floating duty may be polled by others as well.
    pub duties: Vec<String>,
}
