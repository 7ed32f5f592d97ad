//! What can go wrong, and what each refusal gives back.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// Why a core cannot be pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinError {
    /// The core is not among those that this process may run on.
    NotAllowed {
        /// The core asked for.
        core: usize,
        /// Those that are allowed.
        allowed: Vec<usize>,
    },
    /// The system refused.
    Refused {
        /// The core asked for.
        core: usize,
    },
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed { core, allowed } => {
                write!(f, "core {core} is not among the allowed cores {allowed:?}")
            }
            Self::Refused { core } => {
                write!(f, "the system refused to pin a thread to core {core}")
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

/// A dispatch that was refused. Gives the job back, whole.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DispatchError<J> {
    /// No room, and this call does not wait (inside a job of the same executor, none does).
    Full(J),
    /// No room within the time given.
    Timeout(J),
    /// Closed, or nobody will receive.
    Closed(J),
    /// Stopped.
    Stopped(J),
    /// The executor failed; `err()` says why.
    Failed(J),
}

impl<J> DispatchError<J> {
    /// The job.
    pub fn into_job(self) -> J {
        match self {
            Self::Full(job)
            | Self::Timeout(job)
            | Self::Closed(job)
            | Self::Stopped(job)
            | Self::Failed(job) => job,
        }
    }

    /// Whether trying again may help: there was no room, and nobody ended the executor.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Timeout(_))
    }

    pub(crate) fn map<K>(self, f: impl FnOnce(J) -> K) -> DispatchError<K> {
        match self {
            Self::Full(job) => DispatchError::Full(f(job)),
            Self::Timeout(job) => DispatchError::Timeout(f(job)),
            Self::Closed(job) => DispatchError::Closed(f(job)),
            Self::Stopped(job) => DispatchError::Stopped(f(job)),
            Self::Failed(job) => DispatchError::Failed(f(job)),
        }
    }
}

impl<J> fmt::Debug for DispatchError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Timeout(_) => "Timeout(..)",
            Self::Closed(_) => "Closed(..)",
            Self::Stopped(_) => "Stopped(..)",
            Self::Failed(_) => "Failed(..)",
        })
    }
}

impl<J> fmt::Display for DispatchError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the executor takes no more jobs at the moment",
            Self::Timeout(_) => "the executor took no job within the time given",
            Self::Closed(_) => "the executor is closed",
            Self::Stopped(_) => "the executor was stopped",
            Self::Failed(_) => "the executor failed",
        })
    }
}

impl<J> Error for DispatchError<J> {}

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

/// A `dispatch_all` that was cut short.
#[derive(Clone, PartialEq, Eq)]
pub struct DispatchAllError<J> {
    /// How many jobs were accepted.
    pub accepted: usize,
    /// Why the next one was not, and that job.
    pub refused: DispatchError<J>,
    /// The jobs that had been taken from the iterator after it.
    pub rest: Vec<J>,
}

impl<J> fmt::Debug for DispatchAllError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchAllError")
            .field("accepted", &self.accepted)
            .field("refused", &self.refused)
            .field("rest", &self.rest.len())
            .finish()
    }
}

impl<J> fmt::Display for DispatchAllError<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} jobs: {}", self.accepted, self.refused)
    }
}

impl<J> Error for DispatchAllError<J> {}

/// Nothing to receive now, or never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryReceiveError {
    /// Nothing yet.
    Empty,
    /// Never again: the executor has finished and every result has been received.
    Done,
}

impl fmt::Display for TryReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no result yet",
            Self::Done => "no result will come any more",
        })
    }
}

impl Error for TryReceiveError {}

/// Nothing received within the time given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveTimeoutError {
    /// Nothing yet.
    Timeout,
    /// Never again: the executor has finished and every result has been received.
    Done,
}

impl fmt::Display for ReceiveTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no result within the time given",
            Self::Done => "no result will come any more",
        })
    }
}

impl Error for ReceiveTimeoutError {}

