//! The worker: one thread that polls duties and, when none had work, idles. The hot loop is
//! [`Worker::run`].

mod burst;
pub(crate) mod duty;
pub(crate) mod floor;
mod helping;
mod out;
pub(crate) mod pace;
mod rest;
pub(crate) mod station;
pub(crate) mod supervisor;
mod trial;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::idle::IdleStrategy;
use crate::lifecycle::Core;
use crate::lot::{ENDED, Nap};
use crate::sync::IS_MODEL;
use duty::Poll;
use floor::Floor;
use station::Station;
use trial::Trial;

/// Polls in a row with little to do after which an adopted duty goes back: a few hundred µs at least.
const QUIET: u32 = 4096;

/// Sweeps from one look at what others are likely to do to the next; and, of those with little to do, from one look at
/// the others' lines, and at the clock, to the next.
const NOW_AND_THEN: u32 = if IS_MODEL { 1 } else { 16 };

/// A duty that only this worker polls.
pub(crate) struct Bound<'own> {
    pub(crate) duty: Box<dyn Poll + 'own>,
    /// Its number, where others may see its word.
    pub(crate) station: Option<usize>,
    /// Whether it has something to do, where there is no station to say so.
    pub(crate) is_ready: Option<Box<dyn Fn() -> bool + 'own>>,
    pub(crate) has_ended: bool,
}

/// Duties of its own may borrow for less long than those of the executor (`'env`).
pub(crate) struct Worker<'env, 'own> {
    index: usize,
    floor: Arc<Floor<'env>>,
    /// Duties that only this worker polls, last stage first.
    bound: Vec<Bound<'own>>,
    /// Floating duties that are natives here, last stage first, then those that were ever adopted. Some of
    /// either may be at home elsewhere at the moment.
    home: Vec<Resident>,
    /// As of how many moves that list is complete.
    moves: usize,
    /// Whether this worker helps others with theirs.
    helps: bool,
    idle: Box<dyn IdleStrategy>,
    nap: Nap,
    /// Whether it had nothing to do since its last poll of a duty that others can help with.
    has_rested: bool,
    /// What is left of a spin that the strategy has asked for.
    hints: u32,
    /// What its looks for helping have seen: of each duty; when each worker was last found to be held up, and the number of
    /// its poll then; and how many looks are left before it sleeps.
    seen: Vec<Seen>,
    held_up: Vec<Option<(Instant, usize)>>,
    looks: u32,
    trial: Trial,
    /// Whether the polls of this sweep had little or nothing to do, and how many sweeps were like that.
    is_light: bool,
    light: u32,
    /// All sweeps.
    sweeps: u32,
    /// Whether the last poll was of jobs that are long.
    is_slow: bool,
    /// The duty that is being polled: floating by its number, or bound by its place. Of use only after a panic.
    current: Option<Polling>,
    on_panic: OnPanic,
}

/// Fails the executor with a panic of what is named.
pub(crate) type OnPanic = Box<dyn Fn(&'static str, Box<dyn Any + Send>)>;

/// What a worker polls.
#[derive(Clone, Copy)]
enum Polling {
    Floating(usize),
    Bound(usize),
}

/// A duty that had something to do: since when nobody has seen to that.
#[derive(Clone, Copy)]
struct Seen {
    since: Instant,
    /// The number of its home's poll, and of the next job that its input gives.
    at: (usize, usize),
}

/// A duty that is, or was, at home at a worker.
struct Resident {
    number: usize,
    /// Polls in a row that found it with so little to do that it need not have been adopted.
    quiet: u32,
}

crate::sync::thread_local! {
    /// The executors whose jobs are on this thread's stack.
    static INSIDE: RefCell<Vec<*const Core>> = const { RefCell::new(Vec::new()) };
}

/// Whether the calling thread runs a job of this executor (or is a worker of it).
pub(crate) fn is_inside(core: &Arc<Core>) -> bool {
    INSIDE
        .try_with(|inside| inside.borrow().contains(&Arc::as_ptr(core)))
        .unwrap_or(false)
}

/// Marks the calling thread as one of the executor's while it lives.
pub(crate) struct Inside;

impl Inside {
    pub(crate) fn enter(core: &Arc<Core>) -> Self {
        INSIDE.with(|inside| inside.borrow_mut().push(Arc::as_ptr(core)));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.borrow_mut().pop());
    }
}

