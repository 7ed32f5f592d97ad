//! What frankkopp's WorkerPool promises, a queue that can be closed and stopped and one of finished jobs,
//! and how it was seen to fail. A stop with all rings full and nobody receiving (S-B1) is a row of `table.rs`,
//! a stop from inside a job (S-B5) stands in `inside.rs`, zero workers (S-B4) in `bad_input`, counters (R-B6,
//! S-B7) in `pool_b_counters.rs`.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::common::place::{Place, empty, enough, everywhere, same, single};
use crate::common::{Door, Threads, core, until, within, within_steps};
use ringmill::stage::map;
use ringmill::{
    Context, DispatchError, Instances, Pipeline, ReceiveTimeoutError, TryReceiveError,
    allowed_cores,
};

/// A stage whose jobs wait at the door.
fn held(door: &Door) -> impl Fn(&Context) -> Held + Send + Sync + 'static {
    let door = door.clone();
    move |_| Held(door.clone())
}

struct Held(Door);

impl ringmill::Stage<u64, String> for Held {
    type Out = u64;

    fn job<O: ringmill::Outlet<u64>>(
        &mut self,
        job: u64,
        out: &mut O,
    ) -> Result<ringmill::Flow, String> {
        assert!(out.emit(self.0.pass(job)).is_ok());
        Ok(ringmill::Flow::Done)
    }
}

#[test]
fn r_b1_dispatch_waits_where_the_queue_is_full_and_a_close_wakes_it() {
    within_steps(|step| {
        for workers in [1, 2, 3] {
            for capacity in [1, 7, 1024] {
                for bound in [false, true] {
                    step.say(format!("{workers} {capacity} {bound}"));
                    let door = Door::default();
                    let _late = door.open_late();
                    let builder = empty(capacity).workers(workers);
                    let (mut dispatcher, receiver, pipeline) = if bound {
                        // As many as there are cores: one core's worker does one job at a time.
                        let cores = allowed_cores().into_iter().take(workers);
                        builder
                            .stage("work", Instances::bound(cores), held(&door))
                            .start()
                    } else {
                        let instances = Instances::new(workers);
                        builder.stage("work", instances, held(&door)).start()
                    }
                    .unwrap();
                    let inside = if bound {
                        workers.min(allowed_cores().len())
                    } else {
                        workers
                    };
                    let all = (inside + capacity) as u64;
                    for (reached, job) in (1..=inside).zip(0..) {
                        dispatcher.dispatch(job).unwrap();
                        door.reach(reached);
                    }
                    // At once: nobody makes room.
                    for job in inside as u64..all {
                        dispatcher.dispatch(job).unwrap();
                    }
                    let waits = [(); 2].map(|()| {
                        let mut dispatcher = dispatcher.clone();
                        thread::spawn(move || dispatcher.dispatch(all))
                    });
                    pipeline.close();
                    for waits in waits {
                        assert_eq!(waits.join().unwrap(), Err(DispatchError::Closed(all)));
                    }
                    assert_eq!(door.inside(), inside);
                    door.open();
                    let mut results: Vec<u64> = receiver.collect();
                    results.sort_unstable();
                    assert!(results.into_iter().eq(0..all));
                    pipeline.join().unwrap();
                }
            }
        }
    });
}

#[test]
fn r_b2_results_not_taken_hold_jobs_back() {
    everywhere(|place, capacity| {
        let (mut dispatcher, mut receiver, pipeline) = single(place, empty::<u64>(capacity), same);
        let all = 2 * capacity as u64;
        dispatcher.dispatch_all(0..all).unwrap();
        let finished = |count| pipeline.counters().stage("work").unwrap().finished == count;
        until(|| finished(capacity as u64));
        for nth in 0..10 {
            let job = all + nth;
            assert_eq!(dispatcher.try_dispatch(job), Err(DispatchError::Full(job)));
            assert!(finished(capacity as u64 + nth));
            assert_eq!(receiver.receive(), Some(nth));
            dispatcher.dispatch(job).unwrap();
            until(|| finished(capacity as u64 + nth + 1));
        }
        dispatcher.done();
        assert!(receiver.eq(10..all + 10));
        pipeline.join().unwrap();
    });
}

