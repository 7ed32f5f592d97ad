//! A ring that puts results back in order: producers place by *ticket*, one consumer takes in ticket
//! order.
//!
//! A ticket is the position word that a job had in the ring it came from, so taking the job already
//! numbered it. Each ticket is placed exactly once: as one result, as several (one after the other, each
//! when the consumer has taken the one before), or as a gap. A slot's stamp says where its ticket stands:
//!
//! ```text
//!   2·ticket       to be placed          2·ticket + 1   last result      (consumer goes on)
//!                                        2·ticket + 2   more will follow (consumer stays)
//!                                        2·ticket + 3   gap              (consumer goes on)
//! ```
//! The window bounds how far the fastest instance may run ahead of the slowest: a ticket may be taken
//! only while it is less than the window ahead of the consumer.

#![expect(
    unsafe_code,
    reason = "moves values through slots; invariants on `Shared`"
)]

use std::fmt;

use super::cursor::{Cursors, LEFT, STEP, distance};
use super::mpmc::close;
use super::slots::{Slot, allocate, drop_each};
use crate::error::RingError;
use crate::sync::{Acquire, Arc, AtomicUsize, Relaxed, Release};

const LAST: usize = 1;
const MORE: usize = 2;
const GAP: usize = 3;

/// A window of `size` tickets, the first of which is the first position of `input`.
pub(crate) fn window<T>(
    size: usize,
    input: Arc<Cursors>,
) -> Result<(Placer<T>, Taker<T>), RingError> {
    let cursors = Cursors::new(size, size_of::<Cell<T>>(), input.start() / STEP)?;
    let count = cursors.slots();
    let slots = allocate(count, size, |_| Cell {
        stamp: AtomicUsize::new(0),
        slot: Slot::new(),
    })?;
    let first = cursors.start();
    for nth in 0..count {
        let ticket = first.wrapping_add(nth * STEP);
        slots[cursors.index(ticket)]
            .stamp
            .store(ticket.wrapping_mul(2), Relaxed);
    }
    let shared = Arc::new(Shared {
        slots,
        cursors: Arc::new(cursors),
        input,
    });
    let taker = Taker {
        shared: Arc::clone(&shared),
        head: first,
        moved_from: None,
        has_hole: false,
    };
    Ok((Placer { shared }, taker))
}

/// # Invariants
/// * I1: the slot of ticket `t` holds a value exactly while its stamp is `2t + LAST` or `2t + MORE`.
/// * I2: while its stamp is `2t`, only the holder of ticket `t` touches the slot and its stamp. A ticket
///   has one holder: who claimed that position of the input.
/// * I3: in every other state of `t`, only the consumer touches them.
struct Shared<T> {
    slots: Box<[Cell<T>]>,
    /// Head: the consumer's ticket. Tail: how many results have been placed, and the closed mark.
    cursors: Arc<Cursors>,
    input: Arc<Cursors>,
}

struct Cell<T> {
    stamp: AtomicUsize,
    slot: Slot<T>,
}

impl<T> Shared<T> {
    fn cell(&self, ticket: usize) -> &Cell<T> {
        &self.slots[self.cursors.index(ticket)]
    }

    /// What the slot of `ticket` says of it: 0, LAST, MORE or GAP; anything else speaks of another lap.
    fn state(&self, ticket: usize) -> usize {
        // ORDERING: Acquire. Sees the value behind the stamp, or that the consumer took it out.
        // Pairs with: the Releases in `set`. Model: loom-tests/tests/window.rs::order.
        self.cell(ticket)
            .stamp
            .load(Acquire)
            .wrapping_sub(ticket.wrapping_mul(2))
    }

    /// Whether a ticket was taken and will never be placed: after a stop, tickets are dropped without a
    /// word, and once the window is closed there is nobody to place them.
    fn is_hole(&self, ticket: usize) -> bool {
        // ORDERING: Acquire. After the mark everything has been taken and placed.
        // Pairs with: `close` (Release). Model: loom-tests/tests/window.rs::order.
        let is_closed = self.cursors.tail.load(Acquire) & LEFT != 0;
        is_closed && distance(ticket, self.input.head.load(Relaxed)) != 0 && self.state(ticket) == 0
    }

