//! The untyped plan of an executor: its duties and edges, who is at home where, and the start.

mod assignment;
mod start;
mod threads;
mod wiring;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use start::Started;
pub(crate) use threads::{Detached, Spawn, guard, run};
pub(crate) use wiring::Wiring;

use crate::affinity::{Cores, Pin};
use crate::counters::{Spill, StageTally};
use crate::edge::{InputPeek, OutputPeek, Place};
use crate::error::BuildError;
use crate::executor::Executor;
use crate::hooks::Hooks;
use crate::idle::Idle;
use crate::overflow::Overflow;
use crate::ring::cursor::Cursors;
use crate::scale::Share;
use crate::timing::Timing;
use crate::worker::duty::Poll;
use crate::worker::station::Floating;

type Maker<'env, D> = Box<dyn FnOnce(&Wiring, usize) -> Result<D, BuildError> + Send + 'env>;

/// Builds a duty once it is known who its neighbours are.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub enum Build<'env> {
    /// On the thread that starts the executor.
    Floating(Maker<'env, Floating<'env>>),
    /// On the thread that will poll it.
    Bound(Maker<'env, Box<dyn Poll + 'env>>),
}

/// A duty to be.
pub(crate) struct DutyPlan<'env> {
    pub(crate) stage: usize,
    pub(crate) name: Arc<str>,
    pub(crate) instance: usize,
    pub(crate) instances: usize,
    pub(crate) core: Option<usize>,
    pub(crate) input: Arc<dyn InputPeek + 'env>,
    pub(crate) output: Arc<dyn OutputPeek + 'env>,
    /// The capacity of its input.
    pub(crate) capacity: usize,
    pub(crate) input_edge: usize,
    /// More than one in front of a fork.
    pub(crate) outputs: Vec<Place>,
    /// Its part in the number of its stage's instances, where that changes.
    pub(crate) share: Option<Share>,
    pub(crate) build: Build<'env>,
}

impl DutyPlan<'_> {
    /// Whether it begins without a state.
    fn is_dormant(&self) -> bool {
        self.share.as_ref().is_some_and(|share| !share.is_wanted())
    }

    /// Whether others take its jobs, too: other instances of its stage.
    fn has_siblings(&self, edges: &[EdgePlan]) -> bool {
        self.instances > 1 && !edges[self.input_edge].has_lanes
    }
}

/// A duty of the calling thread, where `run` is used.
pub(crate) struct CallerDuty<'own> {
    pub(crate) duty: Box<dyn FnOnce(&Wiring) -> Box<dyn Poll + 'own> + 'own>,
    pub(crate) is_ready: Box<dyn Fn() -> bool + 'own>,
    /// The edge that it feeds, or takes from.
    pub(crate) edge: usize,
    pub(crate) is_feed: bool,
}

/// The ring or rings between two stages.
#[derive(Default)]
pub(crate) struct EdgePlan {
    /// Each consumer has a ring of its own.
    has_lanes: bool,
    /// Each producer has a ring of its own.
    is_merged: bool,
    /// The window whose results a relay brings here: what is pushed there is dispatched.
    window: Option<crate::sync::Arc<Cursors>>,
}

/// Wishes of the builder.
pub(crate) struct Config {
    pub(crate) workers: Option<usize>,
    pub(crate) cores: Option<Vec<usize>>,
    /// Read once a start.
    found: OnceCell<Cores>,
    /// Read if the number of workers depends on it.
    quota: OnceCell<Option<usize>>,
    /// Whether the calling thread works, too, and is none of the workers.
    pub(crate) is_beside_caller: bool,
    pub(crate) pin: Pin,
    pub(crate) idle: Idle,
    pub(crate) timing: Timing,
    pub(crate) overflow: Overflow,
    /// Whether anybody but one dispatcher and one instance takes part in the first ring.
    pub(crate) shares_mouth: bool,
    /// What that has dropped.
    pub(crate) spill: Arc<Spill>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_spawn: Option<Arc<dyn Fn(usize) + Send + Sync>>,
}

