//! All tests of the library's behaviour: one program, which is linked once. What needs a process of its own stands
//! beside this folder, or asks for one by `common::alone`.

#![allow(clippy::pedantic, reason = "a test may be plainer than a library")]

mod common;

mod bad_input;
mod counters;
mod deadlines;
mod ends;
mod forks;
mod forks_ends;
mod fuzzed;
mod helping;
mod hooks;
mod ids;
mod inside;
mod join;
mod join_run;
mod latency;
mod layering;
mod order;
mod order_failures;
mod other_ends;
mod overflow;
mod packaging;
mod panics;
mod placement;
mod policies;
mod pool;
mod pool_a_dispatcher;
mod pool_a_errors;
mod pool_b_counters;
mod pool_b_queue;
mod pool_c_tiers;
mod pool_d_server;
mod pool_e_typed;
mod pool_scopes;
mod ring_drops;
mod rings;
mod scaling;
mod sources;
mod stages;
mod supervision;
mod table;
mod table_order;
mod table_start;
mod waiting;
mod watch;
