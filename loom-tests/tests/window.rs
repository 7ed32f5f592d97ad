//! Models of `ring::window`, and of the ends in `edge` that keep instances inside it.

#![cfg(loom)]

use loom::thread::yield_now;
use ringmill::model::{Hand, Leavers, Placer, Rx, Taker, Tx, window};
use ringmill::ring::mpmc::{Consumer, ring_at};
use ringmill_loom_tests::{Item, Plot, Purse, Scene, ring_model};

/// A ring that holds jobs 1 to `jobs` and has ended, and a window behind it.
fn stage(
    scene: &Scene,
    purse: &Purse,
    jobs: usize,
    size: usize,
) -> (Consumer<Item>, Placer<Item>, Taker<Item>) {
    let (tx, rx) = ring_at(4, scene.start).unwrap();
    for number in 1..=jobs {
        assert!(tx.try_push(purse.item(number)).is_ok());
    }
    tx.close();
    let (placer, taker) = window(size, &rx).unwrap();
    (rx, placer, taker)
}

/// Two instances place as they please; results come out in the order of the jobs, and no instance runs
/// further ahead than the window is long: with the second of two slots a lap begins.
#[test]
fn order() {
    let witnesses = [
        "0 and 1", "1 and 0", "1 and 1", "early 0", "early 1", "early 2",
    ];
    ring_model("window::order", 10000, &witnesses, |scene| {
        let purse = Purse::default();
        let (rx, placer, mut taker) = stage(scene, &purse, 2, 1);
        let mut instances: Vec<_> = [rx.clone(), rx.clone(), rx]
            .into_iter()
            .map(|rx| Instance {
                rx: Rx::gated(rx, 2, &taker),
                tx: placer.tx(),
            })
            .collect();
        let threads: Vec<_> = instances
            .drain(..2)
            .map(|mut instance| scene.spawn(move |_| usize::from(instance.job())))
            .collect();
        scene.enter();
        let mut popped = Vec::new();
        for _ in 0..2 {
            assert!(taker.backlog() <= 1);
            popped.extend(taker.try_pop());
        }
        scene.saw(format!("early {}", popped.len()));
        let jobs: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        scene.saw(format!("{} and {}", jobs[0], jobs[1]));
        while popped.len() < 2 {
            instances[0].job();
            popped.extend(taker.try_pop());
        }
        assert!(popped.iter().map(|item| item.number).eq(1..=2));
        drop((popped, instances, taker, placer));
        purse.check();
    });
}

/// An instance of an ordered stage.
struct Instance {
    rx: Rx<Item>,
    tx: Tx<Item>,
}

impl Instance {
    /// Does a job, if there is one inside the window.
    fn job(&mut self) -> bool {
        if self.rx.fill(1) == 0 {
            return false;
        }
        let (ticket, item) = self.rx.take().unwrap();
        self.rx.release();
        self.tx.begin(ticket);
        assert!(
            self.tx.try_send(item).is_ok(),
            "the first result always fits"
        );
        assert!(
            self.tx.end_job(),
            "the slot of a ticket inside the window is open"
        );
        true
    }
}

/// Holders of the first two tickets of a ring, and the window.
fn two_tickets(scene: &Scene, purse: &Purse) -> ([(usize, Item); 2], Placer<Item>, Taker<Item>) {
    let (rx, placer, taker) = stage(scene, purse, 2, 2);
    let mut hand = Hand::new(rx);
    assert_eq!(hand.fill(2), 2);
    ([hand.take().unwrap(), hand.take().unwrap()], placer, taker)
}

