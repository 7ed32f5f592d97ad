//! What anybody may see of an edge without holding one of its ends.

use std::sync::Arc as StdArc;

use super::rx::{From, Rx};
use super::tx::{To, Tx};
use crate::lifecycle::{Core, Phase};
use crate::ring::cursor::{Cursors, distance};
use crate::ring::{mpmc, window};
use crate::sync::{Acquire, Arc, Relaxed};

/// What anybody may see of a duty's input.
pub(crate) trait InputPeek: Send + Sync {
    /// Published jobs that may be taken, about; 0 only if there is none.
    fn backlog(&self) -> usize;
    /// The number of the next job: goes on with each that is taken.
    fn next_job(&self) -> usize {
        0
    }
    /// Whether there is one; looks at no more lines than it must.
    fn has_jobs(&self) -> bool {
        self.backlog() > 0
    }
    /// Whether others take from the same ring, just as likely.
    fn is_shared(&self) -> bool {
        false
    }
    /// [`InputPeek::has_jobs`] for its home: leaves out what others are likely to take.
    fn has_near_jobs(&self) -> bool {
        self.has_jobs()
    }
    /// Whether there are jobs to drop; also those that may not be taken yet.
    fn has_waiting(&self) -> bool {
        self.backlog() > 0
    }
    /// Whether there is something to do about the end of input.
    fn is_at_end(&self) -> bool;
}

/// What anybody may see of a duty's output.
pub(crate) trait OutputPeek: Send + Sync {
    /// Whether a new job may be started, as far as its output is concerned.
    fn has_room(&self) -> bool;
    /// Whether a held result of this lane would find room.
    fn has_room_in(&self, lane: usize) -> bool;
}

struct SpscPeek(Arc<Cursors>);

impl InputPeek for SpscPeek {
    fn backlog(&self) -> usize {
        self.0.len()
    }
    fn next_job(&self) -> usize {
        self.0.head.load(Relaxed)
    }
    fn is_at_end(&self) -> bool {
        self.0.is_ended()
    }
}

impl OutputPeek for SpscPeek {
    fn has_room(&self) -> bool {
        self.0.len() < self.0.capacity()
    }
    fn has_room_in(&self, _lane: usize) -> bool {
        self.has_room()
    }
}

/// The ring behind the only dispatcher.
struct MouthInput {
    cursors: Arc<Cursors>,
    core: StdArc<Core>,
}

impl InputPeek for MouthInput {
    fn backlog(&self) -> usize {
        self.cursors.len()
    }
    fn next_job(&self) -> usize {
        self.cursors.head.load(Relaxed)
    }
    fn is_at_end(&self) -> bool {
        // Who is inside tells when it is out.
        let is_closing = self.core.phase() != Phase::Open && !self.core.has_inside();
        is_closing && !self.cursors.is_closed() || self.cursors.is_ended()
    }
}

struct MpmcInput<T> {
    consumer: mpmc::Consumer<T>,
    gate: Option<Arc<Cursors>>,
    mouth: Option<StdArc<Core>>,
}

impl<T: Send> InputPeek for MpmcInput<T> {
    fn is_shared(&self) -> bool {
        true
    }
    fn backlog(&self) -> usize {
        if self.has_jobs() {
            self.consumer.len().max(1)
        } else {
            0
        }
    }
    fn next_job(&self) -> usize {
        self.consumer.cursors().head.load(Relaxed)
    }
    fn has_jobs(&self) -> bool {
        let cursors = self.consumer.cursors();
        let mut next = cursors.head.load(Relaxed);
        loop {
            let gated = self.gate.as_ref().is_some_and(|window| {
                // ORDERING: Acquire. A window that is past `next` shows that claims are, too, below.
                // Pairs with: `Taker::go_on` (Release). Model: loom-tests/tests/window.rs::gated_look.
                distance(window.head.load(Acquire), next) >= window.capacity()
            });
            if !gated && self.consumer.has_published() {
                return true;
            }
            // An old head looks gated: only one that still holds means it.
            let now = cursors.head.load(Relaxed);
            if now == next {
                // What somebody has claimed lies inside the window.
                return self.consumer.has_unbegun();
            }
            next = now;
        }
    }
    fn has_waiting(&self) -> bool {
        self.consumer.has_published() || self.consumer.has_unbegun()
    }
    fn is_at_end(&self) -> bool {
        if let Some(core) = &self.mouth
            && core.phase() != Phase::Open
            && !core.has_inside()
            && !self.consumer.is_closed()
        {
            return true;
        }
        self.consumer.is_ended()
    }
}

