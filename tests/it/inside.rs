//! Calls from inside a job: none of them waits for the executor that the job belongs to.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::common::{Count, Gate, OpenLate, Threads, within, within_steps};
use ringmill::stage::map;
use ringmill::{
    Context, DispatchError, Dispatcher, FailFast, Idle, Instances, JoinError, Many, Pipeline,
    ReceiveTimeoutError, Receiver, TryReceiveError, allowed_cores,
};

/// Something that a job is to find: put there after the start.
type Slot<T> = Arc<Mutex<Option<T>>>;

fn put<T>(slot: &Slot<T>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn take<T>(slot: &Slot<T>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a job does with the executor's own ends.
type Job = Box<dyn FnOnce() -> u32 + Send>;
type Mouth = Dispatcher<Job, String, FailFast, Many>;
type Exit = Receiver<u32, String>;

#[derive(Clone, Copy, Debug)]
enum Place {
    Floating,
    Bound,
    Fused,
    /// Two instances on one worker.
    Shared,
}

const PLACES: [Place; 4] = [Place::Floating, Place::Bound, Place::Fused, Place::Shared];

fn start(place: Place, capacity: usize, threads: &Threads) -> (Mouth, Exit, Pipeline<String>) {
    let call = |_: &Context| map(|job: Job| job());
    let builder = Pipeline::<String>::builder::<Job>()
        .many_dispatchers()
        .capacity(capacity)
        .workers(1)
        .idle(Idle::parking())
        .on_spawn(threads.hook());
    match place {
        Place::Floating => builder.stage("a", Instances::new(1), call).start(),
        Place::Bound => {
            let core = Instances::bound([allowed_cores()[0]]);
            builder.stage("a", core, call).start()
        }
        Place::Fused => {
            let builder = builder.stage("first", Instances::new(1), |_| map(|job: Job| job));
            builder.then("a", call).start()
        }
        Place::Shared => builder.stage("a", Instances::new(2), call).start(),
    }
    .unwrap()
}

/// Each place, with rings of 1 and 1024.
fn everywhere(test: impl Fn(Place, usize) + Send + 'static) {
    within_steps(move |step| {
        for place in PLACES {
            for capacity in [1, 1024] {
                step.say(format!("{place:?} {capacity}"));
                test(place, capacity);
            }
        }
    });
}

fn boxed(job: impl FnOnce() -> u32 + Send + 'static) -> Job {
    Box::new(job)
}

#[test]
fn dispatch_acts_as_try_dispatch() {
    everywhere(|place, capacity| {
        let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
        let mut own = mouth.clone();
        let job = boxed(move || {
            let mut accepted = 0;
            let refused = loop {
                match own.dispatch(boxed(|| 1)) {
                    Ok(()) => accepted += 1,
                    Err(refused) => break refused,
                }
            };
            assert!(refused.is_full() && matches!(refused, DispatchError::Full(_)));
            assert_eq!(refused.into_job()(), 1, "another job came back");
            let refused = own.dispatch_timeout(boxed(|| 1), Duration::MAX);
            assert!(matches!(refused, Err(DispatchError::Full(_))));
            let refused = own.dispatch_all([boxed(|| 1), boxed(|| 1)]).unwrap_err();
            assert_eq!(refused.accepted, 0);
            assert!(matches!(refused.refused, DispatchError::Full(_)));
            let mut batch = [boxed(|| 1), boxed(|| 1)].into();
            let refused = own.dispatch_batch(&mut batch);
            assert_eq!((refused, batch.len()), (Err(DispatchError::Full(())), 2));
            own.done();
            accepted
        });
        mouth.dispatch(job).unwrap();
        let mut results: Vec<u32> = exit.collect();
        // Its own slot was given back when it began. The results of two instances have no order.
        results.sort_unstable();
        assert_eq!(results.pop(), Some(u32::try_from(capacity).unwrap()));
        assert_eq!(results, vec![1; capacity]);
        pipeline.join().unwrap();
    });
}

/// A job that makes its successors: a loop through the executor's own mouth.
#[test]
fn jobs_can_dispatch_jobs() {
    fn countdown(left: u32, mut own: Mouth) -> Job {
        boxed(move || {
            if left == 0 {
                own.done();
            } else {
                let next = countdown(left - 1, own.clone());
                assert!(own.dispatch(next).is_ok());
            }
            left
        })
    }
    everywhere(|place, capacity| {
        let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
        let first = countdown(1000, mouth.clone());
        mouth.dispatch(first).unwrap();
        let mut results: Vec<u32> = exit.collect();
        results.sort_unstable(); // Two instances have no order.
        assert!(results.into_iter().eq(0..=1000));
        pipeline.join().unwrap();
    });
}

#[test]
fn receive_acts_as_try_receive() {
    everywhere(|place, capacity| {
        let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
        let mut own = Some(exit);
        let back: Slot<Exit> = Slot::default();
        let given = back.clone();
        let mut exit = own.take().unwrap();
        let job = boxed(move || {
            assert_eq!(exit.receive(), None);
            assert_eq!(exit.try_receive(), Err(TryReceiveError::Empty));
            let timeout = exit.receive_timeout(Duration::MAX);
            assert_eq!(timeout, Err(ReceiveTimeoutError::Timeout));
            let mut many = Vec::new();
            assert_eq!(exit.receive_many(&mut many, 3), 0);
            put(&given, exit);
            7
        });
        mouth.dispatch(job).unwrap();
        mouth.done();
        let report = pipeline.join();
        // The end comes once the only result is in its ring.
        assert!(report.is_ok());
        let exit = take(&back).unwrap();
        assert_eq!(exit.collect::<Vec<_>>(), [7]);
    });
}

/// A result that is there is received inside a job as well.
#[test]
fn receive_takes_what_is_there() {
    within(|| {
        let (mut mouth, mut exit, pipeline) = start(Place::Floating, 8, &Threads::default());
        mouth.dispatch(boxed(|| 5)).unwrap();
        mouth
            .dispatch(boxed(move || {
                assert_eq!(exit.receive(), Some(5));
                0
            }))
            .unwrap();
        // Its end takes the receiver along: the executor stops.
        pipeline.join().unwrap();
        assert!(matches!(
            mouth.dispatch(boxed(|| 0)),
            Err(DispatchError::Closed(_))
        ));
    });
}

#[test]
fn join_is_an_error() {
    everywhere(|place, capacity| {
        for way in 0..3 {
            let threads = Threads::default();
            let (mut mouth, exit, pipeline) = start(place, capacity, &threads);
            let handle = pipeline.handle();
            let slot: Slot<Exit> = Slot::default();
            let exits = slot.clone();
            let job = boxed(move || {
                let joined = match way {
                    0 => pipeline.join(),
                    1 => pipeline.join_timeout(Duration::MAX).unwrap(),
                    _ => pipeline.join_into(take(&exits).unwrap(), drop),
                };
                assert!(matches!(joined, Err(JoinError::InsideJob)));
                1
            });
            let exit = if way == 2 {
                put(&slot, exit);
                None
            } else {
                Some(exit)
            };
            mouth.dispatch(job).unwrap();
            threads.wait_gone();
            assert!(handle.is_finished() && handle.is_stopped() && handle.err().is_none());
            assert!(exit.is_none_or(|exit| exit.eq([1])));
            let refused = mouth.dispatch(boxed(|| 0));
            assert!(matches!(refused, Err(DispatchError::Stopped(_))));
        }
    });
}

#[test]
fn a_dropped_pipeline_only_stops() {
    everywhere(|place, capacity| {
        let threads = Threads::default();
        let (mut mouth, exit, pipeline) = start(place, capacity, &threads);
        let gate = Gate::default();
        let _late = OpenLate(gate.clone());
        let (door, dropped) = (gate.clone(), Count::default());
        let said = dropped.clone();
        let job = boxed(move || {
            drop(pipeline);
            said.add(1);
            door.pass();
            1
        });
        mouth.dispatch(job).unwrap();
        // The drop has come back while its job goes on.
        dropped.reach(1);
        let refused = mouth.dispatch(boxed(|| 0));
        assert!(matches!(refused, Err(DispatchError::Stopped(_))));
        assert_eq!(threads.alive(), 1);
        gate.open();
        assert!(exit.eq([1]));
        threads.wait_gone();
    });
}

#[test]
fn s_b5_stop_close_and_set_err() {
    everywhere(|place, capacity| {
        for call in 0..3 {
            let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
            let handle = pipeline.handle();
            let mut own = mouth.clone();
            let job = boxed(move || {
                for _ in 0..2 {
                    match call {
                        0 => handle.close(),
                        1 => handle.stop(),
                        _ => drop(handle.set_err("inside".to_string())),
                    }
                }
                let refused = own.dispatch(boxed(|| 0));
                assert!(match call {
                    0 => matches!(refused, Err(DispatchError::Closed(_))),
                    1 => matches!(refused, Err(DispatchError::Stopped(_))),
                    _ => matches!(refused, Err(DispatchError::Failed(_))),
                });
                1
            });
            mouth.dispatch(job).unwrap();
            assert_eq!(exit.collect::<Vec<_>>(), [1]);
            assert_eq!(pipeline.join().is_err(), call == 2);
        }
    });
}

/// The ends dropped inside a job: the last dispatcher closes, the last receiver stops.
#[test]
fn dropped_ends() {
    everywhere(|place, capacity| {
        let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
        let own = mouth.clone();
        mouth
            .dispatch(boxed(move || {
                drop(own);
                1
            }))
            .unwrap();
        drop(mouth);
        assert!(exit.eq([1]));
        pipeline.join().unwrap();

        let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
        let mut own = mouth.clone();
        mouth
            .dispatch(boxed(move || {
                drop(exit);
                assert!(matches!(
                    own.dispatch(boxed(|| 0)),
                    Err(DispatchError::Closed(_))
                ));
                1
            }))
            .unwrap();
        pipeline.join().unwrap();
    });
}

/// Another executor's jobs are outside: there, everything waits as usual.
#[test]
fn another_executor_waits() {
    within(|| {
        let (gate, began) = (Gate::default(), Count::default());
        let _late = OpenLate(gate.clone());
        let (mut inner, inner_exit, inner_pipeline) =
            start(Place::Floating, 2, &Threads::default());
        let (mut outer, outer_exit, outer_pipeline) =
            start(Place::Floating, 1, &Threads::default());
        let (door, inside) = (gate.clone(), began.clone());
        inner
            .dispatch(boxed(move || {
                inside.add(1);
                door.pass();
                1
            }))
            .unwrap();
        began.reach(1);
        inner.dispatch(boxed(|| 2)).unwrap();
        inner.dispatch(boxed(|| 2)).unwrap();
        let said = Count::default();
        let says = said.clone();
        outer
            .dispatch(boxed(move || {
                says.add(1);
                // No room before the gate opens.
                inner.dispatch(boxed(|| 3)).unwrap();
                inner.done();
                let received: Vec<u32> = inner_exit.collect();
                inner_pipeline.join().unwrap();
                received.iter().sum()
            }))
            .unwrap();
        said.reach(1);
        let opener = thread::spawn(move || gate.open());
        outer.done();
        assert!(outer_exit.eq([8]));
        outer_pipeline.join().unwrap();
        opener.join().unwrap();
    });
}

/// A whole pipeline, made, run and dropped inside a job of another.
#[test]
fn a_pipeline_inside_a_job() {
    everywhere(|place, capacity| {
        let (mut mouth, exit, pipeline) = start(place, capacity, &Threads::default());
        mouth
            .dispatch(boxed(move || {
                let mut sum = 0;
                Pipeline::<String>::builder::<u32>()
                    .workers(2)
                    .capacity(capacity)
                    .stage("in", Instances::new(2), |_| map(|x: u32| x * 2))
                    .run(0..100, |x| sum += x)
                    .unwrap();
                let (mut mouth, exit, inner) = Pipeline::<String>::builder::<u32>()
                    .stage("in", Instances::new(1), |_| map(|x: u32| x))
                    .start()
                    .unwrap();
                mouth.dispatch(sum).unwrap();
                drop((exit, inner));
                sum
            }))
            .unwrap();
        mouth.done();
        assert!(exit.eq([9900]));
        pipeline.join().unwrap();
    });
}
