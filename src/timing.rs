//! Time that travels with jobs: when one is due, and what its latencies are counted from.
//!
//! Only pipelines that ask for it carry stamps ([`Timed`](crate::policy::Timed)): the others' rings hold nothing
//! but values, and nobody reads a clock for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Relaxed};

/// No deadline.
const NEVER: u64 = u64::MAX;

/// How long one job waited, and was worked on, in nanoseconds.
pub(crate) type Sample = (u64, u64);

/// Where samples go.
pub(crate) trait Record: Send + Sync {
    /// Takes the samples over; not if somebody reads, unless it must.
    fn record(&self, samples: &mut Vec<Sample>, must: bool);
}

/// Makes recorders.
pub(crate) trait Meters: Send + Sync {
    fn of_instance(&self, stage: &Arc<str>) -> Arc<dyn Record>;
    fn of_end(&self) -> Arc<dyn Record>;
}

/// What a builder says about its jobs' time.
#[derive(Clone)]
pub(crate) struct Timing {
    /// Stamps are nanoseconds since then.
    epoch: Instant,
    /// How long after its dispatch a job is due; in nanoseconds, or `NEVER`.
    timeout: u64,
    /// Who wants to know latencies.
    meters: Option<Arc<dyn Meters>>,
}

impl Timing {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            timeout: NEVER,
            meters: None,
        }
    }

    /// Jobs are due so long after their dispatch; what is beyond the clock's end is never.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = nanoseconds(timeout);
    }

    #[cfg(feature = "hdr")]
    pub(crate) fn set_meters(&mut self, meters: Arc<dyn Meters>) {
        self.meters = Some(meters);
    }

    #[inline]
    fn now(&self) -> u64 {
        nanoseconds(self.epoch.elapsed())
    }

    /// The stamp of a job that is dispatched now.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        let is_asked = self.timeout != NEVER || self.meters.is_some();
        let now = if is_asked { self.now() } else { 0 };
        Stamp {
            due: now.saturating_add(self.timeout),
            dispatched: now,
            queued: now,
        }
    }

    /// The same for one that is due at this moment.
    pub(crate) fn stamp_due(&self, due: Instant) -> Stamp {
        Stamp {
            due: nanoseconds(due.saturating_duration_since(self.epoch)),
            ..self.stamp()
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
    /// When it was dispatched, and when it was handed to the stage that it waits for; told only where latencies are
    /// wanted.
    dispatched: u64,
    queued: u64,
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
    meter: Option<Arc<dyn Record>>,
    /// Not yet with the meter.
    samples: Vec<Sample>,
    began: u64,
    /// Whether the stage has begun with what it is at.
    has_begun: bool,
}

impl Clone for Clock {
    /// For another end; samples stay with the one who took them.
    fn clone(&self) -> Self {
        Self {
            meter: self.meter.clone(),
            ..Self::new(&self.timing)
        }
    }
}

impl Clock {
    fn new(timing: &Timing) -> Self {
        Self {
            timing: timing.clone(),
            stamp: Stamp {
                due: NEVER,
                dispatched: 0,
                queued: 0,
            },
            late: None,
            is_first: false,
            due: None,
            meter: None,
            samples: Vec::new(),
            began: 0,
            has_begun: false,
        }
    }

    /// The clock of an end where jobs are dispatched.
    pub(crate) fn of_dispatcher(timing: &Timing) -> Self {
        Self::new(timing)
    }

    /// The clock of an end where results are received.
    pub(crate) fn of_end(timing: &Timing) -> Self {
        let meter = timing.meters.as_ref().map(|meters| meters.of_end());
        Self {
            meter,
            ..Self::new(timing)
        }
    }

    /// The clock of a duty, which lets its jobs see when they are due.
    pub(crate) fn of_duty(
        timing: &Timing,
        stage: &Arc<str>,
        is_first: bool,
        due: &Arc<Due>,
    ) -> Self {
        let of_instance = |meters: &Arc<dyn Meters>| meters.of_instance(stage);
        Self {
            is_first,
            due: Some(Arc::clone(due)),
            meter: timing.meters.as_ref().map(of_instance),
            samples: Vec::with_capacity(if timing.meters.is_some() { 64 } else { 0 }),
            ..Self::new(timing)
        }
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The stamp of the job that it is at.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// What the clock says, where anybody wants to know.
    #[inline]
    fn look(&self) -> u64 {
        if self.stamp.due == NEVER && self.meter.is_none() {
            return 0;
        }
        self.timing.now()
    }

    /// A job with this stamp is about to begin. Whether it is in time.
    #[inline]
    pub(crate) fn begin(&mut self, stamp: Stamp) -> bool {
        self.stamp = stamp;
        if let Some(due) = &self.due {
            due.due.store(stamp.due, Relaxed);
        }
        self.began = self.look();
        let late = if self.is_first {
            Late::Expired
        } else {
            Late::TimedOut
        };
        self.late = (self.began >= stamp.due).then_some(late);
        self.has_begun = self.late.is_none();
        self.has_begun
    }

    /// What has this stamp stands for a failure, and is passed on.
    #[inline]
    pub(crate) fn pass(&mut self, stamp: Stamp) {
        self.stamp = stamp;
        self.late = None;
        self.has_begun = false;
    }

    /// A result is about to go out: its stamp, if it is in time.
    #[inline]
    pub(crate) fn emit(&mut self) -> Option<Stamp> {
        let now = self.look();
        if self.late.is_none() && now >= self.stamp.due {
            self.late = Some(Late::TimedOut);
        }
        let queued = now;
        let stamp = Stamp {
            queued,
            ..self.stamp
        };
        self.late.is_none().then_some(stamp)
    }

    /// Whether the job that it is at came too late.
    #[inline]
    pub(crate) fn late(&self) -> Option<Late> {
        self.late
    }

    /// The job that was begun last is over.
    #[inline]
    pub(crate) fn end(&mut self) {
        if self.meter.is_some() && self.has_begun {
            let wait = self.began.saturating_sub(self.stamp.queued);
            let service = self.timing.now().saturating_sub(self.began);
            self.samples.push((wait, service));
        }
    }

    /// Hands the samples to the meter; all of them, if it must.
    #[inline]
    pub(crate) fn flush(&mut self, must: bool) {
        if let Some(meter) = self.meter.as_ref().filter(|_| !self.samples.is_empty()) {
            meter.record(&mut self.samples, must);
        }
    }

    /// What has this stamp is received.
    #[inline]
    pub(crate) fn receive(&mut self, stamp: Stamp) {
        if self.meter.is_some() {
            let service = self.timing.now().saturating_sub(stamp.dispatched);
            self.samples.push((0, service));
            self.flush(true); // Receivers may wait.
        }
    }
}
