//! Helping: what a worker does with duties that are at home elsewhere, and how they change their home.

use std::time::{Duration, Instant};

use super::station::{Kind, Station};
use super::trial::is_late;
use super::{Resident, Seen, Worker};
use crate::event::{heavy_fence, light_fence};
use crate::lot::LONG_POLL;
use crate::sync::IS_MODEL;

/// How long a worker that was found held up is taken to be so again in its next polls. To find it out anew costs
/// [`LONG_POLL`], one in fifty of this. No time in a model: there it is found out each time.
const MOMENT: Duration = if IS_MODEL {
    Duration::ZERO
} else {
    Duration::from_millis(1)
};

impl Worker<'_, '_> {
    /// Makes another worker the home of a duty that is at home here.
    pub(super) fn send(&self, number: usize, worker: usize) {
        let floor = &*self.floor;
        let station = &floor.stations[number];
        floor.trials.moved();
        station.move_to(worker);
        self.call_home(station);
    }

    /// Lets workers elsewhere poll a duty, too, or lets them no more.
    pub(super) fn share(&self, number: usize, sharer: Option<usize>) {
        self.floor.trials.moved();
        self.floor.stations[number].share(sharer);
    }

    /// Ends the open trial if its time is over.
    #[inline(never)]
    pub(super) fn judge(&mut self) {
        match self.trial.judge(&self.floor, self.index) {
            Some((number, Kind::Move, from)) => self.send(number, from),
            Some((number, Kind::Share, _)) => self.share(number, None),
            None => {}
        }
    }

    /// Wakes a duty's home if there is something to do: it may have looked while the duty was elsewhere, or
    /// claimed, and gone to sleep.
    pub(super) fn call_home(&self, station: &Station<'_>) {
        let floor = &*self.floor;
        light_fence();
        if floor.lot.is_asleep(station.home()) {
            // Whoever published meanwhile may have read the duty's flags as they were, and behind a light
            // fence of its own; only a heavy one makes one of us see the other.
            heavy_fence();
            if station.is_runnable(floor.core.phase()) {
                floor.lot.wake(station.home());
            }
        }
    }

    /// Helps with one duty of another worker, if it is worth it: if its backlog is long, polls it once where it is
    /// shared, or begins a trial; if its home is held up, polls it once.
    pub(super) fn help(&mut self) -> usize {
        for nth in 0..self.floor.floating.len() {
            let number = self.floor.floating[nth];
            let station = &self.floor.stations[number];
            let home = station.home();
            if home == self.index {
                continue;
            }
            if !station.is_runnable(self.floor.core.phase()) {
                self.seen[number].at.0 = usize::MAX; // No number of a poll.
                continue;
            }
            let helps = (is_late(station) && (station.is_shared() || self.tries(number)))
                || self.is_held_up(number);
            if !helps {
                continue;
            }
            let was_dormant = self.floor.stations[number].is_dormant();
            let jobs = self.poll_floating(number);
            if was_dormant {
                // Its home may sleep as one that waits for no ring.
                light_fence();
                self.floor.lot.wake(self.floor.stations[number].home());
            }
            if jobs > 0 {
                return jobs;
            }
        }
        0
    }

    /// Whether the home of a duty has other work than that: if not, moving it would gain nothing.
    fn has_more_to_do(&self, number: usize) -> bool {
        let floor = &*self.floor;
        let home = floor.stations[number].home();
        let phase = floor.core.phase();
        floor.caller == Some(home)
            || floor.floating.iter().any(|&other| {
                let station = &floor.stations[other];
                other != number && station.home() == home && station.is_wanted(phase)
            })
    }

    /// Shares a duty that has much to do, or makes this worker its home, if that is worth a trial now.
    fn tries(&mut self, number: usize) -> bool {
        let floor = &*self.floor;
        if floor.stations[number].is_kept()
            || floor.lot.is_crowded()
            || !self.has_more_to_do(number)
        {
            return false;
        }
        match self.trial.begins(floor, self.index, number) {
            None => return false,
            Some(Kind::Share) => self.share(number, Some(self.index)),
            Some(Kind::Move) => {
                floor.trials.moved();
                floor.stations[number].move_to(self.index);
                if !self.home.iter().any(|resident| resident.number == number) {
                    self.home.push(Resident { number, quiet: 0 });
                }
            }
        }
        true
    }

    /// Whether a duty that has something to do is held up, as far as this worker's looks tell: its home has not moved on for
    /// [`LONG_POLL`], neither inside a poll nor between two (it may have lost its core), and nobody has taken a job;
    /// or its home was found held up a moment ago and has not moved on since, or is inside a poll again.
    fn is_held_up(&mut self, number: usize) -> bool {
        let station = &self.floor.stations[number];
        let home = station.home();
        let at = (self.floor.lot.poll_of(home), station.next_job());
        let (now, seen) = (Instant::now(), &mut self.seen[number]);
        if seen.at != at {
            *seen = Seen { since: now, at };
            let is_still = |(when, poll)| now - when < MOMENT && (poll == at.0 || at.0 % 2 == 1);
            return self.held_up[home].is_some_and(is_still);
        }
        let is_long = now - seen.since >= LONG_POLL;
        if is_long {
            self.held_up[home] = Some((now, at.0));
        }
        is_long
    }

    /// Whether a duty that was seen with something to do may yet turn out to be held up.
    pub(super) fn is_looking(&mut self) -> bool {
        if self.looks == 0 || !self.helps {
            return false;
        }
        self.looks -= 1;
        let floor = &self.floor;
        floor.floating.iter().any(|&number| {
            let station = &floor.stations[number];
            let home = station.home();
            home != self.index
                && self.seen[number].at == (floor.lot.poll_of(home), station.next_job())
                && self.seen[number].since.elapsed() < LONG_POLL
                && station.is_runnable(floor.core.phase())
        })
    }

    /// Ends the sharing that this worker began.
    pub(super) fn end_shares(&self) {
        for &number in &self.floor.floating {
            if self.floor.stations[number].sharer() == Some(self.index) {
                self.share(number, None);
            }
        }
    }

    /// A duty at home here that is native elsewhere.
    pub(super) fn adopted(&self) -> Option<usize> {
        let stations = &self.floor.stations;
        let mut numbers = self.home.iter().map(|resident| resident.number);
        numbers.find(|&number| {
            let station = &stations[number];
            station.native != self.index && station.home() == self.index && !station.is_kept()
        })
    }
}
