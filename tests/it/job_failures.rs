//! What a failure costs in the per-job policy: its job and nothing else, wherever it happens.

use std::convert::Infallible;
use std::time::Duration;

use crate::common::{Count, within, within_steps};
use ringmill::stage::map;
use ringmill::{Counters, Instances, JobError, JoinError, Outcome, Pipeline};

type Pure = Pipeline<Infallible>;

fn key(job: &u64) -> u64 {
    assert!(*job != 13, "a key's panic");
    *job
}

fn instances(count: usize, is_ordered: bool) -> Instances {
    if is_ordered {
        Instances::new(count).ordered(8)
    } else {
        Instances::new(count)
    }
}

/// 99 results and one failure of the stage in front of the key.
fn check(outcomes: &[Outcome<u64, Infallible>], counters: &Counters, stage: &str) {
    let mut results: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().ok()).collect();
    results.sort_unstable();
    let expected: Vec<_> = (0..100).filter(|&job| job != 13).collect();
    assert_eq!(results, expected.iter().collect::<Vec<_>>());
    let failures: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    let [
        JobError::Panicked {
            stage: by, message, ..
        },
    ] = failures[..]
    else {
        panic!("{failures:?}");
    };
    assert_eq!((&**by, &**message), (stage, "a key's panic"));
    for it in &counters.stages {
        let failed = u64::from(*it.name == *stage);
        assert_eq!(
            (it.waiting, it.running, it.dropped, it.failed),
            (0, 0, 0, failed),
            "{it:?}"
        );
        assert_eq!((it.dispatched, it.finished), (100, 100), "{it:?}");
    }
}

#[test]
fn a_key_that_panics_costs_its_job_also_behind_an_ordered_stage() {
    within_steps(|step| {
        for (count, is_ordered) in [(1, false), (2, false), (2, true), (4, true)] {
            for is_timed in [false, true] {
                step.say(format!(
                    "{count} instances, ordered {is_ordered}, timed {is_timed}"
                ));
                let mut outcomes = Vec::new();
                let builder = Pure::builder::<u64>().per_job();
                let before = instances(count, is_ordered);
                let keyed = Instances::new(2).keyed(key);
                let report = if is_timed {
                    builder
                        .job_timeout(Duration::from_secs(3600))
                        .stage("before", before, |_| map(|job: u64| job))
                        .stage("keyed", keyed, |_| map(|job: u64| job))
                        .run(0..100, |outcome| outcomes.push(outcome))
                } else {
                    builder
                        .stage("before", before, |_| map(|job: u64| job))
                        .stage("keyed", keyed, |_| map(|job: u64| job))
                        .run(0..100, |outcome| outcomes.push(outcome))
                };
                check(&outcomes, &report.unwrap().counters, "before");
            }
        }
    });
}

#[test]
fn a_key_that_panics_costs_its_job_also_behind_an_ordered_branch() {
    within(|| {
        let mut outcomes = Vec::new();
        let report = Pure::builder::<u64>()
            .per_job()
            .stage("before", Instances::new(1), |_| map(|job: u64| job))
            .broadcast(|fork| {
                fork.branch(|branch| {
                    branch.stage("branch", instances(2, true), |_| map(|job: u64| job))
                })
            })
            .stage("keyed", Instances::new(2).keyed(key), |_| {
                map(|job: u64| job)
            })
            .run(0..100, |outcome| outcomes.push(outcome))
            .unwrap();
        check(&outcomes, &report.counters, "branch");
    });
}

#[test]
fn a_key_that_panics_behind_an_ordered_stage_fails_a_pipeline_that_fails_fast() {
    within(|| {
        let faults = Count::default();
        let told = faults.clone();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .on_fault(move |_| told.add(1))
            .stage("before", instances(2, true), |_| map(|job: u64| job))
            .stage("keyed", Instances::new(2).keyed(key), |_| {
                map(|job: u64| job)
            })
            .start()
            .unwrap();
        let _closed = dispatcher.dispatch_all(0..100);
        drop(dispatcher);
        receiver.for_each(drop);
        let handle = pipeline.handle();
        let Err(JoinError::Failed(fault)) = pipeline.join() else {
            panic!("it failed");
        };
        assert!(fault.to_string().contains("\"before\""), "{fault}");
        assert_eq!(faults.get(), 1);
        for it in &handle.counters().stages {
            let ends = it.finished + it.dropped;
            assert_eq!(
                (it.waiting, it.running, it.dispatched),
                (0, 0, ends),
                "{it:?}"
            );
        }
    });
}

/// A job of which the copy panics.
struct Fragile(u64);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0 != 13, "a copy's panic");
        Self(self.0)
    }
}

#[test]
fn a_copy_that_panics_costs_its_job_also_behind_an_ordered_stage() {
    within(|| {
        for is_ordered in [false, true] {
            let mut outcomes = Vec::new();
            let report = Pure::builder::<u64>()
                .per_job()
                .stage("before", instances(2, is_ordered), |_| map(Fragile))
                .broadcast(|fork| {
                    let fork = fork.branch(|branch| {
                        branch.stage("one", Instances::new(2), |_| map(|job: Fragile| job.0))
                    });
                    fork.branch(|branch| {
                        branch.stage("two", Instances::new(2), |_| map(|job: Fragile| job.0))
                    })
                })
                .run(0..100, |outcome| outcomes.push(outcome))
                .unwrap();
            let failures = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            assert_eq!((outcomes.len(), failures), (2 * 99 + 1, 1));
            for it in &report.counters.stages {
                assert_eq!((it.waiting, it.running, it.dropped), (0, 0, 0), "{it:?}");
            }
        }
    });
}

#[test]
fn failures_that_pass_the_last_stage_of_a_discarded_end_are_discarded_there() {
    within(|| {
        let report = Pipeline::<&str>::builder::<u64>()
            .per_job()
            .stage("fails", Instances::new(1), |_| {
                |job: u64| if job % 10 == 0 { Ok(job) } else { Err("fails") }
            })
            .stage("passes", Instances::new(1), |_| map(|job: u64| job))
            .discard()
            .run(0..100)
            .unwrap();
        let passes = report.counters.stage("passes").unwrap();
        assert_eq!(
            (passes.discarded, passes.finished, passes.failed),
            (100, 100, 0)
        );
        let fails = report.counters.stage("fails").unwrap();
        assert_eq!((fails.discarded, fails.failed), (0, 90));
    });
}

#[test]
fn a_fold_gets_failures_from_behind_an_ordered_stage() {
    within(|| {
        let report = Pure::builder::<u64>()
            .per_job()
            .stage("before", instances(2, true), |_| {
                map(|job: u64| {
                    assert!(job != 13);
                    job
                })
            })
            .fold(
                Instances::new(2),
                |_| (0, 0),
                |state: &mut (u64, u64), outcome| match outcome {
                    Ok(_) => state.0 += 1,
                    Err(_) => state.1 += 1,
                },
            )
            .run(0..100)
            .unwrap();
        let sums = report
            .states
            .iter()
            .fold((0, 0), |sum, state| (sum.0 + state.0, sum.1 + state.1));
        assert_eq!(sums, (99, 1));
        let fold = report.counters.stage("fold").unwrap();
        assert_eq!((fold.waiting, fold.finished), (0, 100));
    });
}
