//! Rings: bounded circular buffers that wait for nobody, of one producer and one consumer ([`spsc`]) or
//! many of both ([`mpmc`]).
//!
//! Capacity is exact, counted in items, from 1. Handles sit on cache lines of their own where they hold
//! private positions, so that two handles side by side in memory do not slow each other down. What is left
//! in a ring when its last handle goes is dropped exactly once, also if a drop panics.
//!
//! | | [`spsc`] | [`mpmc`] |
//! |---|---|---|
//! | ends | `&mut self`, one each | `&self`, `Clone` |
//! | progress | wait-free at both ends | a claim is one compare-exchange; a producer preempted between claim and publication delays the consumers at that slot, and after a lap the producers |
//! | a batch | one publication | one claim |

pub(crate) mod cursor;
pub mod mpmc;
pub(crate) mod slots;
pub mod spsc;
pub(crate) mod window;
