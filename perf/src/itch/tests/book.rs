//! Books computed by hand, and what contradictory messages do to them: nothing.

use super::super::book::{Books, TopOfBook};
use super::super::message::Message;
use super::super::state::{Anomalies, Anomaly, ChangeDigest, FinalState, Level, OverlapError};

fn message(kind: u8, locate: u16, fields: &[&[u8]]) -> Message {
    let mut bytes = vec![kind];
    bytes.extend(locate.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(fields.concat());
    Message::decode(&bytes).unwrap()
}

fn add(locate: u16, order: u64, side: u8, shares: u32, price: u32) -> Message {
    let (order, shares) = (order.to_be_bytes(), shares.to_be_bytes());
    let fields: [&[u8]; 5] = [&order, &[side], &shares, b"ACME    ", &price.to_be_bytes()];
    message(b'A', locate, &fields)
}

fn execute(locate: u16, order: u64, shares: u32) -> Message {
    let fields: [&[u8]; 3] = [&order.to_be_bytes(), &shares.to_be_bytes(), &[0; 8]];
    message(b'E', locate, &fields)
}

fn execute_at(locate: u16, order: u64, shares: u32, price: u32) -> Message {
    let (order, shares) = (order.to_be_bytes(), shares.to_be_bytes());
    let fields: [&[u8]; 5] = [&order, &shares, &[0; 8], b"Y", &price.to_be_bytes()];
    message(b'C', locate, &fields)
}

fn cancel(locate: u16, order: u64, shares: u32) -> Message {
    let fields: [&[u8]; 2] = [&order.to_be_bytes(), &shares.to_be_bytes()];
    message(b'X', locate, &fields)
}

fn delete(locate: u16, order: u64) -> Message {
    message(b'D', locate, &[&order.to_be_bytes()])
}

fn replace(locate: u16, old: u64, new: u64, shares: u32, price: u32) -> Message {
    let (old, new) = (old.to_be_bytes(), new.to_be_bytes());
    let fields: [&[u8]; 4] = [&old, &new, &shares.to_be_bytes(), &price.to_be_bytes()];
    message(b'U', locate, &fields)
}

/// A top of book as (bid price, bid shares, ask price, ask shares).
type Top = (u32, u64, u32, u64);

fn top(locate: u16, (bid_price, bid_shares, ask_price, ask_shares): Top) -> TopOfBook {
    TopOfBook {
        bid_shares,
        ask_shares,
        bid_price,
        ask_price,
        locate,
    }
}

fn level(price: u32, orders: u32, shares: u64) -> Level {
    Level {
        price,
        orders,
        shares,
    }
}

/// The life of one small book: each message with the change it makes to the top.
fn life(locate: u16) -> Vec<(Message, Option<Top>)> {
    let l = locate;
    vec![
        (add(l, 1, b'B', 100, 1000), Some((1000, 100, 0, 0))),
        (add(l, 2, b'B', 50, 900), None),
        (add(l, 3, b'S', 70, 1100), Some((1000, 100, 1100, 70))),
        (add(l, 4, b'S', 30, 1200), None),
        (add(l, 5, b'B', 25, 1000), Some((1000, 125, 1100, 70))),
        (add(l, 6, b'B', 10, 1050), Some((1050, 10, 1100, 70))),
        (execute(l, 6, 4), Some((1050, 6, 1100, 70))),
        (execute(l, 6, 6), Some((1000, 125, 1100, 70))),
        (cancel(l, 1, 40), Some((1000, 85, 1100, 70))),
        (cancel(l, 2, 10), None),
        (execute_at(l, 3, 20, 1090), Some((1000, 85, 1100, 50))),
        (replace(l, 4, 7, 35, 1080), Some((1000, 85, 1080, 35))),
        (replace(l, 7, 8, 35, 1080), None), // another order, the same top
        (replace(l, 8, 9, 60, 1300), Some((1000, 85, 1100, 50))),
        (delete(l, 1), Some((1000, 25, 1100, 50))),
        (delete(l, 5), Some((900, 40, 1100, 50))),
        (delete(l, 9), None),
        (delete(l, 3), Some((900, 40, 0, 0))),
        (cancel(l, 2, 40), Some((0, 0, 0, 0))),
        (add(l, 10, b'S', 5, 950), Some((0, 0, 950, 5))),
        (add(l, 11, b'B', 8, 940), Some((940, 8, 950, 5))),
        (add(l, 12, b'B', 9, 930), None),
        (add(l, 13, b'B', 7, 935), None),
        (add(l, 14, b'B', 1, 930), None),
    ]
}

#[test]
fn a_book_computed_by_hand() {
    let mut books = Books::new();
    let mut digest = ChangeDigest::default();
    for (at, (message, expected)) in life(3).into_iter().enumerate() {
        let expected = expected.map(|numbers| top(3, numbers));
        assert_eq!(
            books.apply(&message),
            Ok(expected),
            "message {at}: {message:?}"
        );
        if let Some(top) = expected {
            digest.record(&top);
        }
    }
    let state = books.final_state();
    let symbol = &state.symbols[&3];
    assert_eq!(symbol.stock.to_string(), "ACME");
    let bids = [level(940, 1, 8), level(935, 1, 7), level(930, 2, 10)];
    assert_eq!(symbol.bids, bids);
    assert_eq!(symbol.asks, [level(950, 1, 5)]);
    assert_eq!((digest.count, symbol.changes), (16, digest));
    assert_eq!((state.changes(), state.anomalies.total()), (16, 0));
    assert_eq!(books.live_orders(), 5);
}

#[test]
fn levels_stay_sorted_on_both_sides_of_a_deep_book() {
    let mut books = Books::new();
    // 17 and 101 have no common factor, so this is every price from 1 to 100 in a mixed order.
    let mixed = |order: u32| order * 17 % 101;
    for order in 1..=100 {
        books
            .apply(&add(1, order.into(), b'B', order, mixed(order)))
            .unwrap();
        let ask = 1000 + mixed(order);
        books
            .apply(&add(1, 1000 + u64::from(order), b'S', order, ask))
            .unwrap();
    }
    // A second order at each price, then the first ones leave those above 50.
    for order in 1..=100 {
        books
            .apply(&add(1, 2000 + u64::from(order), b'B', 7, mixed(order)))
            .unwrap();
    }
    for order in (1..=100).filter(|&order| mixed(order) > 50) {
        books.apply(&delete(1, order.into())).unwrap();
        books.apply(&delete(1, 1000 + u64::from(order))).unwrap();
    }
    let symbol = &books.final_state().symbols[&1];
    let shares_at = |price: u32| (1..=100).find(|&order| mixed(order) == price).unwrap();
    let bids: Vec<_> = (1..=100)
        .rev()
        .map(|price| match price {
            51.. => level(price, 1, 7),
            _ => level(price, 2, u64::from(7 + shares_at(price))),
        })
        .collect();
    assert_eq!(symbol.bids, bids);
    let asks: Vec<_> = (1..=50)
        .map(|price| level(1000 + price, 1, shares_at(price).into()))
        .collect();
    assert_eq!(symbol.asks, asks);
}

#[test]
fn contradictions_are_counted_and_change_nothing() {
    use Anomaly::{DuplicateOrder, NoShares, TooManyShares, UnknownOrder};
    let mut books = Books::new();
    let good = [
        add(1, 1, b'B', 100, 1000),
        add(1, 2, b'B', 100, 1000),
        add(2, 3, b'S', 100, 1000),
    ];
    for message in &good {
        assert!(books.apply(message).is_ok());
    }
    let before = books.final_state();
    let bad = [
        (execute(1, 9, 1), UnknownOrder),
        (cancel(7, 9, 1), UnknownOrder),
        (delete(1, 9), UnknownOrder),
        (replace(1, 9, 10, 1, 1), UnknownOrder),
        (execute(2, 1, 1), UnknownOrder), // Of another stock.
        (delete(2, 1), UnknownOrder),
        (replace(2, 1, 10, 1, 1), UnknownOrder),
        (execute(1, 1, 101), TooManyShares),
        (cancel(1, 1, u32::MAX), TooManyShares),
        (add(1, 1, b'S', 1, 1), DuplicateOrder),
        (replace(1, 1, 2, 1, 1), DuplicateOrder),
        (replace(1, 1, 1, 1, 1), DuplicateOrder),
        (add(1, 10, b'B', 0, 1), NoShares),
        (execute(1, 1, 0), NoShares),
        (replace(1, 1, 10, 0, 1), NoShares),
        (add(8, 10, b'B', 0, 1), NoShares),
    ];
    for (message, anomaly) in &bad {
        assert_eq!(books.apply(message), Err(*anomaly), "{message:?}");
    }
    let expected = Anomalies {
        unknown_order: 7,
        wrong_stock: 0,
        too_many_shares: 2,
        duplicate_order: 3,
        no_shares: 4,
    };
    assert_eq!(*books.anomalies(), expected);
    assert_eq!(expected.total(), bad.len() as u64);
    assert_eq!(books.final_state().symbols, before.symbols);
    assert_ne!(books.final_state().checksum(), before.checksum());
    // The orders are as they were: exactly their shares can still be executed.
    assert_eq!(
        books.apply(&execute(1, 1, 100)),
        Ok(Some(top(1, (1000, 100, 0, 0))))
    );
}

#[test]
fn one_order_number_in_two_stocks_is_two_orders() {
    let mut books = Books::new();
    let messages = [
        (add(1, 7, b'B', 10, 100), Some(top(1, (100, 10, 0, 0)))),
        (add(2, 7, b'S', 20, 200), Some(top(2, (0, 0, 200, 20)))),
        (execute(1, 7, 4), Some(top(1, (100, 6, 0, 0)))),
        (delete(2, 7), Some(top(2, (0, 0, 0, 0)))),
        (delete(1, 7), Some(top(1, (0, 0, 0, 0)))),
    ];
    for (message, change) in messages {
        assert_eq!(books.apply(&message), Ok(change), "{message:?}");
    }
    assert_eq!((books.live_orders(), books.anomalies().total()), (0, 0));
}

#[test]
fn messages_about_no_visible_order_change_nothing() {
    let mut books = Books::new();
    let others = [
        message(b'S', 0, &[b"O"]),
        message(b'P', 1, &[&[0; 8], b"B", &[0; 24]]),
        message(b'Q', 1, &[&[0; 29]]),
        message(b'I', 1, &[&[0; 39]]),
    ];
    for other in &others {
        assert_eq!(books.apply(other), Ok(None));
    }
    assert_eq!(books.final_state(), FinalState::default());
    let directory = message(b'R', 9, &[b"ACME    ", &[0; 20]]);
    assert_eq!(books.apply(&directory), Ok(None));
    assert_eq!(books.final_state().symbols[&9].stock.to_string(), "ACME");
}

#[test]
fn split_by_stock_and_merged_is_the_same() {
    let mut whole = Books::new();
    let mut parts = [Books::new(), Books::new()];
    // Two stocks, interleaved.
    for (order, (message, _)) in (1000..).zip(life(1)) {
        whole.apply(&message).unwrap();
        parts[0].apply(&message).unwrap();
        let second = add(u16::MAX, order, b'S', 1, 5);
        whole.apply(&second).unwrap();
        parts[1].apply(&second).unwrap();
    }
    assert_eq!(whole.anomalies().total(), 0);
    for (part, bad) in [delete(1, 999), execute(u16::MAX, 1000, 2)]
        .iter()
        .enumerate()
    {
        assert!(whole.apply(bad).is_err());
        assert!(parts[part].apply(bad).is_err());
    }
    let [mut merged, other] = parts.map(|books| books.final_state());
    merged.merge(other.clone()).unwrap();
    assert_eq!(merged, whole.final_state());
    assert_eq!(merged.checksum(), whole.final_state().checksum());
    assert_ne!(merged.checksum(), other.checksum());
    let overlap = merged.clone().merge(other);
    assert_eq!(overlap, Err(OverlapError { locate: u16::MAX }));
}

#[test]
fn the_digest_depends_on_the_order_of_changes() {
    let (one, two) = (top(1, (10, 1, 11, 1)), top(1, (10, 2, 11, 1)));
    let digest = |tops: &[TopOfBook]| {
        let mut digest = ChangeDigest::default();
        for top in tops {
            digest.record(top);
        }
        digest
    };
    assert_eq!(digest(&[one, two]), digest(&[one, two]));
    assert_ne!(digest(&[one, two]), digest(&[two, one]));
    assert_ne!(digest(&[one]), digest(&[one, one]));
}
