//! What a stage may be, how many results it has, and what becomes of its errors and panics.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::common::within;
use ringmill::stage::{filter_map, flat_map, map};
use ringmill::{
    Context, Fault, Flow, Instances, JobError, JoinError, Outcome, Outlet, Pipeline, RunError,
    Stage,
};

type Pure = Pipeline<Infallible>;

/// A named stage: every job has the results `0..job`, emitted while there is room.
struct Count {
    next: u64,
    end: u64,
    ended: Arc<AtomicUsize>,
}

impl Count {
    fn new(ended: &Arc<AtomicUsize>) -> Self {
        Self {
            next: 0,
            end: 0,
            ended: Arc::clone(ended),
        }
    }
}

impl<E> Stage<u64, E> for Count {
    type Out = u64;

    fn job<O: Outlet<u64>>(&mut self, job: u64, out: &mut O) -> Result<Flow, E> {
        assert_eq!(self.next, self.end, "the last job is over");
        (self.next, self.end) = (0, job);
        <Self as Stage<u64, E>>::more(self, out)
    }

    fn more<O: Outlet<u64>>(&mut self, out: &mut O) -> Result<Flow, E> {
        while self.next < self.end {
            if out.emit(self.next).is_err() {
                return Ok(Flow::More);
            }
            self.next += 1;
        }
        Ok(Flow::Done)
    }

    fn end(&mut self) {
        self.ended.fetch_add(1, SeqCst);
    }
}

#[test]
fn f_14_no_one_or_many_results() {
    within(|| {
        for (capacity, workers) in [(1, 1), (1, 2), (2, 2), (3, 1), (1024, 2)] {
            let ended = Arc::new(AtomicUsize::new(0));
            let at_end = Arc::clone(&ended);
            let mut out = Vec::new();
            Pure::builder::<u64>()
                .capacity(capacity)
                .workers(workers)
                .stage("one", Instances::new(1), |_| map(|x: u64| x % 6))
                .stage("many", Instances::new(1), move |_| Count::new(&at_end))
                .stage("some", Instances::new(1), |_| {
                    filter_map(|x: u64| (x % 2 == 1).then_some(x))
                })
                .stage("copies", Instances::new(1), |_| {
                    flat_map(|x: u64| std::iter::repeat_n(x, x as usize))
                })
                .run(0..600, |x| out.push(x))
                .unwrap();
            let expected = (0..600_u64)
                .flat_map(|x| 0..x % 6)
                .filter(|x| x % 2 == 1)
                .flat_map(|x| std::iter::repeat_n(x, x as usize));
            assert!(out.into_iter().eq(expected), "{capacity} {workers}");
            assert_eq!(ended.load(SeqCst), 1);
        }
    });
}

#[test]
fn f_14_fused_stages_resume_too() {
    within(|| {
        for (capacity, workers) in [(1, 1), (1, 2), (2, 1), (5, 2), (1024, 2)] {
            let ended = Arc::new(AtomicUsize::new(0));
            let at_end = Arc::clone(&ended);
            let mut out = Vec::new();
            let report = Pure::builder::<u64>()
                .capacity(capacity)
                .workers(workers)
                .stage("a", Instances::new(1), |_| flat_map(|x: u64| x..x + x % 4))
                .then("b", move |_| Count::new(&at_end))
                .then("c", |_| filter_map(|x: u64| (x % 3 != 1).then_some(x)))
                .then("d", |_| flat_map(|x: u64| [x; 2]))
                .stage("e", Instances::new(1), |_| map(|x: u64| x))
                .run(0..40, |x| out.push(x))
                .unwrap();
            let to_b: Vec<_> = (0..40_u64).flat_map(|x| x..x + x % 4).collect();
            let to_c: Vec<_> = to_b.iter().flat_map(|&x| 0..x).collect();
            let to_d: Vec<_> = to_c.iter().copied().filter(|x| x % 3 != 1).collect();
            assert!(out.iter().copied().eq(to_d.iter().flat_map(|&x| [x; 2])));
            assert_eq!(ended.load(SeqCst), 1);
            let lengths = [40, to_b.len(), to_c.len(), to_d.len(), out.len()];
            for (stage, expected) in report.counters.stages.iter().zip(lengths) {
                let expected = expected as u64;
                assert_eq!((stage.dispatched, stage.finished), (expected, expected));
                assert_eq!((stage.dropped, stage.discarded), (0, 0));
            }
        }
    });
}

