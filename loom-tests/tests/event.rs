//! Models of sleeping and waking: every party that parks, against everything that must wake it. A wake that
//! is lost is a deadlock, which loom reports.

#![cfg(loom)]

use std::sync::Arc;

use loom::sync::Arc as LoomArc;
use ringmill::model::{Event, Executor, Lot, Rx, Tx, has_published, has_room, set_error};
use ringmill::ring::{mpmc, spsc};
use ringmill::{DispatchError, Handle};
use ringmill_loom_tests::{Plot, Scene, model, ring_model};

/// Somebody waits for an item. Who was woken sees what the waker did, without looking further.
#[test]
fn push_wakes() {
    ring_model(
        "event::push_wakes",
        20,
        &["called", "not called", "popped at once"],
        |scene| {
            let plot = Plot::new();
            let event = Arc::new(Event::new());
            let (tx, rx) = mpmc::ring_at(1, scene.start).unwrap();
            let (waker, place) = (event.clone(), plot.clone());
            let producer = scene.spawn(move |_| {
                place.set(1);
                tx.try_push(7).unwrap();
                waker.notify();
                tx
            });
            scene.enter();
            let mut said = "popped at once";
            let item = loop {
                if let Some(item) = rx.try_pop() {
                    break item;
                }
                said = "not called";
                if event.sleep(|| has_published(&rx)) {
                    assert_eq!(plot.get(), 1, "woken, and the reason is not to be seen");
                    said = "called";
                }
            };
            scene.saw(said);
            assert_eq!(item, 7);
            drop(producer.join().unwrap());
        },
    );
}

/// Somebody waits for room.
#[test]
fn free_slot_wakes() {
    ring_model(
        "event::free_slot_wakes",
        20,
        &["called", "not called", "pushed at once"],
        |scene| {
            let event = Arc::new(Event::new());
            let (tx, rx) = mpmc::ring_at(1, scene.start).unwrap();
            tx.try_push(1).unwrap();
            let waker = event.clone();
            let consumer = scene.spawn(move |_| {
                assert_eq!(rx.try_pop(), Some(1));
                waker.notify();
                rx
            });
            scene.enter();
            let mut said = "pushed at once";
            while tx.try_push(2).is_err() {
                said = if event.sleep(|| has_room(&tx)) {
                    "called"
                } else {
                    "not called"
                };
            }
            scene.saw(said);
            drop(consumer.join().unwrap());
        },
    );
}

/// Two wait for the same; both are woken by one call.
#[test]
fn all_are_woken() {
    model(
        "event::all_are_woken",
        600,
        &["0 called", "1 called", "2 called"],
        |scene| {
            let event = Arc::new(Event::new());
            let (tx, rx) = mpmc::ring_at::<()>(1, 0).unwrap();
            let sleepers = [0, 1].map(|_| {
                let (event, tx) = (event.clone(), tx.clone());
                scene.spawn(move |_| {
                    let mut called = 0;
                    while !tx.is_closed() {
                        called = usize::from(event.sleep(|| tx.is_closed()));
                    }
                    called
                })
            });
            scene.enter();
            rx.close();
            event.notify();
            let called: usize = sleepers.map(|sleeper| sleeper.join().unwrap()).iter().sum();
            scene.saw(format!("{called} called"));
        },
    );
}

/// A sleep that runs out of time while it is called: the event counts right afterwards.
#[test]
fn timeout_against_call() {
    let witnesses = ["called", "time is up", "heard", "nobody there"];
    model("event::timeout_against_call", 10, &witnesses, |scene| {
        let event = Arc::new(Event::new());
        let waker = event.clone();
        let caller = scene.spawn(move |_| waker.notify());
        scene.enter();
        let called = event.sleep_no_time(|| false);
        let heard = caller.join().unwrap();
        assert_eq!(called, heard, "the caller and the sleeper do not agree");
        scene.saw(if called { "called" } else { "time is up" });
        scene.saw(if heard { "heard" } else { "nobody there" });
        assert!(!event.notify(), "somebody is still counted as asleep");
    });
}

