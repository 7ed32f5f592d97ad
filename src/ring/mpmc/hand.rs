//! A hand: items claimed by one consumer and not yet taken.

#![expect(unsafe_code, reason = "takes items at positions that it claimed")]

use std::borrow::Borrow;
use std::marker::PhantomData;

use super::Consumer;
use crate::ring::cursor::{STEP, distance};
use crate::ring::slots::drop_each;

/// A consumer that claims a few positions at once and takes them one by one: a slot is given back when
/// its item is taken, not before. What is still in the hand when it is dropped is dropped with it.
pub(crate) struct Hand<T, C: Borrow<Consumer<T>> = Consumer<T>> {
    consumer: C,
    next: usize,
    end: usize,
    items: PhantomData<T>,
}

impl<T, C: Borrow<Consumer<T>>> Hand<T, C> {
    pub(crate) fn new(consumer: C) -> Self {
        Self {
            consumer,
            next: 0,
            end: 0,
            items: PhantomData,
        }
    }

    /// Claims items if the hand is empty, up to what `limit` allows for the head it is given; returns how
    /// many the hand holds. A capacity that is no power of two is kept by counting claims, so there the
    /// hand holds one.
    pub(crate) fn fill(&mut self, limit: impl Fn(usize) -> usize) -> usize {
        if self.next == self.end {
            let most = if self.consumer().shared.exact {
                usize::MAX
            } else {
                1
            };
            let (word, count) = self.consumer().claim(|head| limit(head).min(most));
            self.next = word;
            self.end = word.wrapping_add(count * STEP);
        }
        distance(self.next, self.end)
    }

    /// Whether a fill claims one item at the most.
    pub(crate) fn claims_singly(&self) -> bool {
        !self.consumer().shared.exact
    }

    /// How many claimed items are in the hand.
    pub(crate) fn held(&self) -> usize {
        distance(self.next, self.end)
    }

    /// The word of the next item's position: its place in the order in which the ring was pushed.
    #[inline]
    pub(crate) fn ticket(&self) -> Option<usize> {
        (self.next != self.end).then_some(self.next)
    }

    /// Takes the next item and gives its slot back. For a hand that is not empty; panics otherwise.
    #[inline]
    pub(crate) fn take(&mut self) -> T {
        assert!(self.next != self.end, "a take from an empty hand");
        let word = self.next;
        self.next = word.wrapping_add(STEP);
        // SAFETY: `fill` claimed `next..end`, and `next` has moved past `word`: taken once.
        unsafe { self.consumer().shared.take(word) }
    }

    pub(crate) fn consumer(&self) -> &Consumer<T> {
        self.consumer.borrow()
    }
}

impl<T, C: Borrow<Consumer<T>>> Drop for Hand<T, C> {
    fn drop(&mut self) {
        drop_each(|| self.ticket().map(|_| self.take()));
    }
}
