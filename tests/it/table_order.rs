//! The calls of the table in any order, any number of times, from anywhere; and every way of waiting.

use std::convert::Infallible;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::common::plant::{At, Case, Exit, Fate, Mouth, Plant, Refusal, Shape};
use crate::common::{Count, Gate, OpenLate, Threads, until, within, within_steps};
use ringmill::stage::map;
use ringmill::{
    DispatchError, Fault, Handle, Idle, Instances, JoinError, Pipeline, ReceiveTimeoutError,
    TryReceiveError,
};

fn case(capacity: usize) -> Case {
    Case {
        shape: Shape::Single,
        capacity,
        at: At::A,
        idle: Idle::parking(),
    }
}

/// A plant with a job inside that waits at the gate.
fn held(capacity: usize) -> (Plant, Mouth, Exit, Pipeline<String>, Gate) {
    let (plant, mut mouth, exit, pipeline) = Plant::start(&case(capacity));
    let gate = Gate::default();
    let wait = Fate::Wait(gate.clone(), Box::default());
    mouth.dispatch(plant.item(wait)).unwrap();
    plant.began.reach(1);
    (plant, mouth, exit, pipeline, gate)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Done,
    Close,
    DropReceiver,
    Stop,
    SetErr,
}

impl Call {
    const ALL: [Self; 5] = [
        Self::Done,
        Self::Close,
        Self::DropReceiver,
        Self::Stop,
        Self::SetErr,
    ];

    fn refusal(self) -> Refusal {
        match self {
            Self::Done | Self::Close | Self::DropReceiver => Refusal::Closed,
            Self::Stop => Refusal::Stopped,
            Self::SetErr => Refusal::Failed,
        }
    }

    /// Makes the call and says whether an error was given back.
    fn make(self, handle: &Handle<String>, mouth: &Mouth, exit: &mut Option<Exit>) -> bool {
        match self {
            Self::Done => mouth.done(),
            Self::Close => handle.close(),
            Self::DropReceiver => *exit = None,
            Self::Stop => handle.stop(),
            Self::SetErr => return handle.set_err("set".to_string()).is_err(),
        }
        false
    }
}