/// What ends a wait from outside.
type End = fn(&Handle<usize>);

const CLOSE: End = |handle| handle.close();
const STOP: End = |handle| handle.stop();
const FAIL: End = |handle| handle.set_err(9).unwrap();

/// A dispatcher waits for room at a full ring while something happens in another thread.
fn dispatcher(
    scene: &Scene,
    happens: impl FnOnce(Rx<usize>, &Handle<usize>) + 'static,
) -> Result<(), DispatchError<usize>> {
    let executor = Executor::<usize>::new(1);
    let (tx, rx) = mpmc::ring_at(1, scene.start).unwrap();
    tx.try_push(1).unwrap();
    let mut rx = Rx::mpmc(rx);
    rx.calls_mouth(&executor);
    let mut dispatcher = Tx::mpmc(tx).dispatcher(&executor);
    let handle = executor.handle();
    let other = scene.spawn(move |_| happens(rx, &handle));
    scene.enter();
    let answer = dispatcher.dispatch(2);
    if let Err(DispatchError::Failed(_)) = &answer {
        assert_eq!(set_error(&executor.handle()), Some(9));
    }
    other.join().unwrap();
    answer
}

#[test]
fn free_slot_wakes_dispatcher() {
    ring_model(
        "event::free_slot_wakes_dispatcher",
        30,
        &["dispatched"],
        |scene| {
            let answer = dispatcher(scene, |mut rx, _| {
                assert_eq!(rx.fill(1), 1);
                assert_eq!(rx.take().unwrap().1, 1);
                rx.release();
            });
            answer.unwrap();
            scene.saw("dispatched");
        },
    );
}

#[test]
fn close_wakes_dispatcher() {
    ring_model("event::close_wakes_dispatcher", 60, &["closed"], |scene| {
        let answer = dispatcher(scene, |_, handle| CLOSE(handle));
        assert!(
            matches!(answer, Err(DispatchError::Closed(2))),
            "{answer:?}"
        );
        scene.saw("closed");
    });
}

#[test]
fn stop_wakes_dispatcher() {
    ring_model("event::stop_wakes_dispatcher", 60, &["stopped"], |scene| {
        let answer = dispatcher(scene, |_, handle| STOP(handle));
        assert!(
            matches!(answer, Err(DispatchError::Stopped(2))),
            "{answer:?}"
        );
        scene.saw("stopped");
    });
}

#[test]
fn fail_wakes_dispatcher() {
    ring_model("event::fail_wakes_dispatcher", 60, &["failed"], |scene| {
        let answer = dispatcher(scene, |_, handle| FAIL(handle));
        assert!(
            matches!(answer, Err(DispatchError::Failed(2))),
            "{answer:?}"
        );
        scene.saw("failed");
    });
}

/// A receiver waits for a result, which comes through a ring of one producer.
#[test]
fn push_wakes_receiver() {
    ring_model("event::push_wakes_receiver", 60, &["received"], |scene| {
        let executor = Executor::<usize>::new(1);
        let (tx, rx) = spsc::ring_at(1, scene.start).unwrap();
        let mut receiver = Rx::spsc(rx).receiver(&executor);
        let mut tx = Tx::spsc(tx);
        tx.calls_exit(&executor);
        let producer = scene.spawn(move |_| {
            assert!(tx.try_send(7).is_ok());
            tx.publish();
            tx
        });
        scene.enter();
        assert_eq!(receiver.receive(), Some(7));
        scene.saw("received");
        drop(producer.join().unwrap());
    });
}

