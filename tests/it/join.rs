//! Waiting for the end: `join` and its kin, states that come back, and `run`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crate::common::{Census, Count, Gate, OpenLate, Threads, until, within, within_steps};
use ringmill::stage::map;
use ringmill::{
    Context, DispatchError, Fault, Idle, Instances, JoinError, Pipeline, RunError, allowed_cores,
};

fn waits(gate: &Gate, began: &Count) -> impl Fn(&Context) -> Waits + Send + Sync + 'static {
    let (gate, began) = (gate.clone(), began.clone());
    move |_| Waits(gate.clone(), began.clone())
}

struct Waits(Gate, Count);

impl<E> ringmill::Stage<u64, E> for Waits {
    type Out = u64;

    fn job<O: ringmill::Outlet<u64>>(
        &mut self,
        job: u64,
        out: &mut O,
    ) -> Result<ringmill::Flow, E> {
        self.1.add(1);
        self.0.pass();
        assert!(out.emit(job).is_ok());
        Ok(ringmill::Flow::Done)
    }
}

/// Who is still running what; the handle comes back, and the join after that succeeds.
#[test]
fn f_8_join_timeout_says_who_is_running() {
    within(|| {
        for timeout in [Duration::ZERO, Duration::from_millis(2)] {
            let (gate, began) = (Gate::default(), Count::default());
            let _late = OpenLate(gate.clone());
            let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
                .workers(2)
                .stage("front", Instances::new(1), |_| map(|x: u64| x))
                .stage(
                    "slow",
                    Instances::new(2).keyed(|x: &u64| *x),
                    waits(&gate, &began),
                )
                .start()
                .unwrap();
            mouth.dispatch(1).unwrap();
            began.reach(1);
            mouth.dispatch(1).unwrap();
            pipeline.close();
            let mut pipeline = pipeline;
            for _ in 0..2 {
                let still = pipeline.join_timeout(timeout).unwrap_err();
                assert_eq!(still.running.len(), 1);
                assert_eq!(&*still.running[0].stage, "slow");
                let instance = still.running[0].instance;
                let said = still.to_string();
                assert!(said.contains(&format!("slow/{instance}")), "{said}");
                let slow = still.counters.stage("slow").unwrap();
                assert_eq!(slow.running, 1);
                // The second job may be on its way between the stages, where neither counts it.
                assert!((1..=2).contains(&still.counters.active()));
                pipeline = still.pipeline;
                assert!(!pipeline.is_finished() && !pipeline.is_stopped());
            }
            gate.open();
            let joined = pipeline.join_timeout(Duration::MAX).unwrap();
            assert_eq!(joined.unwrap().counters.active(), 0);
            assert_eq!(exit.count(), 2);
        }
    });
}

/// A handle that is given back and dropped stops, and waits.
#[test]
fn a_join_timeout_given_up() {
    within(|| {
        let (gate, began, threads) = (Gate::default(), Count::default(), Threads::default());
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .on_spawn(threads.hook())
            .stage("a", Instances::new(1), waits(&gate, &began))
            .start()
            .unwrap();
        mouth.dispatch_all([1, 2]).unwrap();
        began.reach(1);
        let still = pipeline.join_timeout(Duration::ZERO).unwrap_err();
        let handle = still.pipeline.handle();
        let dropper = thread::spawn(move || drop(still));
        until(|| handle.is_stopped());
        gate.open();
        dropper.join().unwrap();
        assert_eq!(threads.alive(), 0);
        assert_eq!(handle.counters().stages[0].dropped, 1);
        assert_eq!(exit.collect::<Vec<_>>(), [1]);
    });
}

/// Results that nobody takes are backpressure; a join that takes them is the way out.
#[test]
fn join_into_receives() {
    within(|| {
        for idle in [Idle::backoff(), Idle::parking(), Idle::yielding()] {
            let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
                .capacity(2)
                .idle(idle)
                .stage("a", Instances::new(1), |_| map(|x: u64| x))
                .start()
                .unwrap();
            mouth.dispatch_all([0, 1, 2, 3]).unwrap();
            mouth.done();
            // Two results fill their ring, then nothing moves.
            until(|| pipeline.counters().stages[0].waiting == 2);
            let still = pipeline.join_timeout(Duration::from_millis(1)).unwrap_err();
            assert_eq!(still.counters.stages[0].waiting, 2);
            assert!(still.running.is_empty());
            let mut received = Vec::new();
            let report = still
                .pipeline
                .join_into(exit, |x| received.push(x))
                .unwrap();
            assert_eq!(received, [0, 1, 2, 3]);
            assert_eq!(report.counters.stages[0].finished, 4);
        }
    });
}

/// A panic in its closure: the receiver and the pipeline go, and with them everything.
#[test]
fn join_into_panics() {
    within(|| {
        let threads = Threads::default();
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .on_spawn(threads.hook())
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        mouth.dispatch_all([0, 1, 2, 3]).unwrap();
        let join = || pipeline.join_into(exit, |x| assert!(x < 2, "no {x}"));
        let payload = catch_unwind(AssertUnwindSafe(join)).unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().unwrap(), "no 2");
        assert_eq!(threads.alive(), 0);
        assert!(mouth.dispatch(9).is_err());
    });
}

