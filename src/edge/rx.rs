//! The popping end of an edge.

use std::sync::Arc as StdArc;

use super::Call;
use super::turns::{Turns, near};
use crate::counters::Tally;
use crate::lifecycle::{Core, Phase};
use crate::ring::cursor::{Cursors, distance};
use crate::ring::{mpmc, spsc, window};
use crate::sync::{Acquire, Arc, Relaxed};

/// A popping end.
pub(crate) struct Rx<T> {
    pub(super) from: From<T>,
    call: Call,
    /// Calls the other instances that share this input, where jobs were left for them.
    siblings: Call,
    instances: usize,
    /// How many of them live, where that changes.
    sharers: usize,
    /// Whether it is the only end near its ring: the others take from that if they find nothing else.
    is_own: bool,
    /// Whether it claims a job when that begins, and not before: what nobody has begun can be evicted.
    claims_singly: bool,
    /// Tickets may be taken only this far ahead of the consumer of the stage's window.
    pub(super) gate: Option<Arc<Cursors>>,
    /// Set where the jobs come from dispatchers: who sees that the executor is closed closes the ring.
    pub(super) mouth: Option<StdArc<Core>>,
    /// The first word taken from a shared ring since its producers were last told.
    first: Option<usize>,
    /// Set where results are received from an ordered stage: what is dropped there.
    unreceived: Option<StdArc<Tally>>,
}

pub(super) enum From<T> {
    Spsc(spsc::Consumer<T>),
    Mpmc(mpmc::Hand<T>),
    Window(window::Taker<T>),
    /// One ring for each instance of the stage before.
    Lanes {
        lanes: Vec<Rx<T>>,
        at: usize,
        turns: Turns,
    },
}

impl<T> Rx<T> {
    fn new(from: From<T>, instances: usize) -> Self {
        Self {
            from,
            call: Call::Nobody,
            siblings: Call::Nobody,
            instances,
            sharers: instances,
            is_own: false,
            claims_singly: false,
            gate: None,
            mouth: None,
            first: None,
            unreceived: None,
        }
    }

    pub(crate) fn spsc(consumer: spsc::Consumer<T>) -> Self {
        Self::new(From::Spsc(consumer), 1)
    }

    /// An end of an input that `instances` share. Dispatchers that `evict` take from it, too.
    pub(crate) fn mpmc(consumer: mpmc::Consumer<T>, instances: usize, evict: bool) -> Self {
        Self {
            claims_singly: evict,
            ..Self::new(From::Mpmc(mpmc::Hand::shared(consumer)), instances)
        }
    }

    pub(crate) fn window(taker: window::Taker<T>) -> Self {
        Self::new(From::Window(taker), 1)
    }

    /// The only end of many rings, at least one.
    pub(crate) fn lanes(lanes: Vec<Self>) -> Self {
        let (at, turns) = (0, Turns::Round);
        Self::new(From::Lanes { lanes, at, turns }, 1)
    }

    /// The `nth` of the ends of many rings that `instances` share.
    pub(crate) fn shared_lanes(rings: &[mpmc::Consumer<T>], nth: usize, instances: usize) -> Self {
        let near = near(nth, instances, rings.len());
        let ends = rings.iter().enumerate().map(|(lane, ring)| Self {
            is_own: near.contains(&lane) && rings.len() >= instances,
            ..Self::mpmc(ring.clone(), instances, false)
        });
        let (lanes, at, turns) = (ends.collect(), near.start, 0);
        let turns = Turns::Near { lanes: near, turns };
        Self::new(From::Lanes { lanes, at, turns }, instances)
    }

    /// Says who is at the other end; for lanes, at each one's.
    pub(crate) fn attach(&mut self, mut call: impl FnMut(usize) -> Call) {
        if let From::Lanes { lanes, .. } = &mut self.from {
            for (nth, lane) in lanes.iter_mut().enumerate() {
                lane.call = call(nth);
            }
        } else {
            self.call = call(0);
        }
    }

    /// Says who else takes from the same input; for lanes, from each.
    pub(crate) fn attach_siblings(&mut self, call: impl Fn() -> Call) {
        match &mut self.from {
            From::Lanes { lanes, .. } => lanes.iter_mut().for_each(|lane| lane.siblings = call()),
            _ => self.siblings = call(),
        }
    }

    pub(crate) fn set_gate(&mut self, window: &Arc<Cursors>) {
        self.gate = Some(Arc::clone(window));
    }

    pub(crate) fn set_mouth(&mut self, core: &StdArc<Core>) {
        self.mouth = Some(StdArc::clone(core));
    }

