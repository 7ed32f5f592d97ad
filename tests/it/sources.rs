//! Where jobs come from: iterators that wait for a result, panic or end the executor, and batches that are there. No job
//! that was taken waits for the next one, and none is lost.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::iter::from_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;

use crate::common::{Census, Door, Life, core, jobs, until, within, within_steps};
use ringmill::stage::map;
use ringmill::{
    Context, DispatchError, Dispatcher, Handle, Instances, JoinError, Overflow, Pipeline, RunError,
    Sealed, Stage,
};

type Pure = Pipeline<Infallible>;

/// Every kind of ring that is in front of a first stage.
#[derive(Debug, Clone, Copy)]
enum First {
    One,
    Shared,
    Ordered,
    Keyed,
}

const FIRST: [First; 4] = [First::One, First::Shared, First::Ordered, First::Keyed];

/// A pipeline of such a stage and one behind it, which is polled by so many workers.
fn two_stages<S>(
    first: First,
    capacity: usize,
    workers: usize,
    init: impl Fn(&Context) -> S + Send + Sync + 'static,
) -> (Handle<Infallible>, Sealed<'static, u64, Infallible>)
where
    S: Stage<u64, Infallible, Out = u64> + Send + 'static,
{
    let builder = Pure::builder::<u64>().capacity(capacity).workers(workers);
    let handle = builder.handle();
    let (one, same) = (Instances::new(1), |_: &Context| map(|job: u64| job));
    let sealed = match first {
        First::One => builder
            .stage("first", Instances::new(1), init)
            .stage("second", one, same)
            .discard(),
        First::Shared => builder
            .stage("first", Instances::new(2), init)
            .stage("second", one, same)
            .discard(),
        First::Ordered => builder
            .stage("first", Instances::new(2).ordered(4), init)
            .stage("second", one, same)
            .discard(),
        First::Keyed => builder
            .stage("first", Instances::new(2).keyed(|job: &u64| *job), init)
            .stage("second", one, same)
            .discard(),
    };
    (handle, sealed)
}

/// Jobs each of which is there only once the one before it has been run, and the stage that runs them.
fn dialogue(
    count: u64,
) -> (
    impl Iterator<Item = u64> + Send + 'static,
    impl Fn(&Context) -> Box<dyn FnMut(u64) -> Result<u64, Infallible> + Send> + Send + Sync + 'static,
) {
    let (say, hear) = channel();
    let mut next = 0;
    let jobs = from_fn(move || {
        if next > 0 {
            assert_eq!(hear.recv(), Ok(next - 1), "another job was run");
        }
        next += 1;
        (next <= count).then_some(next - 1)
    });
    let init = move |_: &Context| {
        let say = say.clone();
        Box::new(move |job| {
            say.send(job).expect("the iterator is there");
            Ok(job)
        }) as Box<_>
    };
    (jobs, init)
}

#[test]
fn an_iterator_may_wait_for_what_became_of_its_last_job() {
    within_steps(|step| {
        for first in FIRST {
            for capacity in [1, 3, 1024] {
                step.say(format!("dispatch_all, {first:?}, {capacity}"));
                let (iterator, init) = dialogue(jobs(200));
                let (_, sealed) = two_stages(first, capacity, 1, init);
                let (mut dispatcher, pipeline) = sealed.start().unwrap();
                let all = usize::try_from(jobs(200)).unwrap();
                assert_eq!(dispatcher.dispatch_all(iterator), Ok(all));
                drop(dispatcher);
                pipeline.join().unwrap();
            }
        }
    });
}

#[test]
fn the_iterator_of_run_may_wait_for_what_became_of_its_last_job() {
    within_steps(|step| {
        for first in FIRST {
            for capacity in [1, 3, 1024] {
                step.say(format!("run, {first:?}, {capacity}"));
                // While the calling thread waits in its iterator, the other worker does all the work.
                let (iterator, init) = dialogue(jobs(20));
                let (_, sealed) = two_stages(first, capacity, 2, init);
                let report = sealed.run(iterator).unwrap();
                assert_eq!(report.counters.stages[0].finished, jobs(20));
            }
        }
    });
}

/// What was quick a moment ago says nothing of the next job.
#[test]
fn the_iterator_of_run_may_wait_after_many_quick_jobs() {
    within(|| {
        let quick = jobs(20_000);
        let (say, hear) = channel();
        let mut next = 0;
        let iterator = from_fn(|| {
            if next > quick {
                until(|| hear.recv().unwrap() == next - 1);
            }
            next += 1;
            (next <= quick + 20).then_some(next - 1)
        });
        let report = Pure::builder::<u64>()
            .workers(2)
            .stage("first", Instances::new(1), |_| map(|job: u64| job))
            .stage("second", Instances::new(1), move |_| {
                let say = say.clone();
                map(move |job| say.send(job).unwrap())
            })
            .discard()
            .run(iterator)
            .unwrap();
        assert_eq!(report.counters.stages[1].finished, quick + 20);
    });
}

/// Jobs until one is the last, which panics instead.
fn panicking(census: &Census, count: u64) -> impl Iterator<Item = Life> + Send + 'static {
    let census = census.clone();
    from_fn(move || {
        assert!(census.born() < count, "enough");
        Some(census.life())
    })
}

