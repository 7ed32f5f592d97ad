//! The state that an executor's threads share, and what its instances count.

use std::sync::Arc as StdArc;

use super::Lot;
use crate::counters::{Source, StageTally};
use crate::hooks::Hooks;
use crate::ring::mpmc;
use crate::{Fault, Handle};
use crate::{counters, executor, lifecycle};

/// What one instance counts.
#[derive(Clone)]
pub struct Tally(StdArc<counters::Tally>);

impl Tally {
    pub fn new() -> Self {
        Self(counters::Tally::new())
    }

    pub fn start(&self) {
        self.0.start();
    }

    pub fn finish(&self) {
        self.0.finish();
    }

    pub fn drop_one(&self) {
        self.0.drop_one();
    }

    pub fn discard(&self) {
        self.0.discard();
    }
}

/// The shared state of an executor.
pub struct Executor<E>(pub(super) StdArc<executor::Executor<E>>);

impl<E> Clone for Executor<E> {
    fn clone(&self) -> Self {
        Self(StdArc::clone(&self.0))
    }
}

impl<E> Executor<E> {
    /// An executor of so many duties, and nothing counted.
    pub fn new(duties: usize) -> Self {
        let executor = executor::Executor::new();
        executor.set_up(duties, Vec::new(), &StdArc::new(Hooks::default()));
        executor.core.set_mouths(1);
        Self(executor)
    }

    /// An executor of one stage that takes its jobs from the ring of `input`.
    pub fn counting<T>(duties: usize, input: &mpmc::Consumer<T>, tallies: &[Tally]) -> Self {
        let executor = executor::Executor::new();
        let stage = StageTally {
            spill: None,
            name: StdArc::from("stage"),
            source: Source::Rings(vec![crate::sync::Arc::clone(input.cursors())]),
            instances: tallies.iter().map(|t| StdArc::clone(&t.0)).collect(),
        };
        executor.set_up(duties, vec![stage], &StdArc::new(Hooks::default()));
        executor.core.set_mouths(1);
        Self(executor)
    }

    pub fn handle(&self) -> Handle<E> {
        Handle::new(&self.0)
    }

    pub fn set_lot(&self, lot: &Lot) {
        self.0.core.set_lot(&lot.0);
    }

    pub fn duty_ended(&self) {
        self.0.duty_ended();
    }

    pub fn wait(&self) {
        assert!(
            self.0.wait(None),
            "a wait without a deadline came back early"
        );
    }

    pub fn is_open(&self) -> bool {
        self.0.core.phase() == lifecycle::Phase::Open
    }

    pub fn is_failed(&self) -> bool {
        self.0.core.phase() == lifecycle::Phase::Failed
    }

    pub fn drops_queued(&self) -> bool {
        self.0.core.phase().drops_queued()
    }
}

/// What an executor's error is, in short.
pub fn set_error<E: Copy>(handle: &Handle<E>) -> Option<E> {
    handle.err().map(|fault| match &*fault {
        Fault::Set(error) | Fault::Stage { error, .. } => *error,
        Fault::Panicked { stage, message, .. } => panic!("stage {stage} panicked: {message}"),
        Fault::Late { .. } | Fault::DeadlineExceeded { .. } => panic!("there is no time in models"),
    })
}
