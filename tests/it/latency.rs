//! Latency histograms, with the feature `hdr`.
#![cfg(feature = "hdr")]

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use crate::common::within;
use ringmill::stage::{flat_map, map};
use ringmill::{Instances, Latencies, Pipeline, allowed_cores};

const WORK: Duration = Duration::from_millis(2);

#[test]
fn f_7_waits_service_and_all_of_it_are_measured_for_each_job() {
    for bound in [false, true] {
        within(move || {
            let builder = Pipeline::<Infallible>::builder::<u64>().histograms();
            let handle = builder.handle();
            let slow = |_: &_| {
                map(|job: u64| {
                    thread::sleep(WORK); // The job's work.
                    job
                })
            };
            let builder = builder.stage("quick", Instances::new(1), |_| map(|job: u64| job));
            let results = if bound {
                let one = Instances::bound([allowed_cores()[0]]);
                let mut results = 0;
                builder
                    .stage("slow", one, slow)
                    .run(0..50, |_| results += 1)
                    .unwrap();
                results
            } else {
                let (mut dispatcher, receiver, pipeline) = builder
                    .stage("slow", Instances::new(2), slow)
                    .then("fused", |_| map(|job| job))
                    .start()
                    .unwrap();
                dispatcher.dispatch_all(0..50).unwrap();
                dispatcher.done();
                let results = receiver.count();
                pipeline.join().unwrap();
                results
            };
            let Latencies { stages, total, .. } = handle.latencies().unwrap();
            assert_eq!(results, 50);
            let names: Vec<_> = stages.iter().map(|stage| &*stage.name).collect();
            assert_eq!(names, ["quick", "slow"]);
            for latency in stages
                .iter()
                .flat_map(|stage| [&stage.wait, &stage.service])
            {
                assert_eq!(latency.count(), 50);
            }
            assert_eq!(total.count(), 50);
            let slow = &stages[1];
            // Three digits are exact to a thousandth.
            assert!(slow.service.min() >= WORK.mul_f64(0.999), "{slow:?}");
            assert!(slow.service.percentile(50.0) <= slow.service.percentile(99.0));
            assert!(slow.service.percentile(100.0) == slow.service.max());
            assert!(slow.service.mean() >= slow.service.min());
            // The last one waited for those before it, on two instances at the best; it may have been dispatched late.
            assert!(slow.wait.max() >= WORK.mul_f64(10.0), "{slow:?}");
            assert!(total.max() >= slow.wait.max() && total.min() >= slow.service.min());
            let summed: u64 = slow.wait.values().map(|(_, count)| count).sum();
            assert_eq!(summed, 50);
        });
    }
}

#[test]
fn f_7_every_result_counts_from_its_jobs_dispatch() {
    within(|| {
        let builder = Pipeline::<String>::builder::<u64>().per_job().histograms();
        let handle = builder.handle();
        let mut outcomes = 0;
        builder
            .stage("many", Instances::new(1), |_| flat_map(|job: u64| 0..job))
            .stage("odd", Instances::new(2), |_| {
                |n: u64| {
                    if n.is_multiple_of(2) {
                        Err("even".to_string())
                    } else {
                        Ok(n)
                    }
                }
            })
            .stage("last", Instances::new(1), |_| map(|n| n))
            .run([3, 0, 4], |_| outcomes += 1)
            .unwrap();
        let latencies = handle.latencies().unwrap();
        let count = |stage: &str| latencies.stage(stage).unwrap().service.count();
        // What failed is passed by, and comes out all the same.
        assert_eq!((count("many"), count("odd"), count("last")), (3, 7, 3));
        assert_eq!((outcomes, latencies.total.count()), (7, 7));
    });
}

#[test]
fn f_7_reading_while_it_runs_disturbs_nothing_and_off_means_off() {
    within(|| {
        let builder = Pipeline::<Infallible>::builder::<u64>();
        assert!(builder.handle().latencies().is_none());
        let builder = builder.histograms().timed();
        let handle = builder.handle();
        let (mut dispatcher, receiver, pipeline) = builder
            .stage("only", Instances::new(2), |_| map(|job: u64| job))
            .fold(Instances::new(2), |_| 0, |sum: &mut u64, job| *sum += job)
            .start()
            .map(|(dispatcher, pipeline)| (dispatcher, (), pipeline))
            .unwrap();
        let () = receiver;
        let reads = thread::spawn(move || {
            let mut last = 0;
            while !handle.is_finished() {
                let count = handle.latencies().unwrap().stages[0].wait.count();
                assert!(count >= last);
                last = count;
            }
            handle.latencies().unwrap()
        });
        dispatcher.dispatch_all(0..100_000).unwrap();
        dispatcher.done();
        let report = pipeline.join().unwrap();
        assert_eq!(report.states.iter().sum::<u64>(), 99_999 * 50_000);
        let latencies = reads.join().unwrap();
        let counts = latencies.stages.iter().map(|stage| stage.service.count());
        assert_eq!(counts.collect::<Vec<_>>(), [100_000], "a fold is an end");
        assert_eq!(latencies.total.count(), 100_000);
    });
}
