//! The supervisor: its deadline against the natural end, and its own end.

use std::time::Duration;

use ringmill_loom_tests::model;

use super::{Assembly, builder};
use crate::{Fault, Instances};

/// The deadline passes while the last duty ends: one of them wins, a thread that sees the end sees which, and nothing hangs.
#[test]
fn a_deadline_meets_the_natural_end() {
    let name = "models::supervision::a_deadline_meets_the_natural_end";
    model(name, 300, &["ended", "failed"], |scene| {
        let builder = builder().deadline(Duration::from_nanos(1)).workers(1);
        let mut all = Assembly::new(builder.stage("s", Instances::new(1), |_| Ok));
        drop(all.dispatcher);
        let (workers, handle) = (all.workers.clone(), all.handle.clone());
        let worker = scene.spawn(move |_| {
            workers.run(0);
            assert!(handle.is_finished());
            handle.err().is_some()
        });
        scene.enter();
        all.supervisor.unwrap().run();
        assert_eq!(all.receiver.receive(), None);
        let seen = worker.join().unwrap();
        let err = all.handle.err();
        assert_eq!(seen, err.is_some(), "the end changed");
        match err.as_deref() {
            None => scene.saw("ended"),
            Some(Fault::DeadlineExceeded { .. }) => scene.saw("failed"),
            Some(_) => panic!("another kind of fault"),
        }
    });
}

/// A supervisor that has nothing to look at sleeps without a time; the end releases it.
#[test]
fn the_end_releases_the_supervisor() {
    let name = "models::supervision::the_end_releases_the_supervisor";
    model(name, 40, &["released"], |scene| {
        let instances = Instances::new(1).up_to(2);
        let all = Assembly::new(builder().workers(1).stage("s", instances, |_| Ok));
        let supervisor = all.supervisor.unwrap();
        let supervisor = scene.spawn(move |_| supervisor.run());
        scene.enter();
        drop(all.dispatcher);
        all.workers.run(0);
        supervisor.join().unwrap();
        assert!(all.handle.is_finished());
        scene.saw("released");
    });
}
