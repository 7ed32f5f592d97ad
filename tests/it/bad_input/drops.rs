//! Panics in the drop of jobs, results, states and payloads: each is dropped exactly once, nobody hangs, and
//! the first is the poison.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::thread;

use crate::common::{
    Census, Count, Gate, Life, OpenLate, Threads, core, panicked, within, within_steps,
};
use ringmill::stage::map;
use ringmill::{Context, Flow, Instances, Outlet, Pipeline, Stage};

/// A payload whose drop panics, and counts all the same.
struct Bomb(Life);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(thread::panicking(), "bomb {}", self.0.id);
    }
}

/// Queued jobs whose drop panics: each is dropped once, the first is the poison.
#[test]
fn g_13_draining_jobs_that_panic_when_dropped() {
    within_steps(|step| {
        for capacity in [1, 3, 64] {
            for place in ["single", "bound", "shared", "keyed", "ordered"] {
                step.say(format!("{capacity} {place}"));
                let (census, gate, began) = (Census::default(), Gate::default(), Count::default());
                let _late = OpenLate(gate.clone());
                let (door, inside) = (gate.clone(), began.clone());
                let work = move |_: &Context| {
                    let (door, inside) = (door.clone(), inside.clone());
                    map(move |job: Bomb| {
                        inside.add(1);
                        door.pass();
                        std::mem::forget(job);
                    })
                };
                let two = Instances::new(2);
                let builder = Pipeline::<String>::builder::<Bomb>()
                    .capacity(capacity)
                    .workers(2);
                let (mut mouth, exit, pipeline) = match place {
                    "single" => builder.stage("a", Instances::new(1), work).start(),
                    "bound" => builder.stage("a", Instances::bound(core()), work).start(),
                    "shared" => builder.stage("a", two, work).start(),
                    "keyed" => builder.stage("a", two.keyed(|_: &Bomb| 0), work).start(),
                    _ => builder.stage("a", two.ordered(2), work).start(),
                }
                .unwrap();
                let inside = if matches!(place, "shared" | "ordered") {
                    2
                } else {
                    1
                };
                for _ in 0..inside {
                    mouth.dispatch(Bomb(census.life())).unwrap();
                }
                began.reach(inside);
                for _ in 0..capacity {
                    mouth.dispatch(Bomb(census.life())).unwrap();
                }
                let handle = pipeline.handle();
                pipeline.stop();
                gate.open();
                assert!(exit.count() <= inside);
                let (stage, _, message, payload) = panicked(pipeline.join());
                assert_eq!(&*stage, "a");
                // Two instances drain side by side.
                let first = message == format!("bomb {inside}");
                assert!(
                    first || inside == 2 && message.starts_with("bomb "),
                    "{message}"
                );
                assert!(payload.is_some());
                assert_eq!(handle.suppressed(), capacity - 1);
                let a = handle.counters().stages[0].clone();
                assert_eq!((a.finished, a.dropped), (inside as u64, capacity as u64));
                // Those inside were forgotten.
                assert_eq!(census.alive(), inside);
            }
        }
    });
}

/// Results whose drop panics, that nobody took: each is dropped once, whoever leaves last, and nobody
/// hangs. Who holds the ring last gets the panic: here the receiver, or a worker's end.
#[test]
fn g_13_results_that_panic_when_dropped() {
    within_steps(|step| {
        for capacity in [1, 3, 64] {
            for leaves_first in [false, true] {
                for shape in ["single", "ordered", "shared"] {
                    step.say(format!("{capacity} {leaves_first} {shape}"));
                    let (census, threads) = (Census::default(), Threads::default());
                    let lives = census.clone();
                    let begun = Count::default();
                    let begins = begun.clone();
                    let work = move |_: &Context| {
                        let (lives, begins) = (lives.clone(), begins.clone());
                        map(move |_: u64| {
                            begins.add(1);
                            Bomb(lives.life())
                        })
                    };
                    let builder = Pipeline::<String>::builder::<u64>()
                        .capacity(capacity)
                        .on_spawn(threads.hook());
                    let two = Instances::new(2);
                    let (mut mouth, exit, pipeline) = match shape {
                        "single" => builder.stage("a", Instances::new(1), work).start(),
                        "ordered" => builder.stage("a", two.ordered(2), work).start(),
                        _ => builder.stage("a", two, work).start(),
                    }
                    .unwrap();
                    mouth.dispatch_all(0..capacity as u64).unwrap();
                    begun.reach(1);
                    let leave = |exit| catch_unwind(AssertUnwindSafe(|| drop(exit)));
                    if leaves_first {
                        let _panic = leave(exit);
                        let _either = pipeline.join();
                    } else {
                        pipeline.stop();
                        let _either = pipeline.join();
                        let _panic = leave(exit);
                    }
                    assert_eq!(threads.alive(), 0);
                    drop(mouth);
                    census.is_over();
                }
            }
        }
    });
}

