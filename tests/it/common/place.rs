//! Scenarios: each of them is to be survived with rings of one and of many, in each placement.

use std::sync::Arc;

use ringmill::stage::map;
use ringmill::{
    Builder, Context, Ends, FailFast, Instances, Many, One, Pipeline, Policy, Stage, allowed_cores,
};

use super::within_steps;

/// Where the stages of a scenario run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Each on a core, from the first two in turn.
    Bound,
    Floating,
    /// All of them in one duty.
    Fused,
}

pub const PLACES: [Place; 3] = [Place::Bound, Place::Floating, Place::Fused];

pub const CAPACITIES: [usize; 2] = [1, 1024];

/// Runs the scenario in each place with each capacity, each time under the watchdog.
#[track_caller]
pub fn everywhere(scenario: impl Fn(Place, usize) + Send + Sync + 'static) {
    let scenario = Arc::new(scenario);
    for (place, capacity) in combinations() {
        let scenario = Arc::clone(&scenario);
        within_steps(move |step| {
            step.say(format!("{place:?}, capacity {capacity}"));
            scenario(place, capacity);
        });
    }
}

/// Jobs enough to fill and empty a ring: where it holds one, each costs several switches from thread to thread,
/// and those are slow where others want the cores as well.
pub fn enough(capacity: usize) -> u64 {
    if capacity == 1 { 60 } else { 3000 }
}

/// Each place with each capacity.
pub fn combinations() -> impl Iterator<Item = (Place, usize)> + Clone {
    PLACES
        .into_iter()
        .flat_map(|place| CAPACITIES.map(|capacity| (place, capacity)))
}

/// So many trials, in each place with each capacity in turn, a hundred of them under one watchdog.
#[track_caller]
pub fn trials(count: u64, trial: impl Fn(Place, usize) + Send + Sync + 'static) {
    let trial = Arc::new(trial);
    let mut places = combinations().cycle();
    for first in (0..count).step_by(100) {
        let some: Vec<_> = places.by_ref().take(100).collect();
        let trial = Arc::clone(&trial);
        within_steps(move |step| {
            for (nth, (place, capacity)) in (first..count).zip(some) {
                step.say(format!("trial {nth}: {place:?}, capacity {capacity}"));
                trial(place, capacity);
            }
        });
    }
}

/// The first core, the second where there is one, and so on.
pub fn core_of(nth: usize) -> [usize; 1] {
    let cores = allowed_cores();
    [cores[nth % cores.len()]]
}

/// A started pipeline that any number may dispatch to.
pub type Started<J, E, P, T> = Ends<J, E, P, T, Many, One>;

/// A pipeline that any number may dispatch to, and nothing in it yet.
pub type Empty<J, E, P> = Builder<'static, J, E, P, Many, One>;

/// One that fails with strings, as a whole.
pub fn empty<J: Send + 'static>(capacity: usize) -> Empty<J, String, FailFast> {
    let builder = Pipeline::builder().many_dispatchers();
    builder.capacity(capacity)
}

/// A stage that hands on what it gets.
pub fn same(_: &Context) -> impl FnMut(u64) -> Result<u64, String> + use<> {
    Ok
}

/// Starts stages "a", "b" and "c".
pub fn three<J, E, P, A, B, C>(
    place: Place,
    builder: Empty<J, E, P>,
    a: impl Fn(&Context) -> A + Send + Sync + 'static,
    b: impl Fn(&Context) -> B + Send + Sync + 'static,
    c: impl Fn(&Context) -> C + Send + Sync + 'static,
) -> Started<J, E, P, C::Out>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
    A: Stage<J, E, Out: Send> + Send + 'static,
    B: Stage<A::Out, E, Out: Send> + Send + 'static,
    C: Stage<B::Out, E, Out: Send> + Send + 'static,
{
    let one = || Instances::new(1);
    match place {
        Place::Bound => builder
            .stage("a", Instances::bound(core_of(0)), a)
            .stage("b", Instances::bound(core_of(1)), b)
            .stage("c", Instances::bound(core_of(0)), c)
            .start(),
        Place::Floating => builder
            .stage("a", one(), a)
            .stage("b", one(), b)
            .stage("c", one(), c)
            .start(),
        Place::Fused => builder
            .stage("a", one(), a)
            .then("b", b)
            .then("c", c)
            .start(),
    }
    .map_err(|error| error.to_string())
    .expect("it starts")
}

/// Starts a stage "work", behind another where it is to be fused.
pub fn single<J, E, P, S>(
    place: Place,
    builder: Empty<J, E, P>,
    work: impl Fn(&Context) -> S + Send + Sync + 'static,
) -> Started<J, E, P, S::Out>
where
    J: Send + 'static,
    E: Send + Sync + 'static,
    P: Policy<E>,
    S: Stage<J, E, Out: Send> + Send + 'static,
{
    match place {
        Place::Bound => builder
            .stage("work", Instances::bound(core_of(0)), work)
            .start(),
        Place::Floating => builder.stage("work", Instances::new(1), work).start(),
        Place::Fused => builder
            .stage("first", Instances::new(1), |_| map(|job: J| job))
            .then("work", work)
            .start(),
    }
    .map_err(|error| error.to_string())
    .expect("it starts")
}