    /// Says where to count results of an ordered stage that are not received.
    pub(crate) fn count_unreceived(&mut self, tally: &StdArc<Tally>) {
        self.unreceived = Some(StdArc::clone(tally));
    }

    /// Says that receivers take from it: what one of them claims it hands out in the same call.
    pub(crate) fn set_receivers(&mut self) {
        self.instances = 1;
        self.sharers = 1;
    }

    /// Says how many of the instances live.
    pub(crate) fn set_sharers(&mut self, sharers: usize) {
        match &mut self.from {
            From::Lanes { lanes, .. } => {
                for lane in lanes {
                    lane.set_sharers(sharers);
                }
            }
            _ => self.sharers = sharers.max(1),
        }
    }

    /// Another receiver's end of the same ring; whom to call is to be said anew.
    pub(crate) fn another(&self) -> Option<Self> {
        match &self.from {
            From::Mpmc(hand) => Some(Self::mpmc(hand.consumer().clone(), 1, false)),
            From::Spsc(_) | From::Window(_) | From::Lanes { .. } => None,
        }
    }

    /// Whether there is something to take.
    pub(crate) fn has_published(&self) -> bool {
        match &self.from {
            From::Spsc(consumer) => consumer.cursors().len() > 0,
            From::Mpmc(hand) => hand.held() > 0 || hand.consumer().has_published(),
            From::Window(taker) => taker.peek().has_published(),
            From::Lanes { lanes, .. } => lanes.iter().any(Self::has_published),
        }
    }

