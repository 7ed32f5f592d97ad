//! Counters: a looker against the jobs of a worker.

use ringmill_loom_tests::model;

use super::{Assembly, builder};
use crate::Instances;

/// Every snapshot adds up, at every moment, and none goes back.
#[test]
fn a_snapshot_adds_up_at_every_moment() {
    let name = "models::snapshots::a_snapshot_adds_up_at_every_moment";
    let witnesses = ["finished", "running", "waiting"];
    model(name, 1000, &witnesses, |scene| {
        let builder = builder().workers(1);
        let mut all = Assembly::new(builder.stage("s", Instances::new(1), |_| Ok));
        all.dispatcher.try_dispatch(1).unwrap();
        let handle = all.handle.clone();
        let scene_of_looker = scene.clone();
        let looker = scene.spawn(move |_| {
            let mut before = (0, 0, 0);
            for _ in 0..2 {
                let counters = handle.counters();
                let stage = &counters.stages[0];
                let parts = stage.waiting + stage.running + stage.finished + stage.dropped;
                assert_eq!(stage.dispatched, parts, "{stage:?}");
                assert!(stage.dispatched <= 2 && stage.dropped == 0, "{stage:?}");
                let now = (
                    stage.dispatched,
                    stage.running + stage.finished,
                    stage.finished,
                );
                let is_forward = now.0 >= before.0 && now.1 >= before.1 && now.2 >= before.2;
                assert!(is_forward, "{before:?}, then {now:?}");
                before = now;
                scene_of_looker.saw(match (stage.waiting, stage.running, stage.finished) {
                    (_, 1.., _) => "running",
                    (1.., _, _) => "waiting",
                    _ => "finished",
                });
            }
        });
        scene.enter();
        assert_eq!(all.workers.poll(0), 1);
        all.dispatcher.try_dispatch(2).unwrap();
        assert_eq!(all.receiver.try_receive(), Ok(1));
        drop(all.dispatcher);
        all.workers.poll_all(0);
        assert_eq!(all.receiver.receive(), Some(2));
        looker.join().unwrap();
        let counters = all.handle.counters();
        assert_eq!(counters.stages[0].finished, 2);
    });
}