/// A receiver waits for a result, and there will be none: or one, which comes just before the end.
#[test]
fn end_wakes_receiver() {
    ring_model(
        "event::end_wakes_receiver",
        3000,
        &["all, then the end"],
        |scene| {
            let executor = Executor::<usize>::new(1);
            let (tx, rx) = spsc::ring_at(1, scene.start).unwrap();
            let mut receiver = Rx::spsc(rx).receiver(&executor);
            let mut tx = Tx::spsc(tx);
            tx.calls_exit(&executor);
            let ends = executor.clone();
            let producer = scene.spawn(move |_| {
                assert!(tx.try_send(7).is_ok());
                tx.close();
                ends.duty_ended();
            });
            scene.enter();
            assert_eq!(receiver.receive(), Some(7));
            assert_eq!(receiver.receive(), None);
            scene.saw("all, then the end");
            producer.join().unwrap();
        },
    );
}

/// Somebody waits for the end of all duties.
#[test]
fn end_wakes_joiner() {
    model("event::end_wakes_joiner", 100, &["ended"], |scene| {
        let executor = Executor::<usize>::new(2);
        let duties = [Plot::new(), Plot::new()];
        let ends = duties.clone().map(|plot| {
            let executor = executor.clone();
            scene.spawn(move |_| {
                plot.set(1);
                executor.duty_ended();
            })
        });
        scene.enter();
        executor.wait();
        assert!(duties.iter().all(|plot| plot.get() == 1));
        scene.saw("ended");
        for end in ends {
            end.join().unwrap();
        }
    });
}

/// A worker sleeps for want of jobs.
#[test]
fn push_wakes_worker() {
    ring_model("event::push_wakes_worker", 50, &["popped"], |scene| {
        let lot = Lot::new(1);
        let mut bell = lot.bell(&[0], false);
        let (tx, rx) = mpmc::ring_at(1, scene.start).unwrap();
        let producer = scene.spawn(move |_| {
            tx.try_push(7).unwrap();
            bell.published(1);
            tx
        });
        scene.enter();
        let item = loop {
            if let Some(item) = rx.try_pop() {
                break item;
            }
            lot.sleep(0, || has_published(&rx));
        };
        assert_eq!(item, 7);
        scene.saw("popped");
        drop(producer.join().unwrap());
    });
}

/// Of two workers that sleep at one ring each, the one whose job it is wakes; two pushes at the same time.
#[test]
fn push_wakes_its_worker() {
    model("event::push_wakes_its_worker", 1000, &["both"], |scene| {
        let lot = Lot::new(2);
        let workers: [_; 2] = std::array::from_fn(|worker| {
            let (tx, rx) = mpmc::ring_at(1, 0).unwrap();
            let (lot, bell) = (lot.clone(), lot.bell(&[worker], false));
            let sleeper = scene.spawn(move |_| {
                while rx.try_pop().is_none() {
                    lot.sleep(worker, || has_published(&rx));
                }
            });
            (sleeper, tx, bell)
        });
        scene.enter();
        for (_, tx, bell) in &mut workers.into_iter().collect::<Vec<_>>() {
            tx.try_push(7).unwrap();
            bell.published(1);
        }
        scene.saw("both");
    });
}

/// A worker sleeps at a full output: with a result in its hand, of which its word tells, or without one.
fn free_slot_wakes_worker(name: &str, holds: bool) {
    ring_model(name, 50, &["pushed"], move |scene| {
        let lot = Lot::new(1);
        let bell = lot.bell(&[0], holds);
        let (tx, rx) = mpmc::ring_at(1, scene.start).unwrap();
        tx.try_push(1).unwrap();
        let consumer = scene.spawn(move |_| {
            assert_eq!(rx.try_pop(), Some(1));
            bell.given_back(!holds);
            rx
        });
        scene.enter();
        while tx.try_push(2).is_err() {
            lot.sleep(0, || has_room(&tx));
        }
        scene.saw("pushed");
        drop(consumer.join().unwrap());
    });
}

#[test]
fn free_slot_wakes_holder() {
    free_slot_wakes_worker("event::free_slot_wakes_holder", true);
}

#[test]
fn free_slot_wakes_stage_before() {
    free_slot_wakes_worker("event::free_slot_wakes_stage_before", false);
}

