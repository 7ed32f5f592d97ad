//! Trials: whether everything goes faster when a duty is shared, or at home elsewhere.
//!
//! No formula says what that gains. It depends on the lines that go from core to core after it, on how much
//! state the duty has, and on who else runs on the machine. So it is tried. A worker with little to do, who sees
//! a duty with much to do, counts what all workers together get done in a while; polls the duty as well whenever its
//! home is behind, or takes it over; gives that time to settle; counts again; and leaves it as it was if that was no
//! better. One duty is on trial at a time, and one whose trial failed is left alone for longer each time.

use std::time::{Duration, Instant};

use super::floor::Floor;
use super::station::{Kind, NOBODY, Station};
use crate::sync::{AcqRel, IS_MODEL, Relaxed, Release};

/// How long is counted, and how long a duty has to settle: some hundred polls, and time for a
/// state of 1 MiB to cross (16,384 lines, about 20 ns each where they are fetched ahead).
const WHILE: Duration = Duration::from_millis(1);
/// A count that began this long ago says little of now.
const OLD: Duration = Duration::from_millis(10);
/// What a move has to gain: more than counts differ by chance.
const GAIN: f64 = 1.2;

/// A worker's part in them.
#[derive(Default)]
pub(super) struct Trial {
    /// Since when no duty has moved, and what was done once that had settled.
    still: Option<Count>,
    before: Option<Count>,
    open: Option<Open>,
}

/// What all workers had done at a moment, and how often duties had moved.
#[derive(Clone, Copy)]
struct Count {
    at: Instant,
    jobs: u64,
    moves: usize,
}

impl Count {
    fn take(floor: &Floor<'_>) -> Self {
        Self {
            at: Instant::now(),
            jobs: floor.lot.jobs(),
            moves: floor.trials.moves(),
        }
    }

    /// Jobs per nanosecond from `self` to `later`.
    fn rate(&self, later: &Self) -> f64 {
        let jobs = later.jobs.wrapping_sub(self.jobs);
        jobs as f64
            / later
                .at
                .saturating_duration_since(self.at)
                .as_nanos()
                .max(1) as f64
    }
}

struct Open {
    number: usize,
    kind: Kind,
    /// Whose home it was.
    from: usize,
    rate: f64,
    began: Instant,
    settled: Option<Count>,
}

impl Trial {
    /// A duty of another worker has much to do and this worker little. What should be tried now, if anything.
    pub(super) fn begins(
        &mut self,
        floor: &Floor<'_>,
        worker: usize,
        number: usize,
    ) -> Option<Kind> {
        let station = &floor.stations[number];
        if IS_MODEL {
            // There time does not pass: each duty moves once.
            return (station.past.held_until.swap(1, Relaxed) == 0).then_some(Kind::Move);
        }
        if self.open.is_some() || floor.now() < station.past.held_until.load(Relaxed) {
            return None;
        }
        let now = Count::take(floor);
        let before = self.count(now)?;
        // ORDERING: AcqRel. Who holds the trial sees what the last one recorded.
        // Pairs with: `Trial::close` (Release). No model: what is recorded only hints.
        let is_first = || {
            floor
                .trials
                .holder
                .compare_exchange(NOBODY, worker, AcqRel, Relaxed)
                .is_ok()
        };
        if !is_first() {
            return None;
        }
        let kind = station.past.next();
        self.open = Some(Open {
            number,
            kind,
            from: station.home(),
            rate: before.rate(&now),
            began: now.at,
            settled: None,
        });
        Some(kind)
    }

    /// A count of a while without moves that goes on to `now`: where it began.
    fn count(&mut self, now: Count) -> Option<Count> {
        let is_good = |count: &Count, age: Duration| {
            count.moves == now.moves && now.at.saturating_duration_since(count.at) < age
        };
        if self.still.is_none_or(|still| still.moves != now.moves) {
            self.still = Some(now);
        }
        let has_settled = self.still.is_some_and(|still| !is_good(&still, WHILE));
        if has_settled && !self.before.is_some_and(|before| is_good(&before, OLD)) {
            self.before = Some(now);
        }
        self.before
            .filter(|before| before.moves == now.moves && !is_good(before, WHILE))
    }

    /// Whether there is one to be judged.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Looks whether the open trial is over. If it has failed: the duty, what was tried, and whose home it was.
    pub(super) fn judge(
        &mut self,
        floor: &Floor<'_>,
        worker: usize,
    ) -> Option<(usize, Kind, usize)> {
        let open = self.open.as_mut()?;
        let station = &floor.stations[open.number];
        let is_on = match open.kind {
            Kind::Share => station.sharer() == Some(worker) && station.home() != worker,
            Kind::Move => station.home() == worker,
        };
        if !is_on {
            self.close(floor);
            return None;
        }
        let since = open.settled.as_ref().map_or(open.began, |count| count.at);
        if since.elapsed() < WHILE {
            return None;
        }
        let now = Count::take(floor);
        let Some(settled) = &open.settled else {
            open.settled = Some(now);
            return None;
        };
        let gain = settled.rate(&now) / open.rate;
        // Where the backlog is gone, no more could be done.
        let is_better = gain >= GAIN || (gain >= 1.0 / GAIN && !is_late(station));
        let back = (!is_better).then_some((open.number, open.kind, open.from));
        station.past.record(floor.now(), is_better);
        self.close(floor);
        back
    }

    /// Ends the open trial, if there is one, without a verdict.
    pub(super) fn close(&mut self, floor: &Floor<'_>) {
        if self.open.take().is_some() {
            // ORDERING: Release. The next holder sees what this one recorded.
            // Pairs with: `Trial::begins` (AcqRel). No model: what is recorded only hints.
            floor.trials.holder.store(NOBODY, Release);
        }
    }
}

/// Whether a duty has so much to do that another home may be better.
pub(super) fn is_late(station: &Station<'_>) -> bool {
    station.backlog() >= station.threshold
}
