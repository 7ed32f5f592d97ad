//! Inputs written by hand: where they contradict themselves, where they end, and which cannot be read.

use super::super::audit::{Audit, Contradiction, InputError, audit};
use super::super::decode::DecodeError;
use super::super::frame::StreamError;
use super::super::generate::{Plan, generate};
use super::super::state::{Anomalies, Anomaly};

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = |message: &Vec<u8>| {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&length[..], message].concat()
    };
    messages.iter().flat_map(framed).collect()
}

fn message(kind: u8, locate: u16, fields: &[&[u8]]) -> Vec<u8> {
    [
        &[kind],
        &locate.to_be_bytes()[..],
        &[0; 8],
        &fields.concat(),
    ]
    .concat()
}

fn add(locate: u16, order: u64, shares: u32) -> Vec<u8> {
    let (order, shares) = (order.to_be_bytes(), shares.to_be_bytes());
    message(
        b'A',
        locate,
        &[&order, b"B", &shares, b"ACME    ", &[0, 0, 1, 0]],
    )
}

fn delete(locate: u16, order: u64) -> Vec<u8> {
    message(b'D', locate, &[&order.to_be_bytes()])
}

fn execute(locate: u16, order: u64, shares: u32) -> Vec<u8> {
    let fields: [&[u8]; 3] = [&order.to_be_bytes(), &shares.to_be_bytes(), &[0; 8]];
    message(b'E', locate, &fields)
}

fn replace(locate: u16, old: u64, new: u64) -> Vec<u8> {
    let fields: [&[u8]; 4] = [
        &old.to_be_bytes(),
        &new.to_be_bytes(),
        &[0, 0, 0, 9],
        &[1; 4],
    ];
    message(b'U', locate, &fields)
}

/// Kind, message, offset, locate, order and other locate.
type Found = (Anomaly, u64, usize, u16, u64, Option<u16>);

#[track_caller]
fn assert_found(messages: &[Vec<u8>], counts: Anomalies, expected: &[Found]) {
    let input = framed(messages);
    let found = audit(&input, usize::MAX).unwrap();
    assert_eq!(
        (found.messages, found.bytes),
        (messages.len() as u64, input.len())
    );
    assert_eq!(found.anomalies, counts);
    let first = |contradiction: &Contradiction| {
        let &Contradiction {
            anomaly,
            message,
            offset,
            locate,
            order,
            other,
        } = contradiction;
        (anomaly, message, offset, locate, order, other)
    };
    assert_eq!(found.first.iter().map(first).collect::<Vec<_>>(), expected);
}

#[test]
fn an_order_number_that_is_live_in_two_stocks_is_a_contradiction() {
    let wrong_stock = |wrong_stock| Anomalies {
        wrong_stock,
        ..Anomalies::default()
    };
    let twice = (Anomaly::WrongStock, 2, 40, 2, 7, Some(1));
    assert_found(&[add(1, 7, 5), add(2, 7, 5)], wrong_stock(1), &[twice]);
    assert_found(&[add(1, 7, 5), delete(2, 7)], wrong_stock(1), &[twice]);
    assert_found(&[add(1, 7, 5), execute(2, 7, 1)], wrong_stock(1), &[twice]);
    assert_found(&[add(1, 7, 5), replace(2, 7, 8)], wrong_stock(1), &[twice]);
    let replaced = [add(1, 7, 5), add(2, 8, 5), replace(2, 8, 7)];
    let third = (Anomaly::WrongStock, 3, 78, 2, 7, Some(1));
    assert_found(&replaced, wrong_stock(1), &[third]);
    // Both are orders, and both can end: then the number is free.
    let both_end = [
        add(1, 7, 5),
        add(2, 7, 5),
        execute(2, 7, 5),
        add(3, 7, 5), // Live at 1.
        delete(1, 7),
        replace(3, 7, 9),
        add(2, 7, 5),
    ];
    assert_found(&both_end, wrong_stock(2), &[twice]);
}

