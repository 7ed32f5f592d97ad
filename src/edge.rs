//! Edges: the two ends of a ring as a duty sees them, whichever kind the ring is, together with whom to
//! call at its other end.

#![expect(
    unsafe_code,
    reason = "placing in a window asks for the ticket's holder, who is known here"
)]

use std::collections::VecDeque;
use std::sync::Arc as StdArc;

use crate::error::{Closed, PushError};
use crate::lifecycle::{Core, Phase};
use crate::lot::Bell;
use crate::ring::cursor::{Cursors, distance};
use crate::ring::{mpmc, spsc, window};
use crate::sync::{Acquire, Arc, Relaxed};

/// Who is at the other end.
pub(crate) enum Call {
    Nobody,
    /// Duties.
    Duties(Bell),
    /// Dispatchers that wait for room.
    Mouth(StdArc<Core>),
    /// Receivers that wait for results.
    Exit(StdArc<Core>),
}

impl Call {
    #[inline]
    fn published(&mut self, backlog: impl FnOnce() -> usize) {
        match self {
            Self::Duties(bell) => bell.published(backlog),
            Self::Exit(core) => drop(core.exit.notify()),
            Self::Nobody | Self::Mouth(_) => {}
        }
    }

    #[inline]
    fn given_back(&self, was_full: impl FnOnce() -> bool) {
        if let Self::Duties(bell) = self {
            bell.given_back(was_full);
        } else if let Self::Mouth(core) = self {
            core.mouth.notify();
        }
    }

    fn ended(&self) {
        match self {
            Self::Duties(bell) => bell.ended(),
            Self::Exit(core) => drop(core.exit.notify()),
            Self::Nobody | Self::Mouth(_) => {}
        }
    }
}

/// Picks the lane for an item.
pub(crate) type Route<'env, T> = StdArc<dyn Fn(&T) -> usize + Send + Sync + 'env>;

/// A pushing end.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Tx<'env, T> {
    to: To<'env, T>,
    call: Call,
    /// Pushed since the last publication.
    dirty: bool,
    full_lane: usize,
}

pub(crate) enum To<'env, T> {
    Spsc(spsc::Producer<T>),
    Mpmc(mpmc::Producer<T>),
    /// One behind: a result is placed when it is known whether another follows it.
    Window {
        placer: window::Placer<T>,
        ticket: usize,
        pending: Option<T>,
    },
    /// One ring for each instance of a keyed stage.
    Lanes {
        lanes: Vec<Tx<'env, T>>,
        route: Route<'env, T>,
    },
    Nowhere,
}

