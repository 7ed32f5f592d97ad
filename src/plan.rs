//! The untyped plan of an executor: its duties and edges, who is at home where, and the start.

use std::any::Any;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::affinity::{self, Pin, allowed_cores};
use crate::counters::{Spill, StageTally};
use crate::edge::{Call, InputPeek, OutputPeek, Place};
use crate::error::{BuildError, Fault, PinError, into_message};
use crate::executor::Executor;
use crate::hooks::Hooks;
use crate::idle::{Idle, IdleStrategy};
use crate::lifecycle::Core;
use crate::lot::{BACKLOG, BOUND, Bell, DORMANT, Flags, Lot, Neighbour, Neighbours};
use crate::overflow::Overflow;
use crate::placement::{Placement, WorkerPlacement};
use crate::ring::cursor::Cursors;
use crate::scale::Share;
use crate::sync::AtomicUsize;
use crate::timing::Timing;
use crate::worker::duty::Poll;
use crate::worker::floor::{Floor, Staff, Trials};
use crate::worker::keeper::{Keeper, Scaled};
use crate::worker::station::{Floating, Station};
use crate::worker::{Bound, Worker};

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
    /// How many of the cores are left to threads outside, before workers are pinned in turn.
    pub(crate) skip_cores: usize,
    pub(crate) pin: Pin,
    pub(crate) idle: Idle,
    pub(crate) timing: Timing,
    pub(crate) overflow: Overflow,
    /// What that has dropped.
    pub(crate) spill: Arc<Spill>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) on_spawn: Option<Arc<dyn Fn(usize) + Send + Sync>>,
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

/// Whom each duty calls: what [`Build`] is given.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Wiring {
    core: Arc<Core>,
    lot: Arc<Lot>,
    edges: Arc<[Wires]>,
    /// The input edge of each duty, and the duty's place among those who take from it.
    inputs: Vec<Place>,
}

/// The duties at both ends of one edge; none where dispatchers or receivers are.
struct Wires {
    /// Where each has a ring of its own, in the order of the rings.
    producers: Arc<[Neighbour]>,
    consumers: Arc<[Neighbour]>,
    has_lanes: bool,
    is_merged: bool,
}

impl Wiring {
    fn bell(&self, duties: Neighbours) -> Call {
        if duties.is_empty() {
            Call::Nobody
        } else {
            Call::Duties(Bell::new(&self.lot, duties))
        }
    }

    /// Whom to call behind edge `edge`, lane `lane`.
    pub(crate) fn behind(&self, edge: usize, lane: usize) -> Call {
        let wires = &self.edges[edge];
        if wires.consumers.is_empty() {
            Call::Exit(Arc::clone(&self.core))
        } else if wires.has_lanes {
            self.bell(Neighbours::only(&wires.consumers, lane))
        } else {
            self.bell(Neighbours::all(&wires.consumers))
        }
    }

    /// Whom to call in front of edge `edge`, lane `lane`.
    pub(crate) fn in_front(&self, edge: usize, lane: usize) -> Call {
        let wires = &self.edges[edge];
        if wires.producers.is_empty() {
            Call::Mouth(Arc::clone(&self.core))
        } else if wires.is_merged {
            self.bell(Neighbours::only(&wires.producers, lane))
        } else {
            self.bell(Neighbours::all(&wires.producers))
        }
    }

    /// The others that share the input of duty `number`.
    pub(crate) fn siblings(&self, number: usize) -> Call {
        let (edge, nth) = self.inputs[number];
        let wires = &self.edges[edge];
        if wires.has_lanes {
            return Call::Nobody;
        }
        self.bell(Neighbours::all_but(&wires.consumers, nth))
    }

    pub(crate) fn input_edge(&self, number: usize) -> usize {
        self.inputs[number].0
    }

    /// The lot's workers and the ends: whether they are more than the cores.
    fn is_crowded(&self, outside: usize) -> bool {
        self.lot.len() + outside > allowed_cores().len()
    }
}

