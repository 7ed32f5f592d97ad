//! What an instance is told: who it is, and whether it should come to an end.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::lifecycle::{Core, Phase};
use crate::timing::Due;

/// What a stage's init closure is told about the instance that it builds.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) stage: Arc<str>,
    pub(crate) instance: usize,
    pub(crate) instances: usize,
    pub(crate) token: Token,
}

impl Context {
    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Which instance this is, from 0.
    #[must_use]
    pub fn instance(&self) -> usize {
        self.instance
    }

    /// How many instances the stage has.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances
    }

    /// Tells a running job that it should come to an end.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token.clone()
    }
}

/// Lets a running job see that it should come to an end, and end its executor.
#[derive(Clone)]
pub struct Token {
    core: Arc<Core>,
    /// Until when the instance's job is due, where jobs carry their time.
    due: Option<Arc<Due>>,
}

impl Token {
    pub(crate) fn new(core: &Arc<Core>, due: Option<&Arc<Due>>) -> Self {
        Self {
            core: Arc::clone(core),
            due: due.map(Arc::clone),
        }
    }

    /// Whether queued jobs are being dropped: after a stop, a failure, or when the last receiver left.
    /// Never true again false.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.core.phase().drops_queued()
    }

    /// Whether nobody waits for the result of the running job any more: the executor is
    /// [stopped](Token::is_stopped), or the job's [deadline](Token::deadline) has passed. Reads the clock (16–50 ns)
    /// only if there is a deadline.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.is_stopped() || self.deadline().is_some_and(|due| Instant::now() >= due)
    }

    /// When the job that this instance has begun last is due; `None` where it has no deadline, and for a token that
    /// is no instance's.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due.as_ref()?.at()
    }

    /// Stops the executor, as [`Handle::stop`](crate::Handle::stop).
    pub fn stop(&self) {
        self.core.advance(Phase::Stopped);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("stopped", &self.is_stopped())
            .field("deadline", &self.deadline())
            .finish()
    }
}
