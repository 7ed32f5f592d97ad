//! Messages of NASDAQ TotalView-ITCH 5.0: their types, their lengths, and what they say.
//!
//! Every message starts with the same eleven bytes, all numbers big endian:
//!
//! ```text
//! 0      type, one ASCII letter
//! 1..3   stock locate, the day's small number of the stock (0: no stock)
//! 3..5   tracking number, internal to NASDAQ and not kept here
//! 5..11  timestamp, nanoseconds since midnight
//! ```
//!
//! and has a fixed length for its type. Types that touch an order or a book, and those that cost
//! nothing more, are decoded; the rest are checked for length and kept as [`Body::Other`].
//!
//! Source: the message formats of "Nasdaq TotalView-ITCH 5.0", the specification published on
//! nasdaqtrader.com, in an edition that has the direct-listing message `O`.

use std::fmt;

/// Every message type of the specification with its length on the wire, in bytes without the
/// length prefix.
pub const KINDS: [(u8, u8); 23] = [
    (b'S', 12), // system event
    (b'R', 39), // stock directory
    (b'H', 25), // stock trading action
    (b'Y', 20), // Reg SHO short sale restriction
    (b'L', 26), // market participant position
    (b'V', 35), // market-wide circuit breaker: decline levels
    (b'W', 12), // market-wide circuit breaker: status
    (b'K', 28), // IPO quoting period update
    (b'J', 35), // limit up - limit down auction collar
    (b'h', 21), // operational halt
    (b'A', 36), // add order
    (b'F', 40), // add order with attribution
    (b'E', 31), // order executed
    (b'C', 36), // order executed at another price
    (b'X', 23), // order cancelled in part
    (b'D', 19), // order deleted
    (b'U', 35), // order replaced
    (b'P', 44), // trade against a hidden order
    (b'Q', 40), // cross trade
    (b'B', 19), // broken trade
    (b'I', 50), // net order imbalance indicator
    (b'N', 20), // retail price improvement indicator
    (b'O', 48), // direct listing with capital raise
];

/// Longest message of the specification, in bytes: the net order imbalance indicator, `I`.
pub const MAX_LENGTH: usize = length(b'I');

/// [`KINDS`] by type letter; 0 for a letter that is no type.
const LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut next = 0;
    while next < KINDS.len() {
        let (kind, length) = KINDS[next];
        lengths[kind as usize] = length;
        next += 1;
    }
    lengths
};

/// Length on the wire of a message of type `kind`, in bytes without the length prefix, or `None`
/// for a letter that is no type of ITCH 5.0.
#[must_use]
pub const fn wire_length(kind: u8) -> Option<usize> {
    match length(kind) {
        0 => None,
        length => Some(length),
    }
}

/// [`wire_length`] for constants: 0 for a letter that is no type.
pub(super) const fn length(kind: u8) -> usize {
    LENGTHS[kind as usize] as usize
}

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A bid, `B` on the wire.
    Buy,
    /// An offer, `S` on the wire.
    Sell,
}

/// A stock symbol as on the wire: eight ASCII bytes, padded on the right with spaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stock(pub [u8; 8]);

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.trim_ascii_end().escape_ascii())
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stock({self})")
    }
}

/// One decoded message: 40 bytes, [`Copy`], borrowing nothing from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Timestamp in the upper 48 bits, locate in the lower 16. Packed because the two would
    /// otherwise cost eight more bytes.
    stamp: u64,
    /// What the message says.
    pub body: Body,
}

