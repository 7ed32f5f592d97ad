//! Tests: a panic of the library's own loops fails the executor, `join` says so, and nothing hangs.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::sabotage::{Spot, plan};
use crate::stage::map;
use crate::{Fault, Handle, Instances, JoinError, Pipeline, Pool};

/// Fails instead of hanging.
fn within<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (say, hear) = channel();
    let runner = thread::spawn(move || say.send(body()));
    let answer = hear.recv_timeout(Duration::from_secs(30));
    let answer = answer.expect("the body ends, and does not hang");
    let _said = runner.join();
    answer
}

/// What the fault says that `join` returns.
fn blamed<A>(joined: Result<A, JoinError<Infallible>>) -> (String, String) {
    let Err(JoinError::Failed(fault)) = joined else {
        panic!("the executor has failed");
    };
    match &*fault {
        Fault::Panicked { stage, message, .. } => (stage.to_string(), message.clone()),
        other => panic!("a panic: {other}"),
    }
}

/// Three stages, one of them ordered, one that can be scaled, a deadline: every part there is.
fn sabotaged(spot: Spot, workers: usize) -> (String, String) {
    within(move || {
        let builder = Pipeline::<Infallible>::builder::<u64>()
            .workers(workers)
            .capacity(4)
            .deadline(Duration::from_secs(3600));
        let handle: Handle<Infallible> = builder.handle();
        let (mut dispatcher, receiver, pipeline) = builder
            .stage("a", Instances::new(2).ordered(4), |_| map(|x: u64| x))
            .stage("b", Instances::new(1).up_to(2), |_| map(|x: u64| x))
            .stage("c", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .expect("it starts");
        plan(spot, &handle.executor().core);
        if spot == Spot::Supervisor {
            // It sleeps until it is called.
            handle.scaling("b").expect("it scales").set_load(1);
        }
        let receiving = thread::spawn(move || receiver.count());
        while dispatcher.dispatch(1).is_ok() {}
        let _received = receiving.join();
        blamed(pipeline.join())
    })
}

#[test]
fn a_panic_of_a_loop_of_ours_fails_the_executor() {
    for (spot, who) in [
        (Spot::Worker, "a worker"),
        (Spot::Poll, "a worker"),
        (Spot::Supervisor, "the supervisor"),
    ] {
        for workers in [1, 2, 3] {
            let (stage, message) = sabotaged(spot, workers);
            assert_eq!(stage, who, "{message}");
            assert_eq!(message, format!("sabotage: {spot:?}"));
        }
    }
}

#[test]
fn a_panic_in_a_poll_of_a_bound_instance_fails_the_executor() {
    let (stage, message) = within(|| {
        let core = crate::allowed_cores()[0];
        let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
            .capacity(2)
            .stage("a", Instances::bound([core]), |_| map(|x: u64| x))
            .stage("b", Instances::bound([core]), |_| map(|x: u64| x))
            .start()
            .expect("it starts");
        plan(Spot::Poll, &pipeline.executor().core);
        let receiving = thread::spawn(move || receiver.count());
        while dispatcher.dispatch(1).is_ok() {}
        let _received = receiving.join();
        blamed(pipeline.join())
    });
    assert_eq!((&*stage, &*message), ("a worker", "sabotage: Poll"));
}

#[test]
fn a_panic_in_run_of_the_callers_own_worker_fails_it() {
    let (stage, message) = within(|| {
        let builder = Pipeline::<Infallible>::builder::<u64>().workers(1);
        let handle = builder.handle();
        let stages = builder.stage("a", Instances::new(1), |_| map(|x: u64| x));
        let mut next = 0;
        let jobs = std::iter::from_fn(|| {
            next += 1;
            if next == 10 {
                plan(Spot::Worker, &handle.executor().core);
            }
            Some(next)
        });
        let crate::RunError::Join(error) = stages.run(jobs, drop).expect_err("it fails") else {
            panic!("it was built");
        };
        blamed(Err::<(), _>(error))
    });
    assert_eq!((&*stage, &*message), ("a worker", "sabotage: Worker"));
}

#[test]
fn a_pool_goes_on_without_a_helper_that_panicked() {
    within(|| {
        let pool = Pool::builder().workers(3).start().expect("it starts");
        let core = pool.core();
        let ten: Vec<u64> = (0..10).collect();
        plan(Spot::Helper, &core);
        for _ in 0..100 {
            assert_eq!(pool.map(&ten, |x| x + 1), (1..11).collect::<Vec<_>>());
        }
        plan(Spot::Worker, &core);
        assert_eq!(pool.map(&ten, |x| x + 1), (1..11).collect::<Vec<_>>());
        let _alive: Arc<_> = core;
    });
}