#[test]
fn what_an_iterator_gave_before_it_panicked_is_dispatched() {
    within(|| {
        for instances in [1, 2] {
            let census = Census::default();
            let door = Door::default();
            let _late = door.open_late();
            let stage = door.clone();
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<Life>()
                .stage("only", Instances::new(instances), move |_| {
                    let door = stage.clone();
                    map(move |life| door.pass(life))
                })
                .start()
                .unwrap();
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                dispatcher.dispatch_all(panicking(&census, 20))
            }));
            assert!(unwound.is_err(), "the panic goes on in the caller");
            assert_eq!(pipeline.counters().stages[0].dispatched, 20);
            // And what comes after it comes behind those.
            dispatcher.dispatch(census.life()).unwrap();
            drop(dispatcher);
            door.open();
            let mut ids: Vec<_> = receiver.map(|life| life.id).collect();
            ids.sort_unstable();
            assert!(ids.into_iter().eq(0..21));
            pipeline.join().unwrap();
            census.is_over();
        }
    });
}

#[test]
fn what_the_iterator_of_run_gave_before_it_panicked_is_counted() {
    within(|| {
        for instances in [1, 2] {
            for workers in [1, 2] {
                let census = Census::default();
                let builder = Pure::builder::<Life>().workers(workers);
                let handle = builder.handle();
                let mut results = 0;
                let unwound = catch_unwind(AssertUnwindSafe(|| {
                    builder
                        .stage("only", Instances::new(instances), |_| {
                            map(|life: Life| life)
                        })
                        .run(panicking(&census, 20), |_| results += 1)
                }));
                assert!(unwound.is_err(), "the panic goes on in the caller");
                let only = &handle.counters().stages[0];
                assert_eq!(only.dispatched, 20, "{only:?}");
                assert_eq!(only.finished + only.dropped, 20, "{only:?}");
                assert!(results <= only.finished);
                census.is_over();
            }
        }
    });
}

/// What ends an executor, and from where.
#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Stop,
    Fail,
}

impl End {
    fn call(self, handle: &Handle<&'static str>) {
        match self {
            Self::Close => handle.close(),
            Self::Stop => handle.stop(),
            Self::Fail => drop(handle.set_err("enough")),
        }
    }
}

/// An iterator's job number `at` ends the executor before it is given, or another thread does about then.
fn ended(end: End, is_outside: bool, instances: usize, is_keyed: bool, capacity: usize, at: u64) {
    let builder = Pipeline::<&str>::builder::<u64>()
        .capacity(capacity)
        .workers(2);
    let handle = builder.handle();
    let taken = Arc::new(AtomicUsize::new(0));
    let (other, count) = (handle.clone(), Arc::clone(&taken));
    let outside = is_outside.then(|| {
        thread::spawn(move || {
            until(|| count.load(SeqCst) as u64 >= at);
            end.call(&other);
        })
    });
    let (own, count) = (handle.clone(), Arc::clone(&taken));
    let iterator = (0..).inspect(move |&nth| {
        if nth == at && !is_outside {
            end.call(&own);
        }
        count.fetch_add(1, SeqCst);
    });
    let mut results = 0;
    let init = |_: &Context| map(|job: u64| job);
    let answer = if is_keyed {
        let instances = Instances::new(instances).keyed(|job: &u64| *job);
        builder
            .stage("only", instances, init)
            .run(iterator, |_| results += 1)
    } else {
        builder
            .stage("only", Instances::new(instances), init)
            .run(iterator, |_| results += 1)
    };
    if let Some(outside) = outside {
        outside.join().unwrap();
    }
    assert!(match end {
        End::Fail => matches!(answer, Err(RunError::Join(JoinError::Failed(_)))),
        End::Close | End::Stop => answer.is_ok(),
    });
    let taken = taken.load(SeqCst) as u64;
    let only = &handle.counters().stages[0];
    assert_eq!(only.dispatched, taken, "{only:?}");
    assert_eq!(only.finished + only.dropped, taken, "{only:?}");
    if !is_outside {
        assert_eq!(taken, at + 1, "nothing is asked of it once that is over");
    }
    if matches!(end, End::Close) {
        assert_eq!((results, only.dropped), (taken, 0), "{only:?}");
    }
}

