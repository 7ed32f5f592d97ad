//! What does one item cost through a ring: one at a time or in batches of 64, on one thread or between two?
//!
//! Every run checks the sum of what came out. A ring holds 1024 items; figures are per item.

#![allow(
    clippy::disallowed_methods,
    reason = "who waits for the other end spins"
)]

use std::collections::VecDeque;
use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmill::ring::{mpmc, spsc};
use ringmill_benches::sum_to;

const CAPACITY: usize = 1024;
const BATCH: usize = 64;

/// How long `produce` and `consume` take together; `consume` gives the sum of `count` items.
fn between_threads(
    count: u64,
    produce: impl FnOnce(u64) + Send,
    consume: impl FnOnce(u64) -> u64,
) -> Duration {
    let gate = Barrier::new(2);
    thread::scope(|scope| {
        let gate = &gate;
        scope.spawn(move || {
            gate.wait();
            produce(count);
        });
        gate.wait();
        let begun = Instant::now();
        assert_eq!(consume(count), sum_to(count));
        begun.elapsed()
    })
}

/// The sum of `count` items, of which `pop` gives some to its argument and says how many.
fn collect(count: u64, mut pop: impl FnMut(&mut u64) -> usize) -> u64 {
    let (mut popped, mut sum) = (0, 0);
    while popped < count {
        match pop(&mut sum) {
            0 => spin_loop(),
            some => popped += some as u64,
        }
    }
    sum
}

fn one_thread(c: &mut Criterion) {
    let mut group = c.benchmark_group("push and pop on one thread");
    group.throughput(Throughput::Elements(1));
    group.bench_function("spsc", |b| {
        let (mut tx, mut rx) = spsc::ring(CAPACITY).expect("1024 slots");
        b.iter(|| {
            let _pushed = tx.try_push(black_box(1_u64));
            rx.try_pop()
        });
    });
    group.bench_function("mpmc", |b| {
        let (tx, rx) = mpmc::ring(CAPACITY).expect("1024 slots");
        b.iter(|| {
            let _pushed = tx.try_push(black_box(1_u64));
            rx.try_pop()
        });
    });
    group.finish();
}

fn two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("from one thread to another");
    group.throughput(Throughput::Elements(1));
    group.bench_function("spsc, one a call", |b| {
        b.iter_custom(|count| {
            let (mut tx, mut rx) = spsc::ring(CAPACITY).expect("1024 slots");
            let produce = move |count| {
                for item in 0..count {
                    while tx.try_push(item).is_err() {
                        spin_loop();
                    }
                }
            };
            between_threads(count, produce, |count| {
                collect(count, |sum| {
                    let popped = rx.try_pop();
                    *sum = sum.wrapping_add(popped.unwrap_or(0));
                    usize::from(popped.is_some())
                })
            })
        });
    });
    group.bench_function("spsc, 64 a call", |b| {
        b.iter_custom(|count| {
            let (mut tx, mut rx) = spsc::ring(CAPACITY).expect("1024 slots");
            let produce = move |count| {
                let mut items = (0..count).peekable();
                while items.peek().is_some() {
                    if tx.push_batch(items.by_ref().take(BATCH)) == 0 {
                        spin_loop();
                    }
                }
            };
            between_threads(count, produce, |count| {
                collect(count, |sum| {
                    rx.drain(BATCH, |item| *sum = sum.wrapping_add(item))
                })
            })
        });
    });
    group.bench_function("mpmc, one a call", |b| {
        b.iter_custom(|count| {
            let (tx, rx) = mpmc::ring(CAPACITY).expect("1024 slots");
            let produce = move |count| {
                for item in 0..count {
                    while tx.try_push(item).is_err() {
                        spin_loop();
                    }
                }
            };
            between_threads(count, produce, |count| {
                collect(count, |sum| {
                    let popped = rx.try_pop();
                    *sum = sum.wrapping_add(popped.unwrap_or(0));
                    usize::from(popped.is_some())
                })
            })
        });
    });
    group.bench_function("mpmc, 64 a call", |b| {
        b.iter_custom(|count| {
            let (tx, rx) = mpmc::ring(CAPACITY).expect("1024 slots");
            let produce = move |count| {
                let mut items = 0..count;
                let mut batch = VecDeque::with_capacity(BATCH);
                loop {
                    let room = BATCH - batch.len();
                    batch.extend(items.by_ref().take(room));
                    if batch.is_empty() {
                        break;
                    }
                    if tx.push_batch(&mut batch) == Ok(0) {
                        spin_loop();
                    }
                }
            };
            between_threads(count, produce, |count| {
                collect(count, |sum| {
                    rx.drain(BATCH, |item| *sum = sum.wrapping_add(item))
                })
            })
        });
    });
    group.finish();
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
