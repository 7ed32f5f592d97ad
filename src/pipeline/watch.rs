//! Finding instances that are stuck in a job, from outside.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handle::Handle;

/// Looks for instances that stay in one job for long. Made by [`Handle::watch`].
///
/// It compares looks: an instance that is inside its *n*-th job at two looks has been inside it all the time between
/// them. So it reports a time once it has looked twice, it never names an instance that goes from job to job, and
/// it costs the workers nothing: the counters that it reads are written in any case. A job that waits for room for
/// its next result is not stuck, whoever does not make room may be.
///
/// Look as often as the time should be exact. Several watches do not disturb each other.
///
/// ```
/// # use std::convert::Infallible;
/// # use std::time::Duration;
/// # use ringmill::{Instances, Pipeline, stage::map};
/// let builder = Pipeline::<Infallible>::builder::<u64>();
/// let mut watch = builder.handle().watch();
/// # let (d, receiver, pipeline) = builder.stage("s", Instances::new(1), |_| map(|n: u64| n)).start()?;
/// for stuck in watch.stuck(Duration::from_millis(500)) {
///     eprintln!("{stuck}"); // Now and then, on a thread that has time for it.
/// }
/// # drop(d);
/// # pipeline.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watch<E> {
    handle: Handle<E>,
    /// What the last look saw.
    seen: Vec<Stuck>,
    /// When each of them was first seen in that job.
    since: Vec<Instant>,
}

/// An instance that has been inside one job for long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stuck {
    /// The stage.
    pub stage: Arc<str>,
    /// The instance, from 0.
    pub instance: usize,
    /// Which of the instance's jobs it is, counted from 1.
    pub job: u64,
    /// How long it has been inside it, at least: since the first look that found it there.
    pub time: Duration,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stage,
            instance,
            job,
            time,
        } = self;
        write!(
            f,
            "{stage}/{instance} has been inside its job {job} for {time:?}"
        )
    }
}

impl<E> Watch<E> {
    pub(crate) fn new(handle: Handle<E>) -> Self {
        Self {
            handle,
            seen: Vec::new(),
            since: Vec::new(),
        }
    }

    /// Looks, and names all instances that have been inside one job for `threshold` or longer, first stage first.
    /// Of a fused stage the job is named as well as that of the stage it is fused into. A threshold of 0 names all
    /// that are inside a job at this moment.
    pub fn stuck(&mut self, threshold: Duration) -> Vec<Stuck> {
        let now = Instant::now();
        let before: Vec<_> = self.seen.drain(..).zip(self.since.drain(..)).collect();
        for running in self.handle.executor().running() {
            let (stage, instance, job) = (running.stage, running.instance, running.job);
            let is_it = |(stuck, _): &&(Stuck, Instant)| {
                stuck.instance == instance && stuck.job == job && stuck.stage == stage
            };
            let since = before.iter().find(is_it).map_or(now, |&(_, since)| since);
            let time = now.saturating_duration_since(since);
            self.seen.push(Stuck {
                stage,
                instance,
                job,
                time,
            });
            self.since.push(since);
        }
        let is_stuck = |stuck: &&Stuck| stuck.time >= threshold;
        self.seen.iter().filter(is_stuck).cloned().collect()
    }
}

impl<E> fmt::Debug for Watch<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
