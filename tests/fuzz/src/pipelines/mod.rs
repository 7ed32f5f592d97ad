//! Random pipelines: a case is decoded from bytes, so that proptest (`tests/it/fuzzed.rs`) and libFuzzer
//! (`fuzz_targets`) choose among the same ones; it is run on the public API, watched, and judged against
//! what its stages have counted themselves and against a model that needs no threads.

mod assemble;
pub mod case;
mod drive;
mod ends;
mod item;
mod model;
mod verdict;

use case::Case;

/// What a case came to, for those who want to know what their cases cover.
#[derive(Debug, Clone)]
pub struct Report {
    /// Jobs that were accepted.
    pub accepted: usize,
    /// Results and failures that were received, or folded.
    pub received: usize,
    /// Whether every job was to come through, and did.
    pub is_whole: bool,
    /// Whether the executor failed.
    pub has_failed: bool,
}

/// Runs a case under a watchdog; panics if it breaks a promise.
pub fn check(case: &Case) -> Report {
    silence_planned_panics();
    let case = case.clone();
    crate::common::within_steps(move |step| {
        step.say(format!("{case:?}"));
        verdict::judge(&case, drive::drive(&case))
    })
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
