//! Rings do what a queue of bounded length does: on one thread against a model, on several each item
//! exactly once and in its producer's order.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

use crate::common::within;
use proptest::prelude::*;
use ringmill::ring::{mpmc, spsc};
use ringmill::{Closed, PushError};

#[derive(Debug, Clone)]
enum Op {
    Push,
    Pop,
    PushBatch(usize),
    Drain(usize),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => Just(Op::Push),
        8 => Just(Op::Pop),
        4 => prop_oneof![0..12_usize, 0..80_usize].prop_map(Op::PushBatch),
        4 => prop_oneof![0..12_usize, 0..80_usize].prop_map(Op::Drain),
        1 => Just(Op::Close),
    ];
    prop::collection::vec(op, 0..120)
}

/// First positions: 0, anywhere, and just before a position or its word wraps.
fn starts() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(0),
        any::<usize>(),
        (0..40_usize).prop_map(|before| usize::MAX - before),
        (0..40_usize).prop_map(|before| usize::MAX / 2 - before),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn spsc_is_a_bounded_queue(capacity in prop_oneof![1..10_usize, 1..70_usize], start in starts(), ops in ops()) {
        let (tx, mut rx) = spsc::ring_at(capacity, start).unwrap();
        let mut tx = Some(tx);
        let mut model = VecDeque::new();
        let mut next = 0_u32;
        for op in ops {
            let room = capacity - model.len();
            match (op, tx.as_mut()) {
                (Op::Push, Some(tx)) => {
                    let pushed = tx.try_push(next);
                    prop_assert_eq!(pushed.is_ok(), room > 0);
                    if let Err(full) = pushed {
                        prop_assert_eq!(full.0, next);
                    } else {
                        model.push_back(next);
                    }
                    next += 1;
                }
                (Op::PushBatch(limit), Some(tx)) => {
                    let mut asked = 0;
                    let items = (next..).take(limit).inspect(|_| asked += 1);
                    let count = tx.push_batch(items);
                    prop_assert_eq!(count, limit.min(room));
                    prop_assert_eq!(asked, count, "an item without room was asked for");
                    for _ in 0..count {
                        model.push_back(next);
                        next += 1;
                    }
                }
                (Op::Close, _) => tx = None,
                (Op::Drain(limit), _) => {
                    let mut out = Vec::new();
                    let count = rx.drain(limit, |item| out.push(item));
                    // It may take only those that it knows of: all of them, if it knew of none.
                    prop_assert!(count <= limit.min(model.len()));
                    prop_assert!(count > 0 || limit == 0 || model.is_empty());
                    let expected: Vec<_> = model.drain(..count).collect();
                    prop_assert_eq!(out, expected);
                }
                _ => prop_assert_eq!(rx.try_pop(), model.pop_front()),
            }
            prop_assert_eq!(rx.len(), model.len());
            prop_assert_eq!(rx.is_empty(), model.is_empty());
            prop_assert_eq!(rx.capacity(), capacity);
            prop_assert_eq!(rx.is_ended(), tx.is_none() && model.is_empty());
            if let Some(tx) = &tx {
                prop_assert_eq!((tx.len(), tx.capacity()), (model.len(), capacity));
                prop_assert!(!tx.is_abandoned());
            }
        }
        drop(rx);
        prop_assert!(tx.is_none_or(|tx| tx.is_abandoned()));
    }

    #[test]
    fn mpmc_is_a_bounded_queue(capacity in 1..10_usize, start in starts(), ops in ops()) {
        let (tx, rx) = mpmc::ring_at(capacity, start).unwrap();
        let ends = [(tx.clone(), rx.clone()), (tx, rx)];
        let mut model = VecDeque::new();
        let mut next = 0_u32;
        let mut is_closed = false;
        for (nth, op) in ops.into_iter().enumerate() {
            let (tx, rx) = &ends[nth % 2];
            let room = capacity - model.len();
            match op {
                Op::Push => {
                    let expected = if is_closed {
                        Err(PushError::Closed(next))
                    } else if room == 0 {
                        Err(PushError::Full(next))
                    } else {
                        model.push_back(next);
                        Ok(())
                    };
                    prop_assert_eq!(tx.try_push(next), expected);
                    next += 1;
                }
                Op::Pop => prop_assert_eq!(rx.try_pop(), model.pop_front()),
                Op::PushBatch(limit) => {
                    let mut items: VecDeque<_> = (next..).take(limit).collect();
                    let pushed = tx.push_batch(&mut items);
                    let count = if is_closed { 0 } else { limit.min(room) };
                    prop_assert_eq!(pushed, if is_closed { Err(Closed(())) } else { Ok(count) });
                    prop_assert_eq!(items.len(), limit - count);
                    model.extend((next..).take(count));
                    next += u32::try_from(count).unwrap();
                    prop_assert_eq!(items.front().copied(), (count < limit).then_some(next));
                }
                Op::Drain(limit) => {
                    let mut out = Vec::new();
                    let count = rx.drain(limit, |item| out.push(item));
                    // A capacity that is no power of two is kept by claiming one at a time.
                    prop_assert!(count <= limit.min(model.len()));
                    prop_assert!(count > 0 || limit == 0 || model.is_empty());
                    let expected: Vec<_> = model.drain(..count).collect();
                    prop_assert_eq!(out, expected);
                }
                Op::Close => {
                    let was_first = if nth % 3 == 0 { tx.close() } else { rx.close() };
                    prop_assert_eq!(was_first, !is_closed);
                    is_closed = true;
                }
            }
            prop_assert_eq!((tx.len(), rx.len()), (model.len(), model.len()));
            prop_assert_eq!((tx.is_empty(), rx.is_empty()), (model.is_empty(), model.is_empty()));
            prop_assert_eq!((tx.capacity(), rx.capacity()), (capacity, capacity));
            prop_assert_eq!((tx.is_closed(), rx.is_closed()), (is_closed, is_closed));
            prop_assert_eq!(rx.is_ended(), is_closed && model.is_empty());
        }
    }
}

