//! Builders from cases. The type of a builder says what its last stage is; where that is decided at run time,
//! there is one variant for each type.

use std::sync::Arc;

use ringmill::{
    Builder, Context, Dispatcher, FailFast, Instances, Many, One, Outcome, PerJob, Pipeline,
    Policy, Receiver, Report, RunError, Timed, allowed_cores,
};

use super::case::{Case, End, Place, Route, StageCase};
use super::item::{Identity, Item, OnBegin, Site, Step};

/// What comes out of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    Result(Identity),
    Failed(Identity),
    /// Expired or timed out: nobody says which job it was.
    Late,
}

/// A policy whose outcomes can be told apart.
pub trait Judge: Policy<String> {
    fn see(given: Self::Given<Item>) -> Seen;
}

fn see_outcome(outcome: Outcome<Item, String>) -> Seen {
    use ringmill::JobError::{Expired, Panicked, Stage, TimedOut};
    match outcome {
        Ok(item) => Seen::Result(item.id),
        Err(Stage { error: text, .. } | Panicked { message: text, .. }) => {
            let id = Identity::read(&text);
            Seen::Failed(id.unwrap_or_else(|| panic!("not planned: {text}")))
        }
        Err(Expired { .. } | TimedOut { .. }) => Seen::Late,
        Err(other) => panic!("not planned: {other:?}"),
    }
}

impl Judge for FailFast {
    fn see(item: Item) -> Seen {
        Seen::Result(item.id)
    }
}

impl Judge for PerJob {
    fn see(outcome: Outcome<Item, String>) -> Seen {
        see_outcome(outcome)
    }
}

impl Judge for Timed<FailFast> {
    fn see(item: Item) -> Seen {
        Seen::Result(item.id)
    }
}

impl Judge for Timed<PerJob> {
    fn see(outcome: Outcome<Item, String>) -> Seen {
        see_outcome(outcome)
    }
}

/// What is added to a builder.
#[derive(Clone)]
pub enum Part {
    Stage(StageCase, Arc<Site>),
    Then(Arc<Site>),
    Fork([Arc<Site>; 2]),
}

/// The parts of a case, first to last. Whoever cannot be fused, is not.
pub fn parts(case: &Case) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut depth = 0;
    let site = |name: String, work, panic_at, offset, depth| {
        Arc::new(Site {
            name,
            depth,
            work,
            panic_at,
            offset,
            begun: 0.into(),
            over: 0.into(),
            made: 0.into(),
            seen: Default::default(),
            faults: 0.into(),
        })
    };
    for (nth, stage) in case.stages.iter().enumerate() {
        if let Some([left, right]) = stage.fork {
            let left = site("left".into(), left, None, 0, depth);
            let right = site("right".into(), right, None, 4, depth);
            parts.push(Part::Fork([left, right]));
            depth += 1;
        }
        let own = site(format!("s{nth}"), stage.work, stage.panic_at, 0, depth);
        depth += 1;
        let fits = matches!(parts.last(), Some(Part::Stage(..)));
        parts.push(if stage.place == Place::Fused && fits {
            Part::Then(own)
        } else {
            Part::Stage(stage.clone(), own)
        });
    }
    parts
}

/// Those of a pipeline, by its end.
pub enum Ends<P: Judge> {
    One(Mouth<P>, Receiver<Item, String, P, One>, Pipeline<String>),
    Many(Mouth<P>, Receiver<Item, String, P, Many>, Pipeline<String>),
    Discard(Mouth<P>, Pipeline<String>),
    Fold(Mouth<P>, Pipeline<String, Vec<Seen>>),
    Ran(Result<Report, RunError<String>>),
}

pub type Mouth<P> = Dispatcher<Item, String, P, Many>;

enum Stand<N, F, B, T, U, H> {
    Empty(N),
    Floating(F),
    Bound(B),
    Fused(T),
    BoundFused(U),
    Forked(H),
}

fn init(site: &Arc<Site>, on_begin: &OnBegin) -> impl Fn(&Context) -> Step + Send + Sync + 'static {
    let (site, on_begin) = (Arc::clone(site), Arc::clone(on_begin));
    move |_| Step::new(Arc::clone(&site), Arc::clone(&on_begin))
}

/// Jobs of one dispatcher with the same key keep their order through keyed stages.
pub fn key_of(id: Identity) -> u32 {
    id.job % 5
}

fn key(item: &Item) -> u32 {
    key_of(item.id)
}

fn floating(how: &StageCase) -> Instances {
    let instances = Instances::new(how.instances);
    let instances = if how.scaled {
        instances.up_to(3)
    } else {
        instances
    };
    match how.route {
        Route::Ordered(window) => instances.ordered(window),
        Route::Any | Route::Keyed => instances,
    }
}

