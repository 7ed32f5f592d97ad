//! Doors for the models in `loom-tests`: what they need of this crate's inside, as thin as can be.
//!
//! Nothing here decides anything; assemblies are put together from the shipped parts as `plan` does it, on
//! threads of the model's own.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    reason = "for models only"
)]
#![expect(
    unsafe_code,
    reason = "models place in a window, which asks for the ticket's holder"
)]

use std::sync::Arc as StdArc;
use std::time::Instant;

use crate::counters::{Source, StageTally};
use crate::edge::{self, Call, Crew, InputPeek, Mouth, OutputPeek, To};
use crate::hooks::Hooks;
use crate::lot::{Flags, HOLDS, Neighbour, Neighbours};
use crate::pipeline::builder::Many;
use crate::pool::board::{self, Batch};
use crate::ring::window;
use crate::ring::{mpmc, spsc};
use crate::stage::{Context, Flow, Outlet, Stage, Token};
use crate::sync::AtomicUsize;
use crate::worker::Worker;
use crate::worker::duty::{Duty, Ends, Parts, Poll, Polled};
use crate::worker::floor::{self, Floor, Trials};
use crate::worker::station::Station as Place;
use crate::{Dispatcher, FailFast, Fault, Handle, Idle, Receiver, RingError};
use crate::{counters, event, executor, lifecycle, lot};

/// Something to wait for.
pub struct Event(event::Event);

impl Event {
    pub fn new() -> Self {
        Self(event::Event::new())
    }

    pub fn sleep(&self, ready: impl FnOnce() -> bool) -> bool {
        self.0.sleep(None, ready)
    }

    /// A sleep whose time is up as soon as it begins: in a model, a timeout is an event.
    pub fn sleep_no_time(&self, ready: impl FnOnce() -> bool) -> bool {
        self.0.sleep(Some(Instant::now()), ready)
    }

    pub fn notify(&self) -> bool {
        self.0.notify()
    }
}

/// The berths of some workers.
#[derive(Clone)]
pub struct Lot(StdArc<lot::Lot>);

impl Lot {
    pub fn new(workers: usize) -> Self {
        Self(StdArc::new(lot::Lot::new(workers, workers, workers, false)))
    }

    pub fn sleep(&self, worker: usize, ready: impl FnOnce() -> bool) {
        self.0.sleep(worker, true, &mut lot::Nap::default(), ready);
    }

    pub fn wake_helper(&self) {
        crate::event::light_fence();
        self.0.wake_helper();
    }

    /// A bell that calls a duty at home at each of these workers; `holds` says that it has a result that
    /// found no room.
    pub fn bell(&self, homes: &[usize], holds: bool) -> Bell {
        let duty = |&home: &usize| Flags::new(if holds { HOLDS } else { 0 }, home);
        Bell(lot::Bell::new(
            &self.0,
            Neighbours::all(&homes.iter().map(duty).collect()),
        ))
    }
}

pub struct Bell(lot::Bell);

impl Bell {
    pub fn published(&mut self, backlog: usize) {
        self.0.published(|| backlog);
    }

    pub fn given_back(&self, was_full: bool) {
        self.0.given_back(|| was_full);
    }

    pub fn call_one(&self) {
        self.0.call_one();
    }

    pub fn ended(&self) {
        self.0.ended();
    }
}

pub fn has_room<T>(producer: &mpmc::Producer<T>) -> bool {
    producer.has_room()
}

pub fn has_published<T>(consumer: &mpmc::Consumer<T>) -> bool {
    consumer.has_published()
}

/// The only pushing end of a ring.
pub struct Sole<T>(mpmc::Sole<T>);

impl<T> Sole<T> {
    pub fn ring_at(capacity: usize, start: usize) -> Result<(Self, mpmc::Consumer<T>), RingError> {
        let (tx, rx) = mpmc::sole_ring_at(capacity, start)?;
        Ok((Self(tx), rx))
    }

