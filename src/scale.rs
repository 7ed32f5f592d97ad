//! How many of a stage's instances live: what is wanted, and what is.

use std::sync::{Arc, OnceLock};

use crate::lot::{Lot, Neighbour};
use crate::sync::{AtomicUsize, Relaxed};

/// The number of live instances of one stage, between two limits.
///
/// `target` is written by the thread that wants another number, `size` by the instances: each adds itself when its
/// state has been built, and takes itself away when its state is gone. Both only inform; what an instance hands on goes
/// through its claim.
pub(crate) struct Scale {
    pub(crate) stage: Arc<str>,
    pub(crate) min: usize,
    pub(crate) max: usize,
    target: AtomicUsize,
    size: AtomicUsize,
    /// Jobs waiting for each live instance from which one more is wanted; 0: the load decides nothing.
    load: AtomicUsize,
    /// The stage's duties and where their homes sleep, from the start of the executor on.
    duties: OnceLock<(Arc<Lot>, Vec<Neighbour>)>,
}

impl Scale {
    pub(crate) fn new(stage: &Arc<str>, min: usize, max: usize, load: usize) -> Arc<Self> {
        Arc::new(Self {
            stage: Arc::clone(stage),
            min,
            max,
            target: AtomicUsize::new(min),
            size: AtomicUsize::new(0),
            load: AtomicUsize::new(load),
            duties: OnceLock::new(),
        })
    }

    /// Says which duties are the stage's instances.
    pub(crate) fn set_duties(&self, lot: &Arc<Lot>, duties: Vec<Neighbour>) {
        let _once = self.duties.set((Arc::clone(lot), duties));
    }

    pub(crate) fn target(&self) -> usize {
        self.target.load(Relaxed)
    }

    /// Wants so many, within the limits, and wakes the homes of the stage's instances: they build and end them.
    pub(crate) fn set_target(&self, target: usize) {
        // An exchange, like every write that a sleeper's last look must not miss.
        self.target.swap(target.clamp(self.min, self.max), Relaxed);
        if let Some((lot, duties)) = self.duties.get() {
            lot.wake_homes(duties);
        }
    }

    /// Whether the instance of this number should live.
    #[inline]
    pub(crate) fn wants(&self, instance: usize) -> bool {
        instance < self.target()
    }

    pub(crate) fn size(&self) -> usize {
        self.size.load(Relaxed)
    }

    pub(crate) fn joined(&self) {
        self.size.fetch_add(1, Relaxed);
    }

    pub(crate) fn left(&self) {
        self.size.fetch_sub(1, Relaxed);
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    /// Sets the load, and has the supervisor look at it.
    pub(crate) fn set_load(&self, load: usize) {
        // An exchange, like every write that a sleeper's last look must not miss.
        self.load.swap(load, Relaxed);
        if let Some((lot, _)) = self.duties.get() {
            lot.supervisor.notify();
        }
    }
}

/// An instance's part in its stage's number.
#[derive(Clone)]
pub(crate) struct Share {
    pub(crate) scale: Arc<Scale>,
    pub(crate) instance: usize,
}

impl Share {
    pub(crate) fn new(scale: &Arc<Scale>, instance: usize) -> Self {
        Self {
            scale: Arc::clone(scale),
            instance,
        }
    }

    /// Whether this instance should live.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.scale.wants(self.instance)
    }
}
