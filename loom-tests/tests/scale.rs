//! Models of threads that come and go.

#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use ringmill::model::Staff;
use ringmill_loom_tests::{Plot, model};

/// A worker is dismissed, and called back while it may be leaving: it stays, or is found to be about to leave, or is
/// gone and another is hired, who finds what it left.
#[test]
fn called_back_or_gone() {
    let witnesses = ["stays", "is leaving", "is gone"];
    model("scale::called_back_or_gone", 20, &witnesses, |scene| {
        let staff = Arc::new(Staff::new(1, 1));
        let left = Plot::new();
        // Changed and read by read-modify-writes: see the models of sleepers.
        let home = Arc::new(AtomicUsize::new(0));
        assert!(staff.dismiss(0), "it was here");

        let worker = {
            let (staff, left, home) = (staff.clone(), left.clone(), home.clone());
            scene.spawn(move |_| {
                left.add(1);
                let leaves = home.fetch_add(0, Relaxed) == 0 && staff.leaves(0);
                leaves && staff.has_left(0)
            })
        };
        scene.enter();
        let answer = staff.call_back(0);
        match answer {
            None => {
                home.fetch_add(1, Relaxed);
            }
            Some(true) => left.add(1), // As the one who is hired does.
            Some(false) => {}
        }
        let has_left = worker.join().unwrap();
        assert_eq!(has_left, answer.is_some(), "{answer:?}");
        scene.saw(match answer {
            None => "stays",
            Some(false) => "is leaving",
            Some(true) => "is gone",
        });
        // Whoever was too early is told once it is gone.
        if answer == Some(false) {
            assert_eq!(staff.call_back(0), Some(true));
        }
    });
}
