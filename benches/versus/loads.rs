//! Work in items, whose results are known beforehand.

use std::time::Duration;

use ringmill_benches::{LONG, work};

/// How many items of uneven costs come before they come again.
const PERIOD: usize = 4096;
/// As many of even costs.
const FEW: usize = 16;
/// Pareto's, for four fifths of the work in one fifth of the items.
const ALPHA: f64 = 1.16;

/// One item: where its work begins, and how long it is.
#[derive(Clone, Copy)]
pub struct Item {
    seed: u32,
    steps: u32,
}

impl Item {
    pub fn run(self) -> u64 {
        work(self.seed.into(), self.steps)
    }
}

/// What items cost.
#[derive(Clone, Copy)]
pub enum Costs {
    /// So many steps each.
    Even(u32),
    /// 1 µs on average: most are short, few are very long.
    Pareto,
    /// 1 µs on average: the first tenth of a batch take ten times as long as the others.
    FrontHeavy,
}

impl Costs {
    pub fn are_even(self) -> bool {
        matches!(self, Self::Even(_))
    }

    fn mean_steps(self) -> u32 {
        match self {
            Self::Even(steps) => steps,
            Self::Pareto | Self::FrontHeavy => LONG,
        }
    }

    /// How many items take about so long, at least one.
    pub fn items_in(self, nanoseconds: u32) -> usize {
        let wanted = u64::from(nanoseconds) * u64::from(LONG) / 1000;
        (wanted / u64::from(self.mean_steps())).max(1) as usize
    }

    /// The batch of so many items.
    pub fn batch(self, count: usize) -> Batch {
        // Ten at the front and nine times one behind them are nineteen tenths.
        let (front, back) = match self {
            Self::Even(steps) => (Vec::new(), vec![steps; FEW]),
            Self::Pareto => (Vec::new(), pareto()),
            Self::FrontHeavy => (vec![LONG * 100 / 19; FEW], vec![LONG * 10 / 19; FEW]),
        };
        let [front, back] = [front, back].map(|steps| {
            let items = (0..).zip(steps).map(|(seed, steps)| Item { seed, steps });
            items.map(|item| (item, item.run())).collect::<Vec<_>>()
        });
        let heavy = if front.is_empty() { 0 } else { count / 10 };
        let front = front.into_iter().cycle().take(heavy);
        let back = back.into_iter().cycle();
        let (items, results): (Vec<Item>, _) = front.chain(back).take(count).unzip();
        let steps: u64 = items.iter().map(|item| u64::from(item.steps)).sum();
        Batch {
            weight: steps as f64 / f64::from(self.mean_steps()),
            items,
            results,
        }
    }
}

/// Items in an order, and what comes out of each.
pub struct Batch {
    pub items: Vec<Item>,
    pub results: Vec<u64>,
    /// How many items of average cost would be as much work.
    weight: f64,
}

impl Batch {
    /// How long so many average items would take, if this batch `took` so long: the first of uneven items are not like
    /// all of them.
    pub fn average(&self, took: Duration, items: u64) -> Duration {
        took.mul_f64(items as f64 / self.weight)
    }

    /// The sum of the results, where order is not kept.
    pub fn sum(&self) -> u64 {
        self.results
            .iter()
            .fold(0, |sum, &one| sum.wrapping_add(one))
    }
}

/// Steps whose lengths are the quantiles of Pareto's distribution, shuffled, always in the same way.
fn pareto() -> Vec<u32> {
    let quantiles = (0..PERIOD).map(|nth| (nth as f64 + 0.5) / PERIOD as f64);
    let costs: Vec<f64> = quantiles.map(|rest| rest.powf(-1.0 / ALPHA)).collect();
    let unit = f64::from(LONG) * PERIOD as f64 / costs.iter().sum::<f64>();
    let mut steps: Vec<u32> = costs.iter().map(|cost| (cost * unit) as u32).collect();
    let mut state = 1_u64;
    for last in (1..PERIOD).rev() {
        // Knuth's MMIX generator; its upper bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        steps.swap(last, (state >> 33) as usize % (last + 1));
    }
    steps
}
