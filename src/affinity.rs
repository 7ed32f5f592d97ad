//! Cores: which there are, and pinning the calling thread to one. The only file that names core_affinity.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the system call that says where a thread is")
)]

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

/// The allowed cores, beginning with the one that the calling thread is on, as far as the system says: threads that are
/// pinned to the others do not wait for it, nor it for them.
pub(crate) fn cores_from_here() -> impl Iterator<Item = usize> + Clone {
    let allowed = allowed_cores();
    let here = allowed.iter().position(|&core| Some(core) == current());
    allowed.iter().copied().cycle().skip(here.unwrap_or(0))
}

#[cfg(target_os = "linux")]
fn current() -> Option<usize> {
    // SAFETY: the call takes nothing, touches no memory of ours and gives -1 where the kernel does not have it.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

#[cfg(not(target_os = "linux"))]
fn current() -> Option<usize> {
    None
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
