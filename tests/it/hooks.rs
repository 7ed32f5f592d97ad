//! Hooks: who is told what, on which thread, and what a panic in one means.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::within;
use ringmill::stage::{completed, map};
use ringmill::{BuildError, Fault, Instances, JoinError, Pipeline, RunError, allowed_cores};

/// What happened, in its order, each with a name.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    /// How often each thing happened.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for what in self.0.lock().unwrap().iter() {
            *counts.entry(what.clone()).or_default() += 1;
        }
        counts
    }

    fn position(&self, what: &str) -> usize {
        let log = self.0.lock().unwrap();
        let at = log.iter().position(|found| found == what);
        at.unwrap_or_else(|| panic!("{what:?} is not in {log:?}"))
    }
}

fn counted<const N: usize>(what: [(&str, usize); N]) -> BTreeMap<String, usize> {
    what.into_iter()
        .map(|(what, count)| (what.to_string(), count))
        .collect()
}

#[test]
fn f_12_workers_and_instances_tell_when_they_start_and_stop() {
    for bound in [false, true] {
        within(move || {
            let log = Log::default();
            let [starts, stops, begins, ends] = std::array::from_fn(|_| log.clone());
            let jobs = log.clone();
            let builder = Pipeline::<String>::builder::<u32>()
                .workers(2)
                .on_worker_start(move |worker| starts.add(format!("start {worker}")))
                .on_worker_stop(move |worker| stops.add(format!("stop {worker}")))
                .on_instance_start(move |context| {
                    begins.add(format!("{}/{} begins", context.stage(), context.instance()));
                })
                .on_instance_stop(move |context| {
                    ends.add(format!("{}/{} ends", context.stage(), context.instance()));
                });
            let init = move |_: &_| {
                let jobs = jobs.clone();
                map(move |job: u32| jobs.add(format!("job {job}")))
            };
            let (mut dispatcher, receiver, pipeline) = if bound {
                let core = allowed_cores()[0];
                let both = Instances::bound([core, core]);
                builder.stage("only", both, init).start().unwrap()
            } else {
                builder
                    .stage("only", Instances::new(2), init)
                    .start()
                    .unwrap()
            };
            dispatcher.dispatch(7).unwrap();
            dispatcher.done();
            assert_eq!(receiver.count(), 1);
            pipeline.join().unwrap();
            let workers = if bound { 1 } else { 2 };
            let mut expected = counted([
                ("job 7", 1),
                ("only/0 begins", 1),
                ("only/1 begins", 1),
                ("only/0 ends", 1),
                ("only/1 ends", 1),
            ]);
            for worker in 0..workers {
                expected.insert(format!("start {worker}"), 1);
                expected.insert(format!("stop {worker}"), 1);
            }
            assert_eq!(log.counts(), expected);
            assert!(log.position("only/0 begins") < log.position("job 7"));
            assert!(log.position("job 7") < log.position("stop 0"));
        });
    }
}

#[test]
fn f_12_the_caller_of_run_is_a_worker_and_no_new_thread() {
    within(|| {
        let log = Log::default();
        let (starts, spawned) = (log.clone(), log.clone());
        let caller = thread::current().id();
        Pipeline::<String>::builder::<u32>()
            .workers(1)
            .on_spawn(move |worker| spawned.add(format!("spawn {worker}")))
            .on_worker_start(move |worker| {
                assert_eq!(thread::current().id(), caller);
                starts.add(format!("start {worker}"));
            })
            .stage("only", Instances::new(1), |_| map(|job: u32| job))
            .run([1], drop)
            .unwrap();
        assert_eq!(log.counts(), counted([("start 0", 1)]));
    });
}

#[test]
fn f_12_a_state_built_anew_is_told_of() {
    within(|| {
        let log = Log::default();
        let (begins, ends) = (log.clone(), log.clone());
        Pipeline::<String>::builder::<u32>()
            .per_job()
            .on_instance_start(move |_| begins.add("begins".into()))
            .on_instance_stop(move |_| ends.add("ends".into()))
            .stage("only", Instances::new(1), |_| {
                map(|job: u32| assert_ne!(job, 1, "no"))
            })
            .run([0, 1, 2], drop)
            .unwrap();
        assert_eq!(log.counts(), counted([("begins", 2), ("ends", 2)]));
    });
}

