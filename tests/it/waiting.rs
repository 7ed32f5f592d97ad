//! Threads that wait in dispatch and receive: each that can go on is woken, few others are, and no strategy keeps one
//! beyond its time.

use std::convert::Infallible;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{jobs, until, within};
use ringmill::stage::map;
use ringmill::{DispatchError, Idle, IdleStrategy, Instances, Pipeline, ReceiveTimeoutError, Step};

type Pure = Pipeline<Infallible>;

/// How often this process's threads whose name begins so have given their core away.
fn switches(prefix: &str) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of_task = |path: std::path::PathBuf| {
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        let count: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        name.starts_with(prefix).then_some(count)
    };
    tasks.filter_map(|task| of_task(task.ok()?.path())).sum()
}

/// `threads` threads dispatch `each` jobs into a ring of one, and park while it is full. How often they gave their core
/// away, a job.
fn switches_a_job(threads: usize, each: u64) -> f64 {
    within(move || {
        let (dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .many_dispatchers()
            .workers(1)
            .capacity(1)
            .idle(Idle::parking())
            .stage("s", Instances::new(1), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let receiving = thread::spawn(move || receiver.count());
        let counted = Arc::new(AtomicUsize::new(0));
        let switched = Arc::new(Mutex::new(0));
        let senders: Vec<_> = (0..threads)
            .map(|nth| {
                let mut dispatcher = dispatcher.clone();
                let (counted, switched) = (Arc::clone(&counted), Arc::clone(&switched));
                let body = move || {
                    for job in 0..each {
                        dispatcher.dispatch(job).unwrap();
                    }
                    // The last one looks, while all are there.
                    if counted.fetch_add(1, SeqCst) + 1 == threads {
                        *switched.lock().unwrap() = switches(&format!("herd{threads}/"));
                    }
                    until(|| counted.load(SeqCst) == threads && *switched.lock().unwrap() > 0);
                };
                let name = format!("herd{threads}/{nth}");
                thread::Builder::new().name(name).spawn(body).unwrap()
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        drop(dispatcher);
        let all = receiving.join().unwrap();
        assert_eq!(all as u64, threads as u64 * each);
        pipeline.join().unwrap();
        let switched = *switched.lock().unwrap();
        switched as f64 / all as f64
    })
}

/// A slot that is given back is for one thread: with a broadcast 64 threads would give their core away some 40 times a job.
#[test]
fn a_slot_wakes_one_of_the_threads_that_wait_for_it() {
    let few = switches_a_job(2, jobs(2000));
    let many = switches_a_job(64, jobs(100));
    assert!(
        many < 2.0 * few.max(1.0) + 2.0,
        "2 threads {few}, 64 threads {many} switches a job"
    );
}

/// Every thread that waits is woken in the end, whatever the others do: take, give up, or come late.
#[test]
fn no_wake_is_lost_among_threads_that_give_up() {
    within(|| {
        let (dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .many_dispatchers()
            .many_receivers()
            .workers(2)
            .capacity(3)
            .idle(Idle::parking())
            .stage("a", Instances::new(2), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..6)
            .map(|nth: u64| {
                let (mut dispatcher, sent) = (dispatcher.clone(), Arc::clone(&sent));
                thread::spawn(move || {
                    for job in 0..jobs(400) {
                        // Some wait for ever, some for next to no time.
                        let answer = if nth.is_multiple_of(2) {
                            dispatcher.dispatch(job)
                        } else {
                            dispatcher.dispatch_timeout(job, Duration::from_micros(nth * 20))
                        };
                        match answer {
                            Ok(()) => drop(sent.fetch_add(1, SeqCst)),
                            Err(DispatchError::Timeout(_)) => {}
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..4)
            .map(|nth: u64| {
                let mut receiver = receiver.clone();
                thread::spawn(move || {
                    let mut received = 0;
                    loop {
                        let next = if nth.is_multiple_of(2) {
                            receiver.receive().ok_or(ReceiveTimeoutError::Done)
                        } else {
                            receiver.receive_timeout(Duration::from_micros(30))
                        };
                        match next {
                            Ok(_) => received += 1,
                            Err(ReceiveTimeoutError::Timeout) => {}
                            Err(ReceiveTimeoutError::Done) => return received,
                        }
                    }
                })
            })
            .collect();
        drop(receiver);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        drop(dispatcher);
        let received = receivers
            .into_iter()
            .map(|receiver| receiver.join().unwrap());
        assert_eq!(received.sum::<usize>(), sent.load(SeqCst));
        pipeline.join().unwrap();
    });
}

/// A slot of one instance's ring is of no use to a job for another instance's.
#[test]
fn a_slot_wakes_a_thread_whose_job_goes_there() {
    within(|| {
        let (dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .many_dispatchers()
            .workers(2)
            .capacity(1)
            .idle(Idle::parking())
            .stage("s", Instances::new(4).keyed(|x: &u64| *x), |_| {
                map(|x: u64| x)
            })
            .start()
            .unwrap();
        let senders: Vec<_> = (0..8)
            .map(|nth| {
                let mut dispatcher = dispatcher.clone();
                thread::spawn(move || {
                    for _ in 0..jobs(300) {
                        dispatcher.dispatch(nth).unwrap();
                    }
                })
            })
            .collect();
        drop(dispatcher);
        let received = receiver.count() as u64;
        assert_eq!(received, 8 * jobs(300));
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        pipeline.join().unwrap();
    });
}

/// Spins for hours unless something comes.
struct Hours;

impl IdleStrategy for Hours {
    fn idle(&mut self) -> Step {
        Step::Spin(u32::MAX)
    }
    fn reset(&mut self) {}
}

#[test]
fn a_spin_of_hours_ends_with_its_time_and_with_the_executor() {
    within(|| {
        let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
            .workers(2)
            .capacity(1)
            .idle(Idle::custom(|| Hours))
            .stage("a", Instances::new(2), |_| map(|x: u64| x))
            .start()
            .unwrap();
        let begun = Instant::now();
        let limit = Duration::from_millis(10);
        assert_eq!(
            receiver.receive_timeout(limit),
            Err(ReceiveTimeoutError::Timeout)
        );
        while dispatcher.try_dispatch(1).is_ok() {}
        // Nobody receives: it is full until the time is up.
        while dispatcher.dispatch_timeout(1, limit).is_ok() {}
        assert!(begun.elapsed() < Duration::from_secs(20));
        dispatcher.done();
        let received = std::iter::from_fn(|| receiver.receive()).count();
        assert!(received >= 2);
        pipeline.join().unwrap();
    });
}
