//! Builders from cases. The type of a builder says what its last stage is; where that is decided at run time,
//! there is one variant for each type.

use std::sync::{Arc, Weak};

use ringmill::{
    BuildError, Builder, Context, Dispatcher, FailFast, Instances, Many, One, Outcome, PerJob,
    Pipeline, Policy, Receiver, Report, RunError, Timed, allowed_cores,
};

use super::case::{By, Call, Case, End, Place, Route, StageCase};
use super::drive::Run;
use super::item::{Identity, Item, Site, Step};

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
    Fork {
        branches: [Arc<Site>; 2],
        /// Copies are made by a stage of the fork's own.
        is_apart: bool,
    },
}

/// The parts of a case, first to last. Whoever cannot be fused, is not.
pub fn parts(case: &Case) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut depth = 0;
    // A window has one consumer: a stage or a relay of its own for many.
    let mut is_behind_window = false;
    let site = |name: String, work, how: Option<(&StageCase, bool)>, offset, depth| {
        Arc::new(Site {
            name,
            depth,
            work,
            yields: how.map_or(0, |(how, _)| how.yields),
            panic_at: how.and_then(|(how, _)| how.panic_at),
            key_panic: how.and_then(|(how, _)| how.key_panic),
            key_is_apart: how.is_some_and(|(_, is_apart)| is_apart),
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
            // 0 is the number of what has come to neither.
            let left = site("left".into(), left, None, 1, depth);
            let right = site("right".into(), right, None, 5, depth);
            let is_apart = is_behind_window || parts.is_empty();
            let branches = [left, right];
            parts.push(Part::Fork { branches, is_apart });
            is_behind_window = false;
            depth += 1;
        }
        let mut how = stage.clone();
        let fits = matches!(parts.last(), Some(Part::Stage(..)));
        let key_is_apart = is_behind_window;
        let is_fused = how.place == Place::Fused && fits;
        if is_fused {
            how.key_panic = None;
        } else {
            is_behind_window = how.has_window();
        }
        let own = site(
            format!("s{nth}"),
            how.work,
            Some((&how, key_is_apart)),
            0,
            depth,
        );
        depth += 1;
        parts.push(if is_fused {
            Part::Then(own)
        } else {
            Part::Stage(how, own)
        });
    }
    parts
}

/// Those of a pipeline, by its end.
pub enum Ends<P: Judge, D> {
    One(
        Mouth<P, D>,
        Receiver<Item, String, P, One>,
        Pipeline<String>,
    ),
    Many(
        Mouth<P, D>,
        Receiver<Item, String, P, Many>,
        Pipeline<String>,
    ),
    Discard(Mouth<P, D>, Pipeline<String>),
    Fold(Mouth<P, D>, Pipeline<String, Vec<Seen>>),
    Ran(Result<Report, RunError<String>>),
    Refused(BuildError),
}

pub type Mouth<P, D> = Dispatcher<Item, String, P, D>;

