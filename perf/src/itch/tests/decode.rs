//! Every decoded type from hand-written bytes, and every type's length.

use super::super::decode::DecodeError;
use super::super::message::{Body, KINDS, Message, Side, Stock, wire_length};

const ACME: Stock = Stock(*b"ACME    ");

/// Decodes the hex digits of `text`; a word that starts with a quote is ASCII to its end, `_` there
/// standing for a space.
fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        if let Some(ascii) = word.strip_prefix('\'') {
            bytes.extend(ascii.bytes().map(|b| if b == b'_' { b' ' } else { b }));
        } else {
            let digit = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
            bytes.extend((0..word.len()).step_by(2).map(digit));
        }
    }
    bytes
}

/// Decodes, checks the header, which is the same in all tests, and returns the body.
fn body(kind: &str, fields: &str) -> Body {
    // Locate 0x1234, tracking number 0xffff, 09:30:00.000000001.
    let bytes = wire(&format!("'{kind} 1234 ffff 1f1aced9f001 {fields}"));
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.locate(), 0x1234);
    assert_eq!(Message::peek_locate(&bytes), Some(0x1234));
    assert_eq!(message.timestamp(), 34_200_000_000_001);
    message.body
}

#[test]
fn system_event() {
    assert_eq!(body("S", "'Q"), Body::System { code: b'Q' });
}

#[test]
fn stock_directory() {
    let fields = "'ACME____ 'G 'N 00000064 'N 'C 'Z_ 'P 'N 'N '1 'N 00000000 'N";
    let expected = Body::Directory {
        stock: ACME,
        round_lot: 100,
        market: b'G',
    };
    assert_eq!(body("R", fields), expected);
}

#[test]
fn trading_action() {
    let expected = Body::TradingAction {
        stock: ACME,
        state: b'H',
    };
    assert_eq!(body("H", "'ACME____ 'H '_ 'LUDP"), expected);
}

#[test]
fn add_without_and_with_attribution() {
    let expected = |attribution| Body::Add {
        order: 0x0102_0304_0506_0708,
        stock: ACME,
        shares: 300,
        price: 1_234_500,
        side: Side::Buy,
        attribution,
    };
    let fields = "0102030405060708 'B 0000012c 'ACME____ 0012d644";
    assert_eq!(body("A", fields), expected(*b"    "));
    assert_eq!(body("F", &format!("{fields} 'MPID")), expected(*b"MPID"));
    let Body::Add { side, .. } = body("A", &fields.replace("'B", "'S")) else {
        panic!("not an order");
    };
    assert_eq!(side, Side::Sell);
}

#[test]
fn executions() {
    let fields = "00000000000000ff 00000064 0000000100000002";
    let expected = Body::Execute {
        order: 255,
        shares: 100,
        match_number: 0x1_0000_0002,
    };
    assert_eq!(body("E", fields), expected);
    for (letter, printable) in [('Y', true), ('N', false)] {
        let expected = Body::ExecuteAt {
            order: 255,
            shares: 100,
            match_number: 0x1_0000_0002,
            price: 99,
            printable,
        };
        assert_eq!(body("C", &format!("{fields} '{letter} 00000063")), expected);
    }
}

#[test]
fn cancel_delete_replace() {
    let expected = Body::Cancel {
        order: 256,
        shares: 5,
    };
    assert_eq!(body("X", "0000000000000100 00000005"), expected);
    assert_eq!(
        body("D", "ffffffffffffffff"),
        Body::Delete { order: u64::MAX }
    );
    let fields = "0000000000000001 0000000000000002 00000003 77359400";
    let expected = Body::Replace {
        old: 1,
        new: 2,
        shares: 3,
        price: 2_000_000_000,
    };
    assert_eq!(body("U", fields), expected);
}

#[test]
fn trades() {
    let fields = "0000000000000000 'S 00000007 'ACME____ 00000008 0000000000000009";
    let expected = Body::Trade {
        stock: ACME,
        shares: 7,
        price: 8,
        match_number: 9,
        side: Side::Sell,
    };
    assert_eq!(body("P", fields), expected);
    let fields = "0000000100000000 'ACME____ 0000000a 000000000000000b 'C";
    let expected = Body::Cross {
        stock: ACME,
        shares: 1 << 32,
        price: 10,
        match_number: 11,
        cross: b'C',
    };
    assert_eq!(body("Q", fields), expected);
    assert_eq!(
        body("B", "000000000000000c"),
        Body::Broken { match_number: 12 }
    );
}

#[test]
fn each_type_has_exactly_its_length() {
    // The specification's types and lengths, typed a second time.
    let spec = "S12 R39 H25 Y20 L26 V35 W12 K28 J35 h21 A36 F40 E31 C36 X23 D19 U35 P44 Q40 B19 \
                I50 N20 O48";
    let mut kinds = 0;
    for word in spec.split(' ') {
        let (kind, expected) = (word.as_bytes()[0], word[1..].parse::<usize>().unwrap());
        kinds += 1;
        assert_eq!(wire_length(kind), Some(expected));
        for found in (1..64).filter(|&found| found != expected) {
            let mut bytes = vec![b'B'; found];
            bytes[0] = kind;
            let error = DecodeError::WrongLength {
                kind,
                expected,
                found,
            };
            assert_eq!(Message::decode(&bytes), Err(error));
        }
        let mut bytes = vec![b'B'; expected];
        bytes[0] = kind;
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(message.locate(), 0x4242);
        let skipped = b"YLVWKJhINO".contains(&kind);
        assert_eq!(message.body == Body::Other { kind }, skipped);
    }
    assert_eq!(kinds, KINDS.len());
    assert_eq!((0..=255).filter_map(wire_length).count(), kinds);
}

#[test]
fn errors_name_what_was_found() {
    assert_eq!(Message::decode(&[]), Err(DecodeError::Empty));
    assert_eq!(Message::peek_locate(b"A\x01"), None);
    let text = |bytes: &[u8]| Message::decode(bytes).unwrap_err().to_string();
    assert_eq!(
        text(b"Z23"),
        "expected an ITCH 5.0 message type, found byte 0x5a ('Z')"
    );
    assert_eq!(
        text(b"\xff"),
        "expected an ITCH 5.0 message type, found byte 0xff ('\\xff')"
    );
    assert_eq!(
        text(b"D123"),
        "message type 'D': expected 19 bytes, found 4"
    );
    for kind in [b'A', b'F', b'P'] {
        let mut bytes = vec![0; wire_length(kind).unwrap()];
        bytes[0] = kind;
        let error = DecodeError::BadSide {
            kind,
            at: 19,
            found: 0,
        };
        assert_eq!(Message::decode(&bytes), Err(error));
    }
}

#[test]
fn symbols_are_shown_without_padding_or_control_characters() {
    assert_eq!(ACME.to_string(), "ACME");
    assert_eq!(Stock(*b"A\x1b[2J   ").to_string(), "A\\x1b[2J");
}
