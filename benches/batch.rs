//! What does a pool make of a slice: long and short batches, over items of about 160 ns?
//!
//! `sequential` is the same work in a loop. A batch of 1,000 items is 160 µs of work, little more than waking
//! a parked worker costs; batches follow each other at once, so workers are awake.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringmill::Pool;
use ringmill_benches::{SHORT, work};

fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("items of 160 ns");
    group.sample_size(20);
    let pool = Pool::builder().start().expect("a worker for each core");
    for count in [1_000, 100_000] {
        let items: Vec<u64> = (0..count).collect();
        let sequential = || -> Vec<u64> { items.iter().map(|&item| work(item, SHORT)).collect() };
        let expected = sequential();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("sequential", count), |b| {
            b.iter(sequential);
        });
        group.bench_function(BenchmarkId::new("map", count), |b| {
            b.iter(|| pool.map(&items, |&item| work(item, SHORT)));
        });
        assert!(pool.map(&items, |&item| work(item, SHORT)) == expected);

        let mut cells = items.clone();
        group.bench_function(BenchmarkId::new("for_each_mut", count), |b| {
            b.iter(|| {
                pool.for_each_mut(&mut cells, |piece| {
                    for cell in piece {
                        *cell = work(*cell, SHORT);
                    }
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, batches);
criterion_main!(benches);
