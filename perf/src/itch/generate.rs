//! A deterministic trading day in wire form, for machines without one of NASDAQ's sample files.
//!
//! # What is in it
//!
//! A system event opens the day, one directory message per stock follows, then the mix below, then
//! the closing system event and the end-of-session mark. Every message that refers to an order
//! refers to a live one of the same stock, and never for more shares than the order has left.
//!
//! | type | share | | type | share | |
//! | --- | --- | --- | --- | --- | --- |
//! | `A` | 43.3 % | new order | `X` | 1.2 % | cancelled in part |
//! | `D` | 42.0 % | deleted | `P` | 0.5 % | hidden trade |
//! | `U` | 8.7 % | replaced | `F` | 0.5 % | new order, attributed |
//! | `E` | 2.5 % | executed | `C` | 0.04 % | executed at another price |
//! | `I` | 1.3 % | auction imbalance | `Q` | 0.006 % | cross |
//!
//! The shares are those of NASDAQ's public sample day of 2019-10-30 (294 million messages, as
//! tabulated in the documentation of the R package RITCH), without `L` (0.07 %) and the types
//! rarer than `Q`. While the books fill, at the start, there are more `A` and fewer `D`.
//!
//! Stocks are drawn by Zipf's law with exponent 1, popularity being independent of the locate.
//! Each stock's middle price is a random walk in ticks of one cent; new orders lie a geometrically
//! distributed distance behind it and never cross the book. Each side has a target number of live
//! orders, 207 for the most popular stock and 25 for the 500th, towards which adding and deleting
//! pull it. Executions take the oldest order at the best price; deletions and replacements prefer
//! recent orders, and an order the middle price has run past goes first.
//!
//! Only integer arithmetic is used, so a plan gives the same bytes on every machine.

use std::error::Error;
use std::fmt;

use super::frame::{LONGEST_FRAME, PREFIX};
use super::market::{Live, Market, Rng, TICK, Zipf, opposite, shares};
use super::message::{Side, length, wire_length};

/// Stocks in a day unless the plan says otherwise.
pub const DEFAULT_SYMBOLS: usize = 500;

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Any number; other numbers give other days.
    pub seed: u64,
    /// Messages in all, the opening and closing ones included.
    pub messages: usize,
    /// Stocks, 1 to 65,535; their locates are 1, 2, 3 and so on.
    pub symbols: usize,
}

impl Plan {
    /// About how many bytes the day has.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        // A directory message is longer than most.
        let longer = self
            .symbols
            .saturating_mul(PREFIX + length(b'R') - BYTES_A_MESSAGE);
        longer.saturating_add(self.messages.saturating_mul(BYTES_A_MESSAGE))
    }
}

/// Why there is no such day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerateError {
    /// The locate is a 16-bit number, and 0 means no stock.
    Symbols {
        /// Stocks asked for.
        found: usize,
    },
    /// Fewer messages than the opening, the directory and the closing take.
    TooFewMessages {
        /// Messages the plan needs at least.
        needed: usize,
        /// Messages asked for.
        found: usize,
    },
    /// The allocator has no room for the day.
    OutOfMemory {
        /// Messages asked for.
        messages: usize,
        /// Bytes that they take.
        bytes: usize,
    },
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Symbols { found } => {
                write!(f, "expected 1 to {} symbols, found {found}", u16::MAX)
            }
            Self::TooFewMessages { needed, found } => write!(
                f,
                "expected at least {needed} messages (one per symbol and two system events), \
                 found {found}"
            ),
            Self::OutOfMemory { messages, bytes } => write!(
                f,
                "no memory for {messages} messages ({bytes} bytes); ask for fewer"
            ),
        }
    }
}

impl Error for GenerateError {}