impl<'env, T> Tx<'env, T> {
    pub(crate) fn new(to: To<'env, T>) -> Self {
        Self {
            to,
            call: Call::Nobody,
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

    /// Says who is at the other end; for lanes, at each one's.
    pub(crate) fn attach(&mut self, mut call: impl FnMut(usize) -> Call) {
        if let To::Lanes { lanes, .. } = &mut self.to {
            for (nth, lane) in lanes.iter_mut().enumerate() {
                lane.call = call(nth);
            }
        } else {
            self.call = call(0);
        }
    }

    /// Hands an item on; [`Tx::publish`] makes it visible at the latest.
    #[inline]
    pub(crate) fn try_send(&mut self, item: T) -> Result<(), T> {
        if let To::Spsc(producer) = &mut self.to {
            self.dirty = true;
            return producer.write(item);
        }
        self.try_send_otherwise(item)
    }

    /// [`Tx::try_send`] for all but the simplest edge, whose code stays small enough to be part of a poll's.
    #[inline(never)]
    fn try_send_otherwise(&mut self, item: T) -> Result<(), T> {
        match &mut self.to {
            To::Spsc(producer) => producer.write(item)?,
            To::Mpmc(producer) => {
                producer.try_push(item).map_err(PushError::into_inner)?;
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
            }
            To::Lanes { lanes, route } => {
                let lane = route(&item);
                self.full_lane = lane;
                lanes[lane].try_send(item)?;
            }
            To::Nowhere => drop(item),
        }
        self.dirty = true;
        Ok(())
    }

    /// Whether there is nobody to take anything.
    pub(crate) fn is_nowhere(&self) -> bool {
        matches!(self.to, To::Nowhere)
    }

    /// Which lane refused the last item; in a window, the slot of the open job.
    pub(crate) fn full_lane(&self) -> usize {
        match &self.to {
            To::Window { placer, ticket, .. } => placer.cursors().index(*ticket),
            _ => self.full_lane,
        }
    }

    /// Whether a job may be started: its first result has a place, as far as can be known.
    #[inline]
    pub(crate) fn has_room(&mut self) -> bool {
        match &mut self.to {
            To::Spsc(producer) => producer.has_room(),
            To::Mpmc(producer) => producer.has_room(),
            // The ticket is taken only with room; a lane is known only with the result.
            To::Window { .. } | To::Lanes { .. } | To::Nowhere => true,
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
            _ => None,
        }
    }

    /// Makes visible what was sent, and calls who waits for it.
    #[inline]
    pub(crate) fn publish(&mut self) {
        if !self.dirty {
            return;
        }
        self.dirty = false;
        match &mut self.to {
            To::Spsc(producer) => {
                producer.publish();
                let cursors = producer.cursors();
                self.call.published(|| cursors.len());
            }
            To::Mpmc(producer) => self.call.published(|| producer.len()),
            To::Window { placer, .. } => self.call.published(|| placer.peek().backlog()),
            To::Lanes { lanes, .. } => lanes.iter_mut().for_each(Tx::publish),
            To::Nowhere => {}
        }
    }

    /// Ends the other end's input. Called once, by the last instance that pushes, after its last push.
    pub(crate) fn close(&mut self) {
        self.publish();
        match &mut self.to {
            To::Spsc(producer) => producer.close(),
            To::Mpmc(producer) => drop(producer.close()),
            To::Window { placer, .. } => placer.close(),
            To::Lanes { lanes, .. } => lanes.iter_mut().for_each(Tx::close),
            To::Nowhere => {}
        }
        self.call.ended();
    }

    /// [`Tx::try_send`] and [`Tx::publish`] for a dispatcher, who wants to know why not.
    #[inline]
    pub(crate) fn dispatch(&mut self, item: T) -> Result<(), PushError<T>> {
        match &mut self.to {
            To::Mpmc(producer) => {
                producer.try_push(item)?;
                self.call.published(|| producer.len());
                Ok(())
            }
            To::Lanes { lanes, route } => {
                let lane = route(&item);
                self.full_lane = lane;
                lanes[lane].dispatch(item)
            }
            // A mouth is one of the above.
            To::Spsc(_) | To::Window { .. } | To::Nowhere => Err(PushError::Full(item)),
        }
    }

    /// Dispatches from the front of `items` until one does not fit; returns how many went in.
    pub(crate) fn dispatch_batch(&mut self, items: &mut VecDeque<T>) -> Result<usize, Closed<()>> {
        if let To::Mpmc(producer) = &mut self.to {
            let count = producer.push_batch(items)?;
            if count > 0 {
                self.call.published(|| producer.len());
            }
            return Ok(count);
        }
        let mut count = 0;
        while let Some(item) = items.pop_front() {
            match self.dispatch(item) {
                Ok(()) => count += 1,
                Err(refused) => {
                    let closed = matches!(refused, PushError::Closed(_));
                    items.push_front(refused.into_inner());
                    return if closed && count == 0 {
                        Err(Closed(()))
                    } else {
                        Ok(count)
                    };
                }
            }
        }
        Ok(count)
    }

    /// How many items might be sent now, up to `limit`; through lanes one at a time.
    pub(crate) fn room(&self, limit: usize) -> usize {
        match &self.to {
            To::Mpmc(producer) => limit.min(producer.capacity() - producer.len()),
            _ => 1,
        }
    }

    /// Whether the job that was refused last would get in.
    pub(crate) fn may_dispatch(&self) -> bool {
        match &self.to {
            To::Mpmc(producer) => producer.has_room(),
            To::Lanes { lanes, .. } => lanes[self.full_lane].may_dispatch(),
            To::Spsc(_) | To::Window { .. } | To::Nowhere => false,
        }
    }
}

impl<T> Clone for Tx<'_, T> {
    /// For shared ends (MPMC, lanes of them); whom to call is to be said anew.
    fn clone(&self) -> Self {
        Self::new(match &self.to {
            To::Mpmc(producer) => To::Mpmc(producer.clone()),
            To::Lanes { lanes, route } => To::Lanes {
                lanes: lanes.clone(),
                route: StdArc::clone(route),
            },
            To::Window { placer, .. } => To::Window {
                placer: placer.clone(),
                ticket: 0,
                pending: None,
            },
            To::Spsc(_) | To::Nowhere => To::Nowhere,
        })
    }
}

/// A popping end.
pub(crate) struct Rx<T> {
    from: From<T>,
    call: Call,
    /// Calls the other instances that share this input, where jobs were left for them.
    siblings: Call,
    instances: usize,
    /// Tickets may be taken only this far ahead of the consumer of the stage's window.
    gate: Option<Arc<Cursors>>,
    /// Set where the jobs come from dispatchers: who sees that the executor is closed closes the ring.
    mouth: Option<StdArc<Core>>,
    /// The first word taken from a shared ring since its producers were last told.
    first: Option<usize>,
}

enum From<T> {
    Spsc(spsc::Consumer<T>),
    Mpmc(mpmc::Hand<T>),
    Window(window::Taker<T>),
}

impl<T> Rx<T> {
    fn new(from: From<T>, instances: usize) -> Self {
        Self {
            from,
            call: Call::Nobody,
            siblings: Call::Nobody,
            instances,
            gate: None,
            mouth: None,
            first: None,
        }
    }

