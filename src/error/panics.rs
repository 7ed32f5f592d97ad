//! Panics' payloads and messages.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

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
