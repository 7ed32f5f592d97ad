//! Models of `worker`: the claim that hands a duty from worker to worker, and the whole loop.

#![cfg(loom)]

use std::cell::Cell;
use std::sync::Arc;

use loom::sync::Arc as LoomArc;
use ringmill::model::{Assembly, Shape, Station, StepFn, set_error};
use ringmill_loom_tests::{Plot, Scene, model};

loom::thread_local! {
    static WORKER: Cell<usize> = Cell::new(0);
}

/// Each holder of the claim finds the duty as the last one left it, and is alone with it.
#[test]
fn claim_hands_over() {
    let witnesses = [
        "1 and 1", "1 and 2", "2 and 0", "2 and 1", "0 and 2", "2 and 2",
    ];
    model("station::claim_hands_over", 80, &witnesses, |scene| {
        let plot = Plot::new();
        let state = plot.clone();
        let station = LoomArc::new(Station::new(move || {
            state.add(1);
            state.get()
        }));
        let poll = |station: &Station| -> usize {
            (0..2).filter(|_| station.try_poll().is_some()).count()
        };
        let other = station.clone();
        let other = scene.spawn(move |_| poll(&other));
        scene.enter();
        let mine = poll(&station);
        let theirs = other.join().unwrap();
        scene.saw(format!("{mine} and {theirs}"));
        assert_eq!(
            station.try_poll(),
            Some(mine + theirs + 1),
            "a poll was lost"
        );
    });
}

fn assemble(
    scene: &Scene,
    instances: &[usize],
    capacities: &[usize],
    homes: &[usize],
    workers: usize,
    step: StepFn<usize, usize>,
) -> Assembly<usize, usize> {
    let shape = Shape {
        start: scene.start,
        instances: instances.to_vec(),
        capacities: capacities.to_vec(),
        homes: homes.to_vec(),
        workers,
        is_ordered: false,
        step,
    };
    shape.assemble().unwrap()
}

/// A helper takes the duty of a worker that may go to sleep meanwhile, and gives it back while there is
/// more to do: the home hears of it. The job is done once, and the home comes to its end.
#[test]
fn claim_given_back() {
    model(
        "station::claim_given_back",
        400,
        &["by home", "by helper"],
        |scene| {
            let state = Plot::new();
            let count = state.clone();
            let step: StepFn<usize, usize> = Arc::new(move |_, _| {
                count.add(1);
                Ok(vec![WORKER.with(Cell::get)])
            });
            let mut all = assemble(scene, &[1], &[1, 1], &[0], 2, step);
            all.dispatcher.try_dispatch(1).unwrap();
            drop(all.dispatcher);
            let floor = all.floor.clone();
            let home = scene.spawn(move |_| floor.run(0));
            scene.enter();
            WORKER.with(|worker| worker.set(1));
            all.floor.poll_as(1, 0);
            home.join().unwrap();
            assert_eq!(state.get(), 1);
            let by = all.receiver.receive().unwrap();
            scene.saw(["by home", "by helper"][by]);
            assert_eq!(all.receiver.receive(), None);
            assert_eq!(set_error(&all.handle), None);
        },
    );
}

/// A job comes, and the close, while the worker is about to sleep; who receives may sleep, too.
#[test]
fn dispatch_against_sleep() {
    model(
        "station::dispatch_against_sleep",
        20000,
        &["done"],
        |scene| {
            let step: StepFn<usize, usize> = Arc::new(|_, job| Ok(vec![job]));
            let mut all = assemble(scene, &[1], &[1, 1], &[0], 1, step);
            let floor = all.floor.clone();
            let worker = scene.spawn(move |_| floor.run(0));
            scene.enter();
            all.dispatcher.dispatch(1).unwrap();
            drop(all.dispatcher);
            assert_eq!(all.receiver.receive(), Some(1));
            assert_eq!(all.receiver.receive(), None);
            assert_eq!(set_error(&all.handle), None);
            scene.saw("done");
            worker.join().unwrap();
        },
    );
}

/// Both rings of a stage are full and its job stays open, with a result in the duty's hand: it all comes
/// through as soon as somebody receives.
#[test]
fn both_rings_full() {
    model("station::both_rings_full", 8000, &["all"], |scene| {
        let step: StepFn<usize, usize> = Arc::new(|_, job| Ok(vec![job, job]));
        let mut all = assemble(scene, &[1], &[1, 1], &[0], 1, step);
        all.dispatcher.try_dispatch(1).unwrap();
        let floor = all.floor.clone();
        let worker = scene.spawn(move |_| floor.run(0));
        scene.enter();
        all.dispatcher.dispatch(2).unwrap();
        drop(all.dispatcher);
        let results: Vec<_> = std::iter::from_fn(|| all.receiver.receive()).collect();
        assert_eq!(results, [1, 1, 2, 2]);
        assert_eq!(set_error(&all.handle), None);
        scene.saw("all");
        worker.join().unwrap();
    });
}

/// A stop while a job may be running, waiting, or done: it is counted once, and everybody comes home.
#[test]
fn stop_against_jobs() {
    let witnesses = [
        "finished 0, dropped 2",
        "finished 1, dropped 1",
        "finished 2, dropped 0",
    ];
    model("station::stop_against_jobs", 700, &witnesses, |scene| {
        let step: StepFn<usize, usize> = Arc::new(|_, job| Ok(vec![job]));
        let mut all = assemble(scene, &[1], &[2, 2], &[0], 1, step);
        all.dispatcher.try_dispatch(1).unwrap();
        all.dispatcher.try_dispatch(2).unwrap();
        let floor = all.floor.clone();
        let worker = scene.spawn(move |_| floor.run(0));
        scene.enter();
        all.handle.stop();
        let mut results = 0;
        while all.receiver.receive().is_some() {
            results += 1;
        }
        let counters = all.handle.counters();
        let stage = &counters.stages[0];
        assert_eq!((stage.waiting, stage.running), (0, 0));
        assert_eq!(stage.dispatched, 2);
        assert_eq!(stage.finished, results + stage.discarded);
        scene.saw(format!(
            "finished {}, dropped {}",
            stage.finished, stage.dropped
        ));
        worker.join().unwrap();
    });
}
