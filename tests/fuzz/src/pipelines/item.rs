//! What travels through a case's pipeline, what works on it, and what is counted of that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use ringmill::stage::{FilterMap, FlatMap, Map, filter_map, flat_map, map};
use ringmill::{Flow, Outlet, Stage};

use super::case::Work;
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

#[derive(Clone)]
pub struct Item {
    pub id: Identity,
    /// Never read: it counts that it was dropped.
    pub _life: Life,
}

/// A stage of a case, and what its own code has counted.
pub struct Site {
    pub name: String,
    pub depth: u32,
    pub work: Work,
    pub panic_at: Option<u32>,
    /// What the number of a result begins after: branches differ.
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
        self.begun.fetch_add(1, SeqCst);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.entry(id).or_default() += 1;
        Over(&self.over)
    }

    fn work(&self, item: Item, on_begin: &dyn Fn(u32)) -> Result<Vec<Item>, String> {
        let _over = self.begin(item.id);
        on_begin(item.id.job);
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
                    .map(|(id, _life)| Item { id, _life })
                    .collect())
            }
        }
    }
}

type Fun<T> = Box<dyn FnMut(Item) -> T + Send>;

/// Each of the library's adapters, under one type.
pub enum Step {
    Map(Map<Fun<Item>>),
    Filter(FilterMap<Fun<Option<Item>>>),
    Flat(FlatMap<Fun<Vec<Item>>, Vec<Item>>),
    Fail(Fun<Result<Item, String>>),
}

/// What the first stage is told of each job that it begins.
pub type OnBegin = Arc<dyn Fn(u32) + Send + Sync>;

impl Step {
    pub fn new(site: Arc<Site>, on_begin: OnBegin) -> Self {
        let kind = site.work;
        let work = move |item| site.work(item, &*on_begin);
        // Only those that may fail do.
        match kind {
            Work::Map => Self::Map(map(Box::new(move |item| {
                work(item)
                    .ok()
                    .and_then(|mut results| results.pop())
                    .expect("one result")
            }))),
            Work::Filter(_) => Self::Filter(filter_map(Box::new(move |item| {
                work(item).expect("no error").pop()
            }))),
            Work::Flat(_) => Self::Flat(flat_map(Box::new(move |item| {
                work(item).expect("no error")
            }))),
            Work::Fail(_) => Self::Fail(Box::new(move |item| {
                work(item).map(|mut results| results.pop().expect("one result"))
            })),
        }
    }
}

impl Stage<Item, String> for Step {
    type Out = Item;

    fn job<O: Outlet<Item>>(&mut self, job: Item, out: &mut O) -> Result<Flow, String> {
        match self {
            Self::Map(stage) => stage.job(job, out),
            Self::Filter(stage) => stage.job(job, out),
            Self::Flat(stage) => stage.job(job, out),
            Self::Fail(stage) => stage.job(job, out),
        }
    }

    fn more<O: Outlet<Item>>(&mut self, out: &mut O) -> Result<Flow, String> {
        match self {
            Self::Flat(stage) => Stage::<Item, String>::more(stage, out),
            _ => Ok(Flow::Done),
        }
    }
}
