//! What the guide to the worker pool pattern asks for, typed jobs with their outcomes, and how what it shows
//! was seen to fail.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::common::place::{
    CAPACITIES, PLACES, Place, core_of, empty, enough, everywhere, same, single, three, trials,
};
use crate::common::{Count, Threads, jobs, until, within_steps};
use ringmill::stage::map;
use ringmill::{
    Context, DispatchError, Flow, Instances, JobError, Outlet, Pipeline, RunError, Stage, Token,
    TryReceiveError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Job<T> {
    id: u64,
    value: T,
}

#[derive(Debug, PartialEq, Eq)]
struct Done<T, U, E> {
    job: Job<T>,
    result: Result<U, E>,
}

/// The one function that does the work, and gives up when it is cancelled.
fn process(job: &Job<String>, token: &Token) -> Result<u64, String> {
    if token.is_stopped() {
        return Err("cancelled".to_string());
    }
    job.value
        .parse()
        .map_err(|_| format!("{:?} is no number", job.value))
}

/// An instance of it, which counts those that have not ended.
struct Process {
    token: Token,
    alive: Arc<AtomicUsize>,
}

impl Stage<Job<String>, String> for Process {
    type Out = Done<String, u64, String>;

    fn job<O: Outlet<Self::Out>>(&mut self, job: Job<String>, out: &mut O) -> Result<Flow, String> {
        let result = process(&job, &self.token);
        assert!(out.emit(Done { job, result }).is_ok());
        Ok(Flow::Done)
    }

    fn end(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

#[test]
fn r_e1_each_job_comes_back_with_its_result() {
    everywhere(|place, capacity| {
        for workers in [1, 3] {
            let all = enough(capacity);
            let alive = Arc::new(AtomicUsize::new(0));
            let counts = alive.clone();
            let init = move |context: &Context| {
                counts.fetch_add(1, SeqCst);
                Process {
                    token: context.token(),
                    alive: counts.clone(),
                }
            };
            let builder = empty::<Job<String>>(capacity).workers(workers);
            let (mut dispatcher, mut receiver, pipeline) = match place {
                Place::Bound => {
                    let cores = (0..workers).flat_map(core_of);
                    builder
                        .stage("process", Instances::bound(cores), init)
                        .start()
                }
                Place::Floating => builder
                    .stage("process", Instances::new(workers), init)
                    .start(),
                Place::Fused => builder
                    .stage("first", Instances::new(workers), |_| map(|job| job))
                    .then("process", init)
                    .start(),
            }
            .unwrap();
            assert_eq!(alive.load(SeqCst), workers);
            let job = |id: u64| Job {
                id,
                value: if id % 7 == 3 {
                    format!("x{id}")
                } else {
                    id.to_string()
                },
            };
            let feeder = thread::spawn(move || {
                dispatcher.dispatch_all((0..all).map(job)).unwrap();
            });
            let mut done = HashMap::new();
            for outcome in receiver.by_ref() {
                assert!(done.insert(outcome.job.id, outcome).is_none(), "once");
            }
            // The results end when all instances have.
            assert_eq!(alive.load(SeqCst), 0);
            assert_eq!(receiver.try_receive(), Err(TryReceiveError::Done));
            feeder.join().unwrap();
            for id in 0..all {
                let outcome = done.remove(&id).unwrap();
                let expected = if id % 7 == 3 {
                    Err(format!("\"x{id}\" is no number"))
                } else {
                    Ok(id)
                };
                assert_eq!((outcome.job, outcome.result), (job(id), expected));
            }
            assert!(done.is_empty());
            pipeline.join().unwrap();
        }
    });
}

/// Errors pass the stages behind; any number of workers; nobody is left; hooks and counters tell of it.
#[test]
fn r_e3_errors_flow_through_chained_stages() {
    everywhere(|place, capacity| {
        for workers in [1, 2, 5] {
            let (threads, all) = (Threads::default(), enough(capacity));
            let odd = |divisor: u64| {
                move |_: &Context| {
                    move |job: u64| {
                        if job % divisor == 1 {
                            Err(format!("{job} by {divisor}"))
                        } else {
                            Ok(job)
                        }
                    }
                }
            };
            let builder = Pipeline::<String>::builder::<u64>()
                .per_job()
                .many_dispatchers()
                .capacity(capacity)
                .workers(workers)
                .on_spawn(threads.hook());
            let started = three(place, builder, odd(3), odd(5), odd(7));
            let (mut dispatcher, receiver, pipeline) = started;
            let feeder = thread::spawn(move || dispatcher.dispatch_all(0..all).unwrap());
            let outcomes: Vec<_> = receiver.collect();
            let expected = (0..all).map(|job: u64| {
                let at = [("a", 3), ("b", 5), ("c", 7)];
                match at.into_iter().find(|(_, divisor)| job % divisor == 1) {
                    Some((stage, divisor)) => Err(JobError::Stage {
                        stage: Arc::from(stage),
                        error: format!("{job} by {divisor}"),
                    }),
                    None => Ok(job),
                }
            });
            assert!(outcomes.into_iter().eq(expected));
            assert_eq!(feeder.join().unwrap() as u64, all);
            let report = pipeline.join().unwrap();
            assert_eq!(threads.alive(), 0);
            assert_eq!(threads.ever(), report.placement.workers.len());
            assert_eq!(report.counters.stage("a").unwrap().finished, all);
        }
    });
}

/// Ends that nobody closes keep nobody from leaving.
#[test]
fn r_e3_an_unclosed_end_is_no_deadlock() {
    everywhere(|place, capacity| {
        for dropped in 0..2 {
            let threads = Threads::default();
            let builder = empty::<u64>(capacity).on_spawn(threads.hook());
            let (mut dispatcher, mut receiver, pipeline) = three(place, builder, same, same, same);
            dispatcher.dispatch(1).unwrap();
            assert_eq!(receiver.receive(), Some(1));
            if dropped == 0 {
                drop(pipeline); // Both ends are open.
            } else {
                drop(receiver); // The dispatcher is open.
                pipeline.join().unwrap();
            }
            assert_eq!(threads.alive(), 0);
            assert!(dispatcher.dispatch(2).is_err());
        }
    });
}

#[test]
fn s_e1_the_receiver_stops_then_cancels() {
    everywhere(|place, capacity| {
        let threads = Threads::default();
        let builder = empty::<u64>(capacity).on_spawn(threads.hook());
        let (mut dispatcher, mut receiver, pipeline) = three(place, builder, same, same, same);
        let feeder = thread::spawn(move || dispatcher.dispatch_all(0..).unwrap_err().refused);
        for expected in 0..5 {
            assert_eq!(receiver.receive(), Some(expected));
        }
        // It takes no more, and everything fills up.
        let rings = if place == Place::Fused { 1 } else { 3 };
        until(|| pipeline.counters().stages[0].finished >= (rings * capacity + 5) as u64);
        pipeline.stop();
        assert!(matches!(feeder.join().unwrap(), DispatchError::Stopped(_)));
        let handle = pipeline.handle();
        pipeline.join().unwrap();
        assert_eq!((threads.alive(), handle.counters().active()), (0, 0));
    });
}

/// Theirs is blocked for ever in 96 of 200 trials.
#[test]
fn s_e2_a_cancel_releases_the_producer() {
    trials(200, |place, capacity| {
        let (mut dispatcher, receiver, pipeline) = single(place, empty(capacity), same);
        let accepted = Count::default();
        let accepts = accepted.clone();
        let producer = thread::spawn(move || {
            for job in 0.. {
                if let Err(refused) = dispatcher.dispatch(job) {
                    return refused == DispatchError::Stopped(job);
                }
                accepts.add(1);
            }
            unreachable!()
        });
        // Nobody receives: it waits, or is about to.
        accepted.reach(2 * capacity);
        pipeline.stop();
        assert!(producer.join().unwrap());
        pipeline.join().unwrap();
        assert_eq!(receiver.count(), capacity);
    });
}

/// Theirs has output in 2,462 of 5,000.
#[test]
fn s_e3_cancelled_before_the_start_there_is_no_output() {
    trials(jobs(5000), |place, capacity| {
        let work = |_: &Context| map(|_: u64| -> u64 { panic!("a job ran") });
        let builder = empty::<u64>(capacity).workers(1);
        let handle = builder.handle();
        handle.stop();
        let (mut dispatcher, mut receiver, pipeline) = single(place, builder, work);
        assert_eq!(dispatcher.dispatch(1), Err(DispatchError::Stopped(1)));
        assert_eq!(dispatcher.dispatch_all(2..9).unwrap_err().accepted, 0);
        assert_eq!(receiver.receive(), None);
        let counters = pipeline.join().unwrap().counters;
        assert!(counters.stages.iter().all(|stage| stage.dispatched == 0));
    });
}

#[test]
fn s_e4_no_jobs_at_all() {
    everywhere(|place, capacity| {
        for ends in 0..3 {
            let (dispatcher, mut receiver, pipeline) =
                three(place, empty::<u64>(capacity), same, same, same);
            match ends {
                0 => dispatcher.done(),
                1 => drop(dispatcher),
                _ => pipeline.close(),
            }
            assert_eq!(receiver.receive(), None);
            pipeline.join().unwrap();
        }
    });
    within_steps(|step| {
        for capacity in CAPACITIES {
            for place in PLACES {
                step.say(format!("run, {place:?} {capacity}"));
                let builder = Pipeline::<String>::builder::<u64>().capacity(capacity);
                let none = std::iter::empty();
                let each = |_| panic!("a result");
                let ran: Result<_, RunError<String>> = match place {
                    Place::Bound => {
                        let instances = Instances::bound(core_of(0));
                        builder.stage("a", instances, same).run(none, each)
                    }
                    Place::Floating => builder.stage("a", Instances::new(2), same).run(none, each),
                    Place::Fused => builder
                        .stage("a", Instances::new(1), same)
                        .then("b", same)
                        .run(none, each),
                };
                assert_eq!(ran.unwrap().counters.active(), 0);
            }
        }
    });
}
