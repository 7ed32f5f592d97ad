//! What workers share: duties with their words, and the floor.

use std::sync::Arc as StdArc;

use crate::Idle;
use crate::edge::{InputPeek, OutputPeek};
use crate::lot::Flags;
use crate::worker::Worker;
use crate::worker::duty::{Poll, Polled};
use crate::worker::floor::Floor;
use crate::worker::station::Station as Place;

/// One duty and its word.
pub struct Station(Place<'static>);

struct Any<F>(F);

impl<F: FnMut() -> usize> Poll for Any<F> {
    fn poll(&mut self) -> Polled {
        let jobs = (self.0)();
        Polled {
            jobs,
            is_light: false,
            is_slow: false,
            word: 0,
        }
    }

    fn abort(&mut self) {}
}

struct Always;

impl InputPeek for Always {
    fn backlog(&self) -> usize {
        1
    }
    fn is_at_end(&self) -> bool {
        false
    }
}

impl OutputPeek for Always {
    fn has_room(&self) -> bool {
        true
    }
    fn has_room_in(&self, _lane: usize) -> bool {
        true
    }
}

impl Station {
    /// A station whose duty is this closure.
    pub fn new(duty: impl FnMut() -> usize + Send + 'static) -> Self {
        let duty = Box::new(Any(duty));
        let always = StdArc::new(Always);
        Self(Place::new(
            Flags::new(0, 0),
            Some(duty),
            always.clone(),
            always,
            1,
            None,
            false,
        ))
    }

    pub fn try_poll(&self) -> Option<usize> {
        self.0.try_poll().map(|polled| polled.jobs)
    }
}

/// The workers of an assembly, to be run one on a thread.
#[derive(Clone)]
pub struct Workers(pub(super) StdArc<Floor<'static>>);

impl Workers {
    /// Runs worker `index` to its end.
    pub fn run(&self, index: usize) {
        self.worker(index).run();
    }

    fn worker(&self, index: usize) -> Worker<'static, 'static> {
        let on_panic = Box::new(|_: &str, payload| std::panic::resume_unwind(payload));
        let idle = Idle::parking().strategy(false);
        Worker::new(index, &self.0, Vec::new(), true, idle, on_panic)
    }

    /// Worker `index` polls a duty once, wherever it is at home: how many jobs it moved on.
    pub fn poll_as(&self, index: usize, duty: usize) -> usize {
        self.worker(index).poll_floating(duty)
    }

    /// Polls one duty, if nobody else does: how many jobs it moved on.
    pub fn poll(&self, duty: usize) -> Option<usize> {
        self.0.stations[duty].try_poll().map(|polled| polled.jobs)
    }
}
