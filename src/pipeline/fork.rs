//! Broadcast and merge: branches that each get every result, and whose own results meet in one ring.
//!
//! ```text
//!                       ┌─▶ │ ─▶ branch ─▶ │ ─┐
//!   stage ─▶ Tx::to_all ┤                     ├─▶ next stage
//!                       └─▶ │ ─▶ branch ─▶ │ ─┘
//! ```
//! The rings in front of the branches exist before their producers have theirs: so a fork hides the types of
//! what is before it and in it, and ties the ends together when it is told what comes behind.

use std::fmt;
use std::marker::PhantomData;

use super::builder::{Builder, Link, Nothing, Shape, Staged};
use super::connect::window_behind;
use super::instances::Instances;
use super::relay;
use crate::edge::Tx;
use crate::plan::Plan;
use crate::policy::{FailFast, Policy};

/// In the place of dispatchers and receivers: the ends of a branch belong to its fork.
#[derive(Debug, Clone, Copy)]
pub enum Branch {}

/// No branch yet.
#[derive(Debug)]
pub struct NoBranch(());

/// At least one branch, from jobs of type `In` to results of type `T`.
pub struct Branches<'env, In, E, P, T>(Vec<Hidden<'env, In, E, P, T>>)
where
    In: Send,
    T: Send,
    P: Policy<E>;

impl<In: Send, E, P: Policy<E>, T: Send> fmt::Debug for Branches<'_, In, E, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Branches").field(&self.0.len()).finish()
    }
}

type Seal<'env, J, E, P, T> = Box<
    dyn FnOnce(
            &mut Plan<'env, E>,
            Vec<Tx<'env, <P as Policy<E>>::Item<T>>>,
        ) -> Vec<Tx<'env, <P as Policy<E>>::Item<J>>>
        + Send
        + 'env,
>;

/// Stages whose types are hidden: from `J` to results of type `T`.
pub struct Hidden<'env, J, E, P, T>
where
    J: Send,
    T: Send,
    P: Policy<E>,
{
    producers: usize,
    seal: Seal<'env, J, E, P, T>,
}

impl<J: Send, E, P: Policy<E>, T: Send> fmt::Debug for Hidden<'_, J, E, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hidden").finish_non_exhaustive()
    }
}

impl<J: Send, E, P: Policy<E>, T: Send> Staged for Hidden<'_, J, E, P, T> {}

impl<'env, J, E, P, T> Link<'env, J, E, P> for Hidden<'env, J, E, P, T>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    T: Send + 'env,
{
    type Out = T;

    fn shape(&self) -> Shape {
        Shape {
            producers: Some(self.producers),
            window: None,
        }
    }

    fn seal(
        self,
        plan: &mut Plan<'env, E>,
        txs: Vec<Tx<'env, P::Item<T>>>,
    ) -> Vec<Tx<'env, P::Item<J>>> {
        (self.seal)(plan, txs)
    }
}

/// Hides what `last` is. A window gets a relay behind it, because it has one consumer of its own.
fn hide<'env, J, E, P, L>(
    plan: &mut Plan<'env, E>,
    mouth: Vec<Tx<'env, P::Item<J>>>,
    last: L,
) -> Hidden<'env, J, E, P, L::Out>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    L: Link<'env, J, E, P>,
{
    let Shape { producers, window } = last.shape();
    let producers = producers.unwrap_or(1);
    let seal = move |plan: &mut _, txs| {
        let given = last.seal(plan, txs);
        if given.is_empty() { mouth } else { given }
    };
    let Some((size, input)) = window else {
        return Hidden {
            producers,
            seal: Box::new(seal),
        };
    };
    let stage = plan.stages.last().map(|stage| stage.name.to_string());
    let (from, placers, rx) = window_behind(plan, stage.as_ref(), size, &input, producers);
    // What a stop makes the relay drop are results of the stage before.
    let between = relay::Between::behind_last(plan, false);
    Hidden {
        producers: 1,
        seal: Box::new(move |plan, mut txs| match txs.pop() {
            Some(tx) if !tx.is_nowhere() => {
                relay::add::<L::Out, E, P>(plan, rx, tx, from, between);
                seal(plan, placers)
            }
            // Results that nobody sees need no order.
            tx => seal(plan, vec![tx; producers].into_iter().flatten().collect()),
        }),
    }
}