/// A job without a result is stepped over.
#[test]
fn gap() {
    let witnesses = ["backlog 0", "backlog 1", "backlog 2", "early 0", "early 1"];
    ring_model("window::gap", 400, &witnesses, |scene| {
        let purse = Purse::default();
        let ([(first, _), (second, item)], placer, mut taker) = two_tickets(scene, &purse);
        let other = placer.clone();
        let a = scene.spawn(move |_| assert!(other.gap(first)));
        let b = scene.spawn(move |scene| {
            assert!(placer.place(second, item, false).is_ok());
            scene.saw(format!("backlog {}", placer.backlog()));
        });
        scene.enter();
        let mut popped: Vec<_> = taker.try_pop().into_iter().collect();
        scene.saw(format!("early {}", popped.len()));
        a.join().unwrap();
        b.join().unwrap();
        popped.extend(taker.try_pop());
        assert_eq!(
            popped.iter().map(|item| item.number).collect::<Vec<_>>(),
            [2]
        );
        drop((popped, taker));
        purse.check();
    });
}

/// A job with several results keeps its place until the last one; what is not taken is dropped.
#[test]
fn more() {
    let witnesses = ["1", "11", "112", "refused", "nothing"];
    ring_model("window::more", 1000, &witnesses, |scene| {
        let purse = Purse::default();
        let ([(first, item), (second, later)], placer, mut taker) = two_tickets(scene, &purse);
        let (other, items) = (placer.clone(), purse.clone());
        let a = scene.spawn(move |scene| {
            assert!(other.place(first, item, true).is_ok());
            let mut last = items.item(1);
            for _ in 0..2 {
                match other.place(first, last, false) {
                    Ok(()) => return,
                    Err(refused) => last = refused,
                }
                scene.saw("refused");
                yield_now();
            }
        });
        let b = scene.spawn(move |_| assert!(placer.place(second, later, false).is_ok()));
        scene.enter();
        let mut popped = String::new();
        for _ in 0..4 {
            match taker.try_pop() {
                Some(item) => popped += &item.number.to_string(),
                None => yield_now(),
            }
        }
        assert!(
            "112".starts_with(&popped),
            "results in another order: {popped}"
        );
        scene.saw(if popped.is_empty() {
            "nothing"
        } else {
            &popped
        });
        a.join().unwrap();
        b.join().unwrap();
        drop(taker);
        purse.check();
    });
}

/// Who sees the end sees what the last instance to leave did, and what the others did before it.
#[test]
fn end() {
    ring_model("window::end", 100, &["end", "no end"], |scene| {
        let purse = Purse::default();
        let (_, placer, taker) = stage(scene, &purse, 0, 2);
        let crew = loom::sync::Arc::new(Leavers::new(2));
        let plots = [Plot::new(), Plot::new()];
        let instances = plots.clone().map(|plot| {
            let (placer, crew) = (placer.clone(), crew.clone());
            scene.spawn(move |_| {
                plot.set(1);
                if crew.leave() {
                    placer.close();
                }
            })
        });
        scene.enter();
        if taker.is_ended() {
            assert!(plots.iter().all(|plot| plot.get() == 1));
            scene.saw("end");
        } else {
            scene.saw("no end");
        }
        for instance in instances {
            instance.join().unwrap();
        }
        assert!(taker.is_ended());
    });
}

/// A look at a gated input never misses a job that may be taken: here the second one may be, all the time.
#[test]
fn gated_look() {
    ring_model("window::gated_look", 1000, &["1", "2"], |scene| {
        let purse = Purse::default();
        let (rx, placer, mut taker) = stage(scene, &purse, 2, 2);
        let look = Rx::gated(rx.clone(), 2, &taker);
        let instance = scene.spawn(move |_| {
            let mut hand = Hand::new(rx);
            assert_eq!(hand.fill(1), 1);
            let (ticket, item) = hand.take().unwrap();
            assert!(placer.place(ticket, item, false).is_ok());
        });
        let taker = scene.spawn(move |_| taker.try_pop());
        scene.enter();
        let backlog = look.peek_backlog();
        assert!(backlog > 0, "a job that may be taken is not seen");
        scene.saw(backlog.to_string());
        instance.join().unwrap();
        drop(taker.join().unwrap());
        drop(look);
        purse.check();
    });
}
