//! Pipelines that nobody has thought of: random ones, run and judged. The same cases are libFuzzer's, see
//! `tests/fuzz`.

#[path = "../fuzz/src/pipelines/mod.rs"]
mod fuzz;

use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fuzz::case::Case;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

/// More than a case has choices.
const BYTES: usize = 160;

/// The seed for this run: another one each time, unless `RINGMILL_FUZZ_SEED` says which.
fn seed() -> u64 {
    let said = std::env::var("RINGMILL_FUZZ_SEED").ok();
    said.map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            u64::from(now.map_or(0, |now| now.subsec_nanos()))
        },
        |text| text.parse().expect("a number"),
    )
}

#[test]
fn r_a8_fuzzed_pipelines() {
    let seed = seed();
    let mut runner = TestRunner::new(ProptestConfig {
        // The chance that a thread was late is no part of a case: much shrinking would find other failures.
        max_shrink_iters: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default() // `PROPTEST_CASES`, or 256.
    });
    let (whole, failed, refused) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(0_u32));
    let (accepted, received) = (Cell::new(0), Cell::new(0));
    let begun = Instant::now();
    let cases = vec(any::<u8>(), 0..BYTES).prop_map(|bytes| Case::decode(&bytes));
    let result = runner.run(&cases, |case| {
        let report = fuzz::check(&case);
        whole.set(whole.get() + u32::from(report.is_whole));
        failed.set(failed.get() + u32::from(report.has_failed));
        refused.set(refused.get() + u32::from(report.was_refused));
        accepted.set(accepted.get() + report.accepted);
        received.set(received.get() + report.received);
        Ok(())
    });
    println!(
        "{} cases were whole, {} failed and {} did not start; {} jobs, {} results; {:.0} cases a second",
        whole.get(),
        failed.get(),
        refused.get(),
        accepted.get(),
        received.get(),
        f64::from(runner.config().cases) / begun.elapsed().as_secs_f64()
    );
    if let Err(error) = result {
        panic!("RINGMILL_FUZZ_SEED={seed}: {error}");
    }
    // Unless few were asked for, there were some of each kind.
    if runner.config().cases >= 256 {
        assert!(whole.get() > 0 && failed.get() > 0, "seed {seed}");
    }
}