struct LanesInput<'env> {
    /// Those near it first.
    lanes: Vec<StdArc<dyn InputPeek + 'env>>,
    near: usize,
}

impl InputPeek for LanesInput<'_> {
    fn backlog(&self) -> usize {
        self.lanes.iter().map(|lane| lane.backlog()).sum()
    }
    fn next_job(&self) -> usize {
        let of_lanes = self.lanes.iter().map(|lane| lane.next_job());
        of_lanes.fold(0, usize::wrapping_add)
    }
    fn has_jobs(&self) -> bool {
        self.lanes.iter().any(|lane| lane.has_jobs())
    }
    fn has_near_jobs(&self) -> bool {
        self.lanes[..self.near].iter().any(|lane| lane.has_jobs())
    }
    fn has_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| lane.has_waiting())
    }
    fn is_at_end(&self) -> bool {
        self.lanes.iter().all(|lane| lane.is_at_end())
    }
}

impl<T: Send> InputPeek for window::Peek<T> {
    fn backlog(&self) -> usize {
        window::Peek::backlog(self)
    }
    fn next_job(&self) -> usize {
        self.next_ticket()
    }
    fn is_at_end(&self) -> bool {
        self.is_ended()
    }
}

struct MpmcOutput<T>(mpmc::Peek<T>);

impl<T: Send> OutputPeek for MpmcOutput<T> {
    fn has_room(&self) -> bool {
        self.0.has_room()
    }
    fn has_room_in(&self, _lane: usize) -> bool {
        self.0.has_room()
    }
}

/// A window's tickets are gated at the input; who holds a result waits for its own slot.
struct WindowOutput<T>(window::Peek<T>);

impl<T: Send> OutputPeek for WindowOutput<T> {
    fn has_room(&self) -> bool {
        true
    }
    fn has_room_in(&self, lane: usize) -> bool {
        self.0.is_slot_free(lane)
    }
}

struct NowhereOutput;

impl OutputPeek for NowhereOutput {
    fn has_room(&self) -> bool {
        true
    }
    fn has_room_in(&self, _lane: usize) -> bool {
        true
    }
}

struct LanesOutput<'env>(Vec<StdArc<dyn OutputPeek + 'env>>);

impl OutputPeek for LanesOutput<'_> {
    fn has_room(&self) -> bool {
        true
    }
    fn has_room_in(&self, lane: usize) -> bool {
        self.0[lane].has_room()
    }
}

impl<T: Send> Rx<T> {
    pub(crate) fn peek<'env>(&self) -> StdArc<dyn InputPeek + 'env>
    where
        T: 'env,
    {
        match &self.from {
            From::Spsc(consumer) => {
                let cursors = Arc::clone(consumer.cursors());
                match self.mouth.clone() {
                    Some(core) => StdArc::new(MouthInput { cursors, core }),
                    None => StdArc::new(SpscPeek(cursors)),
                }
            }
            From::Mpmc(hand) => StdArc::new(MpmcInput {
                consumer: hand.consumer().clone(),
                gate: self.gate.clone(),
                mouth: self.mouth.clone(),
            }),
            From::Window(taker) => StdArc::new(taker.peek()),
            From::Lanes { lanes, turns, .. } => {
                let near = turns.near().unwrap_or(0..lanes.len());
                let (before, from) = lanes.split_at(near.start);
                StdArc::new(LanesInput {
                    lanes: from.iter().chain(before).map(Self::peek).collect(),
                    near: near.len(),
                })
            }
        }
    }
}

impl<'env, T: Send + 'env> Tx<'env, T> {
    pub(crate) fn peek(&self) -> StdArc<dyn OutputPeek + 'env> {
        match &self.to {
            To::Spsc(producer) => StdArc::new(SpscPeek(Arc::clone(producer.cursors()))),
            To::Mouth(mouth) => StdArc::new(SpscPeek(Arc::clone(mouth.producer.cursors()))),
            To::Mpmc(producer) => StdArc::new(MpmcOutput(producer.peek())),
            To::Sole(producer) => StdArc::new(MpmcOutput(producer.peek())),
            To::Window { placer, .. } => StdArc::new(WindowOutput(placer.peek())),
            To::All(all) => StdArc::new(all.peek()),
            To::Nowhere => StdArc::new(NowhereOutput),
            To::Lanes(to) => StdArc::new(LanesOutput(to.lanes.iter().map(Tx::peek).collect())),
        }
    }
}
