//! A hand: items claimed by one consumer and not yet taken.

#![expect(unsafe_code, reason = "takes items at positions that it claimed")]

use std::borrow::Borrow;
use std::marker::PhantomData;

use super::Consumer;
use super::claim::Claim;
use crate::ring::cursor::{LEFT, STEP, distance};
use crate::ring::slots::drop_each;

/// A consumer that claims a few positions at once and takes them one by one: a slot is given back when
/// its item is taken, not before. What is still in the hand when it is dropped is dropped with it.
///
/// Where the ring has a [`Claim`] for it, the hand holds one item, which it is about to take; what
/// it has claimed besides lies in the claim, where others find it that have nothing else to take.
pub(crate) struct Hand<T, C: Borrow<Consumer<T>> = Consumer<T>> {
    consumer: C,
    next: usize,
    end: usize,
    /// Which of the ring's claims is its own.
    nth: Option<usize>,
    /// What each claim of the ring began with when this hand last looked; at first, what none ever does.
    seen: Box<[usize]>,
    items: PhantomData<T>,
}

impl<T> Hand<T> {
    /// One of the consumers of a ring: it owns the next of the ring's claims, if one is left.
    pub(crate) fn shared(consumer: Consumer<T>) -> Self {
        let nth = consumer.shared.own_claim();
        let claims = nth.map_or(0, |_| consumer.shared.claims.len());
        let mut hand = Self::new(consumer);
        hand.nth = nth;
        hand.seen = (0..claims).map(|_| LEFT).collect();
        hand
    }
}

impl<T, C: Borrow<Consumer<T>>> Hand<T, C> {
    pub(crate) fn new(consumer: C) -> Self {
        Self {
            consumer,
            next: 0,
            end: 0,
            nth: None,
            seen: Box::default(),
            items: PhantomData,
        }
    }

    /// Claims items if the hand is empty, up to what `limit` allows for the head it is given; returns how
    /// many the hand holds. A capacity that is no power of two is kept by counting claims, so there the
    /// hand holds one.
    pub(crate) fn fill(&mut self, limit: impl Fn(usize) -> usize) -> usize {
        if self.fill_from_claim() == 0 {
            let shared = &self.consumer().shared;
            let most = if shared.exact { usize::MAX } else { 1 };
            let (word, count) = self.consumer().claim(|head| limit(head).min(most));
            match self.nth {
                Some(nth) if count > 1 => {
                    let first_left = word.wrapping_add(STEP);
                    shared.claims[nth].offer(first_left, word.wrapping_add(count * STEP));
                    self.hold(word, 1);
                }
                Some(_) if count == 0 => self.take_over(),
                _ => self.hold(word, count),
            }
        }
        distance(self.next, self.end)
    }

    /// Whether a fill claims one item at the most.
    pub(crate) fn claims_singly(&self) -> bool {
        !self.consumer().shared.exact
    }

    /// [`Hand::fill`] with nothing but what is left of its own claim.
    pub(crate) fn fill_from_claim(&mut self) -> usize {
        if self.next == self.end
            && let Some(claim) = self.claim()
            && let Some(word) = claim.take()
        {
            self.hold(word, 1);
        }
        distance(self.next, self.end)
    }

    /// Takes one that another has claimed and not begun, if that one has begun none since the last look: it is at a job
    /// that is longer than a poll.
    #[inline(never)]
    pub(crate) fn take_over(&mut self) {
        let claims = &self.consumer.borrow().shared.claims;
        for (claim, seen) in claims.iter().zip(&mut self.seen) {
            let Some(next) = claim.first() else { continue };
            if std::mem::replace(seen, next) == next
                && let Some(word) = claim.take()
            {
                return self.hold(word, 1);
            }
        }
    }

    fn hold(&mut self, word: usize, count: usize) {
        self.next = word;
        self.end = word.wrapping_add(count * STEP);
    }

    fn claim(&self) -> Option<&Claim> {
        self.nth.map(|nth| &self.consumer().shared.claims[nth])
    }

    /// Whether something is left of its own claim.
    pub(crate) fn has_claim(&self) -> bool {
        self.claim().is_some_and(|claim| !claim.is_empty())
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
        // SAFETY: `hold` was given `next..end` by a claim of the ring, or took it from one: they are this hand's alone. And
        // `next` has moved past `word`: taken once.
        unsafe { self.consumer().shared.take(word) }
    }

    pub(crate) fn consumer(&self) -> &Consumer<T> {
        self.consumer.borrow()
    }
}

impl<T, C: Borrow<Consumer<T>>> Drop for Hand<T, C> {
    fn drop(&mut self) {
        drop_each(|| {
            self.fill_from_claim();
            self.ticket().map(|_| self.take())
        });
    }
}