/// What the keeper's thread does; it may start more threads.
pub(crate) type Keep<'env> = Box<dyn FnOnce(&dyn Spawn<'env>) + Send + 'env>;

/// Starts threads, scoped or not.
pub(crate) trait Spawn<'env> {
    fn spawn(
        &self,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send + 'env>,
    ) -> io::Result<()>;

    fn spawn_keeper(&self, builder: thread::Builder, keep: Keep<'env>) -> io::Result<()>;
}

/// An executor whose threads stand ready.
pub(crate) struct Started<'env, 'own> {
    pub(crate) wiring: Wiring,
    /// The calling thread's worker, if it is to be one.
    pub(crate) caller: Option<Worker<'env, 'own>>,
    /// Whether the threads that wait in blocking calls and the workers are more than the cores.
    pub(crate) is_crowded: bool,
    /// One for each of the ends.
    pub(crate) strategies: Vec<Box<dyn IdleStrategy>>,
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
                skip_cores: 0,
                pin: Pin::default(),
                idle: Idle::default(),
                timing: Timing::new(),
                overflow: Overflow::default(),
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
            affinity::check(core).map_err(|error| BuildError::Core { who, error })?;
        }
        Ok(())
    }

    /// Makes everything, starts the threads, and lets them go once all stand ready; `outside` is how many
    /// threads besides the workers will be busy.
    pub(crate) fn start<'own>(
        mut self,
        spawn: &dyn Spawn<'env>,
        caller: Option<Vec<CallerDuty<'own>>>,
        outside: usize,
    ) -> Result<Started<'env, 'own>, BuildError> {
        let executor = Arc::clone(&self.executor);
        let started = self
            .check()
            .and_then(|()| self.make(spawn, caller, outside));
        if started.is_err() {
            executor.lifecycle.finish();
            executor.core.wake_everybody();
        }
        started
    }

    fn make<'own>(
        self,
        spawn: &dyn Spawn<'env>,
        caller: Option<Vec<CallerDuty<'own>>>,
        outside: usize,
    ) -> Result<Started<'env, 'own>, BuildError> {
        let Self {
            config,
            executor,
            mut duties,
            edges,
            stages,
            hooks,
            ..
        } = self;
        // Those in front of a fork were hidden after those behind it.
        duties.sort_by_key(|duty| duty.stage);
        let crew = Assignment::new(&config, &duties, &edges, caller.is_some());
        let scaled = scaled(&duties, &stages);
        let has_keeper = config.deadline.is_some() || !scaled.is_empty();
        let lot = Arc::new(Lot::new(
            crew.workers.len(),
            crew.floating,
            allowed_cores().len(),
            has_keeper,
        ));
        executor.core.set_lot(&lot);
        executor.set_scales(
            scaled
                .iter()
                .map(|stage| Arc::clone(&stage.scale))
                .collect(),
        );
        executor.set_up(duties.len(), stages, hooks);

        let flags: Vec<Neighbour> = duties
            .iter()
            .zip(&crew.homes)
            .map(|(duty, &home)| {
                let word = match duty.core {
                    Some(_) => BOUND,
                    None if duty.is_dormant() => DORMANT,
                    None => 0,
                };
                Flags::new(word, home)
            })
            .collect();
        let (edges, inputs) = wires(&edges, &duties, &flags, caller.iter().flatten());
        let wiring = Wiring {
            core: Arc::clone(&executor.core),
            lot: Arc::clone(&lot),
            edges,
            inputs,
        };

        let mut stations = Vec::new();
        let mut floating = Vec::new();
        let mut bound: Vec<Vec<(usize, Maker<'env, Box<dyn Poll + 'env>>)>> = Vec::new();
        bound.resize_with(crew.workers.len(), Vec::new);
        for (number, duty) in duties.into_iter().enumerate() {
            let made = match duty.build {
                Build::Floating(make) => {
                    floating.push((duty.stage, number));
                    Some(make(&wiring, number)?)
                }
                Build::Bound(make) => {
                    bound[crew.homes[number]].push((number, make));
                    None
                }
            };
            let threshold = (duty.capacity / 2).clamp(1, BACKLOG);
            stations.push(Station::new(
                Neighbour::clone(&flags[number]),
                made,
                duty.input,
                duty.output,
                threshold,
                duty.share,
            ));
        }
        floating.sort_by_key(|&(stage, _)| std::cmp::Reverse(stage));
        let floor = Arc::new(Floor {
            core: Arc::clone(&executor.core),
            epoch: Instant::now(),
            trials: Trials::new(),
            caller: caller.is_some().then_some(0),
            staff: Staff::new(crew.floating, crew.here),
            lot,
            stations,
            afloat: AtomicUsize::new(floating.len()),
            floating: floating.into_iter().map(|(_, number)| number).collect(),
        });

        let is_crowded = wiring.is_crowded(outside);
        // Before there are threads: theirs are made on them, those of this thread and of the ends here.
        let mut strategies = (0..outside + usize::from(caller.is_some()))
            .map(|_| strategy(&config.idle, is_crowded))
            .collect::<Result<Vec<_>, _>>()?;
        let caller_bound = caller.map(|duties| {
            let bind = |duty: CallerDuty<'own>| Bound {
                duty: (duty.duty)(&wiring),
                station: None,
                is_ready: Some(duty.is_ready),
                has_ended: false,
            };
            duties.into_iter().map(bind).collect::<Vec<_>>()
        });
        let wiring = Arc::new(wiring);
        let recruits = Arc::new(Recruits {
            floor: Arc::clone(&floor),
            executor: Arc::clone(&executor),
            names: crew
                .workers
                .iter()
                .map(|plan| Arc::clone(&plan.name))
                .collect(),
            cores: crew.workers.iter().map(|plan| plan.core).collect(),
            idle: config.idle.clone(),
            is_crowded,
            stack_size: config.stack_size,
            on_spawn: config.on_spawn.clone(),
        });
        let first_thread = usize::from(caller_bound.is_some());
        let mut ready = Vec::new();
        let mut go = Vec::new();
        for (index, bound) in bound.into_iter().enumerate().skip(first_thread) {
            if (crew.here..crew.floating).contains(&index) {
                floor.lot.leave(); // The keeper hires it when there is something to do.
                continue;
            }
            let (say_ready, hear_ready) = mpsc::channel();
            let (say_go, hear_go) = mpsc::channel();
            let first = First {
                wiring: Arc::clone(&wiring),
                bound,
                helps: index < crew.floating,
                say_ready,
                hear_go,
            };
            let begin = Arc::clone(&recruits);
            let body = Box::new(move || begin.begin(index, first));
            spawn
                .spawn(recruits.thread(index), body)
                .map_err(|error| recruits.refused(index, error))?;
            ready.push((index, hear_ready));
            go.push(say_go);
        }

        let mut workers = crew.workers;
        for (index, hear) in ready {
            let plan = &mut workers[index];
            // A thread ends without a word if what it had built panics once more as it is dropped.
            let answer = hear.recv().unwrap_or_else(|_| {
                let hook = "a worker's thread";
                let message = format!("{:?} ended before it was ready", plan.name);
                Err(BuildError::Hook { hook, message })
            });
            match answer? {
                Ok(()) => plan.pinned = plan.core.is_some(),
                Err(error) if plan.required || config.pin == Pin::Require => {
                    return Err(BuildError::Core {
                        who: format!("worker {:?}", plan.name),
                        error,
                    });
                }
                Err(error) => plan.refused = Some(error),
            }
        }
        executor.set_placement(Placement {
            workers: workers
                .into_iter()
                .enumerate()
                .map(|(nth, plan)| plan.report(nth))
                .collect(),
        });
        if has_keeper {
            let deadline = config.deadline.and_then(|time| {
                let executor = Arc::clone(&executor);
                let give_up = move || executor.fail(Fault::DeadlineExceeded { deadline: time });
                // A deadline beyond the clock's end is none.
                Some((Instant::now().checked_add(time)?, Box::new(give_up) as _))
            });
            let ends = Arc::clone(&executor);
            let keeper = Keeper {
                floor: Arc::clone(&floor),
                stages: scaled,
                homes: crew.homes_range,
                is_finished: Box::new(move || ends.lifecycle.is_finished()),
                deadline,
            };
            let name = "ringmill/keeper".to_string();
            let builder = thread::Builder::new().name(name.clone());
            let keep = move |spawn: &dyn Spawn<'env>| {
                keeper.run(&|worker| {
                    let hire = Arc::clone(&recruits);
                    let body = Box::new(move || hire.take_over(worker));
                    spawn.spawn(recruits.thread(worker), body).is_ok()
                });
            };
            let spawned = spawn.spawn_keeper(builder, Box::new(keep));
            spawned.map_err(|error| BuildError::Spawn {
                thread: name,
                error,
            })?;
        }
        for say_go in go {
            let _gone = say_go.send(());
        }
        let caller = caller_bound.map(|bound| {
            let idle = strategies.swap_remove(0);
            Worker::new(0, &floor, bound, true, idle, on_panic(&executor))
        });
        drop(floor);
        // The threads may still hold it for a moment; ends get calls made from a copy.
        let wiring = Arc::try_unwrap(wiring).unwrap_or_else(|shared| Wiring {
            core: Arc::clone(&shared.core),
            lot: Arc::clone(&shared.lot),
            edges: Arc::clone(&shared.edges),
            inputs: shared.inputs.clone(),
        });
        Ok(Started {
            wiring,
            caller,
            is_crowded,
            strategies,
        })
    }
}

