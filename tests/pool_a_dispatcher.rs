//! What the pool of nickbadlose promises, dispatchers in front of stages that are chained, and how it was
//! seen to fail. A done and a cancel that meet a dispatch in waiting, and a receiver that leaves (S-A1 to S-A3),
//! are rows of `table.rs`, too.

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::place::{PLACES, Place, empty, everywhere, same, single, three, trials};
use common::{Census, Count, Door, Life, Threads, core, panicked, until, within_steps};
use ringmill::stage::map;
use ringmill::{
    BuildError, Context, DispatchError, Fault, Instances, JoinError, Pipeline, RingError, RunError,
    TryReceiveError,
};

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
fn r_a1_dispatch_done_receive_set_err_err() {
    everywhere(|place, capacity| {
        let (mut dispatcher, mut receiver, pipeline) =
            three(place, empty::<u64>(capacity), same, same, same);
        assert_eq!(receiver.try_receive(), Err(TryReceiveError::Empty));
        let mut late = dispatcher.clone();
        let feeder = thread::spawn(move || {
            for job in 0..2000 {
                dispatcher.dispatch(job).unwrap();
            }
            for _ in 0..3 {
                dispatcher.done();
            }
            assert!(dispatcher.err().is_none());
        });
        let received: Vec<u64> = receiver.by_ref().collect();
        assert!(received.into_iter().eq(0..2000), "done drains");
        feeder.join().unwrap();
        late.done();
        assert_eq!(late.dispatch(1), Err(DispatchError::Closed(1)));
        assert_eq!(receiver.try_receive(), Err(TryReceiveError::Done));
        assert_eq!(receiver.receive(), None);
        pipeline.join().unwrap();

        let (mut dispatcher, receiver, pipeline) =
            three(place, empty::<u64>(capacity), same, same, same);
        dispatcher.dispatch(0).unwrap();
        pipeline.set_err("mine".to_string()).unwrap();
        assert_eq!(dispatcher.dispatch(1), Err(DispatchError::Failed(1)));
        assert_eq!(dispatcher.err().unwrap().to_string(), "mine");
        assert!(receiver.count() <= 1);
        assert!(pipeline.join().is_err());
    });
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
            let received: Vec<u64> = receiver.by_ref().collect();
            assert!(received.len() <= 5 && received.is_sorted());
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

/// Fused stages have no ring between them.
#[test]
fn r_a3_each_stage_has_a_capacity_of_its_own() {
    within_steps(|step| {
        for place in [Place::Bound, Place::Floating] {
            for capacities in [[1, 1, 1], [3, 5, 2], [2, 1, 70]] {
                step.say(format!("{place:?} {capacities:?}"));
                let [a, b, results] = capacities;
                let builder = Pipeline::<String>::builder::<u64>().capacity(a);
                let (mut dispatcher, receiver, pipeline) = match place {
                    Place::Bound => builder
                        .stage("a", Instances::bound(core()), same)
                        .capacity(b)
                        .stage("b", Instances::bound(core()), same)
                        .capacity(results)
                        .start(),
                    _ => builder
                        .stage("a", Instances::new(1), same)
                        .capacity(b)
                        .stage("b", Instances::new(1), same)
                        .capacity(results)
                        .start(),
                }
                .unwrap();
                // Nobody receives: each ring takes what it is to hold, and no more.
                let all = (a + b + results) as u64;
                dispatcher.dispatch_all(0..all).unwrap();
                until(|| {
                    let counters = pipeline.counters();
                    let [first, second] = [&counters.stages[0], &counters.stages[1]];
                    let moved = (first.finished, second.finished);
                    moved == ((b + results) as u64, results as u64)
                });
                assert_eq!(
                    dispatcher.try_dispatch(all),
                    Err(DispatchError::Full(all)),
                    "{:?}",
                    pipeline.counters()
                );
                dispatcher.done();
                assert!(receiver.eq(0..all));
                pipeline.join().unwrap();
            }
        }
    });
}

#[test]
fn r_a5_running_jobs_see_the_cancel() {
    everywhere(|place, capacity| {
        for cancel in 0..3 {
            let began = Count::default();
            let begins = began.clone();
            let work = move |context: &Context| {
                let (token, begins) = (context.token(), begins.clone());
                map(move |job: u64| {
                    assert!(!token.is_stopped());
                    begins.add(1);
                    until(|| token.is_stopped());
                    job
                })
            };
            let (mut dispatcher, receiver, pipeline) = single(place, empty(capacity), work);
            dispatcher.dispatch(0).unwrap();
            began.reach(1);
            assert!(!pipeline.is_stopped());
            match cancel {
                0 => pipeline.stop(),
                1 => pipeline.set_err("enough".to_string()).unwrap(),
                _ => drop(receiver),
            }
            assert_eq!(pipeline.join().is_err(), cancel == 1);
            assert_eq!(began.get(), 1);
        }
    });
}

/// Payloads that wait inside the stage "work".
fn held(door: &Door) -> impl Fn(&Context) -> Held + Send + Sync + 'static {
    let door = door.clone();
    move |_| Held(door.clone())
}