const CAPACITIES: [usize; 4] = [1, 2, 3, 64];

/// Items a producer pushes: small rings hand over one by one, at worst for a time slice each.
fn items(capacity: usize) -> u64 {
    crate::common::jobs(500 * capacity as u64)
}

#[test]
fn spsc_hands_over_in_order() {
    within(|| {
        for (capacity, is_batched) in CAPACITIES.into_iter().flat_map(|c| [(c, false), (c, true)]) {
            let count = items(capacity);
            let (mut tx, mut rx) = spsc::ring_at(capacity, usize::MAX - 5).unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    let mut items = (0..count).peekable();
                    while let Some(&item) = items.peek() {
                        let went_in = if is_batched {
                            let went_in = tx.push_batch(item..count.min(item + 7));
                            for _ in 0..went_in {
                                items.next();
                            }
                            went_in > 0
                        } else {
                            tx.try_push(item).map(|()| items.next()).is_ok()
                        };
                        if !went_in {
                            thread::yield_now();
                        }
                    }
                });
                let mut expected = 0;
                while !rx.is_ended() {
                    let seen = rx.drain(if is_batched { 5 } else { 1 }, |item| {
                        assert_eq!(item, expected);
                        expected += 1;
                    });
                    if seen == 0 {
                        thread::yield_now();
                    }
                }
                assert_eq!(expected, count);
            });
        }
    });
}

/// Pushes `count` items marked with the producer's number.
fn produce(tx: &mpmc::Producer<(usize, u64)>, number: usize, count: u64, is_batched: bool) {
    let mut batch = VecDeque::new();
    let mut next = 0;
    while next < count || !batch.is_empty() {
        let most = if is_batched { 5 } else { 1 };
        while batch.len() < most && next < count {
            batch.push_back((number, next));
            next += 1;
        }
        let went_in = if is_batched {
            tx.push_batch(&mut batch).unwrap() > 0
        } else {
            let item = batch.pop_front().unwrap();
            let pushed = tx.try_push(item);
            pushed
                .map_err(|refused| batch.push_front(refused.into_inner()))
                .is_ok()
        };
        if !went_in {
            thread::yield_now();
        }
    }
}

#[test]
fn mpmc_hands_over_exactly_once_and_in_order_per_producer() {
    within(|| {
        for (capacity, is_batched) in CAPACITIES.into_iter().flat_map(|c| [(c, false), (c, true)]) {
            let count = items(capacity);
            let (tx, rx) = mpmc::ring_at(capacity, usize::MAX - 5).unwrap();
            let all = Mutex::new(Vec::new());
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (rx, all) = (rx.clone(), &all);
                    scope.spawn(move || {
                        let mut seen: Vec<(usize, u64)> = Vec::new();
                        while !rx.is_ended() {
                            let most = if is_batched { 3 } else { 1 };
                            if rx.drain(most, |item| seen.push(item)) == 0 {
                                thread::yield_now();
                            }
                        }
                        for producer in 0..2 {
                            let mut of_one = seen.iter().filter(|item| item.0 == producer);
                            let mut last = of_one.next();
                            assert!(of_one.all(|item| last.replace(item) < Some(item)));
                        }
                        all.lock().unwrap().extend(seen);
                    });
                }
                let producers: Vec<_> = (0..2)
                    .map(|number| {
                        let tx = tx.clone();
                        scope.spawn(move || produce(&tx, number, count, is_batched))
                    })
                    .collect();
                for producer in producers {
                    producer.join().unwrap();
                }
                tx.close();
            });
            let mut all = all.into_inner().unwrap();
            all.sort_unstable();
            let expected = (0..2).flat_map(|number| (0..count).map(move |item| (number, item)));
            assert!(all.into_iter().eq(expected), "capacity {capacity}");
        }
    });
}

#[test]
fn a_close_against_pushes_loses_nothing_accepted() {
    within(|| {
        for round in 0..crate::common::jobs(300) {
            let (tx, rx) = mpmc::ring_at(3, usize::MAX - 1).unwrap();
            thread::scope(|scope| {
                let pushers: Vec<_> = (0..2)
                    .map(|_| {
                        let tx = tx.clone();
                        scope.spawn(move || {
                            let mut accepted = 0_u64;
                            loop {
                                match tx.try_push(round) {
                                    Ok(()) => accepted += 1,
                                    Err(PushError::Full(_)) => thread::yield_now(),
                                    Err(PushError::Closed(_)) => return accepted,
                                }
                            }
                        })
                    })
                    .collect();
                let mut popped = 0_u64;
                while !rx.is_ended() {
                    popped += rx.drain(2, drop) as u64;
                    if popped > round % 7 {
                        rx.close();
                    }
                }
                let accepted: u64 = pushers.into_iter().map(|p| p.join().unwrap()).sum();
                assert_eq!(popped, accepted);
            });
        }
    });
}

#[test]
fn a_ring_of_items_without_size_takes_no_time_and_no_memory() {
    within(|| {
        let (mut tx, mut rx) = ringmill::ring::spsc::ring::<()>(1 << 40).unwrap();
        for _ in 0..3 {
            tx.try_push(()).unwrap();
        }
        assert_eq!((tx.capacity(), tx.len()), (1 << 40, 3));
        assert_eq!(rx.try_pop(), Some(()));
        drop(tx);
        assert_eq!(std::iter::from_fn(|| rx.try_pop()).count(), 2);
    });
}
