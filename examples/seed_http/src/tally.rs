//! Counting what there is at once, and the slow work itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many there are now, how many there were at once at most, and how many in all.
#[derive(Debug, Default)]
pub struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
    all: AtomicUsize,
}

/// One of those that a gauge counts, until it is dropped.
pub struct Counted(Arc<Gauge>);

impl Gauge {
    pub fn count(self: &Arc<Self>) -> Counted {
        self.all.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }

    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    pub fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the server does and has done.
#[derive(Debug, Default)]
pub struct Tally {
    pub connections: Arc<Gauge>,
    pub requests: Arc<Gauge>,
    /// Jobs inside the slow work.
    pub jobs: Arc<Gauge>,
    /// Threads that work on requests.
    pub threads: Arc<Gauge>,
}

/// The slow work: as a database would, it makes its thread wait.
#[derive(Debug, Clone)]
pub struct Work {
    pub time: Duration,
    pub jobs: Arc<Gauge>,
}

impl Work {
    pub fn run(&self) {
        let _running = self.jobs.count();
        std::thread::sleep(self.time);
    }
}
