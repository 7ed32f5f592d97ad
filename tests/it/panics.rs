//! A panic costs exactly one job.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use crate::common::{Census, Count, Gate, Life, OpenLate, core, panicked, within, within_steps};
use ringmill::stage::{flat_map, map};
use ringmill::{Context, Fault, Flow, Idle, Instances, JobError, Outlet, PerJob, Pipeline, Stage};

/// Fail fast: results before it are there, jobs after it are dropped and counted.
#[test]
fn fail_fast_before_and_after() {
    within_steps(|step| {
        for capacity in [8, 1024] {
            for place in ["floating", "bound", "fused"] {
                for culprit in [1, 4, 7] {
                    step.say(format!("{capacity} {place} {culprit}"));
                    let (census, gate) = (Census::default(), Gate::default());
                    let _late = OpenLate(gate.clone());
                    let door = gate.clone();
                    let work = move |_: &Context| {
                        let door = door.clone();
                        map(move |job: Life| {
                            door.pass();
                            assert!(job.id != culprit, "job {}", job.id);
                            job
                        })
                    };
                    let builder = Pipeline::<String>::builder::<Life>().capacity(capacity);
                    let (mut mouth, exit, pipeline) = match place {
                        "floating" => builder.stage("a", Instances::new(1), work).start(),
                        "bound" => builder.stage("a", Instances::bound(core()), work).start(),
                        _ => {
                            let builder = builder.stage("a", Instances::new(1), work);
                            builder.then("b", |_| map(|job| job)).start()
                        }
                    }
                    .unwrap();
                    mouth.dispatch_all((0..8).map(|_| census.life())).unwrap();
                    gate.open();
                    let received: Vec<u64> = exit.map(|job| job.id).collect();
                    assert!(received.iter().copied().eq(0..culprit));
                    let handle = pipeline.handle();
                    let (stage, instance, message, payload) = panicked(pipeline.join());
                    assert_eq!((&*stage, instance), ("a", 0));
                    assert_eq!(message, format!("job {culprit}"));
                    let payload = payload.unwrap().downcast::<String>().unwrap();
                    assert_eq!(*payload, message);
                    let a = handle.counters().stage("a").unwrap().clone();
                    assert_eq!((a.finished, a.dropped), (culprit + 1, 7 - culprit));
                    assert!(matches!(&*handle.err().unwrap(), Fault::Panicked { .. }));
                    drop(mouth);
                    census.is_over();
                }
            }
        }
    });
}

#[test]
fn any_payload() {
    within(|| {
        for kind in 0..3 {
            let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u32>()
                .stage("a", Instances::new(1), |_| {
                    map(|kind: u32| match kind {
                        0 => panic!("plain"),
                        1 => panic!("made of {kind}"),
                        _ => panic_any(7_u32),
                    })
                })
                .start()
                .unwrap();
            mouth.dispatch(kind).unwrap();
            assert_eq!(exit.count(), 0);
            let (_, _, message, payload) = panicked(pipeline.join());
            let payload = payload.unwrap();
            match kind {
                0 => assert_eq!(message, "plain"),
                1 => assert_eq!(message, "made of 1"),
                _ => assert_eq!(payload.downcast_ref::<u32>(), Some(&7)),
            }
        }
    });
}

/// A state that counts its jobs, notes where it was built, and panics on some jobs.
struct Counting {
    jobs: u64,
    built: Count,
    thread: Rc<ThreadId>,
}

impl Stage<u64, String> for Counting {
    type Out = (u64, u64);

    fn job<O: Outlet<(u64, u64)>>(&mut self, job: u64, out: &mut O) -> Result<Flow, String> {
        self.jobs += 1;
        assert_eq!(*self.thread, thread::current().id(), "built elsewhere");
        assert!(job % 10 != 5, "job {job}");
        assert!(out.emit((job, self.jobs)).is_ok());
        Ok(Flow::Done)
    }
}