    fn set(&self, slot_of: usize, stamp: usize) {
        // ORDERING: Release. Publishes the slot write or the take before it.
        // Pairs with: `state` (Acquire). Model: loom-tests/tests/window.rs::order.
        self.cell(slot_of).stamp.store(stamp, Release);
    }

    fn lap(&self) -> usize {
        self.slots.len() * STEP
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let mut nth = 0;
        drop_each(|| {
            while nth < self.slots.len() {
                let cell = &self.slots[nth];
                nth += 1;
                if matches!(cell.stamp.load(Relaxed) & 3, LAST | MORE) {
                    // SAFETY: `&mut self` is exclusive and `nth` has moved past the slot; I1, its stamp
                    // says that it holds a value.
                    return Some(unsafe { cell.slot.take() });
                }
            }
            None
        });
    }
}

/// A placing end, one per instance of the stage.
pub(crate) struct Placer<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Placer<T> {
    /// Whether the holder of `ticket` can place something for it now.
    pub(crate) fn is_free(&self, ticket: usize) -> bool {
        self.shared.state(ticket) == 0
    }

    /// Places a result; `more` if another will follow for the same ticket.
    ///
    /// # Errors
    /// Gives the result back while the one before has not been taken.
    ///
    /// # Safety
    /// The caller holds `ticket`: it claimed that position of the input, and has placed neither a last
    /// result nor a gap for it.
    pub(crate) unsafe fn place(&self, ticket: usize, item: T, more: bool) -> Result<(), T> {
        if !self.is_free(ticket) {
            return Err(item);
        }
        // Relaxed: a count; the stamp below publishes it with the result.
        self.shared.cursors.tail.fetch_add(STEP, Relaxed);
        // SAFETY: I2, the stamp says that the slot is the ticket holder's; I1, it is empty.
        unsafe { self.shared.cell(ticket).slot.write(item) };
        let state = if more { MORE } else { LAST };
        self.shared
            .set(ticket, ticket.wrapping_mul(2).wrapping_add(state));
        Ok(())
    }

    /// Says that nothing (more) will come for `ticket`. False while the result before has not been taken.
    ///
    /// # Safety
    /// As [`Placer::place`].
    pub(crate) unsafe fn gap(&self, ticket: usize) -> bool {
        let free = self.is_free(ticket);
        if free {
            self.shared
                .set(ticket, ticket.wrapping_mul(2).wrapping_add(GAP));
        }
        free
    }

    pub(crate) fn peek(&self) -> Peek<T> {
        Peek(Arc::clone(&self.shared))
    }

    /// No ticket will be placed any more.
    pub(crate) fn close(&self) {
        close(&self.shared.cursors);
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        &self.shared.cursors
    }
}

impl<T> Clone for Placer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The taking end.
pub(crate) struct Taker<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// Where the head was when somebody last asked, if slots were opened since.
    moved_from: Option<usize>,
    /// Whether a ticket was stepped over that a stop had dropped.
    has_hole: bool,
}

impl<T> Taker<T> {
    /// The ticket of the next result in their order, if it is there; steps over gaps.
    pub(crate) fn ticket(&mut self) -> Option<usize> {
        loop {
            match self.shared.state(self.head) {
                LAST | MORE => return Some(self.head),
                GAP => self.go_on(),
                _ if self.shared.is_hole(self.head) => {
                    self.has_hole = true;
                    self.go_on();
                }
                _ => return None,
            }
        }
    }

