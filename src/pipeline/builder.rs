//! The typed front: stages in their order, each with its instances; every method checks types, `start`
//! checks values.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::connect::{Wanted, connect, end_nowhere, source};
use super::instances::{Accepts, Any, Instances, MOST_INSTANCES, Routes};
use crate::counters::{Source, StageTally, Tally};
use crate::edge::{Route, Rx, Tx};
use crate::error::{BuildError, into_message};
use crate::overflow::Overflow;
use crate::plan::{self, DutyPlan, Plan, Wiring};
use crate::policy::{FailFast, Policy};
use crate::ring::cursor::Cursors;
use crate::scale::{Scale, Share};
use crate::stage::{Context, Stage, Then, Token};
use crate::sync::Arc as RingArc;
use crate::timing::{Clock, Due};
use crate::worker::duty::{Duty, Ends, Make, Parts};

/// One handle, by type: it cannot be cloned.
#[derive(Debug, Clone, Copy)]
pub enum One {}

/// Any number of handles: they can be cloned.
#[derive(Debug, Clone, Copy)]
pub enum Many {}

/// Builds a pipeline: `J` goes in, `E` is what its stages fail with.
///
/// The other parameters follow from the calls: the policy `P`, whether dispatchers `D` and receivers `R`
/// can be cloned, and the last stage `L`.
#[must_use = "nothing runs before `start` or `run`"]
pub struct Builder<'env, J, E, P = FailFast, D = One, R = One, L = Nothing>
where
    J: Send,
    P: Policy<E>,
{
    pub(crate) plan: Plan<'env, E>,
    /// The dispatchers' end, once the first ring is made; in a branch, one for each instance in front of
    /// the fork.
    pub(crate) mouth: Vec<Tx<'env, P::Item<J>>>,
    pub(crate) capacity: usize,
    pub(crate) last: L,
    pub(crate) types: PhantomData<(D, R)>,
}

/// Jobs that a ring holds where nobody says otherwise.
const CAPACITY: usize = 1024;

impl<J, E, P, D, R, L> fmt::Debug for Builder<'_, J, E, P, D, R, L>
where
    J: Send,
    P: Policy<E>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.plan.stages.iter().map(|stage| &stage.name).collect();
        f.debug_struct("Builder")
            .field("stages", &stages)
            .finish_non_exhaustive()
    }
}

/// No stage yet.
#[derive(Debug)]
pub struct Nothing {
    /// In a branch, the instances in front of the fork.
    pub(super) producers: Option<usize>,
}

/// The last stage so far: not yet hidden, because another may be fused into it.
pub struct Last<'env, In, S, E, P, W>
where
    In: Send,
    P: Policy<E>,
{
    rxs: Vec<Rx<P::Item<In>>>,
    make: Make<'env, S>,
    /// Names and, by instance, tallies of this stage and those fused into it.
    names: Vec<Arc<str>>,
    tallies: Vec<Vec<Arc<Tally>>>,
    stage: usize,
    edge: usize,
    capacity: usize,
    cores: Option<Vec<usize>>,
    window: Option<usize>,
    scale: Option<Arc<Scale>>,
    types: PhantomData<fn() -> W>,
}

impl<In: Send, S, E, P: Policy<E>, W> fmt::Debug for Last<'_, In, S, E, P, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Last")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// How results leave the last stage so far.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Shape {
    /// Instances; none where dispatchers are in front.
    pub(super) producers: Option<usize>,
    /// The window and the input that numbers its tickets.
    pub(super) window: Option<(usize, RingArc<Cursors>)>,
}

/// The last stage so far, or none. Not to be implemented outside.
pub trait Link<'env, J: Send, E, P: Policy<E>>: Send + 'env {
    /// The type of its results.
    type Out: Send + 'env;

    #[doc(hidden)]
    fn shape(&self) -> Shape;

    /// Gives it its producer ends, one for each of the [`Shape`]'s producers, and hides it in the plan. If
    /// there is no stage, gives the ends back: they are the dispatchers', or belong in front of a fork.
    #[doc(hidden)]
    fn seal(
        self,
        plan: &mut Plan<'env, E>,
        txs: Vec<Tx<'env, P::Item<Self::Out>>>,
    ) -> Vec<Tx<'env, P::Item<J>>>;
}

/// There is at least one stage. Not to be implemented outside.
pub trait Staged {}

