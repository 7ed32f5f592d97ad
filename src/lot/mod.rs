//! The lot: where an executor's workers sleep, and which of them is woken for what.
//!
//! Counters say whether anybody sleeps at all; while nobody does, a wake costs a light fence and one load of
//! a line that nobody writes. Everything else is cold.
//!
//! # Who tells whom
//!
//! Each actor that can make something true, what it may make true, and the call that tells those who may be asleep
//! waiting for it. What a cell does not name, the actor cannot make true. A sleeper registers, fences, and looks once
//! more (`event`), so a cell that is missing here is a hang.
//!
//! | actor | makes true | tells |
//! |---|---|---|
//! | producer (an instance) | a job is published | a home of the consumers: [`Bell::published`]; behind the last stage a receiver: `Event::notify_one` of the exit |
//! | producer, its last push done | an input has ended, by the last of those that push into the ring | every home of the consumers: [`Bell::ended`]; all receivers |
//! | consumer (an instance) | room is given back | a home of the producers: [`Bell::given_back`]; a dispatcher that waits for this ring |
//! | consumer of a shared input | jobs are left for siblings; the last job was taken | one sibling; all siblings: `Rx::tell_siblings` |
//! | dispatcher | a job is published | a home of the first stage |
//! | dispatcher that evicts | the last job of a closed ring is gone | every home of the first stage: `Tx::evict` |
//! | dispatcher that is refused | nothing | – |
//! | dispatcher that leaves, or is out of its push | the ring may be closed | everybody: `Core::advance`, `Inside::drop` |
//! | receiver | room is given back | a home of the last stage |
//! | last receiver that leaves | queued jobs are to be dropped | everybody: `Core::advance` |
//! | relay, fork | as producer and consumer | as those |
//! | claim given back by a worker that is not the home | a duty is runnable | its home, behind a heavy fence: `Worker::call_home` |
//! | duty that ends | the last duty has ended | everybody: `Executor::duty_ended`; of the floating ones, all workers: `Floor::count_end` |
//! | instance that becomes dormant | jobs that its home was called for are left | a sibling, or all at the end: `Rx::leave_to_siblings` |
//! | dormant instance that a helper brings to life | its home waits for rings | its home: `Worker::help` |
//! | `scale_to`, the supervisor | a dormant duty is wanted, a live one is not | the homes of the stage's duties: `Scale::set_target` |
//! | `set_load` | the supervisor has something to look at | the supervisor: `Scale::set_load` |
//! | close, stop, fail, deadline | the phase has moved on | everybody: `Core::advance` |
//! | worker that takes up work after it had none | it may be held up, and nobody notices soon | the watcher, or a helper, once: [`Lot::take_up`] |
//! | worker whose home's poll turns out long | its other duties have no home | nobody: the watcher naps at most 2 ms meanwhile, and an awake worker looks by itself |
//! | thread woken alone that leaves without taking, or sees more than it takes | a wake would be lost | the next one, or two: `event::Token` |
//! | thread that cannot begin | the start has failed | the starting thread, which ends the others |
//! | panic in a loop of ours | the executor has failed | everybody: `Executor::fail`; those behind the duty as by its end: `Poll::abort` |
//!
//! Close, stop, fail and the end wake all of all: workers, dispatchers of every ring, receivers, the supervisor, and
//! threads that join.
//!
//! Tests: `tests/it/supervision.rs` (evictions, dormant instances, hooks), `tests/it/waiting.rs` (dispatchers and
//! receivers), `tests/it/helping.rs` (homes that are held up), `tests/it/table*.rs` (ends, for each party that waits),
//! `src/guards.rs` (panics of our own loops). Models: `loom-tests/tests/event.rs`, `station.rs`, `lifecycle.rs`.

mod bell;
mod berths;
mod flags;

pub(crate) use bell::{BACKLOG, Bell, LONG_POLL, Neighbours};
pub(crate) use berths::{Lot, Nap};
pub(crate) use flags::{BOUND, CLAIMED, DORMANT, ENDED, Flags, HAND, HOLDS, LANE, Neighbour};
