//! The benchmark of the pool that ringmill's `run json` takes after: a map that is serialised and parsed three
//! times, in three steps and in six, through rings that buffer and through rings that do not.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ringmill::{Builder, Context, Instances, Pipeline};

type Letters = BTreeMap<String, String>;

/// What a step hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Map(Letters),
    Text(String),
}

/// A hundred entries of keys and values of a hundred letters: 20,601 bytes as JSON.
fn letters() -> Letters {
    let word = |nth: u32, shift: u32| {
        let mut state = nth * 7919 + shift;
        let letters = (0..100).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from(state >> 24).unwrap() % 26)
        });
        letters.collect()
    };
    (0..100).map(|nth| (word(nth, 0), word(nth, 1))).collect()
}

/// A map becomes text, and a text a new map.
fn turn(form: Form) -> Result<Form, serde_json::Error> {
    Ok(match form {
        Form::Map(map) => Form::Text(serde_json::to_string(&map)?),
        Form::Text(text) => Form::Map(serde_json::from_str(&text)?),
    })
}

fn one(_: &Context) -> fn(Form) -> Result<Form, serde_json::Error> {
    turn
}

fn two(_: &Context) -> fn(Form) -> Result<Form, serde_json::Error> {
    |form| turn(form).and_then(turn)
}

fn builder(capacity: usize, workers: usize) -> Builder<'static, Form, serde_json::Error> {
    let builder = Pipeline::builder().capacity(capacity);
    builder.workers(workers)
}

fn check(jobs: usize, workers: usize, capacity: usize, is_in_six: bool) {
    let map = letters();
    let instances = || Instances::new(workers);
    let builder = builder(capacity, workers);
    let started = if is_in_six {
        builder
            .stage("write 1", instances(), one)
            .stage("read 1", instances(), one)
            .stage("write 2", instances(), one)
            .stage("read 2", instances(), one)
            .stage("write 3", instances(), one)
            .stage("read 3", instances(), one)
            .start()
    } else {
        builder
            .stage("first", instances(), two)
            .stage("second", instances(), two)
            .stage("third", instances(), two)
            .start()
    };
    let (mut dispatcher, receiver, pipeline) = started.unwrap();
    let all = vec![Form::Map(map.clone()); jobs];
    let feeder = thread::spawn(move || dispatcher.dispatch_all(all).unwrap());
    let mut count = 0;
    for form in receiver {
        assert!(form == Form::Map(map.clone()));
        count += 1;
    }
    assert_eq!((feeder.join().unwrap(), count), (jobs, jobs));
    let counters = pipeline.join().unwrap().counters;
    let finished = |stage: &ringmill::StageCounters| stage.finished == jobs as u64;
    assert!(counters.stages.iter().all(finished));
}

#[test]
fn r_a7_three_steps_and_six_buffered_and_not() {
    let Form::Text(text) = turn(Form::Map(letters())).unwrap() else {
        panic!("it is text");
    };
    assert_eq!(text.len(), 20_601);
    let (say, hear) = channel::<()>();
    let runner = thread::spawn(move || {
        let _say = say;
        for (jobs, workers) in [(10, 5), (100, 10)] {
            for capacity in [1, 1024] {
                for is_in_six in [false, true] {
                    check(jobs, workers, capacity, is_in_six);
                }
            }
        }
    });
    let heard = hear.recv_timeout(Duration::from_secs(30));
    assert_eq!(heard, Err(RecvTimeoutError::Disconnected), "it hangs");
    runner.join().unwrap();
}
