//! Whose a job is that waits: the dispatcher's, who may drop it, and any instance's that is free; never one's alone that
//! is busy.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::{Count, Door, Gate, OpenLate, core, jobs, until, within, within_steps};
use ringmill::stage::{flat_map, map};
use ringmill::{Context, Dispatcher, FailFast, Instances, Overflow, Pipeline};

type Pure = Pipeline<Infallible>;

const CAPACITIES: [u64; 8] = [1, 2, 3, 4, 5, 8, 64, 1024];

/// Where the first stage is, and how many dispatch.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Floating(usize),
    Bound,
    Fused,
    /// One instance of two that are keyed, which all jobs are for.
    Keyed,
}

/// Keeps every instance inside a job, twice, and lets `dispatchers` overflow the ring meanwhile.
fn overflow(shape: Shape, capacity: u64, dispatchers: usize) {
    let instances = if let Shape::Floating(count) = shape {
        count as u64
    } else {
        1
    };
    let doors = [Door::default(), Door::default()];
    let _late = doors.clone().map(|door| door.open_late());
    let inside = doors.clone();
    // The first jobs stop at the first door, and as many more at the second.
    let stops = move |_: &Context| {
        let inside = inside.clone();
        map(
            move |job: u64| match inside.get(usize::try_from(job / instances).unwrap()) {
                Some(door) => door.pass(job),
                None => job,
            },
        )
    };
    let builder = Pure::builder::<u64>()
        .workers(usize::try_from(instances).unwrap())
        .capacity(usize::try_from(capacity).unwrap())
        .overflow(Overflow::DropOldest)
        .many_dispatchers();
    let (dispatcher, receiver, pipeline) = match shape {
        Shape::Floating(count) => builder.stage("first", Instances::new(count), stops).start(),
        Shape::Bound => builder
            .stage("first", Instances::bound(core()), stops)
            .start(),
        Shape::Keyed => {
            let keyed = Instances::new(2).keyed(|_: &u64| 0);
            builder.stage("first", keyed, stops).start()
        }
        Shape::Fused => builder
            .stage("first", Instances::new(1), |_| map(|job: u64| job))
            .then("fused", stops)
            .start(),
    }
    .unwrap();
    // Behind the last stage there is room for all.
    let collecting = thread::spawn(move || receiver.collect::<Vec<_>>());
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&dropped);
    let dispatcher = dispatcher.on_drop(move |job| notes.lock().unwrap().push(job));
    let mut dispatchers: Vec<Dispatcher<u64, Infallible, FailFast, _>> =
        (0..dispatchers).map(|_| dispatcher.clone()).collect();
    drop(dispatcher);
    let mut next = 0;
    let mut dispatch = |count: u64| {
        for _ in 0..count {
            let nth = usize::try_from(next).unwrap() % dispatchers.len();
            dispatchers[nth].dispatch(next).unwrap();
            next += 1;
        }
    };
    let reach = |door: usize, count: u64| doors[door].reach(usize::try_from(count).unwrap());
    for begun in 1..=instances {
        dispatch(1);
        reach(0, begun);
    }
    // What the instances find next: a full ring, so that a claim of several is worth it.
    dispatch(capacity);
    doors[0].open();
    reach(1, capacity.min(instances));
    for begun in capacity..instances {
        dispatch(1);
        reach(1, begun + 1);
    }
    let waiting = capacity.saturating_sub(instances);
    let oldest = 2 * instances;
    let more = 3 * capacity + 100;
    dispatch(more);
    let newest = oldest + waiting + more;
    let counted = pipeline.counters().stages[0].clone();
    assert_eq!(
        (counted.waiting, counted.overflowed),
        (capacity, waiting + more - capacity)
    );
    doors[1].open();
    drop(dispatchers);
    let mut results = collecting.join().unwrap();
    results.sort_unstable();
    let kept = (0..oldest).chain(newest - capacity..newest);
    assert_eq!(results, kept.collect::<Vec<_>>());
    let dropped = dropped.lock().unwrap().clone();
    assert_eq!(dropped, (oldest..newest - capacity).collect::<Vec<_>>());
    pipeline.join().unwrap();
}

#[test]
fn the_oldest_that_wait_are_dropped_whatever_the_capacity_the_placement_and_the_dispatchers() {
    let floating = [1, 2, 3].map(Shape::Floating);
    let others = [Shape::Bound, Shape::Fused, Shape::Keyed];
    for shape in floating.into_iter().chain(others) {
        within_steps(move |step| {
            for capacity in CAPACITIES {
                for dispatchers in [1, 3] {
                    step.say(format!(
                        "{shape:?}, capacity {capacity}, {dispatchers} dispatchers"
                    ));
                    overflow(shape, capacity, dispatchers);
                }
            }
        });
    }
}