/// What made an executor fail.
#[non_exhaustive]
pub enum Fault<E> {
    /// A stage returned an error (policy fail fast).
    Stage {
        /// The stage.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// What it returned.
        error: E,
    },
    /// Somebody called `set_err`.
    Set(E),
    /// A job was not through in time (policy fail fast).
    Late {
        /// The stage that was to begin with it, or did.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// Whether no stage had begun with it.
        expired: bool,
    },
    /// The pipeline was not through in time.
    DeadlineExceeded {
        /// The time that it was given.
        deadline: Duration,
    },
    /// A stage panicked, or a result or job did when it was dropped.
    Panicked {
        /// The stage.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// The panic's message, if it was a string.
        message: String,
        /// The panic's payload.
        payload: Payload,
    },
}

impl<E> Fault<E> {
    /// The fault of a panic that is no stage's: `what` panicked.
    pub(crate) fn of_panic(what: &str, payload: Box<dyn Any + Send>) -> Self {
        Self::of_stage_panic(Arc::from(what), 0, payload)
    }

    /// The fault of an instance's panic.
    pub(crate) fn of_stage_panic(
        stage: Arc<str>,
        instance: usize,
        payload: Box<dyn Any + Send>,
    ) -> Self {
        Self::Panicked {
            stage,
            instance,
            message: panic_message(&*payload),
            payload: Payload::new(payload),
        }
    }
}

/// A panic's payload, kept until somebody takes it.
pub struct Payload(Mutex<Option<Box<dyn Any + Send>>>);

impl Payload {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(Mutex::new(Some(payload)))
    }

    /// Takes the payload out, for `resume_unwind`; `None` if it has been taken before.
    pub fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A payload may panic when it is dropped; that one is forgotten.
impl Drop for Payload {
    fn drop(&mut self) {
        if let Some(payload) = self.take() {
            swallow(payload);
        }
    }
}

/// Drops a panic's payload, whatever its drop does.
pub(crate) fn swallow(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// Keeps the first of several payloads.
pub(crate) fn keep_first(first: &mut Option<Box<dyn Any + Send>>, payload: Box<dyn Any + Send>) {
    if first.is_none() {
        *first = Some(payload);
    } else {
        swallow(payload);
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload(..)")
    }
}

impl<E: fmt::Debug> fmt::Debug for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage {
                stage,
                instance,
                error,
            } => f
                .debug_struct("Stage")
                .field("stage", stage)
                .field("instance", instance)
                .field("error", error)
                .finish(),
            Self::Set(error) => f.debug_tuple("Set").field(error).finish(),
            Self::Late {
                stage,
                instance,
                expired,
            } => f
                .debug_struct("Late")
                .field("stage", stage)
                .field("instance", instance)
                .field("expired", expired)
                .finish(),
            Self::DeadlineExceeded { deadline } => f
                .debug_struct("DeadlineExceeded")
                .field("deadline", deadline)
                .finish(),
            Self::Panicked {
                stage,
                instance,
                message,
                ..
            } => f
                .debug_struct("Panicked")
                .field("stage", stage)
                .field("instance", instance)
                .field("message", message)
                .finish(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage {
                stage,
                instance,
                error,
            } => {
                write!(f, "stage {stage:?}, instance {instance}: {error}")
            }
            Self::Set(error) => error.fmt(f),
            Self::Late {
                stage,
                instance,
                expired: true,
            } => write!(
                f,
                "stage {stage:?}, instance {instance}: a job's deadline passed before it began"
            ),
            Self::Late {
                stage,
                instance,
                expired: false,
            } => write!(
                f,
                "stage {stage:?}, instance {instance}: a job's deadline passed"
            ),
            Self::DeadlineExceeded { deadline } => {
                write!(f, "not through within the deadline of {deadline:?}")
            }
            Self::Panicked {
                stage,
                instance,
                message,
                ..
            } => {
                write!(
                    f,
                    "stage {stage:?}, instance {instance} panicked: {message}"
                )
            }
        }
    }
}

