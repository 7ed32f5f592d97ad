//! How long does a batch of 200 µs of work in all take, on a pool that is hot?

use ringmill_benches::{LONG, SHORT};

use crate::loads::Costs;
use crate::protocol::Case;
use crate::slices;

const GROUP: &str = "small";
/// The work in a batch, in nanoseconds.
const WORK: u32 = 200_000;

const CASES: [(&str, Costs); 4] = [
    ("1250 items of 160 ns", Costs::Even(SHORT)),
    ("200 items of 1 us", Costs::Even(LONG)),
    ("20 items of 10 us", Costs::Even(LONG * 10)),
    ("200 items, front-heavy", Costs::FrontHeavy),
];

/// Batches are called for again and again; the rate is that of their items.
pub fn cases() -> Vec<Case<'static>> {
    CASES
        .map(|(name, costs)| slices::case(GROUP, name.into(), costs, WORK))
        .into()
}
