//! Fan-out and fan-in: the numbers from 1 to 10 go to three workers and their sum comes back, first through a receiver,
//! then as a sum for each worker, and last with the caller doing everything that is not the work.
//!
//! `cargo run --release --example seed_fanout`

use std::convert::Infallible;
use std::error::Error;

use ringmill::stage::map;
use ringmill::{Instances, Pipeline};

/// Every result goes to one receiver, with the number of the worker that it came from.
fn received() -> Result<u64, Box<dyn Error>> {
    let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
        .workers(3)
        .capacity(4)
        .stage("work", Instances::new(3), |context| {
            let worker = context.instance();
            map(move |number: u64| (worker, number))
        })
        .start()?;
    let mut sum = 0;
    std::thread::scope(|scope| {
        scope.spawn(move || dispatcher.dispatch_all(1..=10)); // Dropped at the end: no more jobs.
        for (worker, number) in receiver {
            println!("worker {worker}: {number}");
            sum += number;
        }
    });
    pipeline.join()?;
    Ok(sum)
}

/// Fan-in by hand is not needed for a sum: each instance keeps its own, and `join` hands them over.
fn folded() -> Result<u64, Box<dyn Error>> {
    let (mut dispatcher, pipeline) = Pipeline::<Infallible>::builder::<u64>()
        .workers(3)
        .stage("work", Instances::new(3), |_| map(|number: u64| number))
        .fold(
            Instances::new(3),
            |_| 0,
            |sum: &mut u64, number| *sum += number,
        )
        .start()?;
    dispatcher.dispatch_all(1..=10)?;
    dispatcher.done();
    let sums = pipeline.join()?.states;
    println!("a sum for each: {sums:?}");
    Ok(sums.iter().sum())
}

/// The caller feeds, collects and works; nothing has to be joined or closed.
fn ran(numbers: &[u64]) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    Pipeline::<Infallible>::builder::<&u64>()
        .stage("work", Instances::new(3), |_| map(|number: &u64| *number))
        .run(numbers, |number| sum += number)?;
    Ok(sum)
}

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u64> = (1..=10).collect();
    let sums = [received()?, folded()?, ran(&numbers)?];
    println!("{sums:?}");
    assert_eq!(sums, [55; 3]);
    Ok(())
}