impl<'env, 'own> Worker<'env, 'own> {
    /// A worker that polls `bound` and, of the duties that float, those at home at `index`.
    pub(crate) fn new(
        index: usize,
        floor: &Arc<Floor<'env>>,
        bound: Vec<Bound<'own>>,
        helps: bool,
        idle: Box<dyn IdleStrategy>,
        on_panic: OnPanic,
    ) -> Self {
        let natives = floor
            .floating
            .iter()
            .filter(|&&number| floor.stations[number].native == index);
        let mut home = Vec::with_capacity(floor.floating.len()); // `run` allocates nothing.
        home.extend(natives.map(|&number| Resident { number, quiet: 0 }));
        let nothing = Seen {
            since: floor.epoch,
            at: (usize::MAX, 0),
        };
        let seen = vec![nothing; floor.stations.len()];
        let held_up = vec![None; floor.lot.len()];
        INSIDE.with(|inside| inside.borrow_mut().reserve(2)); // `run` allocates nothing.
        Self {
            index,
            floor: Arc::clone(floor),
            bound,
            home,
            moves: 0,
            helps,
            idle,
            nap: Nap::default(),
            has_rested: true,
            hints: 0,
            seen,
            held_up,
            looks: 0,
            trial: Trial::default(),
            is_light: true,
            light: 0,
            sweeps: 0,
            is_slow: false,
            current: None,
            on_panic,
        }
    }

