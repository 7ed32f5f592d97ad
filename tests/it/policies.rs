//! The two error policies.

use std::convert::Infallible;
use std::thread;

use crate::common::{Census, Count, Gate, Life, OpenLate, within, within_steps};
use ringmill::stage::{filter_map, flat_map, map};
use ringmill::{
    Context, DispatchError, Fault, Idle, Instances, JobError, JoinError, Outcome, Pipeline,
    RunError, allowed_cores,
};

/// An error that is not `Clone`, and counted.
struct Failure(
    #[expect(dead_code, reason = "only its drop counts")] Life,
    u64,
);

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.1)
    }
}

fn fails_on(culprit: u64, census: &Census) -> impl Fn(&Context) -> Fails + Send + Sync + 'static {
    let census = census.clone();
    move |_| Fails(culprit, census.clone())
}

struct Fails(u64, Census);

impl ringmill::Stage<Life, Failure> for Fails {
    type Out = Life;

    fn job<O: ringmill::Outlet<Life>>(
        &mut self,
        job: Life,
        out: &mut O,
    ) -> Result<ringmill::Flow, Failure> {
        if job.id % 10 == self.0 {
            return Err(Failure(self.1.life(), job.id));
        }
        assert!(out.emit(job).is_ok());
        Ok(ringmill::Flow::Done)
    }
}

/// The first error ends it: results before it are there, jobs after it are dropped and counted.
#[test]
fn fail_fast() {
    within_steps(|step| {
        for capacity in [1, 3, 1024] {
            for at in ["a", "b", "fused"] {
                for bound in [false, true] {
                    step.say(format!("{capacity} {at} {bound}"));
                    let (jobs, errors) = (Census::default(), Census::default());
                    let never = || fails_on(u64::MAX, &errors);
                    let fails = |name| fails_on(if name == at { 5 } else { u64::MAX }, &errors);
                    let builder = Pipeline::<Failure>::builder::<Life>().capacity(capacity);
                    let (mut mouth, exit, pipeline) = if bound {
                        let cores = [allowed_cores()[0]];
                        builder
                            .stage("a", Instances::bound(cores), fails("a"))
                            .then("fused", fails("fused"))
                            .stage("b", Instances::bound(cores), fails("b"))
                            .stage("c", Instances::new(1), never())
                            .start()
                    } else {
                        builder
                            .stage("a", Instances::new(1), fails("a"))
                            .then("fused", fails("fused"))
                            .stage("b", Instances::new(1), fails("b"))
                            .stage("c", Instances::new(1), never())
                            .start()
                    }
                    .unwrap();
                    let lives = jobs.clone();
                    let feeder = thread::spawn(move || {
                        let refused = (0..).find_map(|_| mouth.dispatch(lives.life()).err());
                        assert!(matches!(refused, Some(DispatchError::Failed(_))));
                        let again = mouth.dispatch(lives.life());
                        assert!(matches!(again, Err(DispatchError::Failed(_))));
                        mouth.err().is_some()
                    });
                    let received: Vec<u64> = exit.map(|job| job.id).collect();
                    assert!(
                        received.len() <= 5
                            && received.iter().copied().eq(0..received.len() as u64)
                    );
                    assert!(feeder.join().unwrap());
                    let handle = pipeline.handle();
                    let Err(JoinError::Failed(fault)) = pipeline.join() else {
                        panic!("it failed");
                    };
                    let Fault::Stage {
                        stage,
                        instance,
                        error,
                        ..
                    } = &*fault
                    else {
                        panic!("a stage failed");
                    };
                    assert_eq!((&**stage, *instance, error.1), (at, 0, 5));
                    drop(fault);
                    let counters = handle.counters();
                    let failed = counters.stage(at).unwrap();
                    assert_eq!(failed.finished, 6);
                    for stage in &counters.stages {
                        assert_eq!(stage.dispatched, stage.finished + stage.dropped);
                    }
                    jobs.is_over();
                    assert_eq!(errors.alive(), 1);
                    drop(handle);
                    errors.is_over();
                }
            }
        }
    });
}

