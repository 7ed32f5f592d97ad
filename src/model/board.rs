//! Batches on a board, open to helpers.

use std::sync::Arc as StdArc;

use crate::Scope;
use crate::pool::board::{self, Batch};
use crate::pool::scope;

/// Work that any number of threads can do at once.
pub trait Work: Sync {
    fn work(&self);
    fn has_more(&self) -> bool;
}

struct Shared<'a>(&'a dyn Work);

impl Batch for Shared<'_> {
    fn work(&self) {
        self.0.work();
    }
    fn has_more(&self) -> bool {
        self.0.has_more()
    }
}

/// Batches that are open to helpers.
#[derive(Clone)]
pub struct Board(StdArc<board::Board>);

impl Board {
    pub fn new(slots: usize) -> Self {
        Self(StdArc::new(board::Board::new(slots)))
    }

    /// Opens `work` to helpers, takes part in it, and waits for those inside.
    pub fn run(&self, work: &dyn Work) {
        let batch = Shared(work);
        self.0.post(None, &batch, |posted| {
            posted.added();
        });
    }

    /// What `Pool::scope` does, with those as helpers who come by themselves.
    pub fn scope<'env, R>(
        &self,
        f: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    ) -> R {
        scope::run(&self.0, None, f)
    }

    pub fn help(&self) -> bool {
        self.0.help(|| ())
    }
}
