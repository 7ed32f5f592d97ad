//! What the command `ringmill` runs that is of use elsewhere: the feed handler's data, and the maps that go round.

pub mod itch;
pub mod letters;