impl Config {
    /// The cores that this start finds: it begins with the first call.
    fn found(&self) -> &Cores {
        self.found.get_or_init(|| Cores::read(self.pin))
    }

    /// How many workers there are where nobody says: the allowed cores, as far as a CPU quota has time for them.
    pub(crate) fn default_workers(&self) -> usize {
        let found = self.found();
        let quota = self.quota.get_or_init(|| found.read_quota());
        quota.unwrap_or(found.allowed.len())
    }

    /// What it found, for `placement`.
    fn cores_report(&self) -> Cores {
        Cores {
            quota: self.quota.get().copied().flatten(),
            ..self.found().clone()
        }
    }
}

#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Plan<'env, E> {
    pub(crate) config: Config,
    pub(crate) executor: Arc<Executor<E>>,
    pub(crate) duties: Vec<DutyPlan<'env>>,
    pub(crate) edges: Vec<EdgePlan>,
    pub(crate) stages: Vec<StageTally>,
    pub(crate) hooks: Hooks<E>,
    error: Option<BuildError>,
}

impl<E> Plan<'_, E> {
    pub(crate) fn window_before(&self, edge: usize) -> Option<crate::sync::Arc<Cursors>> {
        self.edges[edge].window.clone()
    }
}

impl<'env, E: Send + Sync + 'static> Plan<'env, E> {
    pub(crate) fn new() -> Self {
        Self {
            config: Config {
                workers: None,
                cores: None,
                found: OnceCell::new(),
                quota: OnceCell::new(),
                is_beside_caller: false,
                pin: Pin::default(),
                idle: Idle::default(),
                timing: Timing::new(),
                overflow: Overflow::default(),
                shares_mouth: false,
                spill: Arc::default(),
                deadline: None,
                stack_size: None,
                on_spawn: None,
            },
            executor: Executor::new(),
            duties: Vec::new(),
            edges: vec![EdgePlan::default()],
            stages: Vec::new(),
            hooks: Hooks::default(),
            error: None,
        }
    }

    /// Remembers the first thing that is wrong.
    pub(crate) fn refuse(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }

    /// A new edge behind the ones there are; its number.
    pub(crate) fn add_edge(&mut self, has_lanes: bool) -> usize {
        self.edges.push(EdgePlan {
            has_lanes,
            ..EdgePlan::default()
        });
        self.edges.len() - 1
    }

    pub(crate) fn set_lanes(&mut self, edge: usize) {
        self.edges[edge].has_lanes = true;
    }

    pub(crate) fn set_merged(&mut self, edge: usize) {
        self.edges[edge].is_merged = true;
    }

    pub(crate) fn set_window_before(&mut self, edge: usize, window: &crate::sync::Arc<Cursors>) {
        self.edges[edge].window = Some(crate::sync::Arc::clone(window));
    }

    pub(crate) fn add_duty(&mut self, duty: DutyPlan<'env>) {
        self.duties.push(duty);
    }

    /// Checks what can be checked before anything is made.
    fn check(&mut self) -> Result<(), BuildError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let config = &self.config;
        if config.workers == Some(0) {
            return Err(BuildError::ZeroWorkers);
        }
        if config.cores.as_ref().is_some_and(Vec::is_empty) {
            return Err(BuildError::NoCores);
        }
        let for_workers = config
            .cores
            .iter()
            .flatten()
            .map(|&core| ("workers".to_string(), core));
        let bound = self.duties.iter().filter_map(|duty| {
            duty.core.map(|core| {
                (
                    format!("stage {:?}, instance {}", duty.name, duty.instance),
                    core,
                )
            })
        });
        for (who, core) in for_workers.chain(bound) {
            let checked = config.found().check(core);
            checked.map_err(|error| BuildError::Core { who, error })?;
        }
        Ok(())
    }
}
