//! The worker: one thread that polls duties and, when none had work, idles. The hot loop is
//! [`Worker::run`].

pub(crate) mod duty;
pub(crate) mod floor;
pub(crate) mod keeper;
pub(crate) mod pace;
pub(crate) mod station;
mod trial;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{heavy_fence, light_fence};
use crate::idle::{Idle, IdleStrategy, Step, pause};
use crate::lifecycle::{Core, Phase};
use crate::lot::{DORMANT, ENDED, LONG_POLL, Nap};
use crate::sync::{IS_MODEL, spin_hint};
use duty::Poll;
use floor::{DISMISSED, Floor};
use station::{Kind, Station};
use trial::{Trial, is_late};

/// Looks at a poll that may turn out long, before a worker that was called goes back to sleep.
const LOOKS: u32 = 4;

/// How long a worker that was found held up is taken to be so again in its next polls. To find it out anew costs
/// [`LONG_POLL`], one in fifty of this. No time in a model: there it is found out each time.
const MOMENT: Duration = if IS_MODEL {
    Duration::ZERO
} else {
    Duration::from_millis(1)
};

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
    /// Per worker; and how many looks are left.
    seen: Vec<Seen>,
    looks: u32,
    trial: Trial,
    /// Whether the polls of this sweep had little or nothing to do, and how many sweeps were like that.
    is_light: bool,
    light: u32,
    /// All sweeps.
    sweeps: u32,
    /// Whether the last poll was of jobs that are long.
    is_slow: bool,
    on_panic: Box<dyn Fn(Box<dyn Any + Send>)>,
}

/// What another worker was seen in.
#[derive(Clone, Copy)]
struct Seen {
    poll: usize,
    since: Instant,
    /// When it was last found to be held up.
    held_up: Option<Instant>,
}

impl Seen {
    fn nothing() -> Self {
        Self {
            poll: 0,
            since: Instant::now(),
            held_up: None,
        }
    }
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

/// Marks the calling thread as a worker while it lives.
struct Inside;

impl Inside {
    fn enter(core: &Arc<Core>) -> Self {
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
        on_panic: Box<dyn Fn(Box<dyn Any + Send>)>,
    ) -> Self {
        let natives = floor
            .floating
            .iter()
            .filter(|&&number| floor.stations[number].native == index);
        let mut home = Vec::with_capacity(floor.floating.len()); // `run` allocates nothing.
        home.extend(natives.map(|&number| Resident { number, quiet: 0 }));
        let seen = vec![Seen::nothing(); floor.lot.len() + 1]; // And the keeper, who is in no poll.
        INSIDE.with(|inside| inside.borrow_mut().reserve(1)); // `run` allocates nothing.
        Self {
            index,
            floor: Arc::clone(floor),
            bound,
            home,
            moves: 0,
            helps,
            idle,
            nap: Nap::default(),
            seen,
            looks: 0,
            trial: Trial::default(),
            is_light: true,
            light: 0,
            sweeps: 0,
            is_slow: false,
            on_panic,
        }
    }

