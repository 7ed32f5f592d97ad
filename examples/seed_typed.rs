//! Typed jobs: each has an id, and comes back as an outcome with its own result or error. An error concerns nobody but
//! its job, unless the consumer makes the first one the last: then what waits is dropped, and what runs is told.
//!
//! `cargo run --release --example seed_typed`

use std::{convert::Infallible, error::Error};

use ringmill::stage::map;
use ringmill::{Instances, Pipeline, Report, RunError, StageCounters, Token};

struct Job<T> {
    id: u64,
    value: T,
}

struct Outcome<T, U, E> {
    job: Job<T>,
    result: Result<U, E>,
}

/// Gives every job to `process` and every outcome to `consume`, which says whether to go on.
fn process_all<T: Copy + Send, U: Send, E: Send>(
    workers: usize,
    jobs: impl Iterator<Item = Job<T>>,
    process: impl Fn(T, &Token) -> Result<U, E> + Sync,
    mut consume: impl FnMut(Outcome<T, U, E>) -> bool,
) -> Result<Report, RunError<Infallible>> {
    let process = &process;
    let pool = Pipeline::<Infallible>::builder::<Job<T>>()
        .workers(workers)
        .capacity(64)
        .stage("process", Instances::new(workers), |context| {
            let token = context.token();
            map(move |job: Job<T>| {
                let result = process(job.value, &token);
                Outcome { job, result }
            })
        });
    let handle = pool.handle();
    pool.run(jobs, |outcome| {
        if !handle.is_stopped() && !consume(outcome) {
            handle.stop();
        }
    })
}

/// The smallest divisor of a number that has one.
fn divisor(number: u64, token: &Token) -> Result<u64, String> {
    let mut candidates = (2..number).take_while(|_| !token.is_cancelled()); // A long job asks.
    let divisor = candidates.find(|candidate| number.is_multiple_of(*candidate));
    divisor.ok_or_else(|| format!("{number} has no divisor"))
}

/// How many were divided, how many could not be, and what the pool did.
fn divide(go_on: bool) -> Result<(u64, u64, StageCounters), Box<dyn Error>> {
    let (mut divided, mut failed, mut last) = (0, 0, String::new());
    let jobs = (1000..6000).zip(0..).map(|(value, id)| Job { id, value });
    let report = process_all(4, jobs, divisor, |Outcome { job, result }| {
        match result {
            Ok(divisor) => divided += u64::from(job.value.is_multiple_of(divisor)),
            Err(error) => {
                failed += 1;
                last = format!("job {}, {error}", job.id);
            }
        }
        go_on || failed == 0
    })?;
    println!("{divided} divided, {failed} failed, the last was {last}");
    Ok((divided, failed, report.counters.stages[0].clone()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (divided, failed, counters) = divide(true)?;
    assert_eq!((divided, failed, counters.finished), (4385, 615, 5000));

    let (divided, failed, counters) = divide(false)?;
    assert!(divided < 4385 && failed == 1);
    assert_eq!(counters.dispatched, counters.finished + counters.dropped);
    Ok(())
}
