//! Decoding of the wire form: one length check per message, then reads at fixed positions.

use std::error::Error;
use std::fmt;

use super::message::{Body, Message, Side, Stock, length, wire_length};

/// Why bytes are not a message of ITCH 5.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// There are no bytes.
    Empty,
    /// The first byte is no message type.
    UnknownKind {
        /// The byte found where a type letter was expected.
        kind: u8,
    },
    /// The length is not that of the type.
    WrongLength {
        /// The type letter.
        kind: u8,
        /// Bytes the specification gives the type.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The buy/sell indicator is neither `B` nor `S`.
    BadSide {
        /// The type letter.
        kind: u8,
        /// Position of the indicator within the message.
        at: usize,
        /// The byte found.
        found: u8,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(
                f,
                "empty message: expected at least a type byte, found 0 bytes"
            ),
            Self::UnknownKind { kind } => write!(
                f,
                "expected an ITCH 5.0 message type, found byte 0x{kind:02x} ('{}')",
                kind.escape_ascii()
            ),
            Self::WrongLength {
                kind,
                expected,
                found,
            } => write!(
                f,
                "message type '{}': expected {expected} bytes, found {found}",
                kind.escape_ascii()
            ),
            Self::BadSide { kind, at, found } => write!(
                f,
                "message type '{}': expected side 'B' or 'S' at byte {at}, found 0x{found:02x}",
                kind.escape_ascii()
            ),
        }
    }
}

impl Error for DecodeError {}

impl Message {
    /// Decodes one message, given without its length prefix.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if `bytes` is empty, of an unknown type, not exactly as long as its type
    /// demands, or has an impossible side.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(&kind) = bytes.first() else {
            return Err(DecodeError::Empty);
        };
        match kind {
            b'A' => {
                let b = exact::<{ length(b'A') }>(kind, bytes)?;
                Ok(message(b, add(b, *b"    ")?))
            }
            b'D' => {
                let b = exact::<{ length(b'D') }>(kind, bytes)?;
                Ok(message(
                    b,
                    Body::Delete {
                        order: be_u64(b, 11),
                    },
                ))
            }
            b'U' => {
                let b = exact::<{ length(b'U') }>(kind, bytes)?;
                let (old, new) = (be_u64(b, 11), be_u64(b, 19));
                let (shares, price) = (be_u32(b, 27), be_u32(b, 31));
                Ok(message(
                    b,
                    Body::Replace {
                        old,
                        new,
                        shares,
                        price,
                    },
                ))
            }
            b'E' => {
                let b = exact::<{ length(b'E') }>(kind, bytes)?;
                let (order, shares, match_number) = (be_u64(b, 11), be_u32(b, 19), be_u64(b, 23));
                Ok(message(
                    b,
                    Body::Execute {
                        order,
                        shares,
                        match_number,
                    },
                ))
            }
            b'X' => {
                let b = exact::<{ length(b'X') }>(kind, bytes)?;
                Ok(message(
                    b,
                    Body::Cancel {
                        order: be_u64(b, 11),
                        shares: be_u32(b, 19),
                    },
                ))
            }
            b'F' => {
                let b = exact::<{ length(b'F') }>(kind, bytes)?;
                Ok(message(b, add(b, bytes_at(b, 36))?))
            }
            _ => decode_rare(kind, bytes),
        }
    }
}

