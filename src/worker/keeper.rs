//! The keeper: a thread that sleeps, and looks after what no worker can: dormant duties, the number of instances and
//! of threads, and the executor's deadline. There is one only where there is one of these to look after.
//!
//! It is the home of every dormant duty, and the only one who says where a duty of a stage is at home whose number
//! of instances changes. So a worker may leave when it has been dismissed and nothing is at home there, and no duty
//! is left without somebody who polls it at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::floor::{Floor, HERE};
use super::station::Station;
use crate::counters::Tally;
use crate::event::light_fence;
use crate::scale::Scale;

/// From one look at a stage's load to the next: often enough to meet a burst of a second, and less than 1 % of a
/// core (a wake costs about 30 µs).
const LOOK: Duration = Duration::from_millis(10);
/// Looks in a row at too much load before an instance is added.
const GROW: u32 = 3;
/// Looks in a row at little load before one is taken away: longer, because a state is lost.
const SHRINK: u32 = 30;

/// A stage whose number of instances changes.
pub(crate) struct Scaled {
    pub(crate) scale: Arc<Scale>,
    /// Of its instances: the duties' numbers, and what they count.
    pub(crate) duties: Vec<usize>,
    pub(crate) tallies: Vec<Arc<Tally>>,
    /// Looks in a row that found too much load, or little.
    pub(crate) high: u32,
    pub(crate) low: u32,
}

pub(crate) struct Keeper<'env> {
    pub(crate) floor: Arc<Floor<'env>>,
    pub(crate) stages: Vec<Scaled>,
    /// Workers that duties may be at home at.
    pub(crate) homes: std::ops::Range<usize>,
    pub(crate) is_finished: Box<dyn Fn() -> bool + Send + 'env>,
    /// When the executor is to be through, and what happens otherwise.
    pub(crate) deadline: Option<(Instant, Box<dyn FnOnce() + Send + 'env>)>,
}

impl<'env> Keeper<'env> {
    /// Keeps until the executor has finished. `hire` gives a worker a thread, if the system lets it.
    pub(crate) fn run(mut self, hire: &dyn Fn(usize) -> bool) {
        let mut next_look = Instant::now();
        loop {
            let calls = self.floor.lot.calls();
            if (self.is_finished)() {
                return;
            }
            let now = Instant::now();
            if let Some((_, give_up)) = self.deadline.take_if(|(at, _)| now >= *at) {
                give_up();
            }
            let looks = self.looks();
            if looks && now >= next_look {
                next_look = now + LOOK;
                self.look();
            }
            let refused = self.tend(hire);
            // Who was refused a thread tries again.
            let look = (looks || refused).then_some(next_look.max(now + LOOK / 2));
            let deadline = self.deadline.as_ref().map(|(at, _)| *at);
            let until = deadline.into_iter().chain(look).min();
            let (floor, is_finished) = (&self.floor, &self.is_finished);
            floor.lot.sleep_keeper(until, || {
                floor.lot.calls() != calls || is_finished() || self.has_due()
            });
        }
    }

