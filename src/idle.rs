//! Idling: what a worker, or a thread that waits in a blocking call, does when there is nothing to do.
//!
//! A strategy only decides; the step is carried out here, in three functions that are never inlined, so
//! that a profile tells spinning, yielding and parking apart.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{Event, Token};
use crate::sync::{IS_MODEL, spin_hint, yield_thread};

/// The next thing to do while there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Execute this many spin hints (about 9 ns each), then look again. After each of them there is a glance at what is
    /// waited for, a worker's inputs for example, and it goes on at once if something came.
    Spin(u32),
    /// Offer the core to other threads (about 0.2 µs if there are none), then look again.
    Yield,
    /// Sleep until there is something to do. A wake costs its waker a few µs and the sleeper 27–57 µs.
    Park,
}

/// Decides how one thread idles. Each worker and each blocking end owns one.
pub trait IdleStrategy: Send {
    /// Called after a look that found nothing; counts up from the last [`reset`](Self::reset).
    fn idle(&mut self) -> Step;

    /// Called when there was something to do.
    fn reset(&mut self);
}

/// Which strategy an executor's threads use. Cloning shares the choice, not the state.
#[derive(Clone)]
pub struct Idle(Choice);

#[derive(Clone)]
enum Choice {
    Backoff { hot: Duration },
    BusySpin,
    Yielding,
    Parking,
    Custom(Arc<dyn Fn() -> Box<dyn IdleStrategy> + Send + Sync>),
}

impl Idle {
    /// How long the default strategy stays awake after the last work: long enough that work which
    /// comes every 500 µs never meets a parked worker, short enough that idling costs nothing.
    pub const HOT: Duration = if IS_MODEL {
        Duration::ZERO
    } else {
        Duration::from_millis(1)
    };

    /// Spin, then yield, then park once there was no work for [`Idle::HOT`]. With more busy threads than
    /// cores it goes to yielding almost at once. The default.
    #[must_use]
    pub fn backoff() -> Self {
        Self::backoff_hot(Self::HOT)
    }

    /// [`Idle::backoff`] with another time between the last work and parking.
    #[must_use]
    pub fn backoff_hot(hot: Duration) -> Self {
        Self(Choice::Backoff { hot })
    }

    /// Spin for ever: the lowest latency, for a core that has nothing else to do. With more such threads
    /// than cores throughput collapses to a twentieth.
    #[must_use]
    pub fn busy_spin() -> Self {
        Self(Choice::BusySpin)
    }

    /// Yield for ever: shares the core with others, never pays for a wake.
    #[must_use]
    pub fn yielding() -> Self {
        Self(Choice::Yielding)
    }

    /// Park at once: costs nothing when idle, every wake costs 27–57 µs.
    #[must_use]
    pub fn parking() -> Self {
        Self(Choice::Parking)
    }

    /// Your own: `make` is called once for each thread.
    #[must_use]
    pub fn custom<I, F>(make: F) -> Self
    where
        I: IdleStrategy + 'static,
        F: Fn() -> I + Send + Sync + 'static,
    {
        Self(Choice::Custom(Arc::new(move || Box::new(make()))))
    }

    /// The same for workers beyond the cores, who only help where a home is held up: if it is up to the library, they
    /// soon sleep until they are called, since a yield of theirs takes a core from those at work. Not at once: it takes
    /// [`LONG_POLL`](crate::lot::LONG_POLL), a fifth of this, to see that a home is held up.
    pub(crate) fn of_surplus(&self) -> Self {
        match self.0 {
            Choice::Backoff { hot } if hot == Self::HOT => {
                Self::backoff_hot(hot.min(Duration::from_micros(100)))
            }
            _ => self.clone(),
        }
    }

    /// A strategy for one thread; `crowded` if the busy threads may be more than the cores.
    pub(crate) fn strategy(&self, crowded: bool) -> Box<dyn IdleStrategy> {
        match &self.0 {
            Choice::Backoff { hot } => Box::new(Backoff::new(*hot, crowded)),
            Choice::BusySpin => Box::new(Always(Step::Spin(1))),
            Choice::Yielding => Box::new(Always(Step::Yield)),
            Choice::Parking => Box::new(Always(Step::Park)),
            Choice::Custom(make) => make(),
        }
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self::backoff()
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Backoff { hot } => f.debug_struct("Backoff").field("hot", hot).finish(),
            Choice::BusySpin => f.write_str("BusySpin"),
            Choice::Yielding => f.write_str("Yielding"),
            Choice::Parking => f.write_str("Parking"),
            Choice::Custom(_) => f.write_str("Custom"),
        }
    }
}

struct Always(Step);

impl IdleStrategy for Always {
    fn idle(&mut self) -> Step {
        self.0
    }
    fn reset(&mut self) {}
}

/// Spin, yield, park. Whether somebody else wants the core is known from the last yield: it comes back at once where
/// nobody does, and then this thread spins as if it had the core for itself.
struct Backoff {
    hot: Duration,
    crowded: bool,
    round: u32,
    since: Option<Instant>,
    /// When this thread yielded, until what came of it is known.
    yielded: Option<Instant>,
    /// Rounds for which it is still believed that nobody wants the core, as the last yield had shown. They are counted
    /// through all waits: where each ends before it comes to a yield, the next one would never be asked.
    alone: u32,
}

