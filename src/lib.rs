//! Ringmill: a lock-free ring-buffer executor for latency.
//!
//! Workers, one thread for each core that they are given, poll bounded rings; typed jobs go by value through
//! typed [stages](stage), and come out as results. This page says how to build an executor, what to choose, how
//! it ends, and what each of these costs. It is a [`Pipeline`] where jobs keep coming, and a [`Pool`] for
//! batches over data that is there.
//!
//! # A pipeline
//!
//! ```text
//!            ring            ring           ring            ring
//! dispatch ─▶ │ ─▶ "decode" ─▶ │ ─▶ "book" ─▶ │ ─▶ "risk" ─▶ │ ─▶ receive
//!            MPMC   two     2 SPSC  one     SPSC   one      SPSC
//!                 instances        instance       instance
//! ```
//!
//! [`Pipeline::builder`] takes stages in their order. Each has a name, [`Instances`], and a closure that builds
//! the state of one instance. [`Builder::start`] gives three parts: the [`Dispatcher`] for those who have jobs,
//! the [`Receiver`] for those who want results, and the [`Pipeline`], which owns the threads.
//!
//! ```
//! use std::convert::Infallible;
//! use ringmill::stage::{filter_map, map};
//! use ringmill::{Instances, Pipeline};
//!
//! let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<u64>()
//!     .stage("odd", Instances::new(1), |_| filter_map(|n: u64| (n % 2 == 1).then_some(n)))
//!     .stage("square", Instances::new(2), |_| map(|n: u64| n * n))
//!     .start()?;
//! dispatcher.dispatch_all(0..10)?;
//! dispatcher.done();
//! let mut squares: Vec<u64> = receiver.collect();
//! squares.sort_unstable(); // Two instances: whoever is first.
//! assert_eq!(squares, [1, 9, 25, 49, 81]);
//! pipeline.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where the jobs are at hand, [`Builder::run`] does without the three parts: the calling thread feeds, receives
//! and works, and jobs and stages may borrow. Without results to receive, a pipeline ends in
//! [`Builder::discard`] or [`Builder::fold`].
//!
//! ```
//! # use std::convert::Infallible;
//! # use ringmill::{Instances, Pipeline, stage::map};
//! let words = ["ring", "mill", "executor"];
//! let mut letters = 0;
//! Pipeline::<Infallible>::builder::<&str>()
//!     .stage("count", Instances::new(2), |_| map(str::len))
//!     .run(words, |length| letters += length)?;
//! assert_eq!(letters, 16);
//! # Ok::<(), ringmill::RunError<Infallible>>(())
//! ```
//!
//! A full ring holds up whoever is before it, at last [`Dispatcher::dispatch`]: that is backpressure, and the
//! only thing that bounds memory. Results that nobody takes hold up everything. A thread that dispatches more
//! than the rings hold before it receives anything waits for itself; [`Dispatcher::try_dispatch`] says so
//! instead, and `run` does both at once.
//!
//! # Forks
//!
//! ```text
//!               ┌─▶ │ ─▶ "risk" ─▶ │ ─┐
//! "decode" ─▶ ──┤                     ├─▶ "join" ─▶ │ ─▶ receive
//!               └─▶ │ ─▶ "book" ─▶ │ ─┘
//! ```
//!
//! [`Builder::broadcast`] lets several branches see every job. Each has stages of its own, with instances and
//! placements like any others, or none, or a fork of its own; all have results of one type, which meet in front
//! of the next stage (a merge). It ends in the same ways as a pipeline without forks.
//!
//! ```
//! # use std::convert::Infallible;
//! # use ringmill::{Instances, Pipeline, stage::map};
//! #[derive(Clone)]
//! struct Tick { symbol: u8, price: i64 }
//! enum Seen { Risk(i64), Book(u8, i64) }
//!
//! let one = || Instances::new(1);
//! let by_symbol = Instances::new(2).keyed(|tick: &Tick| tick.symbol);
//! let (mut exposure, mut last) = (0, [0; 2]);
//! Pipeline::<Infallible>::builder::<(u8, i64)>()
//!     .stage("decode", one(), |_| map(|(symbol, price)| Tick { symbol, price }))
//!     .broadcast(|fork| {
//!         fork.branch(|b| b.stage("risk", one(), |_| map(|tick: Tick| Seen::Risk(tick.price.abs()))))
//!             .branch(|b| b.stage("book", by_symbol, |_| map(|tick: Tick| Seen::Book(tick.symbol, tick.price))))
//!     })
//!     .run([(0, 5), (1, -7), (0, 6)], |seen| match seen {
//!         Seen::Risk(price) => exposure += price,
//!         Seen::Book(symbol, price) => last[usize::from(symbol)] = price,
//!     })?;
//! assert_eq!((exposure, last), (18, [6, -7]));
//! # Ok::<(), ringmill::RunError<Infallible>>(())
//! ```
//!
//! A branch costs a copy and a push for each job, and the slowest branch holds up the stage before, and so all
//! others.
//!
//! # Which ring?
//!
//! A pipeline chooses by the number of instances at both ends, where a dispatcher that cannot be cloned and `run`
//! count as one: [`spsc`](ring::spsc) where both are one; a ring for each of several instances, `spsc` for up to
//! eight in front of one, and rings with one pushing end for up to 32 in front of several; [`mpmc`](ring::mpmc)
//! otherwise, in front of ordered instances, and at a mouth that drops the oldest job. So a stage of one
//! instance is cheaper to reach than one of two, and two are worth it only where one core is not enough.
//! [`Builder::capacity`] sets the exact capacity of the rings that follow. What counts more than the
//! kind of ring is how many items go with one publication, because each publication moves a cache line between
//! cores, some 100 ns; workers publish once per poll or every 2 µs, and [`Dispatcher::dispatch_batch`] and
//! [`Receiver::receive_many`] do the same at the ends. What comes from an iterator ([`Dispatcher::dispatch_all`],
//! [`Builder::run`]) is published job by job: the next one may be long in coming.
//!
//! # Which placement?
//!
//! * **Floating**, [`Instances::new`]: workers share the duties out. Neighbouring stages have the same home
//!   worker, so that at light load a job crosses cores once. Another worker takes a duty over where a backlog
//!   has grown, and keeps it if more gets done that way; it helps out where the home has been inside one poll
//!   for 20 µs. Costs one claim a poll. The state is `Send`, because it moves.
//! * **Bound**, [`Instances::bound`]: one worker on one core, for life. The state is built there and may be
//!   anything. Costs freedom: no one steps in when that core is busy. Instances of several stages that name
//!   the same core share its worker.
//! * **Fused**, [`Builder::then`]: the step is composed into the stage before. Costs no ring and no move, and
//!   the two can no longer run at the same time.
//!
//! With several instances jobs overtake each other. [`Instances::ordered`] puts results back into the order of
//! their jobs, within a window; [`Instances::keyed`] sends equal keys to the same instance.
//! [`Handle::placement`] says which worker is where, and whether the system let it be pinned.
//!
//! # Which idle strategy?
//!
//! [`Idle::backoff`], the default, answers at once while there was work within the last millisecond, and costs
//! nothing after; then a wake takes 27–57 µs. [`Idle::busy_spin`] never pays for a wake, and wants a core of its
//! own for each thread: with more such threads than cores, nearly all time goes into waiting for those who
//! are not running. [`Idle::yielding`] is the same on shared cores. [`Idle::parking`] is for jobs that are rare.
//! Blocking calls idle in the same way as workers. Your own is an [`IdleStrategy`].
//!
//! # How it ends
//!
//! | call | new jobs | queued jobs | running jobs | results |
//! |---|---|---|---|---|
//! | [`Handle::close`], [`Dispatcher::done`], the last dispatcher dropped | [`Closed`](DispatchError::Closed) | are processed | finish | all are received |
//! | [`Handle::stop`], the pipeline dropped | [`Stopped`](DispatchError::Stopped) | are dropped, and counted | finish | those with room go out, others are discarded, and counted |
//! | a stage's error or panic, [`Handle::set_err`] | [`Failed`](DispatchError::Failed) | as stop | as stop | as stop |
//! | the last receiver dropped | [`Closed`](DispatchError::Closed) | as stop | as stop | nobody wants them |
//! | the [deadline](Builder::deadline) passes | [`Failed`](DispatchError::Failed) | as stop | as stop | as stop |
//!
//! Any of them, from any thread and from inside jobs, any number of times, in any order: the strongest holds,
//! and failed is stronger than stopped, which is stronger than closed. Everyone who waits is woken; every
//! refusal gives its job back. A running job is not interrupted, but can see that it should end:
//! [`Token::is_cancelled`]. The receiver ends once everything has ended and its ring is empty.
//!
//! [`Pipeline::join`] waits for the end, and has the first error. Dropping the pipeline stops it, so a pattern
//! such as `let (dispatcher, receiver, _) = builder.start()?` stops it before it begins: give it a name.
//!
//! Inside a job, calls to the job's own executor never wait: `dispatch` acts as `try_dispatch`, `receive` as
//! `try_receive`, and `join` is [`JoinError::InsideJob`].
//!
//! # Errors
//!
//! By default the first error or panic in a stage ends the pipeline ([`FailFast`]). After [`Builder::per_job`] it
//! becomes the [`Outcome`] of its job, and the pipeline goes on; an instance that panicked gets a new state from
//! its init closure. An executor that cannot be built is a [`BuildError`], and leaves nothing behind.
//!
//! ```
//! use std::num::ParseIntError;
//! use ringmill::{Fault, Instances, JoinError, Pipeline, RunError};
//!
//! let parse = || Pipeline::<ParseIntError>::builder::<&str>();
//! let first = parse()
//!     .stage("parse", Instances::new(1), |_| str::parse::<u8>)
//!     .run(["1", "x", "3"], |_number| ());
//! let Err(RunError::Join(JoinError::Failed(fault))) = first else { panic!("x is no number") };
//! assert!(matches!(&*fault, Fault::Stage { stage, .. } if &**stage == "parse"));
//!
//! let mut outcomes = Vec::new();
//! parse()
//!     .per_job()
//!     .stage("parse", Instances::new(1), |_| str::parse::<u8>)
//!     .run(["1", "x", "3"], |outcome| outcomes.push(outcome.ok()))?;
//! assert_eq!(outcomes, [Some(1), None, Some(3)]);
//! # Ok::<(), RunError<ParseIntError>>(())
//! ```
//!
//! # Time
//!
//! [`Builder::deadline`] limits the whole, [`Builder::job_timeout`] and [`Dispatcher::dispatch_due`] single jobs: one
//! that is late is not begun, or ends with its first result that is late, and that is its failure. None is the
//! default. With the feature `hdr`, `Builder::histograms` measures how long jobs wait, are worked on and take in all.
//! Either makes rings carry times with the jobs ([`Timed`]); without them no clock is read for a job.
//!
//! # Overload
//!
//! Where there is no room dispatchers wait; [`Builder::overflow`] has them refuse jobs, or drop the newest or the
//! oldest, counted. [`Instances::up_to`] lets a stage have more instances while more is to do, by hand or
//! [by load](Instances::by_load), and threads with them.
//!
//! # Watching
//!
//! [`Handle::watch`] names instances that are stuck in a job. Hooks tell of workers and instances that start and stop
//! ([`Builder::on_worker_start`] and its neighbours), and of all that goes wrong in a stage ([`Builder::on_fault`]).
//! None of them costs anything per job.
//!
//! # Counters
//!
//! [`Handle::counters`] is exact at every instant and for each stage: `dispatched = waiting + running + finished +
//! dropped`. A counter has one writer and a cache line that it shares with no other instance's.
//!
//! # A pool
//!
//! A [`Pool`] runs batches: [`Pool::map`], [`Pool::for_each_mut`], and [`Pool::scope`] for tasks of any shape. They
//! borrow, they nest, and their caller works too, so that they end even if no worker is free. A pool of workers
//! for *typed jobs* is a pipeline of one stage.
//!
//! # Limits
//!
//! Nothing here is `async`: a call that waits blocks its thread, those whose names begin with `try` never do. With
//! `panic = "abort"` there are no panics to report. A handle that is forgotten is never dropped: a forgotten
//! dispatcher does not close. What is lock-free and what is not, platforms, and what is no part of the public
//! API stand in the README.
//!
//! # Features
//!
//! * `hdr`: latency histograms, with the crate hdrhistogram. Off by default.

