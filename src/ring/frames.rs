//! Frames: a ring's memory in which the count of items stands next to the items.
//!
//! ```text
//!  cells  ┌────────┬───┬───┬───┬───┬───┬───┬───┬────────┬───┬───┬───┬── … ──┬────────┬───┬──
//!         │ header │ 1 │ 2 │ 3 │ 4 │ 5 │ 6 │ 7 │ header │ 1 │ 2 │ 3 │       │ header │ 1 │
//!         └────────┴───┴───┴───┴───┴───┴───┴───┴────────┴───┴───┴───┴── … ──┴────────┴───┴──
//!         └─────────── a group, a frame ───────┘└─────── a frame of many groups ─────┘
//! ```
//! A cell holds an item, or a header: how many items of its frame have been published. [`GROUP`] cells are a group,
//! one cache line for words. A frame is a group, or begins with one and goes on for whole groups without a header: a
//! batch is one frame, as dense as a plain array, while of items that are published singly the first seven share the
//! line of their header. So one line tells of an item and brings it, and a producer that has the line puts in as many
//! as it can before the consumer gets it back (FastForward's idea
//! that the slot itself tells: Giacomoni, Moseley and Vachharajani, 2008).
//!
//! A header counts up to its group's end and then, when the frame is closed, says at once how many items there are:
//! `GROUP - 1` and any number of whole groups. The next frame begins behind, and its header is valid before that.

#![expect(unsafe_code, reason = "cells are words or slots")]

use std::ptr::NonNull;

use super::cursor::STEP;
use super::slots::{Slot, allocate};
use crate::error::RingError;
use crate::sync::{Acquire, AtomicUsize, IS_MODEL, Relaxed, Release, WordOr};

/// Cells in a group: words of a cache line. Models have small ones, to meet all their ends in few steps.
pub(crate) const GROUP: usize = if IS_MODEL { 3 } else { 8 };

/// Bytes of a cache line; a group of words begins where one begins.
const LINE: usize = 64;

/// The memory of a ring's cells.
pub(crate) struct Frames<T> {
    memory: Box<[WordOr<Slot<T>>]>,
    cells: usize,
}

impl<T> Frames<T> {
    /// Cells for `capacity` items, however they are published.
    ///
    /// All groups between those at the two ends hold at least `GROUP - 1` items of the ring. There is one more group
    /// at each end, and one for a header that is valid before its frame begins.
    pub(crate) fn new(capacity: usize) -> Result<Self, RingError> {
        let cells = (capacity / (GROUP - 1) + 3) * GROUP;
        let memory = allocate(cells + GROUP - 1, capacity, |_| WordOr::new(Slot::new()))?;
        let frames = Self { memory, cells };
        frames.cells().header(0).store(0, Relaxed);
        Ok(frames)
    }

    /// The cells, for as long as the frames live.
    pub(crate) fn cells(&self) -> Cells<T> {
        let first = self.memory.as_ptr().align_offset(LINE).min(GROUP - 1);
        Cells {
            first: NonNull::from(&self.memory[first]),
            count: self.cells,
        }
    }
}

/// The cells of frames, near at hand. Who holds them also holds what keeps the frames alive.
pub(crate) struct Cells<T> {
    first: NonNull<WordOr<Slot<T>>>,
    count: usize,
}

impl<T> Clone for Cells<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Cells<T> {}

// SAFETY: as a reference to the frames, which lends slots, whose calls ask for exclusive access.
unsafe impl<T: Send> Send for Cells<T> {}

impl<T> Cells<T> {
    #[inline]
    fn cell(&self, at: usize) -> &WordOr<Slot<T>> {
        debug_assert!(at < self.count, "cell {at} of {}", self.count);
        // SAFETY: `first` is followed by `count` cells, and cells are counted below that everywhere.
        let cell = unsafe { self.first.add(at) };
        // SAFETY: the frames are alive, and cells are only ever shared.
        unsafe { cell.as_ref() }
    }

    /// The header at the first cell of a group.
    #[inline]
    pub(crate) fn header(&self, at: usize) -> &AtomicUsize {
        // SAFETY: headers are read only at the beginning of a frame, where one was stored before the frame began.
        unsafe { self.cell(at).word() }
    }

    #[inline]
    pub(crate) fn slot(&self, at: usize) -> &Slot<T> {
        // SAFETY: a slot is memory for maybe a value, for which any bits are right.
        unsafe { self.cell(at).other() }
    }
}

/// How far a writer of frames has come.
pub(crate) struct Writing {
    /// The cell of the next item.
    pub(crate) at: usize,
    /// The first cell that there is no room for, as far as is known.
    pub(crate) stop: usize,
    /// The cell behind what is published.
    published: usize,
    /// The header of the first frame that is not closed. Behind `at` while what was written since the last publication
    /// has gone beyond the last cell.
    frame: usize,
    /// The word of cell 0, if all cells before `at` were items.
    base: usize,
}