struct Held(Door);

impl ringmill::Stage<Life, String> for Held {
    type Out = Life;

    fn job<O: ringmill::Outlet<Life>>(
        &mut self,
        job: Life,
        out: &mut O,
    ) -> Result<ringmill::Flow, String> {
        assert!(out.emit(self.0.pass(job)).is_ok());
        Ok(ringmill::Flow::Done)
    }
}

/// Theirs panics: "send on closed channel".
#[test]
fn s_a1_done_meets_dispatches_and_another_done() {
    everywhere(|place, capacity| {
        for _ in 0..20 {
            let (census, door) = (Census::default(), Door::default());
            let _late = door.open_late();
            let (mut dispatcher, receiver, pipeline) = single(place, empty(capacity), held(&door));
            dispatcher.dispatch(census.life()).unwrap();
            door.reach(1);
            let accepted = Count::default();
            let producers = [(); 2].map(|()| {
                let (mut dispatcher, census) = (dispatcher.clone(), census.clone());
                let accepted = accepted.clone();
                thread::spawn(move || {
                    loop {
                        let job = census.life();
                        let id = job.id;
                        match dispatcher.dispatch(job) {
                            Ok(()) => accepted.add(1),
                            Err(DispatchError::Closed(job)) => {
                                assert_eq!(job.id, id);
                                break;
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                    dispatcher.done();
                    dispatcher.done();
                })
            });
            // The ring is full: both wait, or are about to.
            accepted.reach(capacity);
            dispatcher.done();
            for producer in producers {
                producer.join().unwrap();
            }
            door.open();
            assert_eq!(receiver.count(), accepted.get() + 1);
            pipeline.join().unwrap();
            census.is_over();
        }
    });
}

/// Two producers of which the first to be through says done.
#[test]
fn s_a1_two_producers_say_done() {
    everywhere(|place, capacity| {
        for _ in 0..20 {
            let (dispatcher, receiver, pipeline) = single(place, empty::<u64>(capacity), same);
            let producers = [100, 120].map(|jobs| {
                let mut dispatcher = dispatcher.clone();
                thread::spawn(move || {
                    let accepted = match dispatcher.dispatch_all(0..jobs) {
                        Ok(accepted) => accepted,
                        Err(refused) => {
                            assert!(matches!(refused.refused, DispatchError::Closed(_)));
                            refused.accepted
                        }
                    };
                    dispatcher.done();
                    accepted
                })
            });
            let received = receiver.count();
            let accepted = producers.map(|producer| producer.join().unwrap());
            assert_eq!(received, accepted.into_iter().sum());
            assert!(accepted[0] == 100 || accepted[1] == 120);
            drop(dispatcher);
            pipeline.join().unwrap();
        }
    });
}

/// Theirs leaks its workers for ever.
#[test]
fn s_a3_the_receiver_leaves_early() {
    everywhere(|place, capacity| {
        let (census, threads) = (Census::default(), Threads::default());
        let open = Door::default();
        open.open();
        let builder = empty(capacity).on_spawn(threads.hook());
        let (mut dispatcher, mut receiver, pipeline) = single(place, builder, held(&open));
        let lives = census.clone();
        let feeder = thread::spawn(move || {
            let jobs = std::iter::repeat_with(|| lives.life());
            dispatcher.dispatch_all(jobs).unwrap_err().refused
        });
        assert_eq!(receiver.receive().unwrap().id, 0);
        drop(receiver);
        let refused = feeder.join().unwrap();
        assert!(matches!(refused, DispatchError::Closed(_)));
        drop(refused);
        pipeline.join().unwrap();
        assert_eq!(threads.alive(), 0);
        census.is_over();
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
        let received = receiver.count();
        assert!(received <= 50);
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
        let received: Vec<u64> = receiver.collect();
        assert!(received.len() <= 30 && received.is_sorted());
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

#[test]
fn s_a9_a_hundred_jobs_into_rings_of_ten_before_receiving() {
    within_steps(|step| {
        for place in PLACES {
            for capacity in [1, 10, 1024] {
                step.say(format!("{place:?} {capacity}"));
                let (mut dispatcher, receiver, pipeline) =
                    three(place, empty::<u64>(capacity), same, same, same);
                let rings = if place == Place::Fused { 2 } else { 4 };
                let most = (rings * capacity).min(100) as u64;
                let mut next = 0;
                // Each job that moves on makes room, until all rings are full.
                while next < most {
                    match dispatcher.try_dispatch(next) {
                        Ok(()) => next += 1,
                        Err(DispatchError::Full(job)) => assert_eq!(job, next),
                        Err(other) => panic!("{other}"),
                    }
                }
                if capacity < 100 {
                    let briefly = Duration::from_millis(1);
                    let refused = dispatcher.dispatch_timeout(next, briefly);
                    assert_eq!(refused, Err(DispatchError::Timeout(next)));
                    assert_eq!(
                        dispatcher.try_dispatch(next),
                        Err(DispatchError::Full(next))
                    );
                }
                drop(dispatcher);
                assert!(receiver.eq(0..next));
                pipeline.join().unwrap();
            }
        }
    });
    everywhere(|place, capacity| {
        let mut received = Vec::new();
        let builder = Pipeline::<String>::builder::<u64>().capacity(capacity.min(10));
        match place {
            Place::Bound => builder
                .stage("a", Instances::bound(core()), same)
                .run(0..100, |job| received.push(job)),
            Place::Floating => builder
                .stage("a", Instances::new(1), same)
                .run(0..100, |job| received.push(job)),
            Place::Fused => builder
                .stage("a", Instances::new(1), same)
                .then("b", same)
                .run(0..100, |job| received.push(job)),
        }
        .map_err(|error: RunError<String>| error.to_string())
        .unwrap();
        assert!(received.into_iter().eq(0..100), "run copes");
    });
}

/// In theirs up to 15 of them ran, in 496 of 2000 trials.
#[test]
fn s_a11_after_a_stop_queued_jobs_do_not_run() {
    trials(2000, |place, capacity| {
        let door = Door::default();
        let _late = door.open_late();
        let work = door.clone();
        let (mut dispatcher, receiver, pipeline) = single(place, empty(capacity), move |_| {
            let door = work.clone();
            map(move |job: u64| door.pass(job))
        });
        dispatcher.dispatch(0).unwrap();
        door.reach(1);
        let queued = capacity.min(15);
        dispatcher.dispatch_all(1..=queued as u64).unwrap();
        pipeline.stop();
        door.open();
        assert!(receiver.eq([0]), "what ran had begun");
        let report = pipeline.join().unwrap();
        assert_eq!(door.inside(), 1);
        let dropped: u64 = report
            .counters
            .stages
            .iter()
            .map(|stage| stage.dropped)
            .sum();
        assert_eq!(dropped, queued as u64);
    });
}
