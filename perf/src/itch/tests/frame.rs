//! Framing, and the offsets its errors name.

use super::super::decode::DecodeError;
use super::super::frame::{FrameError, Frames, Messages, StreamError};
use super::super::message::Body;

/// A framed system event, 14 bytes.
const EVENT: &[u8] = b"\0\x0cS\0\0\0\0\0\0\0\0\0\x01O";
/// A framed deletion, 21 bytes.
const DELETE: &[u8] = b"\0\x13D\0\x07\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09";

/// The offsets of the good frames, and the error after them.
fn split(input: &[u8]) -> (Vec<usize>, Option<FrameError>) {
    let mut frames = Frames::new(input);
    let mut offsets = Vec::new();
    let error = loop {
        match frames.next() {
            None => break None,
            Some(Ok(frame)) => offsets.push(frame.offset),
            Some(Err(error)) => break Some(error),
        }
    };
    assert_eq!(frames.next(), None, "nothing follows the end or an error");
    (offsets, error)
}

#[test]
fn messages_end_with_the_input_or_the_mark() {
    let unmarked = [EVENT, DELETE].concat();
    assert_eq!(split(&unmarked), (vec![2, 16], None));
    let marked = [EVENT, DELETE, &[0, 0]].concat();
    assert_eq!(split(&marked), (vec![2, 16], None));
    assert_eq!(split(&[0, 0]), (vec![], None));
    assert_eq!(split(&[]), (vec![], None));

    let bodies: Vec<_> = Messages::new(&marked).map(|m| m.unwrap().body).collect();
    let expected = [Body::System { code: b'O' }, Body::Delete { order: 9 }];
    assert_eq!(bodies, expected);
}

#[test]
fn truncation_is_found_at_every_byte() {
    let whole = [EVENT, DELETE].concat();
    for end in 15..whole.len() {
        let error = match end {
            15 => FrameError::TruncatedLength { offset: 14 },
            _ => FrameError::TruncatedMessage {
                offset: 16,
                expected: 19,
                found: end - 16,
            },
        };
        assert_eq!(split(&whole[..end]), (vec![2], Some(error)));
    }
    let text = |end: usize| split(&whole[..end]).1.unwrap().to_string();
    assert_eq!(
        text(15),
        "at byte 14: expected a length of 2 bytes, found 1 byte"
    );
    assert_eq!(
        text(20),
        "at byte 16: expected a message of 19 bytes, found 4 bytes"
    );
}

#[test]
fn foreign_input_is_named() {
    let text = |input: &[u8]| split(input).1.unwrap().to_string();
    assert_eq!(
        text(b"Date,Open"),
        "at byte 0: expected a message length of 1 to 50 (or 0, the end of the session), \
         found 17505"
    );
    assert_eq!(
        text(b"\x1f\x8b\x08\0"),
        "at byte 0: expected a message length of 1 to 50 (or 0, the end of the session), \
         found 8075; this looks like a gzip file: decompress it first"
    );
    let behind = [EVENT, b"\0\x33"].concat();
    let error = FrameError::NotItch {
        offset: 14,
        found: 51,
    };
    assert_eq!(split(&behind), (vec![2], Some(error)));
}

#[test]
fn nothing_may_follow_the_mark() {
    let input = [EVENT, &[0, 0], DELETE].concat();
    let error = FrameError::BehindEnd {
        offset: 16,
        found: 21,
    };
    assert_eq!(split(&input), (vec![2], Some(error)));
    assert_eq!(
        error.to_string(),
        "at byte 16: expected the end of the input behind the end-of-session mark, found 21 bytes"
    );
}

#[test]
fn a_bad_message_in_a_good_frame_names_its_offset_and_is_skipped() {
    let short = b"\0\x04D\0\x07\0";
    let input = [EVENT, short, b"\0\x01z", DELETE].concat();
    let items: Vec<_> = Messages::new(&input).collect();
    assert_eq!(items.len(), 4);
    let wrong_length = DecodeError::WrongLength {
        kind: b'D',
        expected: 19,
        found: 4,
    };
    assert_eq!(
        items[1],
        Err(StreamError::Message {
            offset: 16,
            error: wrong_length
        })
    );
    assert_eq!(
        items[2].unwrap_err().to_string(),
        "at byte 22: expected an ITCH 5.0 message type, found byte 0x7a ('z')"
    );
    assert_eq!(items[3].unwrap().body, Body::Delete { order: 9 });

    let broken = [EVENT, &[7]].concat();
    let error = StreamError::Frame(FrameError::TruncatedLength { offset: 14 });
    assert_eq!(Messages::new(&broken).last(), Some(Err(error)));
}
