//! A thread for each request: nothing bounds how many there are but the system.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Answer, Front, Job, wait};
use crate::tally::{Gauge, Work};

/// Where the system refuses a thread, others have to end first. That takes about as long as the work of one.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

pub struct Threads {
    work: Work,
    stack: usize,
    threads: Arc<Gauge>,
}

impl Threads {
    pub fn new(work: Work, stack: usize, threads: &Arc<Gauge>) -> Self {
        let threads = Arc::clone(threads);
        Self {
            work,
            stack,
            threads,
        }
    }
}

impl Front for Threads {
    fn connection(&self) -> Self {
        Self::new(self.work.clone(), self.stack, &self.threads)
    }

    async fn answer(&self) -> Answer {
        for _try in 0..TRIES {
            let (job, done) = Job::new(&self.work, None);
            let counted = self.threads.count();
            let builder = thread::Builder::new().stack_size(self.stack);
            let spawned = builder.spawn(move || {
                let _alive = counted;
                job.run();
            });
            if spawned.is_ok() {
                return wait(done).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Answer::Shed
    }
}
