//! What the pool of nickbadlose promises of errors, one for all stages that are chained, and how it was seen to
//! fail.

use std::sync::Arc;
use std::thread;

use crate::common::place::{empty, everywhere, same, single, three};
use crate::common::{Threads, panicked, until};
use ringmill::stage::map;
use ringmill::{BuildError, Context, DispatchError, Fault, Instances, JoinError, RingError};

/// A stage that fails at this job.
fn fails_at(culprit: Option<u64>) -> impl Fn(&Context) -> Fails + Send + Sync + 'static {
    move |_| Fails(culprit)
}

struct Fails(Option<u64>);

impl ringmill::Stage<u64, String> for Fails {
    type Out = u64;

    fn job<O: ringmill::Outlet<u64>>(
        &mut self,
        job: u64,
        out: &mut O,
    ) -> Result<ringmill::Flow, String> {
        if Some(job) == self.0 {
            return Err(format!("job {job}"));
        }
        assert!(out.emit(job).is_ok());
        Ok(ringmill::Flow::Done)
    }
}

#[test]
fn r_a2_chained_stages_have_one_error() {
    everywhere(|place, capacity| {
        for culprit in ["a", "b", "c"] {
            let at = |name| fails_at((name == culprit).then_some(5));
            let threads = Threads::default();
            let builder = empty::<u64>(capacity).on_spawn(threads.hook());
            let (mut dispatcher, mut receiver, pipeline) =
                three(place, builder, at("a"), at("b"), at("c"));
            let feeder = thread::spawn(move || {
                let refused = dispatcher.dispatch_all(0..).unwrap_err().refused;
                assert!(matches!(refused, DispatchError::Failed(_)));
                dispatcher.err().unwrap()
            });
            let results: Vec<u64> = receiver.by_ref().collect();
            assert!(results.len() <= 5 && results.is_sorted());
            let at_dispatcher = feeder.join().unwrap();
            let handle = pipeline.handle();
            let late = handle.set_err("late".to_string());
            assert_eq!(late, Err("late".to_string()));
            let Err(JoinError::Failed(fault)) = pipeline.join() else {
                panic!("it failed");
            };
            let Fault::Stage { stage, error, .. } = &*fault else {
                panic!("{fault:?}");
            };
            assert_eq!((&**stage, &**error), (culprit, "job 5"));
            for same in [Some(at_dispatcher), receiver.err(), handle.err()] {
                assert!(Arc::ptr_eq(&same.unwrap(), &fault), "one for all");
            }
            assert_eq!(threads.alive(), 0);
        }
    });
}

#[test]
fn s_a4_an_error_in_the_middle_ends_both_sides() {
    everywhere(|place, capacity| {
        let threads = Threads::default();
        let builder = empty::<u64>(capacity).on_spawn(threads.hook());
        let (mut dispatcher, receiver, pipeline) =
            three(place, builder, same, fails_at(Some(50)), same);
        let feeder = thread::spawn(move || dispatcher.dispatch_all(0..).unwrap_err().refused);
        let results = receiver.count();
        assert!(results <= 50);
        let refused = feeder.join().unwrap();
        assert!(matches!(refused, DispatchError::Failed(_)));
        let handle = pipeline.handle();
        assert!(pipeline.join().is_err());
        assert_eq!(threads.alive(), 0);
        let counters = handle.counters();
        for stage in &counters.stages {
            assert_eq!(stage.dispatched, stage.finished + stage.dropped);
        }
        assert_eq!(counters.stage("b").unwrap().finished, 51);
    });
}

#[test]
fn s_a5_s_a6_the_root_cause_stays() {
    everywhere(|place, capacity| {
        for is_empty in [false, true] {
            let (mut dispatcher, receiver, pipeline) =
                three(place, empty::<u64>(capacity), same, fails_at(Some(0)), same);
            let root = if is_empty {
                ""
            } else {
                "stage \"b\", instance 0: job 0"
            };
            if is_empty {
                // An empty error is one, like any other.
                pipeline.set_err(String::new()).unwrap();
            } else {
                dispatcher.dispatch(0).unwrap();
                until(|| pipeline.err().is_some());
            }
            for _ in 0..2 {
                pipeline.stop();
                for late in ["", "late"] {
                    assert_eq!(pipeline.set_err(late.to_string()), Err(late.to_string()));
                }
                dispatcher.done();
                pipeline.close();
                assert_eq!(pipeline.err().unwrap().to_string(), root);
            }
            drop(receiver);
            assert_eq!(dispatcher.dispatch(1), Err(DispatchError::Failed(1)));
            assert_eq!(dispatcher.err().unwrap().to_string(), root);
            let Err(JoinError::Failed(fault)) = pipeline.join() else {
                panic!("it failed");
            };
            assert_eq!(fault.to_string(), root);
        }
    });
}

#[test]
fn s_a7_errors_do_not_depend_on_who_asks_first() {
    everywhere(|place, capacity| {
        for first in 0..4 {
            let (mut dispatcher, mut receiver, pipeline) = three(
                place,
                empty::<u64>(capacity),
                fails_at(Some(1)),
                fails_at(Some(0)),
                same,
            );
            let handle = pipeline.handle();
            assert!(dispatcher.err().is_none() && receiver.err().is_none());
            assert!(handle.err().is_none() && pipeline.err().is_none());
            dispatcher.dispatch(0).unwrap();
            assert_eq!(receiver.receive(), None);
            for nth in 0..8 {
                let err = match (first + nth) % 4 {
                    0 => dispatcher.err(),
                    1 => receiver.err(),
                    2 => handle.err(),
                    _ => pipeline.err(),
                };
                assert_eq!(err.unwrap().to_string(), "stage \"b\", instance 0: job 0");
            }
        }
    });
}

/// A value that is null does not exist here, negative sizes do not either; sizes of zero are refused.
#[test]
fn s_a8_a_panic_in_a_job_and_sizes_of_zero() {
    everywhere(|place, capacity| {
        let threads = Threads::default();
        let builder = empty::<Option<u64>>(capacity).on_spawn(threads.hook());
        let work = |_: &Context| map(|job: Option<u64>| job.expect("a job"));
        let (mut dispatcher, receiver, pipeline) = single(place, builder, work);
        let feeder = thread::spawn(move || {
            let jobs = (0..).map(|nth| (nth != 30).then_some(nth));
            dispatcher.dispatch_all(jobs).unwrap_err().refused
        });
        let results: Vec<u64> = receiver.collect();
        assert!(results.len() <= 30 && results.is_sorted());
        assert!(matches!(feeder.join().unwrap(), DispatchError::Failed(_)));
        let (stage, instance, message, _) = panicked(pipeline.join());
        assert_eq!((&*stage, instance, &*message), ("work", 0, "a job"));
        assert_eq!(threads.alive(), 0);
    });
    let refused = empty::<u64>(0).stage("a", Instances::new(1), same).start();
    let zero = RingError::ZeroCapacity;
    assert!(matches!(refused, Err(BuildError::Ring { error, .. }) if error == zero));
    let refused = empty::<u64>(1).stage("a", Instances::new(0), same).start();
    assert!(matches!(refused, Err(BuildError::ZeroInstances { .. })));
    let refused = empty::<u64>(1)
        .workers(0)
        .stage("a", Instances::new(1), same);
    assert!(matches!(refused.start(), Err(BuildError::ZeroWorkers)));
}