    pub fn try_push(&mut self, item: T) -> Result<(), T> {
        self.0.try_push(item)
    }

    pub fn close(&self) {
        self.0.close();
    }
}

/// A consumer that claims a few and takes them one by one.
pub struct Hand<T>(mpmc::Hand<T>);

impl<T> Hand<T> {
    pub fn new(consumer: mpmc::Consumer<T>) -> Self {
        Self(mpmc::Hand::new(consumer))
    }

    pub fn fill(&mut self, limit: usize) -> usize {
        self.0.fill(|_| limit)
    }

    pub fn held(&self) -> usize {
        self.0.held()
    }

    pub fn take(&mut self) -> Option<(usize, T)> {
        let ticket = self.0.ticket()?;
        Some((ticket, self.0.take()))
    }

    pub fn consumer(&self) -> &mpmc::Consumer<T> {
        self.0.consumer()
    }
}

/// A window behind the ring of `input`.
pub fn window<U, T>(
    size: usize,
    input: &mpmc::Consumer<U>,
) -> Result<(Placer<T>, Taker<T>), RingError> {
    let (placer, taker) = window::window(size, crate::sync::Arc::clone(input.cursors()))?;
    Ok((Placer(placer), Taker(taker)))
}

pub struct Placer<T>(window::Placer<T>);

impl<T> Clone for Placer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Placer<T> {
    /// For the holder of `ticket`, who has placed neither a last result nor a gap for it.
    pub fn place(&self, ticket: usize, item: T, more: bool) -> Result<(), T> {
        // SAFETY: the model holds the ticket.
        unsafe { self.0.place(ticket, item, more) }
    }

    /// As [`Placer::place`].
    pub fn gap(&self, ticket: usize) -> bool {
        // SAFETY: the model holds the ticket.
        unsafe { self.0.gap(ticket) }
    }

    pub fn close(&self) {
        self.0.close();
    }

    pub fn backlog(&self) -> usize {
        self.0.peek().backlog()
    }

    /// The placing end of an instance.
    pub fn tx(&self) -> Tx<T> {
        Tx(edge::Tx::to_window(self.0.clone()))
    }
}

pub struct Taker<T>(window::Taker<T>);

impl<T> Taker<T> {
    pub fn try_pop(&mut self) -> Option<T> {
        self.0.ticket()?;
        Some(self.0.take())
    }

    pub fn is_ended(&self) -> bool {
        self.0.peek().is_ended()
    }

    pub fn backlog(&self) -> usize {
        self.0.peek().backlog()
    }
}

/// The taking end of an instance.
pub struct Rx<T>(edge::Rx<T>);

impl<T: Send + 'static> Rx<T> {
    /// One of `instances` that share the ring, at the most the window of `taker` ahead.
    pub fn gated<U>(consumer: mpmc::Consumer<T>, instances: usize, taker: &Taker<U>) -> Self {
        let mut rx = edge::Rx::mpmc(consumer, instances);
        rx.set_gate(taker.0.cursors());
        Self(rx)
    }

    pub fn spsc(consumer: spsc::Consumer<T>) -> Self {
        Self(edge::Rx::spsc(consumer))
    }

    pub fn mpmc(consumer: mpmc::Consumer<T>) -> Self {
        Self(edge::Rx::mpmc(consumer, 1))
    }

    pub fn fill(&mut self, limit: usize) -> usize {
        self.0.fill(limit)
    }

    pub fn take(&mut self) -> Option<(usize, T)> {
        let ticket = self.0.ticket()?;
        Some((ticket, self.0.take(ticket)))
    }

    pub fn release(&mut self) {
        self.0.release();
    }

    pub fn peek_backlog(&self) -> usize {
        self.0.peek().backlog()
    }

    /// Dispatchers wait at the other end.
    pub fn calls_mouth<E>(&mut self, executor: &Executor<E>) {
        self.0.set_mouth(&executor.0.core);
        self.0
            .attach(|_| Call::Mouth(StdArc::clone(&executor.0.core)));
    }

    /// Closes the ring if the executor is closed.
    pub fn close_mouth<E>(&mut self, executor: &Executor<E>) {
        self.0.close_mouth(executor.0.core.phase());
    }

    pub fn is_ended(&self) -> bool {
        self.0.is_ended()
    }

    /// The end at which results are received.
    pub fn receiver<E: Send + Sync + 'static>(self, executor: &Executor<E>) -> Receiver<T, E> {
        let attach = StdArc::new(|_: &mut edge::Rx<T>| {});
        let idle = Idle::parking();
        let strategy = idle.strategy(false);
        Receiver::new(self.0, (), &executor.0, &idle, false, strategy, attach)
    }
}

