//! What travels through a case's pipeline, what works on it, and what is counted of that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use ringmill::stage::{FilterMap, FlatMap, Map, filter_map, flat_map, map};
use ringmill::{Flow, Outlet, Stage};

use super::case::{By, Work};
use super::drive::Run;
use crate::common::Life;

/// What a planned error or panic begins with.
pub const PLANNED: &str = "planned: ";

/// Who a value is: the job that it comes from, and which result it is of each stage on its way, most
/// significant first, so that identities have the order of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub job: u32,
    pub path: u64,
}

impl Identity {
    /// The `nth` result, from 1, of a stage at this depth; failures are the 0th.
    pub fn result(self, depth: u32, nth: u32) -> Self {
        let path = self.path | u64::from(nth) << (60 - 4 * depth);
        Self { path, ..self }
    }

    pub fn say(self) -> String {
        format!("{PLANNED}{} {}", self.job, self.path)
    }

    pub fn read(text: &str) -> Option<Self> {
        let (job, path) = text.strip_prefix(PLANNED)?.split_once(' ')?;
        let (job, path) = (job.parse().ok()?, path.parse().ok()?);
        Some(Self { job, path })
    }
}

pub struct Item {
    pub id: Identity,
    /// Never read: it counts that it was dropped.
    pub _life: Life,
    /// A copy of it panics.
    pub copy_panics: bool,
}

/// Only forks copy.
impl Clone for Item {
    fn clone(&self) -> Self {
        if self.copy_panics {
            std::panic::panic_any(self.id.say());
        }
        Self {
            id: self.id,
            _life: self._life.clone(),
            copy_panics: false,
        }
    }
}

/// A stage of a case, and what its own code has counted.
pub struct Site {
    pub name: String,
    pub depth: u32,
    pub work: Work,
    pub yields: u8,
    pub panic_at: Option<u32>,
    pub key_panic: Option<u32>,
    /// Keys are asked for when the job before is over: a result is lost, and the others of its job are not.
    pub key_is_apart: bool,
    /// The number of a failure, after which those of results begin: branches differ.
    pub offset: u32,
    pub begun: AtomicU64,
    pub over: AtomicU64,
    pub made: AtomicU64,
    /// How often it was given each value.
    pub seen: Mutex<HashMap<Identity, u32>>,
    /// Errors, panics and missed deadlines that the executor told of.
    pub faults: AtomicU64,
}

/// What a stage does with a value, without doing it.
pub enum Fate {
    Results(Vec<Identity>),
    Error(Identity),
    Panic(Identity),
}

impl Site {
    pub fn fate(&self, id: Identity) -> Fate {
        let nth = |nth| id.result(self.depth, self.offset + nth);
        if self.panic_at == Some(id.job) {
            return Fate::Panic(nth(0));
        }
        let count = match self.work {
            Work::Fail(job) if job == id.job => return Fate::Error(nth(0)),
            Work::Map | Work::Fail(_) => 1,
            Work::Filter(by) => u32::from(!id.job.is_multiple_of(by)),
            Work::Flat(most) => id.job % (most + 1),
        };
        Fate::Results((1..=count).map(nth).collect())
    }

    /// Counts a job from here to the drop of what is returned.
    fn begin(&self, id: Identity) -> impl Drop + '_ {
        struct Over<'a>(&'a AtomicU64);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        super::moves();
        self.begun.fetch_add(1, SeqCst);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.entry(id).or_default() += 1;
        Over(&self.over)
    }

    fn work(&self, item: Item, run: &Weak<Run>) -> Result<Vec<Item>, String> {
        let _over = self.begin(item.id);
        if self.depth == 0
            && let Some(run) = run.upgrade()
        {
            run.come_to(item.id.job, By::Stage);
        }
        (0..self.yields).for_each(|_| thread::yield_now());
        let copy_panics = item.copy_panics;
        match self.fate(item.id) {
            Fate::Panic(id) => std::panic::panic_any(id.say()),
            Fate::Error(id) => Err(id.say()),
            Fate::Results(ids) => {
                self.made.fetch_add(ids.len() as u64, SeqCst);
                // All but the last are copies, so that one life goes all the way.
                let copies = ids
                    .iter()
                    .skip(1)
                    .map(|_| item._life.clone())
                    .collect::<Vec<_>>();
                let lives = std::iter::once(item._life).chain(copies);
                Ok(ids
                    .into_iter()
                    .zip(lives)
                    .map(|(id, _life)| Item {
                        id,
                        _life,
                        copy_panics,
                    })
                    .collect())
            }
        }
    }
}

type Fun<T> = Box<dyn FnMut(Item) -> T + Send>;

/// Each of the library's adapters, under one type, as the state of an instance.
pub struct Step {
    kind: Kind,
    _life: Life,
}

enum Kind {
    Map(Map<Fun<Item>>),
    Filter(FilterMap<Fun<Option<Item>>>),
    Flat(FlatMap<Fun<Vec<Item>>, Vec<Item>>),
    Fail(Fun<Result<Item, String>>),
}

impl Step {
    pub fn new(site: Arc<Site>, run: Weak<Run>, _life: Life) -> Self {
        let kind = site.work;
        let work = move |item| site.work(item, &run);
        // Only those that may fail do.
        let kind = match kind {
            Work::Map => Kind::Map(map(Box::new(move |item| {
                work(item)
                    .ok()
                    .and_then(|mut results| results.pop())
                    .expect("one result")
            }))),
            Work::Filter(_) => Kind::Filter(filter_map(Box::new(move |item| {
                work(item).expect("no error").pop()
            }))),
            Work::Flat(_) => Kind::Flat(flat_map(Box::new(move |item| {
                work(item).expect("no error")
            }))),
            Work::Fail(_) => Kind::Fail(Box::new(move |item| {
                work(item).map(|mut results| results.pop().expect("one result"))
            })),
        };
        Self { kind, _life }
    }
}

impl Stage<Item, String> for Step {
    type Out = Item;

    fn job<O: Outlet<Item>>(&mut self, job: Item, out: &mut O) -> Result<Flow, String> {
        match &mut self.kind {
            Kind::Map(stage) => stage.job(job, out),
            Kind::Filter(stage) => stage.job(job, out),
            Kind::Flat(stage) => stage.job(job, out),
            Kind::Fail(stage) => stage.job(job, out),
        }
    }

    fn more<O: Outlet<Item>>(&mut self, out: &mut O) -> Result<Flow, String> {
        match &mut self.kind {
            Kind::Flat(stage) => Stage::<Item, String>::more(stage, out),
            _ => Ok(Flow::Done),
        }
    }
}
