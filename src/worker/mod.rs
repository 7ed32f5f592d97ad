//! The worker: one thread that polls duties and, when none had work, idles. The hot loop is
//! [`Worker::run`].

pub(crate) mod duty;
mod pace;
pub(crate) mod station;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::event::{heavy_fence, light_fence};
use crate::idle::{Idle, IdleStrategy, Step, pause};
use crate::lifecycle::Core;
use crate::lot::{ENDED, LONG_POLL, Lot, Nap};
use crate::sync::{AcqRel, Acquire, AtomicUsize};
use duty::Poll;
use station::Station;

/// Looks at a poll that may turn out long, before a worker that was called goes back to sleep.
const LOOKS: u32 = 4;

/// What the workers of one executor share.
pub(crate) struct Floor<'env> {
    pub(crate) core: Arc<Core>,
    pub(crate) lot: Arc<Lot>,
    /// All duties, by number; bound ones show only their word here.
    pub(crate) stations: Vec<Station<'env>>,
    /// Numbers of the duties that float, last stage first.
    pub(crate) floating: Vec<usize>,
    /// How many of them have not ended.
    pub(crate) afloat: AtomicUsize,
}

impl Floor<'_> {
    fn is_all_done(&self) -> bool {
        // ORDERING: Acquire. Who leaves because all have ended sees what they did.
        // Pairs with: the subtraction in `Worker::poll_floating`. Model: loom-tests/tests/lifecycle.rs.
        self.afloat.load(Acquire) == 0
    }
}

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
    /// Floating duties at home here, last stage first.
    home: Vec<usize>,
    /// Whether this worker helps others with theirs.
    helps: bool,
    /// The duty it helps with at the moment.
    helping: Option<usize>,
    idle: Box<dyn IdleStrategy>,
    nap: Nap,
    /// Per worker: the poll it was last seen in and since when; and how many looks are left.
    seen: Vec<(usize, Instant)>,
    looks: u32,
    on_panic: Box<dyn Fn(Box<dyn Any + Send>)>,
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
        let is_home = |&&number: &&usize| floor.stations[number].home == index;
        let home = floor.floating.iter().filter(is_home).copied().collect();
        let seen = vec![(0, Instant::now()); floor.lot.len()];
        Self {
            index,
            floor: Arc::clone(floor),
            bound,
            home,
            helps,
            helping: None,
            idle,
            nap: Nap::default(),
            seen,
            looks: 0,
            on_panic,
        }
    }

    /// Polls until every duty that it may poll has ended.
    pub(crate) fn run(&mut self) {
        let core = Arc::clone(&self.floor.core);
        let _inside = Inside::enter(&core);
        loop {
            let mut jobs = self.sweep();
            if jobs == 0 && self.helps {
                jobs = self.help();
            }
            if jobs > 0 {
                self.guard(|idle| idle.reset());
                self.looks = LOOKS;
            } else if self.is_over() {
                break;
            } else {
                self.rest();
            }
        }
    }

    /// Polls each duty of its own once, last stage first.
    fn sweep(&mut self) -> usize {
        let mut jobs = 0;
        for nth in 0..self.bound.len() {
            jobs += self.poll_bound(nth);
        }
        for nth in 0..self.home.len() {
            let number = self.home[nth];
            if self.floor.stations[number].is_runnable(self.floor.core.phase()) {
                jobs += self.poll_floating(number);
            }
        }
        jobs
    }

    fn poll_bound(&mut self, nth: usize) -> usize {
        let bound = &mut self.bound[nth];
        if bound.has_ended {
            return 0;
        }
        self.floor.lot.enter_poll(self.index);
        let polled = bound.duty.poll();
        self.floor.lot.leave_poll(self.index);
        bound.has_ended = polled.word & ENDED != 0;
        if let Some(number) = bound.station {
            self.floor.stations[number].show(&polled);
        }
        polled.jobs
    }

    fn poll_floating(&self, number: usize) -> usize {
        let floor = &*self.floor;
        let station = &floor.stations[number];
        floor.lot.enter_poll(self.index);
        let polled = station.try_poll();
        floor.lot.leave_poll(self.index);
        let Some(polled) = polled else { return 0 };
        if polled.word & ENDED != 0 {
            // ORDERING: AcqRel. Who sees that all have ended sees what each did.
            // Pairs with: `Floor::is_all_done` (Acquire). Model: loom-tests/tests/lifecycle.rs.
            if floor.afloat.fetch_sub(1, AcqRel) == 1 {
                floor.lot.wake_all();
            }
        } else if station.home != self.index {
            // The home may have looked while we had the claim, and gone to sleep.
            light_fence();
            if floor.lot.is_asleep(station.home) {
                // Whoever published meanwhile may have read the duty's word as it was, and behind a light
                // fence of its own; only a heavy one makes one of us see the other.
                heavy_fence();
                if station.is_runnable(floor.core.phase()) {
                    floor.lot.wake(station.home);
                }
            }
        }
        polled.jobs
    }

    /// Polls one duty of another worker, if it is worth it: its backlog is long, or its home is held up.
    fn help(&mut self) -> usize {
        if let Some(number) = self.helping {
            let station = &self.floor.stations[number];
            if station.backlog() > station.threshold / 2
                && station.is_runnable(self.floor.core.phase())
            {
                return self.poll_floating(number);
            }
            self.helping = None;
        }
        for nth in 0..self.floor.floating.len() {
            let number = self.floor.floating[nth];
            let floor = Arc::clone(&self.floor);
            let station = &floor.stations[number];
            if station.home == self.index || !station.is_runnable(floor.core.phase()) {
                continue;
            }
            if station.backlog() >= station.threshold || self.is_held_up(station.home) {
                let jobs = self.poll_floating(number);
                if jobs > 0 {
                    self.helping = Some(number);
                    return jobs;
                }
            }
        }
        0
    }

    /// Whether a worker has been inside one poll for long, as far as this worker's looks tell.
    fn is_held_up(&mut self, worker: usize) -> bool {
        let poll = self.floor.lot.poll_of(worker);
        let (seen, since) = self.seen[worker];
        if poll % 2 == 0 {
            return false;
        }
        if seen == poll {
            return since.elapsed() >= LONG_POLL;
        }
        self.seen[worker] = (poll, Instant::now());
        false
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
            let home = station.home;
            home != self.index
                && self.seen[home].0 == floor.lot.poll_of(home)
                && self.seen[home].1.elapsed() < LONG_POLL
                && station.is_runnable(floor.core.phase())
        })
    }

    fn is_over(&self) -> bool {
        self.bound.iter().all(|bound| bound.has_ended) && (!self.helps || self.floor.is_all_done())
    }

    fn rest(&mut self) {
        let step = self.guard(|idle| idle.idle()).unwrap_or(Step::Yield);
        if step != Step::Park || self.is_looking() {
            return pause(step);
        }
        self.park();
    }

    #[inline(never)]
    fn park(&mut self) {
        let mut nap = self.nap;
        self.floor.lot.sleep(self.index, &mut nap, || self.has_work());
        self.nap = nap;
        self.looks = LOOKS;
    }

    /// Whether something of its own is ready, or it is time to go: what would be missed by sleeping.
    fn has_work(&self) -> bool {
        let phase = self.floor.core.phase();
        let is_ready = |number: usize| self.floor.stations[number].is_ready(phase);
        self.bound
            .iter()
            .filter(|bound| !bound.has_ended)
            .any(|bound| {
                bound.station.is_some_and(is_ready)
                    || bound.is_ready.as_ref().is_some_and(|ready| ready())
            })
            || self
                .home
                .iter()
                .any(|&number| self.floor.stations[number].is_runnable(phase))
            || self.is_over()
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
