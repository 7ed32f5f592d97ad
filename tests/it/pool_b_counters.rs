//! Counters that another thread looks at all the time, as frankkopp's WorkerPool gets them wrong: the sum is
//! right at every instant, and nothing is ever negative. See `counters.rs` for counts kept by the jobs themselves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::common::place::{empty, everywhere, same, single, three, trials};
use crate::common::{jobs, until};
use ringmill::{Counters, Handle};

/// Each of these tests wants all cores.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What must hold of a snapshot and the one before.
fn check(before: &Counters, now: &Counters) {
    for (was, is) in before.stages.iter().zip(&now.stages) {
        let sum = is.waiting + is.running + is.finished + is.dropped;
        assert_eq!(is.dispatched, sum, "{is:?}");
        // What were negative would be astronomic.
        assert!(is.waiting.max(is.running) <= is.dispatched, "{is:?}");
        assert!(is.dispatched < u64::MAX / 2, "{is:?}");
        let grows = was.dispatched <= is.dispatched
            && was.finished <= is.finished
            && was.dropped <= is.dropped
            && was.discarded <= is.discarded;
        assert!(grows, "{was:?} {is:?}");
    }
    let left: u64 = now
        .stages
        .iter()
        .map(|stage| stage.waiting + stage.running)
        .sum();
    assert_eq!(now.active(), left);
}

/// Takes snapshots until it is over, and counts them.
fn poll(handle: &Handle<String>, is_over: &AtomicBool, looks: &AtomicU64) {
    let mut before = handle.counters();
    loop {
        let is_last = is_over.load(SeqCst);
        let now = handle.counters();
        check(&before, &now);
        before = now;
        looks.fetch_add(1, SeqCst);
        if is_last {
            return;
        }
        thread::yield_now(); // Where cores are few, the others are to get on.
    }
}

/// Theirs is wrong in 13,262 of 20,000.
#[test]
fn s_b7_counters_stay_at_zero_while_an_empty_pool_closes() {
    let _alone = alone();
    // One thread looks at all of them, one after the other.
    let seen = Arc::new(AtomicU64::new(0));
    let now_open = Arc::new(Mutex::new(None::<Handle<String>>));
    let is_over = Arc::new(AtomicBool::new(false));
    let (looks, at, until_over) = (seen.clone(), now_open.clone(), is_over.clone());
    let watcher = thread::spawn(move || {
        while !until_over.load(SeqCst) {
            let handle = at.lock().unwrap().clone();
            let Some(handle) = handle else {
                thread::yield_now();
                continue;
            };
            // Until another one is open.
            loop {
                let is_finished = handle.is_finished();
                for stage in handle.counters().stages {
                    let counts = [stage.dispatched, stage.waiting, stage.running];
                    let ends = [stage.finished, stage.dropped, stage.discarded];
                    assert_eq!((counts, ends), ([0; 3], [0; 3]));
                }
                looks.fetch_add(1, SeqCst);
                thread::yield_now();
                if is_finished {
                    break;
                }
            }
        }
    });
    let current = now_open.clone();
    trials(jobs(20_000), move |place, capacity| {
        let builder = empty::<u64>(capacity).workers(1);
        let handle = builder.handle();
        let (dispatcher, mut receiver, pipeline) = single(place, builder, same);
        *current.lock().unwrap() = Some(handle);
        dispatcher.done();
        assert_eq!(receiver.receive(), None);
        pipeline.join().unwrap();
    });
    is_over.store(true, SeqCst);
    watcher.join().unwrap();
    assert!(seen.load(SeqCst) > 0);
}

/// The sum is right at every instant, while ten million jobs pass.
#[test]
fn r_b6_s_b7_counters_add_up_under_load() {
    let _alone = alone();
    everywhere(|place, capacity| {
        let all = jobs(if capacity == 1 { 300 } else { 3_340_000 });
        let (mut dispatcher, mut receiver, pipeline) =
            three(place, empty::<u64>(capacity), same, same, same);
        assert_eq!(pipeline.counters().active(), 0, "it has no jobs");
        let handle = pipeline.handle();
        let (is_over, looks) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            let watcher = scope.spawn(|| poll(&handle, &is_over, &looks));
            let looks = &looks;
            let feeder = scope.spawn(move || {
                let first = dispatcher.dispatch_all(0..all / 2).unwrap();
                let before = looks.load(SeqCst);
                until(|| looks.load(SeqCst) > before);
                first + dispatcher.dispatch_all(all / 2..all).unwrap()
            });
            let mut some = Vec::new();
            let mut sum = 0;
            while receiver.receive_many(&mut some, 256) > 0 {
                sum += some.drain(..).sum::<u64>();
            }
            assert_eq!(feeder.join().unwrap() as u64, all);
            assert_eq!(sum, all * (all - 1) / 2);
            is_over.store(true, SeqCst);
            watcher.join().unwrap();
        });
        let counters = pipeline.join().unwrap().counters;
        for stage in &counters.stages {
            assert_eq!((stage.dispatched, stage.finished), (all, all));
        }
        assert_eq!(counters.active(), 0);
    });
}
