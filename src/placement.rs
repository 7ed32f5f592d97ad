//! What came of the wishes: which worker runs where, and what it polls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::affinity::Cores;
use crate::error::PinError;

/// The workers of an executor and the cores that its start found. Fixed once it has started.
///
/// It is displayed with one line for each worker, one for each core that several workers share, and one for the cores.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Placement {
    /// One entry a worker; the first is the calling thread where `run` was used.
    pub workers: Vec<WorkerPlacement>,
    /// The cores that the start found.
    pub cores: Cores,
}

impl Placement {
    /// The cores that more than one worker is pinned to, and the numbers of those workers. Such workers take turns. A
    /// worker that the executor starts only when there is something to do counts, too.
    #[must_use]
    pub fn shared_cores(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut workers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for worker in &self.workers {
            if let (Some(core), None) = (worker.core, &worker.refused) {
                workers.entry(core).or_default().push(worker.worker);
            }
        }
        workers.retain(|_, workers| workers.len() > 1);
        workers
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for worker in &self.workers {
            writeln!(f, "{worker}")?;
        }
        for (core, workers) in self.shared_cores() {
            writeln!(f, "{} workers on core {core}: {workers:?}", workers.len())?;
        }
        write!(f, "{}", self.cores)
    }
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

impl fmt::Display for WorkerPlacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} {:?}, ", self.worker, self.name)?;
        match (self.core, &self.refused) {
            (Some(_), Some(error)) => write!(f, "not pinned: {error}"),
            (Some(core), None) => write!(f, "core {core}"),
            (None, _) => f.write_str("any core"),
        }?;
        match &*self.duties {
            [] => f.write_str("; no duty of its own"),
            duties => write!(f, "; {}", duties.join(", ")),
        }
    }
}
