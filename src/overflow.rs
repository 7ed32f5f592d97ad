//! What becomes of a job that finds no room.

/// What dispatching does where there is no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// It waits: [`dispatch`](crate::Dispatcher::dispatch) as long as the executor is open,
    /// [`dispatch_timeout`](crate::Dispatcher::dispatch_timeout) for its time,
    /// [`try_dispatch`](crate::Dispatcher::try_dispatch) not at all. The default.
    #[default]
    Block,
    /// It does not wait, whichever call it is: the job comes back with
    /// [`DispatchError::Full`](crate::DispatchError::Full).
    Refuse,
    /// The job itself is dropped, and the call succeeds.
    DropNewest,
    /// The oldest job that waits in the same ring is dropped to make room, and the call succeeds. Instances claim jobs of
    /// such a ring one at a time, so that every job that has not begun can be dropped.
    DropOldest,
}
