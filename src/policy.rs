//! Policies: what rings carry, and what an error, a panic or a deadline means for its job.

use std::marker::PhantomData;
use std::time::Instant;

use crate::error::{Fault, JobError};
use crate::timing::{Clock, Late, Stamp};

/// The first error or panic in a stage ends the pipeline; rings carry the values themselves. The default.
#[derive(Debug, Clone, Copy)]
pub enum FailFast {}

/// An error or panic becomes that job's outcome and travels to the receiver past the stages that
/// follow; the pipeline goes on.
#[derive(Debug, Clone, Copy)]
pub enum PerJob {}

/// One of the other policies, with jobs that carry their time: for deadlines of single jobs. A job that comes too
/// late is a failure of that job, and the policy `P` says what that means.
#[derive(Debug, Clone, Copy)]
pub struct Timed<P>(PhantomData<P>);

/// What the receiver gets in the policy [`PerJob`]: a result, or how a job ended without one. The job itself does not come
/// back; [`JobError::Expired`] says why, and what to do instead.
pub type Outcome<T, E> = Result<T, JobError<E>>;

/// What is taken out of a ring.
#[derive(Debug)]
pub enum Opened<T, U> {
    /// A value to work on.
    Job(T),
    /// What stands for an earlier failure, to be passed on as it is.
    Passed(U),
    /// A value whose deadline has passed.
    Late(T),
}

/// A policy: [`FailFast`] or [`PerJob`], [`Timed`] or not. Chosen before the first stage, because it decides
/// what rings carry. Not to be implemented outside.
pub trait Policy<E>: sealed::Sealed + 'static {
    /// What a ring carries for a job or result of type `T`.
    #[doc(hidden)]
    type Item<T: Send>: Send;
    /// What receivers get for a result of type `T`.
    type Given<T: Send>: Send;
    /// What a duty or an end knows of time.
    #[doc(hidden)]
    type Clock: Clone + Send + Sync;
    /// This policy, where failures are their jobs' own.
    #[doc(hidden)]
    type PerJob: Policy<E>;
    /// This policy, where jobs carry their time.
    #[doc(hidden)]
    type Timed: Policy<E>;

    /// The clock of an end or of a duty, where jobs carry their time.
    #[doc(hidden)]
    fn clock(make: impl FnOnce() -> Clock) -> Self::Clock;

    /// A job that is dispatched becomes an item.
    #[doc(hidden)]
    fn wrap<T: Send>(clock: &Self::Clock, job: T) -> Self::Item<T>;

    /// The job that was wrapped; `None` for what stands for a failure.
    #[doc(hidden)]
    fn unwrap<T: Send>(item: Self::Item<T>) -> Option<T>;

    /// What is to be done with an item that was taken from a ring.
    #[doc(hidden)]
    fn open<T: Send, U: Send>(
        clock: &mut Self::Clock,
        item: Self::Item<T>,
    ) -> Opened<T, Self::Item<U>>;

    /// The value in an item, unless it stands for an earlier failure.
    #[doc(hidden)]
    fn peek<T: Send>(item: &Self::Item<T>) -> Option<&T>;

    /// The item once more, for another branch of a fork; none of one that stands for an earlier failure,
    /// which goes only one way.
    #[doc(hidden)]
    fn copy<T: Clone + Send>(item: &Self::Item<T>) -> Option<Self::Item<T>>;

    /// A result of the job that was opened last, as an item; `None` if it comes too late.
    #[doc(hidden)]
    fn emit<T: Send>(clock: &mut Self::Clock, result: T) -> Option<Self::Item<T>>;

    /// The job that was opened last is over.
    #[doc(hidden)]
    #[inline]
    fn end(_clock: &mut Self::Clock) {}

    /// A poll is over, or all are.
    #[doc(hidden)]
    #[inline]
    fn flush(_clock: &mut Self::Clock, _is_end: bool) {}

    /// Whether the job that was opened last came too late.
    #[doc(hidden)]
    #[inline]
    fn late(_clock: &Self::Clock) -> Option<Late> {
        None
    }

    /// Whether a job's failure is the executor's.
    #[doc(hidden)]
    const FAILS_FAST: bool;

    /// An item is about to be handed on as it is: what [`Policy::fail`] says next is of its job.
    #[doc(hidden)]
    #[inline]
    fn pass<T: Send>(_clock: &mut Self::Clock, _item: &Self::Item<T>) {}

    /// That job's failure as an item.
    ///
    /// # Errors
    /// The fault, if it ends the pipeline.
    #[doc(hidden)]
    fn fail<T: Send>(clock: &Self::Clock, fault: Fault<E>) -> Result<Self::Item<T>, Fault<E>>;

    /// An item of the last ring as receivers get it.
    #[doc(hidden)]
    fn give<T: Send>(clock: &mut Self::Clock, item: Self::Item<T>) -> Self::Given<T>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::FailFast {}
    impl Sealed for super::PerJob {}
    impl<P: Sealed> Sealed for super::Timed<P> {}
}

impl<E: Send + 'static> Policy<E> for FailFast {
    type Item<T: Send> = T;
    type Given<T: Send> = T;
    type Clock = ();
    type PerJob = PerJob;
    type Timed = Timed<Self>;

    fn clock(_make: impl FnOnce() -> Clock) {}

    #[inline]
    fn wrap<T: Send>((): &(), job: T) -> T {
        job
    }

    #[inline]
    fn unwrap<T: Send>(item: T) -> Option<T> {
        Some(item)
    }

    #[inline]
    fn open<T: Send, U: Send>((): &mut (), item: T) -> Opened<T, U> {
        Opened::Job(item)
    }

    #[inline]
    fn peek<T: Send>(item: &T) -> Option<&T> {
        Some(item)
    }

    fn copy<T: Clone + Send>(item: &T) -> Option<T> {
        Some(item.clone())
    }

    #[inline]
    fn emit<T: Send>((): &mut (), result: T) -> Option<T> {
        Some(result)
    }

    const FAILS_FAST: bool = true;

    fn fail<T: Send>((): &(), fault: Fault<E>) -> Result<T, Fault<E>> {
        Err(fault)
    }

    #[inline]
    fn give<T: Send>((): &mut (), item: T) -> T {
        item
    }
}