    pub(crate) fn spsc(consumer: spsc::Consumer<T>) -> Self {
        Self::new(From::Spsc(consumer), 1)
    }

    /// An input that `instances` share.
    pub(crate) fn mpmc(consumer: mpmc::Consumer<T>, instances: usize) -> Self {
        Self::new(From::Mpmc(mpmc::Hand::new(consumer)), instances)
    }

    pub(crate) fn window(taker: window::Taker<T>) -> Self {
        Self::new(From::Window(taker), 1)
    }

    pub(crate) fn attach(&mut self, call: Call) {
        self.call = call;
    }

    pub(crate) fn attach_siblings(&mut self, call: Call) {
        self.siblings = call;
    }

    pub(crate) fn set_gate(&mut self, window: &Arc<Cursors>) {
        self.gate = Some(Arc::clone(window));
    }

    pub(crate) fn set_mouth(&mut self, core: &StdArc<Core>) {
        self.mouth = Some(StdArc::clone(core));
    }

    pub(crate) fn set_instances(&mut self, instances: usize) {
        self.instances = instances;
    }

    /// Another end of the same shared ring; whom to call is to be said anew.
    pub(crate) fn another(&self) -> Option<Self> {
        match &self.from {
            From::Mpmc(hand) => Some(Self::mpmc(hand.consumer().clone(), self.instances)),
            From::Spsc(_) | From::Window(_) => None,
        }
    }

    /// Whether there is something to take.
    pub(crate) fn has_published(&self) -> bool {
        match &self.from {
            From::Spsc(consumer) => consumer.cursors().len() > 0,
            From::Mpmc(hand) => hand.held() > 0 || hand.consumer().has_published(),
            From::Window(taker) => taker.peek().has_published(),
        }
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        match &self.from {
            From::Spsc(consumer) => consumer.cursors(),
            From::Mpmc(hand) => hand.consumer().cursors(),
            From::Window(taker) => taker.cursors(),
        }
    }

    /// How many instances take from this input.
    pub(crate) fn instances(&self) -> usize {
        self.instances
    }

    /// How many jobs this end may take now, up to `limit`; where others take from the same ring, no more
    /// than its share, and it calls them for the rest.
    #[inline]
    pub(crate) fn fill(&mut self, limit: usize) -> usize {
        match &mut self.from {
            From::Spsc(consumer) => consumer.available(limit),
            From::Window(_) => limit,
            From::Mpmc(hand) if self.instances == 1 => hand.fill(|_| limit),
            From::Mpmc(hand) => {
                if hand.held() > 0 {
                    return hand.held();
                }
                let published = hand.consumer().len();
                let share = limit.min(published.div_ceil(self.instances));
                let gate = self.gate.as_deref();
                let room = |head| {
                    gate.map_or(usize::MAX, |window| {
                        // ORDERING: Acquire. The slot of a ticket inside the window was given back.
                        // Pairs with: `Taker::go_on` (Release).
                        // Model: loom-tests/tests/window.rs::order.
                        let ahead = distance(window.head.load(Acquire), head);
                        window.capacity().saturating_sub(ahead)
                    })
                };
                let held = hand.fill(|head| share.min(room(head)));
                self.tell_siblings(held, published);
                held
            }
        }
    }

    /// [`Rx::fill`] of all there is, for dropping: no share, and no window to keep.
    pub(crate) fn fill_to_drop(&mut self) {
        if let From::Mpmc(hand) = &mut self.from {
            let held = hand.fill(|_| usize::MAX);
            self.tell_siblings(held, 0);
        }
    }

    /// Calls the other instances for what was left to them: jobs, or the end, which nobody else will tell
    /// them of if the last job was taken here.
    #[inline]
    fn tell_siblings(&mut self, held: usize, published: usize) {
        let From::Mpmc(hand) = &self.from else { return };
        if held > 0 && self.instances > 1 {
            if hand.consumer().has_published() {
                self.siblings.published(|| published);
            } else if hand.consumer().is_ended() {
                self.siblings.ended();
            }
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
        }
    }

