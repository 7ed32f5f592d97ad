//! What books come to: comparable, mergeable, and condensed into one number.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::Serialize;

use super::book::TopOfBook;
use super::message::Stock;

/// The orders of one side at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price: u32,
    /// Number of orders, never zero.
    pub orders: u32,
    /// Their shares in total.
    pub shares: u64,
}

/// How a message contradicts those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// It refers to an order that is not live.
    UnknownOrder,
    /// It refers to, or adds, an order number that is live in another stock. Only an
    /// [`Audit`](super::audit::Audit) tells: the books of a stock know nothing of other stocks.
    WrongStock,
    /// It executes or cancels more shares than the order has.
    TooManyShares,
    /// It adds, or replaces by, an order that is live already.
    DuplicateOrder,
    /// It adds, executes, cancels or replaces by no shares at all.
    NoShares,
}

impl Anomaly {
    /// The name in reports, which is that of the field in [`Anomalies`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownOrder => "unknown_order",
            Self::WrongStock => "wrong_stock",
            Self::TooManyShares => "too_many_shares",
            Self::DuplicateOrder => "duplicate_order",
            Self::NoShares => "no_shares",
        }
    }
}

/// Counts of messages that contradict those before them, by [`Anomaly`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Anomalies {
    /// [`Anomaly::UnknownOrder`].
    pub unknown_order: u64,
    /// [`Anomaly::WrongStock`].
    pub wrong_stock: u64,
    /// [`Anomaly::TooManyShares`].
    pub too_many_shares: u64,
    /// [`Anomaly::DuplicateOrder`].
    pub duplicate_order: u64,
    /// [`Anomaly::NoShares`].
    pub no_shares: u64,
}

impl Anomalies {
    /// Contradictory messages of all sorts.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unknown_order
            + self.wrong_stock
            + self.too_many_shares
            + self.duplicate_order
            + self.no_shares
    }

    /// Contradictory messages of this sort.
    #[must_use]
    pub const fn of(&self, anomaly: Anomaly) -> u64 {
        match anomaly {
            Anomaly::UnknownOrder => self.unknown_order,
            Anomaly::WrongStock => self.wrong_stock,
            Anomaly::TooManyShares => self.too_many_shares,
            Anomaly::DuplicateOrder => self.duplicate_order,
            Anomaly::NoShares => self.no_shares,
        }
    }

    /// Counts one more.
    pub(super) const fn count(&mut self, anomaly: Anomaly) {
        let counter = match anomaly {
            Anomaly::UnknownOrder => &mut self.unknown_order,
            Anomaly::WrongStock => &mut self.wrong_stock,
            Anomaly::TooManyShares => &mut self.too_many_shares,
            Anomaly::DuplicateOrder => &mut self.duplicate_order,
            Anomaly::NoShares => &mut self.no_shares,
        };
        *counter += 1;
    }

    fn add(&mut self, other: &Self) {
        self.unknown_order += other.unknown_order;
        self.wrong_stock += other.wrong_stock;
        self.too_many_shares += other.too_many_shares;
        self.duplicate_order += other.duplicate_order;
        self.no_shares += other.no_shares;
    }
}

/// Count and order-sensitive hash of one stock's top-of-book changes. A later stage that records
/// the changes it receives must arrive at the digest in the stock's [`SymbolSummary`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeDigest {
    /// Changes recorded.
    pub count: u64,
    /// Hash of all of them in order; 0 before the first.
    pub hash: u64,
}

impl ChangeDigest {
    /// Adds the next change.
    #[inline]
    pub fn record(&mut self, top: &TopOfBook) {
        let prices = u64::from(top.bid_price) << 32 | u64::from(top.ask_price);
        let shares = top.bid_shares.rotate_left(32) ^ top.ask_shares;
        self.count += 1;
        self.hash = fold(fold(self.hash ^ shares, MIX_A).wrapping_add(prices), MIX_B);
    }
}

/// What one stock's book came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolSummary {
    /// The symbol, once a directory message or an order has named it.
    pub stock: Stock,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Offers, best first.
    pub asks: Vec<Level>,
    /// The top-of-book changes on the way there.
    pub changes: ChangeDigest,
}

/// The outcome of one or more [`Books`](super::book::Books): equal for equal input, however it was
/// split by stock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalState {
    /// Every stock by locate.
    pub symbols: BTreeMap<u16, SymbolSummary>,
    /// Contradictory messages.
    pub anomalies: Anomalies,
}

/// Two states that were to be merged both hold this stock: the split was not by locate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlapError {
    /// The stock found in both.
    pub locate: u16,
}

impl fmt::Display for OverlapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stock locate {} is in both of two states to be merged",
            self.locate
        )
    }
}

impl Error for OverlapError {}

impl FinalState {
    /// Takes in the state of `other`, which must hold other stocks.
    ///
    /// # Errors
    ///
    /// [`OverlapError`] names the first stock that both hold; `self` is then unchanged.
    pub fn merge(&mut self, mut other: Self) -> Result<(), OverlapError> {
        if let Some(&locate) = other.symbols.keys().find(|k| self.symbols.contains_key(k)) {
            return Err(OverlapError { locate });
        }
        self.symbols.append(&mut other.symbols);
        self.anomalies.add(&other.anomalies);
        Ok(())
    }

    /// Top-of-book changes of all stocks.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.symbols
            .values()
            .map(|symbol| symbol.changes.count)
            .sum()
    }

    /// One number for the whole state, the same on every machine; to print and to compare runs.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        let mut sum = 0;
        let mut mix = |word: u64| sum = fold(sum ^ word, MIX_A).wrapping_add(MIX_B);
        for (&locate, symbol) in &self.symbols {
            mix(u64::from(locate));
            mix(u64::from_be_bytes(symbol.stock.0));
            for side in [&symbol.bids, &symbol.asks] {
                mix(side.len() as u64);
                for level in side {
                    mix(u64::from(level.price) << 32 | u64::from(level.orders));
                    mix(level.shares);
                }
            }
            mix(symbol.changes.count);
            mix(symbol.changes.hash);
        }
        mix(self.anomalies.total());
        sum
    }
}

/// Odd constants without pattern: the fractional digits of the golden ratio and of the square
/// root of three, in 64 bits.
pub(super) const MIX_A: u64 = 0x9e37_79b9_7f4a_7c15;
pub(super) const MIX_B: u64 = 0xbb67_ae85_84ca_a73b;

/// The two halves of a 128-bit product, combined: the input's low bits reach the output's high
/// ones, and the reverse.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are what is wanted"
)]
pub(super) const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}
