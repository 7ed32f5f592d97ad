//! Forks where something goes wrong: failures arrive once, a `clone` that panics costs its job, a stop counts
//! every copy; and what of a fork cannot be built. (What each call does to everybody is in `table.rs`, whose
//! shapes have forks among them.)

use std::convert::Infallible;

use crate::common::{Census, Count, Gate, Life, OpenLate, core, panicked, until, within};
use ringmill::stage::{filter_map, flat_map, map};
use ringmill::{BuildError, DispatchError, Instances, JobError, Outcome, Pipeline, RunError};

fn one() -> Instances {
    Instances::new(1)
}

/// A job that panics when it is copied, if it is told to.
struct Brittle {
    nth: u64,
    breaks: bool,
    life: Life,
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert!(!self.breaks, "clone {}", self.nth);
        Self {
            life: self.life.clone(),
            ..*self
        }
    }
}

fn brittle(census: &Census, count: u64, breaks: u64) -> impl Iterator<Item = Brittle> + use<> {
    let census = census.clone();
    (0..count).map(move |nth| Brittle {
        nth,
        breaks: nth == breaks,
        life: census.life(),
    })
}

#[test]
fn f_13_a_failure_arrives_once() {
    within(|| {
        for before in [1, 3] {
            for capacity in [1, 64] {
                let fails = |at: u64| move |n: u64| if n % 10 == at { Err(n) } else { Ok(n) };
                let mut outcomes = Vec::new();
                let report = Pipeline::<u64>::builder::<u64>()
                    .per_job()
                    .capacity(capacity)
                    .stage("before", Instances::new(before), |_| fails(1))
                    .broadcast(|fork| {
                        fork.branch(|b| b.stage("a", one(), |_| fails(2)))
                            .branch(|b| {
                                b.stage("b", Instances::new(2).keyed(|n: &u64| *n), |_| fails(3))
                            })
                            .branch(|b| b.stage("c", Instances::new(2).ordered(2), |_| fails(3)))
                    })
                    .stage("join", Instances::new(2), |_| Ok)
                    .run(0..100, |outcome: Outcome<u64, u64>| {
                        outcomes.push(outcome.map_err(|error| match error {
                            JobError::Stage { stage, error } => (stage.to_string(), error),
                            other => panic!("{other:?}"),
                        }));
                    })
                    .unwrap();
                let failed = |stage: &str| {
                    let mut jobs: Vec<u64> = outcomes
                        .iter()
                        .filter_map(|outcome| outcome.as_ref().err())
                        .filter_map(|(at, job)| (at == stage).then_some(*job))
                        .collect();
                    jobs.sort_unstable();
                    jobs
                };
                for (stage, at) in [("before", 1), ("a", 2), ("b", 3), ("c", 3)] {
                    assert!(
                        failed(stage)
                            .into_iter()
                            .eq((0..100).filter(|n| n % 10 == at))
                    );
                }
                assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 3 * 90 - 30);
                let stage = |name| report.counters.stage(name).unwrap();
                let dispatched = ["a", "b", "c", "join"].map(|name| stage(name).dispatched);
                // The last branch is also the way of what had failed before.
                assert_eq!(dispatched, [90, 90, 100, 280]);
            }
        }
    });
}

#[test]
fn f_13_a_panic_of_clone_is_its_jobs() {
    within(|| {
        let census = Census::default();
        let seen = Count::default();
        let mut outcomes = Vec::new();
        Pipeline::<Infallible>::builder::<Brittle>()
            .per_job()
            .capacity(2)
            .stage("before", one(), |_| Ok)
            .broadcast(|fork| {
                let see = |_: &_| {
                    let seen = seen.clone();
                    map(move |job: Brittle| {
                        assert!(!job.breaks, "no branch sees it");
                        seen.add(1);
                        job.nth
                    })
                };
                fork.branch(|b| b.stage("a", one(), see))
                    .branch(|b| b.stage("b", one(), see))
                    .branch(|b| b.stage("c", one(), see))
            })
            .run(brittle(&census, 50, 7), |outcome| match outcome {
                Ok(nth) => outcomes.push(nth),
                Err(JobError::Panicked { stage, message, .. }) => {
                    assert_eq!((&*stage, &*message), ("before", "clone 7"));
                    outcomes.push(7);
                }
                Err(other) => panic!("{other:?}"),
            })
            .unwrap();
        assert_eq!((outcomes.len(), seen.get()), (3 * 49 + 1, 3 * 49));
        assert_eq!(outcomes.iter().filter(|&&nth| nth == 7).count(), 1);
        census.is_over();
    });
}

