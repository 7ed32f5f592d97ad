//! The stages: packets are split into messages, those decoded and applied to the books of their symbols.

use std::sync::{Mutex, PoisonError};

use ringmill::{Flow, Outlet, Stage};

use super::feed::Packet;
use ringmill_perf::itch::frame::Frame;
use ringmill_perf::itch::state::ChangeDigest;
use ringmill_perf::itch::{Books, FinalState, Frames, Message, StreamError, TopOfBook};

/// A message on its way, not yet decoded: its fields are read where its book is, in the same job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    frame: Frame<'a>,
    due: u64,
}

impl Raw<'_> {
    /// Its symbol: all messages of one go to the same book.
    pub(super) fn locate(&self) -> Option<u16> {
        Message::peek_locate(self.frame.bytes)
    }
}

/// A top of book that changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) top: TopOfBook,
    pub(super) due: u64,
}

/// Packets to messages.
pub(super) struct Split<'a> {
    open: Option<(Packet<'a>, Frames<'a>)>,
}

impl Split<'_> {
    pub(super) fn new() -> Self {
        Self { open: None }
    }
}

impl<'a> Stage<Packet<'a>, StreamError> for Split<'a> {
    type Out = Raw<'a>;

    fn job<O: Outlet<Raw<'a>>>(
        &mut self,
        packet: Packet<'a>,
        out: &mut O,
    ) -> Result<Flow, StreamError> {
        self.open = Some((packet, Frames::new(packet.bytes)));
        Stage::<Packet<'a>, StreamError>::more(self, out)
    }

    fn more<O: Outlet<Raw<'a>>>(&mut self, out: &mut O) -> Result<Flow, StreamError> {
        let Some((packet, frames)) = &mut self.open else {
            return Ok(Flow::Done);
        };
        while out.is_ready() {
            let Some(frame) = frames.next() else {
                self.open = None;
                return Ok(Flow::Done);
            };
            let Frame { offset, bytes } = frame.map_err(StreamError::Frame)?;
            let frame = Frame {
                offset: packet.offset + offset,
                bytes,
            };
            let _accepted = out.emit(Raw {
                frame,
                due: packet.due,
            }); // It is ready.
        }
        Ok(Flow::More)
    }
}

/// Where instances leave their books when they end.
pub(super) type Shelf = Mutex<Vec<FinalState>>;

/// Messages' bytes to changes: decoded, and applied to the books of the symbols that come here.
pub(super) struct Book<'a> {
    books: Books,
    shelf: &'a Shelf,
}

impl<'a> Book<'a> {
    pub(super) fn new(shelf: &'a Shelf) -> Self {
        Self {
            books: Books::new(),
            shelf,
        }
    }
}

impl<'a> Stage<Raw<'a>, StreamError> for Book<'_> {
    type Out = Change;

    #[inline]
    fn job<O: Outlet<Change>>(&mut self, raw: Raw<'a>, out: &mut O) -> Result<Flow, StreamError> {
        // Looked at where it is: see `Frame::decode`.
        match &raw.frame.decode() {
            Ok(message) => {
                if let Some(top) = self.books.apply(message) {
                    let _accepted = out.emit(Change { top, due: raw.due }); // The first of a job always is.
                }
                Ok(Flow::Done)
            }
            Err(error) => Err(raw.frame.blame(*error)),
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
