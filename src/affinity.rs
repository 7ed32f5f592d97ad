//! Cores: which there are, and pinning the calling thread to one. The only file that names core_affinity.

use std::sync::OnceLock;

use crate::error::PinError;

/// What a worker does about its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pin {
    /// A worker that cannot be pinned is an error of `start`.
    Require,
    /// Pin if the system lets us; `placement()` says what came of it.
    #[default]
    BestEffort,
    /// Leave it to the scheduler.
    Off,
}

/// The cores this process may run on, in ascending order. Read once, when first asked: the mask is
/// inherited by threads, so that a thread that is pinned already would see only its own core.
#[must_use]
pub fn allowed_cores() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let ids = core_affinity::get_core_ids().unwrap_or_default();
        let mut cores: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
        cores.sort_unstable();
        if cores.is_empty() {
            let count = std::thread::available_parallelism().map_or(1, usize::from);
            cores.extend(0..count);
        }
        cores
    })
}

/// Refuses a core that this process may not run on, before the system sees it.
pub(crate) fn check(core: usize) -> Result<(), PinError> {
    let allowed = allowed_cores();
    if allowed.contains(&core) {
        return Ok(());
    }
    Err(PinError::NotAllowed {
        core,
        allowed: allowed.to_vec(),
    })
}

/// Pins the calling thread.
pub(crate) fn pin(core: usize) -> Result<(), PinError> {
    check(core)?;
    if core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Ok(());
    }
    Err(PinError::Refused { core })
}