#![deny(missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod affinity;
mod counters;
mod edge;
mod error;
mod event;
mod executor;
#[cfg(all(test, not(loom)))]
mod guards;
mod hooks;
mod idle;
#[cfg(feature = "hdr")]
mod latency;
mod lifecycle;
mod lot;
#[cfg(all(loom, feature = "__loom"))]
#[doc(hidden)]
pub mod model;
#[cfg(all(test, loom, feature = "__loom"))]
mod models;
mod overflow;
mod pipeline;
mod placement;
mod plan;
mod policy;
mod pool;
pub mod ring;
#[cfg(all(test, not(loom)))]
mod sabotage;
mod scale;
pub mod stage;
mod sync;
mod timing;
mod worker;

pub use affinity::{Cores, Pin, allowed_cores, on_all_cores};
pub use counters::{Counters, Running, StageCounters, WorkerCounters};
pub use error::{
    BuildError, Closed, DispatchAllError, DispatchError, Fault, Full, JobError, JoinError, Payload,
    PinError, PushError, ReceiveTimeoutError, RingError, RunError, ScaleError, TryReceiveError,
};
pub use idle::{Idle, IdleStrategy, Step};
#[cfg(feature = "hdr")]
pub use latency::{Latencies, Latency, StageLatency};
pub use overflow::Overflow;
pub use pipeline::{
    Builder, Dispatcher, Ends, Fork, Handle, Instances, Many, One, Pipeline, Receiver, Report,
    Scaling, Sealed, StillRunning, Stuck, Watch,
};
pub use placement::{Placement, WorkerPlacement};
pub use policy::{FailFast, Outcome, PerJob, Policy, Timed};
pub use pool::{Pool, PoolBuilder, Scope};
pub use stage::{Context, Flow, Outlet, Stage, Token};

/// The examples in the README, so that they compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What must not compile.
#[cfg(doctest)]
#[doc = include_str!("../tests/compile_fail.md")]
mod compile_fail {}
