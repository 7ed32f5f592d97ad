//! What becomes of jobs that find no room: they wait, come back, or make room.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::{Census, Count, Gate, Life, OpenLate, within};
use ringmill::stage::map;
use ringmill::{
    BuildError, DispatchError, Dispatcher, FailFast, Instances, Overflow, Pipeline, Receiver,
    StageCounters, allowed_cores,
};

type Pure = Pipeline<Infallible>;
type Ends = (Dispatcher<u64, Infallible>, Receiver<u64, Infallible>, Pure);

/// A pipeline whose only worker is inside job 0, so that nothing else moves until the gate opens.
fn held(overflow: Overflow, capacity: usize, bound: bool) -> (Ends, OpenLate) {
    let (gate, began) = (Gate::default(), Count::default());
    let (passed, begins) = (gate.clone(), began.clone());
    let init = move |_: &_| {
        let (gate, began) = (passed.clone(), begins.clone());
        map(move |job: u64| {
            if job == 0 {
                began.add(1);
                gate.pass();
            }
            job
        })
    };
    let builder = Pure::builder::<u64>().capacity(capacity).overflow(overflow);
    let mut ends = if bound {
        builder
            .stage("only", Instances::bound([allowed_cores()[0]]), init)
            .start()
            .unwrap()
    } else {
        builder
            .stage("only", Instances::new(1), init)
            .start()
            .unwrap()
    };
    ends.0.dispatch(0).unwrap();
    began.reach(1);
    (ends, OpenLate(gate))
}

/// Dispatches 1 to `last`, each call in turn, and returns what was refused.
fn offer(dispatcher: &mut Dispatcher<u64, Infallible, FailFast>, last: u64) -> Vec<u64> {
    let jobs = 1..=last;
    let refused = jobs.filter_map(|job| {
        let answer = match job % 3 {
            0 => dispatcher.dispatch(job),
            1 => dispatcher.try_dispatch(job),
            _ => dispatcher.dispatch_timeout(job, std::time::Duration::from_secs(3600)),
        };
        match answer {
            Ok(()) => None,
            Err(DispatchError::Full(back)) => Some(back),
            Err(other) => panic!("{other:?}"),
        }
    });
    refused.collect()
}

fn settle((ends, gate): (Ends, OpenLate)) -> (Vec<u64>, StageCounters) {
    let (dispatcher, receiver, pipeline) = ends;
    drop(gate);
    dispatcher.done();
    let results = receiver.collect();
    let report = pipeline.join().unwrap();
    let only = report.counters.stages[0].clone();
    assert_eq!(only.dispatched, only.finished + only.dropped);
    (results, only)
}

#[test]
fn f_3_refused_jobs_come_back_at_once_from_every_call() {
    for (capacity, bound) in [(1, false), (5, true), (1024, false)] {
        within(move || {
            let mut plant = held(Overflow::Refuse, capacity, bound);
            let fits = capacity as u64;
            let refused = offer(&mut plant.0.0, fits + 7);
            assert_eq!(refused, (fits + 1..=fits + 7).collect::<Vec<_>>());
            let (results, only) = settle(plant);
            assert_eq!(results, (0..=fits).collect::<Vec<_>>());
            assert_eq!((only.dropped, only.overflowed), (0, 0));
        });
    }
}

#[test]
fn f_3_the_newest_are_dropped_counted_and_handed_over() {
    for (capacity, bound) in [(1, true), (5, false), (1024, false)] {
        within(move || {
            let ((dispatcher, receiver, pipeline), gate) =
                held(Overflow::DropNewest, capacity, bound);
            let dropped = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&dropped);
            let mut dispatcher = dispatcher.on_drop(move |job| notes.lock().unwrap().push(job));
            let fits = capacity as u64;
            assert_eq!(offer(&mut dispatcher, fits + 7), []);
            let counted = pipeline.counters().stages[0].clone();
            assert_eq!((counted.waiting, counted.overflowed), (fits, 7));
            let (results, only) = settle(((dispatcher, receiver, pipeline), gate));
            assert_eq!(results, (0..=fits).collect::<Vec<_>>());
            assert_eq!(
                (only.dispatched, only.dropped, only.overflowed),
                (fits + 1, 0, 7)
            );
            assert_eq!(
                *dropped.lock().unwrap(),
                (fits + 1..=fits + 7).collect::<Vec<_>>()
            );
        });
    }
}

#[test]
fn f_3_the_oldest_are_dropped_counted_and_handed_over() {
    for (capacity, bound) in [(1, false), (5, true), (1024, false)] {
        within(move || {
            let ((dispatcher, receiver, pipeline), gate) =
                held(Overflow::DropOldest, capacity, bound);
            let dropped = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&dropped);
            let mut dispatcher = dispatcher.on_drop(move |job| notes.lock().unwrap().push(job));
            let fits = capacity as u64;
            assert_eq!(offer(&mut dispatcher, fits), []);
            assert_eq!(dispatcher.dispatch_all(fits + 1..=fits + 7).unwrap(), 7);
            let counted = pipeline.counters().stages[0].clone();
            assert_eq!((counted.waiting, counted.dropped), (fits, 7));
            let (results, only) = settle(((dispatcher, receiver, pipeline), gate));
            let kept: Vec<_> = [0].into_iter().chain(8..=fits + 7).collect();
            assert_eq!(results, kept);
            assert_eq!(
                (only.dispatched, only.dropped, only.overflowed),
                (fits + 8, 7, 7)
            );
            assert_eq!(*dropped.lock().unwrap(), (1..=7).collect::<Vec<_>>());
        });
    }
}