impl<In: Send, S, E, P: Policy<E>, W> Staged for Last<'_, In, S, E, P, W> {}

impl<'env, J, E, P> Link<'env, J, E, P> for Nothing
where
    J: Send + 'env,
    P: Policy<E>,
{
    type Out = J;

    fn shape(&self) -> Shape {
        Shape {
            producers: self.producers,
            window: None,
        }
    }

    fn seal(
        self,
        _plan: &mut Plan<'env, E>,
        txs: Vec<Tx<'env, P::Item<J>>>,
    ) -> Vec<Tx<'env, P::Item<J>>> {
        txs
    }
}

impl<'env, J, In, S, E, P, W> Link<'env, J, E, P> for Last<'env, In, S, E, P, W>
where
    J: Send,
    In: Send + 'env,
    S: Stage<In, E> + 'env,
    S::Out: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    W: Accepts<S>,
{
    type Out = S::Out;

    fn shape(&self) -> Shape {
        let window = self.window.filter(|_| self.rxs.len() > 1);
        Shape {
            producers: Some(self.rxs.len()),
            window: window.map(|size| (size, RingArc::clone(self.rxs[0].cursors()))),
        }
    }

    fn seal(
        self,
        plan: &mut Plan<'env, E>,
        txs: Vec<Tx<'env, P::Item<S::Out>>>,
    ) -> Vec<Tx<'env, P::Item<J>>> {
        self.hide(plan, txs);
        Vec::new()
    }
}

impl<'env, In, S, E, P, W> Last<'env, In, S, E, P, W>
where
    In: Send + 'env,
    S: Stage<In, E> + 'env,
    S::Out: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    W: Accepts<S>,
{
    /// Gives each instance its producer end, and hides their types in the plan.
    fn hide(self, plan: &mut Plan<'env, E>, txs: Vec<Tx<'env, P::Item<S::Out>>>) {
        let instances = self.rxs.len();
        let timing = plan.config.timing.clone();
        let is_first = self.edge == 0;
        let ends = self.rxs.into_iter().zip(txs).zip(self.tallies).enumerate();
        for (instance, ((mut rx, mut tx), tallies)) in ends {
            if let Some(window) = tx.window() {
                rx.set_gate(window);
                if is_first && plan.config.overflow == Overflow::DropOldest {
                    let stage = self.names[0].to_string();
                    plan.refuse(BuildError::OrderedDropsOldest { stage });
                }
            }
            let stage = Arc::clone(&self.names[0]);
            let mut due = None;
            let clock = P::clock(|| {
                let due = due.insert(Due::new(&timing));
                Clock::of_duty(&timing, &self.names[0], is_first, due)
            });
            let context = Context {
                stage,
                instance,
                instances,
                token: Token::new(&plan.executor.core, due.as_ref()),
            };
            let share = self.scale.as_ref().map(|scale| Share::new(scale, instance));
            let of_duty = share.clone();
            let parts = Parts {
                names: self.names.clone(),
                tallies,
            };
            let (input, output, outputs) = (rx.peek(), tx.peek(), tx.places());
            let make = Arc::clone(&self.make);
            let executor = Arc::clone(&plan.executor);
            let build = W::erase(move |wiring: &Wiring, number| {
                tx.attach(|edge, lane| wiring.behind(edge, lane));
                rx.attach(|lane| wiring.before(number, lane));
                rx.attach_siblings(|| wiring.siblings(number));
                let stage = context.stage.to_string();
                let ends = Ends {
                    rx,
                    tx,
                    clock,
                    share: of_duty,
                };
                let duty = catch_unwind(AssertUnwindSafe(|| {
                    Duty::<In, S, E, P>::new(make, context, parts, ends, executor)
                }))
                .map_err(|payload| BuildError::Init {
                    stage,
                    instance,
                    message: into_message(payload),
                })?;
                if duty.is_live() {
                    plan::guard("the instance start hook", || duty.tell_start())?;
                }
                Ok(duty)
            });
            plan.add_duty(DutyPlan {
                stage: self.stage,
                name: Arc::clone(&self.names[0]),
                instance,
                instances,
                core: self
                    .cores
                    .as_ref()
                    .and_then(|cores| cores.get(instance).copied()),
                input,
                output,
                capacity: self.capacity,
                input_edge: self.edge,
                outputs,
                share,
                build,
            });
        }
    }
}