/// A worker sleeps with a result in its hand that both lanes of a fork refused: it goes on from lane to lane as
/// they are emptied, in any order, and each gets the result once.
#[test]
fn free_slots_wake_fork() {
    let name = "event::free_slots_wake_fork";
    model(name, 500, &["sent", "room"], |scene| {
        let lot = Lot::new(1);
        let (branches, consumers): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (tx, rx) = mpmc::ring_at(1, 0).unwrap();
                tx.try_push(1).unwrap();
                let bell = lot.bell(&[0], true);
                let consumer = scene.spawn(move |_| {
                    assert_eq!(rx.try_pop(), Some(1));
                    bell.given_back(false);
                    (rx, bell)
                });
                (Tx::mpmc(tx), consumer)
            })
            .unzip();
        let mut tx = Tx::all(branches);
        let room = tx.peek();
        scene.enter();
        let mut item = 2;
        while let Err(refused) = tx.try_send(item) {
            item = refused;
            tx.publish();
            let lane = tx.full_lane();
            lot.sleep(0, || room.has_room_in(lane));
        }
        tx.publish();
        scene.saw("sent");
        assert!(!room.has_room());
        for consumer in consumers {
            let (rx, _bell) = consumer.join().unwrap();
            assert_eq!((rx.try_pop(), rx.try_pop()), (Some(2), None));
        }
        assert!(room.has_room());
        scene.saw("room");
    });
}

/// A worker sleeps, and its input ends.
#[test]
fn end_of_input_wakes_worker() {
    ring_model(
        "event::end_of_input_wakes_worker",
        50,
        &["ended"],
        |scene| {
            let lot = Lot::new(1);
            let bell = lot.bell(&[0], false);
            let (tx, rx) = spsc::ring_at::<usize>(1, scene.start).unwrap();
            let producer = scene.spawn(move |_| {
                drop(tx);
                bell.ended();
            });
            scene.enter();
            while !rx.is_ended() {
                lot.sleep(0, || rx.is_ended());
            }
            scene.saw("ended");
            producer.join().unwrap();
        },
    );
}

/// A worker sleeps, and the executor is closed, stopped, or fails.
fn end_wakes_worker(name: &str, end: End) {
    model(name, 20, &["woken"], move |scene| {
        let lot = Lot::new(1);
        let executor = Executor::new(1);
        executor.set_lot(&lot);
        let handle = executor.handle();
        let other = scene.spawn(move |_| end(&handle));
        scene.enter();
        while executor.is_open() {
            lot.sleep(0, || !executor.is_open());
        }
        if executor.is_failed() {
            assert_eq!(set_error(&executor.handle()), Some(9));
        }
        scene.saw("woken");
        other.join().unwrap();
    });
}

#[test]
fn close_wakes_worker() {
    end_wakes_worker("event::close_wakes_worker", CLOSE);
}

#[test]
fn stop_wakes_worker() {
    end_wakes_worker("event::stop_wakes_worker", STOP);
}

#[test]
fn fail_wakes_worker() {
    end_wakes_worker("event::fail_wakes_worker", FAIL);
}

/// One job for any of two sleepers: one of them is woken, and can go; the other is woken by the next.
#[test]
fn one_call_wakes_one() {
    model("event::one_call_wakes_one", 20000, &["both"], |scene| {
        let lot = Lot::new(2);
        let (tx, rx) = mpmc::ring_at(2, 0).unwrap();
        let mut bell = lot.bell(&[0, 1], false);
        let rx = LoomArc::new(rx);
        let sleepers = [0, 1].map(|worker| {
            let (lot, rx) = (lot.clone(), rx.clone());
            scene.spawn(move |_| {
                while rx.try_pop().is_none() {
                    lot.sleep(worker, || has_published(&rx));
                }
            })
        });
        scene.enter();
        for _ in 0..2 {
            tx.try_push(7).unwrap();
            bell.published(1);
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        scene.saw("both");
    });
}
