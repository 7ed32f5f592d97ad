//! Edges: the two ends of a ring as a duty sees them, whichever kind the ring is, together with whom to
//! call at its other end.

mod all;
mod crew;
mod mouth;
mod peek;
mod rx;
mod turns;
mod tx;

use std::sync::Arc;

pub(crate) use crew::Crew;
pub(crate) use mouth::Mouth;
pub(crate) use peek::{InputPeek, OutputPeek};
pub(crate) use rx::Rx;
pub(crate) use turns::taker_of;
pub(crate) use tx::{Place, Route, To, Tx};

use crate::lifecycle::Core;
use crate::lot::Bell;

/// Who is at the other end.
pub(crate) enum Call {
    Nobody,
    /// Duties.
    Duties(Bell),
    /// Dispatchers that wait for room in this ring of the first edge.
    Mouth(Arc<Core>, usize),
    /// Receivers that wait for results.
    Exit(Arc<Core>),
}

impl Call {
    #[inline]
    fn published(&mut self, backlog: impl FnOnce() -> usize) {
        match self {
            Self::Duties(bell) => bell.published(backlog),
            Self::Exit(core) => drop(core.exit.notify_one()),
            Self::Nobody | Self::Mouth(..) => {}
        }
    }

    #[inline]
    fn given_back(&self, was_full: impl FnOnce() -> bool) {
        if let Self::Duties(bell) = self {
            bell.given_back(was_full);
        } else if let Self::Mouth(core, lane) = self {
            core.mouth(*lane).notify_one();
        }
    }

    fn ended(&self) {
        match self {
            Self::Duties(bell) => bell.ended(),
            Self::Exit(core) => drop(core.exit.notify()),
            Self::Nobody | Self::Mouth(..) => {}
        }
    }
}