impl<'env, J, E> Builder<'env, J, E>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            plan: Plan::new(),
            mouth: Vec::new(),
            capacity: CAPACITY,
            last: Nothing { producers: None },
            types: PhantomData,
        }
    }
}

impl<'env, J, E, P, D, R> Builder<'env, J, E, P, D, R>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// Chooses the per-job policy: an error or a panic in a stage becomes that job's outcome, and the
    /// pipeline goes on. To be said before the first stage, since it decides what rings carry.
    ///
    /// An outcome that stands for a failure has no key: behind a [keyed](Instances::keyed) stage it may come before or
    /// after results of jobs with the key that its job had. Ordered stages, and stages of one instance, keep its place.
    pub fn per_job(self) -> Builder<'env, J, E, P::PerJob, D, R> {
        self.with_policy()
    }

    /// Lets single jobs have deadlines: those that [`Dispatcher::dispatch_due`](crate::Dispatcher::dispatch_due)
    /// says. To be said before the first stage, since rings then carry times with each job (24 bytes), and a clock
    /// is read (16–50 ns) for each stage and result of a job with a deadline.
    ///
    /// A job whose deadline passes before a stage begins with it is not begun; a running one is told so by its
    /// [`Token`], and the first result that it emits too late ends it. Its outcome is
    /// [`Expired`](crate::JobError::Expired) or [`TimedOut`](crate::JobError::TimedOut) in the per-job policy; in
    /// the policy fail fast the pipeline fails with [`Fault::Late`](crate::Fault::Late).
    pub fn timed(self) -> Builder<'env, J, E, P::Timed, D, R> {
        self.with_policy()
    }

    /// [`Builder::timed`], where a job is due this long after its dispatch unless it is said otherwise. The wait for room
    /// does not count: a job's time begins when it is accepted, or offered for the last time. The moment that
    /// [`Dispatcher::dispatch_due`](crate::Dispatcher::dispatch_due) names stays as it is.
    pub fn job_timeout(mut self, timeout: Duration) -> Builder<'env, J, E, P::Timed, D, R> {
        if timeout.is_zero() {
            self.plan.refuse(BuildError::ZeroTime {
                what: "job timeout",
            });
        }
        self.plan.config.timing.set_timeout(timeout);
        self.timed()
    }

    /// [`Builder::timed`], and histograms of how long jobs wait, are worked on and take in all, which
    /// [`Handle::latencies`](crate::Handle::latencies) reads. Costs three looks at the clock (16–50 ns each) a job
    /// and stage, and about 280 KB a histogram, of which an instance has two.
    #[cfg(feature = "hdr")]
    pub fn histograms(mut self) -> Builder<'env, J, E, P::Timed, D, R> {
        let meters = self.plan.executor.measure();
        self.plan.config.timing.set_meters(meters);
        self.timed()
    }

    fn with_policy<Q: Policy<E>>(self) -> Builder<'env, J, E, Q, D, R> {
        let Self {
            plan,
            capacity,
            last,
            ..
        } = self;
        Builder {
            plan,
            mouth: Vec::new(), // No stage is there, so no ring either.
            capacity,
            last,
            types: PhantomData,
        }
    }
}

/// A stage to be: its consumer ends and counters.
struct Opened<X> {
    rxs: Vec<Rx<X>>,
    tallies: Vec<Arc<Tally>>,
    stage: usize,
    edge: usize,
    capacity: usize,
}

impl<X> Opened<X> {
    fn into_last<'env, In, S, E, P, W>(
        self,
        name: Arc<str>,
        how: How,
        init: impl Fn(&Context) -> S + Send + Sync + 'env,
    ) -> Last<'env, In, S, E, P, W>
    where
        In: Send,
        P: Policy<E, Item<In> = X>,
    {
        let Self {
            rxs,
            tallies,
            stage,
            edge,
            capacity,
        } = self;
        let How {
            cores,
            window,
            scale,
            ..
        } = how;
        Last {
            rxs,
            make: Arc::new(move |context: &Context, _tallies: &[Arc<Tally>]| init(context)),
            names: vec![name],
            tallies: tallies.into_iter().map(|tally| vec![tally]).collect(),
            stage,
            edge,
            capacity,
            cores,
            window,
            scale,
            types: PhantomData,
        }
    }
}

