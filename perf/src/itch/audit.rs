//! One look at a whole input, before anything is done with it: where it ends, whether all of it can be
//! decoded, and where it contradicts itself.

use std::error::Error;
use std::fmt;

use super::book::{Books, ByOrder};
use super::frame::{Frames, StreamError};
use super::message::{Body, Message};
use super::state::{Anomalies, Anomaly};

/// A message that contradicts those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// How it contradicts them.
    pub anomaly: Anomaly,
    /// The message, counted from 1.
    pub message: u64,
    /// Offset in the file of the message's first byte, its type.
    pub offset: usize,
    /// The stock that the message names.
    pub locate: u16,
    /// The order that it is about.
    pub order: u64,
    /// The other stock in which that order is live, of an [`Anomaly::WrongStock`].
    pub other: Option<u16>,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            offset,
            locate,
            order,
            ..
        } = self;
        write!(f, "message {message} at byte {offset}: ")?;
        match (self.anomaly, self.other) {
            (Anomaly::WrongStock, Some(other)) => write!(
                f,
                "names order {order} of locate {locate}, which is live at locate {other}"
            ),
            (Anomaly::UnknownOrder | Anomaly::WrongStock, _) => {
                write!(f, "order {order} is not live at locate {locate}")
            }
            (Anomaly::TooManyShares, _) => {
                write!(
                    f,
                    "takes more shares than order {order} of locate {locate} has"
                )
            }
            (Anomaly::DuplicateOrder, _) => {
                write!(f, "order {order} is live at locate {locate} already")
            }
            (Anomaly::NoShares, _) => {
                write!(f, "names no shares for order {order} of locate {locate}")
            }
        }
    }
}

/// What an input comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Messages.
    pub messages: u64,
    /// Bytes that hold them.
    pub bytes: usize,
    /// Messages that contradict those before them; each counts once.
    pub anomalies: Anomalies,
    /// The first message of each sort of anomaly, in the order of the input.
    pub first: Vec<Contradiction>,
}

/// Why an input is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The message that cannot be read, counted from 1.
    pub message: u64,
    /// Where it lies, and what is wrong with it.
    pub error: StreamError,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {}, {}", self.message, self.error)
    }
}

impl Error for InputError {}

/// Looks at the first `messages` of `input`, or at all of it if there are fewer.
///
/// # Errors
///
/// [`InputError`] at the first message that is not framed or not decoded.
pub fn audit(input: &[u8], messages: usize) -> Result<Audit, InputError> {
    let mut found = Audit::default();
    let mut books = Books::new();
    let mut live = Live::default();
    let mut frames = Frames::new(input);
    for frame in frames.by_ref().take(messages) {
        found.messages += 1;
        let blame = |error| InputError {
            message: found.messages,
            error,
        };
        let frame = frame.map_err(|error| blame(error.into()))?;
        let message = match frame.decode() {
            Ok(message) => message,
            Err(error) => return Err(blame(frame.blame(error))),
        };
        let Some((anomaly, order, other)) = look(&mut books, &mut live, &message) else {
            continue;
        };
        if found.anomalies.of(anomaly) == 0 {
            found.first.push(Contradiction {
                anomaly,
                message: found.messages,
                offset: frame.offset,
                locate: message.locate(),
                order,
                other,
            });
        }
        found.anomalies.count(anomaly);
    }
    let end = frames.offset();
    let more = frames.next().is_some();
    found.bytes = if more { end } else { input.len() }; // The end-of-session mark belongs to the last one.
    Ok(found)
}

/// Applies a message. Says how it contradicts earlier ones, about which order, and where else that is live.
fn look(
    books: &mut Books,
    live: &mut Live,
    message: &Message,
) -> Option<(Anomaly, u64, Option<u16>)> {
    let locate = message.locate();
    let applied = books.apply(message);
    let (refers, adds) = match message.body {
        Body::Add { order, .. } => (None, Some(order)),
        Body::Replace { old, new, .. } => (Some(old), Some(new)),
        Body::Delete { order }
        | Body::Execute { order, .. }
        | Body::ExecuteAt { order, .. }
        | Body::Cancel { order, .. } => (Some(order), None),
        _ => return None,
    };
    match applied {
        Ok(_) => {
            if let Some(gone) = refers.filter(|&order| !books.is_live(locate, order)) {
                live.leave(gone);
            }
            let added = adds?;
            let other = live.enter(added, locate)?;
            Some((Anomaly::WrongStock, added, Some(other)))
        }
        Err(Anomaly::UnknownOrder) => {
            let order = refers?;
            match live.in_stock(order) {
                None => Some((Anomaly::UnknownOrder, order, None)),
                other => Some((Anomaly::WrongStock, order, other)),
            }
        }
        Err(anomaly) => Some((anomaly, adds.or(refers)?, None)),
    }
}

/// Which orders are live, whatever their stock.
#[derive(Default)]
struct Live(ByOrder<Holders>);

/// The stocks in which an order number is live.
struct Holders {
    /// How many.
    count: u32,
    /// The one that was last to add it: the only one, if there was no contradiction before.
    last: u16,
}

impl Live {
    /// The stock adds the order. Returns another one in which it is live already.
    fn enter(&mut self, order: u64, locate: u16) -> Option<u16> {
        let none = Holders {
            count: 0,
            last: locate,
        };
        let holders = self.0.entry(order).or_insert(none);
        let other = (holders.count > 0).then_some(holders.last);
        holders.count += 1;
        holders.last = locate;
        other
    }

    /// The order has ended in one of its stocks.
    fn leave(&mut self, order: u64) {
        if let Some(holders) = self.0.get_mut(&order) {
            holders.count -= 1;
            if holders.count == 0 {
                self.0.remove(&order);
            }
        }
    }

    /// A stock in which the order is live.
    fn in_stock(&self, order: u64) -> Option<u16> {
        self.0.get(&order).map(|holders| holders.last)
    }
}
