//! The stages: the stream is split into messages, those decoded and applied to the books of their symbols.

use std::sync::{Mutex, PoisonError};

use ringmill::{Flow, Outlet, Stage};

use super::feed::Piece;
use ringmill_perf::itch::frame::Frame;
use ringmill_perf::itch::state::ChangeDigest;
use ringmill_perf::itch::{Books, FinalState, Frames, Message, StreamError, TopOfBook};

/// A message on its way, not yet decoded: where it lies in the input, and when it was due, if that matters
/// (`D` is nothing or nanoseconds). Eight of nothing fit into one cache line, and each into one register.
/// Its fields are read where its book is, in the same job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<D> {
    /// The offset, then the length in [`LENGTH`] bits.
    at: u64,
    due: D,
}

/// Bits for a message's length, at most 50 bytes.
const LENGTH: u32 = 6;

impl<D: Copy> Raw<D> {
    fn new(offset: usize, length: usize, due: D) -> Self {
        Self {
            at: (offset as u64) << LENGTH | length as u64,
            due,
        }
    }

    /// The message in the input that it was cut from.
    #[inline]
    fn frame<'a>(&self, input: &'a [u8]) -> Frame<'a> {
        let offset = (self.at >> LENGTH) as usize;
        let length = (self.at & ((1 << LENGTH) - 1)) as usize;
        Frame {
            offset,
            bytes: &input[offset..offset + length],
        }
    }

    /// Its symbol: all messages of one go to the same book.
    #[inline]
    pub(super) fn locate(&self, input: &[u8]) -> Option<u16> {
        Message::peek_locate(self.frame(input).bytes)
    }
}

/// A top of book that changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<D> {
    pub(super) top: TopOfBook,
    pub(super) due: D,
}

/// Pieces of the stream to messages. There is one instance, and pieces come in order, so that a message
/// which two of them share is found all the same.
pub(super) struct Split<'a, D> {
    frames: Frames<'a>,
    open: Option<Piece<D>>,
}

impl<'a, D> Split<'a, D> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            frames: Frames::new(input),
            open: None,
        }
    }
}

impl<D: Copy> Stage<Piece<D>, StreamError> for Split<'_, D> {
    type Out = Raw<D>;

    fn job<O: Outlet<Raw<D>>>(
        &mut self,
        piece: Piece<D>,
        out: &mut O,
    ) -> Result<Flow, StreamError> {
        self.open = Some(piece);
        self.more(out)
    }

    fn more<O: Outlet<Raw<D>>>(&mut self, out: &mut O) -> Result<Flow, StreamError> {
        let Some(Piece { end, due }) = self.open else {
            return Ok(Flow::Done);
        };
        while out.is_ready() {
            if self.frames.offset() >= end {
                return Ok(Flow::Done);
            }
            let Some(frame) = self.frames.next() else {
                return Ok(Flow::Done);
            };
            let Frame { offset, bytes } = frame.map_err(StreamError::Frame)?;
            let _accepted = out.emit(Raw::new(offset, bytes.len(), due)); // It is ready.
        }
        Ok(Flow::More)
    }
}

/// Where instances leave their books when they end.
pub(super) type Shelf = Mutex<Vec<FinalState>>;

/// Messages' bytes to changes: decoded, and applied to the books of the symbols that come here.
pub(super) struct Book<'a> {
    input: &'a [u8],
    books: Books,
    shelf: &'a Shelf,
}

impl<'a> Book<'a> {
    pub(super) fn new(input: &'a [u8], shelf: &'a Shelf) -> Self {
        Self {
            input,
            books: Books::new(),
            shelf,
        }
    }
}

impl<D: Copy> Stage<Raw<D>, StreamError> for Book<'_> {
    type Out = Change<D>;

    #[inline]
    fn job<O: Outlet<Change<D>>>(&mut self, raw: Raw<D>, out: &mut O) -> Result<Flow, StreamError> {
        let frame = raw.frame(self.input);
        // Looked at where it is: see `Frame::decode`.
        match &frame.decode() {
            Ok(message) => {
                // The input's anomalies are counted by its audit, and by the books to be compared.
                if let Ok(Some(top)) = self.books.apply(message) {
                    let _accepted = out.emit(Change { top, due: raw.due }); // The first of a job always is.
                }
                Ok(Flow::Done)
            }
            Err(error) => Err(frame.blame(*error)),
        }
    }

    fn end(&mut self) {
        let state = self.books.final_state();
        self.shelf
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(state);
    }
}

/// The changes that came out, by symbol.
#[derive(Default)]
pub(super) struct Seen(Vec<ChangeDigest>);

impl Seen {
    /// One more change.
    #[inline]
    pub(super) fn record(&mut self, top: &TopOfBook) {
        let locate = usize::from(top.locate);
        if self.0.len() <= locate {
            self.0.resize_with(locate + 1, ChangeDigest::default);
        }
        self.0[locate].record(top);
    }

    /// Whether they are those of `expected`, symbol by symbol and in their order.
    pub(super) fn equals(&self, expected: &FinalState) -> bool {
        let none = ChangeDigest::default();
        let of = |locate: u16| self.0.get(usize::from(locate)).unwrap_or(&none);
        let total: u64 = self.0.iter().map(|digest| digest.count).sum();
        total == expected.changes()
            && expected
                .symbols
                .iter()
                .all(|(&locate, symbol)| *of(locate) == symbol.changes)
    }
}

/// Takes the instances' books together.
pub(super) fn merge(shelf: &Shelf) -> Option<FinalState> {
    let mut all = FinalState::default();
    for state in shelf
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
    {
        all.merge(state).ok()?; // A symbol in the books of two instances is a wrong answer.
    }
    Some(all)
}