#[test]
fn f_3_of_a_keyed_stage_the_full_lane_loses_its_oldest() {
    within(|| {
        let (gate, began) = (Gate::default(), Count::default());
        let _late = OpenLate(gate.clone());
        let (passed, begins) = (gate.clone(), began.clone());
        let two = Instances::new(2).keyed(|job: &u64| job % 2);
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .capacity(2)
            .workers(2)
            .overflow(Overflow::DropOldest)
            .stage("keyed", two, move |_| {
                let (gate, began) = (passed.clone(), begins.clone());
                map(move |job: u64| {
                    if job < 2 {
                        began.add(1);
                        gate.pass();
                    }
                    job
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch(0).unwrap();
        began.reach(1);
        // Only the lane of the even ones is full.
        dispatcher.dispatch_all([2, 4, 6, 8]).unwrap();
        assert_eq!(pipeline.counters().stages[0].dropped, 2);
        gate.open();
        dispatcher.done();
        let mut results: Vec<_> = receiver.collect();
        results.sort_unstable();
        assert_eq!(results, [0, 6, 8]);
        pipeline.join().unwrap();
    });
}

#[test]
fn f_3_nothing_is_lost_uncounted_while_many_dispatch_into_one_slot() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        within(move || {
            let (census, handed) = (Census::default(), Count::default());
            let (dispatcher, receiver, pipeline) = Pure::builder::<Life>()
                .capacity(1)
                .overflow(overflow)
                .many_dispatchers()
                .stage("only", Instances::new(2), |_| map(|life: Life| life))
                .start()
                .unwrap();
            let counts = handed.clone();
            let dispatcher = dispatcher.on_drop(move |_: Life| counts.add(1));
            let dispatching: Vec<_> = (0..3)
                .map(|_| {
                    let (mut dispatcher, census) = (dispatcher.clone(), census.clone());
                    thread::spawn(move || {
                        for _ in 0..2000 {
                            dispatcher.dispatch(census.life()).unwrap();
                        }
                    })
                })
                .collect();
            drop(dispatcher);
            let results = receiver.count();
            for thread in dispatching {
                thread.join().unwrap();
            }
            let report = pipeline.join().unwrap();
            let only = &report.counters.stages[0];
            assert_eq!(results as u64, only.finished);
            assert_eq!(handed.get() as u64, only.overflowed);
            assert_eq!(only.finished + only.overflowed, 6000);
            census.is_over();
        });
    }
}

#[test]
fn f_3_an_ended_executor_refuses_all_the_same() {
    within(|| {
        for overflow in [Overflow::Refuse, Overflow::DropNewest, Overflow::DropOldest] {
            let ((mut dispatcher, _receiver, pipeline), _gate) = held(overflow, 1, false);
            dispatcher.dispatch(1).unwrap();
            pipeline.close();
            assert_eq!(dispatcher.dispatch(2), Err(DispatchError::Closed(2)));
            pipeline.stop();
            assert_eq!(dispatcher.try_dispatch(2), Err(DispatchError::Stopped(2)));
            assert_eq!(pipeline.counters().stages[0].overflowed, 0);
        }
    });
}

#[test]
fn f_3_the_oldest_before_an_ordered_stage_has_its_place() {
    within(|| {
        let builder = || Pure::builder::<u64>().overflow(Overflow::DropOldest);
        let two = || Instances::new(2).ordered(4);
        let refused = builder()
            .stage("first", two(), |_| map(|job: u64| job))
            .start();
        let Err(BuildError::OrderedDropsOldest { stage }) = refused else {
            panic!("it is refused");
        };
        assert_eq!(stage, "first");
        // A single instance, and a stage behind another, need no window there.
        builder()
            .stage("first", Instances::new(1).ordered(4), |_| {
                map(|job: u64| job)
            })
            .stage("second", two(), |_| map(|job: u64| job))
            .run(0..10, drop)
            .unwrap();
    });
}

#[test]
fn overflow_is_said_before_the_first_stage_of_all() {
    within(|| {
        let started = Pure::builder::<u64>()
            .broadcast(|fork| {
                let quiet = fork.branch(|branch| branch);
                quiet.branch(|branch| branch.overflow(Overflow::DropOldest))
            })
            .start();
        let Err(BuildError::OverflowInBranch { overflow }) = started else {
            panic!("it is refused");
        };
        assert_eq!(overflow, Overflow::DropOldest);
    });
}
