//! The start: all that a plan asks for is made ([`Plan::assemble`]), threads start, and are let go once all stand ready
//! ([`Assembled::start`]). A model takes an assembly as it is and runs its workers on threads of its own.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::assignment::Assignment;
use super::threads::{
    Detached, First, Spawn, WorkerThreads, hear_soon, on_panic, strategy, supervise,
};
use super::wiring::{Wiring, wires};
use super::{Build, CallerDuty, Config, DutyPlan, Maker, Plan};
use crate::affinity::Pin;
use crate::counters::StageTally;
use crate::error::{BuildError, Fault};
use crate::executor::Executor;
use crate::hooks::Hooks;
use crate::idle::IdleStrategy;
use crate::lot::{BACKLOG, BOUND, DORMANT, Flags, Lot, Neighbour};
use crate::placement::Placement;
use crate::scale::Share;
use crate::sync::AtomicUsize;
use crate::worker::duty::Poll;
use crate::worker::floor::{Floor, Trials};
use crate::worker::station::Station;
use crate::worker::supervisor::{Scaled, Supervisor};
use crate::worker::{Bound, Worker};

/// An executor whose threads stand ready.
pub(crate) struct Started<'env, 'own> {
    pub(crate) wiring: Arc<Wiring>,
    /// The calling thread's worker, if it is to be one.
    pub(crate) caller: Option<Worker<'env, 'own>>,
    /// Whether the threads that wait in blocking calls and the workers are more than the cores.
    pub(crate) is_crowded: bool,
    /// One for each of the ends.
    pub(crate) strategies: Vec<Box<dyn IdleStrategy>>,
}

/// An executor, all but its threads.
pub(crate) struct Assembled<'env, 'own, E> {
    config: Config,
    executor: Arc<Executor<E>>,
    /// Its threads own them: they are dropped with the last thread.
    hooks: Arc<Hooks<E>>,
    crew: Assignment,
    pub(crate) floor: Arc<Floor<'env>>,
    pub(crate) wiring: Arc<Wiring>,
    /// By number of worker: the duties that only it polls, which are made on its thread.
    bound: Vec<Vec<(usize, Maker<'env, Box<dyn Poll + 'env>>)>>,
    /// The duties of the calling thread, where it works, too.
    caller: Option<Vec<Bound<'own>>>,
    scaled: Vec<Scaled>,
    pub(crate) is_crowded: bool,
    /// One for the caller if it works, too, and one for each of the ends.
    pub(crate) strategies: Vec<Box<dyn IdleStrategy>>,
}

