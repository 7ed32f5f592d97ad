//! Whatever becomes of a ring, each item that went in is dropped exactly once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::common::within;
use ringmill::PushError;
use ringmill::ring::{mpmc, spsc};

/// Counts the items made and dropped.
#[derive(Clone, Default)]
struct Count {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Item {
    count: Count,
    /// Panics when it is dropped.
    is_bomb: bool,
}

impl Count {
    fn make(&self, is_bomb: bool) -> Item {
        self.made.fetch_add(1, SeqCst);
        Item {
            count: self.clone(),
            is_bomb,
        }
    }

    fn item(&self) -> Item {
        self.make(false)
    }

    fn bomb(&self) -> Item {
        self.make(true)
    }

    fn alive(&self) -> usize {
        self.made.load(SeqCst) - self.dropped.load(SeqCst)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.count.dropped.fetch_add(1, SeqCst);
        assert!(!self.is_bomb, "bomb");
    }
}

/// Batches and single items of every length, taken up to every point, at every place in the memory.
#[test]
fn what_is_left_of_batches_is_dropped() {
    for capacity in [1, 7, 20, 64] {
        for taken in 0..=capacity {
            for lap in 0..40 {
                let count = Count::default();
                let (mut tx, mut rx) = spsc::ring(capacity).unwrap();
                for _ in 0..lap {
                    assert!(tx.try_push(count.item()).is_ok());
                    assert!(rx.try_pop().is_some());
                }
                let batch = capacity - lap % 3 % capacity;
                assert_eq!(tx.push_batch((0..batch).map(|_| count.item())), batch);
                let taken = rx.drain(taken.min(batch), drop);
                while tx.try_push(count.item()).is_ok() {}
                assert_eq!(count.alive(), capacity, "with what was refused dropped");
                drop(tx);
                assert_eq!(count.alive(), capacity, "{taken} taken");
                drop(rx);
                assert_eq!(count.alive(), 0, "{taken} of {capacity} taken after {lap}");
            }
        }
    }
}

#[test]
fn what_is_left_is_dropped_with_the_last_end() {
    for (capacity, start) in [
        (1, 0),
        (2, usize::MAX),
        (3, usize::MAX - 1),
        (8, usize::MAX / 2),
    ] {
        for popped in 0..=capacity {
            let count = Count::default();
            let (mut tx, mut rx) = spsc::ring_at(capacity, start).unwrap();
            while tx.try_push(count.item()).is_ok() {}
            assert_eq!(count.alive(), capacity, "the refused one came back");
            for _ in 0..popped {
                assert!(rx.try_pop().is_some());
            }
            assert_eq!(count.alive(), capacity - popped);
            if popped % 2 == 0 {
                drop(tx);
                assert_eq!(count.alive(), capacity - popped, "may still be popped");
                drop(rx);
            } else {
                drop(rx);
                drop(tx);
            }
            assert_eq!(count.alive(), 0);

            let (tx, rx) = mpmc::ring_at(capacity, start).unwrap();
            while tx.clone().try_push(count.item()).is_ok() {}
            for _ in 0..popped {
                assert!(rx.try_pop().is_some());
            }
            assert_eq!(count.alive(), capacity - popped);
            tx.close();
            drop((tx, rx));
            assert_eq!(count.alive(), 0);
        }
    }
}

#[test]
fn a_refused_item_comes_back_whole() {
    let count = Count::default();
    let (tx, rx) = mpmc::ring(1).unwrap();
    tx.try_push(count.item()).unwrap();
    let Err(PushError::Full(item)) = tx.try_push(count.item()) else {
        panic!("it is full");
    };
    rx.close();
    let Err(PushError::Closed(item)) = tx.try_push(item) else {
        panic!("it is closed");
    };
    let mut batch = VecDeque::from([item]);
    assert!(tx.push_batch(&mut batch).is_err());
    assert_eq!((batch.len(), count.alive()), (1, 2));
}

#[test]
fn a_panic_while_draining_costs_what_the_docs_say() {
    let count = Count::default();
    let (mut tx, mut rx) = spsc::ring(4).unwrap();
    assert_eq!(tx.push_batch((0..4).map(|_| count.item())), 4);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        rx.drain(4, |_item| panic!("in each"));
    }));
    assert!(panicked.is_err());
    assert_eq!(count.alive(), 3, "the item in hand");
    assert!(tx.try_push(count.item()).is_ok(), "its slot is free again");
    while rx.drain(9, drop) > 0 {}
    assert_eq!(count.alive(), 0);

    let (tx, rx) = mpmc::ring(4).unwrap();
    for _ in 0..4 {
        tx.try_push(count.item()).unwrap();
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        rx.drain(3, |_item| panic!("in each"));
    }));
    assert!(panicked.is_err());
    assert_eq!(count.alive(), 1, "the rest of the batch");
    for _ in 0..3 {
        tx.try_push(count.item()).unwrap();
    }
    assert_eq!(rx.drain(9, drop), 4);
    assert_eq!(count.alive(), 0);
}

