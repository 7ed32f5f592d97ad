//! A typed worker pool: a pipeline of one stage. Two producers share it, jobs come back with their results in the order
//! in which they are done, and a producer that must not wait is told when the pool is full.
//!
//! `cargo run --release --example pool`

use std::convert::Infallible;
use std::error::Error;
use std::thread;

use ringmill::stage::map;
use ringmill::{DispatchError, Dispatcher, FailFast, Instances, Pipeline};

/// Steps of the Collatz sequence from `start` down to 1.
fn steps(start: u64) -> u32 {
    let next = |&n: &u64| match n {
        1 => None,
        n if n % 2 == 0 => Some(n / 2),
        n => Some(3 * n + 1),
    };
    let steps = std::iter::successors(Some(start), next).count();
    u32::try_from(steps).unwrap_or(u32::MAX) - 1
}

type Jobs<D> = Dispatcher<u64, Infallible, FailFast, D>;

/// Waits when the pool is full.
fn patient<D>(mut pool: Jobs<D>, jobs: impl Iterator<Item = u64>) -> usize {
    jobs.map_while(|job| pool.dispatch(job).ok()).count()
}

/// Does not wait: what the pool has no room for is left out.
fn hurried<D>(mut pool: Jobs<D>, jobs: impl Iterator<Item = u64>) -> (usize, usize) {
    let (mut accepted, mut shed) = (0, 0);
    for job in jobs {
        match pool.try_dispatch(job) {
            Ok(()) => accepted += 1,
            Err(DispatchError::Full(_)) => shed += 1,
            Err(_) => break,
        }
    }
    (accepted, shed)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (dispatcher, receiver, pool) = Pipeline::<Infallible>::builder::<u64>()
        .many_dispatchers()
        .workers(4)
        .capacity(256)
        .stage("collatz", Instances::new(4), |_| {
            map(|start| (start, steps(start)))
        })
        .start()?;
    println!("{} workers", pool.placement().workers.len());

    let second = dispatcher.clone();
    let patient = thread::spawn(move || patient(dispatcher, 1..100_001));
    let hurried = thread::spawn(move || hurried(second, 100_001..150_001));

    let (mut count, mut longest) = (0, (0, 0));
    for (start, steps) in receiver {
        count += 1;
        longest = longest.max((steps, start));
    }
    let waited_for = patient.join().expect("producers do not panic");
    let (accepted, shed) = hurried.join().expect("producers do not panic");
    pool.join()?;

    println!("the hurried producer placed {accepted} jobs and left {shed} out");
    println!(
        "of {count} starts, {} takes longest: {} steps",
        longest.1, longest.0
    );
    assert_eq!(waited_for, 100_000);
    assert_eq!(count, waited_for + accepted);
    assert!(longest.0 >= 350); // 77031 takes 350.
    Ok(())
}
