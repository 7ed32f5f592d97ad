//! Pipelines of three stages.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use disruptor::BusySpin;
use rayon::prelude::*;
use ringmill::stage::map;
use ringmill::{Instances, Pipeline};

use super::lines::{self, CAPACITY};
use super::{Run, fused, job, share, stage, sum};
use crate::executors::{Rayon, Rtrb, Snooze, Spawn, StdMpsc, Yielding};

pub const ALL: &[(&str, Run)] = &[
    ("ringmill", ringmill),
    ("crossbeam-channel", crossbeam_channel),
    ("std mpsc", lines::threads::<StdMpsc>),
    ("rtrb", lines::threads::<Rtrb<Snooze>>),
    ("tokio", lines::tokio),
    ("disruptor", |items, workers| {
        lines::disruptor(items, workers, Yielding)
    }),
    ("disruptor BusySpin", disruptor_busy_spin),
    ("rayon", rayon),
    ("threadpool", threadpool),
];

/// The clock runs from the first job that is asked for, when all workers are there, to the last result.
fn ringmill(items: u64, workers: usize) -> Duration {
    let begun = OnceCell::new();
    let (mut count, mut total, mut took) = (0, 0_u64, Duration::ZERO);
    let some = || Instances::new(share(workers));
    let jobs = (0..items).map(|number| {
        begun.get_or_init(Instant::now);
        job(number)
    });
    Pipeline::<Infallible>::builder::<u64>()
        .workers(workers)
        .stage("a", some(), |_| map(stage))
        .stage("b", some(), |_| map(stage))
        .stage("c", some(), |_| map(stage))
        .run(jobs, |value| {
            total = total.wrapping_add(value);
            count += 1;
            if count == items {
                took = begun.get().expect("a first job").elapsed();
            }
        })
        .expect("nothing fails");
    assert_eq!(total, sum(items), "another sum");
    took
}

/// Each stage's threads share both channels.
fn crossbeam_channel(items: u64, workers: usize) -> Duration {
    thread::scope(|scope| {
        let (tx, mut last) = bounded(CAPACITY);
        for _ in 0..3 {
            let (next, rx) = bounded(CAPACITY);
            let from = std::mem::replace(&mut last, rx);
            for _ in 0..share(workers) {
                let (from, next): (Receiver<u64>, _) = (from.clone(), next.clone());
                scope.spawn(move || {
                    for value in from {
                        if next.send(stage(value)).is_err() {
                            return;
                        }
                    }
                });
            }
        }
        // So that threads are there.
        let warm_up = share(workers) as u64;
        for number in 0..warm_up {
            tx.send(job(number)).expect("stages are there");
        }
        let first = last.iter().take(share(workers)).fold(0, u64::wrapping_add);
        assert_eq!(first, sum(warm_up), "another sum of the first");
        let begun = Instant::now();
        scope.spawn(move || (0..items).all(|number| tx.send(job(number)).is_ok()));
        let total = last.iter().fold(0, u64::wrapping_add);
        let took = begun.elapsed();
        assert_eq!(total, sum(items), "another sum");
        took
    })
}

/// Three stages and who feeds them are more threads than cores for any number of workers a core, and then spinning
/// threads get on by time slices: some items have to say how fast that is, many would take minutes, and few say nothing,
/// since a slice is as long for one item as for a ring full of them.
fn disruptor_busy_spin(items: u64, workers: usize) -> Duration {
    const SOME: u64 = 2_000;
    let took = lines::disruptor(SOME, workers, BusySpin);
    // As if all of them had gone at that rate.
    took.mul_f64(items as f64 / SOME as f64)
}

/// All stages of a job in one call: there is nothing to be gained for it in stages of their own.
fn rayon(items: u64, workers: usize) -> Duration {
    let rayon = Rayon::start(workers);
    rayon.pool().broadcast(|_| ());
    let begun = Instant::now();
    let total = rayon.pool().install(|| {
        let jobs = (0..items).into_par_iter().map(job);
        jobs.map(fused).reduce(|| 0, u64::wrapping_add)
    });
    let took = begun.elapsed();
    assert_eq!(total, sum(items), "another sum");
    took
}

/// A task for each job, with all its stages.
fn threadpool(items: u64, workers: usize) -> Duration {
    let pool = threadpool::ThreadPool::new(workers);
    let total = Arc::new(AtomicU64::new(0));
    let run = |items| {
        for number in 0..items {
            let total = Arc::clone(&total);
            pool.execute(move || {
                total.fetch_add(fused(job(number)), Relaxed);
            });
        }
        pool.join();
        total.swap(0, Relaxed)
    };
    run(workers as u64);
    let begun = Instant::now();
    let total = run(items);
    let took = begun.elapsed();
    assert_eq!(total, sum(items), "another sum");
    took
}
