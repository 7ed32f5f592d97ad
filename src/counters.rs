//! Counting jobs: what each duty writes on a line of its own, and the snapshot that adds them up.
//!
//! Per stage and at every instant `dispatched = waiting + running + finished + dropped`. Every counter
//! only grows and has one writer (whoever holds the duty's claim). A snapshot reads them in the reverse of
//! the order in which they are written, so that no difference is ever negative.

use std::sync::Arc as StdArc;

use crossbeam_utils::CachePadded;

use crate::ring::cursor::Cursors;
use crate::sync::{Acquire, Arc, AtomicU64, Relaxed, Release};

/// What one instance of one stage has done with its jobs.
pub(crate) struct Tally(CachePadded<Counts>);

struct Counts {
    started: AtomicU64,
    finished: AtomicU64,
    dropped: AtomicU64,
    discarded: AtomicU64,
    failed: AtomicU64,
    /// Whether the running job waits for room for its next result.
    suspended: AtomicU64,
    /// Whether the stage's own code is on the stack, or was when it failed or panicked.
    inside: AtomicU64,
}

/// Adds to a counter that nobody else writes.
#[inline]
fn add(counter: &AtomicU64, count: u64) {
    // ORDERING: Release. Who reads this count sees the counts written before it: a finish after its start,
    // a start after its push.
    // Pairs with: `Tally::read` (Acquire). Model: loom-tests/tests/lifecycle.rs::counters_add_up.
    counter.store(counter.load(Relaxed) + count, Release);
}

impl Tally {
    pub(crate) fn new() -> StdArc<Self> {
        StdArc::new(Self(CachePadded::new(Counts {
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            suspended: AtomicU64::new(0),
            inside: AtomicU64::new(0),
        })))
    }

    /// A job starts.
    #[inline]
    pub(crate) fn start(&self) {
        add(&self.0.started, 1);
    }

    /// A job is over, whatever came of it.
    #[inline]
    pub(crate) fn finish(&self) {
        add(&self.0.finished, 1);
    }

    /// A job that is over has failed.
    pub(crate) fn fail(&self) {
        add(&self.0.failed, 1);
    }

    /// The running job begins, or no longer has, to wait for room.
    pub(crate) fn suspend(&self, is_suspended: bool) {
        self.0.suspended.store(u64::from(is_suspended), Relaxed);
    }

    /// Which of its jobs the instance is inside, counted from 1.
    pub(crate) fn inside(&self) -> Option<u64> {
        // ORDERING: Acquire. The start of a job that is read as finished is read too.
        // Pairs with: `add` (Release). Model: loom-tests/tests/lifecycle.rs::counters_add_up.
        let finished = self.0.finished.load(Acquire);
        let started = self.0.started.load(Relaxed);
        let is_suspended = self.0.suspended.load(Relaxed) != 0;
        (started != finished && !is_suspended).then_some(started)
    }

    /// A job was dropped without being started.
    pub(crate) fn drop_one(&self) {
        add(&self.0.dropped, 1);
    }

    /// A result found no taker.
    #[inline]
    pub(crate) fn discard(&self) {
        add(&self.0.discarded, 1);
    }

    /// A fused stage's code is called.
    #[inline]
    pub(crate) fn enter(&self) {
        self.0.inside.store(1, Relaxed);
    }

    /// A fused stage's code returned, and not with an error.
    #[inline]
    pub(crate) fn leave(&self) {
        self.0.inside.store(0, Relaxed);
    }

    /// Whether it was entered and not left. For the holder of the claim.
    pub(crate) fn is_inside(&self) -> bool {
        self.0.inside.load(Relaxed) != 0
    }

    /// Whether a job has been started and is not over. For the holder of the claim.
    pub(crate) fn is_running(&self) -> bool {
        self.0.started.load(Relaxed) != self.0.finished.load(Relaxed)
    }

    fn read(&self, sum: &mut Sum) {
        // ORDERING: Acquire, latest written first: the start of a job that is read as finished is read
        // too, and its push in `Source::dispatched` after that.
        // Pairs with: `add` (Release). Model: loom-tests/tests/lifecycle.rs::counters_add_up.
        sum.discarded += self.0.discarded.load(Acquire);
        // ORDERING: Acquire, as above.
        sum.failed += self.0.failed.load(Acquire);
        // ORDERING: Acquire, as above.
        sum.finished += self.0.finished.load(Acquire);
        // ORDERING: Acquire, as above.
        sum.dropped += self.0.dropped.load(Acquire);
        // ORDERING: Acquire, as above.
        sum.started += self.0.started.load(Acquire);
    }
}

#[derive(Default)]
struct Sum {
    started: u64,
    finished: u64,
    dropped: u64,
    discarded: u64,
    failed: u64,
}

/// Where a stage's jobs come from, for counting.
pub(crate) enum Source {
    /// Rings: their cursors count the pushes.
    Rings(Vec<Arc<Cursors>>),
    /// Fused into the stage before: a job is dispatched when it starts.
    Fused,
}

