//! What cannot be built, pinned or scaled, and why.

use std::error::Error;
use std::fmt;
use std::io;

use super::RingError;
use crate::overflow::Overflow;

/// Why a core cannot be pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinError {
    /// The system has no such core for this process.
    NotAllowed {
        /// The core asked for.
        core: usize,
        /// The cores that were allowed when it was asked for.
        allowed: Vec<usize>,
    },
    /// The system refused.
    Refused {
        /// The core asked for.
        core: usize,
    },
    /// The system refused to let a thread run on all allowed cores.
    NotWidened {
        /// The cores asked for.
        cores: Vec<usize>,
    },
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { core, allowed } => {
                write!(
                    f,
                    "the system has no core {core} for this process; the allowed cores are {allowed:?}"
                )
            }
            Self::Refused { core } => {
                write!(f, "the system refused to pin a thread to core {core}")
            }
            Self::NotWidened { cores } => {
                write!(
                    f,
                    "the system refused to let a thread run on cores {cores:?}"
                )
            }
        }
    }
}

impl Error for PinError {}

/// An executor that cannot be built. Nothing of it is left behind.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The ring in front of a stage, or behind the last, cannot be made.
    Ring {
        /// The stage before which the ring lies; `None` for the results' ring.
        stage: Option<String>,
        /// Why.
        error: RingError,
    },
    /// `workers(0)`.
    ZeroWorkers,
    /// More workers of a pool, or more instances of a stage, than there can be.
    TooMany {
        /// What there is too much of.
        what: String,
        /// How many were asked for.
        count: usize,
        /// The most that there can be.
        most: usize,
    },
    /// A stage of 0 instances, or bound to no cores.
    ZeroInstances {
        /// The stage.
        stage: String,
    },
    /// `ordered(0)`.
    ZeroWindow {
        /// The stage.
        stage: String,
    },
    /// A keyed stage cannot be ordered as well: each of its instances has a ring of its own.
    KeyedAndOrdered {
        /// The stage.
        stage: String,
    },
    /// The oldest job is to be dropped where the first stage is ordered: it has a place in the order already. Put a
    /// stage of one instance in front, or drop the newest.
    OrderedDropsOldest {
        /// The stage.
        stage: String,
    },
    /// `overflow` in a branch: what becomes of a job without room is decided where jobs come in, before the first
    /// stage of all.
    OverflowInBranch {
        /// What was said.
        overflow: Overflow,
    },
    /// `up_to` fewer instances than there are at least.
    Limits {
        /// The stage.
        stage: String,
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// `by_load(0)`: as if every job that waits were one too many.
    ZeroLoad {
        /// The stage.
        stage: String,
    },
    /// A keyed stage's number of instances cannot change: each key belongs to one of them.
    KeyedAndScaled {
        /// The stage.
        stage: String,
    },
    /// A name that is empty, taken, or holds a NUL, which no thread's name may.
    StageName {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A core that cannot be pinned to.
    Core {
        /// The stage or worker that asked for it.
        who: String,
        /// Why.
        error: PinError,
    },
    /// `cores([])`.
    NoCores,
    /// A time of 0, within which nothing can be done.
    ZeroTime {
        /// What it was for.
        what: &'static str,
    },
    /// The system refused a thread.
    Spawn {
        /// The thread's name.
        thread: String,
        /// The system's answer.
        error: io::Error,
    },
    /// An init closure failed or panicked.
    Init {
        /// The stage.
        stage: String,
        /// The instance, from 0.
        instance: usize,
        /// What the closure said.
        message: String,
    },
    /// The idle strategy's constructor or a spawn hook panicked.
    Hook {
        /// Which.
        hook: &'static str,
        /// What it said.
        message: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring {
                stage: Some(stage),
                error,
            } => write!(f, "stage {stage:?}: {error}"),
            Self::Ring { stage: None, error } => write!(f, "the results' ring: {error}"),
            Self::ZeroWorkers => f.write_str("0 workers; there must be at least 1"),
            Self::TooMany { what, count, most } => {
                write!(f, "{count} {what}; there can be at most {most}")
            }
            Self::ZeroInstances { stage } => {
                write!(f, "stage {stage:?} has 0 instances; it needs at least 1")
            }
            Self::ZeroWindow { stage } => {
                write!(
                    f,
                    "stage {stage:?} is ordered with a window of 0; it needs at least 1"
                )
            }
            Self::KeyedAndOrdered { stage } => {
                write!(
                    f,
                    "stage {stage:?} is both keyed and ordered; it can be one of them"
                )
            }
            Self::OverflowInBranch { overflow } => write!(
                f,
                "overflow {overflow:?} is said in a branch: jobs come in before the first stage, say it there"
            ),
            Self::OrderedDropsOldest { stage } => write!(
                f,
                "stage {stage:?} is ordered and the first, so the oldest job before it cannot be dropped; drop \
                 the newest, or put a stage of one instance in front"
            ),
            Self::Limits { stage, least, most } => write!(
                f,
                "stage {stage:?} has from {least} up to {most} instances; the most must be at least the least"
            ),
            Self::ZeroLoad { stage } => write!(
                f,
                "stage {stage:?} is scaled by a load of 0 jobs an instance; it needs at least 1"
            ),
            Self::KeyedAndScaled { stage } => {
                write!(
                    f,
                    "stage {stage:?} is keyed, and its number of instances is to change; it can be one of them"
                )
            }
            Self::StageName { name, problem } => write!(f, "stage name {name:?} {problem}"),
            Self::Core { who, error } => write!(f, "{who}: {error}"),
            Self::NoCores => f.write_str("an empty list of cores; name at least 1"),
            Self::ZeroTime { what } => write!(
                f,
                "a {what} of 0, within which nothing can be done; leave it out for none"
            ),
            Self::Spawn { thread, error } => write!(f, "cannot start thread {thread:?}: {error}"),
            Self::Init {
                stage,
                instance,
                message,
            } => {
                write!(
                    f,
                    "stage {stage:?}, instance {instance}: init failed: {message}"
                )
            }
            Self::Hook { hook, message } => write!(f, "{hook} panicked: {message}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ring { error, .. } => Some(error),
            Self::Core { error, .. } => Some(error),
            Self::Spawn { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// A number of instances that a stage cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScaleError {
    /// What was asked for.
    pub instances: usize,
    /// The least it can have.
    pub least: usize,
    /// The most.
    pub most: usize,
}

impl fmt::Display for ScaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instances,
            least,
            most,
        } = self;
        write!(
            f,
            "{instances} instances; the stage has from {least} up to {most}"
        )
    }
}

impl Error for ScaleError {}
