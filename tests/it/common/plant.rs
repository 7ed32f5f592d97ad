//! A pipeline of two stages, "a" and "b", in every shape, whose jobs say themselves what is to happen to
//! them.

use std::thread::{self, JoinHandle};

use ringmill::stage::filter_map;
use ringmill::{Context, DispatchError, StageCounters};
use ringmill::{
    Dispatcher, Ends, FailFast, Flow, Idle, Instances, Outlet, Pipeline, Stage, allowed_cores,
};

use super::{Census, Count, Gate, Life, Threads};

/// What happens in the stage that is told to obey.
#[derive(Default)]
pub enum Fate {
    #[default]
    Pass,
    Fail,
    Panic,
    Call(Box<dyn FnOnce() + Send>),
    /// First waits at a gate.
    Wait(Gate, Box<Fate>),
}

pub struct Item {
    pub life: Life,
    pub fate: Fate,
}

/// Whoever gets a copy obeys nothing.
impl Clone for Item {
    fn clone(&self) -> Self {
        Self {
            life: self.life.clone(),
            fate: Fate::Pass,
        }
    }
}

impl Item {
    pub fn id(&self) -> u64 {
        self.life.id
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One instance each: rings of one producer and one consumer; two workers.
    Single,
    /// The same on one worker.
    Alone,
    /// Two instances each: shared rings.
    Shared,
    /// Two instances each, a ring for each.
    Keyed,
    /// A window between, and one behind.
    Ordered,
    /// A window, a relay, a shared ring, a window, a relay, a shared ring of results.
    Relayed,
    /// Both stages bound.
    Bound,
    /// Bound, then floating.
    Mixed,
    /// One duty.
    Fused,
    /// Two fused instances, results to many receivers.
    FusedShared,
    /// A fork between: "c" gets copies, and has no results.
    Forked,
    /// The same with two instances of "a" and "b".
    ForkedShared,
}

pub const SHAPES: [Shape; 12] = [
    Shape::Single,
    Shape::Alone,
    Shape::Shared,
    Shape::Keyed,
    Shape::Ordered,
    Shape::Relayed,
    Shape::Bound,
    Shape::Mixed,
    Shape::Fused,
    Shape::FusedShared,
    Shape::Forked,
    Shape::ForkedShared,
];

/// The stage whose jobs obey their fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    A,
    B,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub shape: Shape,
    pub capacity: usize,
    pub at: At,
    pub idle: Idle,
}

impl Case {
    /// Every shape with every capacity, obeying in either stage; idle strategies in turn, beginning with
    /// the `first`.
    pub fn all(first: usize) -> impl Iterator<Item = Self> {
        let cells = SHAPES
            .iter()
            .flat_map(|&shape| [1, 3, 1024].map(|capacity| (shape, capacity)))
            .flat_map(|(shape, capacity)| [At::A, At::B].map(|at| (shape, capacity, at)));
        cells
            .enumerate()
            .map(move |(nth, (shape, capacity, at))| Self {
                shape,
                capacity,
                at,
                idle: match (nth / 2 + first) % 3 {
                    0 => Idle::backoff(),
                    1 => Idle::parking(),
                    _ => Idle::yielding(),
                },
            })
    }

    /// How many jobs can be inside the obeying stage at once, dispatched one after the other.
    pub fn inside(&self) -> usize {
        match (self.shape, self.at) {
            (Shape::Shared | Shape::Relayed | Shape::FusedShared | Shape::ForkedShared, _)
            | (Shape::Ordered, At::A) => 2,
            _ => 1,
        }
    }

    /// Whether results come in the order of dispatch.
    pub fn keeps_order(&self) -> bool {
        !matches!(
            self.shape,
            Shape::Shared | Shape::FusedShared | Shape::ForkedShared
        )
    }

    /// Whether there is a stage "c" beside "b".
    pub fn is_forked(&self) -> bool {
        matches!(self.shape, Shape::Forked | Shape::ForkedShared)
    }
}

struct Obey {
    obeys: bool,
    began: Count,
}

impl Stage<Item, String> for Obey {
    type Out = Item;

    fn job<O: Outlet<Item>>(&mut self, mut job: Item, out: &mut O) -> Result<Flow, String> {
        if self.obeys {
            let mut fate = std::mem::take(&mut job.fate);
            if !matches!(fate, Fate::Pass) {
                self.began.add(1);
            }
            while let Fate::Wait(gate, then) = fate {
                gate.pass();
                fate = *then;
            }
            match fate {
                Fate::Fail => return Err(format!("job {}", job.id())),
                Fate::Panic => panic!("job {}", job.id()),
                Fate::Call(call) => call(),
                Fate::Pass | Fate::Wait(..) => {}
            }
        }
        assert!(
            out.emit(job).is_ok(),
            "the first result of a job is accepted"
        );
        Ok(Flow::Done)
    }
}

pub type Mouth = Dispatcher<Item, String, FailFast, ringmill::Many>;

/// A receiver, of one or of many.
pub type Exit = Box<dyn Iterator<Item = Item> + Send>;

fn boxed<R>(
    ends: Ends<Item, String, FailFast, Item, ringmill::Many, R>,
) -> (Mouth, Exit, Pipeline<String>)
where
    ringmill::Receiver<Item, String, FailFast, R>: Iterator<Item = Item> + Send + 'static,
{
    (ends.0, Box::new(ends.1), ends.2)
}

