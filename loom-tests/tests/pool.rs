//! Models of `pool`: batches that borrow, and helpers that come and go.

#![cfg(loom)]

use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc as LoomArc;
use loom::sync::atomic::AtomicUsize;
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
