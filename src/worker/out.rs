//! What a duty gives on: its producer end, with a place for the one result that found no room.

use std::sync::Arc;

use crate::counters::Tally;
use crate::edge::Tx;
use crate::policy::Policy;
use crate::stage::Outlet;

/// The producer end and the places for what found no room.
pub(super) struct Out<'env, T, C> {
    pub(super) tx: Tx<'env, T>,
    /// What is known of the running job's time.
    pub(super) clock: C,
    /// The first result that did not fit.
    pub(super) held: Option<T>,
    /// How its job ended, where that has to travel too and the place above is taken.
    pub(super) late: Option<T>,
    pub(super) tally: Arc<Tally>,
}

impl<T, C> Out<'_, T, C> {
    pub(super) fn is_ready(&self) -> bool {
        self.held.is_none()
    }

    #[inline]
    pub(super) fn offer(&mut self, item: T) -> Result<(), T> {
        if self.held.is_some() {
            return Err(item);
        }
        if self.tx.is_nowhere() {
            self.tally.discard();
        }
        self.held = self.tx.try_send(item).err();
        Ok(())
    }

    /// Sends what is held. Whether nothing is any more.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(item) = self.held.take() {
            if let Err(item) = self.tx.try_send(item) {
                self.held = Some(item);
                return false;
            }
            self.held = self.late.take();
        }
        true
    }

    /// Drops what is held.
    pub(super) fn discard(&mut self) {
        while let Some(item) = self.held.take() {
            self.held = self.late.take();
            self.tally.discard();
            drop(item);
        }
    }
}

/// The outlet that the stage sees.
pub(super) struct Emit<'a, 'env, T: Send, E, P: Policy<E>>(
    pub(super) &'a mut Out<'env, P::Item<T>, P::Clock>,
);

impl<T: Send, E, P: Policy<E>> Outlet<T> for Emit<'_, '_, T, E, P> {
    #[inline]
    fn is_ready(&self) -> bool {
        self.0.is_ready() && P::late(&self.0.clock).is_none()
    }

    #[inline]
    fn emit(&mut self, result: T) -> Result<(), T> {
        if !self.is_ready() {
            return Err(result);
        }
        match P::emit(&mut self.0.clock, result) {
            Some(item) => drop(self.0.offer(item)), // It is ready.
            None => self.0.tally.discard(),
        }
        Ok(())
    }
}