    /// [`Rx::ticket`] in a poll that may take `left` more jobs: where a claim takes only one, claims another.
    #[expect(clippy::inline_always, reason = "the hot loop, once per job")]
    #[inline(always)]
    pub(crate) fn next_ticket(&mut self, left: usize) -> Option<usize> {
        if let From::Mpmc(hand) = &self.from
            && hand.held() == 0
            && hand.claims_singly()
        {
            self.fill(left);
        }
        self.ticket()
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
        }
    }

    /// [`Rx::ticket`] and [`Rx::take`] for those who do not ask for the ticket.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<T> {
        let ticket = self.ticket()?;
        Some(self.take(ticket))
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
        }
    }

    /// Jobs claimed and not yet started.
    pub(crate) fn in_hand(&self) -> usize {
        match &self.from {
            From::Mpmc(hand) => hand.held(),
            From::Spsc(_) | From::Window(_) => 0,
        }
    }

    /// Closes the mouth's ring once the executor is closed: the mark after which no dispatch gets in.
    pub(crate) fn close_mouth(&self, phase: Phase) {
        if phase != Phase::Open
            && self.mouth.is_some()
            && let From::Mpmc(hand) = &self.from
        {
            hand.consumer().close();
        }
    }

    /// Whether nothing is left and nothing will come. Never true again false.
    pub(crate) fn is_ended(&self) -> bool {
        match &self.from {
            From::Spsc(consumer) => consumer.is_ended(),
            From::Mpmc(hand) => hand.held() == 0 && hand.consumer().is_ended(),
            From::Window(taker) => taker.peek().is_ended(),
        }
    }
}

/// Whether a ring was full while `first` was its oldest item: whoever sleeps for want of room saw that slot
/// taken, so the tail is that far on.
fn was_full(cursors: &Cursors, first: usize) -> bool {
    distance(first, cursors.tail.load(Relaxed)) >= cursors.capacity()
}

/// What anybody may see of a duty's input.
pub(crate) trait InputPeek: Send + Sync {
    /// Published jobs that may be taken, about; 0 only if there is none.
    fn backlog(&self) -> usize;
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

struct MpmcInput<T> {
    consumer: mpmc::Consumer<T>,
    gate: Option<Arc<Cursors>>,
    mouth: Option<StdArc<Core>>,
}

impl<T: Send> InputPeek for MpmcInput<T> {
    fn backlog(&self) -> usize {
        let cursors = self.consumer.cursors();
        let mut next = cursors.head.load(Relaxed);
        loop {
            let gated = self.gate.as_ref().is_some_and(|window| {
                // ORDERING: Acquire. A window that is past `next` shows that claims are, too, below.
                // Pairs with: `Taker::go_on` (Release). Model: loom-tests/tests/window.rs::gated_look.
                distance(window.head.load(Acquire), next) >= window.capacity()
            });
            if !gated && self.has_waiting() {
                return self.consumer.len().max(1);
            }
            // An old head looks gated: only one that still holds means it.
            let now = cursors.head.load(Relaxed);
            if now == next {
                return 0;
            }
            next = now;
        }
    }
    fn has_waiting(&self) -> bool {
        self.consumer.has_published()
    }
    fn is_at_end(&self) -> bool {
        if let Some(core) = &self.mouth
            && core.phase() != Phase::Open
            && !self.consumer.is_closed()
        {
            return true;
        }
        self.consumer.is_ended()
    }
}

impl<T: Send> InputPeek for window::Peek<T> {
    fn backlog(&self) -> usize {
        window::Peek::backlog(self)
    }
    fn is_at_end(&self) -> bool {
        self.is_ended()
    }
}

struct MpmcOutput<T>(mpmc::Producer<T>);

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
            From::Spsc(consumer) => StdArc::new(SpscPeek(Arc::clone(consumer.cursors()))),
            From::Mpmc(hand) => StdArc::new(MpmcInput {
                consumer: hand.consumer().clone(),
                gate: self.gate.clone(),
                mouth: self.mouth.clone(),
            }),
            From::Window(taker) => StdArc::new(taker.peek()),
        }
    }
}

impl<'env, T: Send + 'env> Tx<'env, T> {
    pub(crate) fn peek(&self) -> StdArc<dyn OutputPeek + 'env> {
        match &self.to {
            To::Spsc(producer) => StdArc::new(SpscPeek(Arc::clone(producer.cursors()))),
            To::Mpmc(producer) => StdArc::new(MpmcOutput(producer.clone())),
            To::Window { placer, .. } => StdArc::new(WindowOutput(placer.peek())),
            To::Nowhere => StdArc::new(NowhereOutput),
            To::Lanes { lanes, .. } => {
                StdArc::new(LanesOutput(lanes.iter().map(Tx::peek).collect()))
            }
        }
    }
}
