//! Runs a case: who watches, joins and disturbs, and what was seen.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use ringmill::{Builder, Counters, Fault, Handle, JoinError, Many, One, Pipeline, RunError};

use super::assemble::{Clones, Ends, Judge, Mouth, Part, Seen, assemble, parts};
use super::case::{By, Call, Case, Event};
use super::item::{Identity, Item, PLANNED, Site};
use crate::common::{Census, Threads, until};

/// What all who take part share.
pub struct Run {
    pub case: Case,
    pub parts: Vec<Part>,
    pub handle: Handle<String>,
    /// Items.
    pub census: Census,
    /// States of instances.
    pub states: Census,
    /// What hooks, init closures, key functions and idle strategies own.
    pub kept: Census,
    pub threads: Threads,
    pub offered: AtomicU64,
    pub accepted: AtomicU64,
    /// What the overflow policy dropped.
    pub lost: Mutex<Vec<u32>>,
    pub has_happened: Vec<AtomicBool>,
    /// How often each kind of call came.
    pub calls: [AtomicU32; Call::COUNT],
    /// The messages of planned panics that are no job's.
    pub panics: Mutex<HashSet<String>>,
    /// Errors that were to be set, and those that were.
    pub sets: AtomicU32,
    pub set: Mutex<Vec<String>>,
    pub receivers_leave: AtomicBool,
    pub owner: Mutex<Option<Owner>>,
    /// There is nothing to watch: it has not started, or it has returned.
    is_gone: AtomicBool,
    /// The counters, and how many jobs each stage's own code had begun, when the end was seen.
    pub at_end: Mutex<Option<(Counters, Vec<u64>)>>,
}

pub enum Owner {
    Plain(Pipeline<String>),
    Fold(Pipeline<String, Vec<Seen>>),
}

/// What a run ended with.
pub enum Ended {
    Joined(Counters),
    Failed(Arc<Fault<String>>),
    /// The pipeline was dropped.
    Dropped,
    /// By a planned panic out of `run`.
    Unwound,
    /// It did not start.
    Refused(String),
}

/// What was seen of a run.
pub struct Witness {
    pub run: Arc<Run>,
    /// Each job that was accepted.
    pub accepted: Vec<u32>,
    /// Jobs of batches from which a panic came: nobody has said which of them were accepted.
    pub unsure: Vec<u32>,
    /// What each receiver, or each state of a fold, got, in its order.
    pub logs: Vec<Vec<Seen>>,
    pub ended: Ended,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    pub fn item(&self, job: u32) -> Item {
        Item {
            id: Identity { job, path: 0 },
            _life: self.census.life(),
            copy_panics: self.case.copy_panic == Some(job),
        }
    }

    /// What an iterator does before it gives a job.
    pub fn draw(&self, job: u32, is_first: bool) -> Item {
        if self.case.iterator_waits && !is_first {
            self.wait_for(job - self.case.dispatchers);
        }
        super::moves();
        self.come_to(job, By::Iterator);
        if self.case.iterator_panic == Some(job) {
            self.panic(&format!("{PLANNED}iterator"));
        }
        self.item(job)
    }

    /// Until this job has begun, or never will.
    fn wait_for(&self, job: u32) {
        let id = Identity { job, path: 0 };
        let sites = self.sites();
        let has_begun = || {
            let mut first = sites.iter().filter(|site| site.depth == 0);
            first.any(|site| lock(&site.seen).contains_key(&id))
        };
        while !self.handle.is_closed() && !lock(&self.lost).contains(&job) && !has_begun() {
            thread::yield_now();
        }
    }

    /// Whether there is nothing to watch any more.
    pub fn is_over(&self) -> bool {
        self.handle.is_finished() || self.is_gone.load(SeqCst)
    }

    /// A panic that came back to its caller: the message, which must be planned.
    pub fn caught(&self, payload: Box<dyn Any + Send>) -> String {
        let Ok(message) = payload.downcast::<String>() else {
            panic!("not planned: a panic without a message")
        };
        let is_planned =
            Identity::read(&message).is_some() || lock(&self.panics).contains(&*message);
        assert!(is_planned, "not planned: {message}");
        *message
    }

    pub fn sites(&self) -> Vec<Arc<Site>> {
        let of = |part: &Part| match part {
            Part::Stage(_, site) | Part::Then(site) => vec![Arc::clone(site)],
            Part::Fork { branches, .. } => branches.to_vec(),
        };
        self.parts.iter().flat_map(of).collect()
    }

