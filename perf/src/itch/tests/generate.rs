//! Generated days, checked from their raw bytes with nothing but a table of live orders.

use std::collections::HashMap;

use super::super::book::Books;
use super::super::frame::{Frames, Messages};
use super::super::generate::{DEFAULT_SYMBOLS, GenerateError, Plan, generate};

const fn plan(messages: usize, symbols: usize) -> Plan {
    Plan {
        seed: 7,
        messages,
        symbols,
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[test]
fn a_plan_gives_one_day_and_another_seed_another() {
    let day = generate(&plan(20_000, 50)).unwrap();
    assert!(day == generate(&plan(20_000, 50)).unwrap());
    let other = Plan {
        seed: 8,
        ..plan(20_000, 50)
    };
    assert!(day != generate(&other).unwrap());
}

/// The number changes with every change to what is generated or to the checksum, and with nothing
/// else: not with the machine, nor with the compiler's version.
#[test]
fn a_day_is_the_same_everywhere() {
    let day = generate(&plan(20_000, 50)).unwrap();
    let mut books = Books::new();
    for message in Messages::new(&day) {
        books.apply(&message.unwrap()).unwrap();
    }
    assert_eq!(books.final_state().checksum(), 0x0cce_6ee3_a804_c09c);
}

#[test]
fn the_count_is_exact_and_the_day_is_bounded_by_system_events() {
    for (messages, symbols) in [
        (3, 1),
        (4, 1),
        (502, DEFAULT_SYMBOLS),
        (503, 500),
        (9_999, 500),
    ] {
        let day = generate(&plan(messages, symbols)).unwrap();
        let frames: Vec<_> = Frames::new(&day)
            .map(|frame| frame.unwrap().bytes)
            .collect();
        assert_eq!(frames.len(), messages);
        assert_eq!((frames[0][0], frames[0][11]), (b'S', b'O'));
        for (locate, directory) in (1..).zip(&frames[1..=symbols]) {
            assert_eq!((directory[0], number(&directory[1..3])), (b'R', locate));
        }
        let last = frames[messages - 1];
        assert_eq!((last[0], last[11]), (b'S', b'C'));
        assert_eq!(day[day.len() - 2..], [0, 0]);
        let times: Vec<_> = frames.iter().map(|bytes| number(&bytes[5..11])).collect();
        assert!(times.is_sorted());
        assert!(times[messages - 1] < 86_400_000_000_000);
    }
}

#[test]
fn impossible_plans_are_refused() {
    let refused = |messages, symbols| generate(&plan(messages, symbols)).unwrap_err();
    assert_eq!(
        refused(501, 500),
        GenerateError::TooFewMessages {
            needed: 502,
            found: 501
        }
    );
    assert_eq!(refused(10, 0), GenerateError::Symbols { found: 0 });
    let error = refused(1_000_000, 65_536);
    assert_eq!(
        error.to_string(),
        "expected 1 to 65535 symbols, found 65536"
    );
}

#[test]
fn every_reference_is_to_a_live_order_of_the_same_stock() {
    struct Order {
        locate: u64,
        buy: bool,
        shares: u64,
        price: u64,
    }
    let day = generate(&plan(200_000, 40)).unwrap();
    let mut live: HashMap<u64, Order> = HashMap::new();
    let mut per_stock: HashMap<u64, u32> = HashMap::new();
    let mut deepest = 0;
    for frame in Frames::new(&day) {
        let b = frame.unwrap().bytes;
        let locate = number(&b[1..3]);
        let reference = if b.len() >= 19 { number(&b[11..19]) } else { 0 };
        let mut legal = |live: &mut HashMap<u64, Order>, whole: bool| {
            let order = live.get_mut(&reference).expect("a live order");
            assert_eq!(order.locate, locate);
            let taken = if whole {
                order.shares
            } else {
                number(&b[19..23])
            };
            assert!((1..=order.shares).contains(&taken), "legal quantity");
            order.shares -= taken;
            let (left, buy) = (order.shares, order.buy);
            if left == 0 {
                live.remove(&reference);
                *per_stock.get_mut(&locate).unwrap() -= 1;
            }
            (left, buy)
        };
        let added = match b[0] {
            b'A' | b'F' => Some((
                reference,
                b[19] == b'B',
                number(&b[20..24]),
                number(&b[32..36]),
            )),
            b'D' => {
                legal(&mut live, true);
                None
            }
            b'X' => {
                assert!(legal(&mut live, false).0 > 0, "part of an order");
                None
            }
            b'E' | b'C' => {
                legal(&mut live, false);
                None
            }
            b'U' => {
                let (_, buy) = legal(&mut live, true);
                Some((
                    number(&b[19..27]),
                    buy,
                    number(&b[27..31]),
                    number(&b[31..35]),
                ))
            }
            _ => None,
        };
        if let Some((reference, buy, shares, price)) = added {
            assert!(shares > 0 && price > 0 && price % 100 == 0);
            let order = Order {
                locate,
                buy,
                shares,
                price,
            };
            assert!(live.insert(reference, order).is_none(), "a new reference");
            let depth = per_stock.entry(locate).or_default();
            *depth += 1;
            deepest = deepest.max(*depth);
        }
    }
    assert!((100..1000).contains(&deepest), "deepest book: {deepest}");
    let mut bids: HashMap<u64, u64> = HashMap::new();
    for order in live.values().filter(|order| order.buy) {
        let best = bids.entry(order.locate).or_default();
        *best = order.price.max(*best);
    }
    for order in live.values().filter(|order| !order.buy) {
        assert!(
            order.price > *bids.get(&order.locate).unwrap_or(&0),
            "crossed"
        );
    }
}

#[test]
fn the_mix_is_as_documented() {
    let messages = 400_000;
    let day = generate(&plan(messages, 20)).unwrap();
    let mut counts = [0_u32; 256];
    for frame in Frames::new(&day) {
        counts[usize::from(frame.unwrap().bytes[0])] += 1;
    }
    let documented = [
        (b'A', 43.3, 1.5),
        (b'D', 42.0, 1.5),
        (b'U', 8.7, 0.3),
        (b'E', 2.5, 0.2),
        (b'I', 1.3, 0.1),
        (b'X', 1.2, 0.1),
        (b'P', 0.5, 0.1),
        (b'F', 0.5, 0.1),
        (b'C', 0.04, 0.02),
        (b'Q', 0.006, 0.006),
    ];
    for (kind, percent, tolerance) in documented {
        let found = f64::from(counts[usize::from(kind)]) * 100.0 / messages as f64;
        assert!(
            (found - percent).abs() <= tolerance,
            "{}: {found} %",
            char::from(kind)
        );
    }
    let listed: u32 = documented.iter().map(|d| counts[usize::from(d.0)]).sum();
    assert_eq!(listed as usize, messages - 22, "no other types");
}

#[test]
fn stocks_follow_zipfs_law_whatever_their_locate() {
    let messages = 400_000;
    let day = generate(&plan(messages, 500)).unwrap();
    let mut counts = vec![0_u32; 501];
    for frame in Frames::new(&day).skip(501).take(messages - 502) {
        counts[usize::try_from(number(&frame.unwrap().bytes[1..3])).unwrap()] += 1;
    }
    assert_eq!(counts[0], 0);
    assert!(counts[1..].iter().all(|&count| count > 0));
    assert!(!counts.is_sorted_by_key(std::cmp::Reverse));
    counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
    // The 500th harmonic number is 6.7928; the rank r has a share of 1 / (6.7928 r).
    for (rank, tolerance) in [(1_usize, 0.05), (2, 0.05), (10, 0.05), (100, 0.15)] {
        let expected = (messages - 502) as f64 / 6.7928 / rank as f64;
        let found = f64::from(counts[rank - 1]);
        assert!(
            (found / expected - 1.0).abs() < tolerance,
            "rank {rank}: {found}"
        );
    }
}

#[test]
fn books_find_nothing_wrong_and_split_books_agree() {
    let day = generate(&plan(100_000, 100)).unwrap();
    let mut whole = Books::new();
    let mut parts = [Books::new(), Books::new(), Books::new()];
    for message in Messages::new(&day) {
        let message = message.unwrap();
        let change = whole.apply(&message).unwrap();
        let part = &mut parts[usize::from(message.locate()) % 3];
        assert_eq!(part.apply(&message), Ok(change));
        if let Some(top) = change.filter(|top| top.bid_price > 0 && top.ask_price > 0) {
            assert!(top.bid_price < top.ask_price, "crossed: {top:?}");
        }
    }
    assert_eq!(whole.anomalies().total(), 0);
    let [mut merged, second, third] = parts.map(|books| books.final_state());
    merged.merge(second).unwrap();
    merged.merge(third).unwrap();
    assert_eq!(merged, whole.final_state());
    assert!(merged.changes() > 10_000);
}

#[test]
fn a_day_that_no_memory_can_hold_is_an_error_at_once() {
    let messages = usize::MAX - 1;
    let error = generate(&plan(messages, 1)).unwrap_err();
    assert!(
        matches!(error, GenerateError::OutOfMemory { messages: named, .. } if named == messages),
        "{error}"
    );
    assert!(error.to_string().contains(&messages.to_string()), "{error}");
}

#[test]
fn the_size_of_a_day_is_known_before() {
    for (messages, symbols) in [(1_000, 500), (70_000, 60_000), (200_000, 500)] {
        let plan = plan(messages, symbols);
        let (guess, day) = (plan.bytes(), generate(&plan).unwrap().len());
        assert!(
            (day * 9 / 10..day * 12 / 10).contains(&guess),
            "{day}, {guess}"
        );
    }
}