/// What was said of a stage's instances, checked.
struct How {
    /// How many there may be.
    count: usize,
    cores: Option<Vec<usize>>,
    window: Option<usize>,
    scale: Option<Arc<Scale>>,
}

impl<'env, J, E, P, D, R, L> Builder<'env, J, E, P, D, R, L>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    L: Link<'env, J, E, P>,
{
    /// Adds a stage of `instances`, each with a state of its own that `init` builds, with a ring in front.
    ///
    /// `init` runs once for each instance (again after a panic, in the per-job policy): for a floating
    /// stage on the thread that starts the executor, for a bound one on the thread that it is bound to.
    pub fn stage<S, F, W, K>(
        mut self,
        name: impl Into<String>,
        instances: Instances<W, K>,
        init: F,
    ) -> Builder<'env, J, E, P, D, R, Last<'env, L::Out, S, E, P, W>>
    where
        F: Fn(&Context) -> S + Send + Sync + 'env,
        S: Stage<L::Out, E> + 'env,
        S::Out: Send + 'env,
        W: Accepts<S>,
        K: Routes<'env, L::Out>,
    {
        let name = self.name(name.into());
        let is_keyed = K::IS_KEYED;
        let (how, key) = self.check(&name, instances, is_keyed);
        let route = key.route::<P::Item<L::Out>, _>(how.count, |item| P::peek(item));
        let (plan, mouth, opened) = self.open(&name, &how, route);
        let capacity = opened.capacity;
        let last = opened.into_last(name, how, init);
        Builder {
            plan,
            mouth,
            capacity,
            last,
            types: PhantomData,
        }
    }

    /// The parallel receiver of a `fold`: a stage whose jobs are what rings carry, whatever the policy.
    pub(crate) fn fold_stage<S, F, W>(
        mut self,
        instances: Instances<W>,
        init: F,
    ) -> (Plan<'env, E>, Vec<Tx<'env, P::Item<J>>>)
    where
        F: Fn(&Context) -> S + Send + Sync + 'env,
        S: Stage<P::Item<L::Out>, E> + 'env,
        S::Out: Send + 'env,
        W: Accepts<S>,
    {
        let name = self.name("fold".to_string());
        let (how, Any) = self.check(&name, instances, false);
        let (mut plan, mouth, opened) = self.open(&name, &how, None);
        let last: Last<'env, P::Item<L::Out>, S, E, FailFast, W> =
            opened.into_last(name, how, init);
        // Its own mouth is that of a stage, which has none.
        let _none = end_nowhere::<P::Item<J>, E, FailFast, _>(&mut plan, last);
        (plan, mouth)
    }

    /// Seals the last stage with a ring behind it, for the instances of a stage called `name`.
    fn open(
        self,
        name: &Arc<str>,
        how: &How,
        route: Option<Route<'env, P::Item<L::Out>>>,
    ) -> (
        Plan<'env, E>,
        Vec<Tx<'env, P::Item<J>>>,
        Opened<P::Item<L::Out>>,
    ) {
        let Self {
            mut plan,
            mut mouth,
            capacity,
            last,
            ..
        } = self;
        let stage = plan.stages.len();
        let tallies: Vec<_> = (0..how.count).map(|_| Tally::new()).collect();
        let wanted = Wanted {
            stage: Some(name.to_string()),
            consumers: how.count,
            is_one_ring: how.window.is_some() || how.scale.is_some(),
            route,
        };
        let (rxs, edge, between) =
            connect::<J, E, P, L>(&mut plan, &mut mouth, capacity, last, wanted);
        let instances = tallies.iter().cloned().chain(between).collect();
        let source = Source::Rings(source(&plan, edge, &rxs));
        let spill = (edge == 0).then(|| Arc::clone(&plan.config.spill));
        plan.stages.push(StageTally {
            spill,
            name: Arc::clone(name),
            source,
            instances,
        });
        (
            plan,
            mouth,
            Opened {
                rxs,
                tallies,
                stage,
                edge,
                capacity,
            },
        )
    }

    fn name(&mut self, name: String) -> Arc<str> {
        let problem = if name.is_empty() {
            Some("is empty")
        } else if name.contains('\0') {
            Some("holds a NUL")
        } else if self.plan.stages.iter().any(|stage| *stage.name == *name) {
            Some("is taken by another stage")
        } else {
            None
        };
        if let Some(problem) = problem {
            self.plan.refuse(BuildError::StageName {
                name: name.clone(),
                problem,
            });
        }
        Arc::from(name)
    }

