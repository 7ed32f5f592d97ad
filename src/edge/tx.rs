//! The pushing end of an edge.

#![expect(
    unsafe_code,
    reason = "placing in a window asks for the ticket's holder, who is known here"
)]

use std::mem;
use std::sync::Arc as StdArc;

use super::all::All;
use super::{Call, Crew, Mouth};
use crate::error::PushError;
use crate::ring::cursor::Cursors;
use crate::ring::{mpmc, spsc, window};
use crate::sync::Arc;

/// Picks the lane for an item.
pub(crate) type Route<'env, T> = StdArc<dyn Fn(&T) -> usize + Send + Sync + 'env>;

/// Where a pushing end is: the number of its edge, and of its ring if the edge has one for each producer.
pub(crate) type Place = (usize, usize);

/// A pushing end.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Tx<'env, T> {
    pub(super) to: To<'env, T>,
    call: Call,
    /// The others that push into the same ring, if there are any.
    crew: Option<StdArc<Crew>>,
    /// The edge that it belongs to and, where each producer has a ring of its own there, which one this is.
    place: Place,
    /// Pushed since the last publication.
    dirty: bool,
    full_lane: usize,
}

pub(crate) enum To<'env, T> {
    Spsc(spsc::Producer<T>),
    Mpmc(mpmc::Producer<T>),
    /// This producer's own ring, from which several consumers take.
    Sole(mpmc::Sole<T>),
    /// The only dispatcher's.
    Mouth(Mouth<T>),
    /// One behind: a result is placed when it is known whether another follows it.
    Window {
        placer: window::Placer<T>,
        ticket: usize,
        pending: Option<T>,
    },
    /// One ring for each instance of a keyed stage.
    Lanes(Lanes<'env, T>),
    /// One end for each branch of a fork.
    All(Box<All<'env, T>>),
    Nowhere,
}

/// The rings of a keyed stage's instances.
pub(crate) struct Lanes<'env, T> {
    pub(super) lanes: Vec<Tx<'env, T>>,
    route: Route<'env, T>,
    /// Which of them have got something since the last publication: that costs nothing for the others.
    dirty: Vec<usize>,
}

impl<'env, T> Lanes<'env, T> {
    fn new(lanes: Vec<Tx<'env, T>>, route: Route<'env, T>) -> Self {
        let dirty = Vec::with_capacity(lanes.len());
        Self {
            lanes,
            route,
            dirty,
        }
    }

    /// Sends an item into this lane.
    fn try_send(&mut self, lane: usize, item: T) -> Result<(), T> {
        if !self.lanes[lane].dirty {
            self.dirty.push(lane);
        }
        self.lanes[lane].try_send(item)
    }

    fn publish(&mut self) {
        while let Some(lane) = self.dirty.pop() {
            self.lanes[lane].publish();
        }
    }
}

impl<'env, T> Tx<'env, T> {
    /// An end for one ring each of a keyed stage's instances.
    pub(crate) fn to_lanes(lanes: Vec<Self>, route: Route<'env, T>) -> Self {
        Self::new(To::Lanes(Lanes::new(lanes, route)))
    }

    pub(crate) fn new(to: To<'env, T>) -> Self {
        Self {
            to,
            call: Call::Nobody,
            crew: None,
            place: (0, 0),
            dirty: false,
            full_lane: 0,
        }
    }

    pub(crate) fn to_window(placer: window::Placer<T>) -> Self {
        Self::new(To::Window {
            placer,
            ticket: 0,
            pending: None,
        })
    }

    /// The window behind this end, if it is one.
    pub(crate) fn window(&self) -> Option<&Arc<Cursors>> {
        match &self.to {
            To::Window { placer, .. } => Some(placer.cursors()),
            _ => None,
        }
    }

    /// Says where the ends of one ring, or of one ring each, are; who shares a ring closes it together.
    pub(crate) fn place(txs: &mut [Self], edge: usize, is_merged: bool) {
        let crew = (txs.len() > 1 && !is_merged).then(|| Crew::new(txs.len()));
        for (nth, tx) in txs.iter_mut().enumerate() {
            tx.place = (edge, if is_merged { nth } else { 0 });
            tx.crew.clone_from(&crew);
        }
    }