/// What an overflow policy has dropped. Written by any dispatcher.
#[derive(Default)]
pub(crate) struct Spill {
    newest: Count,
    oldest: Count,
}

/// A counter that anybody adds to.
struct Count(AtomicU64);

impl Default for Count {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Count {
    fn add(&self) {
        // ORDERING: Release. Who reads that a job was dropped has seen its push.
        // Pairs with: `Count::read` (Acquire). Model: loom-tests/tests/lifecycle.rs::counters_add_up.
        self.0.fetch_add(1, Release);
    }

    fn read(&self) -> u64 {
        // ORDERING: Acquire. See `add`.
        self.0.load(Acquire)
    }
}

impl Spill {
    /// A job was dropped that no ring has accepted.
    pub(crate) fn drop_newest(&self) {
        self.newest.add();
    }

    /// A job was dropped that a ring had accepted.
    pub(crate) fn drop_oldest(&self) {
        self.oldest.add();
    }
}

/// One stage's counters: who writes them.
pub(crate) struct StageTally {
    pub(crate) name: StdArc<str>,
    pub(crate) source: Source,
    pub(crate) instances: Vec<StdArc<Tally>>,
    /// Where dispatchers are in front of it and may drop jobs.
    pub(crate) spill: Option<StdArc<Spill>>,
}

impl StageTally {
    fn snapshot(&self) -> StageCounters {
        let mut sum = Sum::default();
        for tally in &self.instances {
            tally.read(&mut sum);
        }
        let spill = self.spill.as_deref();
        let (newest, oldest) = spill.map_or((0, 0), |it| (it.newest.read(), it.oldest.read()));
        sum.dropped += oldest;
        let dispatched = match &self.source {
            Source::Rings(rings) => rings.iter().map(|ring| ring.pushed()).sum(),
            Source::Fused => sum.started,
        };
        StageCounters {
            name: StdArc::clone(&self.name),
            dispatched,
            waiting: dispatched - sum.started - sum.dropped,
            running: sum.started - sum.finished,
            finished: sum.finished,
            dropped: sum.dropped,
            discarded: sum.discarded,
            failed: sum.failed,
            overflowed: newest + oldest,
        }
    }
}

/// What a stage's jobs are doing, at some moment during the call that made the snapshot.
///
/// `dispatched = waiting + running + finished + dropped`, exactly, at every moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageCounters {
    /// The stage's name.
    pub name: StdArc<str>,
    /// Jobs accepted by the stage's rings.
    pub dispatched: u64,
    /// Jobs accepted and not yet started.
    pub waiting: u64,
    /// Jobs started and not yet over (a job with results still to come is running).
    pub running: u64,
    /// Jobs that are over: done, failed or panicked; in the per-job policy also those whose failure in an
    /// earlier stage was passed on.
    pub finished: u64,
    /// Jobs dropped unstarted, by a stop or as the oldest by an overflow policy.
    pub dropped: u64,
    /// Results that found no taker: all of a `discard` end, and those of running jobs that a stop let
    /// finish with no room for what came out.
    pub discarded: u64,
    /// Jobs among the finished ones that failed here: by an error, a panic, or a deadline. Never more than
    /// `finished`.
    pub failed: u64,
    /// Jobs that an overflow policy dropped: the oldest ones, which are also among `dropped`, and the newest ones, which
    /// were never accepted and are in no other number.
    pub overflowed: u64,
}

/// The counters of all stages, first to last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// One entry a stage, fused ones included.
    pub stages: Vec<StageCounters>,
}

impl Counters {
    /// Reads the last stage first, so that what a later stage has started has been dispatched.
    pub(crate) fn read(stages: &[StageTally]) -> Self {
        let mut stages: Vec<_> = stages.iter().rev().map(StageTally::snapshot).collect();
        stages.reverse();
        Self { stages }
    }

    /// The counters of the stage of this name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageCounters> {
        self.stages.iter().find(|stage| &*stage.name == name)
    }

    /// Jobs that the executor has accepted and not yet brought to an end, in all stages.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.stages
            .iter()
            .map(|stage| stage.waiting + stage.running)
            .sum()
    }
}

/// What one worker has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerCounters {
    /// The worker's number, as in the placement.
    pub worker: usize,
    /// How often it has polled an instance.
    pub polls: u64,
    /// What those polls have moved on: jobs, mostly, but also results that had found no room before and, for the
    /// calling thread of `run`, jobs fed and results collected. For comparing workers with each other; how many jobs
    /// there were is what [`StageCounters`] says.
    pub moved: u64,
}

/// One instance that is inside a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// The stage.
    pub stage: StdArc<str>,
    /// The instance, from 0.
    pub instance: usize,
    /// Which of the instance's jobs it is, counted from 1.
    pub job: u64,
}
