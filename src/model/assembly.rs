//! A whole pipeline, all but its threads: what it is to be, and how it is put together.

use std::sync::Arc as StdArc;

use super::{Executor, Workers};
use crate::counters::{Source, StageTally};
use crate::edge::{self, Call, Mouth, To};
use crate::hooks::Hooks;
use crate::lot::{Flags, Neighbour, Neighbours};
use crate::pipeline::builder::Many;
use crate::ring::{mpmc, spsc, window};
use crate::stage::{Context, Flow, Outlet, Stage, Token};
use crate::sync::AtomicUsize;
use crate::worker::duty::{Duty, Ends, Parts};
use crate::worker::floor::{Floor, Trials};
use crate::worker::station::Station as Place;
use crate::{Dispatcher, FailFast, Handle, Idle, Receiver, RingError};
use crate::{counters, executor, lot};

/// A stage's code: from a job to its results. The first argument is the stage's number.
pub type StepFn<T, E> = StdArc<dyn Fn(usize, T) -> Result<Vec<T>, E> + Send + Sync>;

struct Step<T, E> {
    stage: usize,
    f: StepFn<T, E>,
    open: std::vec::IntoIter<T>,
}

impl<T, E> Stage<T, E> for Step<T, E> {
    type Out = T;

    fn job<O: Outlet<T>>(&mut self, job: T, out: &mut O) -> Result<Flow, E> {
        self.open = (self.f)(self.stage, job)?.into_iter();
        self.more(out)
    }

    fn more<O: Outlet<T>>(&mut self, out: &mut O) -> Result<Flow, E> {
        loop {
            if self.open.len() > 0 && !out.is_ready() {
                return Ok(Flow::More);
            }
            let Some(result) = self.open.next() else {
                return Ok(Flow::Done);
            };
            assert!(out.emit(result).is_ok(), "an outlet that is ready refused");
        }
    }
}

/// What an assembly is to be.
pub struct Shape<T, E> {
    /// The first position of every ring.
    pub start: usize,
    /// Instances of each stage.
    pub instances: Vec<usize>,
    /// The capacity of the ring before each stage, and of the one after the last.
    pub capacities: Vec<usize>,
    /// The worker at which each duty is at home, first stage first.
    pub homes: Vec<usize>,
    pub workers: usize,
    /// Whether the last stage's results are put back in order; the last capacity is the window then.
    pub is_ordered: bool,
    pub step: StepFn<T, E>,
}

/// A pipeline, all but its threads.
pub struct Assembly<T: Send + 'static, E: Send + Sync + 'static> {
    pub dispatcher: Dispatcher<T, E, FailFast, Many>,
    pub receiver: Receiver<T, E>,
    pub handle: Handle<E>,
    pub executor: Executor<E>,
    pub floor: Workers,
}