    /// The edges that it pushes into.
    pub(crate) fn places(&self) -> Vec<Place> {
        match &self.to {
            To::All(all) => all.places(),
            _ => vec![self.place],
        }
    }

    /// Says who is at the other end, by edge and ring; for lanes, at each one's.
    pub(crate) fn attach(&mut self, mut call: impl FnMut(usize, usize) -> Call) {
        self.attach_each(&mut call);
    }

    pub(super) fn attach_each(&mut self, call: &mut dyn FnMut(usize, usize) -> Call) {
        let (edge, ring) = self.place;
        match &mut self.to {
            To::Lanes(to) => {
                for (nth, lane) in to.lanes.iter_mut().enumerate() {
                    lane.call = call(edge, nth);
                }
            }
            To::All(all) => all.attach(call),
            _ => self.call = call(edge, ring),
        }
    }

    /// Hands an item on; [`Tx::publish`] makes it visible at the latest.
    #[expect(clippy::inline_always, reason = "the hot loop, once per result")]
    #[inline(always)]
    pub(crate) fn try_send(&mut self, item: T) -> Result<(), T> {
        self.dirty = true;
        if let To::Spsc(producer) = &mut self.to {
            return producer.write(item);
        }
        self.try_send_otherwise(item)
    }

    #[inline(never)]
    fn try_send_otherwise(&mut self, item: T) -> Result<(), T> {
        match &mut self.to {
            To::Spsc(producer) => producer.write(item),
            To::Mpmc(producer) => producer.try_push(item).map_err(PushError::into_inner),
            To::Sole(producer) => producer.try_push(item),
            To::Lanes(to) => {
                self.full_lane = (to.route)(&item);
                to.try_send(self.full_lane, item)
            }
            To::Window {
                placer,
                ticket,
                pending,
            } => {
                if let Some(result) = pending.take() {
                    // SAFETY: `begin` set the ticket of a job that this duty took, `end_job` has not
                    // succeeded for it.
                    if let Err(result) = unsafe { placer.place(*ticket, result, true) } {
                        *pending = Some(result);
                        return Err(item);
                    }
                }
                *pending = Some(item);
                Ok(())
            }
            To::All(all) => all.try_send(item),
            // Dispatchers do not send.
            To::Mouth(_) => Err(item),
            To::Nowhere => {
                drop(item);
                Ok(())
            }
        }
    }

    /// Whether there is nobody to take anything.
    pub(crate) fn is_nowhere(&self) -> bool {
        matches!(self.to, To::Nowhere)
    }

    /// Which lane refused the last item; in a window, the slot of the open job.
    pub(crate) fn full_lane(&self) -> usize {
        match &self.to {
            To::Window { placer, ticket, .. } => placer.cursors().index(*ticket),
            To::All(all) => all.full_lane(),
            _ => self.full_lane,
        }
    }

    /// Whether a job may be started: its first result has a place, as far as can be known.
    #[expect(clippy::inline_always, reason = "the hot loop, once per job")]
    #[inline(always)]
    pub(crate) fn has_room(&mut self) -> bool {
        if let To::Spsc(producer) = &mut self.to {
            return producer.has_room();
        }
        self.has_room_otherwise()
    }

    #[inline(never)]
    fn has_room_otherwise(&mut self) -> bool {
        match &mut self.to {
            To::Spsc(producer) => producer.has_room(),
            To::Sole(producer) => producer.has_room(),
            To::Mpmc(producer) => producer.has_room(),
            To::Mouth(mouth) => mouth.has_room(),
            To::All(all) => all.has_room(),
            // The ticket is taken only with room; a lane is known only with the result.
            To::Window { .. } | To::Lanes(_) | To::Nowhere => true,
        }
    }

    /// A job with this ticket starts.
    #[inline]
    pub(crate) fn begin(&mut self, new: usize) {
        if let To::Window { ticket, .. } = &mut self.to {
            *ticket = new;
        }
    }

