//! The last row of the table: what can go wrong while an executor starts, and an idle strategy that
//! panics later. The error is returned and nothing is left behind.

#![allow(
    clippy::disallowed_types,
    reason = "only the library goes through a facade"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::common::{Census, Life, Threads, is_counted_thread, within, within_steps};
use ringmill::{
    BuildError, Context, Fault, Flow, Idle, IdleStrategy, Instances, JoinError, Outlet, Pipeline,
    RunError, Stage, Step, allowed_cores,
};

/// A panic's payload that panics in its turn.
struct Again;

impl Drop for Again {
    fn drop(&mut self) {
        assert!(thread::panicking(), "again");
    }
}

/// A stage with a counted state.
struct Kept(#[expect(dead_code, reason = "only its drop counts")] Life);

impl Stage<u64, String> for Kept {
    type Out = u64;

    fn job<O: Outlet<u64>>(&mut self, job: u64, out: &mut O) -> Result<Flow, String> {
        assert!(out.emit(job).is_ok());
        Ok(Flow::Done)
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// The init closure of this instance of this stage.
    Init(&'static str, usize),
    /// The hook on this worker.
    Hook(usize),
    /// The idle strategy's constructor, called for this time.
    Idle(usize),
    /// Spawning any thread.
    Spawn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Floating,
    Bound,
    Fused,
    Run,
}

fn attempt(wrong: Wrong, place: Place) {
    let (census, threads) = (Census::default(), Threads::default());
    let init = |stage: &'static str| {
        let census = census.clone();
        move |context: &Context| {
            let kept = Kept(census.life());
            assert_eq!((context.stage(), context.instances()), (stage, 2));
            assert!(
                wrong != Wrong::Init(stage, context.instance()),
                "no {stage}"
            );
            kept
        }
    };
    let made = Arc::new(AtomicUsize::new(0));
    let idle = Idle::custom(move || {
        let nth = made.fetch_add(1, Relaxed);
        assert!(wrong != Wrong::Idle(nth), "no idling");
        Quiet
    });
    let hook = threads.hook();
    let builder = Pipeline::<String>::builder::<u64>()
        .capacity(4)
        .workers(2)
        .idle(idle)
        .on_spawn(move |worker| {
            hook(worker);
            assert!(wrong != Wrong::Hook(worker), "no worker {worker}");
        })
        .stack_size(if wrong == Wrong::Spawn {
            1 << 46
        } else {
            1 << 16
        });
    let handle = builder.handle();
    let cores = allowed_cores();
    let bound = Instances::bound([cores[0], cores[cores.len() - 1]]);
    let two = Instances::new(2);
    let error = match place {
        Place::Floating => {
            let builder = builder.stage("a", two.clone(), init("a"));
            builder
                .stage("b", two, init("b"))
                .start()
                .map(drop)
                .unwrap_err()
        }
        Place::Bound => {
            let builder = builder.stage("a", two, init("a"));
            builder
                .stage("b", bound, init("b"))
                .start()
                .map(drop)
                .unwrap_err()
        }
        Place::Fused => {
            let builder = builder.stage("a", bound, init("a"));
            builder.then("b", init("b")).start().map(drop).unwrap_err()
        }
        Place::Run => {
            let builder = builder.stage("a", two.clone(), init("a"));
            let jobs = std::iter::from_fn(|| -> Option<u64> { panic!("a job was asked for") });
            match builder
                .stage("b", two, init("b"))
                .run(jobs, |_| panic!("a result"))
            {
                Err(RunError::Build(error)) => error,
                other => panic!("{other:?}"),
            }
        }
    };
    match (wrong, &error) {
        (
            Wrong::Init(at, nth),
            BuildError::Init {
                stage,
                instance,
                message,
                ..
            },
        ) => {
            // Where stages are fused, the state as a whole is the first one's.
            let stage_at = if place == Place::Fused { "a" } else { at };
            assert_eq!((&**stage, *instance), (stage_at, nth));
            assert_eq!(message, &format!("no {at}"));
        }
        (Wrong::Hook(worker), BuildError::Hook { message, .. }) => {
            assert_eq!(message, &format!("no worker {worker}"));
        }
        (Wrong::Idle(_), BuildError::Hook { message, .. }) => assert_eq!(message, "no idling"),
        (Wrong::Spawn, BuildError::Spawn { .. }) => assert_eq!(threads.ever(), 0),
        _ => panic!("{error:?}"),
    }
    if place == Place::Run {
        threads.wait_gone();
    }
    assert_eq!(threads.alive(), 0);
    census.is_over();
    assert!(handle.is_finished() && handle.err().is_none());
    assert_eq!(handle.set_err("late".to_string()), Err("late".to_string()));
    assert_eq!((handle.counters().active(), handle.suppressed()), (0, 0));
}

struct Quiet;

impl IdleStrategy for Quiet {
    fn idle(&mut self) -> Step {
        Step::Park
    }
    fn reset(&mut self) {}
}

fn attempts(wrongs: impl IntoIterator<Item = Wrong> + Send + 'static, places: &[Place]) {
    let places = places.to_vec();
    within_steps(move |step| {
        for wrong in wrongs {
            for &place in &places {
                step.say(format!("{wrong:?} {place:?}"));
                attempt(wrong, place);
            }
        }
    });
}

const STARTED: [Place; 3] = [Place::Floating, Place::Bound, Place::Fused];

#[test]
fn an_init_closure_panics() {
    let all = ["a", "b"]
        .into_iter()
        .flat_map(|stage| [0, 1].map(|nth| Wrong::Init(stage, nth)));
    attempts(
        all,
        &[Place::Floating, Place::Bound, Place::Fused, Place::Run],
    );
}

#[test]
fn the_spawn_hook_panics() {
    attempts([Wrong::Hook(0)], &STARTED);
    attempts(
        [Wrong::Hook(1)],
        &[Place::Floating, Place::Bound, Place::Run],
    );
}

/// For a worker, the dispatcher or the receiver.
#[test]
fn the_idle_strategy_cannot_be_made() {
    attempts((0..4).map(Wrong::Idle), &[Place::Floating]);
    attempts((0..2).map(Wrong::Idle), &[Place::Run]);
    attempts((0..3).map(Wrong::Idle), &[Place::Bound, Place::Fused]);
}

#[test]
fn a_thread_cannot_be_spawned() {
    attempts(
        [Wrong::Spawn],
        &[Place::Floating, Place::Bound, Place::Fused, Place::Run],
    );
}

/// Panics where and when it is told to.
struct Fuse {
    on_worker: bool,
    idles: usize,
    resets: usize,
}

impl Fuse {
    fn burn(on_worker: bool, left: &mut usize, what: &str) {
        if is_counted_thread() == on_worker {
            assert!(*left > 0, "no {what} any more");
            *left -= 1;
        }
    }
}

impl IdleStrategy for Fuse {
    fn idle(&mut self) -> Step {
        Self::burn(self.on_worker, &mut self.idles, "idling");
        Step::Park
    }

    fn reset(&mut self) {
        Self::burn(self.on_worker, &mut self.resets, "reset");
    }
}

/// On a worker: the executor fails, the worker goes on to the end.
#[test]
fn an_idle_strategy_panics_on_a_worker() {
    // Which of the two runs out must not depend on who is quicker.
    const ANY: usize = usize::MAX;
    within_steps(|step| {
        for bound in [false, true] {
            for (idles, resets) in [(0, ANY), (1, ANY), (2, ANY), (ANY, 0), (ANY, 1)] {
                step.say(format!("bound {bound}, {idles} idles, {resets} resets"));
                let threads = Threads::default();
                let builder = Pipeline::<String>::builder::<u64>()
                    .capacity(1)
                    .on_spawn(threads.hook())
                    .idle(Idle::custom(move || Fuse {
                        on_worker: true,
                        idles,
                        resets,
                    }));
                let stage = |_: &Context| |x: u64| Ok(x);
                let (mut mouth, exit, pipeline) = if bound {
                    let core = Instances::bound([allowed_cores()[0]]);
                    builder.stage("a", core, stage).start().unwrap()
                } else {
                    builder
                        .stage("a", Instances::new(1), stage)
                        .start()
                        .unwrap()
                };
                let taker = thread::spawn(move || exit.count());
                let refused = (0..).find_map(|x| mouth.dispatch(x).err());
                assert!(matches!(refused, Some(ringmill::DispatchError::Failed(_))));
                let Err(JoinError::Failed(fault)) = pipeline.join() else {
                    panic!("it failed");
                };
                let Fault::Panicked { stage, message, .. } = &*fault else {
                    panic!("{fault:?}");
                };
                let what = if idles == ANY {
                    "no reset any more"
                } else {
                    "no idling any more"
                };
                assert_eq!((&**stage, &**message), ("idle strategy", what));
                assert_eq!(threads.alive(), 0);
                taker.join().unwrap();
            }
        }
    });
}

/// In a blocking call: the panic is the caller's, who goes on as before once it is caught.
#[test]
fn an_idle_strategy_panics_in_a_blocking_call() {
    within(|| {
        let threads = Threads::default();
        let (mut mouth, mut exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .on_spawn(threads.hook())
            .idle(Idle::custom(|| Fuse {
                on_worker: false,
                idles: 0,
                resets: usize::MAX,
            }))
            .stage("a", Instances::new(1), |_| |x: u64| Ok(x))
            .start()
            .unwrap();
        mouth.dispatch_all([1, 2]).unwrap();
        mouth.done();
        let mut received = Vec::new();
        loop {
            match catch_unwind(AssertUnwindSafe(|| exit.receive())) {
                Ok(Some(result)) => received.push(result),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        assert_eq!(received, [1, 2]);
        pipeline.join().unwrap();
    });
}

/// A clone that cannot be made does not count: the last of the others still closes, or stops.
#[test]
fn an_idle_strategy_cannot_be_made_for_a_clone() {
    within(|| {
        for drops_receiver in [false, true] {
            let made = AtomicUsize::new(0);
            let (mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
                .many_dispatchers()
                .many_receivers()
                .idle(Idle::custom(move || {
                    assert!(made.fetch_add(1, Relaxed) < 3, "no idling");
                    Quiet
                }))
                .stage("a", Instances::new(1), |_| |x: u64| Ok(x))
                .start()
                .unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| drop(mouth.clone()))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| drop(exit.clone()))).is_err());
            if drops_receiver {
                drop(exit);
                pipeline.join().unwrap();
            } else {
                drop(mouth);
                pipeline.join_into(exit, drop).unwrap();
            }
        }
    });
}

#[test]
fn a_payload_panics_when_dropped() {
    within(|| {
        for at in ["hook", "init", "idle"] {
            let threads = Threads::default();
            let hook = threads.hook();
            let builder = Pipeline::<String>::builder::<u64>().on_spawn(move |worker| {
                hook(worker);
                if at == "hook" {
                    panic_any(Again);
                }
            });
            let idle = Idle::custom(move || -> Quiet {
                if at == "idle" && is_counted_thread() {
                    panic_any(Again);
                }
                Quiet
            });
            let init = move |_: &Context| {
                if at == "init" {
                    panic_any(Again);
                }
                |x: u64| Ok(x)
            };
            let core = Instances::bound([allowed_cores()[0]]);
            let started = builder.idle(idle).stage("a", core, init).start();
            assert!(started.is_err());
            assert_eq!(threads.alive(), 0);
        }
    });
}
