//! Three ways to get slow work done behind an async server. None of them blocks a thread of its runtime.

pub mod consumer;
pub mod pool;
pub mod threads;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::tally::Work;

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// There is no room: 503, come back later.
    Shed,
}

/// What connections see of a mode. When the last one is gone no job can come any more, and the mode ends.
pub trait Front: Send + Sync + Sized + 'static {
    /// One for a connection of its own.
    fn connection(&self) -> Self;

    /// Gets one request's work done.
    fn answer(&self) -> impl Future<Output = Answer> + Send;
}

/// The work of one request.
pub struct Job {
    work: Work,
    done: oneshot::Sender<()>,
    /// Its place among those that may be in the pool. Given back when the job is over.
    _place: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// The job, and what is sent when it is done. A job that is dropped undone ends that with an error.
    pub fn new(work: &Work, place: Option<OwnedSemaphorePermit>) -> (Self, oneshot::Receiver<()>) {
        let (done, answer) = oneshot::channel();
        let job = Self {
            work: work.clone(),
            done,
            _place: place,
        };
        (job, answer)
    }

    pub fn run(self) {
        self.work.run();
        let _client_left = self.done.send(()).is_err();
    }
}

/// Waits for a job's end, without a thread.
async fn wait(done: oneshot::Receiver<()>) -> Answer {
    done.await.map_or(Answer::Shed, |()| Answer::Done)
}
