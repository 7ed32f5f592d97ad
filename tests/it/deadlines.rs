//! Deadlines: of single jobs, and of the whole pipeline.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Census, Gate, Life, until, within};
use ringmill::stage::{filter_map, flat_map, map};
use ringmill::{
    BuildError, DispatchError, Fault, Instances, JobError, JoinError, Pipeline, RunError, Token,
    allowed_cores,
};

const LONG: Duration = Duration::from_secs(3600);
/// Passes soon, and not before a thread that waits for nothing has got something done.
const SHORT: Duration = Duration::from_millis(20);

/// Waits, as a job would whose work it is, until its token says that nobody waits for it.
fn until_cancelled(token: &Token) {
    until(|| token.is_cancelled());
}

#[test]
fn r_a4_a_job_that_waits_too_long_is_not_begun() {
    within(|| {
        let gate = Gate::default();
        let opened = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u32>()
            .per_job()
            .job_timeout(SHORT)
            .stage("only", Instances::new(1), move |context| {
                let (gate, token) = (opened.clone(), context.token());
                map(move |job| {
                    if job == 0 {
                        gate.pass();
                        until_cancelled(&token);
                    }
                    job
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch_all([0, 1, 2]).unwrap();
        dispatcher.dispatch_due(3, Instant::now() + LONG).unwrap();
        gate.open();
        dispatcher.done();
        let outcomes: Vec<_> = receiver.collect();
        let only: Arc<str> = Arc::from("only");
        let expired = Err(JobError::Expired {
            stage: Arc::clone(&only),
        });
        let timed_out = Err(JobError::TimedOut { stage: only });
        assert_eq!(outcomes, [timed_out, expired.clone(), expired, Ok(3)]);
        let report = pipeline.join().unwrap();
        let only = &report.counters.stages[0];
        assert_eq!((only.dispatched, only.finished, only.dropped), (4, 4, 0));
    });
}

#[test]
fn r_a4_a_deadline_follows_its_job_through_all_stages() {
    for capacity in [1, 1024] {
        within(move || {
            let census = Census::default();
            let counted = census.clone();
            let mut outcomes = Vec::new();
            Pipeline::<Infallible>::builder::<Life>()
                .per_job()
                .job_timeout(SHORT)
                .capacity(capacity)
                .stage("first", Instances::new(2).ordered(4), |_| {
                    flat_map(|life: Life| [(life.id, 0), (life.id, 1)])
                })
                .stage("late", Instances::new(1), |context| {
                    let token = context.token();
                    filter_map(move |(job, nth)| {
                        if job == 1 && nth == 0 {
                            until_cancelled(&token);
                        }
                        (nth == 0).then_some(job)
                    })
                })
                .stage("last", Instances::new(1), |_| map(|job| job))
                .run((0..3).map(|_| counted.life()), |outcome| {
                    outcomes.push(outcome);
                })
                .unwrap();
            // Those behind job 1 came too late in its wake, or just in time.
            let is_late = |outcome: &Result<u64, JobError<_>>| {
                matches!(
                    outcome,
                    Err(JobError::TimedOut { .. } | JobError::Expired { .. })
                )
            };
            assert!(!outcomes.contains(&Ok(1)), "{outcomes:?}");
            assert!(outcomes.iter().any(is_late), "{outcomes:?}");
            census.is_over();
        });
    }
}

#[test]
fn r_a4_a_running_job_sees_its_own_deadline() {
    within(|| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u32>()
            .timed()
            .stage(
                "only",
                Instances::bound([allowed_cores()[0]]),
                move |context| {
                    let (notes, token) = (Arc::clone(&notes), context.token());
                    map(move |_job: u32| {
                        notes
                            .lock()
                            .unwrap()
                            .push((token.deadline(), token.is_cancelled()));
                    })
                },
            )
            .start()
            .unwrap();
        let due = Instant::now() + LONG;
        dispatcher.dispatch_due(0, due).unwrap();
        dispatcher.try_dispatch_due(1, due).unwrap();
        dispatcher.dispatch(2).unwrap();
        dispatcher.done();
        assert_eq!(receiver.count(), 3);
        pipeline.join().unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(
            *seen,
            [(Some(due), false), (Some(due), false), (None, false)]
        );
    });
}

#[test]
fn r_a4_fail_fast_a_late_job_fails_the_pipeline() {
    within(|| {
        let (mut dispatcher, mut receiver, pipeline) = Pipeline::<Infallible>::builder::<u32>()
            .timed()
            .stage("only", Instances::new(1), |_| map(|job: u32| job))
            .then("fused", |context| {
                let token = context.token();
                map(move |job| {
                    if job == 1 {
                        until_cancelled(&token);
                    }
                    job
                })
            })
            .start()
            .unwrap();
        dispatcher.dispatch(0).unwrap();
        assert_eq!(receiver.receive(), Some(0));
        dispatcher.dispatch_due(1, Instant::now() + SHORT).unwrap();
        assert_eq!(receiver.receive(), None);
        let Err(JoinError::Failed(fault)) = pipeline.join() else {
            panic!("it failed");
        };
        assert!(matches!(*fault, Fault::Late { .. }), "{fault:?}");
    });
}

#[test]
fn r_a4_no_deadline_is_the_default_and_one_of_0_is_refused() {
    within(|| {
        let jobs = || Pipeline::<Infallible>::builder::<u32>();
        for refused in [
            jobs()
                .job_timeout(Duration::ZERO)
                .stage("only", Instances::new(1), |_| map(|job: u32| job))
                .run([1], drop),
            jobs()
                .deadline(Duration::ZERO)
                .stage("only", Instances::new(1), |_| map(|job: u32| job))
                .run([1], drop),
        ] {
            let Err(RunError::Build(error @ BuildError::ZeroTime { .. })) = refused else {
                panic!("{refused:?}");
            };
            assert!(error.to_string().contains("of 0"), "{error}");
        }
        // What is beyond the clock's end is never.
        let report = jobs()
            .deadline(Duration::MAX)
            .job_timeout(Duration::MAX)
            .stage("only", Instances::new(1), |_| map(|job: u32| job))
            .run([1], drop)
            .unwrap();
        assert_eq!(report.counters.stages[0].finished, 1);
    });
}

#[test]
fn s_a10_the_pipelines_deadline_is_noticed_at_once_by_all_who_wait() {
    for capacity in [1, 1024] {
        for bound in [false, true] {
            within(move || {
                let builder = Pipeline::<Infallible>::builder::<u64>()
                    .deadline(SHORT)
                    .capacity(capacity);
                let init = |_: &_| map(|job: u64| job);
                let (mut dispatcher, mut receiver, pipeline) = if bound {
                    let one = Instances::bound([allowed_cores()[0]]);
                    builder.stage("only", one, init).start().unwrap()
                } else {
                    let one = Instances::new(1);
                    builder.stage("only", one, init).start().unwrap()
                };
                // Nobody receives: the results' ring fills up, then the worker, then the mouth.
                let refused = (0..).find_map(|job| dispatcher.dispatch(job).err());
                assert!(
                    matches!(refused, Some(DispatchError::Failed(_))),
                    "{refused:?}"
                );
                let results = receiver.by_ref().count();
                assert!(results <= capacity + 1, "{results}");
                let Err(JoinError::Failed(fault)) = pipeline.join() else {
                    panic!("it failed");
                };
                assert!(
                    matches!(*fault, Fault::DeadlineExceeded { deadline } if deadline == SHORT),
                    "{fault:?}"
                );
            });
        }
    }
}

#[test]
fn s_a10_a_deadline_releases_receivers_joins_and_running_jobs() {
    within(|| {
        let (_dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
            .deadline(SHORT)
            .stage("only", Instances::new(1), |_| map(|job: u64| job))
            .start()
            .unwrap();
        let waits = thread::spawn(move || receiver.count());
        assert!(matches!(pipeline.join(), Err(JoinError::Failed(_))));
        assert_eq!(waits.join().unwrap(), 0);

        let ran = Pipeline::<Infallible>::builder::<u64>()
            .deadline(SHORT)
            .stage("only", Instances::new(1), |context| {
                let token = context.token();
                map(move |_: u64| until_cancelled(&token))
            })
            .run([1], drop);
        assert!(matches!(ran, Err(RunError::Join(JoinError::Failed(_)))));
    });
}

#[test]
fn r_a4_a_pipeline_that_is_through_in_time_knows_of_no_deadline() {
    within(|| {
        let sum = Arc::new(Mutex::new(0));
        let total = Arc::clone(&sum);
        let began = Instant::now();
        Pipeline::<Infallible>::builder::<u64>()
            .deadline(LONG)
            .job_timeout(LONG)
            .stage("only", Instances::new(2), |_| map(|job: u64| job))
            .fold(
                Instances::new(1),
                |_| (),
                move |(), job| *total.lock().unwrap() += job,
            )
            .run(1..=100)
            .unwrap();
        assert_eq!(*sum.lock().unwrap(), 5050);
        assert!(began.elapsed() < LONG);
    });
}

#[test]
fn r_a5_a_token_stops_the_executor_from_inside_a_job() {
    within(|| {
        let mut results = 0;
        let builder = Pipeline::<Infallible>::builder::<u64>().capacity(4);
        let handle = builder.handle();
        let token = handle.token();
        let report = builder
            .stage("only", Instances::new(1), |context| {
                let token = context.token();
                map(move |job: u64| {
                    if job == 10 {
                        token.stop();
                        assert!(token.is_cancelled());
                    }
                })
            })
            .run(0.., |()| results += 1)
            .unwrap();
        assert!(token.is_stopped() && token.is_cancelled() && token.deadline().is_none());
        assert_eq!(report.counters.stages[0].finished, 11);
        assert!(results <= 11);
    });
}

/// How the job is dispatched that waits for room.
#[derive(Clone, Copy, Debug)]
enum Way {
    Wait,
    WaitLimited,
    All,
    Batch,
    /// With a moment of its own, which stays as it is.
    Due,
}

/// Job 0 holds the only instance up for longer than a job may take, job 1 waits in the ring of one, and job 2 is offered
/// meanwhile; what became of job 2.
fn offered_while_full(way: Way) -> Result<u32, JobError<Infallible>> {
    const LIMIT: Duration = Duration::from_millis(300);
    let offers = Gate::default();
    let stage = offers.clone();
    let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u32>()
        .per_job()
        .job_timeout(LIMIT)
        .capacity(1)
        .stage("only", Instances::new(1), move |_| {
            let offers = stage.clone();
            map(move |job| {
                if job == 0 {
                    offers.pass();
                    thread::sleep(LIMIT + SHORT); // The job's work.
                }
                job
            })
        })
        .start()
        .unwrap();
    let feeder = thread::spawn(move || {
        dispatcher.dispatch(0).unwrap();
        dispatcher.dispatch(1).unwrap();
        offers.open();
        match way {
            Way::Wait => dispatcher.dispatch(2).unwrap(),
            Way::WaitLimited => dispatcher.dispatch_timeout(2, LONG).unwrap(),
            Way::All => assert_eq!(dispatcher.dispatch_all([2]), Ok(1)),
            Way::Batch => dispatcher.dispatch_batch(&mut [2].into()).unwrap(),
            Way::Due => dispatcher.dispatch_due(2, Instant::now() + LIMIT).unwrap(),
        }
    });
    let outcomes: Vec<_> = receiver.collect();
    feeder.join().unwrap();
    pipeline.join().unwrap();
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    assert!(matches!(outcomes[0], Err(JobError::TimedOut { .. })));
    assert!(matches!(outcomes[1], Err(JobError::Expired { .. })));
    outcomes[2].clone()
}

#[test]
fn the_wait_for_room_does_not_count_as_a_jobs_time() {
    for way in [Way::Wait, Way::WaitLimited, Way::All, Way::Batch] {
        within(move || assert_eq!(offered_while_full(way), Ok(2), "{way:?}"));
    }
}

#[test]
fn the_wait_for_room_counts_where_a_job_has_a_moment_of_its_own() {
    within(|| {
        let outcome = offered_while_full(Way::Due);
        assert!(
            matches!(outcome, Err(JobError::Expired { .. })),
            "{outcome:?}"
        );
    });
}

/// The same for `run`, where the ring of the job's key is full.
#[test]
fn the_wait_for_room_does_not_count_as_a_jobs_time_in_run() {
    within(|| {
        const LIMIT: Duration = Duration::from_millis(300);
        let taken = Arc::new(AtomicU32::new(0));
        let stage = Arc::clone(&taken);
        let mut outcomes = Vec::new();
        Pipeline::<Infallible>::builder::<u32>()
            .per_job()
            .job_timeout(LIMIT)
            .capacity(1)
            .stage(
                "only",
                Instances::bound([allowed_cores()[0]]).keyed(|_: &u32| 0),
                move |_| {
                    let taken = Arc::clone(&stage);
                    map(move |job| {
                        if job == 0 {
                            until(|| taken.load(SeqCst) == 3);
                            thread::sleep(LIMIT + SHORT); // The job's work.
                        }
                        job
                    })
                },
            )
            .run(
                (0..3).inspect(|_| {
                    taken.fetch_add(1, SeqCst);
                }),
                |outcome| outcomes.push(outcome),
            )
            .unwrap();
        assert_eq!(outcomes.len(), 3, "{outcomes:?}");
        assert_eq!(outcomes[2], Ok(2), "{outcomes:?}");
    });
}
