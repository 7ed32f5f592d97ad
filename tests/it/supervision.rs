//! What comes late, or from aside: instances built while jobs run, deadlines, hooks, evictions, and idle strategies that
//! fail. None of it makes an end hang, and none of the user's code makes a deadline late.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Gate, OpenLate, Threads, jobs, until, within};
use ringmill::stage::map;
use ringmill::{
    BuildError, DispatchError, Fault, Handle, Idle, IdleStrategy, Instances, JoinError, Overflow,
    Pipeline, Step,
};

type Pure = Pipeline<Infallible>;

#[track_caller]
fn fault<A>(joined: Result<A, JoinError<Infallible>>) -> Arc<Fault<Infallible>> {
    match joined {
        Err(JoinError::Failed(fault)) => fault,
        Err(other) => panic!("failed: {other}"),
        Ok(_) => panic!("it did not fail"),
    }
}

/// The dispatcher takes the oldest job out in a consumer's place. If that was the last one of a closed ring, an instance
/// that sleeps without a state has to hear of it.
#[test]
fn an_eviction_that_takes_the_last_job_of_a_closed_ring_ends_the_dormant_instances() {
    for round in 0..jobs(60) {
        within(move || {
            let (dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .many_dispatchers()
                .overflow(Overflow::DropOldest)
                .workers(2)
                .capacity(1)
                .stage("s", Instances::new(1).up_to(2), |_| map(|x: u64| x))
                .start()
                .unwrap();
            let mut clone = dispatcher.clone();
            let sending = thread::spawn(move || {
                let mut job = 0;
                while clone.dispatch(job).is_ok() {
                    job += 1;
                }
            });
            // As many results as differ from round to round, then a close while jobs are evicted.
            for _ in 0..=round % 5 {
                receiver.receive().unwrap();
            }
            pipeline.close();
            sending.join().unwrap();
            drop(dispatcher);
            while receiver.receive().is_some() {}
            pipeline.join().unwrap();
        });
    }
}

/// All threads are there from the start, so that a hook that fails for any of them is an error of the start.
#[test]
fn a_spawn_hook_that_fails_for_a_worker_without_a_live_instance_is_an_error_of_start() {
    within(|| {
        let started = Pure::builder::<u64>()
            .workers(2)
            .on_spawn(|worker| assert!(worker == 0, "worker {worker} must not be"))
            .stage("s", Instances::new(1).up_to(2), |_| map(|x: u64| x))
            .start();
        let error = started.map(drop).unwrap_err();
        let BuildError::Hook { message, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(message, "worker 1 must not be");
    });
}

#[test]
fn a_load_that_is_never_reached_ends_like_any_other() {
    for load in [usize::MAX, 1 << 63] {
        within(move || {
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .workers(2)
                .stage("s", Instances::new(2).up_to(4).by_load(load), |_| {
                    map(|x: u64| x)
                })
                .start()
                .unwrap();
            dispatcher.dispatch_all(0..100).unwrap();
            dispatcher.done();
            assert_eq!(receiver.count(), 100);
            pipeline.join().unwrap();
        });
    }
}

/// The instance is built by a worker. The thread that keeps the time has nothing else to do.
#[test]
fn a_deadline_passes_while_an_instance_is_built() {
    within(|| {
        let (builds, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
        let _late = OpenLate(gate.clone());
        let (building, held) = (Arc::clone(&builds), gate.clone());
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .workers(2)
            .deadline(Duration::from_millis(100))
            .stage("s", Instances::new(1).up_to(2), move |_| {
                if building.fetch_add(1, SeqCst) > 0 {
                    held.pass();
                }
                map(|x: u64| x)
            })
            .start()
            .unwrap();
        pipeline.scaling("s").unwrap().scale_to(2).unwrap();
        until(|| builds.load(SeqCst) == 2);
        // The second one is not through before the deadline has come.
        until(|| pipeline.err().is_some());
        assert!(matches!(
            dispatcher.dispatch(1),
            Err(DispatchError::Failed(1))
        ));
        gate.open();
        assert_eq!(receiver.count(), 0);
        let fault = fault(pipeline.join());
        assert!(matches!(*fault, Fault::DeadlineExceeded { .. }), "{fault}");
    });
}

/// The fault is set before the hook is called, and a call from inside a hook does not wait.
#[test]
fn a_hook_for_the_deadline_may_dispatch_into_a_full_ring() {
    within(|| {
        let into = Arc::new(Mutex::new(None));
        let (told, hook) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&into));
        let answers = Arc::clone(&told);
        let gate = Gate::default();
        let _late = OpenLate(gate.clone());
        let held = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .many_dispatchers()
            .workers(1)
            .capacity(1)
            .deadline(Duration::from_millis(50))
            .on_fault(move |_| {
                let mut into: std::sync::MutexGuard<
                    '_,
                    Option<ringmill::Dispatcher<u64, _, _, _>>,
                > = hook.lock().unwrap();
                let answer = into.as_mut().map(|dispatcher| dispatcher.dispatch(9));
                answers.lock().unwrap().push(answer);
            })
            .stage("s", Instances::new(1), move |_| {
                let held = held.clone();
                map(move |x: u64| {
                    held.pass();
                    x
                })
            })
            .start()
            .unwrap();
        *into.lock().unwrap() = Some(dispatcher.clone());
        while dispatcher.try_dispatch(1).is_ok() {}
        until(|| !told.lock().unwrap().is_empty());
        let answer = told.lock().unwrap().pop().unwrap();
        assert!(
            matches!(answer, Some(Err(DispatchError::Failed(9)))),
            "{answer:?}"
        );
        gate.open();
        drop(receiver);
        let fault = fault(pipeline.join());
        assert!(matches!(*fault, Fault::DeadlineExceeded { .. }), "{fault}");
    });
}

/// What a hook owns: a handle of its executor, and something that counts it.
struct Own(Handle<Infallible>, Arc<()>);

impl Own {
    fn handle(&self) -> &Handle<Infallible> {
        assert!(Arc::strong_count(&self.1) > 1);
        &self.0
    }
}

#[test]
fn hooks_that_own_a_handle_of_their_executor_are_dropped_with_its_threads() {
    within(|| {
        let hooks = Arc::new(());
        for _ in 0..10 {
            let builder = Pure::builder::<u64>()
                .workers(2)
                .deadline(Duration::from_secs(3600));
            let own = || Own(builder.handle(), Arc::clone(&hooks));
            let (fault, start, stop, begin, end) = (own(), own(), own(), own(), own());
            let (mut dispatcher, receiver, pipeline) = builder
                .on_fault(move |_| fault.handle().stop())
                .on_worker_start(move |_| drop(start.handle().counters()))
                .on_worker_stop(move |_| stop.handle().stop())
                .on_instance_start(move |_| drop(begin.handle().counters()))
                .on_instance_stop(move |_| end.handle().close())
                .stage("s", Instances::new(1).up_to(2), |_| map(|x: u64| x))
                .start()
                .unwrap();
            assert_eq!(Arc::strong_count(&hooks), 6);
            dispatcher.dispatch(1).unwrap();
            dispatcher.done();
            assert_eq!(receiver.count(), 1);
            pipeline.join().unwrap();
            assert_eq!(Arc::strong_count(&hooks), 1);
        }
        // The caller's own worker, too.
        let builder = Pure::builder::<u64>().workers(1);
        let own = Own(builder.handle(), Arc::clone(&hooks));
        let stages = builder.on_worker_stop(move |_| own.handle().stop());
        let stages = stages.stage("s", Instances::new(1), |_| map(|x: u64| x));
        stages.run(0..3, drop).unwrap();
        assert_eq!(Arc::strong_count(&hooks), 1);
    });
}

/// A join there would wait for its own thread.
#[test]
fn joining_or_dropping_the_pipeline_in_a_workers_hook_does_not_wait() {
    for joins in [true, false] {
        within(move || {
            type Owned = Arc<Mutex<Option<Pure>>>;
            let owned: Owned = Arc::default();
            let answers = Arc::new(Mutex::new(Vec::new()));
            let (hook, said) = (Arc::clone(&owned), Arc::clone(&answers));
            let threads = Threads::default();
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .workers(2)
                .on_spawn(threads.hook())
                .on_worker_stop(move |_| {
                    let Some(pipeline) = hook.lock().unwrap().take() else {
                        return;
                    };
                    if joins {
                        let joined = pipeline.join().map(drop);
                        said.lock()
                            .unwrap()
                            .push(matches!(joined, Err(JoinError::InsideJob)));
                    }
                })
                .stage("a", Instances::new(2), |_| map(|x: u64| x))
                .start()
                .unwrap();
            *owned.lock().unwrap() = Some(pipeline);
            dispatcher.dispatch_all(0..10).unwrap();
            dispatcher.done();
            assert_eq!(receiver.count(), 10);
            threads.wait_gone();
            assert_eq!(*answers.lock().unwrap(), vec![true; usize::from(joins)]);
        });
    }
}

/// Panics when it is asked, and once more when it is dropped.
struct Twice(bool);

impl IdleStrategy for Twice {
    fn idle(&mut self) -> Step {
        assert!(!self.0, "idle");
        Step::Yield
    }
    fn reset(&mut self) {}
}

impl Drop for Twice {
    fn drop(&mut self) {
        assert!(!self.0, "drop");
    }
}

#[test]
fn an_idle_strategy_that_panics_in_idle_and_in_drop_costs_no_worker() {
    for workers in [1, 2] {
        within(move || {
            let made = AtomicUsize::new(0);
            // Those of the ends are made first, and behave.
            let idle = Idle::custom(move || Twice(made.fetch_add(1, SeqCst) >= 2));
            let (dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .workers(workers)
                .idle(idle)
                .stage("a", Instances::new(2), |_| map(|x: u64| x))
                .stage("b", Instances::new(1).up_to(2), |_| map(|x: u64| x))
                .start()
                .unwrap();
            assert_eq!(receiver.receive(), None);
            drop(dispatcher);
            let fault = fault(pipeline.join());
            assert!(fault.to_string().contains("idle"), "{fault}");
        });
    }
}

/// The only awake home of a stage is told of a job, and goes dormant instead of taking it: another instance must take it.
#[test]
fn jobs_that_come_while_an_instance_goes_are_taken_by_the_others() {
    within(|| {
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .workers(2)
            .idle(Idle::parking())
            .capacity(4)
            .stage("s", Instances::new(1).up_to(2), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let scaling = pipeline.scaling("s").unwrap();
        for job in 0..jobs(2000) {
            scaling.scale_to(1 + usize::from(job % 2 == 0)).unwrap();
            dispatcher.dispatch(job).unwrap();
            assert_eq!(receiver.receive(), Some(job));
        }
        dispatcher.done();
        assert_eq!(receiver.receive(), None);
        pipeline.join().unwrap();
    });
}
