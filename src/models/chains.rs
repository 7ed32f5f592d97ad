//! Wakes of one thread: none is lost, and none is left over.

use ringmill_loom_tests::model;

use super::Things;
use crate::event::{Token, Woken};
use crate::sync::Release;

impl Things {
    /// Nobody is registered, and no token is left for who comes.
    fn check(&self) {
        assert!(!self.event.notify_one(), "somebody is still registered");
        let now = Some(std::time::Instant::now());
        let woken = self.event.sleep(now, || false);
        assert_eq!(woken, Woken::No, "a token was left over");
    }
}

/// A waker makes two things true and wakes one: the woken one wakes the other, and both get theirs.
#[test]
fn a_woken_thread_wakes_the_next() {
    let name = "models::chains::a_woken_thread_wakes_the_next";
    model(name, 1200, &["nobody slept", "one was woken"], |scene| {
        let things = Things::new();
        let sleepers = [0, 1].map(|_| {
            let things = things.clone();
            scene.spawn(move |_| things.take())
        });
        scene.enter();
        let woke = things.put(2);
        scene.saw(if woke {
            "one was woken"
        } else {
            "nobody slept"
        });
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        things.check();
    });
}

/// A sleeper finds after its registration that it need not sleep, or that its time is up, while a waker has a token for
/// one of two: the other one gets what there is.
fn leaves(name: &'static str, is_late: bool, floor: usize, witnesses: &[&str]) {
    model(name, floor, witnesses, move |scene| {
        let things = Things::new();
        let other = things.clone();
        let sleeper = scene.spawn(move |_| other.take());
        let other = things.clone();
        let leaver = scene.spawn(move |_| {
            let now = is_late.then(std::time::Instant::now);
            // It takes nothing, and so owes a wake to the other one if it was woken.
            let mut token = Token::new(&other.event, || other.is_any());
            token.sleep(now);
        });
        scene.enter();
        let woke = things.put(1);
        scene.saw(if woke {
            "one was woken"
        } else {
            "nobody slept"
        });
        sleeper.join().unwrap();
        if !is_late {
            // There may be nothing left to be woken for.
            things.count.fetch_add(1, Release);
            things.event.notify();
        }
        leaver.join().unwrap();
        things.check();
    });
}

#[test]
fn a_token_of_one_that_is_late_goes_on() {
    let name = "models::chains::a_token_of_one_that_is_late_goes_on";
    leaves(name, true, 600, &["nobody slept", "one was woken"]);
}

#[test]
fn a_token_of_one_that_takes_nothing_goes_on() {
    let name = "models::chains::a_token_of_one_that_takes_nothing_goes_on";
    leaves(name, false, 1000, &["nobody slept", "one was woken"]);
}

/// A wake of one and a wake of all meet two sleepers: both go, and nothing is left over.
#[test]
fn a_wake_of_one_meets_a_wake_of_all() {
    let name = "models::chains::a_wake_of_one_meets_a_wake_of_all";
    model(name, 20000, &["one", "nobody"], |scene| {
        let things = Things::new();
        let sleepers = [0, 1].map(|_| {
            let things = things.clone();
            scene.spawn(move |_| things.take())
        });
        let other = things.clone();
        let waker = scene.spawn(move |_| other.put(1));
        scene.enter();
        things.count.fetch_add(1, Release);
        things.event.notify();
        scene.saw(if waker.join().unwrap() {
            "one"
        } else {
            "nobody"
        });
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        things.check();
    });
}