/// The branches of a [`broadcast`](Builder::broadcast): results of type `In` go into each, and results of one
/// type come out of all.
#[must_use = "the branches are part of a pipeline only if they are returned"]
pub struct Fork<'env, In, E, P = FailFast, B = NoBranch> {
    plan: Plan<'env, E>,
    capacity: usize,
    /// The instances in front.
    producers: usize,
    branches: B,
    types: PhantomData<fn() -> (In, P)>,
}

impl<In, E, P, B> fmt::Debug for Fork<'_, In, E, P, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fork").finish_non_exhaustive()
    }
}

/// What the closure of a branch is given, until it adds a stage.
type Empty<'env, In, E, P> = Builder<'env, In, E, P, Branch, Branch, Nothing>;

impl<'env, In, E, P, B> Fork<'env, In, E, P, B>
where
    In: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// Lets `build` build a branch, and hides it behind those that there are.
    fn add<L, B2>(
        self,
        build: impl FnOnce(Empty<'env, In, E, P>) -> Builder<'env, In, E, P, Branch, Branch, L>,
        join: impl FnOnce(B, Hidden<'env, In, E, P, L::Out>) -> B2,
    ) -> Fork<'env, In, E, P, B2>
    where
        L: Link<'env, In, E, P>,
    {
        let Self {
            plan,
            capacity,
            producers,
            branches,
            types,
        } = self;
        let branch = build(Builder {
            plan,
            mouth: Vec::new(),
            capacity,
            last: Nothing {
                producers: Some(producers),
            },
            types: PhantomData,
        });
        let Builder {
            mut plan,
            mouth,
            last,
            ..
        } = branch;
        let branch = hide(&mut plan, mouth, last);
        Fork {
            plan,
            capacity,
            producers,
            branches: join(branches, branch),
            types,
        }
    }
}

impl<'env, In, E, P> Fork<'env, In, E, P>
where
    In: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
{
    /// Adds the first branch, whose results say what type those of the others have. `build` adds stages to the
    /// builder that it is given, and gives it back; if it adds none, jobs pass through.
    pub fn branch<L>(
        self,
        build: impl FnOnce(Empty<'env, In, E, P>) -> Builder<'env, In, E, P, Branch, Branch, L>,
    ) -> Fork<'env, In, E, P, Branches<'env, In, E, P, L::Out>>
    where
        L: Link<'env, In, E, P>,
    {
        self.add(build, |NoBranch(()), branch| Branches(vec![branch]))
    }
}

impl<'env, In, E, P, T> Fork<'env, In, E, P, Branches<'env, In, E, P, T>>
where
    In: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    T: Send + 'env,
{
    /// Adds another branch, with results of the same type.
    pub fn branch<L>(
        self,
        build: impl FnOnce(Empty<'env, In, E, P>) -> Builder<'env, In, E, P, Branch, Branch, L>,
    ) -> Self
    where
        L: Link<'env, In, E, P, Out = T>,
    {
        self.add(build, |mut branches, branch| {
            branches.0.push(branch);
            branches
        })
    }
}

impl<'env, J, E, P, D, R, L> Builder<'env, J, E, P, D, R, L>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    L: Link<'env, J, E, P>,
{
    /// Forks the pipeline: every branch that `fork` adds gets every result of the stage before, and what
    /// comes out of the branches meets in front of the next stage, or at the receiver.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use ringmill::{Instances, Pipeline, stage::map};
    ///
    /// let mut results = Vec::new();
    /// Pipeline::<Infallible>::builder::<u64>()
    ///     .stage("read", Instances::new(1), |_| map(|n: u64| n + 1))
    ///     .broadcast(|fork| {
    ///         fork.branch(|b| b.stage("double", Instances::new(1), |_| map(|n| 2 * n)))
    ///             .branch(|b| b.stage("square", Instances::new(1), |_| map(|n| n * n)))
    ///     })
    ///     .stage("format", Instances::new(1), |_| map(|n: u64| n.to_string()))
    ///     .run([2, 4], |result| results.push(result))?;
    /// results.sort();
    /// assert_eq!(results, ["10", "25", "6", "9"]);
    /// # Ok::<(), ringmill::RunError<Infallible>>(())
    /// ```
    ///
    /// **Order**: through stages of one instance each branch keeps the order in which the results came in.
    /// Between branches there is none: put a number or a key into the jobs where results are to be matched.
    ///
    /// **Backpressure**: a branch whose ring is full holds up the stage before, and so all other branches: the
    /// slowest one sets the pace, and larger rings only smooth it.
    ///
    /// **Cost**: one copy and one push for each branch, except that the last branch gets the value itself.
    /// Copies are made by the stage before, all of them before the first is sent; share what is large in an
    /// `Arc`. A `clone` that panics costs its job, like any panic of that stage, and no branch sees it. If a key
    /// function of a [keyed](Instances::keyed) branch panics, others may have seen the job.
    ///
    /// Where there is no stage yet, or the stage before is [ordered](Instances::ordered) and of several
    /// instances, a stage of one instance called "broadcast" ("broadcast 2" if that is taken, and so on) is put
    /// in front of the branches.
    ///
    /// In the per-job policy an earlier failure goes through the last branch only, so that it is received
    /// once. A job whose branch fails has one outcome for each branch.
    pub fn broadcast<T>(
        self,
        fork: impl FnOnce(
            Fork<'env, L::Out, E, P>,
        ) -> Fork<'env, L::Out, E, P, Branches<'env, L::Out, E, P, T>>,
    ) -> Builder<'env, J, E, P, D, R, Hidden<'env, J, E, P, T>>
    where
        L::Out: Clone,
        T: Send + 'env,
    {
        let Shape { producers, window } = self.last.shape();
        if producers.is_none() || window.is_some() {
            // Dispatchers push nowhere but into the one ring that a close is decided at, and a window has one
            // consumer.
            let is_free =
                |name: &String| self.plan.stages.iter().all(|stage| *stage.name != **name);
            let mut names = (2..).map(|nth| format!("broadcast {nth}"));
            let name = Some("broadcast".to_string())
                .filter(is_free)
                .or_else(|| names.find(is_free))
                .unwrap_or_default();
            return self
                .stage(name, Instances::new(1), |_| Ok::<L::Out, E>)
                .fork(fork);
        }
        self.fork(fork)
    }

    fn fork<T>(
        self,
        fork: impl FnOnce(
            Fork<'env, L::Out, E, P>,
        ) -> Fork<'env, L::Out, E, P, Branches<'env, L::Out, E, P, T>>,
    ) -> Builder<'env, J, E, P, D, R, Hidden<'env, J, E, P, T>>
    where
        L::Out: Clone,
        T: Send + 'env,
    {
        let Self {
            mut plan,
            mouth,
            capacity,
            last,
            ..
        } = self;
        let before = hide(&mut plan, mouth, last);
        let Fork {
            plan,
            branches: Branches(branches),
            ..
        } = fork(Fork {
            plan,
            capacity,
            producers: before.producers,
            branches: NoBranch(()),
            types: PhantomData,
        });
        let producers = branches.iter().map(|branch| branch.producers).sum();
        let seal = move |plan: &mut _, txs: Vec<_>| {
            let mut txs = txs.into_iter();
            let mut mouths: Vec<_> = branches
                .into_iter()
                .map(|branch| {
                    let own = txs.by_ref().take(branch.producers).collect();
                    (branch.seal)(plan, own).into_iter()
                })
                .collect();
            let all = (0..before.producers)
                .map(|_| Tx::to_all(mouths.iter_mut().filter_map(Iterator::next), P::copy))
                .collect();
            (before.seal)(plan, all)
        };
        Builder {
            plan,
            mouth: Vec::new(),
            capacity,
            last: Hidden {
                producers,
                seal: Box::new(seal),
            },
            types: PhantomData,
        }
    }
}
