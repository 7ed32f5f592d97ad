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

/// Jobs were short so far, and several are taken at once. The result of one is there although the next one turns out long.
#[test]
fn a_result_does_not_wait_for_the_next_job() {
    /// Holds its worker up when it is told to.
    struct Held(Arc<Mutex<Option<Door>>>);
    impl IdleStrategy for Held {
        fn idle(&mut self) -> Step {
            let door = self.0.lock().unwrap().take();
            if let Some(door) = door {
                door.pass(());
            }
            Step::Yield
        }
        fn reset(&mut self) {}
    }

    within(|| {
        let holds: Arc<Mutex<Option<Door>>> = Arc::default();
        let (made, hold) = (Mutex::new(0), Arc::clone(&holds));
        // The strategies of the ends are made first, and hold nobody up.
        let idle = Idle::custom(move || {
            let mut made = made.lock().unwrap();
            *made += 1;
            Held(if *made > 2 {
                Arc::clone(&hold)
            } else {
                Arc::default()
            })
        });
        let long = Door::default();
        let _late = long.open_late();
        let held = long.clone();
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .workers(1)
            .idle(idle)
            .stage("a", Instances::new(1), move |_| {
                let held = held.clone();
                map(move |x: u64| match x {
                    // Some hundred nanoseconds.
                    0 => {
                        let _spun: i32 = (0..300).map(std::hint::black_box).sum();
                        0
                    }
                    1 => x,
                    _ => held.pass(x),
                })
            })
            .start()
            .unwrap();
        let warm = 20 * 500;
        for _ in 0..20 {
            dispatcher
                .dispatch_all(std::iter::repeat_n(0, 500))
                .unwrap();
            for _ in 0..500 {
                assert_eq!(receiver.receive(), Some(0));
            }
        }
        let idle = Door::default();
        let _idle = idle.open_late();
        *holds.lock().unwrap() = Some(idle.clone());
        idle.reach(1);
        dispatcher.dispatch_all([1, 2]).unwrap();
        idle.open();
        long.reach(1);
        assert_eq!(receiver.receive(), Some(1));
        long.open();
        dispatcher.done();
        assert_eq!(receiver.receive(), Some(2));
        let report = pipeline.join().unwrap();
        assert_eq!(report.counters.stages[0].finished, warm + 2);
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
