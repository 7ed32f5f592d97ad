//! Pipelines: the typed front over the untyped plan.
//!
//! ```text
//!  builder ── stages, types ──▶ plan ── duties, edges, homes ──▶ workers
//!     │                                                             │
//!     └── start ──▶ Dispatcher, Receiver, Pipeline      run ──▶ the caller is one of them
//! ```

pub(crate) mod builder;
mod connect;
pub(crate) mod dispatcher;
pub(crate) mod fork;
pub(crate) mod handle;
pub(crate) mod instances;
pub(crate) mod receiver;
mod relay;
pub(crate) mod run;
pub(crate) mod scaling;
mod settings;
pub(crate) mod start;
pub(crate) mod watch;

pub use builder::{Builder, Many, One};
pub use dispatcher::Dispatcher;
pub use fork::Fork;
pub use handle::{Handle, Pipeline, Report, StillRunning};
pub use instances::Instances;
pub use receiver::Receiver;
pub use scaling::Scaling;
pub use start::{Ends, Sealed};
pub use watch::{Stuck, Watch};
