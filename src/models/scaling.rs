//! Instances without a state: against an eviction and a close, against one more that is wanted, and against a job.

use std::sync::Arc;

use ringmill_loom_tests::model;

use super::{Assembly, Things, builder};
use crate::pipeline::builder::Many;
use crate::{Instances, Overflow};

/// One stage of one or two instances, the second of which is at home at worker 1.
fn one_or_two(
    first: usize,
    overflow: Overflow,
    init: impl Fn(usize) + Send + Sync + 'static,
    end: impl Fn(usize) + Clone + Send + Sync + 'static,
) -> Assembly<Many> {
    let init = move |context: &crate::Context| {
        let instance = context.instance();
        init(instance);
        let ends = Ends(instance, end.clone());
        // A job's result is the number of the instance that did it.
        move |_| Ok(ends.0)
    };
    let instances = Instances::new(1).up_to(2);
    let all = Assembly::new(
        builder()
            .many_dispatchers()
            .overflow(overflow)
            .workers(2)
            .stage("s", instances, init),
    );
    let homes = all.workers.0.stations.iter().map(|duty| duty.home());
    assert!(homes.eq([0, 1]), "another distribution than the model's");
    if first == 2 {
        all.handle.scaling("s").unwrap().scale_to(2).unwrap();
        assert_eq!(all.workers.poll(1), 1, "the second instance is not built");
    }
    all
}

/// The state of an instance: tells when it is dropped.
struct Ends<F: Fn(usize)>(usize, F);

impl<F: Fn(usize)> Drop for Ends<F> {
    fn drop(&mut self) {
        (self.1)(self.0);
    }
}

/// One more instance is wanted while its home goes to sleep: it is built.
#[test]
fn a_dormant_instance_that_is_wanted_is_built() {
    let name = "models::scaling::a_dormant_instance_that_is_wanted_is_built";
    model(name, 200, &["built"], |scene| {
        let built = Things::new();
        let tells = Arc::clone(&built);
        let init = move |instance| {
            if instance == 1 {
                tells.put(1);
            }
        };
        let all = one_or_two(1, Overflow::Block, init, |_| ());
        let workers = all.workers.clone();
        let home = scene.spawn(move |_| workers.run(1));
        scene.enter();
        all.handle.scaling("s").unwrap().scale_to(2).unwrap();
        // No other worker is there to help.
        built.take();
        scene.settle();
        drop(all.dispatcher);
        all.workers.poll_all(0);
        home.join().unwrap();
        assert_eq!(all.handle.scaling("s").unwrap().size(), 0);
        scene.saw("built");
    });
}
