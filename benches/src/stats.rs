//! Medians, intervals of medians, and how quiet the machine was.

use std::time::{Duration, Instant};

/// The middle one, or the mean of the two in the middle; not a number where there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => f64::NAN,
        (half, 0) => f64::midpoint(sorted[half - 1], sorted[half]),
        (half, _) => sorted[half],
    }
}

/// Two of the values, equally far from both ends of the sorted list, between which the true median lies with a
/// probability of at least 95 %; the outermost two where there are fewer than six. By the order statistics of the
/// binomial distribution with p = 1/2 (Conover, Practical Nonparametric Statistics, section 3.2).
pub fn interval(values: &[f64]) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    // How many values at each end may go, while no more than 2.5 % of the chances go with them.
    let (mut outside, mut chance, mut gone) = (0, 2.0_f64.powf(-(count as f64)), 0.0);
    while gone + chance <= 0.025 {
        gone += chance;
        outside += 1;
        chance *= (count - outside + 1) as f64 / outside as f64;
    }
    let at = outside.saturating_sub(1);
    [sorted[at], sorted[count - 1 - at]]
}

/// The longest gap between two looks at the clock during 20 ms of doing nothing else, in microseconds.
pub fn hiccup() -> f64 {
    let begun = Instant::now();
    let (mut last, mut longest) = (begun, Duration::ZERO);
    while last - begun < Duration::from_millis(20) {
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
    }
    longest.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u32) -> Vec<f64> {
        // In no order.
        (0..count).rev().map(|nth| f64::from(nth + 1)).collect()
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these floats are exact")]
    fn the_median_is_the_middle_one_or_the_mean_of_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these floats are exact")]
    fn intervals_have_the_ranks_of_the_binomial_tables() {
        for (count, low, high) in [
            (6, 1.0, 6.0),
            (9, 2.0, 8.0),
            (20, 6.0, 15.0),
            (50, 18.0, 33.0),
        ] {
            assert_eq!(interval(&numbers(count)), [low, high], "of {count}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these floats are exact")]
    fn few_values_have_their_whole_range_as_interval() {
        for count in 1..6 {
            assert_eq!(interval(&numbers(count)), [1.0, f64::from(count)]);
        }
    }
}