#[test]
fn an_endless_job_yields_only_what_there_is_room_for() {
    within(|| {
        let drawn = Arc::new(AtomicUsize::new(0));
        let draw = Arc::clone(&drawn);
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .capacity(2)
            .stage("endless", Instances::new(1), move |_| {
                let draw = Arc::clone(&draw);
                flat_map(move |x: u64| {
                    let draw = Arc::clone(&draw);
                    (x..).inspect(move |_| {
                        draw.fetch_add(1, SeqCst);
                    })
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch(5).unwrap();
        for expected in 5..50 {
            assert_eq!(receiver.receive(), Some(expected));
            // Received, in the ring, and one held.
            assert!(drawn.load(SeqCst) <= (expected as usize - 5) + 1 + 2 + 1);
        }
        pipeline.stop();
        while receiver.receive().is_some() {}
        let report = pipeline.join().unwrap();
        let stage = &report.counters.stages[0];
        assert_eq!((stage.finished, stage.running), (1, 0));
    });
}

#[test]
fn a_stage_can_be_tried_on_its_own() {
    let mut out = Vec::new();
    let mut stage = flat_map(|x: u64| 0..x);
    let flow: Result<_, Infallible> = stage.job(3, &mut out);
    assert_eq!((flow, out), (Ok(Flow::Done), vec![0, 1, 2]));
}

#[test]
fn init_runs_once_for_each_instance_and_is_told_which() {
    within(|| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (at_first, at_second) = (Arc::clone(&seen), Arc::clone(&seen));
        let note = |seen: &Mutex<Vec<_>>, context: &Context| {
            let place = (context.instance(), context.instances());
            let entry = (context.stage().to_string(), place);
            seen.lock().unwrap().push(entry);
        };
        let mut out = Vec::new();
        Pure::builder::<u64>()
            .stage("first", Instances::new(3), move |context| {
                note(&at_first, context);
                assert!(!context.token().is_stopped());
                map(|x: u64| x)
            })
            .then("second", move |context| {
                note(&at_second, context);
                map(|x: u64| x)
            })
            .run(0..100, |x| out.push(x))
            .unwrap();
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
        seen.sort();
        let expected = ["first", "second"]
            .map(|name| (0..3).map(move |nth| (name.to_string(), (nth, 3))))
            .into_iter()
            .flatten();
        assert!(seen.into_iter().eq(expected));
        out.sort_unstable();
        assert!(out.into_iter().eq(0..100));
    });
}

#[test]
fn fail_fast_names_the_stage_that_failed() {
    within(|| {
        for (bad, expected) in [(10_u64, "first"), (20, "fused"), (30, "last")] {
            let check = move |mine: u64| {
                move |x: u64| {
                    if x == bad && x == mine {
                        Err(format!("{x} is bad"))
                    } else {
                        Ok(x)
                    }
                }
            };
            let mut out = Vec::new();
            let refused = Pipeline::<String>::builder::<u64>()
                .capacity(4)
                .stage("first", Instances::new(1), move |_| check(10))
                .then("fused", move |_| check(20))
                .stage("last", Instances::new(1), move |_| check(30))
                .run(0..100, |x| out.push(x))
                .unwrap_err();
            let RunError::Join(JoinError::Failed(fault)) = refused else {
                panic!("{refused}");
            };
            let Fault::Stage {
                stage,
                instance,
                error,
                ..
            } = &*fault
            else {
                panic!("{fault:?}");
            };
            assert_eq!((&**stage, *instance), (expected, 0));
            assert_eq!(*error, format!("{bad} is bad"));
            let text = format!("stage {expected:?}, instance 0: {bad} is bad");
            assert_eq!(fault.to_string(), text);
            // A stop drops what is queued; nothing comes from after the error.
            assert!(out.len() as u64 <= bad && out.iter().copied().eq(0..out.len() as u64));
        }
    });
}

#[test]
fn r_e2_an_error_or_panic_is_that_jobs_outcome() {
    within(|| {
        for (capacity, workers) in [(1, 1), (1, 2), (3, 2), (1024, 2)] {
            let built = Arc::new(AtomicUsize::new(0));
            let build = Arc::clone(&built);
            let mut out = Vec::new();
            let report = Pipeline::<String>::builder::<u64>()
                .per_job()
                .capacity(capacity)
                .workers(workers)
                .stage("first", Instances::new(1), |_| {
                    |x: u64| {
                        if x % 10 == 1 {
                            Err(format!("first {x}"))
                        } else {
                            Ok(x)
                        }
                    }
                })
                .then("fused", move |_| {
                    build.fetch_add(1, SeqCst);
                    |x: u64| match x % 10 {
                        2 => Err(format!("fused {x}")),
                        3 => std::panic::panic_any(format!("fused panic {x}")),
                        _ => Ok(x),
                    }
                })
                .stage("last", Instances::new(1), |_| {
                    let mut seen = 0;
                    move |x: u64| {
                        seen += 1;
                        match x % 10 {
                            4 => Err(format!("last {x}")),
                            _ if seen > 0 => Ok(x),
                            _ => unreachable!(),
                        }
                    }
                })
                .run(0..100, |outcome| out.push(outcome))
                .unwrap();
            let failed = |stage: &str, error: String| {
                Err(JobError::Stage {
                    stage: Arc::from(stage),
                    error,
                })
            };
            let expected = (0..100_u64).map(|x| match x % 10 {
                1 => failed("first", format!("first {x}")),
                2 => failed("fused", format!("fused {x}")),
                3 => Err(JobError::Panicked {
                    stage: Arc::from("fused"),
                    instance: 0,
                    message: format!("fused panic {x}"),
                }),
                4 => failed("last", format!("last {x}")),
                _ => Ok(x),
            });
            assert!(out.into_iter().eq(expected), "{capacity} {workers}");
            assert_eq!(built.load(SeqCst), 1 + 10, "built anew after each panic");
            let finished: Vec<_> = report.counters.stages.iter().map(|s| s.finished).collect();
            assert_eq!(finished, [100, 90, 100]);
        }
    });
}

/// Emits a few results, then fails or panics.
struct Partly;

impl Stage<u64, String> for Partly {
    type Out = u64;

    fn job<O: Outlet<u64>>(&mut self, job: u64, out: &mut O) -> Result<Flow, String> {
        if out.emit(job).is_err() {
            unreachable!("the first result is always accepted");
        }
        match job % 3 {
            0 => Ok(Flow::More),
            1 => Err(format!("after {job}")),
            _ => std::panic::panic_any(format!("panic after {job}")),
        }
    }

    fn more<O: Outlet<u64>>(&mut self, out: &mut O) -> Result<Flow, String> {
        out.emit(1000).map_err(|_| "there is room".to_string())?;
        Err("late".to_string())
    }
}

/// A result, or what the error or panic said.
fn said(outcome: Outcome<u64, String>) -> Result<u64, String> {
    outcome.map_err(|failure| match failure {
        JobError::Stage { error: text, .. } | JobError::Panicked { message: text, .. } => text,
        other => other.to_string(),
    })
}

#[test]
fn what_was_emitted_before_a_failure_comes_first() {
    within(|| {
        for instances in [Instances::new(1), Instances::new(2).ordered(4)] {
            for capacity in [1, 2, 64] {
                let mut out = Vec::new();
                Pipeline::<String>::builder::<u64>()
                    .per_job()
                    .capacity(capacity)
                    .stage("partly", instances.clone(), |_| Partly)
                    .run(0..60, |outcome| {
                        out.push(said(outcome));
                    })
                    .unwrap();
                let expected = (0..60_u64).flat_map(|x| match x % 3 {
                    0 => vec![Ok(x), Ok(1000), Err("late".to_string())],
                    1 => vec![Ok(x), Err(format!("after {x}"))],
                    _ => vec![Ok(x), Err(format!("panic after {x}"))],
                });
                assert!(out.into_iter().eq(expected), "{instances:?} {capacity}");
            }
        }
    });
}

#[test]
fn a_failure_in_a_fused_stage_ends_the_job_of_the_first() {
    within(|| {
        for capacity in [1, 2, 64] {
            let mut out = Vec::new();
            let report = Pipeline::<String>::builder::<u64>()
                .per_job()
                .capacity(capacity)
                .stage("three", Instances::new(1), |_| {
                    flat_map(|x: u64| (0..3).map(move |nth| 10 * x + nth))
                })
                .then("fused", |_| {
                    |x: u64| match x % 40 {
                        11 => Err(format!("after {x}")),
                        21 => std::panic::panic_any(format!("panic after {x}")),
                        _ => Ok(x),
                    }
                })
                .run(0..40, |outcome| {
                    out.push(said(outcome));
                })
                .unwrap();
            let expected = (0..40_u64).flat_map(|x| match x % 4 {
                1 => vec![Ok(10 * x), Err(format!("after {}", 10 * x + 1))],
                2 => vec![Ok(10 * x), Err(format!("panic after {}", 10 * x + 1))],
                _ => vec![Ok(10 * x), Ok(10 * x + 1), Ok(10 * x + 2)],
            });
            assert!(out.into_iter().eq(expected), "{capacity}");
            let counted: Vec<_> = report.counters.stages.iter().collect();
            let counts = counted.iter().map(|s| (s.finished, s.failed));
            assert!(counts.eq([(40, 0), (20 * 3 + 20 * 2, 20)]), "{counted:?}");
        }
    });
}

#[test]
fn a_panic_under_fail_fast_keeps_its_payload() {
    within(|| {
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .stage("fine", Instances::new(1), |_| map(|x: u64| x))
            .stage("bad", Instances::new(2), |_| {
                map(|x: u64| if x == 3 { std::panic::panic_any(x) } else { x })
            })
            .start()
            .unwrap();
        let _accepted = dispatcher.dispatch_all(0..4);
        while receiver.receive().is_some() {}
        let Err(JoinError::Failed(fault)) = pipeline.join() else {
            panic!("it failed");
        };
        let Fault::Panicked { stage, payload, .. } = &*fault else {
            panic!("{fault:?}");
        };
        assert_eq!(&**stage, "bad");
        assert_eq!(payload.take().unwrap().downcast_ref(), Some(&3_u64));
        assert!(payload.take().is_none());
    });
}

/// Workers that always find something near still look at what is near nobody: three instances push into rings of their
/// own in front of two, one result comes through one of them, and only that result ends it all.
#[test]
fn rare_results_are_seen_while_all_are_busy() {
    within(|| {
        for counts in [(3, 2), (2, 3), (4, 2), (2, 2)] {
            for seed in 0..5 {
                let builder = Pure::builder::<u64>().workers(2);
                let handle = builder.handle();
                let rare = 1_000 + 77 * seed;
                let report = builder
                    .stage("often", Instances::new(counts.0), |_| {
                        filter_map(move |x: u64| {
                            (0..2_000).for_each(|_| std::hint::spin_loop());
                            (x == rare).then_some(x)
                        })
                    })
                    .stage("rarely", Instances::new(counts.1), |_| {
                        let handle = handle.clone();
                        map(move |x: u64| {
                            handle.close();
                            x
                        })
                    })
                    .run(0.., |x| assert_eq!(x, rare))
                    .unwrap();
                assert_eq!(report.counters.stages[1].finished, 1);
            }
        }
    });
}