/// Two fail at once: one of them is the error, the other is counted, and dropped once.
#[test]
fn the_first_error_wins() {
    within(|| {
        for round in 0..50 {
            let (census, gate, began) = (Census::default(), Gate::default(), Count::default());
            let _late = OpenLate(gate.clone());
            let (lives, door, inside) = (census.clone(), gate.clone(), began.clone());
            let (mut mouth, exit, pipeline) = Pipeline::<Failure>::builder::<u64>()
                .workers(2)
                .idle(Idle::parking())
                .stage("a", Instances::new(2), move |_| {
                    let (lives, door, inside) = (lives.clone(), door.clone(), inside.clone());
                    move |job: u64| -> Result<u64, Failure> {
                        inside.add(1);
                        door.pass();
                        Err(Failure(lives.life(), job))
                    }
                })
                .start()
                .unwrap();
            mouth.dispatch_all([0, 1]).unwrap();
            began.reach(2);
            let handle = pipeline.handle();
            let by_hand =
                (round % 2 == 0).then(|| handle.set_err(Failure(census.life(), 7)).is_ok());
            gate.open();
            assert_eq!(exit.count(), 0);
            let Err(JoinError::Failed(fault)) = pipeline.join() else {
                panic!("it failed");
            };
            match (&*fault, by_hand) {
                (Fault::Set(Failure(_, 7)), Some(true)) => assert_eq!(handle.suppressed(), 2),
                (
                    Fault::Stage {
                        instance, error, ..
                    },
                    None,
                ) => {
                    assert!(*instance < 2 && error.1 < 2);
                    assert_eq!(handle.suppressed(), 1);
                }
                _ => panic!("another fault"),
            }
            assert_eq!(census.alive(), 1);
            let late = handle.set_err(Failure(census.life(), 8));
            assert!(matches!(late, Err(Failure(_, 8))));
            drop((late, fault, handle, mouth));
            census.is_over();
        }
    });
}

/// Per job: an error is that job's outcome, skips the stages behind, and the others go on.
#[test]
fn r_e2_per_job() {
    within_steps(|step| {
        for capacity in [1, 3, 1024] {
            for shape in ["single", "ordered", "keyed", "shared", "bound"] {
                step.say(format!("{capacity} {shape}"));
                let (jobs, errors) = (Census::default(), Census::default());
                let (a, a2, b) = (
                    fails_on(3, &errors),
                    fails_on(5, &errors),
                    fails_on(7, &errors),
                );
                let builder = Pipeline::<Failure>::builder::<Life>()
                    .per_job()
                    .idle(Idle::parking())
                    .capacity(capacity);
                let two = Instances::new(2);
                let key = |job: &Life| job.id % 4;
                let cores = [allowed_cores()[0]];
                let (mut mouth, exit, pipeline) = match shape {
                    "single" => {
                        let builder = builder.stage("a", Instances::new(1), a).then("a2", a2);
                        builder.stage("b", Instances::new(1), b).start()
                    }
                    "ordered" => {
                        let builder = builder.stage("a", two.clone().ordered(4), a).then("a2", a2);
                        builder.stage("b", two.ordered(3), b).start()
                    }
                    "keyed" => {
                        let builder = builder.stage("a", two.clone().keyed(key), a).then("a2", a2);
                        builder.stage("b", two.keyed(key), b).start()
                    }
                    "shared" => {
                        let builder = builder.stage("a", two.clone(), a).then("a2", a2);
                        builder.stage("b", two, b).start()
                    }
                    _ => {
                        let builder = builder.stage("a", Instances::bound(cores), a);
                        let builder = builder.then("a2", a2);
                        builder.stage("b", Instances::bound(cores), b).start()
                    }
                }
                .unwrap();
                let lives = jobs.clone();
                let feeder = thread::spawn(move || {
                    mouth.dispatch_all((0..500).map(|_| lives.life())).unwrap()
                });
                let mut numbers: Vec<u64> = exit
                    .map(|outcome: Outcome<Life, Failure>| match outcome {
                        Ok(job) => {
                            assert!(![3, 5, 7].contains(&(job.id % 10)));
                            job.id
                        }
                        Err(JobError::Stage { stage, error, .. }) => {
                            let at = match error.1 % 10 {
                                3 => "a",
                                5 => "a2",
                                _ => "b",
                            };
                            assert_eq!(&*stage, at);
                            error.1
                        }
                        Err(other) => panic!("{other:?}"),
                    })
                    .collect();
                if matches!(shape, "shared" | "keyed") {
                    numbers.sort_unstable();
                }
                assert!(numbers.into_iter().eq(0..500));
                assert_eq!(feeder.join().unwrap(), 500);
                let report = pipeline.join().unwrap();
                let finished = |name| report.counters.stage(name).unwrap().finished;
                // Those that failed in "a" pass "b", and do not enter the part fused to "a".
                assert_eq!(
                    (finished("a"), finished("a2"), finished("b")),
                    (500, 450, 500)
                );
                jobs.is_over();
                errors.is_over();
                assert_eq!(errors.born(), 150);
            }
        }
    });
}

