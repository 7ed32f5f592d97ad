//! How long does a single job take from `dispatch` to its result, with nothing else under way?
//!
//! One job is in the pipeline at a time, so each figure is a round trip: two rings, the worker's look, and
//! the receiver's. `hot` follows at once on the job before; `after 2 ms` finds the worker parked in all but
//! the yielding strategy.

#![allow(
    clippy::disallowed_methods,
    reason = "the pause is what is asked about"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use ringmill::stage::map;
use ringmill::{Dispatcher, Idle, Instances, Pipeline, Receiver};

type Ends = (
    Dispatcher<u64, Infallible>,
    Receiver<u64, Infallible>,
    Pipeline<Infallible>,
);

fn start(idle: Idle) -> Ends {
    Pipeline::<Infallible>::builder::<u64>()
        .workers(1)
        .idle(idle)
        .stage("echo", Instances::new(1), |_| map(|job: u64| job))
        .start()
        .expect("one worker")
}

fn round_trip((dispatcher, receiver, _): &mut Ends) {
    dispatcher.dispatch(black_box(7)).expect("it is open");
    assert_eq!(receiver.receive(), Some(7));
}

fn strategies() -> [(&'static str, Idle); 3] {
    [
        ("backoff", Idle::backoff()),
        ("yielding", Idle::yielding()),
        ("parking", Idle::parking()),
    ]
}

fn hot(c: &mut Criterion) {
    let mut group = c.benchmark_group("round trip, hot");
    for (name, idle) in strategies() {
        let mut ends = start(idle);
        group.bench_function(name, |b| b.iter(|| round_trip(&mut ends)));
    }
    group.finish();
}

fn after_a_pause(c: &mut Criterion) {
    let mut group = c.benchmark_group("round trip, after 2 ms");
    group.sample_size(20);
    for (name, idle) in strategies() {
        let mut ends = start(idle);
        group.bench_function(name, |b| {
            b.iter_custom(|count| {
                let trip = |_| {
                    thread::sleep(Duration::from_millis(2));
                    let begun = Instant::now();
                    round_trip(&mut ends);
                    begun.elapsed()
                };
                (0..count).map(trip).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hot, after_a_pause);
criterion_main!(benches);
