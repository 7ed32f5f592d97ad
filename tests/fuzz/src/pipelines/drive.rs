//! Runs a case: who watches, joins and disturbs, and what was seen.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use ringmill::{Counters, Fault, Handle, JoinError, Pin, Pipeline, RunError};

use super::assemble::{Ends, Judge, Part, Seen, assemble, parts};
use super::case::{Case, End, Event};
use super::item::{Identity, Item, OnBegin, Site};
use crate::common::{Census, Threads};

/// What all who take part share.
pub struct Run {
    pub case: Case,
    pub parts: Vec<Part>,
    pub handle: Handle<String>,
    pub census: Census,
    pub threads: Threads,
    pub offered: AtomicU64,
    pub accepted: AtomicU64,
    /// What the overflow policy dropped.
    pub lost: Mutex<Vec<u32>>,
    has_happened: AtomicBool,
    pub receivers_leave: AtomicBool,
    owner: Mutex<Option<Owner>>,
}

enum Owner {
    Plain(Pipeline<String>),
    Fold(Pipeline<String, Vec<Seen>>),
}

/// What a join said.
pub type Joined = Result<Counters, Arc<Fault<String>>>;

/// What was seen of a run.
pub struct Witness {
    pub run: Arc<Run>,
    /// Each job that was accepted.
    pub accepted: Vec<u32>,
    /// What each receiver, or each state of a fold, got, in its order.
    pub logs: Vec<Vec<Seen>>,
    /// `None` if the pipeline was dropped.
    pub joined: Option<Joined>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    pub fn item(&self, job: u32) -> Item {
        Item {
            id: Identity { job, path: 0 },
            _life: self.census.life(),
        }
    }

    pub fn sites(&self) -> Vec<Arc<Site>> {
        let of = |part: &Part| match part {
            Part::Stage(_, site) | Part::Then(site) => vec![Arc::clone(site)],
            Part::Fork(sites) => sites.to_vec(),
        };
        self.parts.iter().flat_map(of).collect()
    }

    /// The event, if this is its job.
    pub fn due(&self, job: u32) -> Option<Event> {
        let (at, event) = self.case.event?;
        (at == job && !self.has_happened.swap(true, SeqCst)).then_some(event)
    }

    pub fn happen(&self, event: Event) {
        let (case, handle) = (&self.case, &self.handle);
        let receives = matches!(case.end, End::Receive | End::ReceiveMany | End::Receivers);
        match event {
            Event::Close => handle.close(),
            Event::DropReceiver if receives => self.receivers_leave.store(true, SeqCst),
            Event::DropPipeline if !case.is_run() => {
                let owner = lock(&self.owner).take();
                drop(owner); // Not under the lock: it waits for the end.
            }
            Event::Stop | Event::DropReceiver | Event::DropPipeline => handle.stop(),
            Event::TokenStop => handle.token().stop(),
            Event::SetErr => {
                let _second = handle.set_err("planned: set".to_string());
            }
            Event::DropDispatcher => {} // The dispatcher leaves.
            Event::Scale(size) => {
                for scaling in self
                    .sites()
                    .iter()
                    .filter_map(|site| handle.scaling(&site.name))
                {
                    let (least, most) = scaling.limits();
                    scaling
                        .scale_to(size.clamp(least, most))
                        .expect("within its limits");
                    assert!(scaling.scale_to(most + 1).is_err());
                }
            }
        }
    }

