//! Doors for the models in `loom-tests`: what they need of this crate's inside, as thin as can be.
//!
//! Nothing here decides anything; assemblies are put together from the shipped parts as `plan` does it, on
//! threads of the model's own.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    reason = "for models only"
)]

mod assembly;
mod board;
mod ends;
mod executor;
mod rings;
mod sleep;
mod workers;

pub use assembly::{Assembly, Shape, StepFn};
pub use board::{Board, Work};
pub use ends::{Leavers, Room, Rx, Tx};
pub use executor::{Executor, Tally, set_error};
pub use rings::{Hand, Placer, Sole, Taker, has_published, has_room, window};
pub use sleep::{Bell, Event, Lot};
pub use workers::{Station, Workers};
