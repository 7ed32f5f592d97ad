//! What dispatching and receiving come to when they do not work.

use std::error::Error;
use std::fmt;

/// A dispatch that was refused. Gives the job back, whole.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DispatchError<J> {
    /// No room, and this call does not wait (inside a job of the same executor, none does).
    Full(J),
    /// No room within the time given.
    Timeout(J),
    /// Closed, or nobody will receive.
    Closed(J),
    /// Stopped.
    Stopped(J),
    /// The executor failed; `err()` says why.
    Failed(J),
}

impl<J> DispatchError<J> {
    /// The job.
    pub fn into_job(self) -> J {
        match self {
            Self::Full(job)
            | Self::Timeout(job)
            | Self::Closed(job)
            | Self::Stopped(job)
            | Self::Failed(job) => job,
        }
    }

    /// Whether trying again may help: there was no room, and nobody ended the executor.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Timeout(_))
    }

    pub(crate) fn map<K>(self, f: impl FnOnce(J) -> K) -> DispatchError<K> {
        match self {
            Self::Full(job) => DispatchError::Full(f(job)),
            Self::Timeout(job) => DispatchError::Timeout(f(job)),
            Self::Closed(job) => DispatchError::Closed(f(job)),
            Self::Stopped(job) => DispatchError::Stopped(f(job)),
            Self::Failed(job) => DispatchError::Failed(f(job)),
        }
    }
}

impl<J> fmt::Debug for DispatchError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Timeout(_) => "Timeout(..)",
            Self::Closed(_) => "Closed(..)",
            Self::Stopped(_) => "Stopped(..)",
            Self::Failed(_) => "Failed(..)",
        })
    }
}

impl<J> fmt::Display for DispatchError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the executor takes no more jobs at the moment",
            Self::Timeout(_) => "the executor took no job within the time given",
            Self::Closed(_) => "the executor is closed",
            Self::Stopped(_) => "the executor was stopped",
            Self::Failed(_) => "the executor failed",
        })
    }
}

impl<J> Error for DispatchError<J> {}

/// A `dispatch_all` that was cut short. Every job that it took from its iterator was accepted, or is in here.
#[derive(Clone, PartialEq, Eq)]
pub struct DispatchAllError<J> {
    /// How many jobs were accepted.
    pub accepted: usize,
    /// Why the next one was not, and that job.
    pub refused: DispatchError<J>,
}

impl<J> fmt::Debug for DispatchAllError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchAllError")
            .field("accepted", &self.accepted)
            .field("refused", &self.refused)
            .finish()
    }
}

impl<J> fmt::Display for DispatchAllError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} jobs: {}", self.accepted, self.refused)
    }
}

impl<J> Error for DispatchAllError<J> {}

/// Nothing to receive now, or never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryReceiveError {
    /// Nothing yet.
    Empty,
    /// Never again: the executor has finished and every result has been received.
    Done,
}

impl fmt::Display for TryReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no result yet",
            Self::Done => "no result will come any more",
        })
    }
}

impl Error for TryReceiveError {}

/// Nothing received within the time given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveTimeoutError {
    /// Nothing yet.
    Timeout,
    /// Never again: the executor has finished and every result has been received.
    Done,
}

impl fmt::Display for ReceiveTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no result within the time given",
            Self::Done => "no result will come any more",
        })
    }
}

impl Error for ReceiveTimeoutError {}
