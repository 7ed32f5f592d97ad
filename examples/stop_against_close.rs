//! Fifty jobs are queued behind a slow one. A close processes them all; a stop lets the slow one finish and drops the
//! rest; a stop after a close stops. Nothing is lost without being counted.
//!
//! `cargo run --release --example stop_against_close`

use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, Barrier};

use ringmill::stage::map;
use ringmill::{DispatchError, Handle, Instances, Pipeline, StageCounters};

const JOBS: u64 = 51;

/// Queues the jobs, calls `end` while the first one is running, and says what became of them.
fn queue_then(end: impl FnOnce(&Handle<Infallible>)) -> Result<StageCounters, Box<dyn Error>> {
    let gate = Arc::new(Barrier::new(2));
    let slow = Arc::clone(&gate);
    let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
        .capacity(100)
        .stage("work", Instances::new(1), move |_| {
            let slow = Arc::clone(&slow);
            map(move |job: u64| {
                if job == 0 {
                    slow.wait(); // "I am running"
                    slow.wait(); // "go on"
                }
                job
            })
        })
        .start()?;

    for job in 0..JOBS {
        dispatcher.dispatch(job)?;
    }
    gate.wait();
    end(&pipeline.handle());
    match dispatcher.dispatch(JOBS) {
        Err(DispatchError::Stopped(job)) => println!("  job {job} came back: stopped"),
        Err(DispatchError::Closed(job)) => println!("  job {job} came back: closed"),
        other => return Err(format!("job {JOBS} should have been refused: {other:?}").into()),
    }
    gate.wait();

    let mut results = Vec::new();
    let report = pipeline.join_into(receiver, |result| results.push(result))?;
    let work = report
        .counters
        .stage("work")
        .ok_or("no such stage")?
        .clone();
    println!(
        "  {} dispatched, {} finished, {} dropped; {} results received",
        work.dispatched,
        work.finished,
        work.dropped,
        results.len()
    );
    assert_eq!(work.dispatched, work.finished + work.dropped);
    assert_eq!(results.len() as u64, work.finished - work.discarded);
    Ok(work)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("close:");
    assert_eq!(queue_then(Handle::close)?.finished, JOBS);

    println!("stop:");
    assert_eq!(queue_then(Handle::stop)?.dropped, JOBS - 1);

    println!("close, then stop:");
    let both = queue_then(|handle| {
        handle.close();
        handle.stop();
        handle.close(); // Changes nothing: the strongest of them holds.
    })?;
    assert_eq!(both.dropped, JOBS - 1);
    Ok(())
}
