//! The berths in which workers and the supervisor sleep, and which sleeper wakes by itself to watch long polls.

use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::flags::Neighbour;
use crate::event::{Event, Woken, light_fence};
use crate::sync::{AtomicU64, AtomicUsize, IS_MODEL, Relaxed};

/// The watcher's first nap: about what a wake costs it (27–57 µs).
const NAP_FIRST: Duration = Duration::from_micros(50);
/// Its longest nap while others work: 500 looks a second cost less than 3 % of a core, mostly wakes.
const NAP_BUSY: Duration = Duration::from_millis(2);
/// Its longest nap while nobody works. After that it sleeps until it is called.
const NAP_IDLE: Duration = Duration::from_millis(256);

// What is known of the watcher.
/// It looks often enough, or nobody sleeps.
const AWAKE: usize = 0;
/// Its nap is longer than [`NAP_BUSY`], or it sleeps until it is called.
const DOZING: usize = 1;
/// It was called to nap as at first.
const ROUSED: usize = 2;

const NOBODY: usize = usize::MAX;

/// Where the workers of one executor sleep.
pub(crate) struct Lot {
    sleepers: CachePadded<Sleepers>,
    /// How many have been woken and have not run yet.
    waking: AtomicUsize,
    /// The one sleeper that looks after long polls, unless it has not seen any for long.
    watcher: AtomicUsize,
    /// How well it watches.
    watch: CachePadded<AtomicUsize>,
    berths: Box<[CachePadded<Berth>]>,
    /// Where the supervisor sleeps. It is none of the sleepers that are counted: no ring concerns it.
    pub(crate) supervisor: Event,
    /// Berths from here on belong to workers that only poll duties bound to them.
    floating: usize,
    cores: usize,
}

/// How many sleep or are about to.
struct Sleepers {
    all: AtomicUsize,
    /// Those of them that are home to a duty: the others wait for nothing but to help.
    homes: AtomicUsize,
}

/// One worker's place.
struct Berth {
    event: Event,
    /// Counts the worker's polls up: odd while it is inside one.
    polls: AtomicUsize,
    /// What they moved on.
    jobs: AtomicU64,
}

/// What a watcher remembers from one nap to the next.
#[derive(Default, Clone, Copy)]
pub(crate) struct Nap {
    /// The last one's length.
    time: Duration,
    /// The sum of all workers' polls when it began.
    polls: usize,
}

impl Lot {
    /// Berths for `workers`, of which the first `floating` may help each other, on `cores` cores.
    pub(crate) fn new(workers: usize, floating: usize, cores: usize) -> Self {
        let berth = || {
            CachePadded::new(Berth {
                event: Event::new(),
                polls: AtomicUsize::new(0),
                jobs: AtomicU64::new(0),
            })
        };
        Self {
            sleepers: CachePadded::new(Sleepers {
                all: AtomicUsize::new(0),
                homes: AtomicUsize::new(0),
            }),
            waking: AtomicUsize::new(0),
            watcher: AtomicUsize::new(NOBODY),
            watch: CachePadded::new(AtomicUsize::new(AWAKE)),
            berths: (0..workers).map(|_| berth()).collect(),
            supervisor: Event::new(),
            floating,
            cores,
        }
    }

    /// How many workers there are.
    pub(crate) fn len(&self) -> usize {
        self.berths.len()
    }

