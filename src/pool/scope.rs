//! Scopes: tasks of any shape that may borrow, all done when the scope returns.

#![expect(unsafe_code, reason = "tasks borrow for as long as the scope lasts")]

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

use super::batch::FirstPanic;
use super::board::{Batch, Board, Posted};
use crate::lot::Bell;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Relaxed};

type Task = Box<dyn FnOnce() + Send>;

/// The tasks of one scope that nobody has begun, the oldest first. A lock is held for a push or a pop and never while a task
/// runs; a task is allocated anyway.
struct Tasks {
    queue: Mutex<VecDeque<Task>>,
    /// How many there are, for looks without the lock. Written under it.
    waiting: AtomicUsize,
    panic: FirstPanic,
}

impl Tasks {
    fn new() -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            waiting: AtomicUsize::new(0),
            panic: FirstPanic::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Task>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    fn push(&self, task: Task) {
        let mut queue = self.queue();
        queue.push_back(task);
        self.waiting.store(queue.len(), Relaxed);
    }

    fn pop(&self) -> Option<Task> {
        if self.waiting() == 0 {
            return None;
        }
        let mut queue = self.queue();
        let task = queue.pop_front();
        self.waiting.store(queue.len(), Relaxed);
        task
    }
}

impl Batch for Tasks {
    fn work(&self) {
        while let Some(task) = self.pop() {
            self.panic.guard(task);
        }
    }

    fn has_more(&self) -> bool {
        self.waiting() > 0
    }
}

/// Where tasks are spawned. See [`Pool::scope`](super::Pool::scope).
// Invariants
// * I1: a scope is made by `run` alone, which leaves it, by unwinding or otherwise, only when all its tasks have run.
pub struct Scope<'scope, 'env: 'scope> {
    tasks: &'scope Tasks,
    posted: &'scope Posted<'scope>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a task that may borrow whatever outlives the scope, and may spawn further ones. Any number of tasks may
    /// wait. `spawn` waits for nothing but memory, and never runs a task itself: it may be called with a lock held that
    /// tasks take, and a chain of tasks that spawn each other needs the stack of one.
    ///
    /// Tasks begin in the order in which they were spawned. A thread that waits in [`Pool::scope`](super::Pool::scope),
    /// or a worker of the pool that sleeps, is woken for each.
    pub fn spawn(&'scope self, task: impl FnOnce() + Send + 'scope) {
        let task: Box<dyn FnOnce() + Send + 'scope> = Box::new(task);
        // SAFETY: only the lifetime changes. I1: every task has run before `run` leaves the scope, and `'scope`, for which
        // the scope is borrowed here, lasts until then.
        let task = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + 'scope>, Task>(task) };
        self.tasks.push(task);
        self.posted.added();
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("waiting", &self.tasks.waiting())
            .finish_non_exhaustive()
    }
}

/// Runs `f`, and all tasks that it and they spawn, with the helpers that `board` has and `bell` calls. Goes on with a
/// panic of `f`, and otherwise with the first of a task.
pub(crate) fn run<'env, F, R>(board: &Board, bell: Option<&Bell>, f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let tasks = Tasks::new();
    let result = board.post(bell, &tasks, |posted| {
        let scope = Scope {
            tasks: &tasks,
            posted,
            scope: PhantomData,
            env: PhantomData,
        };
        // I1: it goes before the scope does.
        let _all_run = Finish(posted);
        catch_unwind(AssertUnwindSafe(|| f(&scope)))
    });
    match result {
        Ok(result) => {
            tasks.panic.resume();
            result
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// Works until all tasks have run, when it is dropped.
struct Finish<'a>(&'a Posted<'a>);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