/// Generates the day of a plan: exactly `plan.messages` messages with their length prefixes, then
/// the end-of-session mark. About 31 bytes a message. All memory is reserved before the first one.
///
/// # Errors
///
/// [`GenerateError`] if the number of symbols is impossible, of messages too small for them, or if
/// there is no memory for the day.
pub fn generate(plan: &Plan) -> Result<Vec<u8>, GenerateError> {
    let last = match u16::try_from(plan.symbols) {
        Ok(last) if last > 0 => last,
        _ => {
            return Err(GenerateError::Symbols {
                found: plan.symbols,
            });
        }
    };
    let needed = plan.symbols + 2;
    let Some(traffic) = plan.messages.checked_sub(needed) else {
        return Err(GenerateError::TooFewMessages {
            needed,
            found: plan.messages,
        });
    };

    let mut rng = Rng(plan.seed);
    let ranks = Zipf::new(plan.symbols);
    let mut markets = Market::shuffled(last, &mut rng);
    let mut day = Day::new(plan)?;

    day.wire.message(b'S', 0, [b"O"]);
    let mut directory: Vec<_> = markets
        .iter()
        .map(|market| (market.locate, market.stock))
        .collect();
    directory.sort_unstable();
    for (locate, stock) in directory {
        day.wire.directory(locate, stock);
    }
    day.wire.clock = OPEN;
    // Twice the mean step, as steps are uniform from 1 up to it.
    let steps = (2 * SESSION / (traffic as u64).max(1)).max(1);
    for _ in 0..traffic {
        day.wire.make_room(plan)?;
        day.wire.clock += 1 + rng.below(steps);
        let market = &mut markets[ranks.draw(&mut rng)];
        day.step(market, &mut rng);
    }
    day.wire.clock = day.wire.clock.max(CLOSE);
    day.wire.message(b'S', 0, [b"C"]);
    day.wire.bytes.extend_from_slice(&[0, 0]);
    Ok(day.wire.bytes)
}

/// Start of trading, 09:30, in nanoseconds since midnight.
const OPEN: u64 = 34_200_000_000_000;
/// Length of the trading session, six and a half hours. A day's steps add up to at most twice
/// that, which is still before midnight.
const SESSION: u64 = 23_400_000_000_000;
/// When NASDAQ sends its last message, 20:05.
const CLOSE: u64 = 72_300_000_000_000;
/// What a message does, with its share of the traffic in millionths (see the module's table).
const MIX: [(Action, u32); 8] = [
    (Action::Turnover, 857_700), // A 433,100; D 419,700; F 4,900
    (Action::Replace, 86_900),
    (Action::Execute, 24_900),
    (Action::Imbalance, 12_700),
    (Action::Cancel, 12_100),
    (Action::HiddenTrade, 5_200),
    (Action::ExecuteAt, 440),
    (Action::Cross, 60),
];
/// Bytes of a message and its length prefix: 31.3 on average once the books are full, at most 38 before.
pub const BYTES_A_MESSAGE: usize = 32;
/// Bytes of the longest message, the closing one and the end-of-session mark, with their length prefixes.
const LONGEST: usize = LONGEST_FRAME + PREFIX + length(b'S') + PREFIX;
/// Of 10,000 new orders, those that are attributed: 4,900 of 438,000.
const ATTRIBUTED: u64 = 112;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Turnover,
    Replace,
    Execute,
    Imbalance,
    Cancel,
    HiddenTrade,
    ExecuteAt,
    Cross,
}

impl Action {
    fn draw(rng: &mut Rng) -> Self {
        let mut left = rng.below_u32(1_000_000);
        for (action, share) in MIX {
            if left < share {
                return action;
            }
            left -= share;
        }
        Self::Turnover
    }
}

/// The day so far.
struct Day {
    wire: Wire,
    next_order: u64,
    next_match: u64,
}

impl Day {
    fn new(plan: &Plan) -> Result<Self, GenerateError> {
        // The directory is sent from 03:00 on.
        let mut wire = Wire {
            bytes: Vec::new(),
            clock: 10_800_000_000_000,
            tracking: 0,
        };
        wire.reserve(plan.bytes(), plan)?;
        Ok(Self {
            wire,
            next_order: 1,
            next_match: 1,
        })
    }

