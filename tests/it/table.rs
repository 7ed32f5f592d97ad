//! The table of what each call does to everybody: each row on a pipeline that is full (a job inside, the
//! rings full, a dispatcher, a receiver and a joiner waiting), on one that is clogged (nobody receives) and
//! on an empty one; in every shape, capacity and idle strategy.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::common::plant::{At, Case, Exit, Fate, Mouth, Plant, Refusal};
use crate::common::{Count, Gate, OpenLate, until, within_steps};
use ringmill::{Fault, JoinError, Pipeline, Report};

/// The rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Done,
    Close,
    DropDispatchers,
    Stop,
    StageErr,
    SetErr,
    StagePanic,
    DropReceiver,
    DropPipeline,
    DropPipelineInside,
}

use Act::*;

/// How it ends for `join` and `err`.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Fine,
    Failed(String),
}

fn end_of(joined: Result<Report, JoinError<String>>) -> End {
    match joined {
        Ok(_) => End::Fine,
        Err(JoinError::Failed(fault)) => End::Failed(text(&fault)),
        Err(other) => panic!("{other:?}"),
    }
}

fn text(fault: &Arc<Fault<String>>) -> String {
    match &**fault {
        Fault::Stage { stage, error, .. } => format!("{stage}: {error}"),
        Fault::Set(error) => format!("set: {error}"),
        Fault::Panicked { stage, message, .. } => format!("{stage} panicked: {message}"),
        other => panic!("{other:?}"),
    }
}

impl Act {
    fn refusal(self) -> Refusal {
        match self {
            Done | Close | DropDispatchers | DropReceiver => Refusal::Closed,
            Stop | DropPipeline | DropPipelineInside => Refusal::Stopped,
            StageErr | SetErr | StagePanic => Refusal::Failed,
        }
    }

    /// Whether queued jobs are processed.
    fn drains(self) -> bool {
        matches!(self, Done | Close | DropDispatchers)
    }

    /// Whether it is a job that does it.
    fn is_inside(self) -> bool {
        matches!(self, StageErr | StagePanic | DropPipelineInside)
    }

    /// Results that the obeying stage's first job does not have.
    fn missing(self) -> u64 {
        u64::from(matches!(self, StageErr | StagePanic))
    }

    fn end(self, at: At, id: u64) -> End {
        let at = if at == At::A { "a" } else { "b" };
        match self {
            StageErr => End::Failed(format!("{at}: job {id}")),
            StagePanic => End::Failed(format!("{at} panicked: job {id}")),
            SetErr => End::Failed("set: by hand".to_string()),
            _ => End::Fine,
        }
    }
}

/// One run: who is there, and what came of it.
struct Scene {
    act: Act,
    plant: Plant,
    mouth: Option<Mouth>,
    exit: Option<Exit>,
    pipeline: Option<Pipeline<String>>,
    joiner: Option<thread::JoinHandle<End>>,
    taker: Option<thread::JoinHandle<Vec<u64>>>,
    /// What the job is to do, where it is a job that does it.
    fate: Fate,
}

impl Scene {
    fn new(act: Act, case: &Case) -> Self {
        let (plant, mouth, exit, pipeline) = Plant::start(case);
        let mut pipeline = Some(pipeline);
        let fate = match act {
            StageErr => Fate::Fail,
            StagePanic => Fate::Panic,
            DropPipelineInside => {
                let pipeline = pipeline.take();
                Fate::Call(Box::new(move || drop(pipeline)))
            }
            _ => Fate::Pass,
        };
        Self {
            act,
            plant,
            mouth: Some(mouth),
            exit: Some(exit),
            pipeline,
            joiner: None,
            taker: None,
            fate,
        }
    }

    /// Somebody receives to the end, unless that is what the act takes away.
    fn receive(&mut self) {
        if let Some(exit) = self.exit.take_if(|_| self.act != DropReceiver) {
            let receive = move || exit.map(|item| item.id()).collect();
            self.taker = Some(thread::spawn(receive));
        }
    }

    /// Somebody joins, unless the act needs the pipeline.
    fn join(&mut self) {
        if let Some(pipeline) = self.pipeline.take_if(|_| self.act != DropPipeline) {
            self.joiner = Some(thread::spawn(move || end_of(pipeline.join())));
        }
    }

    /// Does it, where it is not a job that does it.
    fn act(&mut self) {
        let handle = &self.plant.handle;
        match self.act {
            Done => self.mouth.as_ref().unwrap().done(),
            Close => handle.close(),
            DropDispatchers => self.mouth = None,
            Stop => handle.stop(),
            SetErr => handle.set_err("by hand".to_string()).unwrap(),
            DropReceiver => self.exit = None,
            DropPipeline => {
                // It joins: not on this thread, which has gates to open.
                let pipeline = self.pipeline.take();
                self.joiner = Some(thread::spawn(move || {
                    drop(pipeline);
                    End::Fine
                }));
                until(|| handle.is_closed());
            }
            StageErr | StagePanic | DropPipelineInside => {}
        }
    }

