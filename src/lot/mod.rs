//! The lot: the berths in which an executor's workers sleep, and whom to wake for what.
//!
//! Counters say whether anybody sleeps at all; while nobody does, a wake costs a light fence and one load of
//! a line that nobody writes. Everything else is cold.

mod bell;
mod berths;
mod flags;

pub(crate) use bell::{BACKLOG, Bell, LONG_POLL, Neighbours};
pub(crate) use berths::{Lot, Nap};
pub(crate) use flags::{BOUND, CLAIMED, DORMANT, ENDED, Flags, HAND, HOLDS, LANE, Neighbour};