#[test]
fn no_job_that_run_has_taken_is_lost_at_an_end() {
    within_steps(|step| {
        for end in [End::Close, End::Stop, End::Fail] {
            for is_outside in [false, true] {
                for (instances, is_keyed) in [(1, false), (2, false), (2, true)] {
                    for capacity in [1, 8, 1024] {
                        let of = (instances, is_keyed, capacity);
                        step.say(format!("{end:?}, outside: {is_outside}, {of:?}"));
                        for at in [0, 1, 70] {
                            ended(end, is_outside, instances, is_keyed, capacity, at);
                        }
                    }
                }
            }
        }
    });
}

/// A job that was taken and has found its key's ring full is in hand as the executor ends.
#[test]
fn a_job_that_run_has_in_hand_is_dispatched_before_the_end() {
    within_steps(|step| {
        for end in [End::Close, End::Stop, End::Fail] {
            step.say(format!("{end:?}"));
            let door = Door::default();
            let _late = door.open_late();
            let census = Census::default();
            let builder = Pipeline::<&str>::builder::<Life>().capacity(1);
            let handle = builder.handle();
            let (stage, other, lives) = (door.clone(), handle.clone(), census.clone());
            let ender = thread::spawn({
                let (door, census) = (door.clone(), census.clone());
                move || {
                    // One is in the stage, one in its ring; the third is in hand.
                    until(|| census.born() == 3);
                    door.reach(1);
                    end.call(&other);
                    door.open();
                }
            });
            let mut results = 0;
            let answer = builder
                .stage(
                    "only",
                    Instances::bound(core()).keyed(|_: &Life| 0),
                    move |_| {
                        let door = stage.clone();
                        map(move |life| door.pass(life))
                    },
                )
                .run(from_fn(|| Some(lives.life())), |_| results += 1);
            ender.join().unwrap();
            assert_eq!(answer.is_ok(), !matches!(end, End::Fail));
            let only = &handle.counters().stages[0];
            assert_eq!((only.dispatched, census.born()), (3, 3), "{only:?}");
            if matches!(end, End::Close) {
                assert_eq!((results, only.finished), (3, 3));
            } else {
                assert_eq!((only.finished, only.dropped), (1, 2), "{only:?}");
            }
            census.is_over();
        }
    });
}

/// The only job that an ended `dispatch_all` has taken and not dispatched is in its error.
#[test]
fn what_dispatch_all_has_taken_is_accepted_or_comes_back() {
    within(|| {
        for first in FIRST {
            for at in [0, 1, 100] {
                let (handle, sealed) = two_stages(first, 1024, 1, |_| map(|job: u64| job));
                let (mut dispatcher, pipeline) = sealed.start().unwrap();
                let mut taken = 0;
                let cut_short = dispatcher
                    .dispatch_all((0..).inspect(|&nth| {
                        if nth == at {
                            handle.close();
                        }
                        taken += 1;
                    }))
                    .unwrap_err();
                assert_eq!(cut_short.accepted as u64, at);
                assert_eq!(cut_short.refused, DispatchError::Closed(at));
                assert_eq!(taken, at + 1);
                let report = pipeline.join().unwrap();
                assert_eq!(report.counters.stages[0].finished, at);
            }
        }
    });
}