    fn join(&self) -> (Ended, Vec<Vec<Seen>>) {
        let owner = lock(&self.owner).take();
        let failed = |error| match error {
            JoinError::Failed(fault) => (Ended::Failed(fault), Vec::new()),
            other => panic!("joined from outside: {other:?}"),
        };
        match owner {
            None => (Ended::Dropped, Vec::new()),
            Some(Owner::Plain(owner)) => owner.join().map_or_else(failed, |report| {
                (Ended::Joined(report.counters), Vec::new())
            }),
            Some(Owner::Fold(owner)) => owner.join().map_or_else(failed, |report| {
                (Ended::Joined(report.counters), report.states)
            }),
        }
    }
}

/// What a thread has returned, or its panic.
fn result_of<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|payload| resume_unwind(payload))
}

/// Chooses the policy, which is a type.
pub fn drive(case: &Case) -> Witness {
    let builder = || Pipeline::<String>::builder::<Item>();
    // Of the eight types that this could be, four: each choice meets each of another.
    match (case.per_job, case.timeout) {
        (false, None) => with::<_, One>(case, builder()),
        (true, None) => with::<_, Many>(case, builder().per_job()),
        (false, Some(timeout)) => with::<_, Many>(case, builder().job_timeout(timeout)),
        (true, Some(timeout)) => with::<_, One>(case, builder().per_job().job_timeout(timeout)),
    }
}

fn with<P: Judge, D: Clones<P> + 'static>(
    case: &Case,
    builder: Builder<'static, Item, String, P>,
) -> Witness
where
    Mouth<P, D>: Send,
{
    let run = Arc::new(Run {
        case: case.clone(),
        parts: parts(case),
        handle: builder.handle(),
        census: Census::default(),
        states: Census::default(),
        kept: Census::default(),
        threads: Threads::default(),
        offered: AtomicU64::new(0),
        accepted: AtomicU64::new(0),
        lost: Mutex::default(),
        has_happened: case.events.iter().map(|_| AtomicBool::new(false)).collect(),
        calls: Default::default(),
        panics: Mutex::default(),
        sets: AtomicU32::new(0),
        set: Mutex::default(),
        receivers_leave: AtomicBool::new(false),
        owner: Mutex::default(),
        is_gone: AtomicBool::new(false),
        at_end: Mutex::default(),
    });
    let builder = run.set_up(D::of(builder));
    let witness = if case.is_run() {
        run_here(&run, builder)
    } else {
        match assemble(builder, &run, &mut std::iter::empty(), &mut drop) {
            Ends::Refused(error) => run.not_run(format!("{error:?}")),
            ends => run_apart(&run, ends),
        }
    };
    // Whoever dropped the pipeline inside a job has not waited for the others, and a scope does not wait until
    // its threads have dropped what is local to them.
    if matches!(witness.ended, Ended::Dropped) || case.is_run() {
        run.threads.wait_gone();
        until(|| run.kept.alive() == 0);
    }
    assert_eq!(run.threads.alive(), 0, "threads after the join");
    run.kept.is_over();
    witness
}

/// On the calling thread.
fn run_here<P: Judge, D: Clones<P>>(
    run: &Arc<Run>,
    builder: Builder<'static, Item, String, P, D>,
) -> Witness {
    let feeding = Arc::clone(run);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let takes = Arc::clone(&taken);
    let mut jobs = (0..run.case.jobs).map_while(move |job| {
        feeding.come_to(job, By::Feeder);
        if feeding.leaves_before(job) {
            return None;
        }
        let item = feeding.draw(job, true);
        feeding.offered.fetch_add(1, SeqCst);
        lock(&takes).push(job);
        Some(item)
    });
    let mut log = Vec::new();
    let ran = thread::scope(|scope| {
        let watcher = scope.spawn(|| super::verdict::watch(run));
        let disturber = scope.spawn(|| run.disturb());
        let mut each = |seen| {
            log.push(seen);
            run.call(Call::Each);
        };
        let ran = catch_unwind(AssertUnwindSafe(|| {
            assemble(builder, run, &mut jobs, &mut each)
        }));
        run.is_gone.store(true, SeqCst);
        result_of(watcher);
        result_of(disturber);
        ran
    });
    let ended = match ran {
        Ok(Ends::Ran(Ok(report))) => Ended::Joined(report.counters),
        Ok(Ends::Ran(Err(RunError::Join(JoinError::Failed(fault))))) => Ended::Failed(fault),
        Ok(Ends::Ran(Err(RunError::Build(error)))) => return run.not_run(format!("{error:?}")),
        Ok(_) => panic!("it did not run"),
        Err(payload) => {
            run.caught(payload);
            Ended::Unwound
        }
    };
    // `run` takes jobs from its iterator before it dispatches them, and in their order.
    let dispatched = run.handle.counters().stages[0].dispatched as usize;
    let mut accepted = std::mem::take(&mut *lock(&taken));
    accepted.truncate(dispatched);
    Witness {
        run: Arc::clone(run),
        accepted,
        unsure: Vec::new(),
        logs: vec![log],
        ended,
    }
}

