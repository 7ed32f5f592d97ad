//! How one end of a ring calls the duties at the other end, and when a helper for them.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::berths::Lot;
use super::flags::{CLAIMED, DORMANT, ENDED, HOLDS, Neighbour};
use crate::event::light_fence;
use crate::sync::{IS_MODEL, Relaxed};

/// A poll that lasts this long lets others take the rest of its worker's duties over: less than what a
/// wake costs the sleeper (27–57 µs), far more than a poll of short jobs (2 µs).
/// There is no time in a model: there a poll that is seen twice is long, and nobody watches.
pub(crate) const LONG_POLL: Duration = if IS_MODEL {
    Duration::ZERO
} else {
    Duration::from_micros(20)
};
/// A backlog from which a second worker is worth its cache misses.
pub(crate) const BACKLOG: usize = 32;

/// Publications from one look for helpers to the next where there is no core for one.
const NOW_AND_THEN: u32 = if IS_MODEL { 1 } else { 16 };

/// Some of the duties at one end of an edge. All who call them share the list.
pub(crate) struct Neighbours {
    list: Arc<[Neighbour]>,
    part: Range<usize>,
    /// Which of them comes first.
    first: usize,
    /// Who calls is no neighbour of its own.
    but: Option<usize>,
}

impl Neighbours {
    pub(crate) fn all(list: &Arc<[Neighbour]>) -> Self {
        Self::from(list, 0)
    }

    /// All, this one first.
    pub(crate) fn from(list: &Arc<[Neighbour]>, first: usize) -> Self {
        Self {
            part: 0..list.len(),
            first,
            list: Arc::clone(list),
            but: None,
        }
    }

    pub(crate) fn only(list: &Arc<[Neighbour]>, nth: usize) -> Self {
        Self {
            part: nth..nth + 1,
            ..Self::from(list, nth)
        }
    }

    pub(crate) fn all_but(list: &Arc<[Neighbour]>, nth: usize) -> Self {
        Self {
            but: Some(nth),
            ..Self::all(list)
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Neighbour> {
        let (before, from) = (self.part.start..self.first, self.first..self.part.end);
        from.chain(before)
            .filter(|&nth| self.but != Some(nth))
            .map(|nth| &self.list[nth])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// How one end of a ring calls the duties at its other end. Owned by who rings it.
pub(crate) struct Bell {
    lot: Arc<Lot>,
    duties: Neighbours,
    /// The backlog at which the next helper is called.
    level: usize,
    /// The poll in which a home was last found, and when that was first seen.
    seen: (usize, Option<Instant>),
    /// Publications while somebody slept.
    count: u32,
}

impl Bell {
    pub(crate) fn new(lot: &Arc<Lot>, duties: Neighbours) -> Self {
        Self {
            lot: Arc::clone(lot),
            duties,
            level: BACKLOG,
            seen: (0, None),
            count: 0,
        }
    }

    /// Jobs were published: calls one home that sleeps and can take them, or a helper where the homes
    /// have too much to do.
    #[inline]
    pub(crate) fn published(&mut self, backlog: impl FnOnce() -> usize) {
        light_fence();
        if self.lot.is_anybody_asleep() {
            self.count = self.count.wrapping_add(1);
            let lot = &*self.lot;
            // Helpers without a core to run on are not worth more than a look now and then, as long as somebody
            // watches: then a long poll is seen all the same.
            if lot.is_any_home_asleep()
                || lot.has_spare_core()
                || !lot.is_watched()
                || self.count.is_multiple_of(NOW_AND_THEN)
            {
                self.call_taker(backlog());
            }
        }
    }

    /// Slots were given back: calls the homes of all that sleep for want of room. Those that hold a result
    /// are told always, the others (who have none and saw a full ring) if it `was_full`.
    #[inline]
    pub(crate) fn given_back(&self, was_full: impl FnOnce() -> bool) {
        light_fence();
        if self.lot.is_any_home_asleep() {
            self.call_givers(was_full());
        }
    }

    /// Calls one home that sleeps, if any, whatever it sleeps for.
    pub(crate) fn call_one(&self) {
        light_fence();
        if self.lot.is_anybody_asleep() {
            // One that gets up by itself meanwhile is not woken: then the next one is.
            let _is_woken = self
                .duties
                .iter()
                .any(|duty| self.lot.is_asleep(duty.home()) && self.lot.wake(duty.home()));
        }
    }

    /// The end of input concerns every home.
    pub(crate) fn ended(&self) {
        light_fence();
        for duty in self.duties.iter() {
            self.lot.wake(duty.home());
        }
    }

    #[cold]
    #[inline(never)]
    fn call_givers(&self, was_full: bool) {
        for duty in self.duties.iter() {
            if self.lot.is_asleep(duty.home()) && (was_full || duty.word.load(Relaxed) & HOLDS != 0)
            {
                self.lot.wake(duty.home());
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn call_taker(&mut self, backlog: usize) {
        let lot = &*self.lot;
        // Who has claimed a duty looks for more when it gives the claim back.
        let can_take = |duty: &&Neighbour| {
            lot.is_asleep(duty.home())
                && duty.word.load(Relaxed) & (CLAIMED | HOLDS | ENDED | DORMANT) == 0
        };
        // Model: loom-tests/tests/event.rs::one_call_wakes_one.
        let mut takers = self.duties.iter().filter(can_take);
        if takers.any(|duty| lot.wake(duty.home())) {
            return;
        }
        if backlog < self.level / 4 {
            self.level = (self.level / 2).max(BACKLOG);
        } else if backlog >= self.level && lot.has_spare_core() {
            self.level = backlog * 2;
            lot.wake_helper();
            return;
        }
        let polls = self.duties.iter().map(|duty| lot.poll_of(duty.home()));
        let Some(poll) = polls.filter(|poll| poll % 2 == 1).last() else {
            return;
        };
        if !lot.is_watched() {
            // Nobody would notice if this poll were long.
            lot.wake_helper();
        } else if self.seen.0 != poll {
            self.seen = (poll, Some(Instant::now()));
        } else if self
            .seen
            .1
            .is_some_and(|first| first.elapsed() >= LONG_POLL)
        {
            self.seen.1 = None;
            lot.wake_helper();
        }
    }
}
