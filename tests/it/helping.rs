//! What workers do for one another: a duty whose home is held up is helped, and what slow jobs give is taken further at
//! once.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Count, Door, Gate, OpenLate, jobs, within};
use ringmill::stage::map;
use ringmill::{Idle, IdleStrategy, Instances, Pipeline, Step};

type Pure = Pipeline<Infallible>;

/// Stage "b" is held in a job. What comes meanwhile goes through "a", which is at home at the same worker.
#[test]
fn a_job_behind_a_home_that_is_held_up_is_helped_on() {
    for idle in [Idle::backoff(), Idle::parking(), Idle::yielding()] {
        for workers in [2, 3] {
            let idle = idle.clone();
            within(move || {
                let (passed, doors) = (Count::default(), Arc::new(Mutex::new(None::<Door>)));
                let (counted, held) = (passed.clone(), Arc::clone(&doors));
                let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                    .workers(workers)
                    .idle(idle)
                    .stage("a", Instances::new(1), move |_| {
                        let counted = counted.clone();
                        map(move |x: u64| {
                            counted.add(1);
                            x
                        })
                    })
                    .stage("b", Instances::new(1), move |_| {
                        let held = Arc::clone(&held);
                        map(move |x: u64| {
                            let door = held.lock().unwrap().take();
                            door.map_or(x, |door| door.pass(x))
                        })
                    })
                    .stage("c", Instances::new(1), |_| map(|x: u64| x))
                    .start()
                    .unwrap();
                for round in 0..jobs(30) as usize {
                    let door = Door::default();
                    let _late = door.open_late();
                    *doors.lock().unwrap() = Some(door.clone());
                    dispatcher.dispatch(1).unwrap();
                    door.reach(1);
                    dispatcher.dispatch(2).unwrap();
                    passed.reach(2 * round + 2);
                    door.open();
                    assert_eq!([receiver.receive(), receiver.receive()], [Some(1), Some(2)]);
                }
                dispatcher.done();
                pipeline.join().unwrap();
            });
        }
    }
}

/// The home of "a" is asleep, or has lost its core, or spins in a strategy of the user's: the others take over.
#[test]
fn a_home_that_is_held_up_between_two_polls_is_helped() {
    /// Holds its worker up in `idle`, where no poll is.
    struct Held(Option<Door>);
    impl IdleStrategy for Held {
        fn idle(&mut self) -> Step {
            if let Some(door) = self.0.take() {
                door.pass(());
            }
            Step::Yield
        }
        fn reset(&mut self) {}
    }

    within(|| {
        let door = Door::default();
        let _late = door.open_late();
        let strategies = Mutex::new(0);
        let held = door.clone();
        // The third one that is made is a worker's: the first two are those of the ends.
        let idle = Idle::custom(move || {
            let mut made = strategies.lock().unwrap();
            *made += 1;
            Held((*made == 3).then(|| held.clone()))
        });
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .workers(2)
            .idle(idle)
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .stage("b", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        door.reach(1);
        for job in 0..jobs(100) {
            dispatcher.dispatch(job).unwrap();
            assert_eq!(receiver.receive(), Some(job));
        }
        door.open();
        dispatcher.done();
        pipeline.join().unwrap();
    });
}

/// One worker, two instances of slow jobs: a job's result is handled before the next slow job begins.
#[test]
fn the_result_of_a_slow_job_is_taken_further_at_once() {
    within(|| {
        let log = Arc::new(Mutex::new(String::new()));
        let (slow, next) = (Arc::clone(&log), Arc::clone(&log));
        let gate = Gate::default();
        let _late = OpenLate(gate.clone());
        let held = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .workers(1)
            .stage("a", Instances::new(2), move |_| {
                let (slow, held) = (Arc::clone(&slow), held.clone());
                map(move |x: u64| {
                    held.pass();
                    thread::sleep(Duration::from_millis(1)); // Its work.
                    slow.lock().unwrap().push('a');
                    x
                })
            })
            .stage("b", Instances::new(1), move |_| {
                let next = Arc::clone(&next);
                map(move |x: u64| {
                    next.lock().unwrap().push('b');
                    x
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..20).unwrap();
        dispatcher.done();
        gate.open();
        assert_eq!(receiver.count(), 20);
        pipeline.join().unwrap();
        let log = log.lock().unwrap();
        // All but now and then, where the worker looks at everything: without it, each second time.
        assert!(log.matches("aa").count() <= 4, "{log}");
    });
}
