//! Models of `pool`: batches that borrow, and helpers that come and go.

#![cfg(loom)]

use std::sync::atomic::Ordering::Relaxed;

use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc as LoomArc, Condvar, Mutex};
use loom::thread;
use ringmill::model::{Board, Work};
use ringmill_loom_tests::{Plot, model};

/// Two pieces of work, claimed one by one.
struct Pieces {
    next: AtomicUsize,
    pieces: [LoomArc<Plot>; 2],
    /// Touched by whoever uses the batch: its poster touches it when it is over.
    alive: LoomArc<Plot>,
}

impl Work for Pieces {
    fn work(&self) {
        while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Relaxed)) {
            assert_eq!(self.alive.get(), 0, "a batch that is over");
            piece.add(1);
        }
    }

    fn has_more(&self) -> bool {
        self.next.load(Relaxed) < self.pieces.len()
    }
}

/// A batch is over when its poster says so: nobody is inside, and all that helpers did is to be seen. The
/// slot serves the next batch.
#[test]
fn scope_join() {
    model(
        "pool::scope_join",
        1000,
        &["helped", "not helped"],
        |scene| {
            let board = Board::new(1);
            let helper = board.clone();
            let helper = scene.spawn(move |_| [helper.help(), helper.help()]);
            scene.enter();
            for _ in 0..2 {
                let batch = Pieces {
                    next: AtomicUsize::new(0),
                    pieces: [Plot::new(), Plot::new()],
                    alive: Plot::new(),
                };
                board.run(&batch);
                batch.alive.set(1);
                assert!(batch.pieces.iter().all(|piece| piece.get() == 1));
            }
            for helped in helper.join().unwrap() {
                scene.saw(if helped { "helped" } else { "not helped" });
            }
        },
    );
}

/// Two post at the same time, with one slot for both: who finds none works alone.
#[test]
fn two_posters() {
    model("pool::two_posters", 4000, &["done"], |scene| {
        let board = Board::new(1);
        let other = board.clone();
        let run = |board: &Board| {
            let batch = Pieces {
                next: AtomicUsize::new(0),
                pieces: [Plot::new(), Plot::new()],
                alive: Plot::new(),
            };
            board.run(&batch);
            batch.alive.set(1);
            assert!(batch.pieces.iter().all(|piece| piece.get() == 1));
        };
        let poster = scene.spawn(move |_| run(&other));
        let helper = board.clone();
        let helper = scene.spawn(move |_| helper.help());
        scene.enter();
        run(&board);
        poster.join().unwrap();
        helper.join().unwrap();
        scene.saw("done");
    });
}

/// A helper's task spawns another and waits for it, so that only the caller can run that: the caller takes it, or sleeps
/// and is woken.
#[test]
fn scope_caller_is_woken_by_a_spawn() {
    model(
        "pool::scope_caller_is_woken_by_a_spawn",
        500,
        &["one thread", "two threads"],
        |scene| {
            let board = Board::new(1);
            let helper = board.clone();
            let helper = scene.spawn(move |_| helper.help());
            scene.enter();
            let caller = thread::current().id();
            let (has_run, run) = (Mutex::new(false), Condvar::new());
            let inner = Plot::new();
            board.scope(|scope| {
                let (scene, inner, has_run, run) = (&scene, &inner, &has_run, &run);
                scope.spawn(move || {
                    scope.spawn(move || {
                        inner.add(1);
                        *has_run.lock().unwrap() = true;
                        run.notify_one();
                    });
                    if thread::current().id() == caller {
                        scene.saw("one thread");
                    } else {
                        let mut is_over = has_run.lock().unwrap();
                        while !*is_over {
                            is_over = run.wait(is_over).unwrap();
                        }
                        assert_eq!(inner.get(), 1, "what the caller did");
                        scene.saw("two threads");
                    }
                });
            });
            assert_eq!(inner.get(), 1, "a task of a scope that is over");
            helper.join().unwrap();
        },
    );
}

/// A scope is over when all tasks have run, also those that a helper's task spawned last, and what they did is to be seen.
#[test]
fn scope_ends_after_what_tasks_spawn() {
    model(
        "pool::scope_ends_after_what_tasks_spawn",
        500,
        &[
            "caller, caller",
            "caller, helper",
            "helper, caller",
            "helper, helper",
        ],
        |scene| {
            let board = Board::new(1);
            let helper = board.clone();
            let helper = scene.spawn(move |_| helper.help());
            scene.enter();
            let caller = thread::current().id();
            let name = move || {
                if thread::current().id() == caller {
                    "caller"
                } else {
                    "helper"
                }
            };
            let plots = [Plot::new(), Plot::new()];
            board.scope(|scope| {
                let (scene, [outer, inner]) = (&scene, &plots);
                scope.spawn(move || {
                    outer.add(1);
                    let first = name();
                    scope.spawn(move || {
                        assert_eq!(outer.get(), 1, "what the spawning task did");
                        inner.add(1);
                        scene.saw(format!("{first}, {}", name()));
                    });
                });
            });
            assert!(plots.iter().all(|plot| plot.get() == 1));
            assert!(!board.help(), "nothing is open");
            helper.join().unwrap();
        },
    );
}
