//! The feed's side: a stream in memory is handed on in pieces that need not end where a message does.

/// Bytes in one piece: some hundred messages, so that a job lasts for about two microseconds.
const PIECE: usize = 4096;

/// The next part of the stream: one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<D> {
    /// Every message that begins before this offset is to be handled.
    pub(super) end: usize,
    /// When it was due, in nanoseconds since the run's start; nothing where nothing is due at any time.
    pub(super) due: D,
}

/// A stream of so many bytes, in pieces.
pub(super) fn pieces(bytes: usize) -> impl Iterator<Item = Piece<()>> {
    let starts = (0..bytes).step_by(PIECE);
    starts.map(move |start| Piece {
        end: bytes.min(start + PIECE),
        due: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_where_the_stream_does() {
        let ends = |bytes| pieces(bytes).map(|piece| piece.end).collect::<Vec<_>>();
        assert!(ends(0).is_empty());
        assert_eq!(ends(1), [1]);
        assert_eq!(ends(PIECE), [PIECE]);
        assert_eq!(ends(2 * PIECE + 1), [PIECE, 2 * PIECE, 2 * PIECE + 1]);
    }
}
