//! One dispatcher for three stages, for those who know one for each: dispatch and done on one side, receive on the
//! other, and at the end the first error, whether a stage or the reader of the results had it.
//!
//! `cargo run --release --example seed_dispatcher`

use std::error::Error;
use std::{sync::Arc, thread};

use ringmill::{Fault, Instances, Pipeline};

const FRAMES: u64 = 20_000;

#[derive(Debug)]
struct Failure(&'static str);

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// A number as text, and behind it the exclusive or of its bytes.
fn frame(number: u64) -> Vec<u8> {
    let mut bytes = number.to_string().into_bytes();
    bytes.push(sum(&bytes));
    bytes
}

fn check(mut frame: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let is_right = sum(&frame) == 0 && frame.pop().is_some();
    is_right.then_some(frame).ok_or(Failure("wrong checksum"))
}

/// How many numbers came out, the frame that was refused if one was, and the first error.
type Outcome = (u64, Option<Vec<u8>>, Option<Arc<Fault<Failure>>>);

/// Sends all frames through. Whoever reads the numbers does not want `unwanted`.
fn read(frames: Vec<Vec<u8>>, unwanted: u64) -> Result<Outcome, Box<dyn Error>> {
    let (mut dispatcher, receiver, pipeline) = Pipeline::<Failure>::builder::<Vec<u8>>()
        .capacity(64)
        .stage("check", Instances::new(2).ordered(64), |_| check)
        .stage("text", Instances::new(1), |_| {
            |bytes| String::from_utf8(bytes).or(Err(Failure("no text")))
        })
        .stage("number", Instances::new(1), |_| {
            |text: String| text.parse::<u64>().or(Err(Failure("no number")))
        })
        .start()?;
    let feeder = thread::spawn(move || {
        let all = dispatcher.dispatch_all(frames); // `dispatch` takes one.
        dispatcher.done(); // Once or often; all that was accepted still comes out.
        all.err().map(|cut_short| cut_short.refused.into_job())
    });
    let mut count = 0;
    for number in receiver {
        count += 1;
        if number == unwanted && pipeline.set_err(Failure("unwanted")).is_err() {
            println!("another error was first");
        }
    }
    let refused = feeder.join().expect("the feeder does not panic");
    let error = pipeline.err();
    assert_eq!(pipeline.join().is_err(), error.is_some());
    println!("{count} numbers, refused: {refused:?}, first error: {error:?}");
    Ok((count, refused, error))
}

fn main() -> Result<(), Box<dyn Error>> {
    let good: Vec<_> = (0..FRAMES).map(frame).collect();
    assert!(matches!(read(good.clone(), FRAMES)?, (FRAMES, None, None)));

    let mut bad = good.clone();
    bad[500] = vec![0xff, 0xff]; // The checksum is right, but it is no text.
    let (count, refused, error) = read(bad, FRAMES)?;
    assert!(count <= 500 && refused.is_some_and(|frame| good.contains(&frame)));
    assert!(matches!(error.as_deref(), Some(Fault::Stage { stage, .. }) if &**stage == "text"));

    let (count, _, error) = read(good, 700)?;
    let is_unwanted = matches!(error.as_deref(), Some(Fault::Set(Failure("unwanted"))));
    assert!(is_unwanted && (701..FRAMES).contains(&count));
    Ok(())
}
