//! Models of `lifecycle`, `executor` and `counters`: errors, the end, and what adds up. Nothing is joined
//! before the assertions, which would hide an edge that is missing.

#![cfg(loom)]

use std::sync::Arc;

use loom::sync::Arc as LoomArc;
use loom::thread::yield_now;
use ringmill::model::{Assembly, Executor, Rx, Shape, StepFn, Tally, Tx, set_error};
use ringmill::ring::mpmc::ring_at;
use ringmill::ring::spsc;
use ringmill::{Fault, TryReceiveError};
use ringmill_loom_tests::{Plot, model, ring_model};

/// An error whose content is written before it is set.
fn error(content: usize) -> LoomArc<Plot> {
    let plot = Plot::new();
    plot.set(content);
    plot
}

fn content(executor: &Executor<LoomArc<Plot>>) -> Option<usize> {
    executor.handle().err().map(|fault| match &*fault {
        Fault::Set(error) => error.get(),
        other => panic!(
            "another kind of fault: {}",
            matches!(other, Fault::Stage { .. })
        ),
    })
}

/// Two errors: one is it, with its content, for all time; the other goes back. Who sees that the executor
/// has failed sees why.
#[test]
fn first_error_wins() {
    let witnesses = ["first 1", "first 2", "none yet", "some"];
    model("lifecycle::first_error_wins", 100, &witnesses, |scene| {
        let executor = Executor::new(1);
        let setters = [1, 2].map(|number| {
            let handle = executor.handle();
            scene.spawn(move |_| match handle.set_err(error(number)) {
                Ok(()) => number,
                Err(back) => {
                    assert_eq!(back.get(), number);
                    0
                }
            })
        });
        scene.enter();
        if executor.is_failed() {
            assert!(content(&executor).is_some(), "failed, and no error");
        }
        let seen = content(&executor);
        scene.saw(if seen.is_some() { "some" } else { "none yet" });
        let [a, b] = setters.map(|setter| setter.join().unwrap());
        let first = a + b;
        assert!(a == 0 || b == 0, "both won");
        assert!(seen.is_none_or(|seen| seen == first), "the error changed");
        assert_eq!(content(&executor), Some(first));
        assert_eq!(executor.handle().suppressed(), 1);
        scene.saw(format!("first {first}"));
    });
}

/// An error and the natural end: one of them wins. If the error does, who sees the end sees it; if the end
/// does, the error goes back to one who sees what led to the end.
#[test]
fn error_against_seal() {
    let witnesses = ["error", "seal"];
    model("lifecycle::error_against_seal", 200, &witnesses, |scene| {
        let executor = Executor::new(1);
        let work = Plot::new();
        let (handle, done) = (executor.handle(), work.clone());
        let setter = scene.spawn(move |_| match handle.set_err(error(1)) {
            Ok(()) => true,
            Err(_) => {
                assert_eq!(done.get(), 1);
                false
            }
        });
        let (ends, done) = (executor.clone(), work.clone());
        let duty = scene.spawn(move |_| {
            done.set(1);
            ends.duty_ended();
        });
        scene.enter();
        while !executor.handle().is_finished() {
            yield_now();
        }
        assert_eq!(work.get(), 1);
        let seen = content(&executor);
        assert_eq!(seen.is_some(), setter.join().unwrap());
        assert_eq!(content(&executor), seen);
        scene.saw(if seen.is_some() { "error" } else { "seal" });
        duty.join().unwrap();
    });
}

fn two_instances(start: usize, step: StepFn<usize, usize>) -> Assembly<usize, usize> {
    let shape = Shape {
        start,
        instances: vec![2],
        capacities: vec![2, 2],
        homes: vec![0, 1],
        workers: 2,
        is_ordered: false,
        step,
    };
    shape.assemble().unwrap()
}

