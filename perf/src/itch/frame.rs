//! The framing of NASDAQ's sample files: a two-byte big-endian length before each message, and a
//! length of zero after the last one of the session.
//!
//! NASDAQ publishes such files compressed; decompress first (`gunzip`), then hand the bytes to
//! [`Frames`] or [`Messages`].

use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;

use super::decode::DecodeError;
use super::message::{MAX_LENGTH, Message};

/// Bytes of a length prefix.
pub(super) const PREFIX: usize = 2;

/// Bytes of the longest message and its length prefix.
pub const LONGEST_FRAME: usize = PREFIX + MAX_LENGTH;

/// The first two bytes of a gzip file, read as a length; worth a hint, as it is how the files come.
const GZIP_MAGIC: u16 = 0x1f8b;

/// One framed message, not yet decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Offset in the file of the first byte of the message, behind its length prefix.
    pub offset: usize,
    /// The message: 1 to [`MAX_LENGTH`] bytes.
    pub bytes: &'a [u8],
}

/// Why the input does not continue as a framed stream. Nothing behind it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// One byte where a length prefix takes two.
    TruncatedLength {
        /// Offset of that byte.
        offset: usize,
    },
    /// The input ends within a message.
    TruncatedMessage {
        /// Offset of the message's first byte, where its bytes were expected.
        offset: usize,
        /// Bytes the prefix promised.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// No message of the specification is as long as the prefix says.
    NotItch {
        /// Offset of the length prefix.
        offset: usize,
        /// The length found.
        found: u16,
    },
    /// The end-of-session mark is not the end of the input.
    BehindEnd {
        /// Offset of the first byte behind the mark.
        offset: usize,
        /// Bytes behind the mark.
        found: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TruncatedLength { offset } => {
                write!(
                    f,
                    "at byte {offset}: expected a length of 2 bytes, found 1 byte"
                )
            }
            Self::TruncatedMessage {
                offset,
                expected,
                found,
            } => write!(
                f,
                "at byte {offset}: expected a message of {expected} bytes, found {found} bytes"
            ),
            Self::NotItch { offset, found } => {
                write!(
                    f,
                    "at byte {offset}: expected a message length of 1 to {MAX_LENGTH} \
                     (or 0, the end of the session), found {found}"
                )?;
                if offset == 0 && found == GZIP_MAGIC {
                    write!(f, "; this looks like a gzip file: decompress it first")?;
                }
                Ok(())
            }
            Self::BehindEnd { offset, found } => write!(
                f,
                "at byte {offset}: expected the end of the input behind the end-of-session mark, \
                 found {found} bytes"
            ),
        }
    }
}

impl Error for FrameError {}

/// Splits a byte slice into framed messages. Ends at the end-of-session mark, at the end of the
/// input (some published files stop without a mark), or after the first error.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    input: &'a [u8],
    offset: usize,
    /// The end-of-session mark was read or an error returned.
    ended: bool,
}

impl<'a> Frames<'a> {
    /// Starts at the beginning of `input`, the contents of a whole file.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            offset: 0,
            ended: false,
        }
    }

    /// Where the next length prefix lies.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The slow half of `next`: what is left holds no whole prefix and message.
    #[cold]
    fn finish(&mut self) -> Option<Result<Frame<'a>, FrameError>> {
        self.ended = true;
        Some(Err(match self.input[self.offset..] {
            [] | [0, 0] => return None,
            [_] => FrameError::TruncatedLength {
                offset: self.offset,
            },
            [0, 0, ref found @ ..] => FrameError::BehindEnd {
                offset: self.offset + PREFIX,
                found: found.len(),
            },
            [high, low, ref found @ ..] => {
                let length = u16::from_be_bytes([high, low]);
                if usize::from(length) > MAX_LENGTH {
                    FrameError::NotItch {
                        offset: self.offset,
                        found: length,
                    }
                } else {
                    FrameError::TruncatedMessage {
                        offset: self.offset + PREFIX,
                        expected: usize::from(length),
                        found: found.len(),
                    }
                }
            }
        }))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let rest = &self.input[self.offset..];
        if let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() {
            let length = usize::from(u16::from_be_bytes(*prefix));
            if (1..=MAX_LENGTH).contains(&length)
                && let Some(bytes) = rest.get(..length)
            {
                let offset = self.offset + PREFIX;
                self.offset = offset + length;
                return Some(Ok(Frame { offset, bytes }));
            }
        }
        self.finish()
    }
}

impl FusedIterator for Frames<'_> {}

/// Why an item of [`Messages`] is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The framing broke; no item follows.
    Frame(FrameError),
    /// The frame holds no message of ITCH 5.0; the next item is read from the frame behind it.
    Message {
        /// Offset in the file of the message's first byte, its type.
        offset: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Message { offset, error } => write!(f, "at byte {offset}: {error}"),
        }
    }
}

impl Error for StreamError {}

impl From<FrameError> for StreamError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl Frame<'_> {
    /// Decodes the message; [`Frame::blame`] makes an error name its place in the file.
    ///
    /// Not one step: a result that turns into one with another error moves, and what was just written in
    /// fields of one to eight bytes is read back in words, for which the processor has to wait (11 ns a
    /// message where nothing else is done, 26 between two stages).
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are no message of ITCH 5.0.
    #[inline]
    pub fn decode(&self) -> Result<Message, DecodeError> {
        Message::decode(self.bytes)
    }

    /// That the bytes are no message, and where they lie.
    #[must_use]
    pub const fn blame(&self, error: DecodeError) -> StreamError {
        StreamError::Message {
            offset: self.offset,
            error,
        }
    }
}

/// The decoded messages of a byte slice: [`Frames`] and [`Message::decode`] in one.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    frames: Frames<'a>,
}

impl<'a> Messages<'a> {
    /// Starts at the beginning of `input`, the contents of a whole file.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self {
            frames: Frames::new(input),
        }
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, StreamError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.frames.next()? {
            Ok(frame) => frame.decode().map_err(|error| frame.blame(error)),
            Err(error) => Err(error.into()),
        })
    }
}

impl FusedIterator for Messages<'_> {}