    /// Everybody leaves; then the books must be right. These jobs were accepted; `culprit` did it, if it
    /// was a job that did it.
    fn check(self, accepted: &[u64], culprit: u64) -> Plant {
        let Self { act, mut mouth, .. } = self;
        let (at, plant) = (self.plant.case.at, self.plant);
        if let Some(mouth) = &mut mouth {
            refuses(mouth, &plant, act.refusal());
        }
        let end = act.end(at, culprit);
        let joined = match (self.joiner, self.pipeline) {
            (Some(joiner), _) => Some(joiner.join().unwrap()),
            (None, pipeline) => pipeline.map(|pipeline| end_of(pipeline.join())),
        };
        if let Some(joined) = joined {
            assert_eq!(joined, end);
            assert_eq!(plant.threads.alive(), 0);
        }
        plant.threads.wait_gone();
        assert!(plant.handle.is_finished() && plant.handle.is_closed());
        assert!(plant.handle.is_stopped() || act.drains());
        let err = plant
            .handle
            .err()
            .as_ref()
            .map_or(End::Fine, |fault| End::Failed(text(fault)));
        assert_eq!((err, plant.handle.suppressed()), (end, 0));
        let received = match (self.taker, self.exit) {
            (Some(taker), _) => Some(taker.join().unwrap()),
            (None, exit) => exit.map(|exit| exit.map(|item| item.id()).collect::<Vec<_>>()),
        };

        let (a, b) = (plant.stage("a"), plant.stage("b"));
        let books = format!("{a:?} {b:?}");
        assert_eq!(a.dispatched, accepted.len() as u64);
        for stage in [&a, &b] {
            assert_eq!((stage.waiting, stage.running), (0, 0), "{books}");
            assert_eq!(stage.finished + stage.dropped, stage.dispatched, "{books}");
        }
        let missing = |stage| if at == stage { act.missing() } else { 0 };
        let (copies, beside) = if plant.case.is_forked() {
            (2, plant.stage("c").dispatched)
        } else {
            (1, 0)
        };
        assert_eq!(
            b.dispatched + beside + a.discarded,
            copies * (a.finished - missing(At::A)),
            "{books}"
        );
        if act.drains() {
            assert_eq!(
                (a.dropped, b.dropped, a.discarded, b.discarded),
                (0, 0, 0, 0)
            );
        }
        if let Some(mut received) = received {
            let results = b.finished - missing(At::B) - b.discarded;
            assert_eq!(received.len() as u64, results, "{books}");
            if !plant.case.keeps_order() {
                received.sort_unstable();
            }
            assert!(received.is_sorted());
            assert!(!act.drains() || received == accepted);
        }
        drop(mouth);
        plant.census.is_over();
        plant
    }
}

/// Every way of dispatching is refused in the same manner, with the job.
fn refuses(mouth: &mut Mouth, plant: &Plant, expected: Refusal) {
    for way in 0..5 {
        let item = plant.item(Fate::Pass);
        let id = item.id();
        let refused = match way {
            0 => mouth.dispatch(item).unwrap_err(),
            1 => mouth.try_dispatch(item).unwrap_err(),
            2 => mouth.dispatch_timeout(item, Duration::MAX).unwrap_err(),
            3 => {
                let items = [item, plant.item(Fate::Pass)];
                let refused = mouth.dispatch_all(items).unwrap_err();
                assert_eq!(refused.accepted, 0);
                refused.refused
            }
            _ => {
                let mut items = [item, plant.item(Fate::Pass)].into();
                let refused = mouth.dispatch_batch(&mut items).unwrap_err();
                assert_eq!(Refusal::kind_of(&refused), expected);
                assert_eq!((items.len(), items[0].id()), (2, id), "they are all there");
                continue;
            }
        };
        assert_eq!(Refusal::of(refused, id), expected);
    }
}

