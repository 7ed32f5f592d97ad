//! Models of `ring::mpmc`.

#![cfg(loom)]

use std::collections::VecDeque;

use loom::thread::yield_now;
use ringmill::PushError;
use ringmill::model::{Hand, Sole};
use ringmill::ring::mpmc::{Consumer, ring_at};
use ringmill_loom_tests::{Item, Plot, Purse, ring_model};

/// What was pushed is there, whole and in order, as soon as it can be popped.
#[test]
fn publish_then_pop() {
    let witnesses = ["popped 0", "popped 1", "popped 2"];
    ring_model("mpmc::publish_then_pop", 10, &witnesses, |scene| {
        let purse = Purse::default();
        let (tx, rx) = ring_at(2, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |_| {
            for number in 1..=2 {
                assert!(tx.try_push(items.item(number)).is_ok(), "the ring has room");
            }
        });
        scene.enter();
        let mut popped = 0;
        while let Some(item) = rx.try_pop() {
            popped += 1;
            assert_eq!(item.number, popped);
        }
        scene.saw(format!("popped {popped}"));
        producer.join().unwrap();
        drop(rx);
        purse.check();
    });
}

/// Two push at the same time: nothing is lost, and each one's items stay in order.
#[test]
fn two_producers() {
    let witnesses = [
        "a1 a2 b", "a1 b a2", "b a1 a2", "early 0", "early 1", "early 2", "early 3",
    ];
    ring_model("mpmc::two_producers", 1000, &witnesses, |scene| {
        let (tx, rx) = ring_at(4, scene.start).unwrap();
        let other = tx.clone();
        let a = scene.spawn(move |_| {
            tx.try_push("a1").unwrap();
            tx.try_push("a2").unwrap();
        });
        let b = scene.spawn(move |_| other.try_push("b").unwrap());
        scene.enter();
        let mut popped: Vec<_> = std::iter::from_fn(|| rx.try_pop()).collect();
        scene.saw(format!("early {}", popped.len()));
        a.join().unwrap();
        b.join().unwrap();
        popped.extend(std::iter::from_fn(|| rx.try_pop()));
        scene.saw(popped.join(" "));
    });
}

/// Two pop at the same time: each item goes to one of them.
#[test]
fn two_consumers() {
    let witnesses = [
        "0 and 0", "0 and 1", "0 and 2", "1 and 0", "1 and 1", "2 and 0",
    ];
    ring_model("mpmc::two_consumers", 10000, &witnesses, |scene| {
        let purse = Purse::default();
        let (tx, rx) = ring_at(2, scene.start).unwrap();
        let consumers = [rx.clone(), rx].map(|rx| {
            scene.spawn(move |_| {
                let items: [Option<Item>; 2] = [rx.try_pop(), rx.try_pop()];
                items
                    .into_iter()
                    .flatten()
                    .map(|item| item.number)
                    .collect::<Vec<_>>()
            })
        });
        scene.enter();
        for number in 1..=2 {
            assert!(tx.try_push(purse.item(number)).is_ok());
        }
        let [a, b] = consumers.map(|consumer| consumer.join().unwrap());
        assert!(a.is_sorted() && b.is_sorted());
        assert!(
            a.iter().all(|number| !b.contains(number)),
            "one item for two"
        );
        scene.saw(format!("{} and {}", a.len(), b.len()));
        drop(tx);
        purse.check();
    });
}