/// Per job: the panic is the job's outcome, the state is built again where it lives, the rest goes on.
#[test]
fn per_job_the_state_is_rebuilt() {
    within(|| {
        for capacity in [1, 1024] {
            let built = Count::default();
            let count = built.clone();
            let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
                .per_job()
                .capacity(capacity)
                .stage("a", Instances::bound(core()), move |_| {
                    count.add(1);
                    Counting {
                        jobs: 0,
                        built: count.clone(),
                        thread: Rc::new(thread::current().id()),
                    }
                })
                .then("b", |_| map(|result| result))
                .start()
                .unwrap();
            let feeder = thread::spawn(move || mouth.dispatch_all(0..100).unwrap());
            let mut since = 0;
            for (nth, outcome) in (0_u64..).zip(exit) {
                since += 1;
                if nth % 10 == 5 {
                    let Err(JobError::Panicked {
                        stage,
                        instance,
                        message,
                        ..
                    }) = outcome
                    else {
                        panic!("{outcome:?}");
                    };
                    assert_eq!((&*stage, instance), ("a", 0));
                    assert_eq!(message, format!("job {nth}"));
                    since = 0;
                } else {
                    assert_eq!(outcome, Ok((nth, since)));
                }
            }
            assert_eq!(feeder.join().unwrap(), 100);
            let report = pipeline.join().unwrap();
            assert_eq!(built.get(), 11);
            let (a, b) = (&report.counters.stages[0], &report.counters.stages[1]);
            assert_eq!((a.finished, a.dropped, b.finished), (100, 0, 90));
        }
    });
}

impl Drop for Counting {
    fn drop(&mut self) {
        assert!(self.built.get() > 0);
    }
}

/// The part that panicked is named, and both are built again.
#[test]
fn a_fused_part_is_named() {
    within(|| {
        for part in 0..3_u64 {
            let built = Count::default();
            let init = |nth: u64| {
                let built = built.clone();
                move |_: &Context| {
                    built.add(1);
                    map(move |job: u64| {
                        assert!(job != 3 || part != nth, "part {nth}");
                        job
                    })
                }
            };
            let names = ["one", "two", "three"];
            let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
                .per_job()
                .stage(names[0], Instances::new(1), init(0))
                .then(names[1], init(1))
                .then(names[2], init(2))
                .start()
                .unwrap();
            mouth.dispatch_all(0..6).unwrap();
            mouth.done();
            for (nth, outcome) in (0_u64..).zip(exit) {
                if nth != 3 {
                    assert_eq!(outcome, Ok(nth));
                    continue;
                }
                let Err(JobError::Panicked { stage, message, .. }) = outcome else {
                    panic!("{outcome:?}");
                };
                assert_eq!(&*stage, names[usize::try_from(part).unwrap()]);
                assert_eq!(message, format!("part {part}"));
            }
            let report = pipeline.join().unwrap();
            assert_eq!(built.get(), 6);
            for (nth, stage) in (0_u64..).zip(&report.counters.stages) {
                assert_eq!(stage.dispatched, if nth > part { 5 } else { 6 });
                assert_eq!(stage.finished, stage.dispatched);
            }
        }
    });
}