#[test]
fn many_that_dispatch_at_once_drop_no_more_than_has_to_go() {
    within(|| {
        for capacity in [1, 2, 5, 8] {
            let door = Door::default();
            let _late = door.open_late();
            let stop = door.clone();
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .workers(2)
                .capacity(capacity)
                .overflow(Overflow::DropOldest)
                .many_dispatchers()
                .stage("only", Instances::new(2), move |_| {
                    let stop = stop.clone();
                    map(move |job: u64| if job == 0 { stop.pass(job) } else { job })
                })
                .start()
                .unwrap();
            for begun in 1..=2 {
                dispatcher.dispatch(0).unwrap();
                door.reach(begun);
            }
            let dispatching = [(); 3].map(|()| {
                let mut dispatcher = dispatcher.clone();
                thread::spawn(move || (1..=1000).for_each(|job| dispatcher.dispatch(job).unwrap()))
            });
            drop(dispatcher);
            for thread in dispatching {
                thread.join().unwrap();
            }
            // Nobody took anything meanwhile: the ring is full, and the rest is gone.
            let counted = pipeline.counters().stages[0].clone();
            assert_eq!(counted.waiting, capacity as u64);
            assert_eq!(counted.overflowed, 3000 - capacity as u64);
            door.open();
            assert_eq!(receiver.count(), capacity + 2);
            pipeline.join().unwrap();
        }
    });
}

/// Lets jobs through but for one, which waits until all others have begun.
fn all_begin_beside_a_long_one(jobs: u64, capacity: usize, stages: usize, is_ordered: bool) {
    let (begun, gate) = (Count::default(), Gate::default());
    let _late = OpenLate(gate.clone());
    let long = jobs / 2;
    let (begins, passes) = (begun.clone(), gate.clone());
    let last = move |_: &Context| {
        let (begins, passes) = (begins.clone(), passes.clone());
        map(move |job: u64| {
            begins.add(1);
            if job == long {
                passes.pass();
            }
            job
        })
    };
    let two = || {
        let two = Instances::new(2);
        if is_ordered {
            two.ordered(usize::try_from(jobs).unwrap())
        } else {
            two
        }
    };
    let builder = Pure::builder::<u64>().workers(2).capacity(capacity);
    let (mut dispatcher, receiver, pipeline) = if stages == 1 {
        builder.stage("last", two(), last).start()
    } else {
        builder
            .stage("first", Instances::new(2), |_| map(|job: u64| job))
            .stage("last", two(), last)
            .start()
    }
    .unwrap();
    let collecting = thread::spawn(move || receiver.count());
    dispatcher.dispatch_all(0..jobs).unwrap();
    dispatcher.done();
    begun.reach(usize::try_from(jobs).unwrap());
    gate.open();
    assert_eq!(collecting.join().unwrap() as u64, jobs);
    pipeline.join().unwrap();
}

#[test]
fn quick_jobs_do_not_wait_for_a_long_one_while_another_instance_is_free() {
    for (stages, is_ordered) in [(1, false), (2, false), (1, true)] {
        for (capacity, count) in [(8, 500), (1000, 5000), (1024, 20_000)] {
            for _ in 0..jobs(5) {
                within(move || all_begin_beside_a_long_one(count, capacity, stages, is_ordered));
            }
        }
    }
}

#[test]
fn an_instance_that_is_not_wanted_ends_its_job_and_begins_none() {
    for _ in 0..jobs(20) {
        within(|| {
            let begun = Arc::new(Mutex::new(Vec::new()));
            let count = Count::default();
            let (log, counts) = (Arc::clone(&begun), count.clone());
            let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .workers(2)
                .capacity(64)
                .stage("only", Instances::new(1).up_to(2), move |context| {
                    let (log, counts) = (Arc::clone(&log), counts.clone());
                    let instance = context.instance();
                    flat_map(move |job: u64| {
                        log.lock().unwrap().push(instance);
                        counts.add(1);
                        [job; 65]
                    })
                })
                .start()
                .unwrap();
            let scaling = pipeline.scaling("only").unwrap();
            scaling.scale_to(2).unwrap();
            until(|| scaling.size() == 2);
            // Each of the two has a result that finds no room, and jobs wait.
            for begun in 1..=2 {
                dispatcher.dispatch(1).unwrap();
                count.reach(begun);
            }
            dispatcher.dispatch_all([1; 10]).unwrap();
            dispatcher.done();
            assert!(begun.lock().unwrap().contains(&1), "both have one");
            scaling.scale_to(1).unwrap();
            let mut results = 0;
            while receiver.receive().is_some() {
                results += 1;
            }
            assert_eq!(results, 65 * 12);
            let by_it = begun.lock().unwrap().iter().filter(|&&by| by == 1).count();
            assert_eq!(by_it, 1, "it began another");
            pipeline.join().unwrap();
        });
    }
}

#[test]
fn many_results_are_received_in_one_call_at_every_capacity() {
    within(|| {
        for capacity in [900, 1000, 1024] {
            let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .capacity(capacity)
                .many_receivers()
                .stage("only", Instances::new(1), |_| map(|job: u64| job))
                .start()
                .unwrap();
            dispatcher.dispatch_all(0..900).unwrap();
            until(|| pipeline.counters().stages[0].finished == 900);
            let mut results = Vec::new();
            for call in 1..=9 {
                assert_eq!(receiver.receive_many(&mut results, 100), 100, "call {call}");
            }
            assert_eq!(results, (0..900).collect::<Vec<_>>());
            dispatcher.done();
            assert_eq!(receiver.receive_many(&mut results, 100), 0);
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn many_results_are_received_in_one_call_from_many_rings() {
    within(|| {
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .stage("only", Instances::new(3), |_| map(|job: u64| job))
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..900).unwrap();
        dispatcher.done();
        // All are there before the first is taken.
        until(|| pipeline.is_finished());
        let mut results = Vec::new();
        assert_eq!(receiver.receive_many(&mut results, 1000), 900);
        results.sort_unstable();
        assert_eq!(results, (0..900).collect::<Vec<_>>());
        pipeline.join().unwrap();
    });
}