/// Who alone pushes claims nothing, and yet each item goes to one of two, and nobody counts more than there are.
#[test]
fn one_producer() {
    let witnesses = [
        "0 and 0", "0 and 1", "0 and 2", "1 and 0", "1 and 1", "2 and 0", "len 0", "len 1", "len 2",
    ];
    ring_model("mpmc::one_producer", 10000, &witnesses, |scene| {
        let purse = Purse::default();
        let (mut tx, rx) = Sole::ring_at(4, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |_| {
            for number in 1..=2 {
                assert!(tx.try_push(items.item(number)).is_ok());
            }
            tx.close();
        });
        let pop = |rx: &Consumer<Item>| Some(rx.try_pop()?.number);
        let other = rx.clone();
        let other = scene.spawn(move |_| [pop(&other), pop(&other)]);
        scene.enter();
        let mine = [pop(&rx), pop(&rx)];
        let len = rx.len();
        assert!(len <= 2, "{len} of two items");
        scene.saw(format!("len {len}"));
        let is_ended = rx.is_ended();
        producer.join().unwrap();
        let theirs = other.join().unwrap();
        let [mine, theirs] =
            [mine, theirs].map(|some| some.into_iter().flatten().collect::<Vec<_>>());
        assert!(mine.is_sorted() && theirs.is_sorted());
        assert!(
            mine.iter().all(|number| !theirs.contains(number)),
            "one item for two"
        );
        scene.saw(format!("{} and {}", mine.len(), theirs.len()));
        let left = 2 - mine.len() - theirs.len();
        assert!(!is_ended || left == 0, "the end came before {left} items");
        assert_eq!((0..3).filter_map(|_| pop(&rx)).count(), left);
        assert!(rx.is_ended());
        drop(rx);
        purse.check();
    });
}

/// With an item for each of two consumers, and room for each of two producers, nobody comes away with
/// nothing, however they meet.
#[test]
fn enough_for_all() {
    ring_model("mpmc::enough_for_all", 3000, &["1 2", "2 1"], |scene| {
        let (tx, rx) = ring_at(2, scene.start).unwrap();
        scene.enter();
        let producers = [(1, tx.clone()), (2, tx)];
        let producers =
            producers.map(|(number, tx)| scene.spawn(move |_| tx.try_push(number).unwrap()));
        for producer in producers {
            producer.join().unwrap();
        }
        let consumers = [rx.clone(), rx];
        let consumers = consumers.map(|rx| scene.spawn(move |_| rx.try_pop().unwrap()));
        let [a, b] = consumers.map(|consumer| consumer.join().unwrap());
        scene.saw(format!("{a} {b}"));
    });
}

