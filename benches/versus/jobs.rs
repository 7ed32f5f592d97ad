//! Those who take jobs one at a time, and run them with a thread for each core.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::loads::{Batch, Item};
use crate::places::{cores, pin};

/// Jobs between those who give and those who run: as many as ringmill's rings hold.
const CAPACITY: usize = 1024;

/// How many come before the clock starts. Few: they are still under way then.
fn warm_up() -> usize {
    2 * cores().len()
}

/// Some jobs more, all alike, before those that count, the first of which starts the clock.
fn with_warm_up<'a>(
    jobs: &'a Batch,
    begun: &'a Cell<Option<Instant>>,
) -> impl Iterator<Item = Item> + 'a {
    let first = jobs.items[0];
    let start = move || {
        begun.set(Some(Instant::now()));
        first
    };
    std::iter::repeat_n(first, warm_up())
        .chain(std::iter::once_with(start))
        .chain(jobs.items[1..].iter().copied())
}

fn check(jobs: &Batch, sum: u64) {
    assert_eq!(sum, jobs.sum(), "some job was lost, or done twice");
}

/// The calling thread feeds, sums and works.
pub fn ringmill(jobs: &Batch) -> Duration {
    use ringmill::stage::map;
    use ringmill::{Instances, Pipeline};

    let (mut sum, begun) = (0_u64, Cell::new(None));
    Pipeline::<Infallible>::builder::<Item>()
        .stage("work", Instances::new(cores().len()), |_| map(Item::run))
        .run(with_warm_up(jobs, &begun), |result| {
            sum = sum.wrapping_add(result);
        })
        .expect("nothing fails");
    let took = begun.get().expect("jobs were fed").elapsed();
    let before = jobs.results[0].wrapping_mul(warm_up() as u64);
    check(jobs, sum.wrapping_sub(before));
    took
}

fn rayon_pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(cores().len())
        .build()
        .expect("a worker for each core")
}

/// Inside the pool; each thread sums for itself.
pub fn rayon_par_bridge(jobs: &Batch) -> Duration {
    use rayon::prelude::*;

    let run = |items: &[Item]| {
        let items = items.iter().copied().par_bridge();
        let results = items.map(Item::run);
        results.reduce(|| 0, u64::wrapping_add)
    };
    rayon_pool().install(|| {
        let first = jobs.items.len().min(warm_up());
        run(&jobs.items[..first]);
        let begun = Instant::now();
        let sum = run(&jobs.items);
        let took = begun.elapsed();
        check(jobs, sum);
        took
    })
}

/// Inside the pool; each job leaves its result in a place of its own.
pub fn rayon_spawn(jobs: &Batch) -> Duration {
    let mut results = vec![0; jobs.items.len()];
    let run = |items: &[Item], results: &mut [u64]| {
        rayon::scope(|scope| {
            for (&item, result) in items.iter().zip(results) {
                scope.spawn(move |_| *result = item.run());
            }
        });
    };
    rayon_pool().install(|| {
        let first = jobs.items.len().min(warm_up());
        run(&jobs.items[..first], &mut results);
        let begun = Instant::now();
        run(&jobs.items, &mut results);
        let took = begun.elapsed();
        assert!(results == jobs.results, "wrong results, or a wrong order");
        took
    })
}

/// Workers share the receiving end; each sums for itself.
pub fn crossbeam_channel(jobs: &Batch) -> Duration {
    let (tx, rx) = crossbeam_channel::bounded(CAPACITY);
    let gate = Barrier::new(cores().len() + 1);
    let (sum, took) = thread::scope(|scope| {
        let gate = &gate;
        let workers: Vec<_> = (1..=cores().len())
            .map(|nth| {
                let rx = rx.clone();
                scope.spawn(move || {
                    pin(nth);
                    gate.wait();
                    let results = rx.iter().map(Item::run);
                    (results.fold(0, u64::wrapping_add), Instant::now())
                })
            })
            .collect();
        drop(rx);
        let feeder = scope.spawn(move || {
            pin(0);
            gate.wait();
            let begun = Instant::now();
            // Workers that are gone have panicked, which is seen below.
            let _all_sent = jobs.items.iter().all(|&item| tx.send(item).is_ok());
            begun
        });
        let ended = workers.into_iter().map(join);
        let (sum, last) = ended
            .reduce(|one, other| (one.0.wrapping_add(other.0), one.1.max(other.1)))
            .expect("a core");
        (sum, last - join(feeder))
    });
    check(jobs, sum);
    took
}

