//! Error policies: what rings carry, and what an error or a panic in a stage means.

use crate::error::{Fault, JobError};

/// The first error or panic in a stage ends the pipeline; rings carry the values themselves. The default.
#[derive(Debug, Clone, Copy)]
pub enum FailFast {}

/// An error or panic becomes that job's outcome and travels to the receiver past the stages that
/// follow; the pipeline goes on.
#[derive(Debug, Clone, Copy)]
pub enum PerJob {}

/// What the receiver gets in the policy [`PerJob`].
pub type Outcome<T, E> = Result<T, JobError<E>>;

/// An error policy: [`FailFast`] or [`PerJob`]. Chosen before the first stage, because it decides what
/// rings carry. Not to be implemented outside.
pub trait Policy<E>: sealed::Sealed + 'static {
    /// What a ring carries for a job or result of type `T`.
    type Item<T: Send>: Send;

    /// A value becomes an item.
    #[doc(hidden)]
    fn wrap<T: Send>(value: T) -> Self::Item<T>;

    /// The value to work on, or the item to pass on as it is.
    ///
    /// # Errors
    /// The item, if it stands for an earlier failure.
    #[doc(hidden)]
    fn open<T: Send, U: Send>(item: Self::Item<T>) -> Result<T, Self::Item<U>>;

    /// The value in an item, unless it stands for an earlier failure.
    #[doc(hidden)]
    fn peek<T: Send>(item: &Self::Item<T>) -> Option<&T>;

    /// A job's failure as an item.
    ///
    /// # Errors
    /// The fault, if it ends the pipeline.
    #[doc(hidden)]
    fn fail<T: Send>(fault: Fault<E>) -> Result<Self::Item<T>, Fault<E>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::FailFast {}
    impl Sealed for super::PerJob {}
}

impl<E> Policy<E> for FailFast {
    type Item<T: Send> = T;

    #[inline]
    fn wrap<T: Send>(value: T) -> T {
        value
    }

    #[inline]
    fn open<T: Send, U: Send>(item: T) -> Result<T, U> {
        Ok(item)
    }

    #[inline]
    fn peek<T: Send>(item: &T) -> Option<&T> {
        Some(item)
    }

    fn fail<T: Send>(fault: Fault<E>) -> Result<T, Fault<E>> {
        Err(fault)
    }
}

impl<E: Send + 'static> Policy<E> for PerJob {
    type Item<T: Send> = Outcome<T, E>;

    #[inline]
    fn wrap<T: Send>(value: T) -> Outcome<T, E> {
        Ok(value)
    }

    #[inline]
    fn open<T: Send, U: Send>(item: Outcome<T, E>) -> Result<T, Outcome<U, E>> {
        item.map_err(Err)
    }

    #[inline]
    fn peek<T: Send>(item: &Outcome<T, E>) -> Option<&T> {
        item.as_ref().ok()
    }

    fn fail<T: Send>(fault: Fault<E>) -> Result<Outcome<T, E>, Fault<E>> {
        match fault {
            Fault::Stage { stage, error, .. } => Ok(Err(JobError::Stage { stage, error })),
            Fault::Panicked {
                stage,
                instance,
                message,
                ..
            } => Ok(Err(JobError::Panicked {
                stage,
                instance,
                message,
            })),
            Fault::Set(_) => Err(fault),
        }
    }
}