    /// Checks what is said of a stage's instances; the rest is what can be built where `start` will say what is wrong.
    fn check<W, K>(
        &mut self,
        name: &Arc<str>,
        instances: Instances<W, K>,
        is_keyed: bool,
    ) -> (How, K) {
        let Instances {
            count,
            cores,
            window,
            most,
            load,
            key,
            ..
        } = instances;
        let stage = name.to_string();
        let asked = count.max(most.unwrap_or(0));
        let (count, most) = if asked > MOST_INSTANCES {
            self.plan.refuse(BuildError::TooMany {
                what: format!("instances of stage {stage:?}"),
                count: asked,
                most: MOST_INSTANCES,
            });
            (1, None)
        } else {
            (count, most)
        };
        let least = count.max(1);
        if count == 0 {
            self.plan.refuse(BuildError::ZeroInstances { stage });
        } else if window == Some(0) {
            self.plan.refuse(BuildError::ZeroWindow { stage });
        } else if is_keyed && window.is_some() {
            self.plan.refuse(BuildError::KeyedAndOrdered { stage });
        } else if is_keyed && most.is_some() {
            self.plan.refuse(BuildError::KeyedAndScaled { stage });
        } else if load == Some(0) {
            self.plan.refuse(BuildError::ZeroLoad { stage });
        } else if let Some(most) = most.filter(|&most| most < least) {
            let refused = BuildError::Limits { stage, least, most };
            self.plan.refuse(refused);
        }
        let most = most.map(|most| most.max(least)).filter(|_| !is_keyed);
        let scale = most.map(|most| Scale::new(name, least, most, load.unwrap_or(0)));
        let how = How {
            count: most.unwrap_or(least),
            cores,
            window: window.filter(|_| !is_keyed),
            scale,
        };
        (how, key)
    }
}

impl<'env, J, E, P, D, R, In, S, W> Builder<'env, J, E, P, D, R, Last<'env, In, S, E, P, W>>
where
    J: Send + 'env,
    In: Send + 'env,
    S: Stage<In, E> + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// Fuses a stage into the one before: same duty, same worker, no ring. It has a name and counters of
    /// its own.
    ///
    /// The two are one stage to a job: an error or a panic in the fused one ends the job that the first one has
    /// open, and in the per-job policy what it had not yet emitted never comes. A stage of its own, with a ring
    /// between, fails for one result of the first at a time.
    pub fn then<S2, F>(
        mut self,
        name: impl Into<String>,
        init: F,
    ) -> Builder<'env, J, E, P, D, R, Last<'env, In, Then<S, S2>, E, P, W>>
    where
        F: Fn(&Context) -> S2 + Send + Sync + 'env,
        S2: Stage<S::Out, E> + 'env,
        S2::Out: Send + 'env,
        W: Accepts<Then<S, S2>>,
        Last<'env, In, S, E, P, W>: Link<'env, J, E, P>,
    {
        let name = self.name(name.into());
        let Self {
            mut plan,
            mouth,
            capacity,
            last,
            ..
        } = self;
        let added: Vec<_> = last.rxs.iter().map(|_| Tally::new()).collect();
        plan.stages.push(StageTally {
            spill: None,
            name: Arc::clone(&name),
            source: Source::Fused,
            instances: added.clone(),
        });
        let Last {
            rxs,
            make: first,
            mut names,
            mut tallies,
            stage,
            edge,
            cores,
            window,
            scale,
            ..
        } = last;
        for (of_instance, tally) in tallies.iter_mut().zip(added) {
            of_instance.push(tally);
        }
        let part = names.len();
        names.push(Arc::clone(&name));
        let make = move |context: &Context, tallies: &[Arc<Tally>]| {
            let of_second = Context {
                stage: Arc::clone(&name),
                ..context.clone()
            };
            Then::new(
                first(context, tallies),
                init(&of_second),
                Arc::clone(&tallies[part]),
            )
        };
        let last = Last {
            rxs,
            make: Arc::new(make) as Make<'env, Then<S, S2>>,
            names,
            tallies,
            stage,
            edge,
            capacity: last.capacity,
            cores,
            window,
            scale,
            types: PhantomData,
        };
        Builder {
            plan,
            mouth,
            capacity,
            last,
            types: PhantomData,
        }
    }
}