/// The pushing end of an instance.
pub struct Tx<T: 'static>(edge::Tx<'static, T>);

impl<T: Send + 'static> Tx<T> {
    pub fn spsc(producer: spsc::Producer<T>) -> Self {
        Self(edge::Tx::new(To::Spsc(producer)))
    }

    pub fn mpmc(producer: mpmc::Producer<T>) -> Self {
        Self(edge::Tx::new(To::Mpmc(producer)))
    }

    /// The end of the only dispatcher.
    pub fn mouth<E>(producer: spsc::Producer<T>, executor: &Executor<E>) -> Self {
        let mouth = Mouth::new(producer, &executor.0.core);
        Self(edge::Tx::new(To::Mouth(mouth)))
    }

    /// The end in front of a fork, of one for each branch.
    pub fn all(branches: impl IntoIterator<Item = Self>) -> Self
    where
        T: Clone,
    {
        let branches = branches.into_iter().map(|branch| branch.0);
        Self(edge::Tx::to_all(branches, |item| Some(item.clone())))
    }

    pub fn full_lane(&self) -> usize {
        self.0.full_lane()
    }

    /// What others see of it.
    pub fn peek(&self) -> Room {
        Room(self.0.peek())
    }

    pub fn begin(&mut self, ticket: usize) {
        self.0.begin(ticket);
    }

    pub fn try_send(&mut self, item: T) -> Result<(), T> {
        self.0.try_send(item)
    }

    pub fn end_job(&mut self) -> bool {
        self.0.end_job()
    }

    pub fn publish(&mut self) {
        self.0.publish();
    }

    pub fn close(&mut self) {
        self.0.close();
    }

    /// Receivers wait at the other end.
    pub fn calls_exit<E>(&mut self, executor: &Executor<E>) {
        let core = &executor.0.core;
        self.0.attach(|_, _| Call::Exit(StdArc::clone(core)));
    }

    /// The end at which jobs are dispatched.
    pub fn dispatcher<E: Send + Sync + 'static>(
        self,
        executor: &Executor<E>,
    ) -> Dispatcher<T, E, FailFast, Many> {
        let attach = StdArc::new(|_: &mut edge::Tx<'static, T>| {});
        let idle = Idle::parking();
        let strategy = idle.strategy(false);
        Dispatcher::new(self.0, (), &executor.0, &idle, false, strategy, attach)
    }
}

/// What anybody may see of a pushing end.
pub struct Room(StdArc<dyn OutputPeek>);

impl Room {
    pub fn has_room(&self) -> bool {
        self.0.has_room()
    }

    pub fn has_room_in(&self, lane: usize) -> bool {
        self.0.has_room_in(lane)
    }
}

/// What one instance counts.
#[derive(Clone)]
pub struct Tally(StdArc<counters::Tally>);

impl Tally {
    pub fn new() -> Self {
        Self(counters::Tally::new())
    }

    pub fn start(&self) {
        self.0.start();
    }

    pub fn finish(&self) {
        self.0.finish();
    }