/// Who observes done has every result, sees all that the instances did, and counters that say so.
#[test]
fn done_is_last() {
    model(
        "lifecycle::done_is_last",
        20000,
        &["0 and 2", "1 and 1", "2 and 0"],
        |scene| {
            let plots = [Plot::new(), Plot::new(), Plot::new()];
            let work = plots.clone();
            let step: StepFn<usize, usize> = Arc::new(move |_, job| {
                work[job].set(job);
                Ok(vec![job])
            });
            let Assembly {
                mut dispatcher,
                mut receiver,
                handle,
                floor,
                ..
            } = two_instances(scene.start, step);
            dispatcher.try_dispatch(1).unwrap();
            dispatcher.try_dispatch(2).unwrap();
            drop(dispatcher);
            let instances = [0, 1].map(|duty| {
                let floor = floor.clone();
                scene.spawn(move |_| {
                    let mut jobs = 0;
                    while let Some(count) = floor.poll(duty) {
                        jobs += count;
                        if count == 0 {
                            yield_now();
                        }
                    }
                    // The end of input counts as one.
                    jobs - 1
                })
            });
            scene.enter();
            let mut results = 0;
            loop {
                match receiver.try_receive() {
                    Ok(_) => results += 1,
                    Err(TryReceiveError::Done) => break,
                    Err(TryReceiveError::Empty) => yield_now(),
                }
            }
            assert_eq!(results, 2, "done, and a result is missing");
            assert!((1..3).all(|job| plots[job].get() == job));
            let counters = handle.counters();
            let stage = &counters.stages[0];
            assert_eq!((stage.dispatched, stage.finished, stage.dropped), (2, 2, 0));
            assert_eq!(set_error(&handle), None);
            let [a, b] = instances.map(|instance| instance.join().unwrap());
            scene.saw(format!("{a} and {b}"));
        },
    );
}

/// A job fails: who observes done sees the error, and that each job was counted once.
#[test]
fn error_before_done() {
    ring_model("lifecycle::error_before_done", 300, &["failed"], |scene| {
        let shape = Shape {
            start: scene.start,
            instances: vec![1],
            capacities: vec![2, 1],
            homes: vec![0],
            workers: 1,
            is_ordered: false,
            step: Arc::new(|_, _| Err(9)),
        };
        let mut all = shape.assemble().unwrap();
        all.dispatcher.try_dispatch(1).unwrap();
        all.dispatcher.try_dispatch(2).unwrap();
        let floor = all.floor.clone();
        let instance = scene.spawn(move |_| while floor.poll(0).is_some() {});
        scene.enter();
        assert_eq!(all.receiver.receive(), None);
        assert_eq!(
            set_error(&all.handle),
            Some(9),
            "done, and the error is not to be seen"
        );
        let counters = all.handle.counters();
        let stage = &counters.stages[0];
        assert_eq!((stage.dispatched, stage.finished, stage.dropped), (2, 1, 1));
        scene.saw("failed");
        instance.join().unwrap();
    });
}

/// No snapshot is negative, at any moment, and none goes back.
#[test]
fn counters_add_up() {
    let witnesses = [
        "0 0 0", "1 0 0", "1 1 0", "1 1 1", "2 0 0", "2 1 0", "2 1 1", "2 2 0", "2 2 1", "2 2 2",
        "dropped",
    ];
    ring_model("lifecycle::counters_add_up", 2000, &witnesses, |scene| {
        let (tx, rx) = ring_at(2, scene.start).unwrap();
        let tally = Tally::new();
        let executor = Executor::<()>::counting(1, &rx, std::slice::from_ref(&tally));
        let dispatcher = scene.spawn(move |_| {
            tx.try_push(1).unwrap();
            tx.try_push(2).unwrap();
        });
        let worker = scene.spawn(move |_| {
            for _ in 0..2 {
                if rx.try_pop().is_some() {
                    tally.start();
                    tally.finish();
                }
            }
            if rx.try_pop().is_some() {
                tally.drop_one();
            }
        });
        scene.enter();
        let handle = executor.handle();
        let mut before = (0, 0, 0);
        for _ in 0..2 {
            let counters = handle.counters();
            let stage = &counters.stages[0];
            let now = (
                stage.dispatched,
                stage.dispatched - stage.waiting - stage.dropped,
                stage.finished,
            );
            let sum = stage.waiting + stage.running + stage.finished + stage.dropped;
            assert_eq!(stage.dispatched, sum);
            assert!(stage.dispatched <= 2 && stage.running <= 2);
            assert!(now.0 >= before.0 && now.1 >= before.1 && now.2 >= before.2);
            before = now;
            if stage.dropped > 0 {
                scene.saw("dropped");
            } else {
                scene.saw(format!("{} {} {}", now.0, now.1, now.2));
            }
        }
        dispatcher.join().unwrap();
        worker.join().unwrap();
    });
}