/// What the thread has, or its panic.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Its queue has no bounds. Each job leaves its result in a place of its own.
pub fn threadpool(jobs: &Batch) -> Duration {
    let pool = threadpool::ThreadPool::new(cores().len());
    let results: Arc<[AtomicU64]> = jobs.items.iter().map(|_| AtomicU64::new(0)).collect();
    let run = |items: &[Item]| {
        for (nth, &item) in items.iter().enumerate() {
            let results = Arc::clone(&results);
            pool.execute(move || results[nth].store(item.run(), Ordering::Relaxed));
        }
        pool.join();
    };
    run(&jobs.items[..jobs.items.len().min(warm_up())]);
    let begun = Instant::now();
    run(&jobs.items);
    let took = begun.elapsed();
    let results = results.iter().map(|result| result.load(Ordering::Relaxed));
    assert!(
        results.eq(jobs.results.iter().copied()),
        "wrong results, or a wrong order"
    );
    took
}

/// A task of the runtime spawns, which is cheaper than spawning from outside, and sums what comes back.
pub fn tokio_spawn(jobs: &Batch) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores().len())
        .build()
        .expect("a worker for each core");
    let run = |items: &[Item]| {
        let items = items.to_vec();
        let feeder = runtime.spawn(async move {
            let begun = Instant::now();
            let sum = spawn_each(items).await;
            (sum, begun.elapsed())
        });
        runtime.block_on(result_of(feeder))
    };
    run(&jobs.items[..jobs.items.len().min(warm_up())]);
    let (sum, took) = run(&jobs.items);
    check(jobs, sum);
    took
}

async fn spawn_each(items: Vec<Item>) -> u64 {
    let mut sum = 0_u64;
    let mut spawned = VecDeque::with_capacity(CAPACITY);
    for item in items {
        if spawned.len() == CAPACITY
            && let Some(oldest) = spawned.pop_front()
        {
            sum = sum.wrapping_add(result_of(oldest).await);
        }
        spawned.push_back(tokio::spawn(async move { item.run() }));
    }
    for rest in spawned {
        sum = sum.wrapping_add(result_of(rest).await);
    }
    sum
}

/// What the task has, or its panic.
async fn result_of<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// It keeps the order. A larger buffer than its own of two for each thread lets jobs differ in length.
pub fn pariter(jobs: &Batch) -> Duration {
    use pariter::IteratorExt as _;

    let begun = Cell::new(None);
    let is_right = thread::scope(|scope| {
        let results = with_warm_up(jobs, &begun).parallel_map_scoped_custom(
            scope,
            |settings| settings.threads(cores().len()).buffer_size(CAPACITY),
            Item::run,
        );
        let first = std::iter::repeat_n(jobs.results[0], warm_up());
        results.eq(first.chain(jobs.results.iter().copied()))
    });
    let took = begun.get().expect("jobs were fed").elapsed();
    assert!(is_right, "wrong results, or a wrong order");
    took
}

/// What perfect sharing would reach.
pub fn sequential_by_cores(jobs: &Batch) -> Duration {
    let begun = Instant::now();
    let results = jobs.items.iter().map(|item| item.run());
    let sum = results.fold(0, u64::wrapping_add);
    let took = begun.elapsed();
    check(jobs, sum);
    took / cores().len().max(1) as u32
}
