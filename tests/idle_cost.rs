//! Idling costs nothing: once there is no work, the threads of an executor that may park use next to no
//! time of the processor.

#![allow(clippy::pedantic, reason = "a test may be plainer than a library")]

#[path = "it/common/mod.rs"]
mod common;

use std::convert::Infallible;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use common::until;
use ringmill::stage::map;
use ringmill::{Idle, Instances, Pipeline, allowed_cores};

/// The processor time that this process's threads have used, by name.
fn used() -> Vec<(String, Duration)> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of_task = |task: std::io::Result<fs::DirEntry>| {
        let path = task.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos = times.split_whitespace().next()?.parse().ok()?;
        Some((name.trim_end().to_string(), Duration::from_nanos(nanos)))
    };
    tasks.filter_map(of_task).collect()
}

#[test]
fn idle_executors_cost_next_to_nothing() {
    let core = allowed_cores()[0];
    let strategies = [
        Idle::backoff(),
        Idle::parking(),
        Idle::backoff_hot(Duration::from_millis(50)),
    ];
    let mut executors = Vec::new();
    for idle in strategies {
        for shape in 0..3 {
            let builder = Pipeline::<Infallible>::builder::<u64>()
                .idle(idle.clone())
                .workers(2);
            let same = |_: &ringmill::Context| map(|x: u64| x);
            let started = match shape {
                0 => builder
                    .stage("a", Instances::new(2), same)
                    .stage("b", Instances::new(2).ordered(8), same)
                    .start(),
                1 => builder
                    .stage("a", Instances::bound([core, core]), same)
                    .then("b", same)
                    .start(),
                _ => builder
                    .stage("a", Instances::new(2).keyed(|x: &u64| *x), same)
                    .stage("b", Instances::new(1), same)
                    .start(),
            };
            let (mut dispatcher, mut receiver, pipeline) = started.unwrap();
            // The receiver waits in its blocking call; this end keeps its dispatcher open.
            let collector = thread::spawn(move || {
                let mut count = 0;
                while receiver.receive().is_some() {
                    count += 1;
                }
                count
            });
            assert_eq!(dispatcher.dispatch_all(0..2000), Ok(2000));
            until(|| pipeline.counters().active() == 0);
            executors.push((dispatcher, collector, pipeline));
        }
    }
    let begin = Instant::now();
    // Here waiting is the subject: what happens while nothing is to be done.
    thread::sleep(Duration::from_millis(1200));
    let before = used();
    thread::sleep(Duration::from_secs(1));
    let after = used();
    assert!(begin.elapsed() >= Duration::from_millis(2200));
    let total = |times: &[(String, Duration)]| times.iter().map(|time| time.1).sum::<Duration>();
    let cost = total(&after) - total(&before);
    eprintln!("{} executors idle for 1 s: {cost:?}", executors.len());
    assert!(
        cost < Duration::from_millis(100),
        "{cost:?}: {before:?} {after:?}"
    );
    for (dispatcher, collector, pipeline) in executors {
        drop(dispatcher);
        assert_eq!(collector.join().unwrap(), 2000);
        pipeline.join().unwrap();
    }
}
