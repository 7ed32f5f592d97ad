//! Whose turn it is where an end takes from many rings.

use std::ops::Range;

/// Which of an end's lanes is taken from next.
pub(super) enum Turns {
    /// The one behind the last: nobody else takes from them.
    Round,
    /// Where others take from them, too, those near it: what comes from the same worker is warm here. Another if they
    /// have nothing, and first in every [`STRANGE`]th turn: its own taker may be inside of a long job.
    Near { lanes: Range<usize>, turns: usize },
}

/// Turns that begin at a near lane, from one that begins elsewhere to the next.
const STRANGE: usize = 8;

impl Turns {
    /// The lane that comes first in the next turn.
    pub(super) fn next(&mut self, at: usize, all: usize) -> usize {
        match self {
            Self::Round => (at + 1) % all,
            Self::Near { lanes, turns } => {
                *turns = turns.wrapping_add(1);
                if turns.is_multiple_of(STRANGE) && lanes.len() < all {
                    let strangers = all - lanes.len();
                    return (lanes.end + *turns / STRANGE % strangers) % all;
                }
                lanes.start + *turns % lanes.len()
            }
        }
    }

    /// The lanes that this end looks at first; none if they are all alike.
    pub(super) fn near(&self) -> Option<Range<usize>> {
        match self {
            Self::Round => None,
            Self::Near { lanes, .. } => Some(lanes.clone()),
        }
    }
}

/// Which of `all` lanes are near one of several takers. Instances are at home in the order of their share of the stage, so
/// those whose shares overlap are mostly at the same worker.
pub(super) fn near(taker: usize, takers: usize, all: usize) -> Range<usize> {
    if all < takers {
        let lane = taker * all / takers;
        return lane..lane + 1;
    }
    (taker * all).div_ceil(takers)..((taker + 1) * all).div_ceil(takers)
}

/// The first taker that a lane is near to.
pub(crate) fn taker_of(lane: usize, takers: usize, all: usize) -> usize {
    (0..takers)
        .find(|&taker| near(taker, takers, all).contains(&lane))
        .unwrap_or(0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_near_somebody() {
        for all in 1..=9 {
            for takers in 1..=9 {
                let near: Vec<_> = (0..takers).map(|taker| near(taker, takers, all)).collect();
                for lane in 0..all {
                    let count = near.iter().filter(|lanes| lanes.contains(&lane)).count();
                    assert!(count >= 1, "lane {lane} of {all}, {takers} takers");
                    assert!(count == 1 || all < takers, "lane {lane} of {all}, {takers}");
                    assert!(near[taker_of(lane, takers, all)].contains(&lane));
                }
                assert!(
                    near.iter()
                        .all(|lanes| lanes.start < lanes.end && lanes.end <= all)
                );
            }
        }
    }

    #[test]
    fn every_lane_has_its_turn() {
        for lanes in [0..1, 2..4, 5..6, 0..6] {
            let mut turns = Turns::Near {
                lanes: lanes.clone(),
                turns: 0,
            };
            let first: Vec<_> = (0..STRANGE * 6).map(|_| turns.next(0, 6)).collect();
            for lane in 0..6 {
                assert!(first.contains(&lane), "{lane} beside {lanes:?}");
            }
            let strange = first.iter().filter(|lane| !lanes.contains(lane)).count();
            assert_eq!(strange, if lanes.len() == 6 { 0 } else { 6 });
        }
        let mut round = Turns::Round;
        assert_eq!([round.next(0, 2), round.next(1, 2)], [1, 0]);
    }
}
