//! Models of `ring::spsc`.

#![cfg(loom)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::thread::yield_now;
use ringmill::ring::spsc::ring_at;
use ringmill_loom_tests::{Plot, Purse, quiet_panic, ring_model};

/// What was pushed is there, whole and in order, as soon as it can be popped.
#[test]
fn publish_then_pop() {
    let witnesses = ["popped 0", "popped 1", "popped 2"];
    ring_model("spsc::publish_then_pop", 20, &witnesses, |scene| {
        let purse = Purse::default();
        let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |_| {
            for number in 1..=2 {
                assert!(tx.try_push(items.item(number)).is_ok(), "the ring has room");
            }
            tx
        });
        scene.enter();
        let mut popped = 0;
        while let Some(item) = rx.try_pop() {
            popped += 1;
            assert_eq!(item.number, popped);
        }
        scene.saw(format!("popped {popped}"));
        drop((producer.join().unwrap(), rx));
        purse.check();
    });
}

/// Who has taken an item is never ahead of the tail: the length is never more than what may be there.
#[test]
fn length() {
    let witnesses = ["length 0", "length 1", "length 2"];
    ring_model("spsc::length", 20, &witnesses, |scene| {
        let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
        let producer = scene.spawn(move |_| {
            tx.try_push(Box::new(1)).unwrap();
            tx.try_push(Box::new(2)).unwrap();
        });
        scene.enter();
        let mut popped = 0;
        for _ in 0..2 {
            popped += usize::from(rx.try_pop().is_some());
            let length = rx.len();
            assert!(length + popped <= 2, "{length} after {popped}");
            scene.saw(format!("length {length}"));
        }
        producer.join().unwrap();
    });
}

/// A slot is written again only when its item is out.
#[test]
fn wrap() {
    ring_model("spsc::wrap", 500, &["empty", "full"], |scene| {
        let purse = Purse::default();
        let (mut tx, mut rx) = ring_at(1, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |scene| {
            for number in 1..=3 {
                let mut item = items.item(number);
                while let Err(full) = tx.try_push(item) {
                    scene.saw("full");
                    item = full.0;
                    yield_now();
                }
            }
        });
        scene.enter();
        for number in 1..=3 {
            let item = loop {
                match rx.try_pop() {
                    Some(item) => break item,
                    None => scene.saw("empty"),
                }
                yield_now();
            };
            assert_eq!(item.number, number);
        }
        assert!(rx.try_pop().is_none());
        producer.join().unwrap();
        drop(rx);
        purse.check();
    });
}

/// Who sees that the producer is gone, and the ring empty, has had everything.
#[test]
fn close() {
    let witnesses = [
        "end after 2",
        "no end after 0",
        "no end after 1",
        "no end after 2",
    ];
    ring_model("spsc::close", 1000, &witnesses, |scene| {
        let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
        let producer = scene.spawn(move |_| {
            tx.try_push(Box::new(1)).unwrap();
            tx.try_push(Box::new(2)).unwrap();
        });
        scene.enter();
        let mut popped = 0;
        for _ in 0..4 {
            if rx.is_ended() {
                assert_eq!(popped, 2, "an end before the last item");
                scene.saw("end after 2");
                break;
            }
            scene.saw(format!("no end after {popped}"));
            if let Some(item) = rx.try_pop() {
                popped += 1;
                assert_eq!(*item, popped);
            }
        }
        producer.join().unwrap();
    });
}

/// Who sees that the consumer is gone sees all it did, and may write over what it took.
#[test]
fn abandon() {
    let witnesses = ["abandoned", "full", "in use", "pushed"];
    ring_model("spsc::abandon", 100, &witnesses, |scene| {
        let purse = Purse::default();
        let plot = Plot::new();
        let (mut tx, mut rx) = ring_at(1, scene.start).unwrap();
        assert!(tx.try_push(purse.item(1)).is_ok());
        let place = plot.clone();
        let consumer = scene.spawn(move |_| {
            assert_eq!(rx.try_pop().unwrap().number, 1);
            place.set(1);
        });
        scene.enter();
        if tx.is_abandoned() {
            scene.saw("abandoned");
            assert_eq!(plot.get(), 1);
        } else {
            scene.saw("in use");
        }
        let pushed = tx.try_push(purse.item(2)).is_ok();
        scene.saw(if pushed { "pushed" } else { "full" });
        drop(tx);
        consumer.join().unwrap();
        purse.check();
    });
}