    /// Polls until every duty that it may poll has ended.
    pub(crate) fn run(&mut self) {
        let core = Arc::clone(&self.floor.core);
        let _inside = Inside::enter(&core);
        loop {
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

    /// Makes another worker the home of a duty that is at home here.
    fn send(&self, number: usize, worker: usize) {
        let floor = &*self.floor;
        let station = &floor.stations[number];
        floor.trials.moved();
        station.move_to(worker);
        self.call_home(station);
    }

    /// Lets workers elsewhere poll a duty, too, or lets them no more.
    fn share(&self, number: usize, sharer: Option<usize>) {
        self.floor.trials.moved();
        self.floor.stations[number].share(sharer);
    }

    /// Ends the open trial if its time is over.
    #[inline(never)]
    fn judge(&mut self) {
        match self.trial.judge(&self.floor, self.index) {
            Some((number, Kind::Move, from)) => self.send(number, from),
            Some((number, Kind::Share, _)) => self.share(number, None),
            None => {}
        }
    }

    /// Wakes a duty's home if there is something to do: it may have looked while the duty was elsewhere, or
    /// claimed, and gone to sleep.
    fn call_home(&self, station: &Station<'_>) {
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

    fn poll_bound(&mut self, nth: usize) -> usize {
        let bound = &mut self.bound[nth];
        if bound.has_ended {
            return 0;
        }
        self.floor.lot.enter_poll(self.index);
        let polled = bound.duty.poll();
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
        floor.lot.enter_poll(self.index);
        let polled = station.try_poll();
        floor
            .lot
            .leave_poll(self.index, polled.as_ref().map_or(0, |polled| polled.jobs));
        let Some(polled) = polled else { return 0 };
        self.is_light &= polled.is_light;
        self.is_slow = polled.is_slow && polled.jobs > 0;
        if polled.word & ENDED != 0 {
            floor.count_end(&polled);
        } else if polled.word & DORMANT != 0 {
            floor.lot.call_keeper(); // It is the home of those.
        } else if station.home() != self.index {
            self.call_home(station);
        }
        polled.jobs
    }

    /// Helps with one duty of another worker, if it is worth it: if its backlog is long, polls it once where it is
    /// shared, or begins a trial; if its home is held up, polls it once. Not when it should leave.
    fn help(&mut self) -> usize {
        if self.floor.staff.is(self.index, DISMISSED) {
            return 0;
        }
        for nth in 0..self.floor.floating.len() {
            let number = self.floor.floating[nth];
            let station = &self.floor.stations[number];
            let home = station.home();
            if home == self.index {
                continue;
            }
            if !station.is_runnable(self.floor.core.phase()) {
                continue;
            }
            let helps = (is_late(station) && (station.is_shared() || self.tries(number)))
                || self.is_held_up(home);
            if !helps {
                continue;
            }
            let jobs = self.poll_floating(number);
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

    /// Whether a worker has been inside one poll for long, as far as this worker's looks tell; or is in one, and was a
    /// moment ago in one that took long.
    fn is_held_up(&mut self, worker: usize) -> bool {
        let poll = self.floor.lot.poll_of(worker);
        if poll.is_multiple_of(2) {
            return false;
        }
        let (now, seen) = (Instant::now(), &mut self.seen[worker]);
        if seen.poll != poll {
            (seen.poll, seen.since) = (poll, now);
            return seen.held_up.is_some_and(|at| now - at < MOMENT);
        }
        let is_long = now - seen.since >= LONG_POLL;
        if is_long {
            seen.held_up = Some(now);
        }
        is_long
    }

    /// Whether a poll that was seen young may yet turn out long.
    fn is_looking(&mut self) -> bool {
        if self.looks == 0 || !self.helps {
            return false;
        }
        self.looks -= 1;
        let floor = &self.floor;
        floor.floating.iter().any(|&number| {
            let station = &floor.stations[number];
            let home = station.home();
            home != self.index
                && self.seen[home].poll == floor.lot.poll_of(home)
                && self.seen[home].since.elapsed() < LONG_POLL
                && station.is_runnable(floor.core.phase())
        })
    }

    fn is_over(&self) -> bool {
        let is_done = !self.helps || self.floor.is_all_done() || self.leaves();
        is_done && self.bound.iter().all(|bound| bound.has_ended)
    }

    /// Whether this worker was dismissed and nothing is at home here: then it must go.
    fn leaves(&self) -> bool {
        let floor = &*self.floor;
        floor.staff.is(self.index, DISMISSED)
            && !self.home.iter().any(|resident| {
                let station = &floor.stations[resident.number];
                station.home() == self.index && !station.has_ended()
            })
            && floor.staff.leaves(self.index)
    }

    fn rest(&mut self) {
        let step = self.guard(|idle| idle.idle()).unwrap_or(Step::Yield);
        if let Step::Spin(hints) = step {
            return self.watch(hints);
        }
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
    fn was_busy(&mut self) {
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

    /// Ends the sharing that this worker began.
    fn end_shares(&self) {
        for &number in &self.floor.floating {
            if self.floor.stations[number].sharer() == Some(self.index) {
                self.share(number, None);
            }
        }
    }

    /// A duty at home here that is native elsewhere.
    fn adopted(&self) -> Option<usize> {
        let stations = &self.floor.stations;
        let mut numbers = self.home.iter().map(|resident| resident.number);
        numbers.find(|&number| {
            let station = &stations[number];
            station.native != self.index && station.home() == self.index && !station.is_kept()
        })
    }

    #[inline(never)]
    fn park(&mut self) {
        let mut nap = self.nap;
        // What was ever at home here may come back while this worker sleeps.
        let is_home = !self.home.is_empty() || !self.bound.is_empty();
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
            || self.is_to_go()
    }

    /// Whether there is a reason to look whether it is over.
    fn is_to_go(&self) -> bool {
        let is_done = !self.helps || self.floor.is_all_done();
        self.floor.staff.is(self.index, DISMISSED)
            || is_done && self.bound.iter().all(|bound| bound.has_ended)
    }

    /// Calls the user's idle strategy; if it panics the executor fails and the worker goes on with the
    /// default one.
    fn guard<R>(&mut self, call: impl FnOnce(&mut dyn IdleStrategy) -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(|| call(&mut *self.idle))) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.idle = Idle::backoff().strategy(true);
                (self.on_panic)(payload);
                None
            }
        }
    }
}