/// The duties at both ends of each edge, and the place of each duty at its input's.
fn wires<'caller, 'own: 'caller>(
    edges: &[EdgePlan],
    duties: &[DutyPlan<'_>],
    flags: &[Neighbour],
    caller: impl Iterator<Item = &'caller CallerDuty<'own>>,
) -> (Arc<[Wires]>, Vec<Place>) {
    let mut producers = vec![Vec::new(); edges.len()];
    let mut consumers = vec![Vec::new(); edges.len()];
    let mut inputs = Vec::new();
    for (duty, flags) in duties.iter().zip(flags) {
        inputs.push((duty.input_edge, consumers[duty.input_edge].len()));
        consumers[duty.input_edge].push(Arc::clone(flags));
        for &(edge, lane) in &duty.outputs {
            producers[edge].push((lane, Arc::clone(flags)));
        }
    }
    for duty in caller {
        let flags = Flags::new(BOUND, 0);
        if duty.is_feed {
            producers[duty.edge].push((0, flags));
        } else {
            consumers[duty.edge].push(flags);
        }
    }
    let ends = producers.into_iter().zip(consumers).zip(edges);
    let wires = ends.map(|((mut producers, consumers), edge)| {
        producers.sort_by_key(|&(lane, _)| lane);
        Wires {
            producers: producers.into_iter().map(|(_, flags)| flags).collect(),
            consumers: consumers.into(),
            has_lanes: edge.has_lanes,
            is_merged: edge.is_merged,
        }
    });
    (wires.collect(), inputs)
}

