//! Order through several instances: kept for all jobs (ordered) or for those of one key (keyed).

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::{jobs, until, within};
use ringmill::stage::{flat_map, map};
use ringmill::{Instances, Pipeline};

type Pure = Pipeline<Infallible>;

/// No, one or several results; their number is mixed up between neighbours.
fn results(x: u64) -> impl Iterator<Item = u64> {
    (0..x * 7 % 4).map(move |nth| x * 4 + nth)
}

fn expected(count: u64) -> Vec<u64> {
    (0..count).flat_map(results).collect()
}

/// Now and then a job lets the others pass.
fn lag(x: u64) {
    if x.is_multiple_of(13) {
        thread::yield_now();
    }
}

const SHAPES: [(usize, usize, usize); 6] = [
    (1, 1, 2),
    (3, 2, 1),
    (2, 7, 2),
    (16, 64, 3),
    (1, 3, 3),
    (64, 5, 2),
];

#[test]
fn f_1_ordered_to_the_receiver() {
    within(|| {
        for (capacity, window, workers) in SHAPES {
            for instances in [1, 2, 3] {
                let count = jobs(600);
                let mut out = Vec::new();
                Pure::builder::<u64>()
                    .capacity(capacity)
                    .workers(workers)
                    .stage("many", Instances::new(instances).ordered(window), |_| {
                        flat_map(|x: u64| {
                            lag(x);
                            results(x)
                        })
                    })
                    .run(0..count, |x| out.push(x))
                    .unwrap();
                assert_eq!(
                    out,
                    expected(count),
                    "{capacity} {window} {workers} {instances}"
                );
            }
        }
    });
}