    /// The job has emitted its last result. False: not yet, there is no room to say so. Called until it
    /// is true, once for each [`Tx::begin`].
    #[inline]
    pub(crate) fn end_job(&mut self) -> bool {
        let To::Window {
            placer,
            ticket,
            pending,
        } = &mut self.to
        else {
            return true;
        };
        let placed = match pending.take() {
            // SAFETY: as in `try_send`.
            None => unsafe { placer.gap(*ticket) },
            // SAFETY: as in `try_send`.
            Some(result) => match unsafe { placer.place(*ticket, result, false) } {
                Ok(()) => true,
                Err(result) => {
                    *pending = Some(result);
                    false
                }
            },
        };
        self.dirty |= placed;
        placed
    }

    /// Takes back a result that was accepted and not yet placed.
    pub(crate) fn take_pending(&mut self) -> Option<T> {
        match &mut self.to {
            To::Window { pending, .. } => pending.take(),
            To::All(all) => all.take_pending(),
            _ => None,
        }
    }

    /// Makes visible what was sent, and calls who waits for it.
    #[expect(
        clippy::inline_always,
        reason = "once per poll, which may be of one job"
    )]
    #[inline(always)]
    pub(crate) fn publish(&mut self) {
        if !self.dirty {
            return;
        }
        self.dirty = false;
        if let To::Spsc(producer) = &mut self.to {
            producer.publish();
            let cursors = producer.cursors();
            self.call.published(|| cursors.len());
        } else {
            self.publish_otherwise();
        }
    }

    #[inline(never)]
    fn publish_otherwise(&mut self) {
        match &mut self.to {
            To::Mpmc(producer) => self.call.published(|| producer.len()),
            To::Sole(producer) => {
                let cursors = producer.cursors();
                self.call.published(|| cursors.len());
            }
            To::Window { placer, .. } => self.call.published(|| placer.peek().backlog()),
            To::Lanes(to) => to.publish(),
            To::All(all) => all.publish(),
            // What is dispatched is visible; and [`Tx::publish`] itself sees to the simplest ring.
            To::Spsc(_) | To::Mouth(_) | To::Nowhere => {}
        }
    }

    /// The duty whose end it is pushes no more. The last one to leave ends the other end's input.
    pub(crate) fn leave(&mut self) {
        self.publish();
        if let To::All(all) = &mut self.to {
            all.leave();
        } else if self.crew.as_ref().is_none_or(|crew| crew.leave()) {
            self.close();
        }
    }

    /// Ends the other end's input. Called once, by the last that pushes, after its last push.
    pub(crate) fn close(&mut self) {
        self.publish();
        match &mut self.to {
            To::Spsc(producer) => producer.close(),
            To::Mpmc(producer) => drop(producer.close()),
            To::Sole(producer) => producer.close(),
            To::Window { placer, .. } => placer.close(),
            To::Lanes(to) => to.lanes.iter_mut().for_each(Tx::close),
            // Those are closed one by one, each when its own last producer leaves.
            // And a mouth by who takes from it.
            To::All(_) | To::Mouth(_) | To::Nowhere => {}
        }
        self.call.ended();
    }

    /// [`Tx::try_send`] and [`Tx::publish`] for a dispatcher, who wants to know why not.
    #[inline]
    pub(crate) fn dispatch(&mut self, item: T) -> Result<(), PushError<T>> {
        match &mut self.to {
            To::Mouth(mouth) => {
                mouth.try_push(item)?;
                let cursors = mouth.producer.cursors();
                self.call.published(|| cursors.len());
                Ok(())
            }
            To::Mpmc(producer) => {
                producer.try_push(item)?;
                self.call.published(|| producer.len());
                Ok(())
            }
            To::Lanes(to) => {
                self.full_lane = (to.route)(&item);
                to.lanes[self.full_lane].dispatch(item)
            }
            // A mouth is one of the above.
            To::Spsc(_) | To::Sole(_) | To::Window { .. } | To::All(_) | To::Nowhere => {
                Err(PushError::Full(item))
            }
        }
    }

    /// Dispatches, with one claim, as many of the `limit` items that `next` gives as fit; returns how many. None where
    /// each item finds a ring of its own. `next` runs none of the user's code.
    pub(crate) fn dispatch_batch(
        &mut self,
        limit: usize,
        next: impl FnMut() -> Option<T>,
    ) -> usize {
        match &mut self.to {
            To::Mouth(mouth) => {
                let count = mouth.push_each(next);
                if count > 0 {
                    let cursors = mouth.producer.cursors();
                    self.call.published(|| cursors.len());
                }
                count
            }
            To::Mpmc(producer) => {
                let count = producer.push_each(limit, next).unwrap_or(0);
                if count > 0 {
                    self.call.published(|| producer.len());
                }
                count
            }
            _ => 0,
        }
    }

    /// Sends from now on as a duty does, for a feeder that has said that it [stays](crate::lifecycle::Core::stay): nobody
    /// decides a close against its pushes.
    pub(crate) fn stay(&mut self) {
        match &mut self.to {
            To::Mouth(_) => {
                if let To::Mouth(mouth) = mem::replace(&mut self.to, To::Nowhere) {
                    self.to = To::Spsc(mouth.producer);
                }
            }
            To::Lanes(to) => to.lanes.iter_mut().for_each(Tx::stay),
            _ => {}
        }
    }

    /// Takes the oldest item out of the ring that refused the last one, if it is published. As a consumer that takes the
    /// last item of a closed ring, it tells the others of the end.
    pub(crate) fn evict(&self) -> Option<T> {
        match &self.to {
            To::Mpmc(producer) => {
                let item = producer.evict()?;
                if producer.is_ended() {
                    self.call.ended();
                }
                Some(item)
            }
            To::Lanes(to) => to.lanes[self.full_lane].evict(),
            // A mouth is one of the above.
            _ => None,
        }
    }

    /// Whether the job that was refused last would get in.
    pub(crate) fn may_dispatch(&self) -> bool {
        match &self.to {
            To::Mpmc(producer) => producer.has_room(),
            To::Mouth(mouth) => mouth.has_room(),
            To::Lanes(to) => to.lanes[self.full_lane].may_dispatch(),
            To::Spsc(_) | To::Sole(_) | To::Window { .. } | To::All(_) | To::Nowhere => false,
        }
    }
}

