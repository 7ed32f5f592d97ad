//! Ringmill: a lock-free ring-buffer executor for latency.

#![deny(missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod affinity;
mod counters;
mod edge;
mod error;
mod event;
mod executor;
mod idle;
mod lifecycle;
mod lot;
#[cfg(loom)]
#[doc(hidden)]
pub mod model;
mod pipeline;
mod placement;
mod plan;
mod policy;
mod pool;
pub mod ring;
pub mod stage;
mod sync;
mod worker;

pub use affinity::{Pin, allowed_cores};
pub use counters::{Counters, Running, StageCounters};
pub use error::{
    BuildError, Closed, DispatchAllError, DispatchError, Fault, Full, JobError, JoinError, Payload,
    PinError, PushError, ReceiveTimeoutError, RingError, RunError, TryReceiveError,
};
pub use idle::{Idle, IdleStrategy, Step};
pub use pipeline::{
    Builder, Dispatcher, Ends, Handle, Instances, Many, One, Pipeline, Receiver, Report, Sealed,
    StillRunning,
};
pub use placement::{Placement, WorkerPlacement};
pub use policy::{FailFast, Outcome, PerJob, Policy};
pub use pool::{Pool, PoolBuilder, Scope};
pub use stage::{Context, Flow, Outlet, Stage, Token};