/// Of none, one and many results.
#[test]
fn per_job_with_other_numbers_of_results() {
    within(|| {
        for capacity in [1, 8] {
            let mut outcomes = Vec::new();
            Pipeline::<String>::builder::<u32>()
                .per_job()
                .capacity(capacity)
                .stage("some", Instances::new(1), |_| {
                    filter_map(|x: u32| (x != 1).then_some(x))
                })
                .stage("odd", Instances::new(1), |_| {
                    |x: u32| {
                        if x == 3 {
                            Err("three".to_string())
                        } else {
                            Ok(x)
                        }
                    }
                })
                .stage("many", Instances::new(1), |_| {
                    flat_map(|x: u32| vec![x; x as usize])
                })
                .run(0..5, |outcome| {
                    outcomes.push(outcome.map_err(|e| e.to_string()));
                })
                .unwrap();
            let three = Err("stage \"odd\": three".to_string());
            let all = [Ok(2), Ok(2), three, Ok(4), Ok(4), Ok(4), Ok(4)];
            assert_eq!(outcomes, all);
        }
    });
}

/// `set_err` is for the whole executor in this policy, too.
#[test]
fn per_job_can_fail_as_a_whole() {
    within(|| {
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .per_job()
            .stage("a", Instances::new(1), |_| |x: u64| Ok(x))
            .start()
            .unwrap();
        mouth.dispatch(1).unwrap();
        pipeline.set_err("enough".to_string()).unwrap();
        assert!(matches!(mouth.dispatch(2), Err(DispatchError::Failed(2))));
        assert!(
            exit.err()
                .is_some_and(|fault| fault.to_string() == "enough")
        );
        assert!(exit.count() <= 1);
        assert!(pipeline.join().is_err());
    });
}

/// The consumer may stop it at the first error that it gets.
#[test]
fn r_e2_per_job_stopped_by_the_consumer() {
    within(|| {
        let (mut mouth, exit, pipeline) = Pipeline::<String>::builder::<u64>()
            .per_job()
            .capacity(4)
            .stage("a", Instances::new(1), |_| {
                |x: u64| {
                    if x == 9 {
                        Err("nine".to_string())
                    } else {
                        Ok(x)
                    }
                }
            })
            .start()
            .unwrap();
        let feeder = thread::spawn(move || mouth.dispatch_all(0..).unwrap_err());
        let mut fine = 0;
        for outcome in exit {
            match outcome {
                Ok(_) => fine += 1,
                Err(_) => pipeline.stop(),
            }
        }
        assert!(fine >= 9);
        let refused = feeder.join().unwrap().refused;
        assert!(matches!(refused, DispatchError::Stopped(_)));
        pipeline.join().unwrap();
    });
}

/// Discarded and folded ends get outcomes as well.
#[test]
fn per_job_without_a_receiver() {
    within(|| {
        let odd = |_: &Context| {
            |x: u64| {
                if x % 2 == 1 {
                    Err(x.to_string())
                } else {
                    Ok(x)
                }
            }
        };
        let report = Pipeline::<String>::builder::<u64>()
            .per_job()
            .stage("a", Instances::new(1), odd)
            .discard()
            .run(0..100)
            .unwrap();
        let a = &report.counters.stages[0];
        assert_eq!((a.finished, a.discarded), (100, 100));
        let report = Pipeline::<String>::builder::<u64>()
            .per_job()
            .stage("a", Instances::new(1), odd)
            .fold(
                Instances::new(2),
                |_| (0, 0),
                |(fine, failed), outcome: Outcome<u64, String>| match outcome {
                    Ok(_) => *fine += 1,
                    Err(_) => *failed += 1,
                },
            )
            .run(0..100)
            .unwrap();
        let sums = report
            .states
            .iter()
            .fold((0, 0), |sum, state| (sum.0 + state.0, sum.1 + state.1));
        assert_eq!(sums, (50, 50));
    });
}

#[test]
fn run_with_either_policy() {
    within(|| {
        let odd = |_: &Context| |x: u64| if x == 7 { Err("seven") } else { Ok(x) };
        let mut results = Vec::new();
        let failed = Pipeline::<&str>::builder::<u64>()
            .capacity(2)
            .stage("a", Instances::new(1), odd)
            .run(0.., |x| results.push(x));
        assert!(results.len() <= 7 && results.iter().copied().eq(0..results.len() as u64));
        let Err(RunError::Join(JoinError::Failed(fault))) = failed else {
            panic!("it failed");
        };
        assert!(matches!(&*fault, Fault::Stage { error: "seven", .. }));
        let mut failed = 0;
        Pipeline::<&str>::builder::<u64>()
            .per_job()
            .stage("a", Instances::new(1), odd)
            .run(0..100, |outcome| failed += u64::from(outcome.is_err()))
            .unwrap();
        assert_eq!(failed, 1);
    });
}

/// A pipeline that cannot fail.
#[test]
fn infallible() {
    within(|| {
        let mut sum = 0;
        let report = Pipeline::<Infallible>::builder::<u64>()
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .run(0..10, |x| sum += x);
        assert!(report.is_ok() && sum == 45);
    });
}
