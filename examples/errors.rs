//! The two error policies over the same bad input: fail fast ends with the first error, per job gives every job an
//! outcome, a panic included.
//!
//! `cargo run --release --example errors`

use std::error::Error;
use std::num::ParseIntError;
use std::panic;

use ringmill::{DispatchError, Fault, Instances, JobError, JoinError, Pipeline};

const INPUT: [&str; 6] = ["12", "7", "seven", "0", "-3", "5"];

fn fail_fast() -> Result<(), Box<dyn Error>> {
    let (mut dispatcher, receiver, pipeline) = Pipeline::<ParseIntError>::builder::<&str>()
        .stage("parse", Instances::new(1), |_| str::parse::<i64>)
        .start()?;
    // The error may come while jobs are still being dispatched: the rest is refused, and comes back.
    if let Err(cut_short) = dispatcher.dispatch_all(INPUT) {
        assert!(matches!(cut_short.refused, DispatchError::Failed(_)));
    }
    let results: Vec<i64> = receiver.collect();
    assert!(results.len() <= 2, "nothing after the error comes out");

    let JoinError::Failed(fault) = pipeline.join().expect_err("one job was no number") else {
        return Err("joined from outside".into());
    };
    println!("fail fast: {results:?}, then {fault}");
    assert!(matches!(&*fault, Fault::Stage { stage, .. } if &**stage == "parse"));
    assert!(matches!(
        dispatcher.dispatch("8"),
        Err(DispatchError::Failed("8"))
    ));
    Ok(())
}

fn per_job() -> Result<(), Box<dyn Error>> {
    let mut outcomes = Vec::new();
    Pipeline::<ParseIntError>::builder::<&str>()
        .per_job()
        .stage(
            "parse",
            Instances::new(2).ordered(16),
            |_| str::parse::<i64>,
        )
        .stage("divide", Instances::new(1), |_| {
            |number: i64| Ok(840 / number) // Panics at 0.
        })
        .run(INPUT, |outcome| outcomes.push(outcome))?;
    for (text, outcome) in INPUT.iter().zip(&outcomes) {
        match outcome {
            Ok(quotient) => println!("per job: 840 / {text} = {quotient}"),
            Err(error) => println!("per job: {text}: {error}"),
        }
    }
    assert_eq!(outcomes.len(), INPUT.len());
    assert!(matches!(outcomes[1], Ok(120)));
    assert!(matches!(outcomes[2], Err(JobError::Stage { .. })));
    assert!(matches!(outcomes[3], Err(JobError::Panicked { .. })));
    Ok(())
}

/// An error can also come from outside the stages. The first one stays; the rest are counted.
fn from_outside() -> Result<(), Box<dyn Error>> {
    let (_dispatcher, _receiver, pipeline) = Pipeline::<&str>::builder::<u64>()
        .stage("nothing", Instances::new(1), |_| Ok)
        .start()?;
    assert_eq!(pipeline.set_err("the disk is full"), Ok(()));
    assert_eq!(pipeline.set_err("so is the other"), Err("so is the other"));
    assert_eq!(pipeline.suppressed(), 1);
    println!("set from outside: {}", pipeline.join().unwrap_err());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    panic::set_hook(Box::new(|_| ())); // The panic below is expected, and reported as an outcome.
    let ends = [fail_fast(), per_job(), from_outside()];
    let _ = panic::take_hook();
    ends.into_iter().collect()
}