#[test]
fn r_b3_s_b3_close_and_stop_any_number_of_times() {
    everywhere(|place, capacity| {
        for stops in [false, true] {
            let door = Door::default();
            let _late = door.open_late();
            let threads = Threads::default();
            let builder = empty(capacity).on_spawn(threads.hook());
            let (mut dispatcher, mut receiver, pipeline) = single(place, builder, held(&door));
            dispatcher.dispatch(0).unwrap();
            door.reach(1);
            let queued = capacity.min(5) as u64;
            dispatcher.dispatch_all(1..=queued).unwrap();
            for _ in 0..3 {
                pipeline.close();
                dispatcher.done();
            }
            assert!(pipeline.is_closed() && !pipeline.is_stopped());
            for _ in 0..if stops { 3 } else { 0 } {
                pipeline.stop();
                pipeline.close();
            }
            assert_eq!(
                (pipeline.is_stopped(), pipeline.is_finished()),
                (stops, false)
            );
            door.open();
            let results: Vec<u64> = receiver.by_ref().collect();
            let handle = pipeline.handle();
            let report = pipeline.join().unwrap();
            assert!(
                results
                    .into_iter()
                    .eq(0..if stops { 1 } else { queued + 1 })
            );
            let dropped: u64 = report
                .counters
                .stages
                .iter()
                .map(|stage| stage.dropped)
                .sum();
            assert_eq!(dropped, if stops { queued } else { 0 });
            // After the end they are silent, too.
            for _ in 0..3 {
                handle.stop();
                handle.close();
                dispatcher.done();
                assert!(handle.is_finished() && handle.err().is_none());
            }
            assert_eq!(handle.counters(), report.counters);
            assert_eq!(threads.alive(), 0);
        }
    });
}

#[test]
fn r_b4_results_stay_until_they_are_taken() {
    everywhere(|place, capacity| {
        for ending in ["close", "stop", "dropped"] {
            let (mut dispatcher, mut receiver, pipeline) =
                single(place, empty::<u64>(capacity), same);
            assert_eq!(
                receiver.try_receive(),
                Err(TryReceiveError::Empty),
                "nothing yet"
            );
            let briefly = receiver.receive_timeout(Duration::ZERO);
            assert_eq!(briefly, Err(ReceiveTimeoutError::Timeout));
            let count = capacity.min(10) as u64;
            dispatcher.dispatch_all(0..count).unwrap();
            until(|| pipeline.counters().stage("work").unwrap().finished == count);
            match ending {
                "close" => pipeline.close(),
                "stop" => pipeline.stop(),
                _ => {}
            }
            if ending == "dropped" {
                drop(pipeline);
            } else {
                pipeline.join().unwrap();
            }
            // No thread is left; the results are.
            for expected in 0..count {
                let result = match expected % 3 {
                    0 => receiver.try_receive().ok(),
                    1 => receiver.receive(),
                    _ => receiver.receive_timeout(Duration::ZERO).ok(),
                };
                assert_eq!(result, Some(expected));
            }
            for _ in 0..2 {
                assert_eq!(
                    receiver.try_receive(),
                    Err(TryReceiveError::Done),
                    "never again"
                );
                let briefly = receiver.receive_timeout(Duration::MAX);
                assert_eq!(briefly, Err(ReceiveTimeoutError::Done));
                assert_eq!(receiver.receive(), None);
            }
        }
    });
}

