//! How many jobs a second go through three equal stages, by the length of a stage?

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use pariter::IteratorExt as _;
use rayon::prelude::*;
use ringmill::stage::map;
use ringmill::{Instances, Pipeline};
use ringmill_benches::work;

use crate::effort::steps;
use crate::places::cores;
use crate::protocol::Case;
use crate::staged::{
    BATCH, CAPACITY, Channel, Check, CrossbeamChannel, Crossfire, CrossfireShared, Flume, Kanal,
    Load, Manner, Rtrb, StdMpsc, through, through_disruptor, through_ringmill,
};

const GROUP: &str = "pipeline";
/// Nanoseconds of work in a stage, and what that is called.
const LENGTHS: [(u32, &str); 5] = [
    (0, "0 ns"),
    (70, "70 ns"),
    (160, "160 ns"),
    (1_000, "1 µs"),
    (10_000, "10 µs"),
];
/// Jobs before the time begins.
const WARM: u64 = 64;
/// Results that rayon has in one piece before they are looked at, as a receiver would.
const BLOCK: u64 = 1 << 16;

pub fn cases() -> Vec<Case<'static>> {
    let mut cases = Vec::new();
    for length in LENGTHS {
        for instances in [1, 2] {
            let shape = Shape {
                nanoseconds: length.0,
                instances,
            };
            cases.push(run_case(length.1, shape));
            cases.push(outside_case(length.1, shape));
        }
    }
    cases
}

/// What the stages are.
#[derive(Clone, Copy)]
struct Shape {
    nanoseconds: u32,
    instances: usize,
}

impl Shape {
    fn name(self, length: &str, way: &str) -> String {
        let plural = if self.instances == 1 { "" } else { "s" };
        format!("{length}, {} instance{plural}, {way}", self.instances)
    }

    /// One instance of a stage.
    fn step(self) -> impl Fn(u64) -> u64 + Copy + Send + Sync + 'static {
        let steps = steps(self.nanoseconds);
        move |job| {
            let _done = work(job, steps);
            job + 1
        }
    }
}

/// The calling thread feeds and receives, and what else there is to do.
fn run_case(length: &str, shape: Shape) -> Case<'static> {
    let case = Case::rate(GROUP, shape.name(length, "run"))
        .subject("ringmill", move |items| run(items, shape))
        .subject("rayon fused", move |items| fused(items, shape))
        .subject("crossbeam-channel", move |items| {
            staged::<CrossbeamChannel>(items, shape)
        })
        .subject("pariter", move |items| parallel_maps(items, shape))
        .limit("sequential by cores", move |items| sequential(items, shape));
    if shape.instances > 1 {
        // The others have one receiver for each ring or channel, or let every consumer see every job.
        return case;
    }
    case.subject("disruptor", move |items| disruptor(items, shape))
        .subject("std mpsc", move |items| staged::<StdMpsc>(items, shape))
        .subject("rtrb", move |items| staged::<Rtrb>(items, shape))
}

/// Two threads outside feed and receive.
fn outside_case(length: &str, shape: Shape) -> Case<'static> {
    let case = Case::rate(GROUP, shape.name(length, "outside"))
        .subject("ringmill", move |items| outside(items, shape))
        .subject("rayon fused", move |items| fused(items, shape))
        .subject("crossbeam-channel", move |items| {
            staged::<CrossbeamChannel>(items, shape)
        })
        .subject("crossbeam-channel batch 64", move |items| {
            batched(items, shape)
        })
        .subject("kanal", move |items| staged::<Kanal>(items, shape))
        .subject("flume", move |items| staged::<Flume>(items, shape))
        .limit("sequential by cores", move |items| sequential(items, shape));
    if shape.instances > 1 {
        return case.subject("crossfire", move |items| {
            staged::<CrossfireShared>(items, shape)
        });
    }
    case.subject("crossfire", move |items| staged::<Crossfire>(items, shape))
        .subject("disruptor", move |items| disruptor(items, shape))
        .subject("rtrb", move |items| staged::<Rtrb>(items, shape))
}

/// Has a way through run over the jobs, and checks all results.
fn checked(
    items: u64,
    shape: Shape,
    through: impl FnOnce(Vec<u64>, std::ops::Range<u64>, &mut Check) -> Duration,
) -> Duration {
    let mut check = Check::new();
    let total = WARM + items;
    let took = through((0..WARM).collect(), WARM..total, &mut check);
    check.end(total, shape.instances == 1);
    took
}

