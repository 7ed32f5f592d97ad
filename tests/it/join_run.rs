//! `run`: over borrowed data, on the calling thread.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::OnceLock;
use std::thread;

use crate::common::{Census, Count, Threads, within, within_steps};
use ringmill::stage::map;
use ringmill::{Fault, Handle, Idle, Instances, JoinError, Pipeline, RunError, allowed_cores};

fn strip<'a>(word: &'a str, prefix: &str) -> &'a str {
    &word[prefix.len()..]
}

/// Borrowed jobs, borrowed stages, results that are not `'static`, and closures that stay on their thread.
#[test]
fn f_10_run_borrows() {
    within_steps(|step| {
        for workers in [1, 2, 4] {
            for capacity in [1, 3, 1024] {
                for idle in [Idle::backoff(), Idle::parking(), Idle::yielding()] {
                    step.say(format!("{workers} {capacity} {idle:?}"));
                    let words: Vec<String> = (0..200).map(|n| format!("word {n}")).collect();
                    let prefix = String::from("word ");
                    let taken = Rc::new(std::cell::Cell::new(0));
                    let mut out: Vec<&str> = Vec::new();
                    let report = Pipeline::<String>::builder::<&str>()
                        .workers(workers)
                        .capacity(capacity)
                        .idle(idle)
                        .stage("strip", Instances::new(2).ordered(4), |_| {
                            map(|word| strip(word, &prefix))
                        })
                        .stage("same", Instances::bound([allowed_cores()[0]]), |_| {
                            map(|word| word)
                        })
                        .run(
                            words.iter().map(|word| {
                                taken.set(taken.get() + 1);
                                word.as_str()
                            }),
                            |word| out.push(word),
                        )
                        .unwrap();
                    assert_eq!(taken.get(), 200);
                    assert!(out.into_iter().eq(words.iter().map(|word| &word[5..])));
                    assert_eq!(report.counters.stages[1].finished, 200);
                }
            }
        }
    });
}

#[test]
fn run_of_nothing() {
    within(|| {
        for workers in [1, 2] {
            let report = Pipeline::<Infallible>::builder::<u64>()
                .workers(workers)
                .stage("a", Instances::new(1), |_| map(|x: u64| x))
                .run([], |_| panic!("a result"))
                .unwrap();
            assert_eq!(report.counters.stages[0].dispatched, 0);
        }
    });
}

/// A panic in the caller's closures stops, joins, and goes on with its payload; neither closure is called
/// again.
#[test]
fn f_10_run_unwinds() {
    struct Mine(u64);
    within_steps(|step| {
        for workers in [1, 2] {
            for capacity in [1, 3, 1024] {
                for (in_jobs, in_each) in [(Some(50), None), (None, Some(50)), (Some(9), Some(2))] {
                    step.say(format!("{workers} {capacity} {in_jobs:?} {in_each:?}"));
                    let (census, threads) = (Census::default(), Threads::default());
                    let mut over = (0, 0);
                    let run = || {
                        Pipeline::<String>::builder()
                            .workers(workers)
                            .capacity(capacity)
                            .on_spawn(threads.hook())
                            .stage("a", Instances::new(2), |_| map(|x: crate::common::Life| x))
                            .run(
                                (0..).map(|nth: u64| {
                                    over.0 = nth;
                                    if Some(nth) == in_jobs {
                                        panic_any(Mine(nth));
                                    }
                                    census.life()
                                }),
                                |job| {
                                    over.1 += 1;
                                    if in_each.is_some_and(|last| over.1 == last) {
                                        drop(job);
                                        panic_any(Mine(over.1));
                                    }
                                },
                            )
                    };
                    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
                    let mine = payload.downcast::<Mine>().expect("the first payload");
                    assert!(Some(mine.0) == in_jobs || Some(mine.0) == in_each);
                    assert!(in_jobs.is_none_or(|last| over.0 <= last), "asked again");
                    assert!(in_each.is_none_or(|last| over.1 <= last), "called again");
                    threads.wait_gone();
                    census.is_over();
                }
            }
        }
    });
}

