//! How much of everything: rounds, the time of a turn, the number of items.

use std::time::Duration;

/// How thorough a comparison is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rounds: usize,
    /// How long one subject's turn should take. Nothing: no calibration, `most` items are enough.
    pub turn: Duration,
    /// At most so many items a turn.
    pub most: u64,
    /// Windows of a fixed length are this many times shorter.
    pub shorter: u64,
}

impl Plan {
    /// For records.
    pub const FULL: Self = Self {
        rounds: 9,
        turn: Duration::from_millis(200),
        most: 1 << 27,
        shorter: 1,
    };

    /// For checking that everything runs, and that sums and orders are right.
    pub const SMOKE: Self = Self {
        rounds: 1,
        turn: Duration::ZERO,
        most: 300,
        shorter: 40,
    };

    /// For a look: three rounds of all `turns` of a group within a minute.
    pub fn quick(turns: usize) -> Self {
        let rounds = 3;
        // Calibration takes about a turn, and what stands around the turns about as much again.
        let share = Duration::from_secs(45) / (turns.max(1) * (rounds + 2)) as u32;
        Self {
            rounds,
            turn: share.min(Duration::from_millis(100)),
            most: 1 << 24,
            shorter: 2,
        }
    }
}
