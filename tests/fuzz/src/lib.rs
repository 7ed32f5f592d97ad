//! The random pipelines of the tests, for libFuzzer.

#![allow(clippy::pedantic, reason = "a test may be plainer than a library")]

#[path = "../../it/common/mod.rs"]
mod common;
mod pipelines;

pub use pipelines::{case, check};