    /// The duties that come and go.
    fn stations(&self) -> impl Iterator<Item = &Station<'env>> {
        let numbers = self.stages.iter().flat_map(|stage| &stage.duties);
        numbers.map(|&number| &self.floor.stations[number])
    }

    /// Whether a duty needs the keeper: one that is dormant and elsewhere or at its end, or one that lives here.
    fn has_due(&self) -> bool {
        let keeper = self.floor.lot.keeper();
        let is_due = |station: &Station<'_>| {
            let is_here = station.home() == keeper;
            if station.is_dormant() {
                !is_here || station.is_at_end()
            } else {
                is_here && station.is_live()
            }
        };
        self.stations().any(is_due)
    }

    /// Whether anybody wants numbers to follow the load.
    fn looks(&self) -> bool {
        self.stages.iter().any(|stage| stage.scale.load() > 0)
    }

    /// Looks at the load of each stage, and wants one instance more or less where it has been high or low for long.
    fn look(&mut self) {
        for stage in &mut self.stages {
            let (size, load) = (stage.scale.size(), stage.scale.load());
            if load == 0 || size != stage.scale.target() {
                (stage.high, stage.low) = (0, 0);
                continue;
            }
            let waiting = self.floor.stations[stage.duties[0]].backlog();
            let inside = stage
                .tallies
                .iter()
                .filter(|tally| tally.inside().is_some());
            // With one less there would be as much to do for each as may be, and one to spare.
            let is_low = waiting < load * size.saturating_sub(1) && inside.count() < size;
            stage.high = if waiting > load * size {
                stage.high + 1
            } else {
                0
            };
            stage.low = if is_low { stage.low + 1 } else { 0 };
            if stage.high >= GROW {
                stage.scale.set_target(size + 1);
                stage.high = 0;
            } else if stage.low >= SHRINK {
                stage.scale.set_target(size - 1);
                stage.low = 0;
            }
        }
    }

    /// Gives dormant duties a home here, wakes those that are wanted, ends those whose input has ended; then sees to
    /// it that as many workers have threads as there is use for. Whether the system refused one.
    fn tend(&self, hire: &dyn Fn(usize) -> bool) -> bool {
        let floor = &*self.floor;
        let keeper = floor.lot.keeper();
        let mut refused = false;
        for station in self.stations() {
            if station.is_dormant() && station.home() != keeper {
                station.move_to(keeper);
                floor.trials.moved();
            }
            if station.is_dormant() && station.is_at_end() {
                self.poll(station);
            } else if station.is_dormant()
                && station.is_wanted_alive()
                && !floor.core.phase().drops_queued()
            {
                refused |= !self.is_here(self.emptiest_home(), hire) || !self.call_up(station);
            } else if station.is_live() && !station.is_wanted_alive() {
                light_fence();
                floor.lot.wake(station.home()); // It is there that the duty sees it.
            }
            if station.is_live() && station.home() == keeper {
                let home = self.emptiest_home();
                refused |= !self.is_here(home, hire);
                station.move_to(home);
                floor.trials.moved();
                light_fence();
                floor.lot.wake(home);
            }
        }
        self.see_to_staff(hire) || refused
    }

    /// Has a dormant duty build its state. Whether it did.
    fn call_up(&self, station: &Station<'env>) -> bool {
        if let Some(share) = &station.share {
            share.call();
        }
        self.poll(station);
        !station.is_dormant()
    }

    /// Polls a dormant duty.
    fn poll(&self, station: &Station<'_>) {
        if let Some(polled) = station.try_poll() {
            self.floor.count_end(&polled);
        }
    }

    /// The home with the fewest live duties.
    fn emptiest_home(&self) -> usize {
        let count = |home: &usize| {
            let numbers = self.floor.floating.iter();
            let stations = numbers.map(|&number| &self.floor.stations[number]);
            let is_there = |station: &&Station<'_>| station.is_live() && station.home() == *home;
            stations.filter(is_there).count()
        };
        self.homes.clone().min_by_key(count).unwrap_or(0)
    }

    /// Makes sure that a worker has a thread.
    fn is_here(&self, worker: usize, hire: &dyn Fn(usize) -> bool) -> bool {
        let floor = &*self.floor;
        match floor.staff.call_back(worker) {
            None => true,
            Some(false) => false, // It is about to leave, and will call.
            Some(true) => {
                floor.lot.join();
                let is_hired = hire(worker);
                if !is_hired {
                    floor.staff.not_hired(worker);
                    floor.lot.leave();
                }
                is_hired
            }
        }
    }

    /// As many threads as there are live duties, at most as many as workers: first for the homes of duties, then for
    /// helpers. Whether the system refused one.
    fn see_to_staff(&self, hire: &dyn Fn(usize) -> bool) -> bool {
        let floor = &*self.floor;
        if self.stages.is_empty() || floor.core.phase().drops_queued() {
            return false;
        }
        let numbers = floor.floating.iter();
        let stations = || numbers.clone().map(|&number| &floor.stations[number]);
        let live = stations().filter(|station| station.is_live()).count();
        let is_home = |worker: usize| {
            floor.caller == Some(worker)
                || stations().any(|station| {
                    let comes_back = !station.is_kept() && station.native == worker;
                    station.is_live() && (comes_back || station.home() == worker)
                })
        };
        let workers = 0..floor.staff.len();
        let homes = workers.clone().filter(|&worker| is_home(worker)).count();
        let mut helpers = live.saturating_sub(homes);
        let mut refused = false;
        for worker in workers {
            if is_home(worker) {
                refused |= !self.is_here(worker, hire);
            } else if helpers > 0 {
                helpers -= 1;
                refused |= !self.is_here(worker, hire);
            } else if floor.staff.is(worker, HERE) && floor.staff.dismiss(worker) {
                light_fence();
                floor.lot.wake(worker);
            }
        }
        refused
    }
}
