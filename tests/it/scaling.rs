//! Instances that come and go: by hand and by load, with their states and their threads.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Census, Count, Gate, Life, OpenLate, Threads, until, within};
use ringmill::stage::map;
use ringmill::{BuildError, Fault, Idle, Instances, JoinError, Pipeline, RunError, ScaleError};

type Pure = Pipeline<Infallible>;

/// A state that is counted while it lives.
struct State(Count);

impl State {
    fn new(count: &Count) -> Self {
        count.add(1);
        Self(count.clone())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

#[test]
fn r_c3_scaled_by_hand_states_come_and_go_and_threads_stay() {
    for idle in [Idle::backoff(), Idle::parking(), Idle::yielding()] {
        within(move || {
            let (states, threads) = (Count::default(), Threads::default());
            let counted = states.clone();
            let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .workers(4)
                .idle(idle)
                .on_spawn(threads.hook())
                .stage("only", Instances::new(1).up_to(4), move |_| {
                    let state = State::new(&counted);
                    map(move |job: u64| {
                        let _alive = &state;
                        job
                    })
                })
                .start()
                .unwrap();
            let scaling = pipeline.scaling("only").unwrap();
            assert_eq!(
                (scaling.size(), scaling.target(), scaling.limits()),
                (1, 1, (1, 4))
            );
            let mut job = 0;
            for size in [4, 1, 3, 2, 4, 1] {
                scaling.scale_to(size).unwrap();
                // A state says so before the executor does.
                until(|| scaling.size() == size);
                states.wait(|alive| alive == size);
                assert_eq!(threads.alive(), 4);
                for _ in 0..20 {
                    dispatcher.dispatch(job).unwrap();
                    assert_eq!(receiver.receive(), Some(job));
                    job += 1;
                }
            }
            dispatcher.done();
            assert_eq!(receiver.receive(), None);
            let report = pipeline.join().unwrap();
            assert_eq!(report.counters.stages[0].finished, job);
            assert_eq!((states.get(), threads.alive()), (0, 0));
        });
    }
}

#[test]
fn r_c3_what_cannot_be_is_refused() {
    within(|| {
        let only = || Pure::builder::<u64>();
        let stage = |_: &_| map(|job: u64| job);
        for (instances, said) in [
            (Instances::new(3).up_to(2), "from 3 up to 2"),
            (Instances::new(1).up_to(2).by_load(0), "a load of 0"),
            (Instances::new(0).up_to(2), "0 instances"),
        ] {
            let Err(RunError::Build(error)) = only().stage("only", instances, stage).run([1], drop)
            else {
                panic!("{said}");
            };
            assert!(error.to_string().contains(said), "{error}");
        }
        let keyed = Instances::new(1).up_to(2).keyed(|job: &u64| *job);
        let refused = only().stage("only", keyed, stage).start();
        assert!(matches!(refused, Err(BuildError::KeyedAndScaled { .. })));

        let (_dispatcher, _receiver, pipeline) = only()
            .stage("fixed", Instances::new(2), stage)
            .stage("only", Instances::new(2).up_to(3), stage)
            .start()
            .unwrap();
        assert!(pipeline.scaling("fixed").is_none() && pipeline.scaling("none").is_none());
        let scaling = pipeline.scaling("only").unwrap();
        for wrong in [0, 1, 4, usize::MAX] {
            let ScaleError {
                instances,
                least,
                most,
                ..
            } = scaling.scale_to(wrong).unwrap_err();
            assert_eq!((instances, least, most), (wrong, 2, 3));
        }
        assert_eq!(scaling.target(), 2);
    });
}

#[test]
fn r_c3_an_instance_that_goes_finishes_its_job() {
    within(|| {
        let gate = Gate::default();
        let _late = OpenLate(gate.clone());
        let (began, passed) = (Count::default(), gate.clone());
        let begins = began.clone();
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .workers(3)
            .stage("only", Instances::new(1).up_to(3), move |context| {
                let (gate, began) = (passed.clone(), begins.clone());
                let instance = context.instance();
                map(move |job: u64| {
                    if job < 3 {
                        began.add(1);
                        gate.pass();
                    }
                    (job, instance)
                })
            })
            .start()
            .unwrap();
        let scaling = pipeline.scaling("only").unwrap();
        scaling.scale_to(3).unwrap();
        until(|| scaling.size() == 3);
        dispatcher.dispatch_all(0..3).unwrap();
        began.reach(3);
        scaling.scale_to(1).unwrap();
        // They are inside their jobs.
        assert_eq!((scaling.size(), scaling.target()), (3, 1));
        gate.open();
        until(|| scaling.size() == 1);
        let mut first: Vec<_> = receiver.by_ref().take(3).collect();
        first.sort_unstable();
        let mut instances: Vec<_> = first.iter().map(|&(_, instance)| instance).collect();
        instances.sort_unstable();
        assert_eq!(instances, [0, 1, 2]);
        // Those that are left are the first ones.
        dispatcher.dispatch_all(3..100).unwrap();
        dispatcher.done();
        let rest: Vec<_> = receiver.collect();
        assert_eq!(rest, (3..100).map(|job| (job, 0)).collect::<Vec<_>>());
        pipeline.join().unwrap();
    });
}

#[test]
fn r_c3_by_load_it_grows_while_jobs_wait_and_shrinks_when_none_do() {
    within(|| {
        let gate = Gate::default();
        let _late = OpenLate(gate.clone());
        let passed = gate.clone();
        let threads = Threads::default();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .workers(3)
            .capacity(64)
            .on_spawn(threads.hook())
            .stage("only", Instances::new(1).up_to(3).by_load(2), move |_| {
                let gate = passed.clone();
                map(move |_: u64| gate.pass())
            })
            .start()
            .unwrap();
        let scaling = pipeline.scaling("only").unwrap();
        let receiving = thread::spawn(move || receiver.count());
        dispatcher.dispatch_all(0..20).unwrap();
        until(|| scaling.size() == 3);
        assert!(scaling.load() > 2.0, "{}", scaling.load());
        gate.open();
        until(|| scaling.size() == 1);
        assert_eq!((threads.alive(), threads.ever()), (3, 3));
        assert!(scaling.load() < 2.0);
        // By hand only from now on.
        scaling.set_load(0);
        scaling.scale_to(2).unwrap();
        until(|| scaling.size() == 2);
        dispatcher.done();
        assert_eq!(receiving.join().unwrap(), 20);
        pipeline.join().unwrap();
    });
}

#[test]
fn s_c3_scaled_down_and_then_closed_stopped_or_dropped() {
    for capacity in [1, 1024] {
        for end in 0..4 {
            within(move || {
                let (census, states) = (Census::default(), Count::default());
                let (threads, counted) = (Threads::default(), states.clone());
                let (mut dispatcher, receiver, pipeline) = Pure::builder::<Life>()
                    .workers(4)
                    .capacity(capacity)
                    .on_spawn(threads.hook())
                    .stage("only", Instances::new(1).up_to(4), move |_| {
                        let state = State::new(&counted);
                        map(move |job: Life| {
                            let _alive = &state;
                            job
                        })
                    })
                    .start()
                    .unwrap();
                let scaling = pipeline.scaling("only").unwrap();
                let receiving = thread::spawn(move || receiver.count());
                for size in [4, 2, 3, 1] {
                    scaling.scale_to(size).unwrap();
                    for _ in 0..10 {
                        dispatcher.dispatch(census.life()).unwrap();
                    }
                }
                match end {
                    0 => dispatcher.done(),
                    1 => pipeline.stop(),
                    2 => drop(dispatcher),
                    _ => {
                        until(|| scaling.size() == 1);
                        pipeline.close();
                    }
                }
                // Also while others still come or go.
                scaling.scale_to(3).unwrap();
                let report = pipeline.join().unwrap();
                let only = &report.counters.stages[0];
                assert_eq!((only.waiting, only.running, only.dispatched), (0, 0, 40));
                assert_eq!(only.finished + only.dropped, 40);
                let results = receiving.join().unwrap();
                assert!(end == 1 || results == 40, "{end}: {results}");
                census.is_over();
                assert_eq!((states.get(), threads.alive(), scaling.size()), (0, 0, 0));
            });
        }
    }
}

#[test]
fn r_c3_order_is_kept_while_instances_come_and_go() {
    within(|| {
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .workers(3)
            .capacity(16)
            .stage("only", Instances::new(1).up_to(3).ordered(8), |_| {
                map(|job: u64| job)
            })
            .start()
            .unwrap();
        let scaling = pipeline.scaling("only").unwrap();
        let is_over = pipeline.handle();
        let scales = thread::spawn(move || {
            let mut times = 0;
            while !is_over.is_finished() {
                for size in [3, 1, 2, 1] {
                    scaling.scale_to(size).unwrap();
                    until(|| scaling.size() == size || is_over.is_finished());
                    times += 1;
                }
            }
            times
        });
        let receiving = thread::spawn(move || receiver.collect::<Vec<_>>());
        dispatcher.dispatch_all(0..50_000).unwrap();
        dispatcher.done();
        assert_eq!(receiving.join().unwrap(), (0..50_000).collect::<Vec<_>>());
        assert!(scales.join().unwrap() > 0);
        pipeline.join().unwrap();
    });
}

#[test]
fn r_c3_run_scales_too_and_a_fold_hands_all_states_back() {
    within(|| {
        let made = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&made);
        let builder = Pure::builder::<u64>().workers(2).capacity(4);
        let handle = builder.handle();
        let scales = handle.clone();
        let report = builder
            .stage("only", Instances::new(1), |_| map(|job: u64| job))
            .fold(
                Instances::new(1).up_to(2),
                move |_| {
                    counts.fetch_add(1, SeqCst);
                    0
                },
                |sum, job| *sum += job,
            )
            .run((0..1000).inspect(|&job| {
                let scaling = scales.scaling("fold").unwrap();
                match job {
                    300 | 700 => scaling.scale_to(2).unwrap(),
                    500 => scaling.scale_to(1).unwrap(),
                    499 | 699 | 999 => until(|| scaling.size() == scaling.target()),
                    _ => {}
                }
            }))
            .unwrap();
        assert_eq!(report.states.len(), made.load(SeqCst));
        assert_eq!(report.states.len(), 3);
        assert_eq!(report.states.iter().sum::<u64>(), 499_500);
    });
}

#[test]
fn r_c3_a_state_that_cannot_be_built_fails_the_executor() {
    within(|| {
        let (_dispatcher, _receiver, pipeline) = Pure::builder::<u64>()
            .stage("only", Instances::new(1).up_to(2), |context| {
                assert_eq!(context.instance(), 0, "no second one");
                map(|job: u64| job)
            })
            .start()
            .unwrap();
        pipeline.scaling("only").unwrap().scale_to(2).unwrap();
        let Err(JoinError::Failed(fault)) = pipeline.join() else {
            panic!("it fails");
        };
        let Fault::Panicked {
            stage,
            instance,
            message,
            ..
        } = &*fault
        else {
            panic!("{fault:?}");
        };
        assert_eq!((&**stage, *instance), ("only", 1));
        assert!(message.contains("no second one"), "{message}");
    });
}

/// An instance counts from when its state is there until that is gone, whatever panics on the way.
#[test]
fn an_instance_counts_once_whatever_panics_around_its_state() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    // The start hook of an instance that is built later.
    within(|| {
        let started = AtomicUsize::new(0);
        let (_dispatcher, _receiver, pipeline) = Pure::builder::<u64>()
            .workers(2)
            .on_instance_start(move |_| assert!(started.fetch_add(1, SeqCst) == 0, "the second"))
            .stage("s", Instances::new(1).up_to(2), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let scaling = pipeline.scaling("s").unwrap();
        scaling.scale_to(2).unwrap();
        until(|| pipeline.err().is_some());
        pipeline.join().unwrap_err();
        assert_eq!(scaling.size(), 0);
    });
    // A job, the state's end, or the stop hook, where a state is built anew.
    for hook in [false, true] {
        within(move || {
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .per_job()
                .workers(2)
                .on_instance_stop(move |_| assert!(!hook, "stop"))
                .stage("s", Instances::new(1).up_to(2), |_| {
                    map(|x: u64| assert!(x != 3, "a job"))
                })
                .start()
                .unwrap();
            let scaling = pipeline.scaling("s").unwrap();
            let _refused = dispatcher.dispatch_all(0..10);
            dispatcher.done();
            assert!(receiver.count() <= 10);
            assert_eq!(pipeline.join().is_err(), hook);
            assert_eq!(scaling.size(), 0);
        });
    }
}

#[test]
fn r_c3_scaling_never_makes_a_dispatcher_wait() {
    within(|| {
        let gate = Gate::default();
        let _late = OpenLate(gate.clone());
        let (building, opened) = (Count::default(), gate.clone());
        let begins = building.clone();
        let log = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&log);
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .stage("only", Instances::new(1).up_to(2), move |context| {
                if context.instance() == 1 {
                    begins.add(1);
                    opened.pass(); // A state that takes its time.
                }
                let notes = Arc::clone(&notes);
                map(move |job: u64| notes.lock().unwrap().push(job))
            })
            .start()
            .unwrap();
        pipeline.scaling("only").unwrap().scale_to(2).unwrap();
        building.reach(1);
        for job in 0..100 {
            dispatcher
                .dispatch_timeout(job, Duration::from_secs(10))
                .unwrap();
            assert_eq!(receiver.receive(), Some(()));
        }
        gate.open();
        dispatcher.done();
        pipeline.join().unwrap();
        assert_eq!(log.lock().unwrap().len(), 100);
    });
}
