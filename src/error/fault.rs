//! What made an executor fail.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Payload, panic_message};

/// What made an executor fail.
#[non_exhaustive]
pub enum Fault<E> {
    /// A stage returned an error (policy fail fast).
    Stage {
        /// The stage.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// What it returned.
        error: E,
    },
    /// Somebody called `set_err`.
    Set(E),
    /// A job was not through in time (policy fail fast).
    Late {
        /// The stage that was to begin with it, or did.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// Whether no stage had begun with it.
        expired: bool,
    },
    /// The pipeline was not through in time.
    DeadlineExceeded {
        /// The time that it was given.
        deadline: Duration,
    },
    /// A stage panicked, or a result or job did when it was dropped.
    Panicked {
        /// The stage.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// The panic's message, if it was a string.
        message: String,
        /// The panic's payload.
        payload: Payload,
    },
}

impl<E> Fault<E> {
    /// The fault of a panic that is no stage's: `what` panicked.
    pub(crate) fn of_panic(what: &str, payload: Box<dyn Any + Send>) -> Self {
        Self::of_stage_panic(Arc::from(what), 0, payload)
    }

    /// The fault of an instance's panic.
    pub(crate) fn of_stage_panic(
        stage: Arc<str>,
        instance: usize,
        payload: Box<dyn Any + Send>,
    ) -> Self {
        Self::Panicked {
            stage,
            instance,
            message: panic_message(&*payload),
            payload: Payload::new(payload),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage {
                stage,
                instance,
                error,
            } => f
                .debug_struct("Stage")
                .field("stage", stage)
                .field("instance", instance)
                .field("error", error)
                .finish(),
            Self::Set(error) => f.debug_tuple("Set").field(error).finish(),
            Self::Late {
                stage,
                instance,
                expired,
            } => f
                .debug_struct("Late")
                .field("stage", stage)
                .field("instance", instance)
                .field("expired", expired)
                .finish(),
            Self::DeadlineExceeded { deadline } => f
                .debug_struct("DeadlineExceeded")
                .field("deadline", deadline)
                .finish(),
            Self::Panicked {
                stage,
                instance,
                message,
                ..
            } => f
                .debug_struct("Panicked")
                .field("stage", stage)
                .field("instance", instance)
                .field("message", message)
                .finish(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage {
                stage,
                instance,
                error,
            } => {
                write!(f, "stage {stage:?}, instance {instance}: {error}")
            }
            Self::Set(error) => error.fmt(f),
            Self::Late {
                stage,
                instance,
                expired: true,
            } => write!(
                f,
                "stage {stage:?}, instance {instance}: a job's deadline passed before it began"
            ),
            Self::Late {
                stage,
                instance,
                expired: false,
            } => write!(
                f,
                "stage {stage:?}, instance {instance}: a job's deadline passed"
            ),
            Self::DeadlineExceeded { deadline } => {
                write!(f, "not through within the deadline of {deadline:?}")
            }
            Self::Panicked {
                stage,
                instance,
                message,
                ..
            } => {
                write!(
                    f,
                    "stage {stage:?}, instance {instance} panicked: {message}"
                )
            }
        }
    }
}

impl<E: Error + 'static> Error for Fault<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stage { error, .. } | Self::Set(error) => Some(error),
            Self::Late { .. } | Self::DeadlineExceeded { .. } | Self::Panicked { .. } => None,
        }
    }
}