impl<'env, E: Send + Sync + 'static> Plan<'env, E> {
    /// Makes everything, starts the threads, and lets them go once all stand ready; `outside` is how many
    /// threads besides the workers will be busy.
    pub(crate) fn start<'own>(
        self,
        spawn: &dyn Spawn<'env>,
        caller: Option<Vec<CallerDuty<'own>>>,
        outside: usize,
    ) -> Result<Started<'env, 'own>, BuildError> {
        let executor = Arc::clone(&self.executor);
        let started = self
            .assemble(caller, outside)
            .and_then(|assembled| assembled.start(spawn));
        if started.is_err() {
            executor.lifecycle.finish();
            executor.core.wake_everybody();
        }
        started
    }

    /// Makes everything but threads. See [`Plan::start`].
    pub(crate) fn assemble<'own>(
        mut self,
        caller: Option<Vec<CallerDuty<'own>>>,
        outside: usize,
    ) -> Result<Assembled<'env, 'own, E>, BuildError> {
        self.check()?;
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
        let crew = Assignment::new(&config, &duties, caller.is_some());
        let scaled = scaled(&duties, &stages);
        let lot = Arc::new(Lot::new(crew.workers.len(), crew.floating, crew.cores));
        executor.core.set_lot(&lot);
        executor.set_scales(
            scaled
                .iter()
                .map(|stage| Arc::clone(&stage.scale))
                .collect(),
        );
        let hooks = Arc::new(hooks);
        executor.set_up(duties.len(), stages, &hooks);

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
        for stage in &scaled {
            let share = |duty: &DutyPlan<'_>| {
                duty.share
                    .as_ref()
                    .is_some_and(|share| Arc::ptr_eq(&share.scale, &stage.scale))
            };
            let of_stage = duties.iter().zip(&flags).filter(|(duty, _)| share(duty));
            stage.scale.set_duties(
                &lot,
                of_stage.map(|(_, flags)| Neighbour::clone(flags)).collect(),
            );
        }
        let has_siblings: Vec<_> = duties
            .iter()
            .map(|duty| duty.has_siblings(&edges))
            .collect();
        let (edges, inputs) = wires(&edges, &duties, &flags, caller.iter().flatten());
        let wiring = Wiring {
            core: Arc::clone(&executor.core),
            lot: Arc::clone(&lot),
            edges,
            inputs,
        };
        executor.core.set_mouths(wiring.mouths());

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
            let station = Station::new(
                Neighbour::clone(&flags[number]),
                made,
                duty.input,
                duty.output,
                threshold,
                duty.share,
                has_siblings[number],
            );
            stations.push(station.of_stage(duty.stage));
        }
        floating.sort_by_key(|&(stage, _)| std::cmp::Reverse(stage));
        let floor = Arc::new(Floor {
            core: Arc::clone(&executor.core),
            epoch: Instant::now(),
            trials: Trials::new(),
            caller: caller.is_some().then_some(0),
            lot,
            stations,
            afloat: AtomicUsize::new(floating.len()),
            floating: floating.into_iter().map(|(_, number)| number).collect(),
        });

        let is_crowded = wiring.is_crowded(outside, crew.cores);
        // Before there are threads: theirs are made on them, those of this thread and of the ends here.
        let strategies = (0..outside + usize::from(caller.is_some()))
            .map(|_| strategy(&config.idle, is_crowded))
            .collect::<Result<Vec<_>, _>>()?;
        let caller = caller.map(|duties| {
            let bind = |duty: CallerDuty<'own>| Bound {
                duty: (duty.duty)(&wiring),
                station: None,
                is_ready: Some(duty.is_ready),
                has_ended: false,
            };
            duties.into_iter().map(bind).collect()
        });
        Ok(Assembled {
            config,
            executor,
            hooks,
            crew,
            floor,
            wiring: Arc::new(wiring),
            bound,
            caller,
            scaled,
            is_crowded,
            strategies,
        })
    }
}

