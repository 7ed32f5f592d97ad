//! Random pipelines: a case is decoded from bytes, so that proptest (`tests/it/fuzzed.rs`) and libFuzzer
//! (`fuzz_targets`) choose among the same ones; it is run on the public API, watched, and judged against
//! what its stages have counted themselves and against a model that needs no threads.

mod assemble;
pub mod case;
mod drive;
mod ends;
mod item;
mod model;
mod told;
mod verdict;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use crate::common::WATCHDOG;
use case::Case;

/// What a case came to, for those who want to know what their cases cover.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Jobs that were accepted.
    pub accepted: usize,
    /// Results and failures that were received, or folded.
    pub received: usize,
    /// Whether every job was to come through, and did.
    pub is_whole: bool,
    /// Whether the executor failed.
    pub has_failed: bool,
    /// Whether it did not start.
    pub was_refused: bool,
}

/// Runs a case under a watchdog; panics if it breaks a promise.
pub fn check(case: &Case) -> Report {
    silence_planned_panics();
    let (say, hear) = channel();
    let of_runner = case.clone();
    let runner = thread::spawn(move || {
        let report = verdict::judge(&of_runner, drive::drive(&of_runner));
        let _heard = say.send(());
        report
    });
    // Many threads that spin on a busy machine take their time: it hangs if nothing moves.
    let mut before = None;
    while hear.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
        let moves = Some(MOVES.load(Relaxed));
        assert!(moves != before, "hangs: no move in {WATCHDOG:?}: {case:?}");
        before = moves;
    }
    runner.join().unwrap_or_else(|payload| {
        eprintln!("the panic above is of {case:?}");
        resume_unwind(payload)
    })
}

/// Jobs that were given, begun or received, and hooks that were called, in all cases.
static MOVES: AtomicU64 = AtomicU64::new(0);

fn moves() {
    MOVES.fetch_add(1, Relaxed);
}

/// Panics that a case plans are not worth a backtrace each; all others are.
fn silence_planned_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let message = info.payload().downcast_ref::<String>();
            if !message.is_some_and(|message| message.starts_with(item::PLANNED)) {
                others(info);
            }
        }));
    });
}