/// Whatever kind of ring it goes into, and however little fits.
#[test]
fn a_batch_is_dispatched_whole_and_in_order() {
    within_steps(|step| {
        const JOBS: u64 = 50; // In each batch.
        for capacity in [1, 2, 3, 64, 1000] {
            for is_many in [false, true] {
                step.say(format!("{capacity}, many: {is_many}"));
                let builder = Pure::builder::<u64>().capacity(capacity);
                let only = |_: &Context| map(|job: u64| job);
                let feed = |mut dispatch: Box<dyn FnMut(&mut VecDeque<u64>) + Send>| {
                    thread::spawn(move || {
                        let mut batch = VecDeque::new();
                        for nth in 0..3 {
                            batch.extend(JOBS * nth..JOBS * (nth + 1));
                            dispatch(&mut batch);
                            assert!(batch.is_empty(), "what was accepted is taken out");
                        }
                    })
                };
                let (feeder, receiver, pipeline) = if is_many {
                    let builder = builder.many_dispatchers();
                    let (mut dispatcher, receiver, pipeline) = builder
                        .stage("only", Instances::new(1), only)
                        .start()
                        .unwrap();
                    let feeder = feed(Box::new(move |batch| {
                        dispatcher.dispatch_batch(batch).unwrap();
                    }));
                    (feeder, receiver, pipeline)
                } else {
                    let (mut dispatcher, receiver, pipeline) = builder
                        .stage("only", Instances::new(1), only)
                        .start()
                        .unwrap();
                    let feeder = feed(Box::new(move |batch| {
                        dispatcher.dispatch_batch(batch).unwrap();
                    }));
                    (feeder, receiver, pipeline)
                };
                assert!(receiver.eq(0..3 * JOBS));
                feeder.join().unwrap();
                pipeline.join().unwrap();
            }
        }
    });
}

/// What does not fit waits, and learns why it is refused; it stays where it was.
#[test]
fn a_batch_that_is_refused_keeps_the_rest() {
    within_steps(|step| {
        for first in FIRST {
            for end in ["closed", "stopped"] {
                step.say(format!("{first:?}, {end}"));
                let door = Door::default();
                let _late = door.open_late();
                let stage = door.clone();
                let (handle, sealed) = two_stages(first, 3, 1, move |_| {
                    let door = stage.clone();
                    map(move |job| door.pass(job))
                });
                let (mut dispatcher, pipeline) = sealed.start().unwrap();
                let feeder = thread::spawn(move || {
                    // All of one key.
                    let mut batch: VecDeque<_> = (0..100).map(|job| 2 * job).collect();
                    let refused = dispatcher.dispatch_batch(&mut batch).unwrap_err();
                    (refused, batch)
                });
                // One is inside, three wait, and the next waits for room.
                until(|| handle.counters().stages[0].dispatched == 4);
                let expected = if end == "closed" {
                    handle.close();
                    DispatchError::Closed(())
                } else {
                    handle.stop();
                    DispatchError::Stopped(())
                };
                let (refused, batch) = feeder.join().unwrap();
                assert_eq!(refused, expected);
                assert!(batch.into_iter().eq((4..100).map(|job| 2 * job)));
                door.open();
                pipeline.join().unwrap();
            }
        }
    });
}

/// Dispatches a batch of ten where three have room and nobody takes any; what is left of it, and what is run in the end.
fn overflowing(overflow: Overflow) -> (Result<(), DispatchError<()>>, VecDeque<u64>, Vec<u64>) {
    let door = Door::default();
    let _late = door.open_late();
    let stage = door.clone();
    let (mut dispatcher, receiver, pipeline): (Dispatcher<_, _>, _, _) = Pure::builder::<u64>()
        .capacity(3)
        .overflow(overflow)
        .stage("only", Instances::new(1), move |_| {
            let door = stage.clone();
            map(move |job| door.pass(job))
        })
        .start()
        .unwrap();
    dispatcher.dispatch(100).unwrap();
    door.reach(1);
    let mut batch = (0..10).collect();
    let answer = dispatcher.dispatch_batch(&mut batch);
    drop(dispatcher);
    door.open();
    let results = receiver.skip(1).collect();
    pipeline.join().unwrap();
    (answer, batch, results)
}

#[test]
fn a_batch_keeps_to_the_overflow_policy() {
    within(|| {
        let (answer, rest, results) = overflowing(Overflow::Refuse);
        assert_eq!(answer, Err(DispatchError::Full(())));
        assert!(rest.into_iter().eq(3..10) && results == [0, 1, 2]);
        let (answer, rest, results) = overflowing(Overflow::DropNewest);
        assert!(answer.is_ok() && rest.is_empty() && results == [0, 1, 2]);
        let (answer, rest, results) = overflowing(Overflow::DropOldest);
        assert!(answer.is_ok() && rest.is_empty());
        assert_eq!(results, [7, 8, 9]);
    });
}
