//! Frames: a ring's memory in which the count of items stands next to the items.
//!
//! ```text
//!  cells  ┌────────┬───┬───┬───┬───┬───┬───┬───┬────────┬───┬───┬───┬── … ──┬────────┬───┬──
//!         │ header │ 1 │ 2 │ 3 │ 4 │ 5 │ 6 │ 7 │ header │ 1 │ 2 │ 3 │       │ header │ 1 │
//!         └────────┴───┴───┴───┴───┴───┴───┴───┴────────┴───┴───┴───┴── … ──┴────────┴───┴──
//!         └─────────── a group, a frame ───────┘└─────── a frame of many groups ─────┘
//! ```
//! A cell holds an item, or a header: how many items of its frame have been published. For words a group is a cache
//! line of eight cells. A frame is a group, or begins with one and goes on for whole groups without a header: a batch is
//! one frame, as dense as a plain array, while of words that are published singly seven share the line of their
//! header. So one line tells of an item and brings it, and a producer that has the line puts in as many as it can
//! before the consumer gets it back (that the slot itself tells is FastForward's idea: Giacomoni, Moseley and
//! Vachharajani, 2008).
//!
//! Items that fill lines of their own gain nothing from a header beside them: there a group is an eighth of the ring,
//! and its header is what the tail is in a ring with indices.
//!
//! A header counts up to its group's end and then, when the frame is closed, says at once how many items there are:
//! a group's less the header, and any number of whole groups. The next frame begins behind, and its header is valid
//! before that.

#![expect(unsafe_code, reason = "cells are words or slots")]

use std::ptr::NonNull;

use super::cursor::STEP;
use super::slots::{Slot, allocate};
use crate::error::RingError;
use crate::sync::{Acquire, AtomicUsize, IS_MODEL, Relaxed, Release, WordOr};

/// Bytes of a cache line; a group of words begins where one begins.
const LINE: usize = 64;

/// Cells in a group, a power of two: words of a cache line, and more where items are wide. Models have small ones, to
/// meet all their ends in few steps.
fn group_for<T>(capacity: usize) -> usize {
    const WORDS: usize = LINE / size_of::<u64>();
    if IS_MODEL {
        4
    } else if size_of::<T>() <= 2 * size_of::<u64>() {
        WORDS
    } else {
        (capacity / 8).next_power_of_two().clamp(WORDS, 256)
    }
}

/// The memory of a ring's cells.
pub(crate) struct Frames<T> {
    memory: Box<[WordOr<Slot<T>>]>,
    /// Where the first cell is in it.
    first: usize,
    count: usize,
    group: usize,
}

impl<T> Frames<T> {
    /// Cells for `capacity` items, however they are published.
    ///
    /// All groups between that of the oldest item and that of the next one hold as many items as they can, and at least
    /// one less than they have cells: frames end with their groups. So two more groups are enough, also for the header
    /// that is valid before its frame begins, which is there only when the group before is full. A third is to spare.
    pub(crate) fn new(capacity: usize) -> Result<Self, RingError> {
        let group = group_for::<T>(capacity);
        let count = (capacity / (group - 1) + 3) * group;
        let spare = LINE / size_of::<u64>() - 1;
        let memory = allocate(count + spare, capacity, |_| WordOr::new(Slot::new()))?;
        let first = memory.as_ptr().align_offset(LINE).min(spare);
        let frames = Self {
            memory,
            first,
            count,
            group,
        };
        frames.cells().header(0).store(0, Relaxed);
        Ok(frames)
    }

    /// The cells, for as long as the frames live.
    pub(crate) fn cells(&self) -> Cells<T> {
        Cells {
            first: NonNull::from(&self.memory[self.first..][..self.count]).cast(),
            count: self.count,
            group: self.group,
        }
    }
}

/// The cells of frames, near at hand. Who holds them also holds what keeps the frames alive.
pub(crate) struct Cells<T> {
    first: NonNull<WordOr<Slot<T>>>,
    count: usize,
    group: usize,
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

    /// How far a distance from a group's beginning reaches into the last group.
    #[inline]
    fn behind_group(&self, distance: usize) -> usize {
        distance & (self.group - 1)
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
        let full = self.frame;
        if filled > cells.group || self.at == cells.count {
            self.close(cells);
        } else if filled == cells.group {
            // As in `close`, for the group that a single item has filled.
            self.frame = self.at;
            self.step_over(cells);
            cells.header(self.frame).store(0, Relaxed);
            // ORDERING: Release. Publishes the group's slots, and the header behind it.
            // Pairs with: `Reading::refresh` (Acquire). Model: loom-tests/tests/spsc.rs::lap.
            cells.header(full).store(cells.group - 1, Release);
        } else {
            // ORDERING: Release. Publishes the slots written since the last publication.
            // Pairs with: `Reading::refresh` (Acquire). Model: loom-tests/tests/spsc.rs::publish_then_pop.
            cells.header(full).store(filled - 1, Release);
        }
        self.published = self.at;
    }

    /// Closes the frame behind its last whole group, or where the cells end, and publishes what is in the next one.
    #[inline(never)]
    fn close<T>(&mut self, cells: Cells<T>) {
        let closed = self.frame;
        let end = if self.at < closed {
            cells.count
        } else {
            self.at - cells.behind_group(self.at - closed)
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

    /// Whether the frame is closed, where all that is known of it has been taken.
    #[inline]
    fn has_left<T>(&self, cells: Cells<T>) -> bool {
        cells.behind_group(self.end - self.frame) == 0
    }

    /// The header of the frame behind.
    #[inline]
    fn next_frame<T>(&self, cells: Cells<T>) -> usize {
        if self.end == cells.count { 0 } else { self.end }
    }

    /// How many items a frame has, as far as is published.
    #[inline]
    fn published<T>(frame: usize, cells: Cells<T>) -> usize {
        // ORDERING: Acquire. Sees the slots that the header counts, and the header behind a closed frame.
        // Pairs with: `Writing::publish`, `Writing::close` (Release).
        // Model: loom-tests/tests/spsc.rs::publish_then_pop.
        cells.header(frame).load(Acquire)
    }

    /// Whether there is something to take.
    pub(crate) fn has_more<T>(&self, cells: Cells<T>) -> bool {
        // A header that has been seen to end its frame may be an item by now: it is not looked at again.
        if self.at != self.end {
            true
        } else if self.has_left(cells) {
            Self::published(self.next_frame(cells), cells) > 0
        } else {
            self.at != self.frame + 1 + Self::published(self.frame, cells)
        }
    }

    /// Looks whether more was published, once all that was known is taken.
    #[inline]
    pub(crate) fn refresh<T>(&mut self, cells: Cells<T>) -> bool {
        if self.has_left(cells) {
            let word = self.word();
            self.frame = self.next_frame(cells);
            self.at = self.frame + 1;
            self.base = word.wrapping_sub(self.at * STEP);
        }
        self.end = self.frame + 1 + Self::published(self.frame, cells);
        self.at != self.end
    }
}