/// Calls a hook of the user's; its panic is an error.
pub(crate) fn guard<R>(hook: &'static str, call: impl FnOnce() -> R) -> Result<R, BuildError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| BuildError::Hook {
        hook,
        message: into_message(payload),
    })
}

/// A strategy for one thread.
fn strategy(idle: &Idle, is_crowded: bool) -> Result<Box<dyn IdleStrategy>, BuildError> {
    guard("the idle strategy", || idle.strategy(is_crowded))
}

/// What to do when an idle strategy panics.
fn on_panic<E: Send + Sync + 'static>(
    executor: &Arc<Executor<E>>,
) -> Box<dyn Fn(Box<dyn std::any::Any + Send>)> {
    let executor = Arc::clone(executor);
    Box::new(move |payload| {
        executor.fail(Fault::of_panic("idle strategy", payload));
    })
}

/// Lets a worker work, with what the user wants to be told of that.
pub(crate) fn run<E>(worker: &mut Worker<'_, '_>, index: usize, executor: &Executor<E>) {
    let tell = |what, hook: fn(&Hooks<E>, usize)| {
        let Some(hooks) = executor.hooks() else {
            return;
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(hooks, index))) {
            executor.fail(Fault::of_panic(what, payload));
        }
    };
    tell("the worker start hook", Hooks::worker_starts);
    worker.run();
    tell("the worker stop hook", Hooks::worker_stops);
}

