//! Pools and runtimes: all stages of a job one after the other, on whichever thread is free.

use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use paralight::prelude::*;

use super::{Executor, Job, Size};

/// Takes any task.
pub trait Spawn {
    fn start(workers: usize) -> Self;

    fn spawn(&self, task: impl FnOnce() + Send + 'static);
}

/// Has jobs done as tasks; what comes of them comes back through a queue, for which nobody has to be woken.
pub struct Tasks<S> {
    spawner: S,
    stages: usize,
    back: Arc<ArrayQueue<Job>>,
}

impl<S: Spawn> Executor for Tasks<S> {
    fn start(size: Size) -> Self {
        Self {
            spawner: S::start(size.workers),
            stages: size.stages,
            back: Arc::new(ArrayQueue::new(64)),
        }
    }

    #[inline]
    fn trip(&mut self, job: Job) -> Job {
        let (stages, back) = (self.stages, Arc::clone(&self.back));
        self.spawner.spawn(move || {
            let pushed = back.push(job.steps(stages));
            assert!(pushed.is_ok(), "one job at a time");
        });
        // Not for long: its thread may have been woken on this core.
        for _ in 0..256 {
            if let Some(job) = self.back.pop() {
                return job;
            }
            spin_loop();
        }
        // A task that panics says nothing, so this does not wait for ever.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Some(job) = self.back.pop() {
                return job;
            }
            thread::yield_now();
        }
        panic!("no answer within ten seconds");
    }
}

/// Its threads are made here, since otherwise nobody could wait for their end.
pub struct Rayon {
    /// None once it is dropped.
    pool: Option<rayon::ThreadPool>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Rayon {
    pub fn pool(&self) -> &rayon::ThreadPool {
        self.pool.as_ref().expect("it is there")
    }
}

impl Spawn for Rayon {
    fn start(workers: usize) -> Self {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&threads);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .spawn_handler(move |thread| {
                let thread = thread::Builder::new().spawn(|| thread.run())?;
                all.lock().expect("nobody panics").push(thread);
                Ok(())
            })
            .build()
            .expect("a pool");
        Self {
            pool: Some(pool),
            threads,
        }
    }

    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.pool().spawn(task);
    }
}

impl Drop for Rayon {
    fn drop(&mut self) {
        drop(self.pool.take());
        for thread in self.threads.lock().expect("nobody panics").drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a worker panicked");
        }
    }
}

/// Its threads end by themselves soon after it is dropped: there is no way to wait for that.
impl Spawn for threadpool::ThreadPool {
    fn start(workers: usize) -> Self {
        Self::new(workers)
    }

    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.execute(task);
    }
}

/// Dropping it waits for its threads.
impl Spawn for tokio::runtime::Runtime {
    fn start(workers: usize) -> Self {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .build()
            .expect("a runtime")
    }

    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        drop(self.spawn(async { task() }));
    }
}

/// It joins two halves of something: here a job, and nothing.
pub struct Chili {
    pool: chili::ThreadPool,
    stages: usize,
}

impl Executor for Chili {
    fn start(size: Size) -> Self {
        let config = chili::Config {
            thread_count: NonZeroUsize::new(size.workers),
            ..chili::Config::default()
        };
        Self {
            pool: chili::ThreadPool::with_config(config),
            stages: size.stages,
        }
    }

    fn trip(&mut self, job: Job) -> Job {
        let stages = self.stages;
        self.pool.scope().join(move |_| job.steps(stages), |_| ()).0
    }
}

/// It works through slices: here one for each worker, the first of which is the job.
pub struct Paralight {
    pool: paralight::threads::ThreadPool,
    size: Size,
}

impl Executor for Paralight {
    fn start(size: Size) -> Self {
        let pool = ThreadPoolBuilder {
            num_threads: ThreadCount::try_from(size.workers).expect("workers"),
            range_strategy: RangeStrategy::Fixed,
            cpu_pinning: CpuPinningPolicy::IfSupported,
        }
        .build();
        Self { pool, size }
    }

    fn trip(&mut self, job: Job) -> Job {
        let mut jobs = vec![job; self.size.workers];
        let stages = self.size.stages;
        jobs.par_iter_mut()
            .with_thread_pool(&mut self.pool)
            .for_each(|job| *job = job.steps(stages));
        jobs[0]
    }
}