    /// Appends one message about this stock.
    fn step(&mut self, market: &mut Market, rng: &mut Rng) {
        market.walk(rng);
        let action = Action::draw(rng);
        match action {
            Action::Imbalance => return self.imbalance(market, rng),
            Action::HiddenTrade => return self.hidden_trade(market, rng),
            Action::Cross => return self.cross(market, rng),
            _ => {}
        }
        let mut side = if rng.below(2) == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        if action == Action::Turnover {
            // Balanced at the target, always adding when empty, always deleting at twice it.
            let live = market.half(side).live.len() as u64;
            if rng.below(2 * market.target) >= live {
                self.add(market, side, rng);
            } else {
                self.delete(market, side, rng);
            }
            return;
        }
        if matches!(action, Action::Execute | Action::ExecuteAt)
            && let Some(stale) = market.stale_side()
        {
            side = stale;
        }
        if market.half(side).live.is_empty() {
            side = opposite(side);
        }
        if market.half(side).live.is_empty() {
            return self.add(market, side, rng);
        }
        match action {
            Action::Replace => self.replace(market, side, rng),
            Action::Cancel => self.cancel(market, side, rng),
            _ => self.execute(market, side, action == Action::ExecuteAt, rng),
        }
    }

    fn new_order(&mut self, market: &mut Market, side: Side, rng: &mut Rng) -> Live {
        // Other systems share the counter of order references, so there are gaps.
        self.next_order += 1 + rng.below(7);
        let order = Live {
            order: self.next_order,
            shares: shares(rng),
            price: market.quote(side, rng),
        };
        market.half_mut(side).insert(order);
        order
    }

    fn add(&mut self, market: &mut Market, side: Side, rng: &mut Rng) {
        let Live {
            order,
            shares,
            price,
        } = self.new_order(market, side, rng);
        let (order, letter) = (order.to_be_bytes(), [letter(side)]);
        let (shares, price) = (shares.to_be_bytes(), price.to_be_bytes());
        let fields: [&[u8]; 5] = [&order, &letter, &shares, &market.stock, &price];
        if rng.below(10_000) < ATTRIBUTED {
            let [f0, f1, f2, f3, f4] = fields;
            self.wire
                .message(b'F', market.locate, [f0, f1, f2, f3, f4, b"RMLL"]);
        } else {
            self.wire.message(b'A', market.locate, fields);
        }
    }

    fn delete(&mut self, market: &mut Market, side: Side, rng: &mut Rng) {
        let at = market.victim(side, rng);
        let gone = market.half_mut(side).remove(at);
        self.wire
            .message(b'D', market.locate, [&gone.order.to_be_bytes()]);
    }

    fn replace(&mut self, market: &mut Market, side: Side, rng: &mut Rng) {
        let at = market.victim(side, rng);
        let gone = market.half_mut(side).remove(at);
        let new = self.new_order(market, side, rng);
        self.wire.message(
            b'U',
            market.locate,
            [
                &gone.order.to_be_bytes(),
                &new.order.to_be_bytes(),
                &new.shares.to_be_bytes(),
                &new.price.to_be_bytes(),
            ],
        );
    }

    fn cancel(&mut self, market: &mut Market, side: Side, rng: &mut Rng) {
        let at = market.victim(side, rng);
        let live = &mut market.half_mut(side).live[at];
        if live.shares == 1 {
            // Nothing smaller is left; withdrawing the whole order is a deletion.
            let gone = market.half_mut(side).remove(at);
            return self
                .wire
                .message(b'D', market.locate, [&gone.order.to_be_bytes()]);
        }
        let cancelled = 1 + rng.below_u32(live.shares - 1);
        live.shares -= cancelled;
        let fields: [&[u8]; 2] = [&live.order.to_be_bytes(), &cancelled.to_be_bytes()];
        self.wire.message(b'X', market.locate, fields);
    }

    fn execute(&mut self, market: &mut Market, side: Side, other_price: bool, rng: &mut Rng) {
        let half = market.half_mut(side);
        let at = half.first_in_line();
        let live = &mut half.live[at];
        let Live {
            order,
            shares,
            price,
        } = *live;
        // Three of five executions take all that is left of an order.
        let executed = if shares == 1 || rng.below(5) < 3 {
            half.remove(at);
            shares
        } else {
            let part = 1 + rng.below_u32(shares - 1);
            live.shares -= part;
            part
        };
        let (order, executed) = (order.to_be_bytes(), executed.to_be_bytes());
        let number = self.match_number();
        let fields: [&[u8]; 3] = [&order, &executed, &number];
        if other_price {
            let price = match side {
                Side::Buy => price + TICK,
                Side::Sell => price - TICK,
            };
            let [a, b, c] = fields;
            self.wire
                .message(b'C', market.locate, [a, b, c, b"Y", &price.to_be_bytes()]);
        } else {
            self.wire.message(b'E', market.locate, fields);
        }
    }