/// The stages whose number of instances changes.
fn scaled(duties: &[DutyPlan<'_>], stages: &[StageTally]) -> Vec<Scaled> {
    let mut scaled: Vec<Scaled> = Vec::new();
    for (number, duty) in duties.iter().enumerate() {
        let Some(Share { scale, .. }) = &duty.share else {
            continue;
        };
        match scaled
            .last_mut()
            .filter(|last| Arc::ptr_eq(&last.scale, scale))
        {
            Some(last) => last.duties.push(number),
            None => scaled.push(Scaled {
                scale: Arc::clone(scale),
                duties: vec![number],
                tallies: stages[duty.stage].instances.clone(),
                high: 0,
                low: 0,
            }),
        }
    }
    scaled
}

/// What the threads of workers are made of.
struct Recruits<'env, E> {
    floor: Arc<Floor<'env>>,
    executor: Arc<Executor<E>>,
    /// By number of worker.
    names: Vec<Arc<str>>,
    cores: Vec<Option<usize>>,
    idle: Idle,
    is_crowded: bool,
    stack_size: Option<usize>,
    on_spawn: Option<Arc<dyn Fn(usize) + Send + Sync>>,
}

/// What those that are there from the start are given besides.
struct First<'env> {
    wiring: Arc<Wiring>,
    bound: Vec<(usize, Maker<'env, Box<dyn Poll + 'env>>)>,
    helps: bool,
    say_ready: mpsc::Sender<Result<Result<(), PinError>, BuildError>>,
    hear_go: mpsc::Receiver<()>,
}

