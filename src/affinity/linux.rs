//! The masks of threads, by the kernel.

#![expect(unsafe_code, reason = "the system calls for the masks of threads")]

use std::fs::{self, File};
use std::io::{self, Read};

use super::{Masks, on_own_thread};
use crate::error::PinError;

type Word = libc::c_ulong;

const WORD: usize = Word::BITS as usize;

/// As many as the kernel's type of a mask holds. A mask of a system with more cannot be read: then none is named.
const IDS: usize = libc::CPU_SETSIZE as usize;

/// A set of cores, laid out as `cpu_set_t`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
struct Mask([Word; IDS / WORD]);

const _: () = assert!(size_of::<Mask>() == size_of::<libc::cpu_set_t>());
const _: () = assert!(align_of::<Mask>() == align_of::<libc::cpu_set_t>());

impl Mask {
    const CALLER: libc::pid_t = 0;

    fn of(thread: libc::pid_t) -> Option<Self> {
        let mut mask = Self([0; IDS / WORD]);
        // SAFETY: the kernel writes at most as many bytes as it is told, which are the mask's, and any bits are a mask.
        let read =
            unsafe { libc::sched_getaffinity(thread, size_of::<Self>(), (&raw mut mask).cast()) };
        (read == 0).then_some(mask)
    }

    /// The union of the masks of all threads, of which the calling thread's is known. The search ends as soon as the union
    /// is all cores that are online.
    fn of_all(caller: Self, online: Option<usize>) -> Self {
        let mut all = caller;
        if online == Some(all.count()) {
            return all;
        }
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        for task in tasks.flatten() {
            // A thread may be gone before it is asked.
            let number = task.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(mask) = number.and_then(Self::of) else {
                continue;
            };
            for (all, one) in all.0.iter_mut().zip(mask.0) {
                *all |= one;
            }
            if online == Some(all.count()) {
                break;
            }
        }
        all
    }

    fn only(core: usize) -> Self {
        let mut mask = Self([0; IDS / WORD]);
        mask.0[core / WORD] |= 1 << (core % WORD);
        mask
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn cores(&self) -> Vec<usize> {
        let mut cores = Vec::with_capacity(self.count());
        for (nth, mut word) in self.0.into_iter().enumerate() {
            while word != 0 {
                cores.push(nth * WORD + word.trailing_zeros() as usize);
                word &= word - 1; // Its lowest bit goes.
            }
        }
        cores
    }

    /// Gives it to the calling thread.
    fn put_on(&self) -> io::Result<()> {
        let mask: *const Self = self;
        // SAFETY: the kernel reads as many bytes as it is told, which are the mask's.
        let put = unsafe { libc::sched_setaffinity(Self::CALLER, size_of::<Self>(), mask.cast()) };
        if put == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

pub(super) fn masks() -> Masks {
    let online = online();
    let caller = Mask::of(Mask::CALLER);
    let all = caller.map(|caller| Mask::of_all(caller, online));
    let cores = |mask: Option<Mask>| mask.map_or_else(Vec::new, |mask| mask.cores());
    Masks {
        caller: cores(caller),
        all: cores(all),
        online,
    }
}

/// Whether the kernel has a core for this process. Only a thread that tries to get there can know.
pub(super) fn has(core: usize) -> bool {
    let refuses = |error: io::Error| error.kind() == io::ErrorKind::InvalidInput;
    core < IDS
        && on_own_thread(|| Mask::only(core).put_on())
            .is_none_or(|tried| !tried.is_err_and(refuses))
}

pub(super) fn pin(core: usize) -> bool {
    core < IDS && Mask::only(core).put_on().is_ok()
}

pub(super) fn current() -> Option<usize> {
    // SAFETY: the call takes nothing, touches no memory of ours and gives -1 where the kernel does not have it.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// The mask that a thread had; put back on it when this goes.
struct Old(Mask);

impl Drop for Old {
    fn drop(&mut self) {
        let _is_back = self.0.put_on();
    }
}

/// Calls `f` while the calling thread's mask is the union of all.
pub(super) fn widened<R>(f: impl FnOnce() -> R) -> Result<R, PinError> {
    let own = Mask::of(Mask::CALLER);
    let masks = own.map(|own| (own, Mask::of_all(own, online())));
    let _old = match masks.filter(|(own, all)| own != all) {
        None => None,
        Some((own, all)) => {
            let put = all.put_on();
            put.map_err(|_| PinError::NotWidened { cores: all.cores() })?;
            Some(Old(own))
        }
    };
    Ok(f())
}

/// How many cores are online, if the kernel says so in 256 bytes: on systems with so many gaps nobody is told.
fn online() -> Option<usize> {
    let mut list = [0; 256];
    let read = File::open("/sys/devices/system/cpu/online")
        .and_then(|mut file| file.read(&mut list))
        .ok()?;
    let list = list.get(..read).filter(|_| read < list.len())?;
    count(str::from_utf8(list).ok()?)
}

/// How many numbers the kernel's list has, as in `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let sizes = list.trim().split(',').map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        to.checked_sub(from)?.checked_add(1)
    });
    sizes
        .into_iter()
        .try_fold(0_usize, |sum, size| sum.checked_add(size?))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::count;

    #[test]
    fn the_kernel_s_list_of_cores_is_counted() {
        let lists = [
            ("0\n", Some(1)),
            ("0-127\n", Some(128)),
            ("0-3,8,10-11", Some(7)),
            ("", None),
            ("\n", None),
            ("3-1", None),
            ("0-", None),
            ("0-18446744073709551615", None),
            ("1-18446744073709551615,1-18446744073709551615", None),
            ("   (null)", None),
        ];
        for (list, expected) in lists {
            assert_eq!(count(list), expected, "{list:?}");
        }
    }
}
