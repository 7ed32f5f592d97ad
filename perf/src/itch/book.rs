//! Order books rebuilt from messages, for any number of stocks at once.
//!
//! A [`Books`] keeps every live order by its reference number and, per stock locate, one ladder
//! of price levels for each side. Two `Books` never share anything, so a stream split by locate
//! may be applied by as many of them as there are parts; their [`FinalState`]s merge into the one
//! that a single `Books` would have reached.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use super::message::{Body, Message, Side, Stock};
use super::state::{
    Anomalies, Anomaly, ChangeDigest, FinalState, Level, MIX_A, MIX_B, SymbolSummary, fold,
};

/// The best bid and offer of one stock: 32 bytes. A side without orders is all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopOfBook {
    /// Shares of all orders at the best bid.
    pub bid_shares: u64,
    /// Shares of all orders at the best offer.
    pub ask_shares: u64,
    /// The highest bid price.
    pub bid_price: u32,
    /// The lowest offer price.
    pub ask_price: u32,
    /// The stock.
    pub locate: u16,
}

/// The books of many stocks and the orders in them.
///
/// An order belongs to its stock: the same reference number under another locate is another order. So what
/// a message does depends on nothing but the earlier messages of its own stock.
///
/// # Invariants
///
/// * I1: every live order has shares.
/// * I2: a level exists exactly if a live order of that stock, side and price does, and holds the
///   number and the shares of all of them.
/// * I3: `slots[locate]` is 0, or one more than the index of the stock's book in `list`.
#[derive(Clone, Debug, Default)]
pub struct Books {
    slots: Vec<u32>,
    list: Vec<Book>,
    anomalies: Anomalies,
}

impl Books {
    /// No books yet: a stock gets one with its directory message or its first order.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the next message. Returns the stock's top of book if the message changed the best
    /// price or its total shares on either side; messages that touch no visible order return `None`.
    ///
    /// # Errors
    ///
    /// [`Anomaly`] if the message contradicts the orders of its stock seen so far. It is counted in
    /// [`anomalies`](Self::anomalies) and changes nothing else. It is never [`Anomaly::WrongStock`].
    #[inline]
    pub fn apply(&mut self, message: &Message) -> Result<Option<TopOfBook>, Anomaly> {
        let applied = self.change(message);
        if let Err(anomaly) = applied {
            self.anomalies.count(anomaly);
        }
        applied
    }

