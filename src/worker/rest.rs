//! Resting: what a worker does when there was nothing to do, and whether it is over.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Bound, NOW_AND_THEN, Polling, Resident, Worker};
use crate::idle::{Idle, IdleStrategy, SPIN, Step, pause};
use crate::lifecycle::Phase;
use crate::sync::spin_hint;

/// Looks at a poll that may turn out long, before a worker that was called goes back to sleep.
const LOOKS: u32 = 4;

impl<'own> Worker<'_, 'own> {
    /// Whether nothing is left that this worker may poll.
    pub(super) fn is_over(&self) -> bool {
        (!self.helps || self.floor.is_all_done()) && self.bound.iter().all(|bound| bound.has_ended)
    }

    /// Idles once, as the strategy says.
    pub(super) fn rest(&mut self) {
        self.has_rested = true;
        if self.hints == 0 {
            let step = self.guard(|idle| idle.idle()).unwrap_or(Step::Yield);
            let Step::Spin(hints) = step else {
                return self.pause(step);
            };
            self.hints = hints;
        }
        // A long spin is cut into short ones: between two of them the loop looks at everything.
        let hints = self.hints.min(SPIN);
        self.hints -= hints;
        self.watch(hints);
    }

    fn pause(&mut self, step: Step) {
        if step != Step::Park || self.is_looking() {
            return pause(step);
        }
        // Who sleeps is nobody's home but its natives'.
        self.trial.close(&self.floor);
        while let Some(number) = self.adopted() {
            self.send(number, self.floor.stations[number].native);
        }
        self.end_shares();
        self.park();
    }

    /// Spins, but no longer than until a poll is worth it, and polls: a look costs as much as a hint, all that a sweep
    /// does many times that.
    fn watch(&mut self, hints: u32) {
        for hint in 1..=hints {
            spin_hint();
            let phase = self.floor.core.phase();
            let is_due = |nth: &usize| {
                let station = self.station(*nth);
                let is_near = station.home() == self.index && station.is_due(phase);
                is_near || hint.is_multiple_of(NOW_AND_THEN) && self.is_far_due(*nth)
            };
            if let Some(nth) = (0..self.home.len()).find(is_due) {
                if self.poll_resident(nth) > 0 {
                    self.was_busy();
                }
                return;
            }
            if self.bound.iter().any(|bound| self.is_ready(bound, phase)) {
                return;
            }
        }
    }

    /// There was something to do.
    pub(super) fn was_busy(&mut self) {
        self.hints = 0;
        self.guard(|idle| idle.reset());
        self.looks = LOOKS;
    }

    /// Whether a duty of its own has something to do.
    fn is_ready(&self, bound: &Bound<'own>, phase: Phase) -> bool {
        let station = |number: usize| self.floor.stations[number].is_ready(phase);
        !bound.has_ended
            && (bound.station.is_some_and(station)
                || bound.is_ready.as_ref().is_some_and(|ready| ready()))
    }

    #[inline(never)]
    fn park(&mut self) {
        let mut nap = self.nap;
        // What was ever at home here may come back while this worker sleeps. A dormant duty waits for no ring; the one
        // that brings it to life wakes its home.
        let is_awake = |resident: &Resident| !self.floor.stations[resident.number].is_dormant();
        let is_home = self.home.iter().any(is_awake) || !self.bound.is_empty();
        let called = self
            .floor
            .lot
            .sleep(self.index, is_home, &mut nap, || self.has_work());
        self.nap = nap;
        self.looks = LOOKS;
        if called {
            // There is work somewhere, though others may be quicker: worth a hot window.
            self.guard(|idle| idle.reset());
        }
    }

    /// Whether something of its own is ready, or it is time to go: what would be missed by sleeping.
    fn has_work(&self) -> bool {
        let phase = self.floor.core.phase();
        let is_ready = |bound| self.is_ready(bound, phase);
        self.bound.iter().any(is_ready)
            || self.home.iter().any(|resident| {
                let station = &self.floor.stations[resident.number];
                station.home() == self.index && station.is_runnable(phase)
            })
            || self.moves != self.floor.trials.moves()
            || self.is_over()
    }

    /// Calls the user's idle strategy; if it panics the executor fails and the worker goes on with the
    /// default one.
    fn guard<R>(&mut self, call: impl FnOnce(&mut dyn IdleStrategy) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| call(&mut *self.idle))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.idle_by_default();
                (self.on_panic)("idle strategy", payload);
                None
            }
        }
    }

    /// Takes the default strategy from now on; a panic in the drop of the user's is one panic more of it.
    pub(super) fn idle_by_default(&mut self) {
        let old = std::mem::replace(&mut self.idle, Idle::backoff().strategy(true));
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(old))) {
            (self.on_panic)("idle strategy", payload);
        }
    }

    /// After a panic of the loop itself: fails the executor, and ends the duty in whose poll it was. What the others have
    /// left is dropped by the loop, which goes on.
    #[cold]
    pub(super) fn recover(&mut self, payload: Box<dyn Any + Send>) {
        (self.on_panic)("a worker", payload);
        self.idle_by_default();
        let floor = &*self.floor;
        if floor.lot.poll_of(self.index) % 2 == 1 {
            floor.lot.leave_poll(self.index, 0);
        }
        match self.current.take() {
            Some(Polling::Floating(number)) => {
                let has_ended = floor.stations[number].abort();
                has_ended.then(|| floor.count_end());
            }
            Some(Polling::Bound(nth)) => {
                let bound = &mut self.bound[nth];
                bound.duty.abort();
                bound.has_ended = true;
            }
            None => {}
        }
    }
}