    /// Takes the next result. Only when [`Taker::ticket`] has said that it is there; panics otherwise.
    pub(crate) fn take(&mut self) -> T {
        let ticket = self.head;
        let state = self.shared.state(ticket);
        assert!(matches!(state, LAST | MORE), "a take from an empty window");
        // SAFETY: I3, the stamp gives the slot to the consumer; I1, it holds a value, and the stamp set
        // below says that it is out, so it is taken once.
        let item = unsafe { self.shared.cell(ticket).slot.take() };
        if state == MORE {
            self.moved_from.get_or_insert(ticket);
            self.shared.set(ticket, ticket.wrapping_mul(2));
        } else {
            self.go_on();
        }
        item
    }

    /// Whether what comes now comes after a ticket that a stop had dropped.
    pub(crate) fn has_hole(&self) -> bool {
        self.has_hole
    }

    /// Opens the slot for the ticket one lap later and moves to the next.
    fn go_on(&mut self) {
        let ticket = self.head;
        self.moved_from.get_or_insert(ticket);
        let later = ticket.wrapping_add(self.shared.lap());
        self.shared.set(ticket, later.wrapping_mul(2));
        self.head = ticket.wrapping_add(STEP);
        // ORDERING: Release. The slot is open before the window moves.
        // Pairs with: the gate in `Rx::fill` (Acquire). Model: loom-tests/tests/window.rs::order.
        self.shared.cursors.head.store(self.head, Release);
    }

    /// Where the head was when this was last asked, if slots were opened since.
    pub(crate) fn moved(&mut self) -> Option<usize> {
        self.moved_from.take()
    }

    /// Whether the window was full while the head was at `from`.
    pub(crate) fn was_full(&self, from: usize) -> bool {
        let next = self.shared.input.head.load(Relaxed);
        distance(from, next) >= self.shared.cursors.capacity()
    }

    pub(crate) fn peek(&self) -> Peek<T> {
        Peek(Arc::clone(&self.shared))
    }

    pub(crate) fn cursors(&self) -> &Arc<Cursors> {
        &self.shared.cursors
    }
}

/// What anybody may see of a window.
pub(crate) struct Peek<T>(Arc<Shared<T>>);

impl<T> Peek<T> {
    /// Whether the consumer would find something: a result, or a gap to step over.
    pub(crate) fn has_published(&self) -> bool {
        // ORDERING: Acquire. The state read next is at least as new as this head.
        // Pairs with: `Taker::go_on` (Release). Model: loom-tests/tests/window.rs::order.
        let head = self.0.cursors.head.load(Acquire);
        (LAST..=GAP).contains(&self.0.state(head)) || self.0.is_hole(head)
    }

    /// Tickets taken and not yet passed, if there is something for the consumer: 0 otherwise.
    pub(crate) fn backlog(&self) -> usize {
        if !self.has_published() {
            return 0;
        }
        // ORDERING: Acquire on the head, read first, so that the distance is never negative.
        // Pairs with: `Taker::go_on` (Release). Model: loom-tests/tests/window.rs::order.
        let done = self.0.cursors.head.load(Acquire);
        distance(done, self.0.input.head.load(Relaxed)).max(1)
    }

    /// The ticket of the next result that the consumer takes.
    pub(crate) fn next_ticket(&self) -> usize {
        self.0.cursors.head.load(Relaxed)
    }

    /// Whether the slot is open for the ticket that it will hold next, or holds no result of.
    pub(crate) fn is_slot_free(&self, slot: usize) -> bool {
        // ORDERING: Acquire. As `state`.
        // Pairs with: the Releases in `set`. Model: loom-tests/tests/window.rs::order.
        self.0.slots[slot].stamp.load(Acquire) & 3 == 0
    }

    /// Closed, and nothing is left.
    pub(crate) fn is_ended(&self) -> bool {
        // ORDERING: Acquire. After the mark everything has been placed.
        // Pairs with: `close` (Release). Model: loom-tests/tests/window.rs::order.
        self.0.cursors.tail.load(Acquire) & LEFT != 0 && !self.has_published()
    }
}

impl<T> fmt::Debug for Placer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("window::Placer")
            .field(&self.shared.cursors)
            .finish()
    }
}