impl<T> Clone for Tx<'_, T> {
    /// For shared ends (MPMC, lanes of them); whom to call is to be said anew.
    fn clone(&self) -> Self {
        let to = match &self.to {
            To::Mpmc(producer) => To::Mpmc(producer.clone()),
            To::Lanes(to) => To::Lanes(Lanes::new(to.lanes.clone(), StdArc::clone(&to.route))),
            To::Window { placer, .. } => To::Window {
                placer: placer.clone(),
                ticket: 0,
                pending: None,
            },
            To::Spsc(_) | To::Sole(_) | To::Mouth(_) | To::All(_) | To::Nowhere => To::Nowhere,
        };
        Self {
            crew: self.crew.clone(),
            place: self.place,
            ..Self::new(to)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn publishing_concerns_only_the_lanes_that_got_something() {
        let rings = (0..1000).map(|_| spsc::ring(2).expect("a small ring"));
        let (lanes, mut rxs): (Vec<_>, Vec<_>) =
            rings.map(|(tx, rx)| (Tx::new(To::Spsc(tx)), rx)).unzip();
        let mut tx = Tx::to_lanes(lanes, StdArc::new(|&item: &usize| item % 1000));
        for item in [7, 3, 1007] {
            assert_eq!(tx.try_send(item), Ok(()));
        }
        let To::Lanes(to) = &tx.to else {
            unreachable!("it was made so");
        };
        assert_eq!(to.dirty, [7, 3], "each once");
        assert!(rxs.iter_mut().all(|rx| rx.try_pop().is_none()));
        tx.publish();
        let To::Lanes(to) = &tx.to else {
            unreachable!("it was made so");
        };
        assert!(to.dirty.is_empty());
        let seen = [7, 3, 7].map(|lane| rxs[lane].try_pop());
        assert_eq!(seen, [Some(7), Some(3), Some(1007)]);
        // What was published counts as clean, and is found again.
        assert_eq!(tx.try_send(3), Ok(()));
        tx.publish();
        assert_eq!(rxs[3].try_pop(), Some(3));
        // A lane that is full is told of no less.
        assert_eq!(
            [5, 5, 5].map(|item| tx.try_send(item)),
            [Ok(()), Ok(()), Err(5)]
        );
        tx.publish();
        assert_eq!(rxs[5].try_pop(), Some(5));
    }
}