#[test]
fn f_13_a_panic_of_clone_ends_the_pipeline() {
    within(|| {
        for nth in [0, 7] {
            let census = Census::default();
            let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<Brittle>()
                .capacity(4)
                .broadcast(|fork| {
                    fork.branch(|b| b.stage("a", one(), |_| Ok))
                        .branch(|b| b.stage("b", Instances::bound(core()), |_| Ok))
                })
                .start()
                .unwrap();
            let refused = dispatcher
                .dispatch_all(brittle(&census, 1 << 20, nth))
                .unwrap_err();
            assert!(matches!(refused.refused, DispatchError::Failed(_)) || nth == 7);
            drop(refused);
            drop(receiver);
            let (stage, _, message, _) = panicked(pipeline.join());
            assert_eq!(
                (stage, message),
                ("broadcast".to_string(), format!("clone {nth}"))
            );
            census.is_over();
        }
    });
}

/// A key that panics costs its job too; those before it may have seen the job, and every copy is dropped once.
#[test]
fn f_13_a_panic_of_a_branchs_key() {
    within(|| {
        for capacity in [1, 64] {
            let census = Census::default();
            let mut outcomes = Vec::new();
            let key = |job: &Brittle| {
                assert!(job.nth != 5, "key {}", job.nth);
                job.nth
            };
            Pipeline::<Infallible>::builder::<Brittle>()
                .per_job()
                .capacity(capacity)
                .stage("before", one(), |_| Ok)
                .broadcast(|fork| {
                    fork.branch(|b| b.capacity(64).stage("a", one(), |_| Ok))
                        .branch(|b| {
                            b.capacity(64)
                                .stage("b", Instances::new(2).keyed(key), |_| Ok)
                        })
                        .branch(|b| b.capacity(64).stage("c", one(), |_| Ok))
                })
                .run(brittle(&census, 20, 20), |outcome: Outcome<Brittle, _>| {
                    outcomes.push(outcome.map_or(None, |job| Some(job.nth)));
                })
                .unwrap();
            let count = |of| outcomes.iter().filter(|&&outcome| outcome == of).count();
            assert_eq!((count(Some(5)), count(None)), (1, 1));
            assert!(
                (0..20)
                    .filter(|&nth| nth != 5)
                    .all(|nth| count(Some(nth)) == 3)
            );
            drop(outcomes);
            census.is_over();
        }
    });
}