/// The types that are together less than a fiftieth of a day, kept out of the common path.
fn decode_rare(kind: u8, bytes: &[u8]) -> Result<Message, DecodeError> {
    match kind {
        b'S' => {
            let b = exact::<{ length(b'S') }>(kind, bytes)?;
            Ok(message(b, Body::System { code: b[11] }))
        }
        b'R' => {
            let b = exact::<{ length(b'R') }>(kind, bytes)?;
            let (stock, round_lot, market) = (Stock(bytes_at(b, 11)), be_u32(b, 21), b[19]);
            Ok(message(
                b,
                Body::Directory {
                    stock,
                    round_lot,
                    market,
                },
            ))
        }
        b'H' => {
            let b = exact::<{ length(b'H') }>(kind, bytes)?;
            let (stock, state) = (Stock(bytes_at(b, 11)), b[19]);
            Ok(message(b, Body::TradingAction { stock, state }))
        }
        b'C' => {
            let b = exact::<{ length(b'C') }>(kind, bytes)?;
            let (order, shares, match_number) = (be_u64(b, 11), be_u32(b, 19), be_u64(b, 23));
            let (printable, price) = (b[31] == b'Y', be_u32(b, 32));
            let body = Body::ExecuteAt {
                order,
                shares,
                match_number,
                price,
                printable,
            };
            Ok(message(b, body))
        }
        b'P' => {
            let b = exact::<{ length(b'P') }>(kind, bytes)?;
            let (side, shares, stock) = (side(b, 19)?, be_u32(b, 20), Stock(bytes_at(b, 24)));
            let (price, match_number) = (be_u32(b, 32), be_u64(b, 36));
            Ok(message(
                b,
                Body::Trade {
                    stock,
                    shares,
                    price,
                    match_number,
                    side,
                },
            ))
        }
        b'Q' => {
            let b = exact::<{ length(b'Q') }>(kind, bytes)?;
            let (shares, stock, price) = (be_u64(b, 11), Stock(bytes_at(b, 19)), be_u32(b, 27));
            let (match_number, cross) = (be_u64(b, 31), b[39]);
            Ok(message(
                b,
                Body::Cross {
                    stock,
                    shares,
                    price,
                    match_number,
                    cross,
                },
            ))
        }
        b'B' => {
            let b = exact::<{ length(b'B') }>(kind, bytes)?;
            Ok(message(
                b,
                Body::Broken {
                    match_number: be_u64(b, 11),
                },
            ))
        }
        _ => {
            let expected = wire_length(kind).ok_or(DecodeError::UnknownKind { kind })?;
            let found = bytes.len();
            // Every type is longer than the common header, so the header is there if this holds.
            match bytes.first_chunk::<11>() {
                Some(b) if found == expected => Ok(message(b, Body::Other { kind })),
                _ => Err(DecodeError::WrongLength {
                    kind,
                    expected,
                    found,
                }),
            }
        }
    }
}

/// The message of a type that `N` is the length of.
#[inline]
fn message<const N: usize>(b: &[u8; N], body: Body) -> Message {
    Message::with_header(&bytes_at(b, 0), body)
}

/// `bytes` as an array of exactly the type's length: one comparison, and the reads that follow
/// need none.
#[inline]
fn exact<const N: usize>(kind: u8, bytes: &[u8]) -> Result<&[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::WrongLength {
        kind,
        expected: N,
        found: bytes.len(),
    })
}

#[inline]
fn add<const N: usize>(b: &[u8; N], attribution: [u8; 4]) -> Result<Body, DecodeError> {
    Ok(Body::Add {
        order: be_u64(b, 11),
        stock: Stock(bytes_at(b, 24)),
        shares: be_u32(b, 20),
        price: be_u32(b, 32),
        side: side(b, 19)?,
        attribution,
    })
}

#[inline]
fn side<const N: usize>(b: &[u8; N], at: usize) -> Result<Side, DecodeError> {
    match b[at] {
        b'B' => Ok(Side::Buy),
        b'S' => Ok(Side::Sell),
        found => Err(DecodeError::BadSide {
            kind: b[0],
            at,
            found,
        }),
    }
}

/// `M` bytes from position `at`; every caller passes constants within the array.
#[inline]
fn bytes_at<const N: usize, const M: usize>(b: &[u8; N], at: usize) -> [u8; M] {
    std::array::from_fn(|i| b[at + i])
}

#[inline]
fn be_u32<const N: usize>(b: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes(bytes_at(b, at))
}

#[inline]
fn be_u64<const N: usize>(b: &[u8; N], at: usize) -> u64 {
    u64::from_be_bytes(bytes_at(b, at))
}