/// What a message says; order references are unique within a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `S`: a boundary of the day. `O` and `C` are the first and the last message, `S` and `E`
    /// bound the system hours, `Q` and `M` the market hours.
    System {
        /// The event code, an ASCII letter.
        code: u8,
    },
    /// `R`: names the stock behind a locate.
    Directory {
        /// The symbol.
        stock: Stock,
        /// Shares in a round lot.
        round_lot: u32,
        /// Listing market, an ASCII letter.
        market: u8,
    },
    /// `H`: trading in the stock halted, paused, quote-only or resumed.
    TradingAction {
        /// The symbol.
        stock: Stock,
        /// The new state: `H`, `P`, `Q` or `T`.
        state: u8,
    },
    /// `A` and `F`: a new visible order.
    Add {
        /// The order's reference number.
        order: u64,
        /// The symbol.
        stock: Stock,
        /// Shares on offer.
        shares: u32,
        /// Limit price.
        price: u32,
        /// Bid or offer.
        side: Side,
        /// The market participant of an `F`, spaces for an `A`.
        attribution: [u8; 4],
    },
    /// `E`: shares of a visible order were executed at its price.
    Execute {
        /// The order's reference number.
        order: u64,
        /// Shares executed.
        shares: u32,
        /// Number of the match.
        match_number: u64,
    },
    /// `C`: shares of a visible order were executed at a price other than its own.
    ExecuteAt {
        /// The order's reference number.
        order: u64,
        /// Shares executed.
        shares: u32,
        /// Number of the match.
        match_number: u64,
        /// Price of the execution.
        price: u32,
        /// Whether the execution counts as a trade of its own.
        printable: bool,
    },
    /// `X`: part of an order's shares were withdrawn.
    Cancel {
        /// The order's reference number.
        order: u64,
        /// Shares withdrawn.
        shares: u32,
    },
    /// `D`: the whole order was withdrawn.
    Delete {
        /// The order's reference number.
        order: u64,
    },
    /// `U`: an order gave way to a new one of the same stock and side.
    Replace {
        /// Reference number of the order that goes.
        old: u64,
        /// Reference number of the order that comes.
        new: u64,
        /// Shares of the new order.
        shares: u32,
        /// Limit price of the new order.
        price: u32,
    },
    /// `P`: a trade against a hidden order; no visible order changes. The order reference is left
    /// out: NASDAQ has sent zero since 2010.
    Trade {
        /// The symbol.
        stock: Stock,
        /// Shares traded.
        shares: u32,
        /// Price of the trade.
        price: u32,
        /// Number of the match.
        match_number: u64,
        /// Side of the hidden order; NASDAQ has sent `B` for both since 2014.
        side: Side,
    },
    /// `Q`: the bulk print of an auction.
    Cross {
        /// The symbol.
        stock: Stock,
        /// Shares crossed.
        shares: u64,
        /// The cross price.
        price: u32,
        /// Number of the match.
        match_number: u64,
        /// `O` opening, `C` closing, `H` halt or IPO.
        cross: u8,
    },
    /// `B`: an earlier execution was annulled; no visible order changes.
    Broken {
        /// Number of the annulled match.
        match_number: u64,
    },
    /// Any other type of the specification; only its length was checked.
    Other {
        /// The type letter.
        kind: u8,
    },
}

impl Message {
    /// From the first eleven bytes, which are alike in all types.
    #[inline]
    pub(super) fn with_header(header: &[u8; 11], body: Body) -> Self {
        let &[_, l0, l1, k0, k1, t0, t1, t2, t3, t4, t5] = header;
        // Bytes 3 to 11 are the tracking number and, below it, the timestamp; shifting the
        // former out makes room for the locate.
        let stamp = u64::from_be_bytes([k0, k1, t0, t1, t2, t3, t4, t5]) << 16;
        Self {
            stamp: stamp | u64::from(u16::from_be_bytes([l0, l1])),
            body,
        }
    }

    /// The stock locate: the day's number of the stock, 0 for messages about no one stock.
    #[inline]
    #[must_use]
    pub const fn locate(&self) -> u16 {
        (self.stamp & 0xffff) as u16
    }

    /// Nanoseconds since midnight.
    #[inline]
    #[must_use]
    pub const fn timestamp(&self) -> u64 {
        self.stamp >> 16
    }

    /// Reads the locate of an encoded message without decoding it: enough to route it. `None`
    /// if there are fewer than the three bytes that takes.
    #[inline]
    #[must_use]
    pub fn peek_locate(bytes: &[u8]) -> Option<u16> {
        bytes.get(1..3).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }
}

// The budget of a job in the rings: a message and a sequence number in one cache line.
const _: () = assert!(size_of::<Message>() == 40);