#[test]
fn a_panic_of_the_batch_iterator_keeps_what_went_in() {
    let count = Count::default();
    let (mut tx, mut rx) = spsc::ring(8).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        tx.push_batch((0..8).map(|nth| {
            assert!(nth < 3, "in the iterator");
            count.item()
        }))
    }));
    assert!(panicked.is_err());
    assert_eq!((rx.len(), count.alive()), (3, 3));
    assert_eq!(rx.drain(9, drop), 3);
}

#[test]
fn g_13_items_whose_drop_panics_are_dropped_once_each() {
    for start in [0, usize::MAX - 2] {
        let count = Count::default();
        let (mut tx, rx) = spsc::ring_at(5, start).unwrap();
        let items = [0, 1, 2, 3, 4].map(|nth| {
            if nth % 2 == 1 {
                count.bomb()
            } else {
                count.item()
            }
        });
        assert_eq!(tx.push_batch(items), 5);
        drop(rx);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(tx))).is_err());
        assert_eq!(count.alive(), 0);

        let (tx, rx) = mpmc::ring_at(5, start).unwrap();
        for nth in 0..5 {
            let item = if nth % 2 == 1 {
                count.bomb()
            } else {
                count.item()
            };
            assert!(tx.try_push(item).is_ok());
        }
        drop(tx);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
        assert_eq!(count.alive(), 0);
    }
}

#[test]
fn a_panic_on_the_way_out_of_a_batch_drops_the_rest_once() {
    let count = Count::default();
    let (tx, rx) = mpmc::ring(8).unwrap();
    for nth in 0..8 {
        let item = if nth == 5 { count.bomb() } else { count.item() };
        assert!(tx.try_push(item).is_ok());
    }
    // The rest of the batch is dropped while the panic unwinds: the bomb in it must not abort.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        rx.drain(8, |_item| panic!("in each"));
    }));
    let message = *panicked.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "in each");
    assert_eq!(count.alive(), 0);
}

#[test]
fn ends_that_go_while_others_push_and_pop() {
    within(|| {
        for round in 0..crate::common::jobs(200) {
            let count = Count::default();
            let (tx, rx) = mpmc::ring_at(3, usize::MAX - 4).unwrap();
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (tx, count) = (tx.clone(), count.clone());
                    scope.spawn(move || (0..20).for_each(|_| drop(tx.try_push(count.item()))));
                }
                let rx = rx.clone();
                scope.spawn(move || (0..round % 15).for_each(|_| drop(rx.try_pop())));
            });
            assert_eq!(count.alive(), rx.len());
            drop((tx, rx));
            assert_eq!(count.alive(), 0);

            let (mut tx, mut rx) = spsc::ring_at(3, usize::MAX - 4).unwrap();
            thread::scope(|scope| {
                let count = count.clone();
                scope.spawn(move || (0..20).for_each(|_| drop(tx.try_push(count.item()))));
                scope.spawn(move || (0..round % 15).for_each(|_| drop(rx.try_pop())));
            });
            assert_eq!(count.alive(), 0);
        }
    });
}
