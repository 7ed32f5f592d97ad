//! What the pool of nickbadlose promises, dispatchers in front of stages that are chained, and how it was
//! seen to fail; of errors there is more in `pool_a_errors.rs`. A done and a cancel that meet a dispatch in
//! waiting, and a receiver that leaves (S-A1 to S-A3), are rows of `table.rs`, too.

use std::thread;
use std::time::Duration;

use crate::common::place::{PLACES, Place, empty, enough, everywhere, same, single, three, trials};
use crate::common::{Census, Count, Door, Life, Threads, core, until, within_steps};
use ringmill::stage::map;
use ringmill::{Context, DispatchError, Instances, Pipeline, RunError, TryReceiveError};

#[test]
fn r_a1_dispatch_done_receive_set_err_err() {
    everywhere(|place, capacity| {
        let (mut dispatcher, mut receiver, pipeline) =
            three(place, empty::<u64>(capacity), same, same, same);
        assert_eq!(receiver.try_receive(), Err(TryReceiveError::Empty));
        let mut late = dispatcher.clone();
        let feeder = thread::spawn(move || {
            for job in 0..enough(capacity) {
                dispatcher.dispatch(job).unwrap();
            }
            for _ in 0..3 {
                dispatcher.done();
            }
            assert!(dispatcher.err().is_none());
        });
        let results: Vec<u64> = receiver.by_ref().collect();
        assert!(results.into_iter().eq(0..enough(capacity)), "done drains");
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
        for _ in 0..4 {
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
        for _ in 0..4 {
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
            let results = receiver.count();
            let accepted = producers.map(|producer| producer.join().unwrap());
            assert_eq!(results, accepted.into_iter().sum());
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
        let mut results = Vec::new();
        let builder = Pipeline::<String>::builder::<u64>().capacity(capacity.min(10));
        match place {
            Place::Bound => builder
                .stage("a", Instances::bound(core()), same)
                .run(0..100, |job| results.push(job)),
            Place::Floating => builder
                .stage("a", Instances::new(1), same)
                .run(0..100, |job| results.push(job)),
            Place::Fused => builder
                .stage("a", Instances::new(1), same)
                .then("b", same)
                .run(0..100, |job| results.push(job)),
        }
        .map_err(|error: RunError<String>| error.to_string())
        .unwrap();
        assert!(results.into_iter().eq(0..100), "run copes");
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