#[test]
fn f_1_ordered_to_one_many_and_keyed_stages() {
    within(|| {
        for (capacity, window, workers) in SHAPES {
            let count = jobs(400);
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .capacity(capacity)
                .workers(workers)
                .stage("first", Instances::new(2).ordered(window), |_| {
                    flat_map(|x: u64| {
                        lag(x);
                        results(x)
                    })
                })
                .stage("one", Instances::new(1), |_| map(|x: u64| x))
                .stage("again", Instances::new(3).ordered(window), |_| {
                    map(|x: u64| {
                        lag(x);
                        x
                    })
                })
                .stage("further", Instances::new(2).ordered(window), |_| {
                    map(|x: u64| x)
                })
                .stage("keyed", Instances::new(2).keyed(|x: &u64| x % 5), |_| {
                    let mut last = [0; 5];
                    map(move |x: u64| {
                        let last = &mut last[(x % 5) as usize];
                        assert!(*last <= x, "{x} after {last}");
                        *last = x;
                        x
                    })
                })
                .start()
                .unwrap();
            let feeder = thread::spawn(move || dispatcher.dispatch_all(0..count));
            let mut out: Vec<_> = receiver.collect();
            assert_eq!(feeder.join().unwrap().unwrap() as u64, count);
            for key in 0..5 {
                let of_key: Vec<_> = out.iter().copied().filter(|x| x % 5 == key).collect();
                assert!(of_key.is_sorted());
            }
            out.sort_unstable();
            assert_eq!(out, expected(count));
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn f_1_ordered_to_many_receivers() {
    within(|| {
        for (capacity, window, workers) in SHAPES {
            let count = jobs(400);
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .capacity(capacity)
                .workers(workers)
                .many_receivers()
                .stage("many", Instances::new(3).ordered(window), |_| {
                    flat_map(results)
                })
                .start()
                .unwrap();
            let collectors = [receiver.clone(), receiver]
                .map(|receiver| thread::spawn(move || receiver.collect::<Vec<_>>()));
            dispatcher.dispatch_all(0..count).unwrap();
            drop(dispatcher);
            let mut all = Vec::new();
            for collector in collectors {
                let of_one = collector.join().unwrap();
                assert!(of_one.is_sorted(), "each sees them in order");
                all.extend(of_one);
            }
            all.sort_unstable();
            assert_eq!(all, expected(count));
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn f_1_the_window_bounds_how_far_the_fastest_runs_ahead() {
    within(|| {
        for window in [1, 2, 3, 8, 20] {
            let started = Arc::new(AtomicUsize::new(0));
            let first_is_over = Arc::new(AtomicUsize::new(0));
            let (count_up, over) = (Arc::clone(&started), Arc::clone(&first_is_over));
            // Not `run`: its caller does not feed while it is inside of the first job, which waits for others.
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .capacity(100)
                .workers(2)
                .stage("many", Instances::new(2).ordered(window), move |_| {
                    let (started, over) = (Arc::clone(&count_up), Arc::clone(&over));
                    map(move |x: u64| {
                        let now = started.fetch_add(1, SeqCst) + 1;
                        if x == 0 {
                            until(|| started.load(SeqCst) == window);
                            over.store(1, SeqCst);
                        } else if over.load(SeqCst) == 0 {
                            assert!(now <= window, "{now} started, window {window}");
                        }
                        x
                    })
                })
                .start()
                .unwrap();
            assert_eq!(dispatcher.dispatch_all(0..100), Ok(100));
            drop(dispatcher);
            assert!(receiver.into_iter().eq(0..100));
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn f_1_ordered_results_that_nobody_takes_hold_everything_back() {
    within(|| {
        let started = Arc::new(AtomicUsize::new(0));
        let count_up = Arc::clone(&started);
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<usize>()
            .capacity(4)
            .stage("many", Instances::new(2).ordered(3), move |_| {
                let started = Arc::clone(&count_up);
                map(move |x: usize| {
                    started.fetch_add(1, SeqCst);
                    x
                })
            })
            .start()
            .unwrap();
        let mut accepted = 0;
        for received in 0..50 {
            until(|| {
                assert!(started.load(SeqCst) <= received + 3);
                started.load(SeqCst) == (received + 3).min(accepted)
            });
            while accepted < 50 && dispatcher.try_dispatch(accepted).is_ok() {
                accepted += 1;
            }
            assert_eq!(receiver.receive(), Some(received));
        }
        drop(dispatcher);
        assert_eq!(receiver.receive(), None);
        pipeline.join().unwrap();
    });
}

#[test]
fn r_b4_ordered_results_after_a_stop_are_a_prefix_with_gaps() {
    within(|| {
        for round in 0..jobs(60) {
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .capacity(8)
                .stage("many", Instances::new(2).ordered(4), |_| flat_map(results))
                .start()
                .unwrap();
            let feeder = thread::spawn(move || {
                let _cut_short = dispatcher.dispatch_all(0..10_000);
            });
            let mut receiver = receiver;
            let mut out: Vec<_> = receiver.by_ref().take(round as usize).collect();
            pipeline.stop();
            out.extend(receiver);
            assert!(out.is_sorted());
            let report = pipeline.join().unwrap();
            let stage = &report.counters.stages[0];
            assert_eq!(stage.dispatched, stage.finished + stage.dropped);
            feeder.join().unwrap();
        }
    });
}

#[test]
fn f_2_a_key_stays_with_its_instance() {
    within(|| {
        for (capacity, workers) in [(1, 1), (1, 2), (3, 2), (64, 3)] {
            let count = jobs(1500);
            let homes = Arc::new(Mutex::new(vec![None; 32]));
            let at_home = Arc::clone(&homes);
            let used = Arc::new(AtomicUsize::new(0));
            let at_use = Arc::clone(&used);
            let mut out = Vec::new();
            let key = |job: &(u64, u64)| job.0;
            Pure::builder::<(u64, u64)>()
                .capacity(capacity)
                .workers(workers)
                .stage("spread", Instances::new(2).keyed(key), |_| {
                    map(|job: (u64, u64)| job)
                })
                .stage("keyed", Instances::new(3).keyed(key), move |context| {
                    let (homes, instance) = (Arc::clone(&at_home), context.instance());
                    let used = Arc::clone(&at_use);
                    let mut last = [None; 32];
                    map(move |job: (u64, u64)| {
                        let key = job.0 as usize;
                        let home = *homes.lock().unwrap()[key].get_or_insert(instance);
                        assert_eq!(home, instance);
                        assert!(last[key].replace(job.1) < Some(job.1), "in the key's order");
                        used.fetch_or(1 << instance, SeqCst);
                        job
                    })
                })
                .run((0..count).map(|nth| (nth * 31 % 32, nth)), |job| {
                    out.push(job)
                })
                .unwrap();
            out.sort_unstable_by_key(|job| job.1);
            assert!(out.into_iter().map(|job| job.1).eq(0..count));
            assert_eq!(used.load(SeqCst), 0b111, "32 keys reach every instance");
        }
    });
}

#[test]
fn f_2_keyed_from_several_dispatchers() {
    within(|| {
        let (mut one, receiver, pipeline) = Pure::builder::<(u64, u64)>()
            .capacity(2)
            .many_dispatchers()
            .stage(
                "keyed",
                Instances::new(2).keyed(|job: &(u64, u64)| job.0),
                |_| {
                    let mut last = [None; 2];
                    map(move |job: (u64, u64)| {
                        let last = &mut last[(job.0 / 100) as usize];
                        assert!(
                            last.replace(job.1) < Some(job.1),
                            "in its dispatcher's order"
                        );
                        job
                    })
                },
            )
            .start()
            .unwrap();
        let mut two = one.clone();
        let count = jobs(2000);
        let feeders = [
            thread::spawn(move || (0..count).for_each(|nth| one.dispatch((7, nth)).unwrap())),
            thread::spawn(move || {
                assert_eq!(
                    two.dispatch_all((0..count).map(|nth| (107, nth))),
                    Ok(count as usize)
                );
            }),
        ];
        assert_eq!(receiver.count() as u64, 2 * count);
        for feeder in feeders {
            feeder.join().unwrap();
        }
        pipeline.join().unwrap();
    });
}
