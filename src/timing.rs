//! Time that travels with jobs: when one is due, and what its latencies are counted from.
//!
//! Only pipelines that ask for it carry stamps ([`Timed`](crate::policy::Timed)): the others' rings hold nothing
//! but values, and nobody reads a clock for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Relaxed};

/// No deadline.
const NEVER: u64 = u64::MAX;

/// What a builder says about its jobs' time.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// Stamps are nanoseconds since then.
    epoch: Instant,
    /// How long after its dispatch a job is due; in nanoseconds, or `NEVER`.
    pub(crate) timeout: u64,
}

impl Timing {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            timeout: NEVER,
        }
    }

    /// Jobs are due so long after their dispatch; what is beyond the clock's end is never.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = nanoseconds(timeout);
    }

    #[inline]
    fn now(&self) -> u64 {
        nanoseconds(self.epoch.elapsed())
    }

    /// The stamp of a job that is dispatched now.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        if self.timeout == NEVER {
            return Stamp { due: NEVER };
        }
        Stamp {
            due: self.now().saturating_add(self.timeout),
        }
    }

    /// The stamp of a job that is due at this moment.
    pub(crate) fn stamp_due(&self, due: Instant) -> Stamp {
        Stamp {
            due: nanoseconds(due.saturating_duration_since(self.epoch)),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER)
}

/// What travels with a job, and with its results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    due: u64,
}

/// Until when an instance's running job is due, for those who ask while it runs.
pub(crate) struct Due {
    due: AtomicU64,
    epoch: Instant,
}

impl Due {
    pub(crate) fn new(timing: &Timing) -> Arc<Self> {
        Arc::new(Self {
            due: AtomicU64::new(NEVER),
            epoch: timing.epoch,
        })
    }

    /// When the job is due, if it has a deadline.
    pub(crate) fn at(&self) -> Option<Instant> {
        let due = self.due.load(Relaxed);
        let at = || self.epoch.checked_add(Duration::from_nanos(due));
        (due != NEVER).then(at).flatten()
    }
}

/// That a job came too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Its deadline passed before any stage began with it.
    Expired,
    /// Its deadline passed later.
    TimedOut,
}

/// What a duty, or an end, knows of the time of the job that it is at.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Clock {
    timing: Timing,
    stamp: Stamp,
    late: Option<Late>,
    /// Whether jobs come here from dispatchers.
    is_first: bool,
    due: Option<Arc<Due>>,
}

impl Clock {
    /// The clock of an end.
    pub(crate) fn new(timing: &Timing) -> Self {
        Self {
            timing: *timing,
            stamp: Stamp { due: NEVER },
            late: None,
            is_first: false,
            due: None,
        }
    }

    /// The clock of a duty, which lets its jobs see when they are due.
    pub(crate) fn of_duty(timing: &Timing, is_first: bool, due: &Arc<Due>) -> Self {
        Self {
            is_first,
            due: Some(Arc::clone(due)),
            ..Self::new(timing)
        }
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The stamp of the job that it is at.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// A job with this stamp is about to begin. Whether it is in time.
    #[inline]
    pub(crate) fn begin(&mut self, stamp: Stamp) -> bool {
        self.stamp = stamp;
        self.late = None;
        if let Some(due) = &self.due {
            due.due.store(stamp.due, Relaxed);
        }
        if self.is_past() {
            self.late = Some(if self.is_first {
                Late::Expired
            } else {
                Late::TimedOut
            });
        }
        self.late.is_none()
    }

    /// A result is about to go out. Whether it is in time.
    #[inline]
    pub(crate) fn emit(&mut self) -> bool {
        if self.late.is_none() && self.is_past() {
            self.late = Some(Late::TimedOut);
        }
        self.late.is_none()
    }

    fn is_past(&self) -> bool {
        self.stamp.due != NEVER && self.timing.now() >= self.stamp.due
    }

    /// Whether the job that it is at came too late.
    #[inline]
    pub(crate) fn late(&self) -> Option<Late> {
        self.late
    }
}
