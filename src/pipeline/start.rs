//! The ends of a builder: with a receiver, with results discarded, or folded; on threads of its own, or on
//! the calling one.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::builder::{Builder, Link, Many, One, Staged};
use super::connect::{Wanted, connect, end_nowhere};
use super::dispatcher::Dispatcher;
use super::handle::{Handle, Pipeline, Report, States};
use super::instances::{Accepts, Any, Instances};
use super::receiver::Receiver;
use super::run::{self, Collect};
use crate::counters::Spill;
use crate::edge::{Rx, To, Tx};
use crate::error::{BuildError, RunError};
use crate::idle::{Idle, IdleStrategy};
use crate::overflow::Overflow;
use crate::plan::{Plan, Started, Wiring};
use crate::policy::{FailFast, Policy};
use crate::stage::{Context, Flow, Outlet, Stage};
use crate::timing::Clock;

/// The dispatchers' end. It is there once a stage is, which the types of `start` and `run` ask for.
pub(crate) fn mouth_of<T>(mut mouth: Vec<Tx<'_, T>>) -> Tx<'_, T> {
    mouth.pop().unwrap_or_else(|| Tx::new(To::Nowhere))
}

#[expect(
    clippy::too_many_arguments,
    reason = "all that an end is made of, from two places"
)]
fn dispatcher<J, E, P, D>(
    mouth: Vec<Tx<'static, P::Item<J>>>,
    clock: P::Clock,
    handle: &Handle<E>,
    idle: &Idle,
    is_crowded: bool,
    strategy: Box<dyn IdleStrategy>,
    wiring: &Arc<Wiring>,
    overflow: (Overflow, Arc<Spill>),
) -> Dispatcher<J, E, P, D>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    let wiring = Arc::clone(wiring);
    let attach = move |tx: &mut Tx<'static, P::Item<J>>| {
        tx.attach(|edge, lane| wiring.behind(edge, lane));
    };
    Dispatcher::new(
        mouth_of(mouth),
        clock,
        handle.executor(),
        idle,
        is_crowded,
        strategy,
        Arc::new(attach),
    )
    .with_overflow(overflow)
}

/// What [`Builder::start`] gives: the way in, the way out, and the owner.
pub type Ends<J, E, P, T, D, R> = (Dispatcher<J, E, P, D>, Receiver<T, E, P, R>, Pipeline<E>);

