//! What the benchmarks share: work of a known shape, checks that it was done, and statistics.

pub mod stats;

use std::hint::black_box;

/// Steps of [`work`] that take about 160 ns at 3 GHz.
pub const SHORT: u32 = 100;
/// Steps of [`work`] that take about 1 µs there.
pub const LONG: u32 = 560;

/// A chain of multiplications, each of which needs the one before: nothing in it can be vectorised, left
/// out or overlapped with itself.
#[must_use]
pub fn work(seed: u64, steps: u32) -> u64 {
    let mut value = black_box(seed);
    for _ in 0..steps {
        value = black_box(value.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(17) | 1);
    }
    value
}

/// The sum of `0..count`, to compare with what came out.
#[must_use]
pub fn sum_to(count: u64) -> u64 {
    (0..count).fold(0, u64::wrapping_add)
}