    /// The cursors of its ring; of the first one, where there are several.
    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        match &self.from {
            From::Spsc(consumer) => consumer.cursors(),
            From::Mpmc(hand) => hand.consumer().cursors(),
            From::Window(taker) => taker.cursors(),
            From::Lanes { lanes, .. } => lanes[0].cursors(),
        }
    }

    /// The cursors of all its rings.
    pub(crate) fn rings(&self) -> Vec<&Arc<Cursors>> {
        match &self.from {
            From::Lanes { lanes, .. } => lanes.iter().map(Self::cursors).collect(),
            _ => vec![self.cursors()],
        }
    }

    /// How many instances take from this input.
    pub(crate) fn instances(&self) -> usize {
        self.instances
    }

    /// How many jobs this end may take now, up to `limit`. Where others take from the same ring it calls them for the
    /// rest.
    #[expect(
        clippy::inline_always,
        reason = "once per poll, which may be of one job"
    )]
    #[inline(always)]
    pub(crate) fn fill(&mut self, limit: usize) -> usize {
        if let From::Spsc(consumer) = &mut self.from {
            return consumer.available(limit);
        }
        self.fill_otherwise(limit)
    }

    #[inline(never)]
    fn fill_otherwise(&mut self, limit: usize) -> usize {
        match &mut self.from {
            From::Spsc(consumer) => consumer.available(limit),
            From::Window(_) => limit,
            From::Lanes { lanes, at, turns } => {
                if lanes[*at].has_begun() {
                    let filled = lanes[*at].fill(limit);
                    if filled > 0 {
                        return filled;
                    }
                }
                // What was taken from the lane is given back before another has its turn.
                lanes[*at].release();
                *at = turns.next(*at, lanes.len());
                for _ in 0..lanes.len() {
                    let filled = lanes[*at].fill(limit);
                    if filled > 0 {
                        return filled;
                    }
                    *at = if *at + 1 == lanes.len() { 0 } else { *at + 1 };
                }
                0
            }
            From::Mpmc(_) => {
                let held = self.claim(limit);
                self.tell_siblings(held);
                held
            }
        }
    }

    /// Claims jobs of its shared ring if its hand is empty; returns how many the hand holds. Where others take from the
    /// same ring, it claims no more than half its share. (Half: so that claims get smaller as the jobs get fewer, and
    /// who is late finds some. Polychronopoulos and Kuck's guided self-scheduling, 1987.)
    #[inline]
    fn claim(&mut self, limit: usize) -> usize {
        let From::Mpmc(hand) = &mut self.from else {
            return 0;
        };
        if hand.fill_from_claim() > 0 {
            return hand.held();
        }
        let share = if self.claims_singly {
            1
        } else if self.instances == 1 || self.is_own {
            limit
        } else {
            limit.min(hand.consumer().len().div_ceil(2 * self.sharers))
        };
        let gate = self.gate.as_deref();
        hand.fill(|head| {
            let room = gate.map_or(usize::MAX, |window| {
                // ORDERING: Acquire. The slot of a ticket inside the window was given back.
                // Pairs with: `Taker::go_on` (Release).
                // Model: loom-tests/tests/window.rs::order.
                let ahead = distance(window.head.load(Acquire), head);
                window.capacity().saturating_sub(ahead)
            });
            share.min(room)
        })
    }

    /// [`Rx::fill`] of all there is, for dropping: no window to keep.
    pub(crate) fn fill_to_drop(&mut self) {
        match &mut self.from {
            From::Mpmc(hand) => {
                let held = hand.fill(|_| usize::MAX);
                self.tell_siblings(held);
            }
            From::Lanes { .. } => {
                self.fill(usize::MAX);
            }
            From::Spsc(_) | From::Window(_) => {}
        }
    }

    /// Calls the other instances for what was left to them: jobs, or the end.
    #[inline]
    fn tell_siblings(&mut self, held: usize) {
        if let From::Mpmc(hand) = &self.from
            && held > 0
            && self.instances > 1
        {
            let consumer = hand.consumer();
            if hand.has_claim() || consumer.has_published() {
                self.siblings.published(|| consumer.len());
            } else {
                self.tell_end();
            }
        }
    }

    /// This end takes no more for now: calls the other instances for what is there, since its home may be the only one
    /// that was called.
    pub(crate) fn leave_to_siblings(&mut self) {
        let From::Mpmc(hand) = &self.from else { return };
        if hand.consumer().has_published() {
            self.siblings.published(|| 1);
        } else if hand.consumer().is_ended() {
            self.siblings.ended();
        }
    }

    /// Calls the other instances if the job that this end is about to take is the last: nobody else will tell them.
    #[inline]
    fn tell_end(&self) {
        if let From::Mpmc(hand) = &self.from
            && self.instances > 1
            && !hand.has_claim()
            && !hand.consumer().has_published()
            && hand.consumer().is_ended()
        {
            self.siblings.ended();
        }
    }

    /// The ticket of the job that [`Rx::take`] would take, if there is one for this end.
    #[expect(clippy::inline_always, reason = "the hot loop, once per job")]
    #[inline(always)]
    pub(crate) fn ticket(&mut self) -> Option<usize> {
        if let From::Spsc(consumer) = &mut self.from {
            return consumer.has_published().then(|| consumer.position());
        }
        self.ticket_otherwise()
    }

    #[inline(never)]
    fn ticket_otherwise(&mut self) -> Option<usize> {
        match &mut self.from {
            From::Spsc(consumer) => Some(consumer.position()),
            From::Mpmc(hand) => hand.ticket(),
            From::Window(taker) => taker.ticket(),
            From::Lanes { lanes, at, .. } => lanes[*at].ticket(),
        }
    }

    /// [`Rx::ticket`] in a poll that may take `left` more jobs: claims the next one where none is in hand, and behind an
    /// empty lane looks into the next, if nobody else does.
    #[expect(clippy::inline_always, reason = "the hot loop, once per job")]
    #[inline(always)]
    pub(crate) fn next_ticket(&mut self, left: usize) -> Option<usize> {
        if let From::Spsc(_) = &self.from {
            return self.ticket();
        }
        self.next_ticket_otherwise(left)
    }

    #[inline(never)]
    fn next_ticket_otherwise(&mut self, left: usize) -> Option<usize> {
        match &mut self.from {
            From::Spsc(_) | From::Window(_) => self.ticket_otherwise(),
            From::Mpmc(hand) => {
                let ticket = hand.ticket();
                if ticket.is_some() {
                    return ticket;
                }
                // What has claimed several and has come to their end leaves others their turn.
                let held = if self.claims_singly || hand.claims_singly() {
                    self.claim(left)
                } else {
                    hand.fill_from_claim()
                };
                if held > 0 {
                    self.tell_end();
                }
                self.ticket_otherwise()
            }
            From::Lanes { lanes, at, turns } => {
                let ticket = lanes[*at].next_ticket(left);
                if ticket.is_some() {
                    return ticket;
                }
                let Some(mut near) = turns.near() else {
                    self.fill(left);
                    return self.ticket_otherwise();
                };
                // What others are likely to take is not worth it in the middle of a poll.
                lanes[*at].release();
                *at = near.find(|&lane| lanes[lane].fill(left) > 0)?;
                lanes[*at].ticket()
            }
        }
    }

    /// Takes the job that [`Rx::ticket`] announced; without an `Option` around it, so that it moves only
    /// once. Its slot is given back by [`Rx::release`] at the latest.
    #[expect(clippy::inline_always, reason = "the hot loop, once per job")]
    #[inline(always)]
    pub(crate) fn take(&mut self, ticket: usize) -> T {
        if let From::Spsc(consumer) = &mut self.from {
            return consumer.take();
        }
        self.take_otherwise(ticket)
    }

    #[inline(never)]
    fn take_otherwise(&mut self, ticket: usize) -> T {
        match &mut self.from {
            From::Spsc(consumer) => consumer.take(),
            From::Mpmc(hand) => {
                self.first.get_or_insert(ticket);
                hand.take()
            }
            From::Window(taker) => taker.take(),
            From::Lanes { lanes, at, .. } => lanes[*at].take(ticket),
        }
    }

    /// [`Rx::ticket`] and [`Rx::take`] for those who do not ask for the ticket.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<T> {
        let ticket = self.ticket()?;
        Some(self.take(ticket))
    }

    /// [`Rx::try_take`] for who receives: what comes out of an ordered stage ends at the first job that a stop made it
    /// drop. The results of later ones are dropped, too.
    #[inline]
    pub(crate) fn try_receive(&mut self) -> Option<T> {
        loop {
            let result = self.try_take()?;
            match (&self.from, &self.unreceived) {
                (From::Window(taker), Some(tally)) if taker.has_hole() => {
                    tally.discard();
                    drop(result);
                }
                _ => return Some(result),
            }
        }
    }

    /// Gives back the slots of what was taken, and calls who waits for room.
    #[expect(clippy::inline_always, reason = "the hot loop, once per job")]
    #[inline(always)]
    pub(crate) fn release(&mut self) {
        if let From::Spsc(consumer) = &mut self.from {
            let first = consumer.released();
            if consumer.release() {
                let cursors = consumer.cursors();
                self.call.given_back(|| was_full(cursors, first));
            }
        } else {
            self.release_otherwise();
        }
    }

    #[inline(never)]
    fn release_otherwise(&mut self) {
        match &mut self.from {
            From::Spsc(_) => {}
            From::Mpmc(hand) => {
                if let Some(first) = self.first.take() {
                    let cursors = hand.consumer().cursors();
                    self.call.given_back(|| was_full(cursors, first));
                }
            }
            // Gaps are stepped over also when nothing came.
            From::Window(taker) => {
                if let Some(from) = taker.moved() {
                    self.call.given_back(|| taker.was_full(from));
                }
            }
            From::Lanes { lanes, at, .. } => lanes[*at].release(),
        }
    }

    /// Jobs that it is about to start, and nobody else can.
    pub(crate) fn in_hand(&self) -> usize {
        match &self.from {
            From::Mpmc(hand) => hand.held(),
            From::Lanes { lanes, at, .. } => lanes[*at].in_hand(),
            From::Spsc(_) | From::Window(_) => 0,
        }
    }

    /// Whether there is something that it has claimed.
    fn has_begun(&self) -> bool {
        matches!(&self.from, From::Mpmc(hand) if hand.held() > 0 || hand.has_claim())
    }

    /// Its instance takes no more, for now: calls the others for what it has claimed and not begun.
    pub(crate) fn pass_on(&mut self) {
        self.tell_siblings(1);
    }

    /// Closes the mouth's ring once the executor is closed: the mark after which no dispatch gets in. One that is
    /// under way is waited for by asking again.
    #[inline]
    pub(crate) fn close_mouth(&mut self, phase: Phase) {
        if phase != Phase::Open {
            self.close_mouth_once();
        }
    }

    #[cold]
    fn close_mouth_once(&mut self) {
        let Some(core) = &self.mouth else { return };
        match &mut self.from {
            // Nobody is inside here but a feeder that stays.
            From::Mpmc(hand) if !core.has_inside() => drop(hand.consumer().close()),
            From::Spsc(consumer) if core.is_left() => consumer.close(),
            From::Spsc(_) | From::Mpmc(_) | From::Window(_) | From::Lanes { .. } => return,
        }
        self.mouth = None;
    }

    /// Whether nothing is left and nothing will come. Never true again false.
    pub(crate) fn is_ended(&self) -> bool {
        match &self.from {
            From::Spsc(consumer) => consumer.is_ended(),
            From::Mpmc(hand) => hand.held() == 0 && hand.consumer().is_ended(),
            From::Window(taker) => taker.peek().is_ended(),
            From::Lanes { lanes, .. } => lanes.iter().all(Self::is_ended),
        }
    }
}

/// Whether a ring was full while `first` was its oldest item: whoever sleeps for want of room saw that slot
/// taken, so the tail is that far on.
fn was_full(cursors: &Cursors, first: usize) -> bool {
    distance(first, cursors.tail.load(Relaxed)) >= cursors.capacity()
}
