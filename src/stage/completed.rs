//! Jobs that come back with what came of them.

use super::{Flow, Outlet, Stage};

/// A job that is done, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Completed<J, T> {
    /// The job, as the stage left it.
    pub job: J,
    /// Its result; a `Result` where it can fail.
    pub result: T,
}

/// A stage of a closure that looks at its job: the job comes back with the result.
///
/// A closure that can fail returns a `Result`, which is then that job's result and nobody else's concern: the
/// pipeline does not fail, and the job is not lost. A job whose closure panics is.
///
/// ```
/// use std::convert::Infallible;
/// use ringmill::stage::{Completed, completed};
/// use ringmill::{Instances, Pipeline};
///
/// let mut failed = Vec::new();
/// Pipeline::<Infallible>::builder::<&str>()
///     .stage("parse", Instances::new(2), |_| completed(|text: &mut &str| text.parse::<u8>()))
///     .run(["1", "x", "3"], |Completed { job, result }| {
///         if result.is_err() {
///             failed.push(job);
///         }
///     })?;
/// assert_eq!(failed, ["x"]);
/// # Ok::<(), ringmill::RunError<Infallible>>(())
/// ```
pub fn completed<F>(f: F) -> Complete<F> {
    Complete(f)
}

/// See [`completed`].
#[derive(Debug, Clone)]
pub struct Complete<F>(F);

impl<F, In, T, E> Stage<In, E> for Complete<F>
where
    F: FnMut(&mut In) -> T,
{
    type Out = Completed<In, T>;

    #[inline]
    fn job<O: Outlet<Self::Out>>(&mut self, mut job: In, out: &mut O) -> Result<Flow, E> {
        let result = (self.0)(&mut job);
        let _accepted = out.emit(Completed { job, result }); // The first result of a job always is.
        Ok(Flow::Done)
    }
}