/// The report: final counters, and where everything was.
#[test]
fn the_report() {
    within(|| {
        let core = allowed_cores()[0];
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .stage("a", Instances::bound([core]), |_| map(|x: u64| x))
            .then("b", |_| map(|x: u64| x))
            .start()
            .unwrap();
        mouth.dispatch_all(0..10).unwrap();
        drop(mouth);
        let report = pipeline.join().unwrap();
        assert_eq!(exit.count(), 10);
        for stage in &report.counters.stages {
            assert_eq!((stage.dispatched, stage.finished), (10, 10));
        }
        assert_eq!(report.placement.workers.len(), 1);
        let worker = &report.placement.workers[0];
        assert_eq!(
            (&*worker.name, worker.core, worker.pinned),
            ("a/0", Some(core), true)
        );
        assert_eq!(worker.duties, ["a/0"]);
    });
}

/// The states of a fold come back by instance, after a close and after a stop.
#[test]
fn r_a6_f_15_folded_states_come_back() {
    within_steps(|step| {
        for capacity in [1, 1024] {
            for ending in ["close", "stop", "run"] {
                for instances in 1..4 {
                    step.say(format!("{capacity} {ending} {instances}"));
                    let builder = Pipeline::<String>::builder::<u64>()
                        .capacity(capacity)
                        .idle(Idle::parking())
                        .stage("a", Instances::new(2), |_| map(|x: u64| x));
                    let sealed = builder.fold(
                        Instances::new(instances),
                        |context| (context.instance(), Vec::new()),
                        |state, x| state.1.push(x),
                    );
                    let states = if ending == "run" {
                        sealed.run(0..100).unwrap().states
                    } else {
                        let (mut mouth, pipeline) = sealed.start().unwrap();
                        mouth.dispatch_all(0..100).unwrap();
                        match ending {
                            "close" => drop(mouth),
                            _ => pipeline.stop(),
                        }
                        pipeline.join().unwrap().states
                    };
                    assert!(states.iter().map(|state| state.0).eq(0..instances));
                    let mut all: Vec<u64> = states.into_iter().flat_map(|state| state.1).collect();
                    all.sort_unstable();
                    if ending == "stop" {
                        assert!(all.is_sorted_by(|one, next| one < next && *next < 100));
                    } else {
                        assert!(all.into_iter().eq(0..100));
                    }
                }
            }
        }
    });
}

/// Two instances on one core.
#[test]
fn f_15_a_bound_fold() {
    within(|| {
        let core = allowed_cores()[0];
        let report = Pipeline::<String>::builder::<u64>()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .fold(Instances::bound([core, core]), |_| 0, |sum, x| *sum += x)
            .run(0..100)
            .unwrap();
        assert_eq!(report.states.len(), 2);
        assert_eq!(report.states.iter().sum::<u64>(), 4950);
    });
}

#[test]
fn a_fold_panics() {
    within(|| {
        let failed = Pipeline::<String>::builder::<u64>()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .fold(Instances::new(1), |_| (), |(), x| assert!(x < 3, "no {x}"))
            .run(0..100);
        let Err(RunError::Join(JoinError::Failed(fault))) = failed else {
            panic!("it panicked");
        };
        let Fault::Panicked { stage, message, .. } = &*fault else {
            panic!("{fault:?}");
        };
        assert_eq!((&**stage, &**message), ("fold", "no 3"));
    });
}

/// No receiver: results are dropped and counted, jobs never wait for a taker.
#[test]
fn discarded_results() {
    within(|| {
        for capacity in [1, 1024] {
            let census = Census::default();
            let lives = census.clone();
            let (mut mouth, pipeline) = Pipeline::<String>::builder::<u64>()
                .capacity(capacity)
                .stage("a", Instances::new(2), move |_| {
                    let lives = lives.clone();
                    map(move |_: u64| lives.life())
                })
                .discard()
                .start()
                .unwrap();
            mouth.dispatch_all(0..1000).unwrap();
            drop(mouth);
            let report = pipeline.join().unwrap();
            let a = &report.counters.stages[0];
            assert_eq!(
                (a.finished, a.discarded, a.waiting, a.running),
                (1000, 1000, 0, 0)
            );
            census.is_over();
        }
    });
}

/// A joiner waits while a dispatcher and a receiver still hold on.
#[test]
fn join_from_another_thread() {
    within(|| {
        let (mut mouth, mut exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let handle = pipeline.handle();
        let joiner = thread::spawn(move || pipeline.join());
        mouth.dispatch(1).unwrap();
        assert_eq!(exit.receive(), Some(1));
        assert!(!handle.is_finished());
        mouth.done();
        assert!(joiner.join().unwrap().is_ok());
        assert_eq!(exit.receive(), None);
        assert!(matches!(mouth.dispatch(1), Err(DispatchError::Closed(1))));
    });
}
