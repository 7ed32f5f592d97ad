//! Who sleeps, and who wakes whom: events, berths and bells.

use std::sync::Arc as StdArc;
use std::time::Instant;

use crate::lot::{Flags, HOLDS, Neighbours};
use crate::{event, lot};

/// Something to wait for.
pub struct Event(event::Event);

impl Event {
    pub fn new() -> Self {
        Self(event::Event::new())
    }

    pub fn sleep(&self, ready: impl FnOnce() -> bool) -> bool {
        self.0.sleep(None, ready) != event::Woken::No
    }

    /// A sleep whose time is up as soon as it begins: in a model, a timeout is an event.
    pub fn sleep_no_time(&self, ready: impl FnOnce() -> bool) -> bool {
        self.0.sleep(Some(Instant::now()), ready) != event::Woken::No
    }

    pub fn notify(&self) -> bool {
        self.0.notify()
    }
}

/// The berths of some workers.
#[derive(Clone)]
pub struct Lot(pub(super) StdArc<lot::Lot>);

impl Lot {
    pub fn new(workers: usize) -> Self {
        Self(StdArc::new(lot::Lot::new(workers, workers, workers)))
    }

    pub fn sleep(&self, worker: usize, ready: impl FnOnce() -> bool) {
        self.0.sleep(worker, true, &mut lot::Nap::default(), ready);
    }

    pub fn wake_helper(&self) {
        crate::event::light_fence();
        self.0.wake_helper();
    }

    /// A bell that calls a duty at home at each of these workers; `holds` says that it has a result that
    /// found no room.
    pub fn bell(&self, homes: &[usize], holds: bool) -> Bell {
        let duty = |&home: &usize| Flags::new(if holds { HOLDS } else { 0 }, home);
        Bell(lot::Bell::new(
            &self.0,
            Neighbours::all(&homes.iter().map(duty).collect()),
        ))
    }
}

pub struct Bell(lot::Bell);

impl Bell {
    pub fn published(&mut self, backlog: usize) {
        self.0.published(|| backlog);
    }

    pub fn given_back(&self, was_full: bool) {
        self.0.given_back(|| was_full);
    }

    pub fn call_one(&self) {
        self.0.call_one();
    }

    pub fn ended(&self) {
        self.0.ended();
    }
}