impl Run {
    /// The start was refused.
    fn not_run(self: &Arc<Self>, error: String) -> Witness {
        Witness {
            run: Arc::clone(self),
            accepted: Vec::new(),
            unsure: Vec::new(),
            logs: Vec::new(),
            ended: Ended::Refused(error),
        }
    }
}

/// A copy of an end; none where the idle strategy's constructor panics, as planned.
fn copy<T>(run: &Run, copy: impl FnOnce() -> Option<T>) -> Option<T> {
    let copied = catch_unwind(AssertUnwindSafe(copy));
    copied.map_err(|payload| run.caught(payload)).ok().flatten()
}

/// On threads of its own.
fn run_apart<P: Judge, D: Clones<P>>(run: &Arc<Run>, ends: Ends<P, D>) -> Witness
where
    Mouth<P, D>: Send,
{
    let (mouth, one, many, owner) = match ends {
        Ends::One(mouth, exit, owner) => (mouth, Some(exit), None, Owner::Plain(owner)),
        Ends::Many(mouth, exit, owner) => (mouth, None, Some(exit), Owner::Plain(owner)),
        Ends::Discard(mouth, owner) => (mouth, None, None, Owner::Plain(owner)),
        Ends::Fold(mouth, owner) => (mouth, None, None, Owner::Fold(owner)),
        Ends::Ran(_) | Ends::Refused(_) => unreachable!("it was started"),
    };
    *lock(&run.owner) = Some(owner);
    let lost = Arc::downgrade(run);
    let mouth = mouth.on_drop(move |item: Item| {
        if let Some(run) = lost.upgrade() {
            lock(&run.lost).push(item.id.job);
        }
    });
    thread::scope(|scope| {
        let watcher = scope.spawn(|| super::verdict::watch(run));
        let disturber = scope.spawn(|| run.disturb());
        let twin = many
            .as_ref()
            .and_then(|exit| copy(run, || Some(exit.clone())));
        let leaves = twin.is_some().then_some(run.case.leaves_after).flatten();
        let receivers = [
            one.map(|exit| scope.spawn(|| run.receive(exit, None))),
            many.map(|exit| scope.spawn(move || run.receive(exit, leaves))),
            twin.map(|exit| scope.spawn(|| run.receive(exit, None))),
        ];
        let clones: Vec<_> = (1..run.case.dispatchers)
            .filter_map(|nth| Some((nth, copy(run, || D::copy(&mouth))?)))
            .collect();
        let others: Vec<_> = clones
            .into_iter()
            .map(|(nth, mouth)| scope.spawn(move || run.feed(mouth, nth)))
            .collect();
        let first = scope.spawn(move || run.feed(mouth, 0));
        // A join that is under way leaves no pipeline to drop.
        let early = (!run.case.may(Event::DropPipeline)).then(|| run.join());
        let (mut accepted, mut unsure) = result_of(first);
        for other in others {
            let (more, perhaps) = result_of(other);
            accepted.extend(more);
            unsure.extend(perhaps);
        }
        // Whoever takes the pipeline away from its dropper waits for the end instead.
        let (ended, mut logs) = early.unwrap_or_else(|| run.join());
        logs.extend(
            receivers
                .into_iter()
                .flatten()
                .map(|receiver| result_of(receiver)),
        );
        if matches!(ended, Ended::Dropped) {
            run.threads.wait_gone();
        }
        run.is_gone.store(true, SeqCst);
        result_of(watcher);
        result_of(disturber);
        Witness {
            run: Arc::clone(run),
            accepted,
            unsure,
            logs,
            ended,
        }
    })
}
