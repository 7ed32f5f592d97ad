//! Pipelines that end without a receiver, on the calling thread, or in a join.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Door, within};
use ringmill::stage::map;
use ringmill::{Instances, Pipeline};

type Pure = Pipeline<Infallible>;

#[test]
fn r_b2_discard_has_no_receiver() {
    within(|| {
        let sum = Arc::new(AtomicUsize::new(0));
        let add = Arc::clone(&sum);
        let (mut dispatcher, pipeline) = Pure::builder::<usize>()
            .capacity(2)
            .stage("a", Instances::new(2), move |_| {
                let sum = Arc::clone(&add);
                map(move |x: usize| sum.fetch_add(x, SeqCst))
            })
            .discard()
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..1000).unwrap();
        drop(dispatcher);
        let report = pipeline.join().unwrap();
        assert_eq!(sum.load(SeqCst), 999 * 500);
        let stage = &report.counters.stages[0];
        assert_eq!((stage.finished, stage.discarded), (1000, 1000));
        assert_eq!(report.counters.active(), 0);
    });
}

#[test]
fn f_15_fold_hands_its_states_back() {
    within(|| {
        for instances in [1, 3] {
            let build = || {
                Pipeline::<u64>::builder::<u64>()
                    .capacity(4)
                    .per_job()
                    .stage("a", Instances::new(1), |_| {
                        |x: u64| if x == 7 { Err(x) } else { Ok(x) }
                    })
                    .fold(
                        Instances::new(instances),
                        |context| (context.instance(), Vec::new()),
                        |state, outcome| state.1.push(outcome.unwrap_or(1007)),
                    )
            };
            let check = |states: Vec<(usize, Vec<u64>)>| {
                assert!(states.iter().map(|state| state.0).eq(0..instances));
                let mut all: Vec<_> = states.into_iter().flat_map(|state| state.1).collect();
                all.sort_unstable();
                assert!(
                    all.into_iter()
                        .eq((0..500).filter(|&x| x != 7).chain([1007]))
                );
            };
            check(build().run(0..500).unwrap().states);
            let (mut dispatcher, pipeline) = build().start().unwrap();
            dispatcher.dispatch_all(0..500).unwrap();
            dispatcher.done();
            check(pipeline.join().unwrap().states);
        }
    });
}

#[test]
fn f_10_run_borrows() {
    within(|| {
        let words = ["one", "two", "three"].map(String::from);
        let seen = Mutex::new(0);
        let mut out = Vec::new();
        let builder = Pure::builder::<&str>().stage("length", Instances::new(2).ordered(4), |_| {
            map(|word| {
                *seen.lock().unwrap() += 1;
                (str::len(word), word)
            })
        });
        let handle = builder.handle();
        let jobs = words.iter().map(String::as_str);
        let report = builder.run(jobs, |result| out.push(result)).unwrap();
        assert_eq!(out, [(3, "one"), (3, "two"), (5, "three")]);
        assert_eq!(seen.into_inner().unwrap(), 3);
        assert_eq!(report.counters, handle.counters());
        assert!(handle.is_finished());
    });
}

#[test]
fn f_8_joins_that_receive_and_joins_that_give_up() {
    within(|| {
        let gate = Door::default();
        let stage = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .capacity(2)
            .stage("gate", Instances::new(1), move |_| {
                let gate = stage.clone();
                map(move |x: u64| gate.pass(x))
            })
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..3).unwrap();
        gate.reach(1);
        drop(dispatcher);
        let still = pipeline.join_timeout(Duration::from_millis(2)).unwrap_err();
        assert_eq!(still.running.len(), 1);
        assert_eq!(
            (&*still.running[0].stage, still.running[0].instance),
            ("gate", 0)
        );
        assert_eq!(
            still.to_string(),
            "still running: 3 jobs left, gate/0 inside its job 1"
        );
        gate.open();
        let mut out = Vec::new();
        still.pipeline.join_into(receiver, |x| out.push(x)).unwrap();
        assert_eq!(out, [0, 1, 2]);
    });
}