impl<'env, J, E, P, D, R, L> Builder<'env, J, E, P, D, R, L>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    R: Sharing,
    L: Link<'env, J, E, P> + Staged,
{
    /// Starts the pipeline on threads of its own, and returns once all of them stand ready.
    ///
    /// # Errors
    /// [`BuildError`]: the first thing that is wrong. Nothing is left behind.
    pub fn start(self) -> Result<Ends<J, E, P, L::Out, D, R>, BuildError>
    where
        'env: 'static,
        J: 'static,
        L::Out: 'static,
    {
        let handle = self.handle();
        let (dispatcher, receiver, threads) = self.start_by(|plan| plan.start_detached(2))?;
        let pipeline = Pipeline::new(handle, threads, Arc::default());
        Ok((dispatcher, receiver, pipeline))
    }

    /// Both ends, and what `start` gives besides: it makes the executor with two threads outside, and has it run.
    pub(crate) fn start_by<X>(
        self,
        start: impl FnOnce(Plan<'static, E>) -> Result<(Started<'static, 'static>, X), BuildError>,
    ) -> Result<(Dispatcher<J, E, P, D>, Receiver<L::Out, E, P, R>, X), BuildError>
    where
        'env: 'static,
        J: 'static,
        L::Out: 'static,
    {
        let handle = self.handle();
        let Self {
            mut plan,
            mut mouth,
            capacity,
            last,
            ..
        } = self;
        let idle = plan.config.idle.clone();
        let timing = plan.config.timing.clone();
        let overflow = (plan.config.overflow, Arc::clone(&plan.config.spill));
        let wanted = Wanted {
            stage: None,
            consumers: R::CONSUMERS,
            is_one_ring: false,
            route: None,
        };
        let (mut rxs, edge, _) =
            connect::<J, E, P, _>(&mut plan, &mut mouth, capacity, last, wanted);
        let (mut started, running) = start(plan)?;
        let wiring = started.wiring;
        let strategy = started.strategies.swap_remove(0);
        let is_crowded = started.is_crowded;
        let dispatcher = dispatcher(
            mouth,
            P::clock(|| Clock::of_dispatcher(&timing)),
            &handle,
            &idle,
            is_crowded,
            strategy,
            &wiring,
            overflow,
        );
        let mut rx = rxs.swap_remove(0);
        rx.set_receivers();
        let attach =
            move |rx: &mut Rx<P::Item<L::Out>>| rx.attach(|lane| wiring.in_front(edge, lane));
        let attach = Arc::new(attach);
        let strategy = started.strategies.swap_remove(0);
        let receiver = Receiver::new(
            rx,
            P::clock(|| Clock::of_end(&timing)),
            handle.executor(),
            &idle,
            is_crowded,
            strategy,
            attach,
        );
        Ok((dispatcher, receiver, running))
    }

    /// Runs the pipeline over `jobs`, which may borrow: the calling thread takes jobs from the iterator as
    /// there is room, gives each result to `each`, and works as one of the workers. Returns when all is
    /// done.
    ///
    /// Each job can be run before the iterator is asked for the next one. While the iterator waits, the other workers go
    /// on, until the results' ring is full: `each` is called on the same thread. There are no other workers where
    /// [`workers`](Builder::workers) says 1, and where one instance of one stage is all that floats.
    ///
    /// Through a [`handle`](Builder::handle) others can close it (no more jobs are taken from the
    /// iterator), stop it, or watch. A panic in the iterator or in `each` stops everything, and goes on
    /// here once that is done. Each job that was taken from the iterator is counted as dispatched; a close runs all of
    /// them, and what a stop, a failure or a panic drops is counted as dropped.
    ///
    /// # Errors
    /// [`RunError`]: it could not be built, or it failed.
    pub fn run(
        self,
        jobs: impl IntoIterator<Item = J>,
        each: impl FnMut(P::Given<L::Out>),
    ) -> Result<Report, RunError<E>> {
        let Self {
            mut plan,
            mut mouth,
            capacity,
            last,
            ..
        } = self;
        let wanted = Wanted {
            stage: None,
            consumers: 1,
            is_one_ring: false,
            route: None,
        };
        let (mut rxs, edge, _) =
            connect::<J, E, P, _>(&mut plan, &mut mouth, capacity, last, wanted);
        let mut each = each;
        let mut clock = P::clock(|| Clock::of_end(&plan.config.timing));
        let collect = Collect {
            rx: rxs.swap_remove(0),
            edge,
            each: |item| each(P::give(&mut clock, item)),
        };
        run::run::<J, E, P, _, _, _>(plan, mouth, jobs, Some(collect), &Mutex::default())
    }

    /// Ends the pipeline without a receiver: results are dropped, and counted as discarded.
    pub fn discard(self) -> Sealed<'env, J, E, P, D> {
        let Self {
            mut plan,
            mut mouth,
            last,
            ..
        } = self;
        let given = end_nowhere::<J, E, P, _>(&mut plan, last);
        if !given.is_empty() {
            mouth = given;
        }
        Sealed {
            plan,
            mouth,
            states: Arc::default(),
            types: PhantomData,
        }
    }

    /// Ends the pipeline with a parallel receiver, a last stage called "fold": each of its instances has a
    /// state, made by `init`, into which `fold` takes the results. `join` hands the states back. In the
    /// per-job policy `fold` gets outcomes.
    ///
    /// A panic of `fold` fails the pipeline in every policy: it may have left the state half changed.
    pub fn fold<A, V, I, F>(
        self,
        instances: Instances<V, Any>,
        init: I,
        fold: F,
    ) -> Sealed<'env, J, E, P, D, A>
    where
        A: Send + 'env,
        V: Accepts<Fold<A, F, L::Out, E, P>>,
        I: Fn(&Context) -> A + Send + Sync + 'env,
        F: Fn(&mut A, P::Given<L::Out>) + Clone + Send + Sync + 'env,
    {
        let states: States<A> = Arc::default();
        let slots = Arc::clone(&states);
        let clock = P::clock(|| Clock::of_end(&self.plan.config.timing));
        let init = move |context: &Context| Fold {
            state: Some(init(context)),
            fold: fold.clone(),
            clock: clock.clone(),
            slots: Arc::clone(&slots),
            instance: context.instance(),
            types: PhantomData,
        };
        let (plan, mouth) = self.fold_stage(instances, init);
        Sealed {
            plan,
            mouth,
            states,
            types: PhantomData,
        }
    }
}