impl<E: Send + 'static> Policy<E> for PerJob {
    type Item<T: Send> = Outcome<T, E>;
    type Given<T: Send> = Outcome<T, E>;
    type Clock = ();
    type PerJob = Self;
    type Timed = Timed<Self>;

    fn clock(_make: impl FnOnce() -> Clock) {}

    #[inline]
    fn wrap<T: Send>((): &(), job: T) -> Outcome<T, E> {
        Ok(job)
    }

    #[inline]
    fn unwrap<T: Send>(item: Outcome<T, E>) -> Option<T> {
        item.ok()
    }

    #[inline]
    fn open<T: Send, U: Send>((): &mut (), item: Outcome<T, E>) -> Opened<T, Outcome<U, E>> {
        match item {
            Ok(job) => Opened::Job(job),
            Err(failure) => Opened::Passed(Err(failure)),
        }
    }

    #[inline]
    fn peek<T: Send>(item: &Outcome<T, E>) -> Option<&T> {
        item.as_ref().ok()
    }

    fn copy<T: Clone + Send>(item: &Outcome<T, E>) -> Option<Outcome<T, E>> {
        item.as_ref().ok().cloned().map(Ok)
    }

    #[inline]
    fn emit<T: Send>((): &mut (), result: T) -> Option<Outcome<T, E>> {
        Some(Ok(result))
    }

    const FAILS_FAST: bool = false;

    fn fail<T: Send>((): &(), fault: Fault<E>) -> Result<Outcome<T, E>, Fault<E>> {
        JobError::from_fault(fault).map(Err)
    }

    #[inline]
    fn give<T: Send>((): &mut (), item: Outcome<T, E>) -> Outcome<T, E> {
        item
    }
}

/// What a ring carries in the policy [`Timed`].
#[derive(Debug)]
pub struct Stamped<I> {
    stamp: Stamp,
    item: I,
}

impl<P> Timed<P> {
    /// A job that is dispatched becomes an item, due at this moment.
    pub(crate) fn wrap_due<E, T: Send>(
        clock: &Clock,
        job: T,
        due: Instant,
    ) -> <Self as Policy<E>>::Item<T>
    where
        E: Send + 'static,
        P: Policy<E, Clock = ()>,
    {
        Stamped {
            stamp: clock.timing().stamp_due(due),
            item: P::wrap(&(), job),
        }
    }
}

impl<E, P> Policy<E> for Timed<P>
where
    E: Send + 'static,
    P: Policy<E, Clock = ()>,
{
    type Item<T: Send> = Stamped<P::Item<T>>;
    type Given<T: Send> = P::Given<T>;
    type Clock = Clock;
    type PerJob = Timed<PerJob>;
    type Timed = Self;

    fn clock(make: impl FnOnce() -> Clock) -> Clock {
        make()
    }

    #[inline]
    fn wrap<T: Send>(clock: &Clock, job: T) -> Self::Item<T> {
        Stamped {
            stamp: clock.timing().stamp(),
            item: P::wrap(&(), job),
        }
    }

    fn unwrap<T: Send>(item: Self::Item<T>) -> Option<T> {
        P::unwrap(item.item)
    }

    #[inline]
    fn open<T: Send, U: Send>(clock: &mut Clock, item: Self::Item<T>) -> Opened<T, Self::Item<U>> {
        let Stamped { stamp, item } = item;
        match P::open(&mut (), item) {
            Opened::Job(job) if clock.begin(stamp) => Opened::Job(job),
            Opened::Job(job) | Opened::Late(job) => Opened::Late(job),
            Opened::Passed(item) => {
                clock.pass(stamp);
                Opened::Passed(Stamped { stamp, item })
            }
        }
    }

    #[inline]
    fn peek<T: Send>(item: &Self::Item<T>) -> Option<&T> {
        P::peek(&item.item)
    }

    fn copy<T: Clone + Send>(item: &Self::Item<T>) -> Option<Self::Item<T>> {
        let stamp = item.stamp;
        P::copy(&item.item).map(|item| Stamped { stamp, item })
    }

    #[inline]
    fn emit<T: Send>(clock: &mut Clock, result: T) -> Option<Self::Item<T>> {
        let stamp = clock.emit()?;
        let item = P::emit(&mut (), result)?;
        Some(Stamped { stamp, item })
    }

    #[inline]
    fn end(clock: &mut Clock) {
        clock.end();
    }

    #[inline]
    fn pass<T: Send>(clock: &mut Clock, item: &Self::Item<T>) {
        clock.pass(item.stamp);
    }

    #[inline]
    fn flush(clock: &mut Clock, is_end: bool) {
        clock.flush(is_end);
    }

    #[inline]
    fn late(clock: &Clock) -> Option<Late> {
        clock.late()
    }

    const FAILS_FAST: bool = P::FAILS_FAST;

    fn fail<T: Send>(clock: &Clock, fault: Fault<E>) -> Result<Self::Item<T>, Fault<E>> {
        let item = P::fail(&(), fault)?;
        let stamp = clock.stamp();
        Ok(Stamped { stamp, item })
    }

    #[inline]
    fn give<T: Send>(clock: &mut Clock, item: Self::Item<T>) -> P::Given<T> {
        clock.receive(item.stamp);
        P::give(&mut (), item.item)
    }
}
