//! The cores of the process, by a portable crate: it reads no masks of threads, and sets none but those of one core.

use core_affinity::CoreId;

use super::Masks;
use crate::error::PinError;

fn ids() -> Vec<usize> {
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    let mut ids: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
    ids.sort_unstable();
    ids
}

pub(super) fn masks() -> Masks {
    let all = ids();
    Masks {
        caller: all.clone(),
        all,
        online: None,
    }
}

pub(super) fn has(core: usize) -> bool {
    super::or_counted(ids()).contains(&core)
}

pub(super) fn pin(core: usize) -> bool {
    has(core) && core_affinity::set_for_current(CoreId { id: core })
}

pub(super) fn current() -> Option<usize> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "refused on Linux only")]
pub(super) fn widened<R>(f: impl FnOnce() -> R) -> Result<R, PinError> {
    Ok(f())
}