/// All orders of `calls`.
fn orders(calls: &[Call]) -> Vec<Vec<Call>> {
    if calls.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (nth, &first) in calls.iter().enumerate() {
        let mut others = calls.to_vec();
        others.remove(nth);
        for mut order in orders(&others) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

#[test]
fn the_strongest_call_wins_in_any_order_and_repeated() {
    within_steps(|step| {
        for order in orders(&Call::ALL) {
            step.say(format!("{order:?}"));
            let (plant, mut mouth, exit, pipeline, gate) = held(2);
            let _late = OpenLate(gate.clone());
            let mut exit = Some(exit);
            let mut strongest = Call::Done;
            let mut suppressed = 0;
            for call in order {
                for _ in 0..2 {
                    suppressed += usize::from(call.make(&plant.handle, &mouth, &mut exit));
                    strongest = strongest.max(call);
                    let item = plant.item(Fate::Pass);
                    let id = item.id();
                    let refused = mouth.dispatch(item).unwrap_err();
                    assert_eq!(Refusal::of(refused, id), strongest.refusal());
                    assert!(plant.handle.is_closed() && !plant.handle.is_finished());
                    assert_eq!(plant.handle.is_stopped(), strongest > Call::Close);
                    assert_eq!(plant.handle.err().is_some(), strongest == Call::SetErr);
                    assert_eq!(mouth.err().is_some(), strongest == Call::SetErr);
                    assert_eq!(plant.handle.suppressed(), suppressed);
                }
            }
            assert_eq!(suppressed, 1);
            gate.open();
            let Err(JoinError::Failed(fault)) = pipeline.join() else {
                panic!("it failed");
            };
            assert!(matches!(&*fault, Fault::Set(error) if error == "set"));
            assert_eq!(plant.threads.alive(), 0);
            drop((mouth, exit));
            plant.census.is_over();
        }
    });
}

#[test]
fn from_many_threads_at_once() {
    within(|| {
        for _ in 0..50 {
            let (plant, mouth, exit, pipeline, gate) = held(8);
            let _late = OpenLate(gate.clone());
            let flood = plant.flood(mouth.clone(), &Count::default());
            let start = Arc::new(Barrier::new(Call::ALL.len()));
            let mut exit = Some(exit);
            let callers: Vec<_> = Call::ALL
                .into_iter()
                .map(|call| {
                    let (handle, mouth, start) =
                        (plant.handle.clone(), mouth.clone(), start.clone());
                    let mut exit = exit.take_if(|_| call == Call::DropReceiver);
                    thread::spawn(move || {
                        start.wait();
                        let given_back = (0..10)
                            .filter(|_| call.make(&handle, &mouth, &mut exit))
                            .count();
                        assert_eq!(given_back, if call == Call::SetErr { 9 } else { 0 });
                    })
                })
                .collect();
            for caller in callers {
                caller.join().unwrap();
            }
            let (accepted, _) = flood.join().unwrap();
            gate.open();
            assert!(matches!(pipeline.join(), Err(JoinError::Failed(_))));
            assert_eq!(plant.handle.suppressed(), 9);
            let a = plant.stage("a");
            assert_eq!((a.finished, a.dropped), (1, accepted.len() as u64));
            drop(mouth);
            plant.census.is_over();
        }
    });
}

#[test]
fn from_inside_a_job() {
    within_steps(|step| {
        for order in orders(&[Call::Close, Call::Stop, Call::SetErr]) {
            for capacity in [1, 1024] {
                step.say(format!("{order:?} {capacity}"));
                let (plant, mut mouth, exit, pipeline) = Plant::start(&case(capacity));
                let (handle, inner, order) = (plant.handle.clone(), mouth.clone(), order.clone());
                let call = move || {
                    for call in order {
                        for _ in 0..2 {
                            call.make(&handle, &inner, &mut None);
                        }
                    }
                };
                let item = plant.item(Fate::Call(Box::new(call)));
                mouth.dispatch(item).unwrap();
                let flood = plant.flood(mouth, &Count::default());
                let taker = thread::spawn(move || exit.count());
                let (_, refusal) = flood.join().unwrap();
                assert!(matches!(
                    refusal,
                    Refusal::Closed | Refusal::Stopped | Refusal::Failed
                ));
                assert!(matches!(pipeline.join(), Err(JoinError::Failed(_))));
                assert_eq!(plant.handle.suppressed(), 1);
                taker.join().unwrap();
                plant.census.is_over();
            }
        }
    });
}

#[test]
fn after_the_end_every_call_is_without_effect() {
    within(|| {
        let (plant, mut mouth, exit, pipeline) = Plant::start(&case(4));
        mouth.dispatch(plant.item(Fate::Pass)).unwrap();
        mouth.done();
        assert_eq!(exit.count(), 1);
        let report = pipeline.join().unwrap();
        let handle = &plant.handle;
        for _ in 0..2 {
            assert_eq!(handle.set_err("late".to_string()), Err("late".to_string()));
            handle.close();
            handle.stop();
            mouth.done();
            assert!(handle.is_finished() && handle.err().is_none() && mouth.err().is_none());
            assert_eq!(handle.suppressed(), 0);
            assert_eq!(handle.counters(), report.counters);
            assert_eq!(handle.counters().active(), 0);
        }
    });
}

/// Either it is the error that wins or the end, for everybody.
#[test]
fn an_error_against_the_natural_end() {
    within(|| {
        let mut failed = 0;
        for round in 0..300 {
            let (plant, mut mouth, exit, pipeline) = Plant::start(&case(4));
            mouth.dispatch(plant.item(Fate::Pass)).unwrap();
            mouth.done();
            let handle = plant.handle.clone();
            let setter = thread::spawn(move || {
                let has_run = || handle.counters().stage("a").unwrap().finished > 0;
                until(|| round % 3 == 0 || has_run());
                handle.set_err("late".to_string())
            });
            let received = exit.count();
            let set = setter.join().unwrap();
            match pipeline.join() {
                Ok(_) => assert_eq!((set, received), (Err("late".to_string()), 1)),
                Err(JoinError::Failed(fault)) => {
                    failed += 1;
                    assert!(set.is_ok() && matches!(&*fault, Fault::Set(_)));
                }
                Err(other) => panic!("{other:?}"),
            }
            assert_eq!(plant.handle.suppressed(), 0);
        }
        eprintln!("{failed} of 300 failed");
    });
}

#[test]
fn before_the_start() {
    within_steps(|step| {
        for cores in [None, Some([ringmill::allowed_cores()[0]])] {
            for call in [Call::Close, Call::Stop, Call::SetErr] {
                step.say(format!("{cores:?} {call:?}"));
                let threads = Threads::default();
                let instances = cores.map(Instances::bound);
                let builder = Pipeline::<String>::builder::<u64>()
                    .on_spawn(threads.hook())
                    .idle(Idle::parking());
                let handle = builder.handle();
                match call {
                    Call::Close => handle.close(),
                    Call::Stop => handle.stop(),
                    _ => handle.set_err("early".to_string()).unwrap(),
                }
                let (mut mouth, mut exit, pipeline) = match instances {
                    None => builder
                        .stage("a", Instances::new(1), |_| map(|x: u64| x))
                        .start()
                        .unwrap(),
                    Some(bound) => builder
                        .stage("a", bound, |_| map(|x: u64| x))
                        .start()
                        .unwrap(),
                };
                let refused = mouth.dispatch(1).unwrap_err();
                assert!(match call {
                    Call::Close => matches!(refused, DispatchError::Closed(1)),
                    Call::Stop => matches!(refused, DispatchError::Stopped(1)),
                    _ => matches!(refused, DispatchError::Failed(1)),
                });
                assert_eq!(exit.receive(), None);
                assert_eq!(pipeline.join().is_err(), call == Call::SetErr);
                assert_eq!(threads.alive(), 0);
            }
        }
    });
}

/// Four dispatchers on a full ring, four receivers on an empty one: each call frees them all.
#[test]
fn all_that_wait_are_released() {
    type Release = fn(&Handle<Infallible>);
    let releases: [Release; 2] = [Handle::close, Handle::stop];
    within(move || {
        for (nth, release) in releases.into_iter().enumerate() {
            for capacity in [1, 1024] {
                let gate = Gate::default();
                let _late = OpenLate(gate.clone());
                let began = Count::default();
                let (inside, door) = (began.clone(), gate.clone());
                let (mut mouth, exit, pipeline) = Pipeline::<Infallible>::builder::<u64>()
                    .many_dispatchers()
                    .many_receivers()
                    .capacity(capacity)
                    .idle(Idle::parking())
                    .stage("a", Instances::new(1), move |_| {
                        let (inside, door) = (inside.clone(), door.clone());
                        map(move |x: u64| {
                            inside.add(1);
                            door.pass();
                            x
                        })
                    })
                    .start()
                    .unwrap();
                mouth.dispatch(0).unwrap();
                began.reach(1);
                mouth.dispatch_all(0..capacity as u64).unwrap();
                let dispatchers: Vec<_> = (0..4)
                    .map(|nth| {
                        let mut mouth = mouth.clone();
                        thread::spawn(move || match nth {
                            0 | 1 => mouth.dispatch(7).unwrap_err(),
                            2 => mouth.dispatch_timeout(7, Duration::MAX).unwrap_err(),
                            _ => mouth.dispatch_all([7, 8]).unwrap_err().refused,
                        })
                    })
                    .collect();
                let receivers: Vec<_> = (0..4)
                    .map(|nth| {
                        let mut exit = exit.clone();
                        thread::spawn(move || {
                            let mut all = Vec::new();
                            match nth {
                                0 => all.extend(exit),
                                1 => while exit.receive_many(&mut all, 3) > 0 {},
                                2 => {
                                    while let Ok(one) = exit.receive_timeout(Duration::MAX) {
                                        all.push(one);
                                    }
                                    let done = exit.receive_timeout(Duration::ZERO);
                                    assert_eq!(done, Err(ReceiveTimeoutError::Done));
                                }
                                _ => until(|| match exit.try_receive() {
                                    Ok(one) => {
                                        all.push(one);
                                        false
                                    }
                                    Err(end) => end == TryReceiveError::Done,
                                }),
                            }
                            all.len()
                        })
                    })
                    .collect();
                release(&pipeline);
                for dispatcher in dispatchers {
                    let refused = dispatcher.join().unwrap();
                    assert!(match nth {
                        0 => matches!(refused, DispatchError::Closed(7)),
                        _ => matches!(refused, DispatchError::Stopped(7)),
                    });
                }
                gate.open();
                let received: usize = receivers.into_iter().map(|r| r.join().unwrap()).sum();
                assert_eq!(received, if nth == 0 { capacity + 1 } else { 1 });
                drop(exit);
                pipeline.join().unwrap();
            }
        }
    });
}

/// One clone of two says `done`; one is dropped and the other goes on.
#[test]
fn done_is_for_all_and_a_drop_for_the_last() {
    within(|| {
        let (plant, mut one, exit, pipeline) = Plant::start(&case(4));
        let mut two = one.clone();
        drop(one.clone());
        one.dispatch(plant.item(Fate::Pass)).unwrap();
        two.dispatch(plant.item(Fate::Pass)).unwrap();
        drop(two.clone());
        two.done();
        two.done();
        for mouth in [&mut one, &mut two] {
            let item = plant.item(Fate::Pass);
            let id = item.id();
            let refused = mouth.dispatch(item).unwrap_err();
            assert_eq!(Refusal::of(refused, id), Refusal::Closed);
        }
        assert_eq!(exit.count(), 2);
        pipeline.join().unwrap();
    });
}

/// A dispatcher that waits for a full lane, while another lane has room.
#[test]
fn waiting_for_one_lane_of_a_keyed_stage() {
    within(|| {
        for idle in [Idle::backoff(), Idle::parking(), Idle::yielding()] {
            for release in 0..3 {
                let gate = Gate::default();
                let _late = OpenLate(gate.clone());
                let door = gate.clone();
                let began = Count::default();
                let inside = began.clone();
                let (mut mouth, exit, pipeline) = Pipeline::<Infallible>::builder::<u64>()
                    .capacity(1)
                    .workers(2)
                    .idle(idle.clone())
                    .stage("a", Instances::new(2).keyed(|_: &u64| 0), move |_| {
                        let (inside, door) = (inside.clone(), door.clone());
                        map(move |x: u64| {
                            inside.add(1);
                            door.pass();
                            x
                        })
                    })
                    .start()
                    .unwrap();
                mouth.dispatch(0).unwrap();
                began.reach(1);
                mouth.dispatch(1).unwrap();
                let taker = thread::spawn(move || exit.collect::<Vec<_>>());
                let waiter = thread::spawn(move || mouth.dispatch(2));
                match release {
                    0 => gate.open(),
                    1 => pipeline.close(),
                    _ => pipeline.stop(),
                }
                let answer = waiter.join().unwrap();
                assert!(match release {
                    0 => answer.is_ok(),
                    1 => matches!(answer, Err(DispatchError::Closed(2))),
                    _ => matches!(answer, Err(DispatchError::Stopped(2))),
                });
                gate.open();
                let received = taker.join().unwrap();
                let all = [vec![0, 1, 2], vec![0, 1], vec![0]];
                assert_eq!(received, all[release]);
                pipeline.join().unwrap();
            }
        }
    });
}

/// `_` drops what it is given at once: the pipeline has stopped before the first dispatch.
#[test]
fn the_trap_of_the_underscore() {
    within(|| {
        let threads = Threads::default();
        let (mut mouth, mut exit, _) = Pipeline::<Infallible>::builder::<u64>()
            .on_spawn(threads.hook())
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        assert_eq!((threads.ever(), threads.alive()), (1, 0));
        assert!(matches!(mouth.dispatch(1), Err(DispatchError::Stopped(1))));
        assert_eq!(exit.receive(), None);
        assert_eq!(exit.try_receive(), Err(TryReceiveError::Done));
    });
}