    #[inline]
    fn change(&mut self, message: &Message) -> Result<Option<TopOfBook>, Anomaly> {
        let locate = message.locate();
        match message.body {
            Body::Add { shares: 0, .. }
            | Body::Replace { shares: 0, .. }
            | Body::Execute { shares: 0, .. }
            | Body::ExecuteAt { shares: 0, .. }
            | Body::Cancel { shares: 0, .. } => Err(Anomaly::NoShares),
            Body::Add {
                order,
                stock,
                shares,
                price,
                side,
                ..
            } => {
                let added = Order {
                    shares,
                    price,
                    side,
                };
                self.book_of(locate, stock).add(order, added)
            }
            Body::Delete { order } => self.book_at(locate)?.delete(order),
            Body::Replace {
                old,
                new,
                shares,
                price,
            } => self.book_at(locate)?.replace(old, new, shares, price),
            Body::Execute { order, shares, .. }
            | Body::ExecuteAt { order, shares, .. }
            | Body::Cancel { order, shares } => self.book_at(locate)?.reduce(order, shares),
            Body::Directory { stock, .. } => {
                self.book_of(locate, stock);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// The contradictory messages so far.
    #[must_use]
    pub const fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// Number of live orders in all books.
    #[must_use]
    pub fn live_orders(&self) -> usize {
        self.list.iter().map(|book| book.orders.len()).sum()
    }

    /// Whether the stock has a live order of this reference number.
    #[must_use]
    pub fn is_live(&self, locate: u16, order: u64) -> bool {
        let slot = self.slots.get(usize::from(locate)).copied().unwrap_or(0) as usize;
        let book = slot.checked_sub(1).and_then(|at| self.list.get(at));
        book.is_some_and(|book| book.orders.contains_key(&order))
    }

    /// All books as they are now.
    #[must_use]
    pub fn final_state(&self) -> FinalState {
        let summary = |book: &Book| {
            let [bids, asks] =
                [&book.bids, &book.asks].map(|side| side.levels.iter().rev().copied().collect());
            SymbolSummary {
                stock: book.stock,
                bids,
                asks,
                changes: book.changes,
            }
        };
        let symbols = self
            .list
            .iter()
            .map(|book| (book.locate, summary(book)))
            .collect();
        FinalState {
            symbols,
            anomalies: self.anomalies,
        }
    }

    /// The stock's book; without one it has no order either.
    #[inline]
    fn book_at(&mut self, locate: u16) -> Result<&mut Book, Anomaly> {
        let slot = self.slots.get(usize::from(locate)).copied().unwrap_or(0) as usize;
        let book = slot.checked_sub(1).and_then(|at| self.list.get_mut(at));
        book.ok_or(Anomaly::UnknownOrder)
    }

    /// The stock's book, made if there is none yet.
    fn book_of(&mut self, locate: u16, stock: Stock) -> &mut Book {
        let at = usize::from(locate);
        if at >= self.slots.len() {
            self.slots.resize(at + 1, 0);
        }
        if self.slots[at] == 0 {
            self.list.push(Book::new(locate, stock));
            // At most one book per u16, so the index always fits.
            self.slots[at] = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        }
        &mut self.list[self.slots[at] as usize - 1]
    }
}

/// A live order: 12 bytes.
#[derive(Clone, Copy, Debug)]
struct Order {
    shares: u32,
    price: u32,
    side: Side,
}

/// One stock.
#[derive(Clone, Debug)]
struct Book {
    orders: ByOrder<Order>,
    bids: Ladder,
    asks: Ladder,
    changes: ChangeDigest,
    stock: Stock,
    locate: u16,
}

impl Book {
    fn new(locate: u16, stock: Stock) -> Self {
        Self {
            orders: ByOrder::default(),
            bids: Ladder {
                levels: Vec::new(),
                flip: 0,
            },
            asks: Ladder {
                levels: Vec::new(),
                flip: u32::MAX,
            },
            changes: ChangeDigest::default(),
            stock,
            locate,
        }
    }

    fn add(&mut self, reference: u64, order: Order) -> Result<Option<TopOfBook>, Anomaly> {
        match self.orders.entry(reference) {
            Entry::Vacant(free) => free.insert(order),
            Entry::Occupied(_) => return Err(Anomaly::DuplicateOrder),
        };
        Ok(self.change(order.side, |side| side.add(order.price, order.shares)))
    }

    fn reduce(&mut self, reference: u64, shares: u32) -> Result<Option<TopOfBook>, Anomaly> {
        let Entry::Occupied(mut entry) = self.orders.entry(reference) else {
            return Err(Anomaly::UnknownOrder);
        };
        let order = entry.get_mut();
        if shares > order.shares {
            return Err(Anomaly::TooManyShares);
        }
        order.shares -= shares;
        let order = *order;
        if order.shares == 0 {
            entry.remove();
        }
        Ok(self.change(order.side, |side| {
            side.take(order.price, shares, order.shares == 0);
        }))
    }

    fn delete(&mut self, reference: u64) -> Result<Option<TopOfBook>, Anomaly> {
        let order = self.remove(reference)?;
        Ok(self.change(order.side, |side| {
            side.take(order.price, order.shares, true);
        }))
    }

    fn replace(
        &mut self,
        old: u64,
        new: u64,
        shares: u32,
        price: u32,
    ) -> Result<Option<TopOfBook>, Anomaly> {
        if self.orders.contains_key(&new) {
            return Err(Anomaly::DuplicateOrder);
        }
        let gone = self.remove(old)?;
        let side = gone.side;
        let order = Order {
            shares,
            price,
            side,
        };
        self.orders.insert(new, order);
        Ok(self.change(side, |side| {
            side.take(gone.price, gone.shares, true);
            side.add(price, shares);
        }))
    }

    fn remove(&mut self, reference: u64) -> Result<Order, Anomaly> {
        self.orders.remove(&reference).ok_or(Anomaly::UnknownOrder)
    }

    /// Runs `operation` on one side and reports the top of book if it changed there.
    #[inline]
    fn change(&mut self, side: Side, operation: impl FnOnce(&mut Ladder)) -> Option<TopOfBook> {
        let ladder = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let before = ladder.best();
        operation(ladder);
        if ladder.best() == before {
            return None;
        }
        let (bid_price, bid_shares) = self.bids.best();
        let (ask_price, ask_shares) = self.asks.best();
        let top = TopOfBook {
            bid_shares,
            ask_shares,
            bid_price,
            ask_price,
            locate: self.locate,
        };
        self.changes.record(&top);
        Some(top)
    }
}

/// Levels next to the best that are searched one by one; those behind them by halving. Bounds the
/// search in deep books; generated days, with 31 levels a stock, are as fast with 8 or with no
/// bound.
const NEAR: usize = 16;

/// The price levels of one side, the best one last: most messages touch levels near the best, and
/// there few levels have to move.
#[derive(Clone, Debug)]
struct Ladder {
    /// Ascending by `price ^ flip`.
    levels: Vec<Level>,
    /// 0 for bids; all ones for offers, which makes the lowest price the greatest key.
    flip: u32,
}

impl Ladder {
    /// Price and shares of the best level, zero if there is none.
    #[inline]
    fn best(&self) -> (u32, u64) {
        self.levels
            .last()
            .map_or((0, 0), |level| (level.price, level.shares))
    }

    /// Where the level of this price is, or where it would have to be inserted.
    #[inline]
    fn find(&self, price: u32) -> Result<usize, usize> {
        let key = price ^ self.flip;
        let far = self.levels.len().saturating_sub(NEAR);
        if far > 0 && key < self.levels[far].price ^ self.flip {
            return self.levels[..far].binary_search_by_key(&key, |level| level.price ^ self.flip);
        }
        let near = &self.levels[far..];
        match near
            .iter()
            .rposition(|level| level.price ^ self.flip <= key)
        {
            Some(at) if near[at].price == price => Ok(far + at),
            Some(at) => Err(far + at + 1),
            None => Err(far),
        }
    }

    #[inline]
    fn add(&mut self, price: u32, shares: u32) {
        let shares = u64::from(shares);
        match self.find(price) {
            Ok(at) => {
                self.levels[at].orders += 1;
                self.levels[at].shares += shares;
            }
            Err(at) => self.levels.insert(
                at,
                Level {
                    price,
                    orders: 1,
                    shares,
                },
            ),
        }
    }

    /// Takes shares from a level that has them (I2), and with `order_gone` one of its orders.
    #[inline]
    fn take(&mut self, price: u32, shares: u32, order_gone: bool) {
        let Ok(at) = self.find(price) else {
            debug_assert!(false, "no level at the price {price} of a live order");
            return;
        };
        let level = &mut self.levels[at];
        level.shares -= u64::from(shares);
        level.orders -= u32::from(order_gone);
        if level.orders == 0 {
            self.levels.remove(at);
        }
    }
}

/// A map whose keys are order references.
pub(super) type ByOrder<V> = HashMap<u64, V, BuildHasherDefault<OrderHasher>>;

/// Hashes an order reference. They count up through the day, so one multiplication spreads them
/// well, and nobody gains from choosing them badly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OrderHasher(u64);

impl Hasher for OrderHasher {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = fold(word ^ MIX_B, MIX_A);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = fold(self.0 ^ u64::from(byte), MIX_A);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
