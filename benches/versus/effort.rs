//! Work of a known length on this machine.

use std::sync::OnceLock;
use std::time::Instant;

use ringmill_benches::work;

/// How many steps of [`work`] take so many nanoseconds here; measured once, as the best of several tries.
pub fn steps(nanoseconds: u32) -> u32 {
    const TRIES: u32 = 20;
    const STEPS: u32 = 20_000;
    static STEP: OnceLock<f64> = OnceLock::new();
    let step = STEP.get_or_init(|| {
        let tries = (0..TRIES).map(|seed| {
            let begun = Instant::now();
            let _done = work(seed.into(), STEPS);
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(STEPS)
        });
        tries.fold(f64::INFINITY, f64::min)
    });
    (f64::from(nanoseconds) / step).round() as u32
}
