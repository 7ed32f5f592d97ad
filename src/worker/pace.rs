//! How many jobs a poll takes, from how long they take.

use std::time::{Duration, Instant};

use crate::sync::IS_MODEL;

/// What a poll of short jobs may take: results are published and others get their turn at least this
/// often. Ten trips of a cache line between cores and back.
/// There is no time in a model: there every poll is short.
const SHORT: Duration = if IS_MODEL {
    Duration::MAX
} else {
    Duration::from_micros(2)
};
/// A job so short that a publication of its own costs throughput: from here on the other end's looks, and not the
/// publications, say how often the line of the position changes cores (measured on far cores: at 40 ns a job as many jobs a
/// second either way, and a third of the delay).
const TINY: Duration = Duration::from_nanos(40);
/// Jobs of that length in [`SHORT`].
const FEW: usize = if IS_MODEL {
    BUDGET
} else {
    (SHORT.as_nanos() / TINY.as_nanos()) as usize
};
/// Jobs in a poll at the most. 64 per publication reach 93–98 % of streaming.
pub(crate) const BUDGET: usize = 64;
/// From this length on a job is a turn of its own: then looking after all others for each costs no more than a few in a
/// hundred.
const LONG: Duration = Duration::from_micros(4);
/// Polls between two looks at the clock once the stride has settled: two looks (16–50 ns each) are much beside a
/// poll of two jobs of 1 µs.
const EVERY: u32 = 8;

/// Learns how many jobs fit into [`SHORT`].
pub(crate) struct Pace {
    stride: usize,
    /// Whether a job took [`LONG`], as far as is known.
    is_slow: bool,
    /// Whether the last look changed it by less than the double or half.
    is_settled: bool,
    polls: u32,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            stride: 1,
            is_slow: true,
            is_settled: false,
            polls: 0,
        }
    }

    /// As many jobs as fit into [`SHORT`], as far as is known.
    #[inline]
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Jobs between two publications: one, so that no result waits for the next job, which may turn out long. Only jobs
    /// shorter than [`TINY`] are published together.
    #[inline]
    pub(crate) fn publish_every(&self) -> usize {
        if self.stride > FEW { self.stride } else { 1 }
    }

    /// Jobs in one poll: a few strides, to make the claim worth it; where the input is shared no more than one job if
    /// they are slow, so that they spread over the instances.
    #[inline]
    pub(crate) fn limit(&self, is_shared: bool) -> usize {
        if is_shared && self.is_slow() {
            1
        } else {
            (4 * self.stride).min(BUDGET)
        }
    }

    /// Whether a poll of `count` jobs was far from what fits into one.
    #[inline]
    pub(crate) fn is_light(&self, count: usize) -> bool {
        4 * count < self.stride
    }

    /// Whether jobs take so long that each is a turn of its own.
    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// Begins a poll of up to `count` jobs: looks at the clock if it is worth it. Less than a stride tells
    /// little, and where the stride has settled, a look now and then is enough.
    #[inline]
    pub(crate) fn begin(&mut self, count: usize) -> Option<Instant> {
        self.polls = self.polls.wrapping_add(1);
        let is_full = count >= self.stride && !self.is_settled;
        let worth = is_full || self.polls.is_multiple_of(EVERY);
        (worth && count > 0).then(Instant::now)
    }

    /// Ends a poll of `count` jobs.
    #[inline]
    pub(crate) fn end(&mut self, begun: Option<Instant>, count: usize) {
        if let Some(begun) = begun
            && count > 0
        {
            self.learn(begun.elapsed(), count);
        }
    }

    fn learn(&mut self, took: Duration, count: usize) {
        if took > SHORT || count >= self.stride {
            self.is_slow =
                !IS_MODEL && took >= LONG.saturating_mul(u32::try_from(count).unwrap_or(1));
            let before = self.stride;
            let fit = SHORT.as_nanos() * count as u128 / took.as_nanos().max(1);
            let most = (2 * before).min(BUDGET);
            self.stride = usize::try_from(fit).unwrap_or(most).clamp(1, most);
            self.is_settled = before <= 2 * self.stride && (self.stride < 2 * before);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn doubles_while_short_and_falls_at_once() {
        let mut pace = Pace::new();
        for expected in [2, 4, 8, 16, 32, 64, 64] {
            let count = pace.stride();
            pace.learn(Duration::from_nanos(10), count);
            assert_eq!(pace.stride(), expected);
        }
        pace.learn(Duration::from_millis(1), 64);
        assert_eq!(pace.stride(), 1);
        assert_eq!((pace.limit(true), pace.limit(false)), (1, 4));
    }

    #[test]
    fn only_tiny_jobs_are_published_together() {
        for (nanos, expected) in [(10, 64), (35, 57), (45, 1), (500, 1), (10_000, 1)] {
            let mut pace = Pace::new();
            for _ in 0..10 {
                let count = pace.stride();
                pace.learn(Duration::from_nanos(nanos * count as u64), count);
            }
            assert_eq!(pace.publish_every(), expected, "jobs of {nanos} ns");
        }
    }

    #[test]
    fn settles_at_what_fits() {
        let mut pace = Pace::new();
        for expected in [1, 2, 2, 2] {
            assert_eq!(pace.stride(), expected);
            let count = pace.stride();
            pace.learn(Duration::from_nanos(740 * count as u64), count);
        }
        assert!(pace.is_settled);
        assert!(pace.begin(2).is_none(), "the first of eight");
    }

    #[test]
    fn a_poll_of_few_jobs_says_nothing_of_many() {
        let mut pace = Pace {
            stride: 8,
            ..Pace::new()
        };
        pace.learn(Duration::from_nanos(1900), 3);
        assert_eq!(pace.stride(), 8);
        pace.learn(Duration::from_micros(3), 3);
        assert_eq!(pace.stride(), 2);
    }
}
