//! Stages: what a user writes. One typed step from a job to no, one or many results.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::counters::Tally;
use crate::lifecycle::{Core, Phase};
use crate::timing::Due;

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

/// Two stages in one duty: the second takes the first one's results as they are emitted.
pub struct Then<A, B> {
    first: A,
    second: B,
    second_tally: Arc<Tally>,
    first_open: bool,
    second_open: bool,
}

impl<A, B> fmt::Debug for Then<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").finish_non_exhaustive()
    }
}

impl<A, B> Then<A, B> {
    pub(crate) fn new(first: A, second: B, second_tally: Arc<Tally>) -> Self {
        Self {
            first,
            second,
            second_tally,
            first_open: false,
            second_open: false,
        }
    }

    fn both<In, E, O>(
        &mut self,
        out: &mut O,
        run: impl FnOnce(&mut A, &mut Joint<'_, B, O, E>) -> Result<Flow, E>,
    ) -> Result<Flow, E>
    where
        A: Stage<In, E>,
        B: Stage<A::Out, E>,
        O: Outlet<B::Out>,
    {
        let mut joint = Joint {
            second: &mut self.second,
            tally: &self.second_tally,
            open: false,
            error: None,
            out,
        };
        let flow = run(&mut self.first, &mut joint);
        self.second_open = joint.open;
        if let Some(error) = joint.error {
            return Err(error);
        }
        match flow {
            Ok(flow) => self.first_open = flow == Flow::More,
            Err(error) => {
                self.close_second();
                return Err(error);
            }
        }
        Ok(if self.first_open || self.second_open {
            Flow::More
        } else {
            Flow::Done
        })
    }

    fn close_second(&mut self) {
        if self.second_open {
            self.second_open = false;
            self.second_tally.finish();
        }
    }
}

impl<In, E, A, B> Stage<In, E> for Then<A, B>
where
    A: Stage<In, E>,
    B: Stage<A::Out, E>,
{
    type Out = B::Out;

    #[inline]
    fn job<O: Outlet<B::Out>>(&mut self, job: In, out: &mut O) -> Result<Flow, E> {
        self.both::<In, E, O>(out, |first, joint| first.job(job, joint))
    }

    fn more<O: Outlet<B::Out>>(&mut self, out: &mut O) -> Result<Flow, E> {
        if self.second_open {
            self.second_tally.enter();
            let flow = self.second.more(out)?;
            self.second_tally.leave();
            if flow == Flow::More {
                return Ok(Flow::More);
            }
            self.close_second();
        }
        if !self.first_open {
            return Ok(Flow::Done);
        }
        self.both::<In, E, O>(out, |first, joint| first.more(joint))
    }

    fn end(&mut self) {
        self.first.end();
        self.second.end();
    }
}

/// The outlet between two fused stages.
struct Joint<'a, B, O, E> {
    second: &'a mut B,
    tally: &'a Tally,
    open: bool,
    error: Option<E>,
    out: &'a mut O,
}

impl<T, E, B, O> Outlet<T> for Joint<'_, B, O, E>
where
    B: Stage<T, E>,
    O: Outlet<B::Out>,
{
    fn is_ready(&self) -> bool {
        !self.open && self.error.is_none() && self.out.is_ready()
    }

    #[inline]
    fn emit(&mut self, result: T) -> Result<(), T> {
        if self.open || self.error.is_some() {
            return Err(result);
        }
        if !self.out.is_ready() {
            return Err(result);
        }
        self.tally.start();
        self.tally.enter();
        match self.second.job(result, self.out) {
            Ok(flow) => {
                self.tally.leave();
                self.open = flow == Flow::More;
                if !self.open {
                    self.tally.finish();
                }
            }
            // The tally stays entered: that is how the duty knows whose error it is.
            Err(error) => self.error = Some(error),
        }
        Ok(())
    }
}

/// What a stage's init closure is told about the instance that it builds.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) stage: Arc<str>,
    pub(crate) instance: usize,
    pub(crate) instances: usize,
    pub(crate) token: Token,
}

impl Context {
    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Which instance this is, from 0.
    #[must_use]
    pub fn instance(&self) -> usize {
        self.instance
    }

    /// How many instances the stage has.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances
    }

    /// Tells a running job that it should come to an end.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token.clone()
    }
}

/// Lets a running job see that it should come to an end, and end its executor.
#[derive(Clone)]
pub struct Token {
    core: Arc<Core>,
    /// Until when the instance's job is due, where jobs carry their time.
    due: Option<Arc<Due>>,
}

impl Token {
    pub(crate) fn new(core: &Arc<Core>, due: Option<&Arc<Due>>) -> Self {
        Self {
            core: Arc::clone(core),
            due: due.map(Arc::clone),
        }
    }

    /// Whether queued jobs are being dropped: after a stop, a failure, or when the last receiver left.
    /// Never true again false.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.core.phase().drops_queued()
    }

    /// Whether nobody waits for the result of the running job any more: the executor is
    /// [stopped](Token::is_stopped), or the job's [deadline](Token::deadline) has passed. Reads the clock (16–50 ns)
    /// only if there is a deadline.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.is_stopped() || self.deadline().is_some_and(|due| Instant::now() >= due)
    }

    /// When the job that this instance has begun last is due; `None` where it has no deadline, and for a token that
    /// is no instance's.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due.as_ref()?.at()
    }

    /// Stops the executor, as [`Handle::stop`](crate::Handle::stop).
    pub fn stop(&self) {
        self.core.advance(Phase::Stopped);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("stopped", &self.is_stopped())
            .field("deadline", &self.deadline())
            .finish()
    }
}