impl Backoff {
    /// Hints a round, with a glance after each: what else there is to look at costs more than they do (8 × 9 ns).
    const HINTS: u32 = 8;
    /// Rounds before yielding: about 20 µs with the looks between them, several times what a preempted neighbour's yield takes.
    const ROUNDS: u32 = if IS_MODEL { 0 } else { 128 };
    /// Rounds before yielding when others want the core: one trip of a cache line and back.
    const ROUNDS_CROWDED: u32 = if IS_MODEL { 0 } else { 1 };
    /// Rounds between two yields where nobody wants the core: about 1 µs, a few times what a yield takes (0.18 µs).
    const ROUNDS_BETWEEN: u32 = 8;
    /// A yield that took less did not let anybody run: two context switches take longer.
    const QUICK: Duration = Duration::from_micros(1);

    fn new(hot: Duration, crowded: bool) -> Self {
        Self {
            hot,
            crowded,
            round: 0,
            since: None,
            yielded: None,
            alone: 0,
        }
    }

    fn rounds(&self) -> u32 {
        if self.crowded && self.alone == 0 {
            Self::ROUNDS_CROWDED
        } else {
            Self::ROUNDS
        }
    }
}

impl IdleStrategy for Backoff {
    fn idle(&mut self) -> Step {
        if let Some(yielded) = self.yielded.take() {
            let is_alone = yielded.elapsed() < Self::QUICK;
            self.alone = if is_alone { Self::ROUNDS } else { 0 };
            if is_alone {
                self.round = self.rounds().saturating_sub(Self::ROUNDS_BETWEEN);
            }
        }
        if self.round < self.rounds() {
            self.round += 1;
            self.alone = self.alone.saturating_sub(1);
            return Step::Spin(Self::HINTS);
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if now - since < self.hot {
            self.yielded = Some(now);
            Step::Yield
        } else {
            Step::Park
        }
    }

    fn reset(&mut self) {
        self.round = 0;
        self.since = None;
        // What had come right after a yield is no reason to forget that it was quick; later is no sign of anything.
        if self
            .yielded
            .take()
            .is_some_and(|at| at.elapsed() < Self::QUICK)
        {
            self.alone = Self::ROUNDS;
        }
    }
}

/// Hints of a long spin after which there is more to look at than what is waited for: the time, or the duties of others.
/// They take 0.6 to 2.5 µs.
pub(crate) const SPIN: u32 = 64;

/// Waits in a blocking call: tries until there is an answer, idles in between, and parks on `event` while
/// `ready` says that trying would be in vain. `None` once the deadline has passed. A thread that was woken alone wakes the
/// next ones when it leaves, if there is more than it takes.
pub(crate) fn wait<R>(
    idle: &mut dyn IdleStrategy,
    event: &Event,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Option<R>,
    ready: impl FnMut() -> bool,
) -> Option<R> {
    idle.reset();
    let mut token = Token::new(event, ready);
    loop {
        if let Some(answer) = attempt() {
            return Some(answer);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        match idle.idle() {
            Step::Park => park(&mut token, deadline),
            Step::Spin(hints) => spin_until(hints, deadline, &mut || token.is_ready()),
            Step::Yield => yield_core(),
        }
    }
}

#[inline(never)]
fn park(token: &mut Token<'_, impl FnMut() -> bool>, deadline: Option<Instant>) {
    token.sleep(deadline);
}

/// Carries out a step other than parking; parking is the caller's, who knows what to wait for.
#[inline]
pub(crate) fn pause(step: Step) {
    match step {
        Step::Spin(hints) => spin(hints),
        Step::Yield | Step::Park => yield_core(),
    }
}

#[inline(never)]
fn spin(hints: u32) {
    for _ in 0..hints {
        spin_hint();
    }
}

/// Spins, but no longer than until trying is worth it, or the time is up.
#[inline(never)]
fn spin_until(hints: u32, deadline: Option<Instant>, ready: &mut dyn FnMut() -> bool) {
    for hint in 1..=hints {
        spin_hint();
        let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if ready() || hint.is_multiple_of(SPIN) && is_late() {
            return;
        }
    }
}

#[inline(never)]
fn yield_core() {
    yield_thread();
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Where every wait ends before it comes to a yield, the core is offered all the same: who else wants it could be the
    /// one that is waited for.
    #[test]
    fn short_waits_do_not_keep_the_core() {
        let mut idle = Backoff::new(Idle::HOT, true);
        while idle.idle() != Step::Yield {}
        idle.idle(); // It came back at once, most likely: nobody else wants the core.
        let mut spins = 0;
        let yields = |idle: &mut Backoff| (0..10).any(|_| idle.idle() == Step::Yield);
        while !yields(&mut idle) {
            idle.reset();
            spins += 10;
            assert!(spins <= 2 * Backoff::ROUNDS, "no yield in {spins} rounds");
        }
    }
}