    fn join(&self) -> (Option<Joined>, Vec<Vec<Seen>>) {
        let owner = lock(&self.owner).take();
        let told = |error| match error {
            JoinError::Failed(fault) => fault,
            other => panic!("joined from outside: {other:?}"),
        };
        match owner {
            None => (None, Vec::new()),
            Some(Owner::Plain(owner)) => (
                Some(owner.join().map(|report| report.counters).map_err(told)),
                Vec::new(),
            ),
            Some(Owner::Fold(owner)) => match owner.join() {
                Ok(report) => (Some(Ok(report.counters)), report.states),
                Err(error) => (Some(Err(told(error))), Vec::new()),
            },
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
    match (case.per_job, case.timeout) {
        (false, None) => with(case, builder()),
        (true, None) => with(case, builder().per_job()),
        (false, Some(timeout)) => with(case, builder().job_timeout(timeout)),
        (true, Some(timeout)) => with(case, builder().per_job().job_timeout(timeout)),
    }
}

fn with<P: Judge>(case: &Case, builder: ringmill::Builder<'static, Item, String, P>) -> Witness {
    let threads = Threads::default();
    let parts = parts(case);
    let run = Arc::new(Run {
        case: case.clone(),
        parts,
        handle: builder.handle(),
        census: Census::default(),
        threads: threads.clone(),
        offered: AtomicU64::new(0),
        accepted: AtomicU64::new(0),
        lost: Mutex::default(),
        has_happened: AtomicBool::new(false),
        receivers_leave: AtomicBool::new(false),
        owner: Mutex::default(),
    });
    let sites = run.sites();
    let on_fault = move |fault: &Fault<String>| {
        if let Fault::Stage { stage, .. }
        | Fault::Panicked { stage, .. }
        | Fault::Late { stage, .. } = fault
            && let Some(site) = sites.iter().find(|site| *site.name == **stage)
        {
            site.faults.fetch_add(1, SeqCst);
        }
    };
    let mut builder = builder
        .many_dispatchers()
        .capacity(case.capacity)
        .workers(case.workers)
        .idle(case.idle.clone())
        .overflow(case.overflow)
        .pin(if case.inside {
            Pin::BestEffort
        } else {
            Pin::Off
        })
        .on_spawn(threads.hook())
        .on_fault(on_fault);
    if let Some(deadline) = case.deadline {
        builder = builder.deadline(deadline);
    }
    let weak = Arc::downgrade(&run); // The run owns the pipeline, which owns this.
    let on_begin: OnBegin = Arc::new(move |job| {
        if let Some(run) = weak.upgrade().filter(|run| run.case.inside)
            && let Some(event) = run.due(job)
        {
            run.happen(event);
        }
    });
    let witness = if case.is_run() {
        run_here(&run, builder, &on_begin)
    } else {
        let ends = assemble(
            builder,
            case,
            &run.parts,
            &on_begin,
            &mut std::iter::empty(),
            &mut drop,
        );
        run_apart(&run, ends)
    };
    // Whoever dropped the pipeline inside a job has not waited for the others, and a scope does not wait until
    // its threads have dropped what is local to them.
    if witness.joined.is_none() || case.is_run() {
        run.threads.wait_gone();
    }
    assert_eq!(run.threads.alive(), 0, "threads after the join");
    witness
}

/// On the calling thread.
fn run_here<P: Judge>(
    run: &Arc<Run>,
    builder: ringmill::Builder<'static, Item, String, P, ringmill::Many>,
    on_begin: &OnBegin,
) -> Witness {
    let case = &run.case;
    let feeding = Arc::clone(run);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let takes = Arc::clone(&taken);
    let mut jobs = (0..case.jobs).map_while(move |job| {
        let event = if feeding.case.inside {
            None
        } else {
            feeding.due(job)
        };
        event.into_iter().for_each(|event| feeding.happen(event));
        feeding.offered.fetch_add(1, SeqCst);
        lock(&takes).push(job);
        (event != Some(Event::DropDispatcher)).then(|| feeding.item(job))
    });
    let mut log = Vec::new();
    let ran = thread::scope(|scope| {
        let watcher = scope.spawn(|| super::verdict::watch(run));
        let ends = assemble(
            builder,
            case,
            &run.parts,
            on_begin,
            &mut jobs,
            &mut |seen| log.push(seen),
        );
        let Ends::Ran(ran) = ends else {
            unreachable!("it ran")
        };
        result_of(watcher);
        ran
    });
    let joined = match ran {
        Ok(report) => Ok(report.counters),
        Err(RunError::Join(JoinError::Failed(fault))) => Err(fault),
        Err(error) => panic!("a case that can be built: {error:?}"),
    };
    // `run` takes jobs from its iterator before it dispatches them, and in their order.
    let dispatched = run.handle.counters().stages[0].dispatched as usize;
    let mut accepted = std::mem::take(&mut *lock(&taken));
    accepted.truncate(dispatched);
    Witness {
        run: Arc::clone(run),
        accepted,
        logs: vec![log],
        joined: Some(joined),
    }
}

/// On threads of its own.
fn run_apart<P: Judge>(run: &Arc<Run>, ends: Ends<P>) -> Witness {
    let (mouth, one, many, owner) = match ends {
        Ends::One(mouth, exit, owner) => (mouth, Some(exit), None, Owner::Plain(owner)),
        Ends::Many(mouth, exit, owner) => (mouth, None, Some(exit), Owner::Plain(owner)),
        Ends::Discard(mouth, owner) => (mouth, None, None, Owner::Plain(owner)),
        Ends::Fold(mouth, owner) => (mouth, None, None, Owner::Fold(owner)),
        Ends::Ran(_) => unreachable!("it was started"),
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
        let twin = many.clone();
        let receivers = [
            one.map(|exit| scope.spawn(|| run.receive(exit))),
            many.map(|exit| scope.spawn(|| run.receive(exit))),
            twin.map(|exit| scope.spawn(|| run.receive(exit))),
        ];
        let clones: Vec<_> = (1..run.case.dispatchers)
            .map(|nth| (nth, mouth.clone()))
            .collect();
        let others: Vec<_> = clones
            .into_iter()
            .map(|(nth, mouth)| scope.spawn(move || run.feed(mouth, nth)))
            .collect();
        let first = scope.spawn(move || run.feed(mouth, 0));
        // A join that is under way leaves no pipeline to drop.
        let is_dropped = matches!(run.case.event, Some((_, Event::DropPipeline)));
        let early = (!is_dropped).then(|| run.join());
        let mut accepted = result_of(first);
        accepted.extend(others.into_iter().flat_map(|other| result_of(other)));
        let (joined, mut logs) = early.unwrap_or_else(|| run.join());
        logs.extend(
            receivers
                .into_iter()
                .flatten()
                .map(|receiver| result_of(receiver)),
        );
        result_of(watcher);
        Witness {
            run: Arc::clone(run),
            accepted,
            logs,
            joined,
        }
    })
}