/// Whether there may be several dispatchers, as a type.
pub trait Clones<P: Judge>: Sized {
    fn of(builder: Builder<'static, Item, String, P>) -> Builder<'static, Item, String, P, Self>;

    fn copy(mouth: &Mouth<P, Self>) -> Option<Mouth<P, Self>>;
}

impl<P: Judge> Clones<P> for One {
    fn of(builder: Builder<'static, Item, String, P>) -> Builder<'static, Item, String, P> {
        builder
    }

    fn copy(_: &Mouth<P, Self>) -> Option<Mouth<P, Self>> {
        None
    }
}

impl<P: Judge> Clones<P> for Many {
    fn of(builder: Builder<'static, Item, String, P>) -> Builder<'static, Item, String, P, Self> {
        builder.many_dispatchers()
    }

    fn copy(mouth: &Mouth<P, Self>) -> Option<Mouth<P, Self>> {
        Some(mouth.clone())
    }
}

enum Stand<N, F, B, T, U, H> {
    Empty(N),
    Floating(F),
    Bound(B),
    Fused(T),
    BoundFused(U),
    Forked(H),
}

fn init(site: &Arc<Site>, run: &Arc<Run>) -> impl Fn(&Context) -> Step + Send + Sync + 'static {
    let (site, states) = (Arc::clone(site), run.states.clone());
    let (run, kept) = (Arc::downgrade(run), run.kept.life());
    move |_| {
        let _kept = &kept;
        if let Some(run) = run.upgrade() {
            run.call(Call::Init);
        }
        Step::new(Arc::clone(&site), Weak::clone(&run), states.life())
    }
}

/// Jobs of one dispatcher with the same key keep their order through keyed stages.
pub fn key_of(id: Identity) -> u32 {
    id.job % 5
}

fn key(site: &Arc<Site>, run: &Arc<Run>) -> impl Fn(&Item) -> u32 + Send + Sync + 'static {
    let site = Arc::clone(site);
    let (run, kept) = (Arc::downgrade(run), run.kept.life());
    move |item| {
        let _kept = &kept;
        if let Some(run) = run.upgrade() {
            run.come_to(item.id.job, By::Key);
        }
        if site.key_panic == Some(item.id.job) {
            std::panic::panic_any(item.id.say());
        }
        key_of(item.id)
    }
}

fn floating(how: &StageCase) -> Instances {
    let instances = Instances::new(how.instances);
    let instances = match how.scaled {
        None => instances,
        Some(0) => instances.up_to(3),
        Some(load) => instances.up_to(3).by_load(load),
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
    ($builder:ident, $site:ident, $run:ident, Never) => {
        unreachable!(
            "`parts` fuses only what follows a plain stage: {}",
            $site.name
        )
    };
    ($builder:ident, $site:ident, $run:ident, $then:ident) => {
        Stand::$then($builder.then(&$site.name, init($site, $run)))
    };
}

/// Adds a part; `$then` says what a fused one becomes.
macro_rules! add {
    ($builder:ident, $part:ident, $run:ident, $then:ident) => {
        match $part {
            Part::Fork {
                branches: [left, right],
                ..
            } => {
                let (one, other) = (init(left, $run), init(right, $run));
                Stand::Forked($builder.broadcast(|fork| {
                    fork.branch(|b| b.stage(&left.name, Instances::new(1), one))
                        .branch(|b| b.stage(&right.name, Instances::new(1), other))
                }))
            }
            Part::Stage(how, site) => {
                let (name, init) = (&site.name, init(site, $run));
                match (how.place, how.route) {
                    (Place::Bound, Route::Keyed) => {
                        let instances = Instances::bound(cores(how)).keyed(key(site, $run));
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
                        let instances = floating(how).keyed(key(site, $run));
                        Stand::Floating($builder.stage(name, instances, init))
                    }
                    _ => Stand::Floating($builder.stage(name, floating(how), init)),
                }
            }
            Part::Then(site) => fuse!($builder, site, $run, $then),
        }
    };
}

macro_rules! finish {
    ($builder:ident, $case:ident, $jobs:ident, $each:ident) => {{
        match $case.end {
            End::Receive | End::ReceiveMany => {
                let started = $builder.start();
                started.map_or_else(Ends::Refused, |(mouth, exit, owner)| {
                    Ends::One(mouth, exit, owner)
                })
            }
            End::Receivers => {
                let started = $builder.many_receivers().start();
                started.map_or_else(Ends::Refused, |(mouth, exit, owner)| {
                    Ends::Many(mouth, exit, owner)
                })
            }
            End::Discard => {
                let started = $builder.discard().start();
                started.map_or_else(Ends::Refused, |(mouth, owner)| Ends::Discard(mouth, owner))
            }
            End::Fold(instances) => {
                let note = |log: &mut Vec<Seen>, given: P::Given<Item>| log.push(P::see(given));
                let fold = $builder.fold(Instances::new(instances), |_| Vec::new(), note);
                let started = fold.start();
                started.map_or_else(Ends::Refused, |(mouth, owner)| Ends::Fold(mouth, owner))
            }
            End::Run => Ends::Ran($builder.run($jobs, |given| $each(P::see(given)))),
        }
    }};
}

/// Builds and starts a pipeline; `run` gets its jobs and what is done with results. Both are behind pointers: the pipelines
/// of a policy are compiled once.
pub fn assemble<P: Judge, D: Clones<P>>(
    builder: Builder<'static, Item, String, P, D>,
    run: &Arc<Run>,
    jobs: &mut dyn Iterator<Item = Item>,
    each: &mut dyn FnMut(Seen),
) -> Ends<P, D> {
    let mut stand = Stand::Empty(builder);
    let case = &run.case;
    for part in &run.parts {
        stand = match stand {
            Stand::Empty(b) => add!(b, part, run, Never),
            Stand::Floating(b) => add!(b, part, run, Fused),
            Stand::Bound(b) => add!(b, part, run, BoundFused),
            Stand::Fused(b) => add!(b, part, run, Never),
            Stand::BoundFused(b) => add!(b, part, run, Never),
            Stand::Forked(b) => add!(b, part, run, Never),
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
