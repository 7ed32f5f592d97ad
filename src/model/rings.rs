//! The ends of bare rings and of the window.

#![expect(
    unsafe_code,
    reason = "models place in a window, which asks for the ticket's holder"
)]

use super::Tx;
use crate::RingError;
use crate::edge;
use crate::ring::{mpmc, window};

pub fn has_room<T>(producer: &mpmc::Producer<T>) -> bool {
    producer.has_room()
}

pub fn has_published<T>(consumer: &mpmc::Consumer<T>) -> bool {
    consumer.has_published()
}

/// The only pushing end of a ring.
pub struct Sole<T>(mpmc::Sole<T>);

impl<T> Sole<T> {
    pub fn ring_at(capacity: usize, start: usize) -> Result<(Self, mpmc::Consumer<T>), RingError> {
        let (tx, rx) = mpmc::sole_ring_at(capacity, start, 0)?;
        Ok((Self(tx), rx))
    }

    pub fn try_push(&mut self, item: T) -> Result<(), T> {
        self.0.try_push(item)
    }

    pub fn close(&self) {
        self.0.close();
    }
}

/// A consumer that claims a few and takes them one by one.
pub struct Hand<T>(mpmc::Hand<T>);

impl<T> Hand<T> {
    /// One that the others of the ring do not know.
    pub fn new(consumer: mpmc::Consumer<T>) -> Self {
        Self(mpmc::Hand::new(consumer))
    }

    /// One each for so many consumers of one ring: what one has claimed and not begun, another may take.
    pub fn shared(
        capacity: usize,
        start: usize,
        consumers: usize,
    ) -> Result<(mpmc::Producer<T>, Vec<Self>), RingError> {
        let (tx, rx) = mpmc::shared_ring_at(capacity, start, consumers)?;
        let hands = (0..consumers).map(|_| Self(mpmc::Hand::shared(rx.clone())));
        Ok((tx, hands.collect()))
    }

    pub fn fill(&mut self, limit: usize) -> usize {
        self.0.fill(|_| limit)
    }

    /// Takes over what another has claimed, and does not look into the ring.
    pub fn take_over(&mut self) {
        self.0.take_over();
    }

    pub fn held(&self) -> usize {
        self.0.held()
    }

    pub fn take(&mut self) -> Option<(usize, T)> {
        let ticket = self.0.ticket()?;
        Some((ticket, self.0.take()))
    }

    pub fn consumer(&self) -> &mpmc::Consumer<T> {
        self.0.consumer()
    }
}

/// A window behind the ring of `input`.
pub fn window<U, T>(
    size: usize,
    input: &mpmc::Consumer<U>,
) -> Result<(Placer<T>, Taker<T>), RingError> {
    let (placer, taker) = window::window(size, crate::sync::Arc::clone(input.cursors()))?;
    Ok((Placer(placer), Taker(taker)))
}

pub struct Placer<T>(window::Placer<T>);

impl<T> Clone for Placer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Placer<T> {
    /// For the holder of `ticket`, who has placed neither a last result nor a gap for it.
    pub fn place(&self, ticket: usize, item: T, more: bool) -> Result<(), T> {
        // SAFETY: the model holds the ticket.
        unsafe { self.0.place(ticket, item, more) }
    }

    /// As [`Placer::place`].
    pub fn gap(&self, ticket: usize) -> bool {
        // SAFETY: the model holds the ticket.
        unsafe { self.0.gap(ticket) }
    }

    pub fn close(&self) {
        self.0.close();
    }

    pub fn backlog(&self) -> usize {
        self.0.peek().backlog()
    }

    /// The placing end of an instance.
    pub fn tx(&self) -> Tx<T> {
        Tx(edge::Tx::to_window(self.0.clone()))
    }
}

pub struct Taker<T>(pub(super) window::Taker<T>);

impl<T> Taker<T> {
    pub fn try_pop(&mut self) -> Option<T> {
        self.0.ticket()?;
        Some(self.0.take())
    }

    pub fn is_ended(&self) -> bool {
        self.0.peek().is_ended()
    }

    pub fn backlog(&self) -> usize {
        self.0.peek().backlog()
    }
}
