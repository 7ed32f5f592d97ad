//! How many maps a second go through three stages that each serialise and parse one, as a pool of workers per stage is
//! mostly used?
//!
//! `J` maps, and `W` workers a stage. The time is that of the whole: everything is built anew, and over when its last
//! thread is, as it is for whoever has that many maps and nothing else. A map is 40 kB, and the channels between stages
//! hold a few.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use pariter::IteratorExt as _;
use rayon::prelude::*;
use ringmill::stage::map;
use ringmill::{Instances, Pipeline};
use ringmill_perf::letters::{CAPACITY, Job, Letters, Total, check, letters, round_trip};
use tokio::sync::{Mutex, mpsc};

use crate::places::cores;
use crate::protocol::{Better, Case};
use crate::staged::{Channel, CrossbeamChannel, Load, STAGES, StdMpscLocked, through};

const GROUP: &str = "seed";
/// Maps, and workers a stage.
const SHAPES: [(u64, usize); 3] = [(1_000, 10), (100, 10), (10, 5)];

type Map = Job<'static>;

pub fn cases() -> Vec<Case<'static>> {
    SHAPES.map(case).into()
}

fn case((jobs, workers): (u64, usize)) -> Case<'static> {
    // A look has all of them; only where every subject just runs once there are fewer.
    let count = move |items| if items * 2 < jobs { items } else { jobs };
    let by = move |run: fn(u64, usize) -> Total| {
        move |items| {
            let jobs = count(items);
            let begun = Instant::now();
            let total = run(jobs, workers);
            let rate = jobs as f64 / begun.elapsed().as_secs_f64();
            assert_eq!((total.jobs, total.right), (jobs, jobs), "all maps, unhurt");
            rate
        }
    };
    let (name, unit) = (format!("J{jobs}W{workers}"), ("maps/s", Better::Higher));
    Case::figure(GROUP, name, unit, jobs)
        .subject("ringmill", by(run))
        .subject("rayon fused", by(fused))
        .subject("crossbeam-channel", by(staged::<CrossbeamChannel>))
        .subject("std mpsc", by(staged::<StdMpscLocked>))
        .subject("pariter", by(parallel_maps))
        .subject("tokio", by(tasks))
        .limit("sequential by cores", move |items| {
            by(sequential)(items) * cores().len() as f64
        })
}

/// The same for all turns: maps that come out are compared with it.
fn original() -> &'static Letters {
    static LETTERS: OnceLock<Letters> = OnceLock::new();
    LETTERS.get_or_init(letters)
}

fn jobs(count: u64) -> impl Iterator<Item = Map> + Send {
    let original = original();
    (0..count).map(move |_| Job::new(original))
}

/// A worker of a stage, the last of which looks at what came out.
fn worker(nth: usize) -> impl FnMut(Map) -> Map + Clone + Send + 'static {
    let mut text = Vec::new();
    move |job| {
        let job = round_trip(&mut text, job).expect("a map of text is JSON");
        if nth + 1 < STAGES {
            job
        } else {
            check(job, original())
        }
    }
}

fn all_stages() -> impl FnMut(Map) -> Map + Send + 'static {
    let mut stages = [0, 1, 2].map(worker);
    move |job| stages.iter_mut().fold(job, |job, stage| stage(job))
}

fn run(count: u64, workers: usize) -> Total {
    let mut total = Total::default();
    let instances = || Instances::new(workers);
    Pipeline::<Infallible>::builder::<Map>()
        .capacity(CAPACITY)
        .stage("first", instances(), |_| map(worker(0)))
        .stage("second", instances(), |_| map(worker(1)))
        .stage("third", instances(), |_| map(worker(2)))
        .run(jobs(count), |job| total.add(&job))
        .expect("nothing fails");
    total
}

/// All three stages in one closure, on a thread for each core: more of them would only be in each other's way.
fn fused(count: u64, _: usize) -> Total {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores().len())
        .build()
        .expect("a thread for each core");
    let mut total = Total::default();
    let results: Vec<(u64, bool)> = pool.install(|| {
        (0..count as usize)
            .into_par_iter()
            .map_init(all_stages, |stages, _| {
                let job = stages(Job::new(original()));
                (job.bytes, job.right)
            })
            .collect()
    });
    for (bytes, is_right) in results {
        total.jobs += 1;
        total.bytes += bytes;
        total.right += u64::from(is_right);
    }
    total
}

/// A thread for each worker, one that feeds and one that receives.
fn staged<C: Channel>(count: u64, workers: usize) -> Total {
    let mut total = Total::default();
    let load = Load {
        warm: Vec::new(),
        jobs: jobs(count),
        count: count as usize,
        each: |job: Map| total.add(&job),
    };
    through::<C, _, _>(load, (workers, CAPACITY), worker);
    total
}

fn parallel_maps(count: u64, workers: usize) -> Total {
    let mut total = Total::default();
    thread::scope(|scope| {
        jobs(count)
            .parallel_map_scoped_custom(scope, |o| o.threads(workers), worker(0))
            .parallel_map_scoped_custom(scope, |o| o.threads(workers), worker(1))
            .parallel_map_scoped_custom(scope, |o| o.threads(workers), worker(2))
            .for_each(|job| total.add(&job));
    });
    total
}

/// A task for each worker, on a thread for each core; those of a stage share its receiver behind a lock.
fn tasks(count: u64, workers: usize) -> Total {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores().len())
        .build()
        .expect("a thread for each core");
    let (first, mut rx) = mpsc::channel(CAPACITY);
    for nth in 0..STAGES {
        let (tx, next) = mpsc::channel(CAPACITY);
        let shared = Arc::new(Mutex::new(rx));
        for _ in 0..workers {
            let (shared, tx, mut stage) = (Arc::clone(&shared), tx.clone(), worker(nth));
            runtime.spawn(async move {
                loop {
                    let received = shared.lock().await.recv().await;
                    let Some(job) = received else { return };
                    if tx.send(stage(job)).await.is_err() {
                        return;
                    }
                }
            });
        }
        rx = next;
    }
    runtime.spawn(async move {
        for job in jobs(count) {
            if first.send(job).await.is_err() {
                return;
            }
        }
    });
    let mut total = Total::default();
    runtime.block_on(async {
        while let Some(job) = rx.recv().await {
            total.add(&job);
        }
    });
    total
}

/// What all cores together can do of it, if nothing else is to be done.
fn sequential(count: u64, _: usize) -> Total {
    let mut total = Total::default();
    let mut stages = all_stages();
    for job in jobs(count) {
        total.add(&stages(job));
    }
    total
}
