//! One consumer behind a bounded queue: memory is bounded, and so is the pace, to one job after the other.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use super::{Answer, Front, Job, wait};
use crate::tally::{Tally, Work};

pub struct Consumer {
    queue: mpsc::Sender<Job>,
    work: Work,
    shed: bool,
}

impl Consumer {
    /// The front, and the thread that ends with the last front.
    pub fn start(
        work: Work,
        capacity: usize,
        shed: bool,
        tally: &Tally,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, mut jobs) = mpsc::channel::<Job>(capacity);
        let counted = tally.threads.count();
        let thread = thread::Builder::new()
            .name("consumer".to_string())
            .spawn(move || {
                let _alive = counted;
                while let Some(job) = jobs.blocking_recv() {
                    job.run();
                }
            })?;
        Ok((Self { queue, work, shed }, thread))
    }
}

impl Front for Consumer {
    fn connection(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            work: self.work.clone(),
            shed: self.shed,
        }
    }

    async fn answer(&self) -> Answer {
        let (job, done) = Job::new(&self.work, None);
        let accepted = if self.shed {
            self.queue.try_send(job).is_ok()
        } else {
            self.queue.send(job).await.is_ok() // Backpressure: the task waits for room.
        };
        if accepted {
            wait(done).await
        } else {
            Answer::Shed
        }
    }
}
