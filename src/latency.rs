//! Latency histograms: how long jobs wait, are worked on, and take from end to end.
//!
//! Each instance has a recorder of its own, and each receiver's end one; reading merges them. An instance keeps its
//! samples until its poll ends and takes the recorder's lock once for all of them; if a reader has it, they wait for
//! the next poll, so that no worker waits for a reader.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::timing::{Meters, Record, Sample};

/// The largest latency that is told apart, in nanoseconds: an hour. What is longer counts as that.
const MOST: u64 = 3_600_000_000_000;
/// Significant decimal digits: a bucket is at most 0.1 % of its value wide. About 280 KB a histogram.
const DIGITS: u8 = 3;
/// Samples that an instance keeps while readers have its recorder, before it waits for them.
const KEPT: usize = 4096;

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MOST, DIGITS)
        .unwrap_or_else(|error| unreachable!("bounds that hdrhistogram takes: {error}"))
}

/// The histograms of one instance, or of the way out.
struct Recorder(Mutex<Pair>);

struct Pair {
    wait: Histogram<u64>,
    service: Histogram<u64>,
}

impl Recorder {
    fn new() -> Arc<Self> {
        let (wait, service) = (empty(), empty());
        Arc::new(Self(Mutex::new(Pair { wait, service })))
    }

    fn lock(&self) -> MutexGuard<'_, Pair> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record for Recorder {
    fn record(&self, samples: &mut Vec<Sample>, must: bool) {
        let guard = if must || samples.len() >= KEPT {
            Some(self.lock())
        } else {
            self.0.try_lock().ok()
        };
        let Some(mut pair) = guard else { return };
        for (wait, service) in samples.drain(..) {
            pair.wait.saturating_record(wait);
            pair.service.saturating_record(service);
        }
    }
}

/// All recorders of one executor.
#[derive(Default)]
pub(crate) struct Registry {
    /// By stage, in the order of their names' first mention.
    stages: Mutex<Vec<(Arc<str>, Vec<Arc<Recorder>>)>>,
    ends: Mutex<Vec<Arc<Recorder>>>,
}

impl Meters for Registry {
    fn of_instance(&self, stage: &Arc<str>) -> Arc<dyn Record> {
        let recorder = Recorder::new();
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        match stages.iter_mut().find(|(name, _)| name == stage) {
            Some((_, recorders)) => recorders.push(Arc::clone(&recorder)),
            None => stages.push((Arc::clone(stage), vec![Arc::clone(&recorder)])),
        }
        recorder
    }

    fn of_end(&self) -> Arc<dyn Record> {
        let recorder = Recorder::new();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.push(Arc::clone(&recorder));
        recorder
    }
}

impl Registry {
    /// What has been recorded so far.
    pub(crate) fn read(&self) -> Latencies {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let of_stage = |(name, recorders): &(Arc<str>, Vec<Arc<Recorder>>)| {
            let (wait, service) = merge(recorders);
            StageLatency {
                name: Arc::clone(name),
                wait,
                service,
            }
        };
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        Latencies {
            stages: stages.iter().map(of_stage).collect(),
            total: merge(&ends).1,
        }
    }
}

fn merge(recorders: &[Arc<Recorder>]) -> (Latency, Latency) {
    let (mut wait, mut service) = (empty(), empty());
    for recorder in recorders {
        let pair = recorder.lock();
        // Histograms of the same bounds can always be added.
        let _added = wait.add(&pair.wait);
        let _added = service.add(&pair.service);
    }
    (Latency(wait), Latency(service))
}

/// What [`Handle::latencies`](crate::Handle::latencies) has: one entry a stage, and all of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Latencies {
    /// One entry a stage, first to last; fused stages are one, under the name of the first.
    pub stages: Vec<StageLatency>,
    /// From the dispatch of a job to the receipt of each of its results and failures; where results are discarded,
    /// nothing.
    pub total: Latency,
}

impl Latencies {
    /// The latencies of the stage of this name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageLatency> {
        self.stages.iter().find(|stage| &*stage.name == name)
    }
}

/// The latencies of one stage's jobs, all instances together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StageLatency {
    /// The stage's name.
    pub name: Arc<str>,
    /// From when the job was handed to the stage to when it was begun.
    pub wait: Latency,
    /// From then to its end. Includes waiting for room, where a job has several results.
    pub service: Latency,
}

/// A distribution of latencies, from 1 ns to 1 hour, to three significant digits.
#[derive(Clone)]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The shortest; 0 if there are none.
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.0.min())
    }

    /// The longest; 0 if there are none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The arithmetic mean; 0 if there are none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }

    /// What so many percent of them do not exceed: `percentile(99.9)`. What lies outside of 0 to 100 counts as the
    /// nearer of the two.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent.clamp(0.0, 100.0)))
    }

    /// Values and how often each was recorded, for plotting and storing.
    pub fn values(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let recorded = self.0.iter_recorded();
        recorded.map(|it| {
            (
                Duration::from_nanos(it.value_iterated_to()),
                it.count_at_value(),
            )
        })
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percentiles = [50.0, 99.0, 99.9].map(|it| (format!("p{it}"), self.percentile(it)));
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("percentiles", &BTreeMap::from(percentiles))
            .field("max", &self.max())
            .finish()
    }
}