impl<E: Error + 'static> Error for Fault<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stage { error, .. } | Self::Set(error) => Some(error),
            Self::Late { .. } | Self::DeadlineExceeded { .. } | Self::Panicked { .. } => None,
        }
    }
}

/// What happened to one job in the per-job policy, instead of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobError<E> {
    /// A stage returned an error for this job.
    Stage {
        /// The stage.
        stage: Arc<str>,
        /// What it returned.
        error: E,
    },
    /// A stage panicked on this job; its instance has been built anew.
    Panicked {
        /// The stage.
        stage: Arc<str>,
        /// The instance, from 0.
        instance: usize,
        /// The panic's message, if it was a string.
        message: String,
    },
    /// The job's deadline passed before any stage began with it.
    Expired {
        /// The stage that was to begin with it.
        stage: Arc<str>,
    },
    /// The job's deadline passed after a stage had begun with it. The results that had gone out in time are out;
    /// that which came late and those after it are not.
    TimedOut {
        /// The stage that was at it, or was to be next.
        stage: Arc<str>,
    },
}

impl<E> JobError<E> {
    /// What a fault means for the job that it happened to.
    ///
    /// # Errors
    /// The fault, if it is the executor's as a whole.
    pub(crate) fn from_fault(fault: Fault<E>) -> Result<Self, Fault<E>> {
        match fault {
            Fault::Stage { stage, error, .. } => Ok(Self::Stage { stage, error }),
            Fault::Panicked {
                stage,
                instance,
                message,
                ..
            } => Ok(Self::Panicked {
                stage,
                instance,
                message,
            }),
            Fault::Late {
                stage,
                expired: true,
                ..
            } => Ok(Self::Expired { stage }),
            Fault::Late { stage, .. } => Ok(Self::TimedOut { stage }),
            Fault::Set(_) | Fault::DeadlineExceeded { .. } => Err(fault),
        }
    }
}

impl<E: fmt::Display> fmt::Display for JobError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { stage, error } => write!(f, "stage {stage:?}: {error}"),
            Self::Panicked {
                stage,
                instance,
                message,
            } => {
                write!(
                    f,
                    "stage {stage:?}, instance {instance} panicked: {message}"
                )
            }
            Self::Expired { stage } => {
                write!(
                    f,
                    "stage {stage:?}: the deadline passed before the job began"
                )
            }
            Self::TimedOut { stage } => write!(f, "stage {stage:?}: the deadline passed"),
        }
    }
}

impl<E: Error + 'static> Error for JobError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stage { error, .. } => Some(error),
            Self::Panicked { .. } | Self::Expired { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// Why `join` has no report.
#[non_exhaustive]
pub enum JoinError<E> {
    /// The executor failed.
    Failed(Arc<Fault<E>>),
    /// `join` was called from inside a job of the same executor, which can never see its own end. The
    /// handle is gone, and the executor was told to stop.
    InsideJob,
}

impl<E: fmt::Debug> fmt::Debug for JoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(fault) => f.debug_tuple("Failed").field(fault).finish(),
            Self::InsideJob => f.write_str("InsideJob"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for JoinError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(fault) => fault.fmt(f),
            Self::InsideJob => {
                f.write_str("join was called from inside a job of the same executor")
            }
        }
    }
}

impl<E: Error + 'static> Error for JoinError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(fault) => Some(&**fault),
            Self::InsideJob => None,
        }
    }
}

/// Why `run` has no report.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError<E> {
    /// It could not be built; nothing ran.
    Build(BuildError),
    /// It ran, and failed.
    Join(JoinError<E>),
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Join(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for RunError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Join(error) => Some(error),
        }
    }
}

/// The text of a panic whose payload nobody keeps.
pub(crate) fn into_message(payload: Box<dyn Any + Send>) -> String {
    let message = panic_message(&*payload);
    swallow(payload);
    message
}

/// The text of a panic, if it was a string.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a payload that is no string)".to_string())
}
