//! Whether numbers that each stage adds one to have all come out.

use super::STAGES;

/// Looks at results: whether each job is among them once, and with one instance also their order.
pub struct Check {
    pub count: u64,
    sum: u64,
    misplaced: u64,
}

impl Check {
    pub fn new() -> Self {
        Self {
            count: 0,
            sum: 0,
            misplaced: 0,
        }
    }

    #[inline]
    pub fn look(&mut self, result: u64) {
        let job = result.wrapping_sub(STAGES as u64);
        self.misplaced |= job ^ self.count;
        self.count += 1;
        self.sum = self.sum.wrapping_add(job);
    }

    pub fn end(&self, jobs: u64, is_ordered: bool) {
        assert_eq!(self.count, jobs, "as many results as jobs");
        let sum = u128::from(jobs) * u128::from(jobs.max(1) - 1) / 2;
        assert_eq!(self.sum, sum as u64, "the sum of all jobs");
        assert!(!is_ordered || self.misplaced == 0, "results out of order");
    }
}