impl<E: Send + Sync + 'static> Recruits<'_, E> {
    fn thread(&self, index: usize) -> thread::Builder {
        let builder = thread::Builder::new().name(self.names[index].to_string());
        match self.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    fn refused(&self, index: usize, error: io::Error) -> BuildError {
        let thread = self.names[index].to_string();
        BuildError::Spawn { thread, error }
    }

    /// What a new thread does first: whether it is pinned, and how it idles.
    fn enter(
        &self,
        index: usize,
    ) -> (
        Result<(), PinError>,
        Result<Box<dyn IdleStrategy>, BuildError>,
    ) {
        let pinned = self.cores[index].map_or(Ok(()), affinity::pin);
        let idle = guard("the spawn hook", || {
            if let Some(on_spawn) = &self.on_spawn {
                on_spawn(index);
            }
        })
        .and_then(|()| strategy(&self.idle, self.is_crowded));
        (pinned, idle)
    }

    /// The thread of a worker that is there from the start.
    fn begin(&self, index: usize, first: First<'_>) {
        let First {
            wiring,
            bound,
            helps,
            say_ready,
            hear_go,
        } = first;
        let (pinned, idle) = self.enter(index);
        let made = idle.and_then(|idle| {
            let bind = |(number, make): (usize, Maker<'_, _>)| {
                Ok(Bound {
                    duty: make(&wiring, number)?,
                    station: Some(number),
                    is_ready: None,
                    has_ended: false,
                })
            };
            let mut bound = bound.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?;
            bound.reverse(); // Last stage first.
            Ok((idle, bound))
        });
        drop(wiring);
        match made {
            Err(error) => drop(say_ready.send(Err(error))),
            Ok((idle, bound)) => {
                // Made before it stands ready: afterwards nothing is allocated.
                let panic = on_panic(&self.executor);
                let mut worker = Worker::new(index, &self.floor, bound, helps, idle, panic);
                let _heard = say_ready.send(Ok(pinned));
                if hear_go.recv().is_ok() {
                    run(&mut worker, index, &self.executor);
                    self.leave(index);
                }
            }
        }
    }

    /// The thread of a worker that the keeper has hired. That it cannot be pinned any more is no reason to stop.
    fn take_over(&self, index: usize) {
        match self.enter(index).1 {
            Ok(idle) => {
                let panic = on_panic(&self.executor);
                let mut worker = Worker::new(index, &self.floor, Vec::new(), true, idle, panic);
                run(&mut worker, index, &self.executor);
            }
            Err(error) => {
                let error: Box<dyn Any + Send> = Box::new(error.to_string());
                self.executor
                    .fail(Fault::of_panic("a worker's thread", error));
            }
        }
        self.leave(index);
    }

    fn leave(&self, index: usize) {
        if self.floor.staff.has_left(index) {
            self.floor.lot.leave();
            self.floor.lot.call_keeper();
        }
    }
}

/// Which workers there are, and which duty is at home where.
struct Assignment {
    workers: Vec<WorkerPlan>,
    /// How many of them poll floating duties; they come first.
    floating: usize,
    /// How many of those have a thread from the start; and which of them duties may be at home at.
    here: usize,
    homes_range: Range<usize>,
    /// By number of duty.
    homes: Vec<usize>,
}

struct WorkerPlan {
    name: Arc<str>,
    core: Option<usize>,
    required: bool,
    pinned: bool,
    refused: Option<PinError>,
    duties: Vec<String>,
}

impl WorkerPlan {
    fn report(self, worker: usize) -> WorkerPlacement {
        let Self {
            name,
            core,
            pinned,
            refused,
            duties,
            ..
        } = self;
        WorkerPlacement {
            worker,
            name,
            core,
            pinned,
            refused,
            duties,
        }
    }
}

impl Assignment {
    /// Floating duties are put in the order of their instance's share of the stage, then of the stage, and
    /// cut into equal runs: neighbouring stages share a home, instances of one stage do not. There are no
    /// more homes than cores: further workers only help, which they do when a home is held up.
    fn new(config: &Config, duties: &[DutyPlan<'_>], edges: &[EdgePlan], has_caller: bool) -> Self {
        let cores = allowed_cores();
        let pin_to = config.cores.as_deref().unwrap_or(cores);
        let floats = |nth: &usize| duties[*nth].core.is_none();
        let all = (0..duties.len()).filter(floats).count();
        let mut order: Vec<usize> = (0..duties.len())
            .filter(|nth| floats(nth) && !duties[*nth].is_dormant())
            .collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (&duties[a], &duties[b]);
            let left = a.instance * b.instances;
            let right = b.instance * a.instances;
            left.cmp(&right).then(a.stage.cmp(&b.stage))
        });
        let wanted = config.workers.unwrap_or(cores.len()).min(all);
        let floating = if has_caller { wanted.max(1) } else { wanted };
        let most = floating.min(cores.len());
        // A caller that is inside a job does not feed: it is a home only where others cannot do without it, and
        // never of one of several instances, of which another can take its jobs.
        let is_shared = |&nth: &usize| {
            let duty = &duties[nth];
            duty.instances > 1 && !edges[duty.input_edge].has_lanes
        };
        let is_home =
            !has_caller || most < 2 || order.len() >= most && !order.iter().any(is_shared);
        let first_home = usize::from(!is_home);
        let homes_range = first_home..most;
        let homes_count = homes_range.len().min(order.len().max(1));
        let here = floating.min(order.len().max(first_home + homes_count));
        let mut homes = vec![0; duties.len()];
        for (nth, &number) in order.iter().enumerate() {
            homes[number] = first_home + nth * homes_count / order.len();
        }