/// Results that are discarded, and panic when they are: that is the job's panic.
#[test]
fn g_13_discarded_results_that_panic_when_dropped() {
    within(|| {
        let census = Census::default();
        let lives = census.clone();
        let (mut mouth, pipeline) = Pipeline::<String>::builder::<u64>()
            .stage("a", Instances::new(1), move |_| {
                let lives = lives.clone();
                map(move |_| Bomb(lives.life()))
            })
            .discard()
            .start()
            .unwrap();
        let _some = mouth.dispatch_all(0..10);
        drop(mouth);
        let (stage, _, message, _) = panicked(pipeline.join());
        assert_eq!((&*stage, &*message), ("a", "bomb 0"));
        census.is_over();
    });
}

/// A panic whose payload panics when it is dropped, as it is where nobody keeps it.
#[test]
fn g_13_payloads_that_panic_when_dropped() {
    within_steps(|step| {
        for per_job in [false, true] {
            for shape in ["single", "shared", "bound"] {
                step.say(format!("{per_job} {shape}"));
                let (census, gate, began) = (Census::default(), Gate::default(), Count::default());
                let _late = OpenLate(gate.clone());
                let (lives, door, inside) = (census.clone(), gate.clone(), began.clone());
                let work = move |_: &Context| {
                    let (lives, door, inside) = (lives.clone(), door.clone(), inside.clone());
                    map(move |job: u64| {
                        inside.add(1);
                        door.pass();
                        if job < 2 {
                            panic_any(Bomb(lives.life()));
                        }
                        job
                    })
                };
                let two = Instances::new(2);
                let builder = Pipeline::<String>::builder::<u64>().capacity(8).workers(2);
                if per_job {
                    let builder = builder.per_job();
                    let (mut mouth, exit, pipeline) = match shape {
                        "single" => builder.stage("a", Instances::new(1), work).start(),
                        "shared" => builder.stage("a", two, work).start(),
                        _ => builder.stage("a", Instances::bound(core()), work).start(),
                    }
                    .unwrap();
                    gate.open();
                    mouth.dispatch_all(0..4).unwrap();
                    mouth.done();
                    assert_eq!(exit.count(), 4);
                    pipeline.join().unwrap();
                } else {
                    let (mut mouth, exit, pipeline) = match shape {
                        "single" => builder.stage("a", Instances::new(1), work).start(),
                        "shared" => builder.stage("a", two, work).start(),
                        _ => builder.stage("a", Instances::bound(core()), work).start(),
                    }
                    .unwrap();
                    mouth.dispatch_all(0..4).unwrap();
                    began.reach(if shape == "shared" { 2 } else { 1 });
                    gate.open();
                    let _results = exit.count();
                    let (_, _, _, payload) = panicked(pipeline.join());
                    let payload = payload.unwrap();
                    assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
                }
                census.is_over();
            }
        }
    });
}

/// A state whose drop panics when its instance ends, and one whose `end` does.
struct Ends(bool, Life);

impl Stage<u64, String> for Ends {
    type Out = u64;

    fn job<O: Outlet<u64>>(&mut self, job: u64, out: &mut O) -> Result<Flow, String> {
        assert!(out.emit(job).is_ok());
        Ok(Flow::Done)
    }

    fn end(&mut self) {
        assert!(!self.0, "at the end");
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        assert!(self.0, "in its drop, {}", self.1.id);
    }
}

#[test]
fn g_13_the_end_of_a_state_panics() {
    within(|| {
        for at_end in [false, true] {
            for is_bound in [false, true] {
                let census = Census::default();
                let lives = census.clone();
                let init = move |_: &Context| Ends(at_end, lives.life());
                let builder = Pipeline::<String>::builder::<u64>();
                let (mut mouth, exit, pipeline) = if is_bound {
                    builder.stage("a", Instances::bound(core()), init).start()
                } else {
                    builder.stage("a", Instances::new(1), init).start()
                }
                .unwrap();
                mouth.dispatch_all(0..10).unwrap();
                mouth.done();
                assert_eq!(exit.count(), 10);
                let (stage, _, message, _) = panicked(pipeline.join());
                let what = if at_end {
                    "at the end"
                } else {
                    "in its drop, 0"
                };
                assert_eq!((&*stage, &*message), ("a", what));
                census.is_over();
            }
        }
    });
}