impl Writing {
    /// At the beginning, in front of nothing but room.
    pub(crate) fn new(word: usize) -> Self {
        let base = word.wrapping_sub(STEP);
        Self {
            at: 1,
            stop: 1,
            published: 1,
            frame: 0,
            base,
        }
    }

    /// The word of the next item.
    #[inline]
    pub(crate) fn word(&self) -> usize {
        self.base.wrapping_add(self.at * STEP)
    }

    /// Whether something was written since the last publication.
    #[inline]
    pub(crate) fn is_hidden(&self) -> bool {
        self.at != self.published
    }

    /// There is room for so many items.
    pub(crate) fn set_room<T>(&mut self, room: usize, cells: Cells<T>) {
        if room > 0 && self.at == cells.count {
            self.wrap(cells);
        }
        self.stop = (self.at + room).min(cells.count);
    }

    /// Goes from behind the last cell to that behind the first one's header.
    fn wrap<T>(&mut self, cells: Cells<T>) {
        self.base = self.base.wrapping_add((cells.count - 1) * STEP);
        self.at = 1;
        self.stop = 1;
    }

    /// Leaves a cell for a header.
    #[inline]
    fn step_over<T>(&mut self, cells: Cells<T>) {
        self.base = self.base.wrapping_sub(STEP);
        self.at += 1;
        self.stop = (self.stop + 1).min(cells.count);
    }

    /// Publishes what was written.
    #[inline]
    pub(crate) fn publish<T>(&mut self, cells: Cells<T>) {
        let filled = self.at.wrapping_sub(self.frame);
        if filled >= GROUP {
            self.close(cells);
        } else {
            // ORDERING: Release. Publishes the slots written since the last publication.
            // Pairs with: `Reading::refresh` (Acquire). Model: loom-tests/tests/spsc.rs::publish_then_pop.
            cells.header(self.frame).store(filled - 1, Release);
        }
        self.published = self.at;
    }

    /// Closes the frame behind its last whole group, or where the cells end, and publishes what is in the next one.
    fn close<T>(&mut self, cells: Cells<T>) {
        let closed = self.frame;
        let end = if self.at < closed {
            cells.count
        } else {
            self.at - (self.at - closed) % GROUP
        };
        if end < cells.count {
            self.frame = end;
            for cell in (end..self.at).rev() {
                // SAFETY: the item was written and not published, so it is the writer's; it is moved once.
                let item = unsafe { cells.slot(cell).take() };
                // SAFETY: the cell behind is in the same group; it is empty, or its item has just been moved.
                unsafe { cells.slot(cell + 1).write(item) };
            }
            self.step_over(cells);
        } else {
            self.frame = 0;
            if self.at == cells.count {
                self.wrap(cells);
            }
        }
        // What is behind first, so that all becomes visible at once.
        self.publish(cells);
        // ORDERING: Release. Publishes the slots of the frame, and the header behind it.
        // Pairs with: `Reading::refresh` (Acquire). Model: loom-tests/tests/spsc.rs::batch_over_old_frames.
        cells.header(closed).store(end - closed - 1, Release);
    }
}

/// How far a reader of frames has come.
pub(crate) struct Reading {
    /// The cell of the next item.
    pub(crate) at: usize,
    /// The first cell behind what is known to be published.
    pub(crate) end: usize,
    /// The header of the frame.
    frame: usize,
    /// The word of cell 0, if all cells before `at` were items.
    base: usize,
}

impl Reading {
    /// At the beginning, behind nothing.
    pub(crate) fn new(word: usize) -> Self {
        let base = word.wrapping_sub(STEP);
        Self {
            at: 1,
            end: 1,
            frame: 0,
            base,
        }
    }

    /// The word of the next item.
    #[inline]
    pub(crate) fn word(&self) -> usize {
        self.base.wrapping_add(self.at * STEP)
    }

    /// Looks whether more was published, once all that was known is taken.
    #[inline]
    pub(crate) fn refresh<T>(&mut self, cells: Cells<T>) -> bool {
        // Whole groups: the frame was closed, and all of it is taken.
        if (self.end - self.frame).is_multiple_of(GROUP) {
            let word = self.word();
            self.frame = if self.end == cells.count { 0 } else { self.end };
            self.at = self.frame + 1;
            self.base = word.wrapping_sub(self.at * STEP);
        }
        // ORDERING: Acquire. Sees the slots that the header counts, and the header behind a closed frame.
        // Pairs with: `Writing::publish`, `Writing::close` (Release).
        // Model: loom-tests/tests/spsc.rs::publish_then_pop.
        self.end = self.frame + 1 + cells.header(self.frame).load(Acquire);
        self.at != self.end
    }
}