    /// Polls until every duty that it may poll has ended. A panic of this loop itself fails the executor; then the loop
    /// goes on, without the duty in whose poll it was.
    pub(crate) fn run(&mut self) {
        let core = Arc::clone(&self.floor.core);
        let _inside = Inside::enter(&core);
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            self.recover(payload);
        }
    }

    fn work(&mut self) {
        loop {
            #[cfg(all(test, not(loom)))]
            crate::sabotage::at(crate::sabotage::Spot::Worker, &self.floor.core);
            self.is_light = true;
            if self.moves != self.floor.trials.moves() {
                self.settle();
            }
            let mut jobs = self.sweep();
            self.sweeps = self.sweeps.wrapping_add(1);
            if jobs == 0 || self.sweeps.is_multiple_of(NOW_AND_THEN) {
                jobs += self.sweep_far();
            }
            if self.is_light && self.helps {
                self.light = self.light.wrapping_add(1);
                if jobs == 0 || self.light.is_multiple_of(NOW_AND_THEN) {
                    jobs += self.help();
                }
            }
            if self.trial.is_open() {
                self.judge();
            }
            if jobs > 0 {
                self.was_busy();
            } else if self.is_over() {
                self.end_shares();
                return self.trial.close(&self.floor);
            } else {
                self.rest();
            }
        }
    }

    /// Takes in the duties that have been given a home here by others.
    #[cold]
    fn settle(&mut self) {
        self.moves = self.floor.trials.moves();
        for &number in &self.floor.floating {
            let is_new = || !self.home.iter().any(|resident| resident.number == number);
            if self.floor.stations[number].home() == self.index && is_new() {
                self.home.push(Resident { number, quiet: 0 });
            }
        }
    }

    /// Polls each duty of its own once, last stage first. What slow jobs of one of several instances gave is taken further
    /// at once, while it is warm here, before another instance begins more of them.
    /// Of instances that take from the same ring one is enough: one state is warm, and what it gave lies in one lane.
    fn sweep(&mut self) -> usize {
        let mut jobs = self.sweep_bound();
        let mut busy = None;
        for nth in 0..self.home.len() {
            let stage = self.station(nth).stage;
            if busy == Some(stage) && self.station(nth).is_spare() {
                continue;
            }
            let moved = self.look_after(nth);
            jobs += moved;
            if moved > 0 {
                busy = Some(stage);
            }
            if self.is_slow && self.station(nth).past.has_siblings {
                jobs += self.follow(nth) + self.sweep_bound();
            }
        }
        jobs
    }

    /// Polls each duty of its own that has something to do, whoever else is likely to do it.
    fn sweep_far(&mut self) -> usize {
        let mut jobs = 0;
        for nth in 0..self.home.len() {
            if self.is_far_due(nth) {
                jobs += self.poll_resident(nth);
            }
        }
        jobs
    }

    fn is_far_due(&self, nth: usize) -> bool {
        let station = self.station(nth);
        station.home() == self.index && station.is_runnable(self.floor.core.phase())
    }

    fn sweep_bound(&mut self) -> usize {
        (0..self.bound.len()).map(|nth| self.poll_bound(nth)).sum()
    }

    /// Polls the duties of later stages, the next one first.
    fn follow(&mut self, from: usize) -> usize {
        let stage = self.station(from).stage;
        let mut jobs = 0;
        for nth in (0..from).rev() {
            if self.station(nth).stage > stage {
                jobs += self.look_after(nth);
            }
        }
        jobs
    }

    fn station(&self, nth: usize) -> &Station<'env> {
        &self.floor.stations[self.home[nth].number]
    }

    /// Polls a duty if it is at home here and has something to do.
    #[inline]
    fn look_after(&mut self, nth: usize) -> usize {
        self.is_slow = false;
        let station = self.station(nth);
        if station.home() != self.index || !station.is_due(self.floor.core.phase()) {
            return 0;
        }
        self.poll_resident(nth)
    }

    /// Polls a duty at home here; sends an adopted one back that has become quiet.
    fn poll_resident(&mut self, nth: usize) -> usize {
        let Resident { number, quiet } = &mut self.home[nth];
        let number = *number;
        let station = &self.floor.stations[number];
        if station.native != self.index && !station.is_kept() {
            let is_quiet = station.backlog() < station.threshold / 2;
            *quiet = if is_quiet { *quiet + 1 } else { 0 };
            if *quiet > QUIET {
                *quiet = 0;
                self.send(number, station.native);
                return 0;
            }
        }
        self.poll_floating(number)
    }

    fn poll_bound(&mut self, nth: usize) -> usize {
        let bound = &mut self.bound[nth];
        if bound.has_ended {
            return 0;
        }
        self.floor.lot.enter_poll(self.index);
        self.current = Some(Polling::Bound(nth));
        let polled = bound.duty.poll();
        self.current = None;
        self.floor.lot.leave_poll(self.index, polled.jobs);
        bound.has_ended = polled.word & ENDED != 0;
        self.is_light &= polled.is_light;
        if let Some(number) = bound.station {
            self.floor.stations[number].show(&polled);
        }
        polled.jobs
    }

    pub(crate) fn poll_floating(&mut self, number: usize) -> usize {
        let floor = &*self.floor;
        let station = &floor.stations[number];
        if self.has_rested {
            self.has_rested = false;
            floor.lot.take_up();
        }
        floor.lot.enter_poll(self.index);
        self.current = Some(Polling::Floating(number));
        let polled = station.try_poll();
        self.current = None;
        floor
            .lot
            .leave_poll(self.index, polled.as_ref().map_or(0, |polled| polled.jobs));
        let Some(polled) = polled else { return 0 };
        self.is_light &= polled.is_light;
        self.is_slow = polled.is_slow && polled.jobs > 0;
        if polled.word & ENDED != 0 {
            floor.count_end();
        } else if station.home() != self.index {
            self.call_home(station);
        }
        polled.jobs
    }
}