/// Order, keys and windows do not mind: one outcome a job.
#[test]
fn per_job_through_every_ring() {
    within_steps(|step| {
        for capacity in [1, 3, 1024] {
            for shape in ["ordered", "keyed", "relayed", "single"] {
                step.say(format!("{capacity} {shape}"));
                let work = |_: &Context| {
                    map(|job: u64| {
                        assert!(job % 7 != 3, "job {job}");
                        job
                    })
                };
                let (one, two) = (Instances::new(1), Instances::new(2));
                let builder = Pipeline::<String>::builder::<u64>()
                    .per_job()
                    .idle(Idle::parking())
                    .capacity(capacity);
                let (mut mouth, exit, pipeline) = match shape {
                    "ordered" => builder
                        .stage("a", two.clone().ordered(4), work)
                        .stage("b", two.ordered(2), work)
                        .start(),
                    "keyed" => builder
                        .stage("a", two.clone().keyed(|_: &u64| 0), work)
                        .stage("b", two.keyed(|_: &u64| 1), work)
                        .start(),
                    "relayed" => builder
                        .stage("a", two.clone().ordered(4), work)
                        .stage("b", two.ordered(3), work)
                        .stage("c", one, work)
                        .start(),
                    _ => builder
                        .stage("a", one.clone(), work)
                        .stage("b", one, work)
                        .start(),
                }
                .unwrap();
                let feeder = thread::spawn(move || mouth.dispatch_all(0..200).unwrap());
                let mut outcomes: Vec<_> = exit.collect();
                if shape == "keyed" {
                    // What has failed has no key: it takes the first lane and may overtake.
                    let number = |outcome: &Result<u64, JobError<String>>| match outcome {
                        Ok(job) => *job,
                        Err(JobError::Panicked { message, .. }) => message[4..].parse().unwrap(),
                        Err(other) => panic!("{other:?}"),
                    };
                    outcomes.sort_by_key(number);
                }
                feeder.join().unwrap();
                assert_eq!(outcomes.len(), 200);
                for (nth, outcome) in (0..).zip(outcomes) {
                    match outcome {
                        Ok(job) => assert!(job == nth && job % 7 != 3),
                        Err(JobError::Panicked { message, .. }) => {
                            assert!(nth % 7 == 3 && message == format!("job {nth}"));
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                pipeline.join().unwrap();
            }
        }
    });
}

/// Of many results: those before the panic go out, then the outcome, also through the narrowest ring.
#[test]
fn in_the_middle_of_many_results() {
    within(|| {
        for capacity in [1, 2, 16] {
            let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
                .per_job()
                .capacity(capacity)
                .stage("a", Instances::new(1), |_| {
                    flat_map(|job: u64| {
                        (0..5).map(move |nth| {
                            assert!(job != 1 || nth < 3, "at {nth}");
                            job * 10 + nth
                        })
                    })
                })
                .start()
                .unwrap();
            let feeder = thread::spawn(move || mouth.dispatch_all(0..3).unwrap());
            let numbers: Vec<u64> = exit
                .map(|outcome| match outcome {
                    Ok(result) => result,
                    Err(JobError::Panicked { message, .. }) if message == "at 3" => 99,
                    Err(other) => panic!("{other:?}"),
                })
                .collect();
            feeder.join().unwrap();
            let all = [0, 1, 2, 3, 4, 10, 11, 12, 99, 20, 21, 22, 23, 24];
            assert_eq!(numbers, all);
            assert_eq!(pipeline.join().unwrap().counters.stages[0].finished, 3);
        }
    });
}

/// The instance is named; the stages before and behind end too.
#[test]
fn the_instance_is_named() {
    within(|| {
        for bound in [false, true] {
            let work = |context: &Context| {
                let instance = context.instance();
                map(move |job: u64| {
                    assert!(instance == 0, "on {instance}");
                    job
                })
            };
            let pass = |_: &Context| map(|job: u64| job);
            let key = |job: &u64| *job;
            let builder = Pipeline::<String>::builder::<u64>().capacity(1);
            let builder = builder.stage("front", Instances::new(1), pass);
            let (mut mouth, exit, pipeline) = if bound {
                let bound = Instances::bound([core()[0]; 2]).keyed(key);
                builder
                    .stage("a", bound, work)
                    .stage("back", Instances::new(1), pass)
                    .start()
            } else {
                let two = Instances::new(2).keyed(key);
                builder
                    .stage("a", two, work)
                    .stage("back", Instances::new(1), pass)
                    .start()
            }
            .unwrap();
            let feeder = thread::spawn(move || mouth.dispatch_all(0..10_000).unwrap_err());
            let _results = exit.count();
            assert!(matches!(
                feeder.join().unwrap().refused,
                ringmill::DispatchError::Failed(_)
            ));
            let (stage, instance, message, _) = panicked(pipeline.join());
            assert_eq!((&*stage, instance, &*message), ("a", 1, "on 1"));
        }
    });
}

/// Building the state again panics as well: that is the end of the executor.
#[test]
fn a_state_that_cannot_be_rebuilt() {
    within(|| {
        let (census, built) = (Census::default(), Count::default());
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<Life>()
            .per_job()
            .capacity(16)
            .stage("a", Instances::new(1), move |_| {
                built.add(1);
                assert!(built.get() == 1, "no second state");
                map(|job: Life| {
                    assert!(job.id != 2, "job 2");
                    job
                })
            })
            .start()
            .unwrap();
        let feeding = mouth.dispatch_all((0..16).map(|_| census.life()));
        drop(feeding);
        let outcomes = exit.count();
        assert!((2..=3).contains(&outcomes), "{outcomes}");
        let (stage, _, message, _) = panicked(pipeline.join());
        assert_eq!((&*stage, &*message), ("a", "no second state"));
        drop(mouth);
        census.is_over();
    });
}

/// A key closure that panics: for a dispatcher it is the dispatcher's panic; in a duty, its stage's.
#[test]
fn a_key_panics() {
    within(|| {
        for inner in [false, true] {
            let census = Census::default();
            let key = |job: &Life| {
                assert!(job.id != 3, "no key");
                job.id
            };
            let pass = |_: &Context| map(|job: Life| job);
            let builder = Pipeline::<String>::builder::<Life>();
            let two = Instances::new(2).keyed(key);
            let (mut mouth, exit, pipeline) = if inner {
                let builder = builder.stage("front", Instances::new(1), pass);
                builder.stage("a", two, pass).start().unwrap()
            } else {
                builder.stage("a", two, pass).start().unwrap()
            };
            let mut refused = 0;
            for _ in 0..6 {
                let job = census.life();
                let dispatch = AssertUnwindSafe(|| mouth.dispatch(job).is_err());
                refused += usize::from(catch_unwind(dispatch).unwrap_or(true));
            }
            drop(mouth);
            let received = exit.count();
            if inner {
                let (stage, _, message, _) = panicked(pipeline.join());
                assert_eq!((&*stage, &*message), ("front", "no key"));
                assert!(received <= 3);
            } else {
                assert_eq!((refused, received), (1, 5));
                pipeline.join().unwrap();
            }
            census.is_over();
        }
    });
}

/// First come, first served: what a second panic carries is counted and dropped.
#[test]
fn the_first_panic_wins() {
    within(|| {
        let (gate, began) = (Gate::default(), Count::default());
        let _late = OpenLate(gate.clone());
        let (door, inside) = (gate.clone(), began.clone());
        let order = Arc::new(Mutex::new(Vec::new()));
        let panics = order.clone();
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .workers(2)
            .stage("a", Instances::new(2), move |context| {
                let (door, inside, panics) = (door.clone(), inside.clone(), panics.clone());
                let instance = context.instance();
                map(move |_: u64| -> u64 {
                    inside.add(1);
                    door.pass();
                    let mut panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
                    panics.push(instance);
                    drop(panics);
                    panic!("on {instance}")
                })
            })
            .start()
            .unwrap();
        mouth.dispatch_all([0, 1]).unwrap();
        began.reach(2);
        gate.open();
        assert_eq!(exit.count(), 0);
        let handle = pipeline.handle();
        let (_, instance, message, _) = panicked(pipeline.join());
        assert_eq!(message, format!("on {instance}"));
        assert_eq!((handle.suppressed(), order.lock().unwrap().len()), (1, 2));
    });
}

/// The policy is part of the types.
#[test]
fn types_say_the_policy() {
    fn is_per_job<J: Send + 'static>(_: &ringmill::Dispatcher<J, String, PerJob>) {}
    within(|| {
        let (mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .per_job()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        is_per_job(&mouth);
        drop(mouth);
        assert_eq!(exit.count(), 0);
        pipeline.join().unwrap();
    });
}
