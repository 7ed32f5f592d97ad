//! The pushing end in front of a fork: every lane gets every item.

use super::Call;
use super::peek::OutputPeek;
use super::tx::{Place, To, Tx};

/// How an item is copied for one more lane; `None` if it is to go to a single one.
pub(crate) type Copying<T> = fn(&T) -> Option<T>;

/// One end for each branch of a fork.
///
/// An item that one lane refuses is refused; the others may have it by then. It has to come again before any
/// other does: then it goes on where it had got to, so that each lane gets it exactly once.
pub(crate) struct All<'env, T> {
    lanes: Vec<Lane<'env, T>>,
    copying: Copying<T>,
    /// For which lane the item that was refused is.
    refused: Option<usize>,
    /// The same, with which of its own lanes it found full; also when it has been sent.
    full_lane: usize,
}

struct Lane<'env, T> {
    tx: Tx<'env, T>,
    /// What it is still to get of the item that was refused, but for the one copy that went back.
    copy: Option<T>,
}

/// Drops the copies of an item whose job was lost to a panic: of a `clone`, or of a key.
struct Undo<'a, 'env, T>(&'a mut All<'env, T>);

impl<T> Drop for Undo<'_, '_, T> {
    fn drop(&mut self) {
        if self.0.refused.is_none() {
            self.0.lanes.iter_mut().for_each(|lane| lane.copy = None);
        }
    }
}

impl<T> Tx<'_, T> {
    /// An end for all of these, at least one.
    pub(crate) fn to_all(txs: impl IntoIterator<Item = Self>, copying: Copying<T>) -> Self {
        let mut lanes = Vec::new();
        let mut nowhere = None;
        for tx in txs {
            match tx.to {
                // A fork right behind a fork.
                To::All(all) => lanes.extend(all.lanes),
                // Nobody misses what is dropped unseen.
                To::Nowhere => nowhere = Some(tx),
                _ => lanes.push(Lane { tx, copy: None }),
            }
        }
        if lanes.len() > 1 {
            // In a box: the other kinds stay as small as they are.
            return Self::new(To::All(Box::new(All {
                lanes,
                copying,
                refused: None,
                full_lane: 0,
            })));
        }
        let only = lanes.pop().map(|lane| lane.tx);
        only.or(nowhere).unwrap_or_else(|| Self::new(To::Nowhere))
    }
}

impl<T> All<'_, T> {
    /// All copies are made before the first lane gets one: a `clone` that panics is seen by none.
    pub(super) fn try_send(&mut self, item: T) -> Result<(), T> {
        let refused = self.refused.take();
        let this = Undo(self);
        let All { lanes, copying, .. } = &mut *this.0;
        let last = lanes.len() - 1;
        if refused.is_none() {
            for lane in &mut lanes[..last] {
                lane.copy = copying(&item);
            }
        }
        lanes[refused.unwrap_or(last)].copy = Some(item);
        let mut full = None;
        for (nth, lane) in lanes.iter_mut().enumerate() {
            if let Some(copy) = lane.copy.take() {
                lane.copy = lane.tx.try_send(copy).err();
                if lane.copy.is_some() {
                    full.get_or_insert(nth);
                }
            }
        }
        let Some(nth) = full else { return Ok(()) };
        let lane = &mut lanes[nth];
        let Some(copy) = lane.copy.take() else {
            return Ok(());
        };
        let full_lane = nth + lane.tx.full_lane() * (last + 1);
        this.0.full_lane = full_lane;
        this.0.refused = full;
        Err(copy)
    }

    /// As [`AllOutput::has_room_in`] understands it.
    pub(super) fn full_lane(&self) -> usize {
        self.full_lane
    }

    #[inline(never)]
    pub(super) fn has_room(&mut self) -> bool {
        self.lanes.iter_mut().all(|lane| lane.tx.has_room())
    }

    #[inline(never)]
    pub(super) fn publish(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.tx.publish());
    }

    pub(super) fn leave(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.tx.leave());
    }

    /// Takes back a copy that was to go where there was no room. The item that was refused is given up.
    pub(super) fn take_pending(&mut self) -> Option<T> {
        self.refused = None;
        self.lanes.iter_mut().find_map(|lane| lane.copy.take())
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.lanes
            .iter()
            .flat_map(|lane| lane.tx.places())
            .collect()
    }

    pub(super) fn attach(&mut self, call: &mut dyn FnMut(usize, usize) -> Call) {
        for lane in &mut self.lanes {
            lane.tx.attach_each(call);
        }
    }
}

/// What anybody may see of it.
pub(super) struct AllOutput<'env>(Vec<std::sync::Arc<dyn OutputPeek + 'env>>);

impl OutputPeek for AllOutput<'_> {
    fn has_room(&self) -> bool {
        self.0.iter().all(|lane| lane.has_room())
    }
    fn has_room_in(&self, lane: usize) -> bool {
        let count = self.0.len();
        self.0[lane % count].has_room_in(lane / count)
    }
}

impl<'env, T: Send + 'env> All<'env, T> {
    pub(super) fn peek(&self) -> AllOutput<'env> {
        AllOutput(self.lanes.iter().map(|lane| lane.tx.peek()).collect())
    }
}