/// Ended through its handle: from `each`, from the iterator, from a job, and from another thread.
#[test]
fn f_10_run_ended_by_its_handle() {
    within_steps(|step| {
        for workers in [1, 2] {
            for capacity in [1, 1024] {
                for from in ["each", "jobs", "inside", "thread"] {
                    for call in ["close", "stop", "fail"] {
                        step.say(format!("{workers} {capacity} {from} {call}"));
                        let handle = OnceLock::new();
                        let end = |at, x| {
                            if at == from && x == 100 {
                                let handle: &Handle<String> = handle.get().unwrap();
                                match call {
                                    "close" => handle.close(),
                                    "stop" => handle.stop(),
                                    _ => drop(handle.set_err("enough".to_string())),
                                }
                            }
                        };
                        let began = Count::default();
                        let builder = Pipeline::<String>::builder::<u64>()
                            .workers(workers)
                            .capacity(capacity);
                        let handle = handle.get_or_init(|| builder.handle());
                        let mut fed = 0;
                        let mut results = 0;
                        let ended = thread::scope(|scope| {
                            if from == "thread" {
                                scope.spawn(|| {
                                    began.reach(100);
                                    end("thread", 100);
                                });
                            }
                            builder
                                .stage("a", Instances::new(1), |_| {
                                    |x: u64| {
                                        began.add(1);
                                        end("inside", x);
                                        Ok(x)
                                    }
                                })
                                .run(
                                    (0..).inspect(|&x| {
                                        fed = x + 1;
                                        end("jobs", x);
                                    }),
                                    |x| {
                                        assert_eq!(x, results);
                                        results += 1;
                                        end("each", x);
                                    },
                                )
                        });
                        let a = handle.counters().stages[0].clone();
                        assert!(handle.is_finished() && a.dispatched <= fed);
                        assert_eq!(a.dispatched, a.finished + a.dropped);
                        assert_eq!(results, a.finished - a.discarded);
                        match call {
                            "close" => {
                                assert_eq!((a.dropped, a.discarded), (0, 0));
                                assert!(ended.is_ok());
                            }
                            "stop" => assert!(ended.is_ok()),
                            _ => {
                                let Err(RunError::Join(JoinError::Failed(fault))) = ended else {
                                    panic!("it failed");
                                };
                                assert!(matches!(&*fault, Fault::Set(error) if error == "enough"));
                            }
                        }
                    }
                }
            }
        }
    });
}

/// Ended before it begins: nothing is taken, nothing comes.
#[test]
fn run_ended_before_it_begins() {
    within(|| {
        for stops in [false, true] {
            let builder = Pipeline::<String>::builder::<u64>().workers(2);
            let handle = builder.handle();
            if stops {
                handle.stop();
            } else {
                handle.close();
            }
            let report = builder
                .stage("a", Instances::new(1), |_| map(|x: u64| x))
                .run((0..).inspect(|_| panic!("a job")), |_| panic!("a result"))
                .unwrap();
            assert_eq!(report.counters.stages[0].dispatched, 0);
        }
    });
}

/// A stage that panics under `run` is an error of `run`, not a panic.
#[test]
fn run_with_a_stage_that_panics() {
    within(|| {
        for workers in [1, 2] {
            for capacity in [1, 1024] {
                let mut results = 0;
                let failed = Pipeline::<String>::builder::<u64>()
                    .workers(workers)
                    .capacity(capacity)
                    .stage("a", Instances::new(1), |_| {
                        map(|x: u64| {
                            assert!(x != 5, "no {x}");
                            x
                        })
                    })
                    .run(0.., |_| results += 1);
                let Err(RunError::Join(JoinError::Failed(fault))) = failed else {
                    panic!("it panicked");
                };
                assert_eq!(fault.to_string(), "stage \"a\", instance 0 panicked: no 5");
                assert_eq!(results, 5);
            }
        }
    });
}