/// A slot is written again only when its item is out.
#[test]
fn wrap() {
    ring_model("mpmc::wrap", 40, &["empty", "full"], |scene| {
        let purse = Purse::default();
        let (tx, rx) = ring_at(1, scene.start).unwrap();
        let items = purse.clone();
        let producer = scene.spawn(move |scene| {
            for number in 1..=3 {
                let mut item = items.item(number);
                while let Err(refused) = tx.try_push(item) {
                    scene.saw("full");
                    item = refused.into_inner();
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

/// The ends go while items are in the ring: each item is dropped once.
#[test]
fn drop_unconsumed() {
    ring_model(
        "mpmc::drop_unconsumed",
        100,
        &["popped 0", "popped 1"],
        |scene| {
            let purse = Purse::default();
            let (tx, rx) = ring_at(2, scene.start).unwrap();
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

/// A capacity that is no power of two is kept all the same: the fourth item of three gets in only after
/// the first has gone, and who pushed it knows that.
#[test]
fn capacity() {
    let witnesses = ["1 in", "2 in", "none in"];
    ring_model("mpmc::capacity", 1000, &witnesses, |scene| {
        let plot = Plot::new();
        let (tx, rx) = ring_at(3, scene.start).unwrap();
        for number in 1..=3 {
            tx.try_push(number).unwrap();
        }
        let (place, consumer) = (plot.clone(), rx.clone());
        let consumer = scene.spawn(move |_| {
            place.set(1);
            [consumer.try_pop().unwrap(), consumer.try_pop().unwrap()]
        });
        let (place, other) = (plot.clone(), tx.clone());
        let producer = scene.spawn(move |_| {
            let is_in = other.try_push(4).is_ok();
            if is_in {
                assert_eq!(place.get(), 1);
            }
            assert!(other.len() <= 3);
            usize::from(is_in)
        });
        scene.enter();
        let is_in = tx.try_push(5).is_ok();
        if is_in {
            assert_eq!(plot.get(), 1);
        }
        let both = usize::from(is_in) + producer.join().unwrap();
        assert_eq!(consumer.join().unwrap(), [1, 2]);
        scene.saw(match both {
            0 => "none in".to_string(),
            count => format!("{count} in"),
        });
        assert_eq!(rx.len(), 1 + both);
    });
}

/// A batch is claimed in one piece: nobody's items come in between, and none is lost when it wraps.
#[test]
fn batch() {
    let witnesses = [
        "1 2 3", "3", "3 1", "3 1 2", "early 0", "early 1", "early 2", "early 3",
    ];
    ring_model("mpmc::batch", 10000, &witnesses, |scene| {
        let purse = Purse::default();
        let (tx, rx) = ring_at(4, scene.start).unwrap();
        // One slot is taken and given back, so that a batch of two may wrap round the slots.
        tx.try_push(purse.item(0)).ok();
        tx.try_push(purse.item(0)).ok();
        let held = rx.try_pop();
        let (items, other) = (purse.clone(), tx.clone());
        let a = scene.spawn(move |_| {
            let mut batch: VecDeque<_> = (1..=3).map(|number| items.item(number)).collect();
            batch.truncate(2);
            let pushed = other.push_batch(&mut batch).unwrap();
            assert_eq!(batch.len(), 2 - pushed);
        });
        let (items, other) = (purse.clone(), tx.clone());
        let b = scene.spawn(move |_| {
            let mut batch = VecDeque::from([items.item(3)]);
            other.push_batch(&mut batch).unwrap();
            let mut late = VecDeque::from([items.item(4), items.item(5)]);
            let _full = other.push_batch(&mut late).unwrap();
        });
        scene.enter();
        let mut popped = Vec::new();
        rx.drain(4, |item| popped.push(item.number));
        scene.saw(format!("early {}", popped.len().saturating_sub(1)));
        a.join().unwrap();
        b.join().unwrap();
        rx.drain(4, |item| popped.push(item.number));
        let order: Vec<_> = popped
            .iter()
            .filter(|&&number| (1..=3).contains(&number))
            .map(usize::to_string)
            .collect();
        scene.saw(order.join(" "));
        drop((tx, rx, held));
        purse.check();
    });
}

/// Who claims several gives each slot back as it takes the item, and drops the rest.
#[test]
fn hand() {
    let witnesses = [
        "held 1, in 0",
        "held 1, in 1",
        "held 2, in 0",
        "held 2, in 1",
    ];
    ring_model("mpmc::hand", 20, &witnesses, |scene| {
        let purse = Purse::default();
        let (tx, rx) = ring_at(2, scene.start).unwrap();
        assert!(tx.try_push(purse.item(1)).is_ok());
        let items = purse.clone();
        let producer = scene.spawn(move |scene| {
            assert!(tx.try_push(items.item(2)).is_ok(), "the ring has room");
            scene.step();
            usize::from(tx.try_push(items.item(3)).is_ok())
        });
        scene.enter();
        let mut hand = Hand::new(rx);
        let held = hand.fill(2);
        assert_eq!(
            hand.fill(2),
            held,
            "a hand that holds something claims nothing"
        );
        scene.step();
        let (ticket, item) = hand.take().unwrap();
        assert_eq!((ticket, item.number), (scene.start.wrapping_mul(2), 1));
        let pushed = producer.join().unwrap();
        scene.saw(format!("held {held}, in {pushed}"));
        assert_eq!(hand.held(), held - 1);
        drop((hand, item));
        purse.check();
    });
}

/// What one has claimed and not begun goes to it or to another, once and whole; also when it claims again meanwhile. Who
/// sees that nothing is left sees what the other did before it took the last.
#[test]
fn claim() {
    let witnesses = ["took 0", "took 1"];
    ring_model("mpmc::claim", 1000, &witnesses, |scene| {
        let (purse, plot) = (Purse::default(), Plot::new());
        let (tx, mut hands) = Hand::<Item>::shared(4, scene.start, 2).unwrap();
        let (mut other, mut owner) = (hands.pop().unwrap(), hands.pop().unwrap());
        let before = plot.clone();
        let thief = scene.spawn(move |_| {
            before.set(1);
            let mut taken = Vec::new();
            for _ in 0..2 {
                other.take_over();
                taken.extend(other.take().map(|(_, item)| item.number));
            }
            taken
        });
        scene.enter();
        let (mut pushed, mut mine) = (0, Vec::new());
        for count in [2, 2] {
            for _ in 0..count {
                pushed += 1;
                assert!(tx.try_push(purse.item(pushed)).is_ok(), "the ring has room");
            }
            owner.fill(count);
            while let Some((_, item)) = owner.take() {
                mine.push(item.number);
                owner.fill(1);
            }
        }
        tx.close();
        assert!(owner.consumer().is_ended());
        if mine.len() < pushed {
            assert_eq!(plot.get(), 1);
        }
        let theirs = thief.join().unwrap();
        scene.saw(format!("took {}", theirs.len()));
        assert!(mine.is_sorted() && theirs.is_sorted());
        let mut all = [mine, theirs].concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4]);
        drop((owner, tx));
        purse.check();
    });
}

/// A push is accepted and popped, or refused: none is left behind by a close on another thread. Who is
/// refused, or sees the end, sees what led to it.
#[test]
fn close_against_push() {
    let witnesses = [
        "accepted 0",
        "accepted 1",
        "accepted 2",
        "ended",
        "not ended",
    ];
    ring_model("mpmc::close_against_push", 7000, &witnesses, |scene| {
        let (reason, taken) = (Plot::new(), Plot::new());
        let (tx, rx) = ring_at(4, scene.start).unwrap();
        tx.try_push(Box::new(0)).unwrap();
        let (closer, watcher, why) = (tx.clone(), rx.clone(), reason.clone());
        let producer = scene.spawn(move |_| {
            for accepted in 0..2 {
                if let Err(refused) = tx.try_push(Box::new(accepted)) {
                    assert!(matches!(refused, PushError::Closed(_)), "the ring has room");
                    assert_eq!(why.get(), 1);
                    return accepted;
                }
            }
            2
        });
        let begun = taken.clone();
        let consumer = scene.spawn(move |_| {
            begun.set(1);
            let mut popped = 0;
            loop {
                let is_ended = rx.is_ended();
                if rx.try_pop().is_some() {
                    assert!(!is_ended, "an item after the end");
                    popped += 1;
                } else if is_ended {
                    return popped;
                } else {
                    yield_now();
                }
            }
        });
        scene.enter();
        reason.set(1);
        assert!(closer.close(), "nobody else closes");
        if watcher.is_ended() {
            // The consumer claimed the item that was there before it began.
            assert_eq!(taken.get(), 1);
            scene.saw("ended");
        } else {
            scene.saw("not ended");
        }
        let accepted = producer.join().unwrap();
        scene.saw(format!("accepted {accepted}"));
        assert_eq!(consumer.join().unwrap(), accepted + 1);
    });
}

/// Of two that close, one did it, and the other sees what it did before.
#[test]
fn two_closers() {
    let witnesses = ["open", "closed", "first", "second"];
    ring_model("mpmc::two_closers", 300, &witnesses, |scene| {
        let (here, there) = (Plot::new(), Plot::new());
        let (tx, rx) = ring_at::<()>(1, scene.start).unwrap();
        let (mine, theirs, other) = (there.clone(), here.clone(), rx.clone());
        let closer = scene.spawn(move |_| {
            mine.set(1);
            let was_first = other.close();
            if !was_first {
                assert_eq!(theirs.get(), 1);
            }
            was_first
        });
        let (watcher, seen) = (tx.clone(), (here.clone(), there.clone()));
        let watcher = scene.spawn(move |scene| {
            scene.saw(if watcher.is_closed() {
                "closed"
            } else {
                "open"
            });
            drop(seen);
        });
        scene.enter();
        here.set(1);
        let is_first = rx.close();
        if !is_first {
            assert_eq!(there.get(), 1);
        }
        assert!(is_first != closer.join().unwrap(), "exactly one did it");
        watcher.join().unwrap();
        scene.saw(if is_first { "first" } else { "second" });
        assert!(matches!(tx.try_push(()), Err(PushError::Closed(()))));
    });
}
