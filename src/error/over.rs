//! How executors end that do not end well.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{BuildError, Fault};

/// Why `join` has no report.
#[non_exhaustive]
pub enum JoinError<E> {
    /// The executor failed.
    Failed(Arc<Fault<E>>),
    /// `join` was called from inside a job of the same executor, which can never see its own end. The
    /// handle is gone, and the executor was told to stop.
    InsideJob,
}

impl<E: fmt::Debug> fmt::Debug for JoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(fault) => f.debug_tuple("Failed").field(fault).finish(),
            Self::InsideJob => f.write_str("InsideJob"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for JoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(fault) => fault.fmt(f),
            Self::InsideJob => {
                f.write_str("join was called from inside a job of the same executor")
            }
        }
    }
}

impl<E: Error + 'static> Error for JoinError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(fault) => Some(&**fault),
            Self::InsideJob => None,
        }
    }
}

/// Why `run` has no report.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError<E> {
    /// It could not be built; nothing ran.
    Build(BuildError),
    /// It ran, and failed.
    Join(JoinError<E>),
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Join(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for RunError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Join(error) => Some(error),
        }
    }
}