/// Who is to be addressed is one of several instances, by key; the counters are those of stages.
#[test]
fn r_b7_jobs_are_interruptible_and_workers_have_names() {
    within(|| {
        let door = Door::default();
        let enters = door.clone();
        let (mut dispatcher, receiver, pipeline) = Pipeline::<String>::builder::<(u64, u64)>()
            .workers(2)
            .stage(
                "work",
                Instances::new(2).keyed(|job: &(u64, u64)| job.0),
                move |context| {
                    let (token, door) = (context.token(), enters.clone());
                    let instance = context.instance();
                    door.open();
                    map(move |job: (u64, u64)| {
                        door.pass(());
                        until(|| job.1 == 0 || token.is_stopped());
                        let comm = fs::read_to_string("/proc/thread-self/comm").unwrap();
                        (job, instance, comm.trim_end().to_string())
                    })
                },
            )
            .start()
            .unwrap();
        let placement = pipeline.placement();
        let names: Vec<_> = placement
            .workers
            .iter()
            .map(|worker| &*worker.name)
            .collect();
        assert_eq!(names, ["ringmill/0", "ringmill/1"]);
        let mut duties: Vec<_> = placement.workers.iter().flat_map(|w| &w.duties).collect();
        duties.sort();
        assert_eq!(duties, ["work/0", "work/1"]);
        dispatcher
            .dispatch_all((0..20).map(|key| (key, 0)))
            .unwrap();
        until(|| pipeline.counters().stages[0].finished == 20);
        dispatcher.dispatch((7, 1)).unwrap();
        door.reach(21);
        let still = pipeline.join_timeout(Duration::ZERO).unwrap_err();
        let [running] = &still.running[..] else {
            panic!("{still}");
        };
        let (stage, instance) = (running.stage.to_string(), running.instance);
        still.pipeline.stop();
        let results: Vec<_> = receiver.collect();
        let place_of = |key| results.iter().find(|result| result.0.0 == key).unwrap().1;
        assert_eq!((&*stage, instance), ("work", place_of(7)));
        let is_last = |result: &((u64, u64), usize, String)| result.0 == (7, 1);
        assert!(results.iter().any(is_last), "it saw the stop");
        assert!(results.iter().all(|result| names.contains(&&*result.2)));
        still.pipeline.join().unwrap();
    });
}

#[test]
fn s_b2_a_stop_after_a_close_stops() {
    everywhere(|place, capacity| {
        let door = Door::default();
        let _late = door.open_late();
        let (mut dispatcher, receiver, pipeline) = single(place, empty(capacity), held(&door));
        dispatcher.dispatch(0).unwrap();
        door.reach(1);
        dispatcher.dispatch_all(1..=capacity as u64).unwrap();
        pipeline.close();
        pipeline.stop();
        assert_eq!(dispatcher.dispatch(9), Err(DispatchError::Stopped(9)));
        door.open();
        assert!(receiver.eq([0]));
        let report = pipeline.join().unwrap();
        assert_eq!(door.inside(), 1);
        let dropped: u64 = report
            .counters
            .stages
            .iter()
            .map(|stage| stage.dropped)
            .sum();
        assert_eq!(dropped, capacity as u64);
    });
}

#[test]
fn s_b6_discard_ends_with_nothing_waiting_and_nothing_running() {
    everywhere(|place, capacity| {
        for stops in [false, true] {
            let builder = empty::<u64>(capacity);
            let one = || Instances::new(1);
            let sealed = match place {
                Place::Bound => builder.stage("a", Instances::bound(core()), same).discard(),
                Place::Floating => builder.stage("a", one(), same).discard(),
                Place::Fused => builder
                    .stage("first", one(), same)
                    .then("a", |_| map(|job: u64| job))
                    .discard(),
            };
            let (mut dispatcher, pipeline) = sealed.start().unwrap();
            let counters = pipeline.handle();
            dispatcher.dispatch_all(0..enough(capacity)).unwrap();
            if stops {
                pipeline.stop();
            }
            drop(dispatcher);
            let report = pipeline.join().unwrap();
            assert_eq!(report.counters, counters.counters());
            assert_eq!(report.counters.active(), 0);
            for stage in &report.counters.stages {
                assert_eq!((stage.waiting, stage.running), (0, 0));
                assert_eq!(stage.dispatched, stage.finished + stage.dropped);
            }
            let a = report.counters.stage("a").unwrap();
            assert_eq!(a.discarded, a.finished);
            assert!(stops || a.finished == enough(capacity));
        }
    });
}