impl<T: Send + 'static, E: Send + Sync + 'static> Shape<T, E> {
    pub fn assemble(self) -> Result<Assembly<T, E>, RingError> {
        let stages = self.instances.len();
        let executor = executor::Executor::<E>::new();
        let core = &executor.core;
        let lot = StdArc::new(lot::Lot::new(self.workers, self.workers, self.workers));
        core.set_lot(&lot);
        core.set_mouths(1);

        let duties: Vec<Neighbour> = self.homes.iter().map(|&home| Flags::new(0, home)).collect();
        let first_of = |stage: usize| self.instances[..stage].iter().sum::<usize>();
        let of_stage = |stage: usize| &duties[first_of(stage)..first_of(stage + 1)];
        let bell = |duties: Vec<Neighbour>| {
            if duties.is_empty() {
                Call::Nobody
            } else {
                Call::Duties(lot::Bell::new(&lot, Neighbours::all(&duties.into())))
            }
        };

        // Both ends of each ring, one of each for every instance.
        let mut txs: Vec<Vec<edge::Tx<'static, T>>> = Vec::new();
        let mut rxs: Vec<Vec<edge::Rx<T>>> = Vec::new();
        for edge in 0..=stages {
            let producers = if edge == 0 {
                1
            } else {
                self.instances[edge - 1]
            };
            let consumers = if edge == stages {
                1
            } else {
                self.instances[edge]
            };
            let capacity = self.capacities[edge];
            if edge == stages && self.is_ordered {
                let input = rxs[edge - 1][0].cursors();
                let (placer, taker) = window::window(capacity, crate::sync::Arc::clone(input))?;
                let rx = edge::Rx::window(taker);
                for before in &mut rxs[edge - 1] {
                    before.set_gate(rx.cursors());
                }
                txs.push(
                    (0..producers)
                        .map(|_| edge::Tx::to_window(placer.clone()))
                        .collect(),
                );
                rxs.push(vec![rx]);
            } else if edge == 0 && consumers == 1 {
                let (tx, rx) = spsc::ring_at(capacity, self.start)?;
                let mut rx = edge::Rx::spsc(rx);
                rx.set_mouth(core);
                txs.push(vec![edge::Tx::new(To::Mouth(Mouth::new(tx, core)))]);
                rxs.push(vec![rx]);
            } else if edge > 0 && producers == 1 && consumers == 1 {
                let (tx, rx) = spsc::ring_at(capacity, self.start)?;
                txs.push(vec![edge::Tx::new(To::Spsc(tx))]);
                rxs.push(vec![edge::Rx::spsc(rx)]);
            } else if edge > 0 && consumers == 1 {
                let rings = (0..producers).map(|_| spsc::ring_at(capacity, self.start));
                let rings = rings.collect::<Result<Vec<_>, _>>()?.into_iter();
                let ends = rings.map(|(tx, rx)| (edge::Tx::new(To::Spsc(tx)), edge::Rx::spsc(rx)));
                let (tx, lanes) = ends.unzip();
                txs.push(tx);
                rxs.push(vec![edge::Rx::lanes(lanes)]);
            } else if edge > 0 && producers > 1 && !(edge + 1 == stages && self.is_ordered) {
                let rings =
                    (0..producers).map(|_| mpmc::sole_ring_at(capacity, self.start, consumers));
                let rings = rings.collect::<Result<Vec<_>, _>>()?.into_iter();
                let (tx, lanes): (Vec<_>, Vec<_>) = rings.unzip();
                let rx = |nth| edge::Rx::shared_lanes(&lanes, nth, consumers);
                rxs.push((0..consumers).map(rx).collect());
                txs.push(
                    tx.into_iter()
                        .map(|tx| edge::Tx::new(To::Sole(tx)))
                        .collect(),
                );
            } else {
                let (tx, rx) = mpmc::shared_ring_at(capacity, self.start, consumers)?;
                let tx = |_| edge::Tx::new(To::Mpmc(tx.clone()));
                txs.push((0..producers).map(tx).collect());
                let rx = |_| {
                    let mut rx = edge::Rx::mpmc(rx.clone(), consumers, false);
                    if edge == 0 {
                        rx.set_mouth(core);
                    }
                    rx
                };
                rxs.push((0..consumers).map(rx).collect());
            }
            let is_merged = rxs[edge][0].rings().len() > 1;
            edge::Tx::place(&mut txs[edge], edge, is_merged);
        }

        let inputs_merged: Vec<bool> = rxs.iter().map(|rx| rx[0].rings().len() > 1).collect();
        let mut exit = rxs.pop().unwrap();
        let mut mouth = txs.remove(0);
        let mut stations = Vec::new();
        let mut tallies = Vec::new();
        for (stage, (inputs, outputs)) in rxs.into_iter().zip(txs).enumerate() {
            let instances = self.instances[stage];
            let mut counted = StageTally {
                spill: None,
                name: StdArc::from(format!("stage {stage}")),
                source: Source::Rings(inputs[0].rings().into_iter().cloned().collect()),
                instances: Vec::new(),
            };
            for (instance, (mut rx, mut tx)) in inputs.into_iter().zip(outputs).enumerate() {
                let number = first_of(stage) + instance;
                let (input, output) = (rx.peek(), tx.peek());
                let threshold = (rx.cursors().capacity() / 2).clamp(1, lot::BACKLOG);
                let before = (stage > 0).then(|| of_stage(stage - 1).to_vec());
                let is_merged = inputs_merged[stage];
                rx.attach(|lane| match &before {
                    None => Call::Mouth(StdArc::clone(core), 0),
                    Some(before) if is_merged => bell(vec![before[lane].clone()]),
                    Some(before) => bell(before.clone()),
                });
                rx.attach_siblings(|| {
                    let siblings = of_stage(stage).iter().enumerate();
                    let siblings = siblings.filter(|(nth, _)| *nth != instance);
                    bell(siblings.map(|(_, duty)| duty.clone()).collect())
                });
                tx.attach(|_, _| {
                    if stage + 1 == stages {
                        Call::Exit(StdArc::clone(core))
                    } else {
                        bell(of_stage(stage + 1).to_vec())
                    }
                });
                let tally = counters::Tally::new();
                counted.instances.push(StdArc::clone(&tally));
                let context = Context {
                    stage: StdArc::clone(&counted.name),
                    instance,
                    instances,
                    token: Token::new(core, None),
                };
                let f = StdArc::clone(&self.step);
                let make = move |_: &Context, _: &[StdArc<counters::Tally>]| Step {
                    stage,
                    f: StdArc::clone(&f),
                    open: Vec::new().into_iter(),
                };
                let parts = Parts {
                    names: vec![StdArc::clone(&counted.name)],
                    tallies: vec![tally],
                };
                let duty = Duty::<T, Step<T, E>, E, FailFast>::new(
                    StdArc::new(make),
                    context,
                    parts,
                    Ends {
                        rx,
                        tx,
                        clock: (),
                        share: None,
                    },
                    StdArc::clone(&executor),
                );
                let flags = Neighbour::clone(&duties[number]);
                let duty = Some(Box::new(duty) as _);
                stations.push(Place::new(
                    flags, duty, input, output, threshold, None, false,
                ));
            }
            tallies.push(counted);
        }
        executor.set_up(stations.len(), tallies, &StdArc::new(Hooks::default()));
        let floor = StdArc::new(Floor {
            core: StdArc::clone(core),
            lot: StdArc::clone(&lot),
            epoch: std::time::Instant::now(),
            trials: Trials::new(),
            caller: None,
            afloat: AtomicUsize::new(stations.len()),
            floating: (0..stations.len()).rev().collect(),
            stations,
        });

        let first = StdArc::from(of_stage(0));
        let last = StdArc::from(of_stage(stages - 1));
        let lot = StdArc::clone(&lot);
        let behind = StdArc::clone(&lot);
        let attach_tx = StdArc::new(move |tx: &mut edge::Tx<'static, T>| {
            tx.attach(|_, _| Call::Duties(lot::Bell::new(&behind, Neighbours::all(&first))));
        });
        let attach_rx = StdArc::new(move |rx: &mut edge::Rx<T>| {
            let is_merged = rx.rings().len() > 1;
            rx.attach(|lane| {
                let before = if is_merged {
                    Neighbours::only(&last, lane)
                } else {
                    Neighbours::all(&last)
                };
                Call::Duties(lot::Bell::new(&lot, before))
            });
        });
        let idle = Idle::parking();
        let (tx, rx) = (mouth.pop().unwrap(), exit.pop().unwrap());
        let strategy = || idle.strategy(false);
        let dispatcher = Dispatcher::new(tx, (), &executor, &idle, false, strategy(), attach_tx);
        let receiver = Receiver::new(rx, (), &executor, &idle, false, strategy(), attach_rx);
        Ok(Assembly {
            dispatcher,
            receiver,
            handle: Handle::new(&executor),
            executor: Executor(executor),
            floor: Workers(floor),
        })
    }
}