#[test]
fn an_order_number_may_be_used_again_once_it_is_free() {
    let messages = [
        add(1, 7, 5),
        execute(1, 7, 2),
        execute(1, 7, 3),
        add(2, 7, 5),
        replace(2, 7, 8),
        add(1, 7, 1),
        delete(2, 8),
    ];
    assert_found(&messages, Anomalies::default(), &[]);
}

#[test]
fn the_first_of_each_sort_is_kept_with_its_place() {
    let messages = [
        add(1, 1, 5),
        delete(1, 9),     // at 38 + 2
        add(1, 2, 0),     // at 38 + 21 + 2
        execute(1, 1, 6), // at 2 * 38 + 21 + 2
        add(1, 1, 5),     // at 2 * 38 + 21 + 33 + 2
        delete(1, 10),
        add(2, 1, 5), // at 3 * 38 + 2 * 21 + 33 + 2
        delete(2, 9),
    ];
    let counts = Anomalies {
        unknown_order: 3,
        wrong_stock: 1,
        too_many_shares: 1,
        duplicate_order: 1,
        no_shares: 1,
    };
    let expected = [
        (Anomaly::UnknownOrder, 2, 40, 1, 9, None),
        (Anomaly::NoShares, 3, 61, 1, 2, None),
        (Anomaly::TooManyShares, 4, 99, 1, 1, None),
        (Anomaly::DuplicateOrder, 5, 132, 1, 1, None),
        (Anomaly::WrongStock, 7, 191, 2, 1, Some(1)),
    ];
    assert_found(&messages, counts, &expected);
    let found = audit(&framed(&messages), usize::MAX).unwrap();
    let said: Vec<_> = found.first.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "message 2 at byte 40: order 9 is not live at locate 1",
            "message 3 at byte 61: names no shares for order 2 of locate 1",
            "message 4 at byte 99: takes more shares than order 1 of locate 1 has",
            "message 5 at byte 132: order 1 is live at locate 1 already",
            "message 7 at byte 191: names order 1 of locate 2, which is live at locate 1",
        ]
    );
}

#[test]
fn a_part_ends_behind_its_last_message() {
    let mut input = framed(&[add(1, 1, 5), delete(1, 1), delete(1, 9)]);
    input.extend([0, 0]);
    let bytes = |messages| audit(&input, messages).map(|found| (found.messages, found.bytes));
    assert_eq!(bytes(1), Ok((1, 38)));
    assert_eq!(bytes(2), Ok((2, 59)));
    assert_eq!(bytes(3), Ok((3, 82)));
    assert_eq!(bytes(4), Ok((3, 82)));
    assert_eq!(audit(&[], 4), Ok(Audit::default()));
    // What lies behind the part is not looked at.
    input.extend([0xff; 100]);
    assert_eq!(audit(&input, 2).map(|found| found.bytes), Ok(59));
}

#[test]
fn what_cannot_be_read_is_named_with_its_number_and_place() {
    let mut input = framed(&[add(1, 1, 5), delete(1, 1), delete(1, 9)]);
    input[40] = b'?';
    let kind = b'?';
    let unknown = InputError {
        message: 2,
        error: StreamError::Message {
            offset: 40,
            error: DecodeError::UnknownKind { kind },
        },
    };
    assert_eq!(audit(&input, usize::MAX), Err(unknown));
    assert!(
        unknown
            .to_string()
            .starts_with("message 2, at byte 40: expected")
    );
    let cut = audit(&input[..20], usize::MAX).unwrap_err();
    assert!(
        cut.to_string()
            .starts_with("message 1, at byte 2: expected"),
        "{cut}"
    );
}

#[test]
fn a_generated_day_does_not_contradict_itself() {
    let plan = Plan {
        seed: 3,
        messages: 50_000,
        symbols: 60,
    };
    let day = generate(&plan).unwrap();
    let found = audit(&day, usize::MAX).unwrap();
    assert_eq!((found.messages, found.bytes), (50_000, day.len()));
    assert_eq!((found.anomalies.total(), found.first.len()), (0, 0));
}
