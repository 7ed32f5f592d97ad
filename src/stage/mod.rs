//! Stages: what a user writes. One typed step from a job to no, one or many results.

mod completed;
mod context;
mod then;

use std::fmt;

pub use completed::{Complete, Completed, completed};
pub use context::{Context, Token};
pub(crate) use then::Then;

/// Whether a job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The job is over.
    Done,
    /// The outlet refused and there is more to emit: call [`Stage::more`] when there is room.
    More,
}

/// Where a stage's results go.
pub trait Outlet<T> {
    /// Whether the next [`emit`](Outlet::emit) will be accepted.
    fn is_ready(&self) -> bool;

    /// Hands a result on.
    ///
    /// # Errors
    /// Gives the result back if there is no room. The first result of a job is always accepted.
    fn emit(&mut self, result: T) -> Result<(), T>;
}

/// Collects without bound; for trying out a stage on its own.
impl<T> Outlet<T> for Vec<T> {
    fn is_ready(&self) -> bool {
        true
    }
    fn emit(&mut self, result: T) -> Result<(), T> {
        self.push(result);
        Ok(())
    }
}

/// One step of a pipeline. Closures `FnMut(In) -> Result<Out, E>` are stages; [`map`], [`filter_map`] and
/// [`flat_map`] make stages of other closures; a type of your own implements this.
///
/// An instance handles one job at a time and never moves while it does.
pub trait Stage<In, E> {
    /// The type of its results.
    type Out;

    /// Handles one job. [`Flow::More`] keeps the job open: [`Stage::more`] is called until it says
    /// [`Flow::Done`]. A job that begins while the last one is open means that the last one failed.
    ///
    /// # Errors
    /// Yours. In the policy fail fast the first one ends the pipeline, in the per-job policy it becomes
    /// the job's outcome.
    fn job<O: Outlet<Self::Out>>(&mut self, job: In, out: &mut O) -> Result<Flow, E>;

    /// Goes on with the open job, when there is room for at least one more result.
    ///
    /// # Errors
    /// As [`Stage::job`].
    fn more<O: Outlet<Self::Out>>(&mut self, out: &mut O) -> Result<Flow, E> {
        let _ = out;
        Ok(Flow::Done)
    }

    /// Called once, when this instance has had its last job; not after a panic of its own.
    fn end(&mut self) {}
}

impl<F, In, Out, E> Stage<In, E> for F
where
    F: FnMut(In) -> Result<Out, E>,
{
    type Out = Out;

    #[inline]
    fn job<O: Outlet<Out>>(&mut self, job: In, out: &mut O) -> Result<Flow, E> {
        let result = self(job)?;
        let _accepted = out.emit(result); // The first result of a job always is.
        Ok(Flow::Done)
    }
}

/// A stage of a closure that cannot fail.
pub fn map<F>(f: F) -> Map<F> {
    Map(f)
}

/// See [`map`].
#[derive(Debug, Clone)]
pub struct Map<F>(F);

impl<F, In, Out, E> Stage<In, E> for Map<F>
where
    F: FnMut(In) -> Out,
{
    type Out = Out;

    #[inline]
    fn job<O: Outlet<Out>>(&mut self, job: In, out: &mut O) -> Result<Flow, E> {
        let result = (self.0)(job);
        let _accepted = out.emit(result); // The first result of a job always is.
        Ok(Flow::Done)
    }
}

/// A stage of a closure that has a result or none.
pub fn filter_map<F>(f: F) -> FilterMap<F> {
    FilterMap(f)
}

/// See [`filter_map`].
#[derive(Debug, Clone)]
pub struct FilterMap<F>(F);

impl<F, In, Out, E> Stage<In, E> for FilterMap<F>
where
    F: FnMut(In) -> Option<Out>,
{
    type Out = Out;

    #[inline]
    fn job<O: Outlet<Out>>(&mut self, job: In, out: &mut O) -> Result<Flow, E> {
        if let Some(result) = (self.0)(job) {
            let _accepted = out.emit(result); // The first result of a job always is.
        }
        Ok(Flow::Done)
    }
}

/// A stage of a closure that has any number of results, taken from its iterator when there is room.
pub fn flat_map<F, I: IntoIterator>(f: F) -> FlatMap<F, I> {
    FlatMap { f, open: None }
}

/// See [`flat_map`].
pub struct FlatMap<F, I: IntoIterator> {
    f: F,
    open: Option<I::IntoIter>,
}

impl<F, I: IntoIterator> fmt::Debug for FlatMap<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatMap")
            .field("open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

impl<F, I, In, E> Stage<In, E> for FlatMap<F, I>
where
    F: FnMut(In) -> I,
    I: IntoIterator,
{
    type Out = I::Item;

    fn job<O: Outlet<I::Item>>(&mut self, job: In, out: &mut O) -> Result<Flow, E> {
        self.open = Some((self.f)(job).into_iter());
        <Self as Stage<In, E>>::more(self, out)
    }

    fn more<O: Outlet<I::Item>>(&mut self, out: &mut O) -> Result<Flow, E> {
        while let Some(results) = &mut self.open {
            if !out.is_ready() {
                return Ok(Flow::More);
            }
            match results.next() {
                Some(result) => {
                    let _accepted = out.emit(result); // It is ready.
                }
                None => self.open = None,
            }
        }
        Ok(Flow::Done)
    }
}
