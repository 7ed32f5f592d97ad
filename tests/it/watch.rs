//! Stuck instances are named from outside; those that are busy and moving never are.

use std::convert::Infallible;
use std::time::Duration;

use crate::common::{Count, Gate, OpenLate, until, within};
use ringmill::stage::{flat_map, map};
use ringmill::{Instances, Pipeline, allowed_cores};

const SOME: Duration = Duration::from_millis(5);

#[test]
fn f_6_an_instance_that_stays_in_one_job_is_named() {
    for bound in [false, true] {
        within(move || {
            let gate = Gate::default();
            let _late = OpenLate(gate.clone());
            let (began, passed) = (Count::default(), gate.clone());
            let begins = began.clone();
            let init = move |_: &_| {
                let (gate, began) = (passed.clone(), begins.clone());
                map(move |job: u64| {
                    if job == 2 {
                        began.add(1);
                        gate.pass();
                    }
                })
            };
            let builder = Pipeline::<Infallible>::builder::<u64>();
            let mut watch = builder.handle().watch();
            assert_eq!(watch.stuck(SOME), [], "not even started");
            let (mut dispatcher, receiver, pipeline) = if bound {
                let one = Instances::bound([allowed_cores()[0]]);
                builder.stage("slow", one, init).start().unwrap()
            } else {
                let quick = |_: &_| map(|job| job);
                let one = Instances::new(1);
                builder
                    .stage("quick", one.clone(), quick)
                    .stage("slow", one, init)
                    .start()
                    .unwrap()
            };
            dispatcher.dispatch_all(0..4).unwrap();
            began.reach(1);
            let mut found = Vec::new();
            until(|| {
                found = watch.stuck(SOME);
                !found.is_empty()
            });
            let [stuck] = &found[..] else {
                panic!("one is stuck, not {found:?}");
            };
            assert_eq!((&*stuck.stage, stuck.instance, stuck.job), ("slow", 0, 3));
            assert!(stuck.time >= SOME);
            assert!(
                stuck
                    .to_string()
                    .starts_with("slow/0 has been inside its job 3 for ")
            );
            // Another watch has seen nothing yet.
            assert_eq!(pipeline.watch().stuck(SOME), []);
            let now = pipeline.watch().stuck(Duration::ZERO);
            assert_eq!((now.len(), now[0].job, now[0].time), (1, 3, Duration::ZERO));
            gate.open();
            dispatcher.done();
            assert_eq!(receiver.count(), 4);
            pipeline.join().unwrap();
            assert_eq!(watch.stuck(Duration::ZERO), []);
        });
    }
}

#[test]
fn f_6_a_fused_stage_is_named_with_its_host() {
    within(|| {
        let gate = Gate::default();
        let late = OpenLate(gate.clone());
        let began = Count::default();
        let begins = began.clone();
        let (mut dispatcher, _receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
            .stage("host", Instances::new(1), |_| map(|job: u64| job))
            .then("guest", move |_| {
                let (gate, began) = (gate.clone(), begins.clone());
                map(move |_| {
                    began.add(1);
                    gate.pass();
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch(1).unwrap();
        began.reach(1);
        let now = pipeline.watch().stuck(Duration::ZERO);
        let names: Vec<_> = now.iter().map(|stuck| &*stuck.stage).collect();
        assert_eq!(names, ["host", "guest"]);
        drop(late);
    });
}

#[test]
fn f_6_busy_and_moving_is_not_stuck() {
    within(|| {
        let (began, passes) = (Count::default(), Count::default());
        let (begins, waits) = (began.clone(), passes.clone());
        let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<usize>()
            .stage("busy", Instances::new(1), move |_| {
                let (began, passes) = (begins.clone(), waits.clone());
                map(move |job| {
                    began.add(1);
                    passes.reach(job + 1);
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..100).unwrap();
        let mut watch = pipeline.watch();
        for job in 0..100 {
            // Inside a job at each look, and in another one each time.
            began.reach(job + 1);
            let now = watch.stuck(Duration::ZERO);
            assert_eq!((now.len(), now[0].time), (1, Duration::ZERO), "{now:?}");
            assert_eq!(watch.stuck(Duration::from_nanos(1))[0].job, job as u64 + 1);
            passes.add(1);
        }
        dispatcher.done();
        assert_eq!(receiver.count(), 100);
        pipeline.join().unwrap();
    });
}

#[test]
fn f_6_waiting_for_room_is_not_stuck() {
    within(|| {
        let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
            .capacity(1)
            .stage("many", Instances::new(1), |_| flat_map(|_: u64| 0..10))
            .start()
            .unwrap();
        dispatcher.dispatch(1).unwrap();
        // The job is open, with a result in the ring, one held, and eight to come.
        until(|| {
            pipeline.counters().stages[0].running == 1
                && pipeline.watch().stuck(Duration::ZERO).is_empty()
        });
        let mut watch = pipeline.watch();
        for _ in 0..1000 {
            assert_eq!(watch.stuck(Duration::ZERO), []);
        }
        dispatcher.done();
        assert_eq!(receiver.count(), 10);
        pipeline.join().unwrap();
    });
}

#[test]
fn r_b7_each_worker_counts_what_it_has_done() {
    within(|| {
        let builder = Pipeline::<Infallible>::builder::<u64>();
        let handle = builder.handle();
        assert_eq!(handle.worker_counters(), []);
        let core = allowed_cores()[0];
        let (mut dispatcher, receiver, pipeline) = builder
            .stage("busy", Instances::bound([core]), |_| map(|job: u64| job))
            .stage("idle", Instances::new(1), |_| {
                ringmill::stage::filter_map(|_: u64| None::<u64>)
            })
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..1000).unwrap();
        dispatcher.done();
        assert_eq!(receiver.count(), 0);
        pipeline.join().unwrap();
        let counters = handle.worker_counters();
        let placement = handle.placement();
        assert_eq!(counters.len(), placement.workers.len());
        for (nth, worker) in counters.iter().enumerate() {
            assert_eq!(worker.worker, nth);
            let is_bound = placement.workers[nth]
                .duties
                .contains(&"busy/0".to_string());
            assert!(
                !is_bound || worker.moved >= 1000,
                "{worker:?} of {placement:?}"
            );
            assert!(worker.moved == 0 || worker.polls > 0, "{worker:?}");
        }
        assert!(counters.iter().map(|worker| worker.moved).sum::<u64>() >= 2000);
        assert_eq!(handle.worker_counters(), counters, "all is over");
    });
}
