//! The ends of edges as instances hold them, and which instance leaves last.

use std::sync::Arc as StdArc;

use super::{Executor, Taker};
use crate::edge::{self, Call, Crew, Mouth, OutputPeek, To};
use crate::pipeline::builder::Many;
use crate::ring::{mpmc, spsc};
use crate::{Dispatcher, FailFast, Idle, Receiver};

/// The taking end of an instance.
pub struct Rx<T>(edge::Rx<T>);

impl<T: Send + 'static> Rx<T> {
    /// One of `instances` that share the ring, at the most the window of `taker` ahead.
    pub fn gated<U>(consumer: mpmc::Consumer<T>, instances: usize, taker: &Taker<U>) -> Self {
        let mut rx = edge::Rx::mpmc(consumer, instances, false);
        rx.set_gate(taker.0.cursors());
        Self(rx)
    }

    pub fn spsc(consumer: spsc::Consumer<T>) -> Self {
        Self(edge::Rx::spsc(consumer))
    }

    pub fn mpmc(consumer: mpmc::Consumer<T>) -> Self {
        Self(edge::Rx::mpmc(consumer, 1, false))
    }

    pub fn fill(&mut self, limit: usize) -> usize {
        self.0.fill(limit)
    }

    pub fn take(&mut self) -> Option<(usize, T)> {
        let ticket = self.0.ticket()?;
        Some((ticket, self.0.take(ticket)))
    }

    pub fn release(&mut self) {
        self.0.release();
    }

    pub fn peek_backlog(&self) -> usize {
        self.0.peek().backlog()
    }

    /// Dispatchers wait at the other end.
    pub fn calls_mouth<E>(&mut self, executor: &Executor<E>) {
        self.0.set_mouth(&executor.0.core);
        self.0
            .attach(|_| Call::Mouth(StdArc::clone(&executor.0.core), 0));
    }

    /// Closes the ring if the executor is closed.
    pub fn close_mouth<E>(&mut self, executor: &Executor<E>) {
        self.0.close_mouth(executor.0.core.phase());
    }

    pub fn is_ended(&self) -> bool {
        self.0.is_ended()
    }

    /// The end at which results are received.
    pub fn receiver<E: Send + Sync + 'static>(self, executor: &Executor<E>) -> Receiver<T, E> {
        let attach = StdArc::new(|_: &mut edge::Rx<T>| {});
        let idle = Idle::parking();
        let strategy = idle.strategy(false);
        Receiver::new(self.0, (), &executor.0, &idle, false, strategy, attach)
    }
}

/// The pushing end of an instance.
pub struct Tx<T: 'static>(pub(super) edge::Tx<'static, T>);

impl<T: Send + 'static> Tx<T> {
    pub fn spsc(producer: spsc::Producer<T>) -> Self {
        Self(edge::Tx::new(To::Spsc(producer)))
    }

    pub fn mpmc(producer: mpmc::Producer<T>) -> Self {
        Self(edge::Tx::new(To::Mpmc(producer)))
    }

    /// The end of the only dispatcher.
    pub fn mouth<E>(producer: spsc::Producer<T>, executor: &Executor<E>) -> Self {
        let mouth = Mouth::new(producer, &executor.0.core);
        Self(edge::Tx::new(To::Mouth(mouth)))
    }

    /// The end in front of a fork, of one for each branch.
    pub fn all(branches: impl IntoIterator<Item = Self>) -> Self
    where
        T: Clone,
    {
        let branches = branches.into_iter().map(|branch| branch.0);
        Self(edge::Tx::to_all(branches, |item| Some(item.clone())))
    }

    pub fn full_lane(&self) -> usize {
        self.0.full_lane()
    }

    /// What others see of it.
    pub fn peek(&self) -> Room {
        Room(self.0.peek())
    }

    pub fn begin(&mut self, ticket: usize) {
        self.0.begin(ticket);
    }

    pub fn try_send(&mut self, item: T) -> Result<(), T> {
        self.0.try_send(item)
    }

    pub fn end_job(&mut self) -> bool {
        self.0.end_job()
    }

    pub fn publish(&mut self) {
        self.0.publish();
    }

    pub fn close(&mut self) {
        self.0.close();
    }

    /// Receivers wait at the other end.
    pub fn calls_exit<E>(&mut self, executor: &Executor<E>) {
        let core = &executor.0.core;
        self.0.attach(|_, _| Call::Exit(StdArc::clone(core)));
    }

    /// The end at which jobs are dispatched.
    pub fn dispatcher<E: Send + Sync + 'static>(
        self,
        executor: &Executor<E>,
    ) -> Dispatcher<T, E, FailFast, Many> {
        let attach = StdArc::new(|_: &mut edge::Tx<'static, T>| {});
        let idle = Idle::parking();
        let strategy = idle.strategy(false);
        Dispatcher::new(self.0, (), &executor.0, &idle, false, strategy, attach)
    }
}

/// What anybody may see of a pushing end.
pub struct Room(StdArc<dyn OutputPeek>);

impl Room {
    pub fn has_room(&self) -> bool {
        self.0.has_room()
    }

    pub fn has_room_in(&self, lane: usize) -> bool {
        self.0.has_room_in(lane)
    }
}

/// The instances of a stage that have not ended.
pub struct Leavers(StdArc<Crew>);

impl Leavers {
    pub fn new(instances: usize) -> Self {
        Self(Crew::new(instances))
    }

    pub fn leave(&self) -> bool {
        self.0.leave()
    }
}
