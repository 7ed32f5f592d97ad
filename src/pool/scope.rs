//! Scopes: tasks of any shape that may borrow, all done when the scope returns.

#![expect(unsafe_code, reason = "tasks borrow for as long as the scope lasts")]

use std::fmt;
use std::marker::PhantomData;

use super::batch::FirstPanic;
use super::board::{Batch, Posted};
use crate::error::{PushError, RingError};
use crate::lot::Bell;
use crate::ring::mpmc;

type Task = Box<dyn FnOnce() + Send>;

/// Tasks that wait for a thread; a spawn beyond them runs its task at once.
const TASKS: usize = 256;

/// The tasks of one scope that nobody has begun.
pub(super) struct Tasks {
    tx: mpmc::Producer<Task>,
    rx: mpmc::Consumer<Task>,
    pub(super) panic: FirstPanic,
}

impl Tasks {
    pub(super) fn new() -> Result<Self, RingError> {
        let (tx, rx) = mpmc::ring(TASKS)?;
        Ok(Self {
            tx,
            rx,
            panic: FirstPanic::default(),
        })
    }
}

impl Batch for Tasks {
    fn work(&self) {
        while let Some(task) = self.rx.try_pop() {
            self.panic.guard(task);
        }
    }

    fn has_more(&self) -> bool {
        !self.rx.is_empty()
    }
}

/// Where tasks are spawned. See [`Pool::scope`](super::Pool::scope).
pub struct Scope<'scope, 'env: 'scope> {
    pub(super) tasks: &'scope Tasks,
    /// Who can help, and how to call them. With nobody, tasks run when the scope ends.
    pub(super) helpers: Option<(&'scope Posted<'scope>, &'scope Bell)>,
    pub(super) scope: PhantomData<&'scope mut &'scope ()>,
    pub(super) env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a task that may borrow whatever outlives the scope, and may spawn further ones.
    ///
    /// Some thread of the pool runs it, at the latest the one that called [`Pool::scope`](super::Pool),
    /// before that returns. With 256 tasks waiting it runs at once, on the calling thread.
    pub fn spawn(&'scope self, task: impl FnOnce() + Send + 'scope) {
        let task: Box<dyn FnOnce() + Send + 'scope> = Box::new(task);
        // SAFETY: only the lifetime changes. `Pool::scope` does not return, by unwinding or otherwise,
        // before every task has run, and `'scope` lasts until then.
        let task = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + 'scope>, Task>(task) };
        match self.tasks.tx.try_push(task) {
            Ok(()) => {
                if let Some((posted, bell)) = self.helpers {
                    posted.open();
                    bell.call_one();
                }
            }
            Err(PushError::Full(task) | PushError::Closed(task)) => {
                self.tasks.panic.guard(task);
            }
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("waiting", &self.tasks.rx.len())
            .finish_non_exhaustive()
    }
}
