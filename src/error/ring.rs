//! What rings refuse.

use std::error::Error;
use std::fmt;

/// A ring that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingError {
    /// A ring of capacity 0 could never pass anything on; the smallest is 1.
    ZeroCapacity,
    /// More slots than the address space can hold.
    CapacityTooLarge {
        /// The capacity asked for, in items.
        capacity: usize,
        /// Bytes per slot.
        size: usize,
    },
    /// The allocator has no memory for it.
    OutOfMemory {
        /// The capacity asked for, in items.
        capacity: usize,
        /// The bytes it needs.
        bytes: usize,
    },
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroCapacity => f.write_str("a ring's capacity is 0; it must be at least 1"),
            Self::CapacityTooLarge { capacity, size } => write!(
                f,
                "a ring of {capacity} slots of {size} bytes exceeds the address space; at most {} fit",
                (isize::MAX as usize / (*size).max(1)) / 2,
            ),
            Self::OutOfMemory { capacity, bytes } => {
                write!(
                    f,
                    "no memory for a ring of capacity {capacity} ({bytes} bytes)"
                )
            }
        }
    }
}

impl Error for RingError {}

macro_rules! refusal {
    ($(#[$doc:meta])* $name:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<T>(pub T);

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }

        impl<T> Error for $name<T> {}
    };
}

refusal!(
    /// The ring is full. Gives the item back.
    Full,
    "the ring is full"
);
refusal!(
    /// The ring is closed. Gives the item back.
    Closed,
    "the ring is closed"
);

/// A push that an MPMC ring refused. Gives the item back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<T> {
    /// No slot was free.
    Full(T),
    /// Somebody closed the ring.
    Closed(T),
}

impl<T> PushError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the ring is full",
            Self::Closed(_) => "the ring is closed",
        })
    }
}

impl<T> Error for PushError<T> {}
