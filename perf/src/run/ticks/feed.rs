//! The feed's side: packets of whole messages, cut from a stream in memory.

use ringmill_perf::itch::frame::{FrameError, Frames};

/// Bytes of messages in one packet at the most: what fits into one UDP datagram on Ethernet, which is how
/// the exchange sends them.
const PACKET: usize = 1400;

/// A run of framed messages: one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    /// Where its first length prefix lies in the input.
    pub(super) offset: usize,
    /// Length prefixes and messages.
    pub(super) bytes: &'a [u8],
    /// When it was due, in nanoseconds since the run's start; 0 where nothing is due at any time.
    pub(super) due: u64,
}

/// Cuts an input into packets of up to `most` messages. Ends after `messages`, or at an error, which is
/// then in `error`.
pub(super) struct Packets<'a> {
    input: &'a [u8],
    frames: Frames<'a>,
    left: usize,
    most: usize,
    pub(super) error: Option<FrameError>,
}

impl<'a> Packets<'a> {
    pub(super) fn new(input: &'a [u8], messages: usize, most: usize) -> Self {
        Self {
            input,
            frames: Frames::new(input),
            left: messages,
            most,
            error: None,
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let offset = self.frames.offset();
        let count = self.frames.advance(self.most.min(self.left), PACKET);
        if count == 0 {
            if self.left > 0 {
                // Every whole message fits into a packet, so this is the end.
                self.error = self.frames.next().and_then(Result::err);
                self.left = 0;
            }
            return None;
        }
        self.left -= count;
        Some(Packet {
            offset,
            bytes: &self.input[offset..self.frames.offset()],
            due: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringmill_perf::itch::frame::Frame;
    use ringmill_perf::itch::{Plan, generate};

    #[test]
    fn packets_hold_every_message_once() {
        let input = generate(&Plan {
            seed: 3,
            messages: 2000,
            symbols: 20,
        })
        .unwrap();
        for (messages, most) in [(usize::MAX, usize::MAX), (usize::MAX, 1), (777, usize::MAX)] {
            let packets: Vec<_> = Packets::new(&input, messages, most).collect();
            assert!(packets.iter().all(|packet| packet.bytes.len() <= PACKET));
            let frames = |packet: &Packet<'_>| {
                let start = packet.offset;
                let at = move |frame: Frame<'_>| (start + frame.offset, frame.bytes.to_vec());
                Frames::new(packet.bytes)
                    .flatten()
                    .map(at)
                    .collect::<Vec<_>>()
            };
            let mut frames = packets.iter().flat_map(frames);
            for expected in Frames::new(&input).flatten().take(messages) {
                assert_eq!(
                    frames.next(),
                    Some((expected.offset, expected.bytes.to_vec()))
                );
            }
            assert!(frames.next().is_none());
        }
    }

    #[test]
    fn a_truncated_stream_ends_with_its_error() {
        let input = generate(&Plan {
            seed: 3,
            messages: 100,
            symbols: 5,
        })
        .unwrap();
        let cut = &input[..input.len() - 5];
        let mut packets = Packets::new(cut, usize::MAX, usize::MAX);
        while packets.next().is_some() {}
        assert!(matches!(
            packets.error,
            Some(FrameError::TruncatedMessage { .. })
        ));
    }
}
