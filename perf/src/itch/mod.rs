//! A real workload: NASDAQ TotalView-ITCH 5.0 from raw bytes to top-of-book changes.
//!
//! Everything here is pure and single-threaded and knows nothing of the executor; the
//! pipelines compare themselves with a plain loop over the same four pieces.
//!
//! ```text
//! file or generate() -> Frames -> Message::decode -> Books::apply -> TopOfBook
//!      bytes            slices     40-byte Copy       per locate     on change only
//! ```
//!
//! * [`message`] and [`decode`]: the wire format, one fixed length per message type.
//! * [`frame`]: the length-prefixed stream in which NASDAQ publishes its sample days.
//! * [`book`]: order books by stock locate.
//! * [`mod@audit`]: one look at a whole input: where it ends, whether it can be decoded, and where it
//!   contradicts itself.
//! * [`state`]: what the books come to, to be merged, compared and printed as one number.
//! * [`mod@generate`]: a deterministic day of legal messages for machines without a sample file.
//!
//! Units throughout: a price is a `u32` of 1/10,000 dollar (ITCH "Price (4)"), a quantity is in
//! shares, a time is in nanoseconds since midnight, an offset is in bytes from the file's start.

pub mod audit;
pub mod book;
pub mod decode;
pub mod frame;
pub mod generate;
mod market;
pub mod message;
pub mod state;

#[cfg(test)]
mod tests;

pub use audit::{Audit, Contradiction, InputError, audit};
pub use book::{Books, TopOfBook};
pub use frame::{Frames, Messages, StreamError};
pub use generate::{DEFAULT_SYMBOLS, GenerateError, Plan, generate};
pub use message::Message;
pub use state::{Anomalies, FinalState};