/// What a test holds besides the ends.
pub struct Plant {
    pub case: Case,
    pub census: Census,
    pub threads: Threads,
    /// Jobs that began to obey.
    pub began: Count,
    pub handle: ringmill::Handle<String>,
}

impl Plant {
    pub fn start(case: &Case) -> (Self, Mouth, Exit, Pipeline<String>) {
        let began = Count::default();
        let threads = Threads::default();
        let stage = |at| {
            let obeys = case.at == at;
            let began = began.clone();
            move |_: &Context| Obey {
                obeys,
                began: began.clone(),
            }
        };
        let (a, b) = (stage(At::A), stage(At::B));
        let builder = Pipeline::<String>::builder::<Item>()
            .many_dispatchers()
            .capacity(case.capacity)
            .idle(case.idle.clone())
            .workers(if case.shape == Shape::Alone { 1 } else { 2 })
            .on_spawn(threads.hook());
        let handle = builder.handle();
        let cores = allowed_cores();
        let (one, two) = (|| Instances::new(1), || Instances::new(2));
        let bound = |nth| Instances::bound([cores[nth % cores.len()]]);
        let key = |_: &Item| 7;
        let (mouth, exit, pipeline) = match case.shape {
            Shape::Single | Shape::Alone => boxed(
                builder
                    .stage("a", one(), a)
                    .stage("b", one(), b)
                    .start()
                    .unwrap(),
            ),
            Shape::Shared => boxed(
                builder
                    .stage("a", two(), a)
                    .stage("b", two(), b)
                    .start()
                    .unwrap(),
            ),
            Shape::Keyed => {
                let builder = builder.stage("a", two().keyed(key), a);
                boxed(builder.stage("b", two().keyed(key), b).start().unwrap())
            }
            Shape::Ordered => {
                let builder = builder.stage("a", two().ordered(4), a);
                boxed(builder.stage("b", one().ordered(4), b).start().unwrap())
            }
            Shape::Relayed => {
                let builder = builder.many_receivers().stage("a", two().ordered(3), a);
                boxed(builder.stage("b", two().ordered(3), b).start().unwrap())
            }
            Shape::Bound => boxed(
                builder
                    .stage("a", bound(0), a)
                    .stage("b", bound(1), b)
                    .start()
                    .unwrap(),
            ),
            Shape::Mixed => boxed(
                builder
                    .stage("a", bound(1), a)
                    .stage("b", one(), b)
                    .start()
                    .unwrap(),
            ),
            Shape::Fused => boxed(builder.stage("a", one(), a).then("b", b).start().unwrap()),
            Shape::FusedShared => {
                let builder = builder.many_receivers();
                boxed(builder.stage("a", two(), a).then("b", b).start().unwrap())
            }
            Shape::Forked | Shape::ForkedShared => {
                let some = || {
                    if case.shape == Shape::Forked {
                        one()
                    } else {
                        two()
                    }
                };
                let builder = builder.stage("a", some(), a).broadcast(|fork| {
                    fork.branch(|c| c.stage("c", one(), |_| filter_map(|_: Item| None::<Item>)))
                        .branch(|branch| branch.stage("b", some(), b))
                });
                boxed(builder.start().unwrap())
            }
        };
        let plant = Self {
            case: case.clone(),
            census: Census::default(),
            threads,
            began,
            handle,
        };
        (plant, mouth, exit, pipeline)
    }

    pub fn item(&self, fate: Fate) -> Item {
        Item {
            life: self.census.life(),
            fate,
        }
    }

    pub fn stage(&self, name: &str) -> StageCounters {
        self.handle.counters().stage(name).unwrap().clone()
    }

    /// Dispatches on a thread until it is refused.
    pub fn flood(&self, mut mouth: Mouth, accepted: &Count) -> Flood {
        let (census, count) = (self.census.clone(), accepted.clone());
        thread::spawn(move || {
            let mut accepted = Vec::new();
            loop {
                let item = Item {
                    life: census.life(),
                    fate: Fate::Pass,
                };
                let id = item.id();
                if let Err(refused) = mouth.dispatch(item) {
                    return (accepted, Refusal::of(refused, id));
                }
                accepted.push(id);
                count.add(1);
            }
        })
    }
}

/// The numbers of the jobs that got in, and how the next one was refused.
pub type Flood = JoinHandle<(Vec<u64>, Refusal)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Full,
    Timeout,
    Closed,
    Stopped,
    Failed,
}

impl Refusal {
    /// Which it is; it must hold the very job.
    #[track_caller]
    pub fn of(refused: DispatchError<Item>, id: u64) -> Self {
        let refusal = Self::kind_of(&refused);
        assert_eq!(refused.into_job().id(), id, "another job came back");
        refusal
    }

    pub fn kind_of<J>(refused: &DispatchError<J>) -> Self {
        match refused {
            DispatchError::Full(_) => Self::Full,
            DispatchError::Timeout(_) => Self::Timeout,
            DispatchError::Closed(_) => Self::Closed,
            DispatchError::Stopped(_) => Self::Stopped,
            DispatchError::Failed(_) => Self::Failed,
            other => panic!("an unknown refusal: {other:?}"),
        }
    }
}