    /// Marks the begin of a poll.
    #[inline]
    pub(crate) fn enter_poll(&self, worker: usize) {
        let polls = &self.berths[worker].polls;
        polls.store(polls.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Marks its end, after so many jobs.
    #[inline]
    pub(crate) fn leave_poll(&self, worker: usize, jobs: usize) {
        self.enter_poll(worker);
        let count = &self.berths[worker].jobs;
        count.store(count.load(Relaxed).wrapping_add(jobs as u64), Relaxed);
    }

    /// How many polls a worker has begun, and what they have moved on, about.
    pub(crate) fn done_by(&self, worker: usize) -> (u64, u64) {
        let berth = &self.berths[worker];
        let polls = berth.polls.load(Relaxed).div_ceil(2);
        (polls as u64, berth.jobs.load(Relaxed))
    }

    /// What the polls of all workers have moved on, about.
    pub(crate) fn jobs(&self) -> u64 {
        self.berths
            .iter()
            .map(|berth| berth.jobs.load(Relaxed))
            .fold(0, u64::wrapping_add)
    }

    /// The number of the poll the worker is in, odd, or an even number if it is in none.
    pub(crate) fn poll_of(&self, worker: usize) -> usize {
        self.berths[worker].polls.load(Relaxed)
    }

    /// Whether anybody sleeps; to be read after a light fence.
    #[inline]
    pub(super) fn is_anybody_asleep(&self) -> bool {
        self.sleepers.all.load(Relaxed) != 0
    }

    /// Whether anybody sleeps who may have to go on with a duty of its own; to be read after a light fence.
    #[inline]
    pub(super) fn is_any_home_asleep(&self) -> bool {
        self.sleepers.homes.load(Relaxed) != 0
    }

    /// Sleeps until called, unless `ready` already holds. One sleeper at a time wakes by itself to look
    /// whether a poll is long, as long as there are any; `nap` is its memory, kept by the caller.
    /// `is_home` says whether the worker has, or ever had, duties of its own. Returns whether somebody called because of
    /// work; a watcher that is roused only naps anew.
    pub(crate) fn sleep(
        &self,
        worker: usize,
        is_home: bool,
        nap: &mut Nap,
        ready: impl FnOnce() -> bool,
    ) -> bool {
        // Relaxed: the event's heavy fence orders these before what `ready` reads.
        self.sleepers.all.fetch_add(1, Relaxed);
        self.sleepers.homes.fetch_add(usize::from(is_home), Relaxed);
        let deadline = self.watch(worker, nap);
        let called = self.berths[worker].event.sleep(deadline, ready) != Woken::No;
        if deadline.is_some() {
            self.watcher.store(NOBODY, Relaxed);
        }
        self.sleepers.homes.fetch_sub(usize::from(is_home), Relaxed);
        self.sleepers.all.fetch_sub(1, Relaxed);
        if called {
            self.waking.fetch_sub(1, Relaxed);
        }
        let is_up = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if called || !is_up {
            nap.time = Duration::ZERO;
        }
        let was_roused = self.watch.load(Relaxed) == ROUSED;
        if was_roused {
            self.watch.store(AWAKE, Relaxed);
        }
        called && !was_roused
    }

    /// A worker takes up work after it had none: if nobody would notice soon that it is held up by that, rouses the
    /// watcher, or another sleeper that may help. Once, until the watcher dozes again.
    #[inline]
    pub(crate) fn take_up(&self) {
        if self.watch.load(Relaxed) == DOZING {
            self.rouse();
        }
    }

    #[cold]
    #[inline(never)]
    fn rouse(&self) {
        if self.watch.swap(ROUSED, Relaxed) != DOZING {
            return;
        }
        light_fence();
        let watcher = self.watcher.load(Relaxed);
        let is_woken = watcher != NOBODY && self.wake(watcher);
        if !is_woken && !(0..self.floating).any(|worker| self.wake(worker)) {
            self.watch.store(AWAKE, Relaxed); // Nobody sleeps that could watch.
        }
    }

    /// Becomes the watcher if there is none and there is something to watch: until when it may sleep.
    fn watch(&self, worker: usize, nap: &mut Nap) -> Option<Instant> {
        if IS_MODEL {
            return None;
        }
        let polls = self
            .berths
            .iter()
            .map(|berth| berth.polls.load(Relaxed))
            .fold(0, usize::wrapping_add);
        let is_busy = polls != std::mem::replace(&mut nap.polls, polls)
            || (0..self.berths.len()).any(|other| self.poll_of(other) % 2 == 1);
        if is_busy && nap.time > NAP_BUSY {
            nap.time = Duration::ZERO;
        }
        let most = if is_busy { NAP_BUSY } else { NAP_IDLE * 2 };
        let time = (nap.time * 2).clamp(NAP_FIRST, most);
        if worker >= self.floating {
            return None;
        }
        if time > NAP_IDLE {
            if self.watcher.load(Relaxed) == NOBODY {
                self.watch.store(DOZING, Relaxed);
            }
            return None;
        }
        let is_first = self
            .watcher
            .compare_exchange(NOBODY, worker, Relaxed, Relaxed);
        if is_first.is_err() {
            return None;
        }
        self.watch
            .store(if time > NAP_BUSY { DOZING } else { AWAKE }, Relaxed);
        nap.time = time;
        Some(Instant::now() + time)
    }

    /// Whether a sleeper will look after long polls by itself.
    pub(super) fn is_watched(&self) -> bool {
        self.watcher.load(Relaxed) != NOBODY
    }

    /// Whether this worker sleeps or is about to; to be read after a light fence.
    pub(crate) fn is_asleep(&self, worker: usize) -> bool {
        self.berths[worker].event.has_sleepers()
    }

    /// Wakes this worker if it sleeps. To be called after a light fence.
    pub(crate) fn wake(&self, worker: usize) -> bool {
        // Counted before it can run, so that its own subtraction comes after.
        self.waking.fetch_add(1, Relaxed);
        let woken = self.berths[worker].event.notify();
        if !woken {
            self.waking.fetch_sub(1, Relaxed);
        }
        woken
    }

    pub(crate) fn wake_all(&self) {
        for worker in 0..self.berths.len() {
            self.wake(worker);
        }
        self.supervisor.notify();
    }

    /// Wakes the homes of these duties, whatever they sleep for.
    pub(crate) fn wake_homes(&self, duties: &[Neighbour]) {
        light_fence();
        for duty in duties {
            self.wake(duty.home());
        }
    }

    /// Wakes one sleeper that may help, unless one is on its way.
    pub(crate) fn wake_helper(&self) {
        if self.waking.load(Relaxed) == 0 {
            let _is_woken =
                (0..self.floating).any(|worker| self.is_asleep(worker) && self.wake(worker));
        }
    }

    /// How many workers do not sleep.
    fn awake(&self) -> usize {
        let asleep = self.sleepers.all.load(Relaxed);
        self.berths.len().saturating_sub(asleep)
    }

    /// Whether another worker would find a core to run on.
    pub(super) fn has_spare_core(&self) -> bool {
        self.awake() < self.cores
    }

    /// Whether more workers are awake than there are cores.
    pub(crate) fn is_crowded(&self) -> bool {
        self.awake() > self.cores
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    fn wait_until(is_so: impl Fn() -> bool) {
        while !is_so() {
            crate::sync::yield_thread();
        }
    }

    /// A worker that takes up work rouses the watcher from its longest nap, once, and not as one that is called for work.
    #[test]
    fn the_watcher_is_roused_from_its_longest_nap() {
        let lot = Arc::new(Lot::new(2, 2, 2));
        for resigned in [false, true] {
            let sleeper = Arc::clone(&lot);
            let time = if resigned { NAP_IDLE } else { NAP_IDLE / 2 };
            let watching = thread::spawn(move || {
                let mut nap = Nap { time, polls: 0 };
                let called = sleeper.sleep(1, true, &mut nap, || false);
                (called, nap.time)
            });
            wait_until(|| lot.watch.load(Relaxed) == DOZING && lot.is_asleep(1));
            assert_eq!(lot.is_watched(), !resigned);
            lot.take_up();
            assert_eq!(watching.join().unwrap(), (false, Duration::ZERO));
            assert_eq!(lot.watch.load(Relaxed), AWAKE);
            lot.take_up(); // There is nobody to be roused.
            assert_eq!(lot.waking.load(Relaxed), 0);
        }
    }

    #[test]
    fn naps_double_while_nobody_works_and_stay_short_while_somebody_does() {
        let lot = Lot::new(2, 2, 2);
        let mut nap = Nap::default();
        let mut naps = Vec::new();
        while lot.watch(1, &mut nap).is_some() {
            naps.push(nap.time);
            lot.watcher.store(NOBODY, Relaxed);
        }
        assert!(naps.is_sorted_by(|a, b| *b == *a * 2), "{naps:?}");
        assert_eq!(naps[0], NAP_FIRST);
        assert!(naps.last().is_some_and(|last| *last > NAP_IDLE / 2));
        assert_eq!(lot.watch.load(Relaxed), DOZING);
        for expected in [1, 2, 4, 8, 16, 32, 40, 40] {
            lot.leave_poll(0, 1); // Another poll each time.
            lot.leave_poll(0, 1);
            assert!(lot.watch(1, &mut nap).is_some());
            assert_eq!(nap.time, NAP_FIRST * expected);
            lot.watcher.store(NOBODY, Relaxed);
        }
        assert_eq!(lot.watch.load(Relaxed), AWAKE);
    }
}