/// What the mouth's consumer does until the end: how many jobs it took.
fn consume(mut rx: Rx<usize>, executor: &Executor<()>) -> usize {
    rx.calls_mouth(executor);
    let mut taken = 0;
    loop {
        rx.close_mouth(executor);
        let is_ended = rx.is_ended();
        if rx.fill(1) > 0 {
            assert!(!is_ended, "a job after the end");
            rx.take().unwrap();
            rx.release();
            taken += 1;
        } else if is_ended {
            return taken;
        } else {
            yield_now();
        }
    }
}

/// A job is accepted and taken, or refused: none is left behind by a close on another thread.
#[test]
fn close_against_dispatch() {
    let witnesses = ["accepted 0", "accepted 1", "accepted 2"];
    ring_model(
        "lifecycle::close_against_dispatch",
        5000,
        &witnesses,
        |scene| {
            let executor = Executor::new(1);
            let (tx, rx) = ring_at(2, scene.start).unwrap();
            let mut dispatcher = Tx::mpmc(tx).dispatcher(&executor);
            let handle = executor.handle();
            let dispatching = scene.spawn(move |_| {
                (1..=2)
                    .filter(|&job| dispatcher.try_dispatch(job).is_ok())
                    .count()
            });
            let consuming = executor.clone();
            let consumer = scene.spawn(move |_| consume(Rx::mpmc(rx), &consuming));
            scene.enter();
            handle.close();
            let accepted = dispatching.join().unwrap();
            assert_eq!(consumer.join().unwrap(), accepted);
            scene.saw(format!("accepted {accepted}"));
        },
    );
}

/// The same where the ring cannot refuse a push: its consumer closes it when the dispatcher is seen out.
#[test]
fn close_against_push() {
    let witnesses = ["accepted 0", "accepted 1", "accepted 2"];
    ring_model("lifecycle::close_against_push", 5000, &witnesses, |scene| {
        let executor = Executor::new(1);
        let (tx, rx) = spsc::ring_at(2, scene.start).unwrap();
        let mut dispatcher = Tx::mouth(tx, &executor).dispatcher(&executor);
        let handle = executor.handle();
        let dispatching = scene.spawn(move |_| {
            (1..=2)
                .filter(|&job| dispatcher.try_dispatch(job).is_ok())
                .count()
        });
        let closing = scene.spawn(move |_| handle.close());
        let consuming = executor.clone();
        let consumer = scene.spawn(move |_| consume(Rx::spsc(rx), &consuming));
        scene.enter();
        let accepted = dispatching.join().unwrap();
        assert_eq!(consumer.join().unwrap(), accepted);
        closing.join().unwrap();
        scene.saw(format!("accepted {accepted}"));
    });
}

/// The last dispatcher to go closes, after all that the others did.
#[test]
fn last_dispatcher_closes() {
    let witnesses = ["closed", "open"];
    ring_model(
        "lifecycle::last_dispatcher_closes",
        300,
        &witnesses,
        |scene| {
            let executor = Executor::<()>::new(1);
            let (tx, rx) = ring_at(2, scene.start).unwrap();
            let first = Tx::mpmc(tx).dispatcher(&executor);
            let plots = [Plot::new(), Plot::new()];
            let dispatchers = [first.clone(), first].into_iter().zip(plots.clone());
            let dispatchers: Vec<_> = dispatchers
                .map(|(mut dispatcher, plot)| {
                    scene.spawn(move |_| {
                        dispatcher.try_dispatch(7).unwrap();
                        plot.set(1);
                    })
                })
                .collect();
            scene.enter();
            if executor.is_open() {
                scene.saw("open");
            } else {
                assert!(plots.iter().all(|plot| plot.get() == 1));
                assert_eq!(rx.len(), 2);
                scene.saw("closed");
            }
            for dispatcher in dispatchers {
                dispatcher.join().unwrap();
            }
            assert_eq!(consume(Rx::mpmc(rx), &executor), 2);
        },
    );
}