/// At a stop each copy of each result is either dispatched to its branch or discarded.
#[test]
fn f_13_a_stop_counts_every_copy() {
    within(|| {
        for (blocked, instances) in [(0, 1), (1, 1), (2, 1), (0, 2), (2, 3)] {
            let census = Census::default();
            let (gate, began, emitted) = (Gate::default(), Count::default(), Count::default());
            let _late = OpenLate(gate.clone());
            let block = |nth: u32| {
                let (gate, began) = (gate.clone(), began.clone());
                move |_: &_| {
                    let (gate, began) = (gate.clone(), began.clone());
                    filter_map(move |_: Brittle| {
                        if nth == blocked {
                            began.add(1);
                            gate.pass();
                        }
                        None::<u64>
                    })
                }
            };
            let emits = emitted.clone();
            let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<Brittle>()
                .capacity(3)
                .workers(3) // Up to two are inside.
                .stage("before", Instances::new(instances), move |_| {
                    let emits = emits.clone();
                    flat_map(move |job: Brittle| {
                        let emits = emits.clone();
                        (0..3).map(move |_| {
                            emits.add(1);
                            job.clone()
                        })
                    })
                })
                .broadcast(|fork| {
                    fork.branch(|b| b.stage("0", one(), block(0)))
                        .branch(|b| {
                            b.stage("1", Instances::new(2).keyed(|_: &Brittle| 7), block(1))
                        })
                        .branch(|b| b.stage("2", Instances::new(2), block(2)))
                })
                .start()
                .unwrap();
            dispatcher.dispatch_all(brittle(&census, 3, 3)).unwrap();
            // One result is inside and three wait: the fifth finds no room, where one instance is in front.
            emitted.reach(5);
            began.reach(1);
            let handle = pipeline.handle();
            let discarded = || handle.counters().stage("before").unwrap().discarded;
            pipeline.stop();
            // The branch goes on only when the result that is held has been given up.
            until(|| blocked == 2 || instances > 1 || discarded() > 0);
            gate.open();
            pipeline.join().unwrap();
            assert_eq!(receiver.count(), 0);
            let counters = handle.counters();
            let stage = |name| counters.stage(name).unwrap();
            let sum: u64 = ["0", "1", "2"]
                .iter()
                .map(|name| stage(name).dispatched)
                .sum();
            assert_eq!(sum + discarded(), 3 * emitted.get() as u64, "{counters:?}");
            for stage in &counters.stages {
                assert_eq!(stage.dispatched, stage.finished + stage.dropped);
            }
            census.is_over();
        }
    });
}

#[test]
fn f_13_names_of_forks() {
    within(|| {
        let builder = || Pipeline::<Infallible>::builder::<u8>();
        let mut results = Vec::new();
        let report = builder()
            .broadcast(|fork| fork.branch(|b| b).branch(|b| b))
            .stage("a", Instances::new(2).ordered(2), |_| Ok)
            .broadcast(|fork| {
                fork.branch(|b| {
                    b.stage("b", Instances::new(2).ordered(2), |_| Ok)
                        .broadcast(|fork| fork.branch(|b| b))
                })
                .branch(|b| b)
            })
            .run(0..3, |result| results.push(result))
            .unwrap();
        let names: Vec<&str> = report
            .counters
            .stages
            .iter()
            .map(|stage| &*stage.name)
            .collect();
        assert_eq!(names, ["broadcast", "a", "broadcast 2", "b", "broadcast 3"]);
        results.sort_unstable();
        assert_eq!(results, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);

        let taken = builder()
            .broadcast(|fork| fork.branch(|b| b))
            .stage("broadcast", one(), |_| Ok)
            .run(0..3, drop);
        assert!(matches!(
            taken,
            Err(RunError::Build(BuildError::StageName { .. }))
        ));
    });
}

#[test]
fn f_13_what_cannot_be_built() {
    within(|| {
        let builder = || Pipeline::<Infallible>::builder::<u8>().stage("before", one(), |_| Ok);
        let no_room = builder()
            .broadcast(|fork| {
                fork.branch(|b| b)
                    .branch(|b| b.capacity(0).stage("a", one(), |_| Ok))
            })
            .start();
        assert!(matches!(
            no_room.err(),
            Some(BuildError::Ring { stage: Some(stage), .. }) if stage == "a"
        ));
        let no_window = builder()
            .broadcast(|fork| fork.branch(|b| b.stage("a", Instances::new(2).ordered(0), |_| Ok)))
            .discard()
            .start();
        assert!(matches!(no_window.err(), Some(BuildError::ZeroWindow { stage }) if stage == "a"));
        let same_name = builder()
            .broadcast(|fork| {
                fork.branch(|b| b.stage("a", one(), |_| Ok))
                    .branch(|b| b.stage("a", one(), |_| Ok))
            })
            .fold(one(), |_| (), |(), _| ())
            .start();
        assert!(matches!(same_name.err(), Some(BuildError::StageName { name, .. }) if name == "a"));
        let panics = builder()
            .broadcast(|fork| {
                fork.branch(|b| {
                    b.stage("a", one(), |context| {
                        assert!(context.instance() > 0, "init");
                        Ok
                    })
                })
            })
            .start();
        assert!(matches!(panics.err(), Some(BuildError::Init { stage, .. }) if stage == "a"));
    });
}