/// A core for each instance; their type has no public name, so this gives its parts.
fn cores(how: &StageCase) -> impl Iterator<Item = usize> {
    let cores = allowed_cores();
    (0..how.instances).map(move |nth| cores[nth % cores.len()])
}

/// What a fused part becomes: only plain stages can have one behind them.
macro_rules! fuse {
    ($builder:ident, $site:ident, $on_begin:ident, Never) => {
        unreachable!(
            "`parts` fuses only what follows a plain stage: {}",
            $site.name
        )
    };
    ($builder:ident, $site:ident, $on_begin:ident, $then:ident) => {
        Stand::$then($builder.then(&$site.name, init($site, $on_begin)))
    };
}

/// Adds a part; `$then` says what a fused one becomes.
macro_rules! add {
    ($builder:ident, $part:ident, $on_begin:ident, $then:ident) => {
        match $part {
            Part::Fork([left, right]) => {
                let (one, other) = (init(left, $on_begin), init(right, $on_begin));
                Stand::Forked($builder.broadcast(|fork| {
                    fork.branch(|b| b.stage(&left.name, Instances::new(1), one))
                        .branch(|b| b.stage(&right.name, Instances::new(1), other))
                }))
            }
            Part::Stage(how, site) => {
                let (name, init) = (&site.name, init(site, $on_begin));
                match (how.place, how.route) {
                    (Place::Bound, Route::Keyed) => {
                        let instances = Instances::bound(cores(how)).keyed(key);
                        Stand::Bound($builder.stage(name, instances, init))
                    }
                    (Place::Bound, Route::Ordered(window)) => {
                        let instances = Instances::bound(cores(how)).ordered(window);
                        Stand::Bound($builder.stage(name, instances, init))
                    }
                    (Place::Bound, Route::Any) => {
                        Stand::Bound($builder.stage(name, Instances::bound(cores(how)), init))
                    }
                    (_, Route::Keyed) => {
                        Stand::Floating($builder.stage(name, floating(how).keyed(key), init))
                    }
                    _ => Stand::Floating($builder.stage(name, floating(how), init)),
                }
            }
            Part::Then(site) => fuse!($builder, site, $on_begin, $then),
        }
    };
}

macro_rules! finish {
    ($builder:ident, $case:ident, $jobs:ident, $each:ident) => {{
        let started = "a case that can be built";
        match $case.end {
            End::Receive | End::ReceiveMany => {
                let (mouth, exit, owner) = $builder.start().expect(started);
                Ends::One(mouth, exit, owner)
            }
            End::Receivers => {
                let (mouth, exit, owner) = $builder.many_receivers().start().expect(started);
                Ends::Many(mouth, exit, owner)
            }
            End::Discard => {
                let (mouth, owner) = $builder.discard().start().expect(started);
                Ends::Discard(mouth, owner)
            }
            End::Fold(instances) => {
                let note = |log: &mut Vec<Seen>, given: P::Given<Item>| log.push(P::see(given));
                let fold = $builder.fold(Instances::new(instances), |_| Vec::new(), note);
                let (mouth, owner) = fold.start().expect(started);
                Ends::Fold(mouth, owner)
            }
            End::Run => Ends::Ran($builder.run($jobs, |given| $each(P::see(given)))),
        }
    }};
}

/// Builds and starts a pipeline; `run` gets its jobs and what is done with results. Both are behind pointers: the pipelines
/// of a policy are compiled once.
pub fn assemble<P: Judge>(
    builder: Builder<'static, Item, String, P, Many, One>,
    case: &Case,
    parts: &[Part],
    on_begin: &OnBegin,
    jobs: &mut dyn Iterator<Item = Item>,
    each: &mut dyn FnMut(Seen),
) -> Ends<P> {
    let mut stand = Stand::Empty(builder);
    let quiet: OnBegin = Arc::new(|_| ());
    for (nth, part) in parts.iter().enumerate() {
        let on_begin = if nth == 0 { on_begin } else { &quiet };
        stand = match stand {
            Stand::Empty(b) => add!(b, part, on_begin, Never),
            Stand::Floating(b) => add!(b, part, on_begin, Fused),
            Stand::Bound(b) => add!(b, part, on_begin, BoundFused),
            Stand::Fused(b) => add!(b, part, on_begin, Never),
            Stand::BoundFused(b) => add!(b, part, on_begin, Never),
            Stand::Forked(b) => add!(b, part, on_begin, Never),
        };
    }
    match stand {
        Stand::Empty(_) => unreachable!("at least one stage"),
        Stand::Floating(b) => finish!(b, case, jobs, each),
        Stand::Bound(b) => finish!(b, case, jobs, each),
        Stand::Fused(b) => finish!(b, case, jobs, each),
        Stand::BoundFused(b) => finish!(b, case, jobs, each),
        Stand::Forked(b) => finish!(b, case, jobs, each),
    }
}