    fn hidden_trade(&mut self, market: &Market, rng: &mut Rng) {
        let number = self.match_number();
        let (shares, price) = (
            shares(rng).to_be_bytes(),
            (market.middle * TICK).to_be_bytes(),
        );
        let fields: [&[u8]; 6] = [&[0; 8], b"B", &shares, &market.stock, &price, &number];
        self.wire.message(b'P', market.locate, fields);
    }

    fn cross(&mut self, market: &Market, rng: &mut Rng) {
        let number = self.match_number();
        let shares = u64::from(shares(rng)) * 100;
        let price = (market.middle * TICK).to_be_bytes();
        let fields: [&[u8]; 5] = [&shares.to_be_bytes(), &market.stock, &price, &number, b"O"];
        self.wire.message(b'Q', market.locate, fields);
    }

    fn imbalance(&mut self, market: &Market, rng: &mut Rng) {
        let [paired, imbalance] =
            [shares(rng), shares(rng)].map(|shares| (u64::from(shares) * 100).to_be_bytes());
        let price = (market.middle * TICK).to_be_bytes();
        self.wire.message(
            b'I',
            market.locate,
            [
                &paired,
                &imbalance,
                b"B",
                &market.stock,
                &price,
                &price,
                &price,
                b"C",
                b"L",
            ],
        );
    }

    fn match_number(&mut self) -> [u8; 8] {
        self.next_match += 1;
        self.next_match.to_be_bytes()
    }
}

/// Writes framed messages.
struct Wire {
    bytes: Vec<u8>,
    clock: u64,
    tracking: u16,
}

impl Wire {
    fn reserve(&mut self, more: usize, plan: &Plan) -> Result<(), GenerateError> {
        let bytes = self.bytes.len().saturating_add(more);
        let full = |_| GenerateError::OutOfMemory {
            messages: plan.messages,
            bytes,
        };
        self.bytes.try_reserve(more).map_err(full)
    }

    /// Room for one more message and the end-of-session mark, should a day be larger than most.
    #[inline]
    fn make_room(&mut self, plan: &Plan) -> Result<(), GenerateError> {
        if self.bytes.capacity() - self.bytes.len() >= LONGEST {
            return Ok(());
        }
        self.reserve(LONGEST, plan)
    }

    fn message<const N: usize>(&mut self, kind: u8, locate: u16, fields: [&[u8]; N]) {
        let length = 11 + fields.iter().map(|field| field.len()).sum::<usize>();
        debug_assert_eq!(
            Some(length),
            wire_length(kind),
            "fields of '{}'",
            char::from(kind)
        );
        self.tracking = self.tracking.wrapping_add(2);
        let mut header = [0; 13];
        // No type is longer than 50 bytes, which the type's length above is checked against.
        header[..2].copy_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
        header[2] = kind;
        header[3..5].copy_from_slice(&locate.to_be_bytes());
        // The timestamp's 48 bits end at byte 13; the tracking number overwrites the upper 16.
        header[5..13].copy_from_slice(&self.clock.to_be_bytes());
        header[5..7].copy_from_slice(&self.tracking.to_be_bytes());
        self.bytes.extend_from_slice(&header);
        for field in fields {
            self.bytes.extend_from_slice(field);
        }
    }

    fn directory(&mut self, locate: u16, stock: [u8; 8]) {
        // Global Select, normal, lots of 100 but odd ones allowed, common stock, live, no short
        // sale threshold, no new issue, price tier 1, no fund, no leverage, not inverse.
        let lot = 100_u32.to_be_bytes();
        let fields: [&[u8]; 5] = [&stock, b"QN", &lot, b"NCZ PNN1N", b"\0\0\0\0N"];
        self.message(b'R', locate, fields);
    }
}

const fn letter(side: Side) -> u8 {
    match side {
        Side::Buy => b'B',
        Side::Sell => b'S',
    }
}
