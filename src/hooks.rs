//! Hooks: what a user wants to be told while an executor runs. None costs anything per job.

use std::sync::Arc;

use crate::error::Fault;
use crate::stage::Context;

/// Told the number of a worker.
type OfWorker = Arc<dyn Fn(usize) + Send + Sync>;
/// Told which instance.
type OfInstance = Arc<dyn Fn(&Context) + Send + Sync>;
/// Told what went wrong.
type OfFault<E> = Arc<dyn Fn(&Fault<E>) + Send + Sync>;

/// The hooks of one executor, each of them there if it was set.
pub(crate) struct Hooks<E> {
    pub(crate) worker_start: Option<OfWorker>,
    pub(crate) worker_stop: Option<OfWorker>,
    pub(crate) instance_start: Option<OfInstance>,
    pub(crate) instance_stop: Option<OfInstance>,
    pub(crate) fault: Option<OfFault<E>>,
}

impl<E> Default for Hooks<E> {
    fn default() -> Self {
        Self {
            worker_start: None,
            worker_stop: None,
            instance_start: None,
            instance_stop: None,
            fault: None,
        }
    }
}

impl<E> Hooks<E> {
    pub(crate) fn worker_starts(&self, worker: usize) {
        if let Some(hook) = &self.worker_start {
            hook(worker);
        }
    }

    pub(crate) fn worker_stops(&self, worker: usize) {
        if let Some(hook) = &self.worker_stop {
            hook(worker);
        }
    }

    pub(crate) fn instance_starts(&self, context: &Context) {
        if let Some(hook) = &self.instance_start {
            hook(context);
        }
    }

    pub(crate) fn instance_stops(&self, context: &Context) {
        if let Some(hook) = &self.instance_stop {
            hook(context);
        }
    }

    pub(crate) fn faults(&self, fault: &Fault<E>) {
        if let Some(hook) = &self.fault {
            hook(fault);
        }
    }
}
