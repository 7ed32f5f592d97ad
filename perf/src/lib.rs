//! What the command `ringmill` runs that is of use elsewhere: the feed handler's data.

pub mod itch;