    pub fn drop_one(&self) {
        self.0.drop_one();
    }

    pub fn discard(&self) {
        self.0.discard();
    }
}

/// The shared state of an executor.
pub struct Executor<E>(StdArc<executor::Executor<E>>);

impl<E> Clone for Executor<E> {
    fn clone(&self) -> Self {
        Self(StdArc::clone(&self.0))
    }
}

impl<E> Executor<E> {
    /// An executor of so many duties, and nothing counted.
    pub fn new(duties: usize) -> Self {
        let executor = executor::Executor::new();
        executor.set_up(duties, Vec::new(), Hooks::default());
        Self(executor)
    }

    /// An executor of one stage that takes its jobs from the ring of `input`.
    pub fn counting<T>(duties: usize, input: &mpmc::Consumer<T>, tallies: &[Tally]) -> Self {
        let executor = executor::Executor::new();
        let stage = StageTally {
            spill: None,
            name: StdArc::from("stage"),
            source: Source::Rings(vec![crate::sync::Arc::clone(input.cursors())]),
            instances: tallies.iter().map(|t| StdArc::clone(&t.0)).collect(),
        };
        executor.set_up(duties, vec![stage], Hooks::default());
        Self(executor)
    }

    pub fn handle(&self) -> Handle<E> {
        Handle::new(&self.0)
    }

    pub fn set_lot(&self, lot: &Lot) {
        self.0.core.set_lot(&lot.0);
    }

    pub fn duty_ended(&self) {
        self.0.duty_ended();
    }

    pub fn wait(&self) {
        assert!(
            self.0.wait(None),
            "a wait without a deadline came back early"
        );
    }

    pub fn is_open(&self) -> bool {
        self.0.core.phase() == lifecycle::Phase::Open
    }

    pub fn is_failed(&self) -> bool {
        self.0.core.phase() == lifecycle::Phase::Failed
    }

    pub fn drops_queued(&self) -> bool {
        self.0.core.phase().drops_queued()
    }
}

/// The instances of a stage that have not ended.
pub struct Leavers(StdArc<Crew>);

impl Leavers {
    pub fn new(instances: usize) -> Self {
        Self(Crew::new(instances))
    }

    pub fn leave(&self) -> bool {
        self.0.leave()
    }
}

