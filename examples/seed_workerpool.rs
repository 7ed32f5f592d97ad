//! A pool with a queue of waiting jobs and one of finished jobs, for those who know it as queue, close, stop and get
//! finished. A job comes back with its result, also after a close or a stop, until the queue has been drained.
//!
//! `cargo run --release --example seed_workerpool`

use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread;

use ringmill::stage::{Completed, completed};
use ringmill::{Handle, Instances, Pipeline, TryReceiveError};

const WORKERS: u64 = 2;
const JOBS: u64 = 8;

fn divisors(number: u64) -> usize {
    let divides = |divisor: &u64| number.is_multiple_of(*divisor);
    (1..=number).filter(divides).count()
}

/// Jobs waiting, running and finished.
fn counts(pool: &Handle<Infallible>) -> (u64, u64, u64) {
    let work = &pool.counters().stages[0];
    (work.waiting, work.running, work.finished)
}

/// Queues jobs, ends the pool while its workers are busy, and says how many jobs come back finished.
fn queue_then(end: impl FnOnce(&Handle<Infallible>)) -> Result<u64, Box<dyn Error>> {
    let gate = Arc::new(Mutex::new(()));
    let shut = gate.lock().expect("nobody panics");
    let gate = Arc::clone(&gate);
    let (mut queue, mut finished, pool) = Pipeline::<Infallible>::builder::<u64>()
        .workers(2)
        .capacity(16) // Of either queue; with `discard()` there would be none of finished jobs.
        .stage("work", Instances::new(2), move |_| {
            let gate = Arc::clone(&gate);
            completed(move |number: &mut u64| {
                drop(gate.lock()); // Busy until the gate opens.
                divisors(*number)
            })
        })
        .start()?;

    for number in 1..=JOBS {
        queue.dispatch(number)?; // Waits only if 16 are waiting.
    }
    while counts(&pool).1 < WORKERS {
        thread::yield_now();
    }
    assert_eq!(counts(&pool), (JOBS - WORKERS, WORKERS, 0)); // Their sum is right at every instant.
    assert_eq!(finished.try_receive().err(), Some(TryReceiveError::Empty)); // Nothing yet.

    end(&pool);
    let refused = queue.dispatch(0).expect_err("it has ended");
    assert_eq!(refused.into_job(), 0); // What is refused comes back.
    assert!(pool.has_jobs());
    drop(shut);
    pool.join()?; // The workers are gone; what they finished is still there.

    let mut count = 0;
    while let Ok(Completed { job, result }) = finished.try_receive() {
        println!("  {job} has {result} divisors");
        count += 1;
    }
    assert_eq!(finished.try_receive().err(), Some(TryReceiveError::Done)); // Never again.
    Ok(count)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("close:");
    assert_eq!(queue_then(Handle::close)?, JOBS);
    println!("stop:");
    assert_eq!(queue_then(Handle::stop)?, WORKERS);
    Ok(())
}
