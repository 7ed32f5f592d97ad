//! Batches over a slice.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::{Run, expected, fused, job};
use crate::executors::{Rayon, Spawn};

pub const ALL: &[(&str, Run)] = &[
    ("ringmill", ringmill),
    ("rayon", rayon),
    ("paralight", paralight),
    ("chili", chili),
];

/// Times a batch, after a first small one, and looks at what came of it.
fn batch(items: u64, mut map: impl FnMut(&[u64]) -> Vec<u64>) -> Duration {
    let jobs: Vec<_> = (0..items).map(job).collect();
    map(&jobs[..jobs.len().min(64)]);
    let begun = Instant::now();
    let results = map(&jobs);
    let took = begun.elapsed();
    assert!(results.into_iter().eq((0..items).map(expected)), "wrong");
    took
}

fn ringmill(items: u64, workers: usize) -> Duration {
    let pool = ringmill::Pool::builder()
        .workers(workers)
        .start()
        .expect("a pool");
    batch(items, |jobs| pool.map(jobs, |&job| fused(job)))
}

fn rayon(items: u64, workers: usize) -> Duration {
    use rayon::prelude::*;
    let rayon = Rayon::start(workers);
    batch(items, |jobs| {
        let map = || jobs.par_iter().map(|&job| fused(job)).collect();
        rayon.pool().install(map)
    })
}

/// Stealing, since threads that share cores do not get on alike.
fn paralight(items: u64, workers: usize) -> Duration {
    use paralight::prelude::*;
    let mut pool = ThreadPoolBuilder {
        num_threads: ThreadCount::try_from(workers).expect("workers"),
        range_strategy: RangeStrategy::WorkStealing,
        cpu_pinning: CpuPinningPolicy::No,
    }
    .build();
    batch(items, |jobs| {
        let mut out = vec![0; jobs.len()];
        (jobs.par_iter(), out.par_iter_mut())
            .zip_eq()
            .with_thread_pool(&mut pool)
            .for_each(|(&job, out)| *out = fused(job));
        out
    })
}

fn chili(items: u64, workers: usize) -> Duration {
    let pool = chili::ThreadPool::with_config(chili::Config {
        thread_count: NonZeroUsize::new(workers),
        ..chili::Config::default()
    });
    batch(items, |jobs| {
        let mut out = jobs.to_vec();
        halve(&mut pool.scope(), &mut out);
        out
    })
}

/// Down to single jobs: it is made for that.
fn halve(scope: &mut chili::Scope<'_>, jobs: &mut [u64]) {
    if let [job] = jobs {
        *job = fused(*job);
        return;
    }
    let (left, right) = jobs.split_at_mut(jobs.len() / 2);
    scope.join(|scope| halve(scope, left), |scope| halve(scope, right));
}