/// How many take from the results' ring: [`One`] or [`Many`]. Not to be implemented outside.
pub trait Sharing {
    /// Enough to choose the ring's kind.
    #[doc(hidden)]
    const CONSUMERS: usize;
}

impl Sharing for One {
    const CONSUMERS: usize = 1;
}

impl Sharing for Many {
    const CONSUMERS: usize = 2;
}

/// The stage behind [`Builder::fold`].
pub struct Fold<A, F, X, E, P: Policy<E>> {
    state: Option<A>,
    fold: F,
    clock: P::Clock,
    slots: States<A>,
    instance: usize,
    types: PhantomData<fn(X, E)>,
}

impl<A, F, X, E, P: Policy<E>> fmt::Debug for Fold<A, F, X, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fold")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl<A, F, X, E, P> Stage<P::Item<X>, E> for Fold<A, F, X, E, P>
where
    F: Fn(&mut A, P::Given<X>),
    X: Send,
    P: Policy<E>,
{
    type Out = ();

    fn job<O: Outlet<()>>(&mut self, job: P::Item<X>, _out: &mut O) -> Result<Flow, E> {
        if let Some(state) = &mut self.state {
            (self.fold)(state, P::give(&mut self.clock, job));
        }
        Ok(Flow::Done)
    }

    fn end(&mut self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.extend(self.state.take().map(|state| (self.instance, state)));
    }
}

/// A builder whose end is settled: results are discarded or folded.
#[must_use = "nothing runs before `start` or `run`"]
pub struct Sealed<'env, J, E, P = FailFast, D = One, A = ()>
where
    J: Send,
    P: Policy<E>,
{
    plan: Plan<'env, E>,
    mouth: Vec<Tx<'env, P::Item<J>>>,
    states: States<A>,
    types: PhantomData<D>,
}

impl<'env, J, E, P, D, A> Sealed<'env, J, E, P, D, A>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// As [`Builder::handle`].
    pub fn handle(&self) -> Handle<E> {
        Handle::new(&self.plan.executor)
    }

    /// As [`Builder::start`], without a receiver.
    ///
    /// # Errors
    /// [`BuildError`]: the first thing that is wrong. Nothing is left behind.
    pub fn start(self) -> Result<(Dispatcher<J, E, P, D>, Pipeline<E, A>), BuildError>
    where
        'env: 'static,
        J: 'static,
    {
        let handle = self.handle();
        let idle = self.plan.config.idle.clone();
        let config = &self.plan.config;
        let clock = P::clock(|| Clock::of_dispatcher(&config.timing));
        let overflow = (config.overflow, Arc::clone(&config.spill));
        let (mut started, threads) = self.plan.start_detached(1)?;
        let strategy = started.strategies.swap_remove(0);
        let wiring = started.wiring;
        let dispatcher = dispatcher(
            self.mouth,
            clock,
            &handle,
            &idle,
            started.is_crowded,
            strategy,
            &wiring,
            overflow,
        );
        Ok((dispatcher, Pipeline::new(handle, threads, self.states)))
    }

    /// As [`Builder::run`], without results.
    ///
    /// # Errors
    /// [`RunError`]: it could not be built, or it failed.
    pub fn run(self, jobs: impl IntoIterator<Item = J>) -> Result<Report<A>, RunError<E>> {
        let none = None::<Collect<(), fn(())>>;
        run::run::<J, E, P, _, _, _>(self.plan, self.mouth, jobs, none, &self.states)
    }
}

impl<J, E, P, D, A> fmt::Debug for Sealed<'_, J, E, P, D, A>
where
    J: Send,
    P: Policy<E>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").finish_non_exhaustive()
    }
}