impl<'env, 'own, E: Send + Sync + 'static> Assembled<'env, 'own, E> {
    /// The supervisor, if there is something to watch. Its deadline counts from now.
    pub(crate) fn supervisor(&mut self) -> Option<Supervisor<'env>> {
        let time = self.config.deadline;
        if time.is_none() && self.scaled.is_empty() {
            return None;
        }
        let deadline = time.and_then(|time| {
            let executor = Arc::clone(&self.executor);
            let give_up = move || executor.fail(Fault::DeadlineExceeded { deadline: time });
            // A deadline beyond the clock's end is none.
            Some((Instant::now().checked_add(time)?, Box::new(give_up) as _))
        });
        let ends = Arc::clone(&self.executor);
        Some(Supervisor {
            floor: Arc::clone(&self.floor),
            stages: std::mem::take(&mut self.scaled),
            is_finished: Box::new(move || ends.lifecycle.is_finished()),
            deadline,
        })
    }

    /// Starts the threads, and lets them go once all stand ready.
    fn start(mut self, spawn: &dyn Spawn<'env>) -> Result<Started<'env, 'own>, BuildError> {
        let (bound, caller) = (std::mem::take(&mut self.bound), self.caller.take());
        let (config, crew) = (&self.config, &self.crew);
        let threads = Arc::new(WorkerThreads {
            floor: Arc::clone(&self.floor),
            executor: Arc::clone(&self.executor),
            hooks: Arc::clone(&self.hooks),
            names: crew
                .workers
                .iter()
                .map(|plan| Arc::clone(&plan.name))
                .collect(),
            cores: crew.workers.iter().map(|plan| plan.core).collect(),
            idle: config.idle.clone(),
            is_crowded: self.is_crowded,
            surplus: crew.homes_range.end..crew.floating,
            stack_size: config.stack_size,
            on_spawn: config.on_spawn.clone(),
        });
        let first_thread = usize::from(caller.is_some());
        let mut ready = Vec::new();
        let mut go = Vec::new();
        for (index, bound) in bound.into_iter().enumerate().skip(first_thread) {
            let (say_ready, hear_ready) = mpsc::channel();
            let (say_go, hear_go) = mpsc::channel();
            let first = First {
                wiring: Arc::clone(&self.wiring),
                bound,
                helps: index < crew.floating,
                say_ready,
                hear_go,
            };
            let begin = Arc::clone(&threads);
            let body = Box::new(move || begin.begin(index, first));
            spawn
                .spawn(threads.thread(index), body)
                .map_err(|error| threads.refused(index, error))?;
            ready.push((index, hear_ready));
            go.push(say_go);
        }

        let mut workers = std::mem::take(&mut self.crew.workers);
        for (index, hear) in ready {
            let plan = &mut workers[index];
            // A thread ends without a word if what it had built panics once more as it is dropped.
            let answer = hear_soon(&hear).unwrap_or_else(|_| {
                let hook = "a worker's thread";
                let message = format!("{:?} ended before it was ready", plan.name);
                Err(BuildError::Hook { hook, message })
            });
            match answer? {
                Ok(()) => plan.pinned = plan.core.is_some(),
                Err(error) if plan.required || self.config.pin == Pin::Require => {
                    return Err(BuildError::Core {
                        who: format!("worker {:?}", plan.name),
                        error,
                    });
                }
                Err(error) => plan.refused = Some(error),
            }
        }
        self.executor.set_placement(Placement {
            workers: workers
                .into_iter()
                .enumerate()
                .map(|(nth, plan)| plan.report(nth))
                .collect(),
            cores: config.cores_report(),
        });
        if let Some(supervisor) = self.supervisor() {
            let name = "ringmill/super".to_string();
            let builder = thread::Builder::new().name(name.clone());
            let (executor, hooks) = (Arc::clone(&self.executor), Arc::clone(&self.hooks));
            let body = Box::new(move || {
                supervise(supervisor, &executor);
                drop(hooks); // They live as long as this thread.
            });
            let spawned = spawn.spawn(builder, body);
            spawned.map_err(|error| BuildError::Spawn {
                thread: name,
                error,
            })?;
        }
        for say_go in go {
            let _gone = say_go.send(());
        }
        let caller = caller.map(|bound| {
            let idle = self.strategies.swap_remove(0);
            let on_panic = on_panic(&self.executor, &self.hooks);
            Worker::new(0, &self.floor, bound, true, idle, on_panic)
        });
        Ok(Started {
            wiring: self.wiring,
            caller,
            is_crowded: self.is_crowded,
            strategies: self.strategies,
        })
    }
}

/// The stages whose number of instances changes.
fn scaled(duties: &[DutyPlan<'_>], stages: &[StageTally]) -> Vec<Scaled> {
    let mut scaled: Vec<Scaled> = Vec::new();
    for (number, duty) in duties.iter().enumerate() {
        let Some(Share { scale, .. }) = &duty.share else {
            continue;
        };
        let is_new = !scaled
            .last()
            .is_some_and(|last| Arc::ptr_eq(&last.scale, scale));
        if is_new {
            let tallies = stages[duty.stage].instances.clone();
            scaled.push(Scaled::new(scale, number, tallies));
        }
    }
    scaled
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