#[test]
fn f_12_a_hook_that_panics_fails_the_start_or_the_executor() {
    within(|| {
        let jobs = || Pipeline::<String>::builder::<u32>();
        let run = |builder: ringmill::Builder<'_, u32, String>| {
            builder
                .stage("only", Instances::new(1), |_| map(|job: u32| job))
                .run([1], drop)
        };
        let refused = run(jobs().on_instance_start(|_| panic!("not this one")));
        let Err(RunError::Build(BuildError::Hook { hook, message })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (hook, &*message),
            ("the instance start hook", "not this one")
        );
        for builder in [
            jobs().on_worker_start(|_| panic!("never mind")),
            jobs().on_instance_stop(|_| panic!("never mind")),
        ] {
            let failed = run(builder);
            let Err(RunError::Join(JoinError::Failed(fault))) = failed else {
                panic!("{failed:?}");
            };
            let Fault::Panicked { message, .. } = &*fault else {
                panic!("{fault:?}");
            };
            assert_eq!(message, "never mind");
        }
        // All is over by then: nobody is left to be told.
        run(jobs().on_worker_stop(|_| panic!("too late"))).unwrap();
    });
}

#[test]
fn r_c4_s_c4_faults_are_told_whether_or_not_anybody_receives() {
    for capacity in [1, 1024] {
        within(move || {
            let log = Log::default();
            let faults = log.clone();
            let report = Pipeline::<String>::builder::<u32>()
                .per_job()
                .capacity(capacity)
                .on_fault(move |fault| faults.add(fault.to_string()))
                .stage("check", Instances::new(1), |_| {
                    |job: u32| match job % 4 {
                        0 => Err(format!("{job} is a multiple of 4")),
                        1 => panic!("{job} is no good"),
                        _ => Ok(job),
                    }
                })
                .then("even", |_| {
                    |job: u32| {
                        if job.is_multiple_of(2) {
                            Ok(job)
                        } else {
                            Err("odd".into())
                        }
                    }
                })
                .discard()
                .run(0..100)
                .unwrap();
            let counts = report.counters;
            let check = counts.stage("check").unwrap();
            let even = counts.stage("even").unwrap();
            assert_eq!(
                (check.dispatched, check.finished, check.failed),
                (100, 100, 50)
            );
            assert_eq!((even.dispatched, even.finished, even.failed), (50, 50, 25));
            let told = log.counts();
            assert_eq!(told.values().sum::<usize>(), 75);
            assert_eq!(told["stage \"even\", instance 0: odd"], 25);
            assert_eq!(
                told["stage \"check\", instance 0 panicked: 5 is no good"],
                1
            );
        });
    }
}

#[test]
fn r_c4_fail_fast_tells_of_faults_that_came_second_too() {
    within(|| {
        let log = Log::default();
        let faults = log.clone();
        let builder = Pipeline::<String>::builder::<u32>()
            .on_fault(move |fault| faults.add(fault.to_string()));
        let handle = builder.handle();
        let first = handle.clone();
        let failed = builder
            .stage("only", Instances::new(1), move |_| {
                let first = first.clone();
                move |_: u32| -> Result<(), String> {
                    first.set_err("first".into()).unwrap();
                    Err("second".into())
                }
            })
            .run([1], drop);
        assert!(matches!(failed, Err(RunError::Join(JoinError::Failed(_)))));
        assert_eq!(handle.err().unwrap().to_string(), "first");
        assert_eq!(handle.suppressed(), 1);
        let expected = counted([("stage \"only\", instance 0: second", 1)]);
        assert_eq!(log.counts(), expected);
    });
}

#[test]
fn r_c4_a_fault_hook_that_panics_fails_the_executor() {
    within(|| {
        let failed = Pipeline::<String>::builder::<u32>()
            .per_job()
            .on_fault(|_| panic!("too much"))
            .stage("only", Instances::new(1), |_| {
                |_: u32| Err::<(), _>("no".to_string())
            })
            .run(0..10, drop);
        let Err(RunError::Join(JoinError::Failed(fault))) = failed else {
            panic!("{failed:?}");
        };
        let Fault::Panicked { stage, message, .. } = &*fault else {
            panic!("{fault:?}");
        };
        assert_eq!((&**stage, &**message), ("the fault hook", "too much"));
    });
}

#[test]
fn r_b5_a_job_comes_back_with_its_result_or_error() {
    within(|| {
        let mut back = Vec::new();
        Pipeline::<String>::builder::<String>()
            .stage("parse", Instances::new(2).ordered(4), |_| {
                completed(|job: &mut String| {
                    job.push('!');
                    job.trim_end_matches('!').parse::<u8>().ok()
                })
            })
            .run(["1".to_string(), "x".into()], |done| {
                back.push((done.job, done.result));
            })
            .unwrap();
        assert_eq!(back, [("1!".to_string(), Some(1)), ("x!".into(), None)]);
    });
}
