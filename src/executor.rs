//! What the ends, the handles and the duties of one executor share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use crate::counters::{Counters, Running, StageTally, Tally};
use crate::error::Fault;
use crate::hooks::Hooks;
#[cfg(feature = "hdr")]
use crate::latency::{Latencies, Registry};
use crate::lifecycle::{Core, Lifecycle, Phase};
use crate::placement::Placement;
use crate::scale::Scale;
use crate::sync::{AcqRel, AtomicUsize, Relaxed};

/// The shared state of an executor whose stages fail with `E`.
pub(crate) struct Executor<E> {
    pub(crate) core: Arc<Core>,
    pub(crate) lifecycle: Lifecycle<Fault<E>>,
    /// Duties that have not ended.
    live: AtomicUsize,
    stages: OnceLock<Vec<StageTally>>,
    placement: OnceLock<Placement>,
    /// Owned by the executor's threads, so that they are dropped with the last of those: a hook may own a handle.
    hooks: OnceLock<Weak<Hooks<E>>>,
    scales: OnceLock<Vec<Arc<Scale>>>,
    #[cfg(feature = "hdr")]
    latency: OnceLock<Arc<Registry>>,
}

impl<E> Executor<E> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            core: Core::new(),
            lifecycle: Lifecycle::new(),
            live: AtomicUsize::new(0),
            stages: OnceLock::new(),
            placement: OnceLock::new(),
            hooks: OnceLock::new(),
            scales: OnceLock::new(),
            #[cfg(feature = "hdr")]
            latency: OnceLock::new(),
        })
    }

    /// Says what there is, before anything runs.
    pub(crate) fn set_up(&self, duties: usize, stages: Vec<StageTally>, hooks: &Arc<Hooks<E>>) {
        self.live.store(duties, Relaxed); // The threads that subtract are spawned after this.
        let _once = self.stages.set(stages);
        let _once = self.hooks.set(Arc::downgrade(hooks));
    }

    /// What the user wants to be told, while any thread of the executor is left.
    pub(crate) fn hooks(&self) -> Option<Arc<Hooks<E>>> {
        self.hooks.get()?.upgrade()
    }

    /// Tells the user what went wrong. A panic of the hook ends the executor.
    pub(crate) fn tell(&self, fault: &Fault<E>) {
        let Some(hooks) = self.hooks() else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hooks.faults(fault))) {
            drop(self.set_fault(Arc::new(Fault::of_panic("the fault hook", payload))));
        }
    }

    pub(crate) fn set_scales(&self, scales: Vec<Arc<Scale>>) {
        let _once = self.scales.set(scales);
    }

    /// How many instances a stage has, where that changes.
    pub(crate) fn scale(&self, stage: &str) -> Option<&Arc<Scale>> {
        let mut scales = self.scales.get()?.iter();
        scales.find(|scale| &*scale.stage == stage)
    }

    pub(crate) fn set_placement(&self, placement: Placement) {
        let _once = self.placement.set(placement);
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters::read(self.stages.get().map_or(&[], Vec::as_slice))
    }

    /// Who is inside a job.
    pub(crate) fn running(&self) -> Vec<Running> {
        let stages = self.stages.get().map_or(&[][..], Vec::as_slice);
        let of_stage = |stage: &StageTally| {
            let name = Arc::clone(&stage.name);
            let of_instance = move |(instance, tally): (usize, &Arc<Tally>)| {
                let stage = Arc::clone(&name);
                let job = tally.inside()?;
                Some(Running {
                    stage,
                    instance,
                    job,
                })
            };
            let tallies = stage.instances.iter().enumerate();
            tallies.filter_map(of_instance).collect::<Vec<_>>()
        };
        stages.iter().flat_map(of_stage).collect()
    }

    pub(crate) fn placement(&self) -> Placement {
        self.placement.get().cloned().unwrap_or_default()
    }

    /// Ends the executor with this fault, and then tells the user: a hook that waits keeps nobody from ending.
    pub(crate) fn fail(&self, fault: Fault<E>) {
        let fault = Arc::new(fault);
        drop(self.set_fault(Arc::clone(&fault)));
        self.tell(&fault);
    }

    /// Ends the executor with this fault, if it is the first and the end has not come.
    ///
    /// # Errors
    /// The fault back, if it is not.
    pub(crate) fn set_fault(&self, fault: Arc<Fault<E>>) -> Result<(), Arc<Fault<E>>> {
        let set = self.lifecycle.set_error(fault);
        // The loser may be ahead of the winner here, and must not go on either.
        if set.is_ok() || self.lifecycle.error().is_some() {
            self.core.advance(Phase::Failed);
        }
        set
    }

    /// From now on latencies are wanted.
    #[cfg(feature = "hdr")]
    pub(crate) fn measure(&self) -> Arc<Registry> {
        Arc::clone(self.latency.get_or_init(Arc::default))
    }

    /// Those that were measured so far.
    #[cfg(feature = "hdr")]
    pub(crate) fn latencies(&self) -> Option<Latencies> {
        self.latency.get().map(|registry| registry.read())
    }

    /// Waits for the end, at most until `deadline`. Whether it has come.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        while !self.lifecycle.is_finished() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
            let is_finished = || self.lifecycle.is_finished();
            self.core.end.sleep(deadline, is_finished);
        }
        true
    }

    /// A duty has ended. The last one's end is the executor's.
    pub(crate) fn duty_ended(&self) {
        // ORDERING: AcqRel. The last to leave has seen what all others did, and says so by `finish`.
        // Pairs with: itself. Model: loom-tests/tests/lifecycle.rs::done_is_last.
        if self.live.fetch_sub(1, AcqRel) == 1 {
            self.lifecycle.finish();
            self.core.wake_everybody();
        }
    }
}
