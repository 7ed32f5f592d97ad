//! The stocks of a generated day: their live orders, their prices, and the chance in both.

use super::message::Side;

/// The minimum price increment, one cent, in price units.
pub(super) const TICK: u32 = 100;
/// Bounds of a middle price in ticks: 1 to 1,000 dollars. The lower one exceeds
/// [`MAX_DISTANCE`], so no price reaches zero.
const MIDDLE: std::ops::RangeInclusive<u32> = 100..=100_000;
/// Greatest distance in ticks of a new order from the middle price.
const MAX_DISTANCE: u32 = 64;

/// A live order.
#[derive(Clone, Copy)]
pub(super) struct Live {
    pub(super) order: u64,
    pub(super) shares: u32,
    pub(super) price: u32,
}

/// The live orders of one side, roughly oldest first.
pub(super) struct Half {
    pub(super) live: Vec<Live>,
    /// The best price, if there is an order.
    best: Option<u32>,
    side: Side,
}

impl Half {
    const fn new(side: Side) -> Self {
        Self {
            live: Vec::new(),
            best: None,
            side,
        }
    }

    fn better(&self, a: u32, b: u32) -> bool {
        match self.side {
            Side::Buy => a > b,
            Side::Sell => a < b,
        }
    }

    pub(super) fn insert(&mut self, order: Live) {
        self.live.push(order);
        if self.best.is_none_or(|best| self.better(order.price, best)) {
            self.best = Some(order.price);
        }
    }

    pub(super) fn remove(&mut self, at: usize) -> Live {
        let gone = self.live.swap_remove(at);
        if self.best == Some(gone.price) {
            let prices = self.live.iter().map(|live| live.price);
            self.best = match self.side {
                Side::Buy => prices.max(),
                Side::Sell => prices.min(),
            };
        }
        gone
    }

    /// The oldest order at the best price; 0 if there is no order.
    pub(super) fn first_in_line(&self) -> usize {
        let at_best = self
            .live
            .iter()
            .enumerate()
            .filter(|(_, l)| Some(l.price) == self.best);
        at_best
            .min_by_key(|(_, live)| live.order)
            .map_or(0, |(at, _)| at)
    }
}

/// One stock.
pub(super) struct Market {
    pub(super) locate: u16,
    pub(super) stock: [u8; 8],
    /// The middle price, in ticks.
    pub(super) middle: u32,
    /// Live orders a side tends to have.
    pub(super) target: u64,
    bids: Half,
    asks: Half,
}

impl Market {
    /// Stocks with locates from 1 to `last`, the most popular first.
    pub(super) fn shuffled(last: u16, rng: &mut Rng) -> Vec<Self> {
        let mut locates: Vec<u16> = (1..=last).collect();
        for end in (1..locates.len()).rev() {
            locates.swap(end, rng.index(end + 1));
        }
        let market = |(rank, locate): (usize, u16)| Self {
            locate,
            stock: symbol(locate),
            middle: 500 + rng.below_u32(30_000), // 5 to 305 dollars
            target: 20 + 3_000 / (16 + rank as u64),
            bids: Half::new(Side::Buy),
            asks: Half::new(Side::Sell),
        };
        locates.into_iter().enumerate().map(market).collect()
    }

    pub(super) fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    pub(super) fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Moves the middle price by a tick up or down, on one message in 32.
    pub(super) fn walk(&mut self, rng: &mut Rng) {
        let moved = match rng.below(64) {
            0 => self.middle - 1,
            1 => self.middle + 1,
            _ => return,
        };
        self.middle = moved.clamp(*MIDDLE.start(), *MIDDLE.end());
    }

    /// A price for a new order: at most [`MAX_DISTANCE`] behind the middle, the nearer the
    /// likelier, and short of the other side's best.
    pub(super) fn quote(&self, side: Side, rng: &mut Rng) -> u32 {
        // The number of leading zeros is geometric: one more is half as likely.
        let far = rng.next().leading_zeros().min(MAX_DISTANCE / 4 - 1);
        let distance = 1 + 4 * far + rng.below_u32(4);
        match side {
            Side::Buy => {
                let limit = self.asks.best.map_or(u32::MAX, |best| best - TICK);
                ((self.middle - distance) * TICK).min(limit)
            }
            Side::Sell => {
                let limit = self.bids.best.map_or(0, |best| best + TICK);
                ((self.middle + distance) * TICK).max(limit)
            }
        }
    }

    /// A side whose best price the middle has reached or run past.
    pub(super) fn stale_side(&self) -> Option<Side> {
        let middle = self.middle * TICK;
        if self.asks.best.is_some_and(|best| best <= middle) {
            Some(Side::Sell)
        } else if self.bids.best.is_some_and(|best| best >= middle) {
            Some(Side::Buy)
        } else {
            None
        }
    }

    /// An order of this side, which must have one, to be withdrawn or changed.
    pub(super) fn victim(&self, side: Side, rng: &mut Rng) -> usize {
        let half = self.half(side);
        if self.stale_side() == Some(side) {
            return half.first_in_line();
        }
        let count = half.live.len();
        rng.index(count).max(rng.index(count))
    }
}

/// Four letters that spell the locate in base 26.
fn symbol(locate: u16) -> [u8; 8] {
    let mut stock = *b"        ";
    let mut left = locate - 1;
    for letter in stock[..4].iter_mut().rev() {
        *letter = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[usize::from(left % 26)];
        left /= 26;
    }
    stock
}

/// Shares of a new order: in one case of four an odd lot, otherwise 1 to 10 round ones.
pub(super) fn shares(rng: &mut Rng) -> u32 {
    if rng.below(4) == 0 {
        1 + rng.below_u32(99)
    } else {
        100 * (1 + rng.next().leading_zeros().min(9))
    }
}

pub(super) const fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// Draws ranks from 0, the rank `r` in proportion to `1 / (r + 1)`.
pub(super) struct Zipf {
    /// Running sums of the weights.
    sums: Vec<u64>,
}

impl Zipf {
    pub(super) fn new(ranks: usize) -> Self {
        let weights = (1..=ranks as u64).map(|rank| (1 << 40) / rank);
        let running = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self {
            sums: running.collect(),
        }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let at = rng.below(self.sums.last().copied().unwrap_or(0));
        self.sums.partition_point(|&sum| sum <= at)
    }
}

/// `SplitMix64`: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
/// 2014, with the mixing constants of Stafford's variant 13.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// A number below `end`, which is not zero: the upper half of the product. Its bias is at most
    /// `end` in 2^64.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the result is below `end`")]
    pub(super) fn below_u32(&mut self, end: u32) -> u32 {
        self.below(u64::from(end)) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the result is below `end`")]
    fn index(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }
}
