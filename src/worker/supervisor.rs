//! The supervisor: a thread with a clock. It watches the executor's deadline and the load of stages whose number of
//! instances follows it. There is one only where there is one of these to watch.
//!
//! It does arithmetic only. Instances are built and ended by workers; no init closure, hook or drop of the user's runs
//! here, so nothing of the user's can make a deadline late. One exception: the fault hook for the deadline itself is
//! this thread's last act, after the fault is set and everybody has been told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::floor::Floor;
use crate::counters::Tally;
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
    /// The number of one of its duties: they share their input.
    pub(crate) duty: usize,
    pub(crate) tallies: Vec<Arc<Tally>>,
    /// Looks in a row that found too much load, or little.
    pub(crate) high: u32,
    pub(crate) low: u32,
}

impl Scaled {
    pub(crate) fn new(scale: &Arc<Scale>, duty: usize, tallies: Vec<Arc<Tally>>) -> Self {
        Self {
            scale: Arc::clone(scale),
            duty,
            tallies,
            high: 0,
            low: 0,
        }
    }

    /// Takes in one look at the load. The number of instances that is wanted now, if that is another one.
    fn look(&mut self, waiting: usize) -> Option<usize> {
        let (size, load) = (self.scale.size(), self.scale.load());
        if load == 0 || size != self.scale.target() {
            (self.high, self.low) = (0, 0);
            return None;
        }
        let busy = self.tallies.iter().filter(|tally| tally.inside().is_some());
        // With one instance less there would be as much to do for each as may be, and one to spare.
        let is_low = waiting < load.saturating_mul(size.saturating_sub(1)) && busy.count() < size;
        let is_high = waiting > load.saturating_mul(size);
        self.high = if is_high { self.high + 1 } else { 0 };
        self.low = if is_low { self.low + 1 } else { 0 };
        if self.high >= GROW {
            self.high = 0;
            Some(size + 1)
        } else if self.low >= SHRINK {
            self.low = 0;
            Some(size - 1)
        } else {
            None
        }
    }
}

/// When an executor is to be through, and what happens otherwise.
pub(crate) type Deadline<'env> = (Instant, Box<dyn FnOnce() + Send + 'env>);

pub(crate) struct Supervisor<'env> {
    pub(crate) floor: Arc<Floor<'env>>,
    pub(crate) stages: Vec<Scaled>,
    pub(crate) is_finished: Box<dyn Fn() -> bool + Send + 'env>,
    pub(crate) deadline: Option<Deadline<'env>>,
}

impl Supervisor<'_> {
    /// Supervises until the executor has finished, or has failed at its deadline.
    pub(crate) fn run(mut self) {
        let mut next_look = Instant::now();
        while !(self.is_finished)() {
            #[cfg(all(test, not(loom)))]
            crate::sabotage::at(crate::sabotage::Spot::Supervisor, &self.floor.core);
            let now = Instant::now();
            if let Some((_, give_up)) = self.deadline.take_if(|(at, _)| now >= *at) {
                return give_up();
            }
            let looks = self.looks();
            if looks && now >= next_look {
                next_look = now + LOOK;
                self.look();
            }
            let look = looks.then_some(next_look);
            let deadline = self.deadline.as_ref().map(|(at, _)| *at);
            let until = deadline.into_iter().chain(look).min();
            let sleep = &self.floor.lot.supervisor;
            sleep.sleep(until, || (self.is_finished)() || self.looks() != looks);
        }
    }

    /// Whether the number of instances of any stage follows the load.
    fn looks(&self) -> bool {
        self.stages.iter().any(|stage| stage.scale.load() > 0)
    }

    /// Looks at the load of each stage, and wants one instance more or less where it has been high or low for long.
    fn look(&mut self) {
        for stage in &mut self.stages {
            let waiting = self.floor.stations[stage.duty].backlog();
            if let Some(target) = stage.look(waiting) {
                stage.scale.set_target(target);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn stage(load: usize, min: usize) -> Scaled {
        let scale = Scale::new(&Arc::from("a"), min, 4, load);
        (0..min).for_each(|_| scale.joined());
        Scaled::new(&scale, 0, Vec::new())
    }

    #[test]
    fn grows_after_three_looks_at_a_high_load_and_shrinks_after_thirty_at_a_low_one() {
        let mut stage = stage(10, 2);
        let mut look = |waiting| stage.look(waiting);
        assert_eq!([21, 21, 21].map(&mut look), [None, None, Some(3)]);
        assert_eq!([21, 20, 21, 21].map(&mut look), [None; 4], "not in a row");
        assert!((0..29).all(|_| look(9).is_none()));
        assert_eq!(look(9), Some(1));
    }

    #[test]
    fn a_load_that_is_never_reached_is_no_overflow() {
        for load in [usize::MAX, 1 << 63, usize::MAX / 2 + 1] {
            let mut stage = stage(load, 2);
            assert!((0..10).all(|_| stage.look(40).is_none()), "load {load}");
        }
    }
}
