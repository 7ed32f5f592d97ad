//! How many jobs a second go through three equal stages, by placement and by the length of a stage?
//!
//! `sequential` is the three stages in a loop on one thread. The pipelines run on the calling thread and one
//! more, and are built and joined anew each time. Every run checks the sum of the results.

use std::convert::Infallible;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringmill::stage::map;
use ringmill::{Builder, Instances, Pipeline, allowed_cores};
use ringmill_benches::{LONG, SHORT, work};

/// Runs all jobs through stages of so many steps; the sum of the results.
type Run = fn(u32) -> u64;

const JOBS: u64 = 50_000;

fn builder<'env>() -> Builder<'env, u64, Infallible> {
    Pipeline::builder::<u64>().workers(2)
}

fn three_times(job: u64, steps: u32) -> u64 {
    work(work(work(job, steps), steps), steps)
}

fn floating(steps: u32) -> u64 {
    let mut sum = 0_u64;
    let step = move |job| work(job, steps);
    builder()
        .stage("a", Instances::new(1), |_| map(step))
        .stage("b", Instances::new(1), |_| map(step))
        .stage("c", Instances::new(1), |_| map(step))
        .run(0..JOBS, |result| sum = sum.wrapping_add(result))
        .expect("nothing fails");
    sum
}

fn fused(steps: u32) -> u64 {
    let mut sum = 0_u64;
    let step = move |job| work(job, steps);
    builder()
        .stage("a", Instances::new(2), |_| map(step))
        .then("b", |_| map(step))
        .then("c", |_| map(step))
        .run(0..JOBS, |result| sum = sum.wrapping_add(result))
        .expect("nothing fails");
    sum
}

fn bound(steps: u32) -> u64 {
    let core = allowed_cores().last().copied().unwrap_or_default();
    let mut sum = 0_u64;
    let step = move |job| work(job, steps);
    builder()
        .stage("a", Instances::bound([core]), |_| map(step))
        .stage("b", Instances::bound([core]), |_| map(step))
        .stage("c", Instances::bound([core]), |_| map(step))
        .run(0..JOBS, |result| sum = sum.wrapping_add(result))
        .expect("nothing fails");
    sum
}

fn three_stages(c: &mut Criterion) {
    let mut group = c.benchmark_group("three stages");
    group.throughput(Throughput::Elements(JOBS));
    group.sample_size(10);
    for (length, steps) in [("no work", 0), ("160 ns", SHORT), ("1 us", LONG)] {
        let sequential =
            || (0..JOBS).fold(0_u64, |sum, job| sum.wrapping_add(three_times(job, steps)));
        let expected = sequential();
        group.bench_function(BenchmarkId::new("sequential", length), |b| {
            b.iter(sequential);
        });
        let placements: [(_, Run); 3] =
            [("floating", floating), ("fused", fused), ("bound", bound)];
        for (name, run) in placements {
            group.bench_function(BenchmarkId::new(name, length), |b| {
                b.iter(|| assert_eq!(run(steps), expected));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, three_stages);
criterion_main!(benches);