/// A job is inside, jobs are queued, and everybody waits.
fn full(act: Act, case: &Case) {
    let mut scene = Scene::new(act, case);
    let gates: Vec<Gate> = (0..case.inside()).map(|_| Gate::default()).collect();
    let _late: Vec<_> = gates.iter().cloned().map(OpenLate).collect();
    let mouth = scene.mouth.as_mut().unwrap();
    let mut accepted = Vec::new();
    for gate in &gates {
        let then = Box::new(std::mem::take(&mut scene.fate));
        let item = scene.plant.item(Fate::Wait(gate.clone(), then));
        accepted.push(item.id());
        mouth.dispatch(item).unwrap();
    }
    scene.plant.began.reach(gates.len());
    if case.at == At::A {
        // Exactly so many, and no more.
        for _ in 0..case.capacity {
            let item = scene.plant.item(Fate::Pass);
            accepted.push(item.id());
            mouth.try_dispatch(item).unwrap();
        }
        for timeout in [Duration::ZERO, Duration::from_micros(1)] {
            let item = scene.plant.item(Fate::Pass);
            let id = item.id();
            let refused = mouth.dispatch_timeout(item, timeout).unwrap_err();
            assert_eq!(Refusal::of(refused, id), Refusal::Timeout);
        }
    }
    let flood = (act != DropDispatchers).then(|| {
        let mouth = mouth.clone();
        scene.plant.flood(mouth, &Count::default())
    });
    scene.receive();
    scene.join();
    scene.act();
    if act.is_inside() {
        gates[0].open();
    }
    if let Some(flood) = flood {
        // It wakes before those inside have ended.
        let (mut more, refusal) = flood.join().unwrap();
        assert_eq!(refusal, act.refusal());
        assert!(case.at == At::B || more.is_empty());
        accepted.append(&mut more);
    }
    gates.iter().for_each(Gate::open);
    let plant = scene.check(&accepted, 0);
    if case.at == At::A && !act.drains() {
        // What was inside has ended, nothing else has begun.
        let a = plant.stage("a");
        assert_eq!(
            (a.finished, a.dropped),
            (gates.len() as u64, case.capacity as u64)
        );
    }
}

/// Nobody receives; the first job does it, where it is a job that does it.
fn clogged(act: Act, case: &Case) {
    let mut scene = Scene::new(act, case);
    let mouth = scene.mouth.as_mut().unwrap();
    let gate = Gate::default();
    let _late = OpenLate(gate.clone());
    let mut accepted = Vec::new();
    let mut flood = None;
    if act.is_inside() {
        // It begins before others can take the room for its result.
        let then = Box::new(std::mem::take(&mut scene.fate));
        let item = scene.plant.item(Fate::Wait(gate.clone(), then));
        accepted.push(item.id());
        mouth.dispatch(item).unwrap();
        scene.plant.began.reach(1);
    }
    if act == DropDispatchers {
        loop {
            let item = scene.plant.item(Fate::Pass);
            let id = item.id();
            if mouth.try_dispatch(item).is_err() {
                break;
            }
            accepted.push(id);
        }
    } else {
        let count = Count::default();
        flood = Some(scene.plant.flood(mouth.clone(), &count));
        count.reach(case.capacity);
    }
    gate.open();
    if act.drains() {
        scene.act();
        scene.receive();
        scene.join();
    } else {
        scene.join();
        scene.act();
    }
    if let Some(flood) = flood {
        let (mut more, refusal) = flood.join().unwrap();
        assert_eq!(refusal, act.refusal());
        accepted.append(&mut more);
    }
    scene.check(&accepted, 0);
}

/// Nothing to do: a receiver and a joiner wait, and at the most the one job that does it comes.
fn empty(act: Act, case: &Case) {
    let mut scene = Scene::new(act, case);
    scene.receive();
    scene.join();
    if act.is_inside() {
        let item = scene.plant.item(std::mem::take(&mut scene.fate));
        scene.mouth.as_mut().unwrap().dispatch(item).unwrap();
        scene.plant.began.reach(1);
    }
    scene.act();
    if act.is_inside() {
        // It is about to.
        scene.plant.threads.wait_gone();
    }
    scene.check(if act.is_inside() { &[0] } else { &[] }, 0);
}

fn row(act: Act) {
    within_steps(move |step| {
        for (name, scene) in SCENES {
            for case in Case::all(act as usize) {
                step.say(format!("{name}: {act:?} {case:?}"));
                scene(act, &case);
            }
        }
    });
}

type Play = fn(Act, &Case);
const SCENES: [(&str, Play); 3] = [("full", full), ("clogged", clogged), ("empty", empty)];

#[test]
fn r_a1_s_a1_done() {
    row(Done);
}

#[test]
fn r_b3_close() {
    row(Close);
}

#[test]
fn last_dispatcher_dropped() {
    row(DropDispatchers);
}

#[test]
fn s_a2_s_b1_stop() {
    row(Stop);
}

#[test]
fn stage_returns_an_error() {
    row(StageErr);
}

#[test]
fn set_err() {
    row(SetErr);
}

#[test]
fn stage_panics() {
    row(StagePanic);
}

#[test]
fn s_a3_last_receiver_dropped() {
    row(DropReceiver);
}

#[test]
fn pipeline_dropped() {
    row(DropPipeline);
}

#[test]
fn pipeline_dropped_inside_a_job() {
    row(DropPipelineInside);
}
