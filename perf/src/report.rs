//! What a run came to: one JSON object, or a few lines for a person.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use ringmill::Handle;
use ringmill_perf::itch::{Anomalies, Contradiction};
use serde::{Serialize, Serializer};

/// The object that `--json` prints. What was not measured is null.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The workload's name.
    pub(crate) workload: &'static str,
    /// Jobs whose result came out.
    pub(crate) jobs: u64,
    /// Bytes that went through: of files, of JSON text.
    pub(crate) bytes: u64,
    /// Wall time from building the executor until its last thread ended.
    pub(crate) seconds: f64,
    /// `jobs` / `seconds`.
    pub(crate) rate_per_s: f64,
    /// The same work in one loop on one thread.
    pub(crate) sequential_seconds: Option<f64>,
    /// `sequential_seconds` / `seconds`.
    pub(crate) speedup: Option<f64>,
    /// Whether every result that came out was checked and right.
    pub(crate) verified: Option<bool>,
    /// End-to-end latency; only where jobs are offered at a rate.
    pub(crate) latency_ns: Option<Latency>,
    /// Counters at the end, one entry a stage.
    pub(crate) stages: Vec<StageRow>,
    /// What ran where, one entry a worker.
    pub(crate) placement: Vec<WorkerRow>,
    /// Where the threads' time went.
    #[serde(flatten)]
    pub(crate) times: Option<Times>,
    /// Where the input contradicts itself.
    #[serde(flatten)]
    pub(crate) input: Option<Input>,
}

/// The anomalies of a market data feed.
#[derive(Debug, Serialize)]
pub(crate) struct Input {
    /// Messages that contradict those before them, by kind.
    pub(crate) anomalies: Anomalies,
    /// The first message of each kind, in the order of the input.
    #[serde(rename = "first_anomalies", serialize_with = "rows")]
    pub(crate) first: Vec<Contradiction>,
}

/// One of `first_anomalies`.
#[derive(Debug, Serialize)]
struct AnomalyRow {
    kind: &'static str,
    message: u64,
    byte: usize,
    locate: u16,
    order: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_locate: Option<u16>,
}

/// Quantiles of a latency, in nanoseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// Where the time of the threads that execute stages went.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    /// Inside the work, summed over stages.
    pub(crate) work_seconds: f64,
    /// Outside it: the workers in `placement` × wall time, less the work and the check of its
    /// results. It holds the rings, the polling and the waiting, starting and ending the threads,
    /// and on a machine with fewer cores than workers also their waiting for a core.
    pub(crate) overhead_seconds: f64,
}

/// The counters of one stage.
#[derive(Debug, Serialize)]
pub(crate) struct StageRow {
    name: String,
    dispatched: u64,
    waiting: u64,
    running: u64,
    finished: u64,
    dropped: u64,
    discarded: u64,
}

/// One worker and what it did.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerRow {
    worker: usize,
    core: Option<usize>,
    pinned: bool,
    duties: Vec<String>,
}

impl Report {
    /// The report of a run that is over; what only some workloads measure is still null.
    pub(crate) fn new<E: Send + Sync + 'static>(
        workload: &'static str,
        handle: &Handle<E>,
        (jobs, bytes): (u64, u64),
        wall: Duration,
    ) -> Self {
        let seconds = wall.as_secs_f64();
        Self {
            workload,
            jobs,
            bytes,
            seconds,
            rate_per_s: if seconds > 0.0 {
                jobs as f64 / seconds
            } else {
                0.0
            },
            sequential_seconds: None,
            speedup: None,
            verified: None,
            latency_ns: None,
            stages: stages(handle),
            placement: placement(handle),
            times: None,
            input: None,
        }
    }

    /// Adds what the same work took in one loop.
    pub(crate) fn compare(&mut self, sequential: Duration) {
        let sequential = sequential.as_secs_f64();
        self.sequential_seconds = Some(sequential);
        self.speedup = (self.seconds > 0.0).then(|| sequential / self.seconds);
    }

    /// The object, on one line.
    pub(crate) fn to_json(&self) -> String {
        // Only a map with keys other than strings or a failing `Serialize` could refuse.
        let mut line = serde_json::to_string(self).expect("a report is plain data");
        line.push('\n');
        line
    }
}

/// For a person: what was done, then what was measured besides.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (jobs, bytes) = (HumanCount(self.jobs), HumanBytes(self.bytes));
        write!(
            f,
            "{}: {jobs} jobs, {bytes} in {:.3} s",
            self.workload, self.seconds
        )?;
        write!(
            f,
            " ({:.0} jobs/s, {} workers)",
            self.rate_per_s,
            self.placement.len()
        )?;
        if let (Some(sequential), Some(speedup)) = (self.sequential_seconds, self.speedup) {
            write!(f, "\n  sequential {sequential:.3} s, speedup {speedup:.2}")?;
        }
        if let Some(times) = &self.times {
            write!(f, "\n  work {:.3} s,", times.work_seconds)?;
            write!(
                f,
                " overhead {:.3} s of thread time",
                times.overhead_seconds
            )?;
        }
        if let Some(Input { anomalies, first }) = &self.input {
            let total = HumanCount(anomalies.total());
            write!(f, "\n  anomalies in the input: {total}")?;
            for first in first {
                let (kind, count) = (first.anomaly.name(), anomalies.of(first.anomaly));
                write!(f, "\n    {kind} {}, first: {first}", HumanCount(count))?;
            }
        }
        match self.verified {
            Some(true) => write!(f, "\n  verified"),
            Some(false) => write!(f, "\n  NOT VERIFIED"),
            None => Ok(()),
        }
    }
}

fn rows<S: Serializer>(first: &[Contradiction], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(first.iter().map(|found| AnomalyRow {
        kind: found.anomaly.name(),
        message: found.message,
        byte: found.offset,
        locate: found.locate,
        order: found.order,
        other_locate: found.other,
    }))
}

fn stages<E: Send + Sync + 'static>(handle: &Handle<E>) -> Vec<StageRow> {
    let row = |stage: ringmill::StageCounters| StageRow {
        name: stage.name.to_string(),
        dispatched: stage.dispatched,
        waiting: stage.waiting,
        running: stage.running,
        finished: stage.finished,
        dropped: stage.dropped,
        discarded: stage.discarded,
    };
    handle.counters().stages.into_iter().map(row).collect()
}

fn placement<E: Send + Sync + 'static>(handle: &Handle<E>) -> Vec<WorkerRow> {
    let row = |placed: ringmill::WorkerPlacement| WorkerRow {
        worker: placed.worker,
        core: placed.core,
        pinned: placed.pinned,
        duties: placed.duties,
    };
    handle.placement().workers.into_iter().map(row).collect()
}