/// One duty and its word.
pub struct Station(Place<'static>);

struct Any<F>(F);

impl<F: FnMut() -> usize> Poll for Any<F> {
    fn poll(&mut self) -> Polled {
        let jobs = (self.0)();
        Polled {
            jobs,
            is_light: false,
            is_slow: false,
            word: 0,
        }
    }
}

struct Always;

impl InputPeek for Always {
    fn backlog(&self) -> usize {
        1
    }
    fn is_at_end(&self) -> bool {
        false
    }
}

impl OutputPeek for Always {
    fn has_room(&self) -> bool {
        true
    }
    fn has_room_in(&self, _lane: usize) -> bool {
        true
    }
}

impl Station {
    /// A station whose duty is this closure.
    pub fn new(duty: impl FnMut() -> usize + Send + 'static) -> Self {
        let duty = Box::new(Any(duty));
        let always = StdArc::new(Always);
        Self(Place::new(
            Flags::new(0, 0),
            Some(duty),
            always.clone(),
            always,
            1,
            None,
            false,
        ))
    }

    pub fn try_poll(&self) -> Option<usize> {
        self.0.try_poll().map(|polled| polled.jobs)
    }
}

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

/// The workers of an assembly, to be run one on a thread.
#[derive(Clone)]
pub struct Workers(StdArc<Floor<'static>>);

impl Workers {
    /// Runs worker `index` to its end.
    pub fn run(&self, index: usize) {
        self.worker(index).run();
    }

    fn worker(&self, index: usize) -> Worker<'static, 'static> {
        let on_panic = Box::new(|payload| std::panic::resume_unwind(payload));
        let idle = Idle::parking().strategy(false);
        Worker::new(index, &self.0, Vec::new(), true, idle, on_panic)
    }

    /// Worker `index` polls a duty once, wherever it is at home: how many jobs it moved on.
    pub fn poll_as(&self, index: usize, duty: usize) -> usize {
        self.worker(index).poll_floating(duty)
    }

    /// Polls one duty, if nobody else does: how many jobs it moved on.
    pub fn poll(&self, duty: usize) -> Option<usize> {
        self.0.stations[duty].try_poll().map(|polled| polled.jobs)
    }
}

impl<T: Send + 'static, E: Send + Sync + 'static> Shape<T, E> {
    pub fn assemble(self) -> Result<Assembly<T, E>, RingError> {
        let stages = self.instances.len();
        let executor = executor::Executor::<E>::new();
        let core = &executor.core;
        let lot = StdArc::new(lot::Lot::new(
            self.workers,
            self.workers,
            self.workers,
            false,
        ));
        core.set_lot(&lot);

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
                let rings = (0..producers).map(|_| mpmc::sole_ring_at(capacity, self.start));
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
                let (tx, rx) = mpmc::ring_at(capacity, self.start)?;
                let tx = |_| edge::Tx::new(To::Mpmc(tx.clone()));
                txs.push((0..producers).map(tx).collect());
                let rx = |_| {
                    let mut rx = edge::Rx::mpmc(rx.clone(), consumers);
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
                    None => Call::Mouth(StdArc::clone(core)),
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
        executor.set_up(stations.len(), tallies, Hooks::default());
        let floor = StdArc::new(Floor {
            core: StdArc::clone(core),
            lot: StdArc::clone(&lot),
            epoch: std::time::Instant::now(),
            trials: Trials::new(),
            caller: None,
            staff: floor::Staff::new(self.workers, self.workers),
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

/// What an executor's error is, in short.
pub fn set_error<E: Copy>(handle: &Handle<E>) -> Option<E> {
    handle.err().map(|fault| match &*fault {
        Fault::Set(error) | Fault::Stage { error, .. } => *error,
        Fault::Panicked { stage, message, .. } => panic!("stage {stage} panicked: {message}"),
        Fault::Late { .. } | Fault::DeadlineExceeded { .. } => panic!("there is no time in models"),
    })
}

/// Which workers have a thread.
pub struct Staff(floor::Staff);

impl Staff {
    pub fn new(workers: usize, here: usize) -> Self {
        Self(floor::Staff::new(workers, here))
    }

    pub fn dismiss(&self, worker: usize) -> bool {
        self.0.dismiss(worker)
    }

    pub fn call_back(&self, worker: usize) -> Option<bool> {
        self.0.call_back(worker)
    }

    pub fn leaves(&self, worker: usize) -> bool {
        self.0.leaves(worker)
    }

    pub fn has_left(&self, worker: usize) -> bool {
        self.0.has_left(worker)
    }
}

/// Work that any number of threads can do at once.
pub trait Work: Sync {
    fn work(&self);
    fn has_more(&self) -> bool;
}

struct Shared<'a>(&'a dyn Work);

impl Batch for Shared<'_> {
    fn work(&self) {
        self.0.work();
    }
    fn has_more(&self) -> bool {
        self.0.has_more()
    }
}

/// Batches that are open to helpers.
#[derive(Clone)]
pub struct Board(StdArc<board::Board>);

impl Board {
    pub fn new(slots: usize) -> Self {
        Self(StdArc::new(board::Board::new(slots)))
    }

    /// Opens `work` to helpers, takes part in it, and waits for those inside.
    pub fn run(&self, work: &dyn Work) {
        let batch = Shared(work);
        let posted = self.0.post(&batch);
        work.work();
        drop(posted);
    }

    pub fn help(&self) -> bool {
        self.0.help(|| ())
    }
}
