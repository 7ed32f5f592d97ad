//! What became of a job that failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::Fault;

/// What happened to one job in the per-job policy, instead of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobError<E> {
    /// A stage returned an error for this job.
    Stage {
        /// The stage.
        stage: Arc<str>,
        /// What it returned.
        error: E,
    },
    /// A stage panicked on this job; its instance has been built anew.
    Panicked {
        /// The stage.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// The panic's message, if it was a string.
        message: String,
    },
    /// The job's deadline passed before any stage began with it. The job itself was dropped there, as it was.
    ///
    /// The outcome does not carry the job: it travels through the rings of all later stages, which have places for their
    /// own jobs and for this error, and none for a job of the first stage. To get a job back, let it own a guard that sends
    /// it, or its number, from `Drop` unless a stage has disarmed it. Where every stage gives one result for each job and
    /// keeps their order, the nth outcome is that of the nth job.
    Expired {
        /// The stage that was to begin with it.
        stage: Arc<str>,
    },
    /// The job's deadline passed after a stage had begun with it. The results that had gone out in time are out;
    /// that which came late and those after it are not.
    TimedOut {
        /// The stage that was at it, or was to be next.
        stage: Arc<str>,
    },
}

impl<E> JobError<E> {
    /// What a fault means for the job that it happened to.
    ///
    /// # Errors
    /// The fault, if it is the executor's as a whole.
    pub(crate) fn from_fault(fault: Fault<E>) -> Result<Self, Fault<E>> {
        match fault {
            Fault::Stage { stage, error, .. } => Ok(Self::Stage { stage, error }),
            Fault::Panicked {
                stage,
                instance,
                message,
                ..
            } => Ok(Self::Panicked {
                stage,
                instance,
                message,
            }),
            Fault::Late {
                stage,
                expired: true,
                ..
            } => Ok(Self::Expired { stage }),
            Fault::Late { stage, .. } => Ok(Self::TimedOut { stage }),
            Fault::Set(_) | Fault::DeadlineExceeded { .. } => Err(fault),
        }
    }
}

impl<E: fmt::Display> fmt::Display for JobError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { stage, error } => write!(f, "stage {stage:?}: {error}"),
            Self::Panicked {
                stage,
                instance,
                message,
            } => {
                write!(
                    f,
                    "stage {stage:?}, instance {instance} panicked: {message}"
                )
            }
            Self::Expired { stage } => {
                write!(
                    f,
                    "stage {stage:?}: the deadline passed before the job began"
                )
            }
            Self::TimedOut { stage } => write!(f, "stage {stage:?}: the deadline passed"),
        }
    }
}

impl<E: Error + 'static> Error for JobError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stage { error, .. } => Some(error),
            Self::Panicked { .. } | Self::Expired { .. } | Self::TimedOut { .. } => None,
        }
    }
}