/// The pipeline with what it does by itself.
fn run(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    let instances = || Instances::new(shape.instances);
    checked(items, shape, |_, jobs, check| {
        let end = jobs.end;
        let (mut begun, mut ended) = (None, None);
        // There is no moment at which it is warm and empty, so the time begins with a few jobs under way.
        let jobs = (0..end).inspect(|&job| {
            if job == WARM {
                begun = Some(Instant::now());
            }
        });
        Pipeline::<Infallible>::builder::<u64>()
            .stage("a", instances(), |_| map(step))
            .stage("b", instances(), |_| map(step))
            .stage("c", instances(), |_| map(step))
            .run(jobs, |result| {
                check.look(result);
                if check.count == end {
                    ended = Some(Instant::now());
                }
            })
            .expect("nothing fails");
        ended.expect("all results") - begun.expect("all jobs")
    })
}

fn outside(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    let instances = || Instances::new(shape.instances);
    checked(items, shape, |warm, jobs, check| {
        let ends = Pipeline::<Infallible>::builder::<u64>()
            .stage("a", instances(), move |_| map(step))
            .stage("b", instances(), move |_| map(step))
            .stage("c", instances(), move |_| map(step))
            .start()
            .expect("a worker for each core");
        let (count, each) = (items as usize, |result| check.look(result));
        through_ringmill(
            ends,
            Load {
                warm,
                jobs,
                count,
                each,
            },
            Manner::Together,
        )
    })
}

fn staged<C: Channel>(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    checked(items, shape, |warm, jobs, check| {
        let (count, each) = (items as usize, |result| check.look(result));
        let load = Load {
            warm,
            jobs,
            count,
            each,
        };
        through::<C, _, _>(load, (shape.instances, CAPACITY), |_| step)
    })
}

/// What one does by hand where a channel costs more than a job.
fn batched(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    checked(items, shape, |warm, mut jobs, check| {
        let next = move || {
            let batch: Vec<u64> = jobs.by_ref().take(BATCH).collect();
            (!batch.is_empty()).then_some(batch)
        };
        let load = Load {
            warm: vec![warm],
            jobs: std::iter::from_fn(next),
            count: (items as usize).div_ceil(BATCH),
            each: |batch: Vec<u64>| batch.into_iter().for_each(|result| check.look(result)),
        };
        let stage = |_| {
            move |mut batch: Vec<u64>| {
                for job in &mut batch {
                    *job = step(*job);
                }
                batch
            }
        };
        through::<CrossbeamChannel, _, _>(load, (shape.instances, CAPACITY / BATCH), stage)
    })
}

fn disruptor(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    checked(items, shape, |warm, jobs, check| {
        let (count, each) = (items as usize, |result| check.look(result));
        through_disruptor(
            Load {
                warm,
                jobs,
                count,
                each,
            },
            Manner::Together,
            |_| step,
        )
    })
}

/// All stages of a job in one closure, as many jobs in a piece as take about 20 µs.
fn fused(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores().len())
        .build()
        .expect("a thread for each core");
    let piece = (20_000 / (shape.nanoseconds * 3 + 10)).max(1);
    let mut block = Vec::new();
    checked(items, shape, |warm, jobs, check| {
        let mut all = |jobs: std::ops::Range<u64>| {
            for begin in jobs.clone().step_by(BLOCK as usize) {
                let jobs = begin as usize..jobs.end.min(begin + BLOCK) as usize;
                pool.install(|| {
                    jobs.into_par_iter()
                        .with_min_len(piece as usize)
                        .map(|job| step(step(step(job as u64))))
                        .collect_into_vec(&mut block);
                });
                for &result in &block {
                    check.look(result);
                }
            }
        };
        all(0..warm.len() as u64);
        let begun = Instant::now();
        all(jobs);
        begun.elapsed()
    })
}

/// Each stage is an iterator with threads of its own, and the calling thread pulls at the last one.
fn parallel_maps(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    let threads = shape.instances;
    checked(items, shape, |_, jobs, check| {
        thread::scope(|scope| {
            let mut begun = None;
            // As in `run`: it pulls as many jobs as its buffers hold before the first result is there.
            let jobs = (0..jobs.end).inspect(|&job| {
                if job == WARM {
                    begun = Some(Instant::now());
                }
            });
            // By default two jobs a thread are under way, so that threads mostly wait for each other.
            jobs.parallel_map_scoped_custom(
                scope,
                |o| o.threads(threads).buffer_size(CAPACITY),
                step,
            )
            .parallel_map_scoped_custom(scope, |o| o.threads(threads).buffer_size(CAPACITY), step)
            .parallel_map_scoped_custom(scope, |o| o.threads(threads).buffer_size(CAPACITY), step)
            .for_each(|result| check.look(result));
            begun.expect("all jobs").elapsed()
        })
    })
}

/// What all cores together can do of it, if nothing else is to be done.
fn sequential(items: u64, shape: Shape) -> Duration {
    let step = shape.step();
    checked(items, shape, |warm, jobs, check| {
        for job in warm {
            check.look(step(step(step(job))));
        }
        let begun = Instant::now();
        jobs.for_each(|job| check.look(step(step(step(job)))));
        begun.elapsed() / cores().len() as u32
    })
}
