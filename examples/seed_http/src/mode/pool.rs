//! A ringmill pool: a pipeline of one stage that nobody receives from, because jobs carry their own answers.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringmill::stage::map;
use ringmill::{BuildError, Dispatcher, FailFast, Handle, Instances, Many, Pipeline};
use tokio::sync::Semaphore;

use super::{Answer, Front, Job, wait};
use crate::args::Options;
use crate::tally::{Counted, Tally, Work};

type Jobs = Dispatcher<Job, Infallible, FailFast, Many>;

pub struct Pool {
    /// A clone for each connection, which has one request at a time: nobody ever waits for the lock.
    jobs: Mutex<Jobs>,
    /// Places for jobs in the pool, if they wait for room; as many as its ring has, so that it always has room for
    /// a job that has got a place.
    places: Option<Arc<Semaphore>>,
    watch: Handle<Infallible>,
    /// The most jobs that were in the pool at once, waiting or running.
    held: Arc<AtomicU64>,
    work: Work,
}

/// The workers.
pub struct Workers {
    pipeline: Pipeline<Infallible>,
    held: Arc<AtomicU64>,
    _counted: Vec<Counted>,
}

impl Pool {
    /// The front, and the workers, which end after the last front.
    pub fn start(
        work: Work,
        options: &Options,
        tally: &Tally,
    ) -> Result<(Self, Workers), BuildError> {
        let (jobs, pipeline) = Pipeline::<Infallible>::builder::<Job>()
            .many_dispatchers()
            .workers(options.workers)
            .capacity(options.capacity)
            .stage("work", Instances::new(options.workers), |_| map(Job::run))
            .discard()
            .start()?;
        let places = (!options.shed).then(|| Arc::new(Semaphore::new(options.capacity)));
        let held = Arc::new(AtomicU64::new(0));
        let workers = pipeline.placement().workers.len();
        let front = Self {
            jobs: Mutex::new(jobs),
            places,
            watch: pipeline.handle(),
            held: Arc::clone(&held),
            work,
        };
        let counted = (0..workers).map(|_| tally.threads.count()).collect();
        let workers = Workers {
            pipeline,
            held,
            _counted: counted,
        };
        Ok((front, workers))
    }
}

impl Front for Pool {
    fn connection(&self) -> Self {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            jobs: Mutex::new(jobs.clone()),
            places: self.places.clone(),
            watch: self.watch.clone(),
            held: Arc::clone(&self.held),
            work: self.work.clone(),
        }
    }

    async fn answer(&self) -> Answer {
        let place = match &self.places {
            // Backpressure: the task waits for a place, no thread does.
            Some(places) => match Arc::clone(places).acquire_owned().await {
                Ok(place) => Some(place),
                Err(_) => return Answer::Shed,
            },
            None => None,
        };
        let (job, done) = Job::new(&self.work, place);
        let accepted = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.try_dispatch(job).is_ok() // Never waits. A job that is refused comes back, and is dropped here.
        };
        if !accepted {
            return Answer::Shed;
        }
        let held = self.watch.counters().active();
        self.held.fetch_max(held, Ordering::Relaxed);
        wait(done).await
    }
}

impl Workers {
    /// Waits until everything accepted has been done. The most jobs that the pool held at once.
    pub fn join(self) -> u64 {
        let finished = self.pipeline.join().expect("jobs do not fail");
        let work = &finished.counters.stages[0];
        assert_eq!(work.dispatched, work.finished, "every job was done");
        self.held.load(Ordering::Relaxed)
    }
}
