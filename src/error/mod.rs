//! What can go wrong, and what each refusal gives back.

mod build;
mod calls;
mod fault;
mod job;
mod over;
mod panics;
mod ring;

pub use build::{BuildError, PinError, ScaleError};
pub use calls::{DispatchAllError, DispatchError, ReceiveTimeoutError, TryReceiveError};
pub use fault::Fault;
pub use job::JobError;
pub use over::{JoinError, RunError};
pub use panics::Payload;
pub(crate) use panics::{into_message, keep_first, panic_message, swallow};
pub use ring::{Closed, Full, PushError, RingError};