/// The ends go while items are in the ring: each item is dropped once.
#[test]
fn drop_unconsumed() {
    ring_model(
        "spsc::drop_unconsumed",
        200,
        &["popped 0", "popped 1"],
        |scene| {
            let purse = Purse::default();
            let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
            let items = purse.clone();
            let producer = scene.spawn(move |_| {
                for number in 1..=2 {
                    assert!(tx.try_push(items.item(number)).is_ok());
                }
            });
            let consumer = scene.spawn(move |scene| {
                let popped = usize::from(rx.try_pop().is_some());
                scene.saw(format!("popped {popped}"));
            });
            scene.enter();
            producer.join().unwrap();
            consumer.join().unwrap();
            purse.check();
        },
    );
}

/// A batch is visible as a whole or not at all, and a drain gives its slots back as a whole.
#[test]
fn batch() {
    let witnesses = ["drained 0", "drained 2", "pushed 0", "pushed 2"];
    ring_model("spsc::batch", 100, &witnesses, |scene| {
        let purse = Purse::default();
        let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |scene| {
            assert_eq!(tx.push_batch((1..=3).map(|number| items.item(number))), 2);
            let pushed = tx.push_batch((3..=5).map(|number| items.item(number)));
            scene.saw(format!("pushed {pushed}"));
        });
        scene.enter();
        let mut next = 1;
        for _ in 0..2 {
            let drained = rx.drain(4, |item| {
                assert_eq!(item.number, next);
                next += 1;
            });
            scene.saw(format!("drained {drained}"));
        }
        drop(rx);
        producer.join().unwrap();
        purse.check();
    });
}

/// The iterator of a batch panics: what it gave before is pushed, and the ring goes on.
#[test]
fn batch_panic() {
    let witnesses = ["popped 0", "popped 1", "popped 2"];
    ring_model("spsc::batch_panic", 80, &witnesses, |scene| {
        let purse = Purse::default();
        let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |_| {
            let batch = (1..=2).map(|number| match number {
                1 => items.item(number),
                _ => quiet_panic(),
            });
            let pushed = catch_unwind(AssertUnwindSafe(|| tx.push_batch(batch)));
            assert!(pushed.is_err());
            assert!(tx.try_push(items.item(2)).is_ok());
        });
        scene.enter();
        let mut popped = 0;
        while let Some(item) = rx.try_pop() {
            popped += 1;
            assert_eq!(item.number, popped);
        }
        scene.saw(format!("popped {popped}"));
        drop(rx);
        producer.join().unwrap();
        purse.check();
    });
}

/// Who takes a batch panics at its first item: that one is gone, its slot is given back.
#[test]
fn drain_panic() {
    let witnesses = ["full", "pushed"];
    ring_model("spsc::drain_panic", 70, &witnesses, |scene| {
        let purse = Purse::default();
        let (mut tx, mut rx) = ring_at(2, scene.start).unwrap();
        for number in 1..=2 {
            assert!(tx.try_push(purse.item(number)).is_ok());
        }
        let consumer = scene.spawn(move |_| {
            let drained = catch_unwind(AssertUnwindSafe(|| rx.drain(2, |_| quiet_panic())));
            assert!(drained.is_err());
            assert_eq!(rx.try_pop().unwrap().number, 2);
        });
        scene.enter();
        let pushed = tx.try_push(purse.item(3)).is_ok();
        scene.saw(if pushed { "pushed" } else { "full" });
        drop(tx);
        consumer.join().unwrap();
        purse.check();
    });
}