        let mut workers: Vec<WorkerPlan> = (0..floating)
            .map(|index| WorkerPlan {
                name: Arc::from(format!("ringmill/{index}")),
                core: (config.pin != Pin::Off && !(has_caller && index == 0))
                    .then(|| pin_to[(index + config.skip_cores) % pin_to.len()]),
                required: false,
                pinned: false,
                refused: None,
                duties: Vec::new(),
            })
            .collect();
        if has_caller && let Some(caller) = workers.first_mut() {
            caller.name = Arc::from(thread::current().name().unwrap_or("caller"));
        }
        for (number, duty) in duties.iter().enumerate() {
            let Some(core) = duty.core else { continue };
            let shared = (floating..workers.len()).find(|&index| workers[index].core == Some(core));
            homes[number] = shared.unwrap_or_else(|| {
                workers.push(WorkerPlan {
                    name: thread_name(&duty.name, duty.instance),
                    core: Some(core),
                    required: true,
                    pinned: false,
                    refused: None,
                    duties: Vec::new(),
                });
                workers.len() - 1
            });
        }
        for (number, duty) in duties.iter().enumerate() {
            if duty.is_dormant() {
                homes[number] = workers.len(); // The keeper's.
                continue;
            }
            workers[homes[number]]
                .duties
                .push(format!("{}/{}", duty.name, duty.instance));
        }
        Self {
            workers,
            floating,
            here,
            homes_range,
            homes,
        }
    }
}

/// `stage/i` in the 15 bytes that the kernel keeps, the stage cut at a character.
fn thread_name(stage: &str, instance: usize) -> Arc<str> {
    const KEPT: usize = 15;
    let suffix = format!("/{instance}");
    let mut end = stage.len().min(KEPT.saturating_sub(suffix.len()));
    while !stage.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(format!("{}{suffix}", &stage[..end]))
}

/// Threads that live as long as they like, until they are joined.
#[derive(Clone, Default)]
pub(crate) struct Detached(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Detached {
    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all of them are gone, also those that are started meanwhile.
    pub(crate) fn join(&self) {
        loop {
            let Some(thread) = self.threads().pop() else {
                return;
            };
            let _ended = thread.join(); // None of them panics.
        }
    }

    fn push(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads();
        threads.retain(|thread| !thread.is_finished()); // Those that were hired may be gone again.
        threads.push(thread);
    }
}

impl Spawn<'static> for Detached {
    fn spawn(
        &self,
        builder: thread::Builder,
        body: Box<dyn FnOnce() + Send + 'static>,
    ) -> io::Result<()> {
        self.push(builder.spawn(body)?);
        Ok(())
    }

    fn spawn_keeper(&self, builder: thread::Builder, keep: Keep<'static>) -> io::Result<()> {
        let spawn = self.clone();
        self.push(builder.spawn(move || keep(&spawn))?);
        Ok(())
    }
}

impl<E: Send + Sync + 'static> Plan<'static, E> {
    /// Starts on threads of its own. On an error, all that were started are gone again.
    pub(crate) fn start_detached(
        self,
        outside: usize,
    ) -> Result<(Started<'static, 'static>, Detached), BuildError> {
        let threads = Detached::default();
        match self.start(&threads, None, outside) {
            Ok(started) => Ok((started, threads)),
            Err(error) => {
                threads.join();
                Err(error)
            }
        }
    }
}
