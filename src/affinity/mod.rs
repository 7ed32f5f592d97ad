//! Cores: which there are, and where threads may run. Only `portable` names core_affinity.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod os;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod os;

use std::fmt;
use std::thread;

use crate::error::PinError;

/// What a worker does about its core.
///
/// # What threads inherit
///
/// On Linux a new thread inherits the mask of the thread that makes it: the set of cores that it may run on. The mask of a
/// pinned worker is one core. So a job that starts threads starts them all on the core of its worker, and
/// [`std::thread::available_parallelism`] is 1 inside the job. A library that makes its own pool at first use, inside a
/// job, gets a pool for one core, for the life of the process. [`on_all_cores`] is the way round: it calls a closure with a
/// mask of all allowed cores. Ringmill's own executors do not depend on the mask of the thread that starts them, except
/// under `Off`.
///
/// # When to pin
///
/// A pinned worker has its caches for itself, and nobody moves it. But while another thread runs on its core it waits, even
/// if other cores are free. So `Require` is for cores that nothing else uses, and `Off` is for cores that others use as
/// well: in a container on a shared machine, where each container's first worker is pinned to the first core; in a virtual
/// machine, whose cores the host moves about; and where busy threads are more than cores. `placement()` names the cores that
/// several workers of an executor share. It does not know those of other executors and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pin {
    /// `start` fails where a worker cannot be pinned.
    Require,
    /// Pins where the system lets it. [`placement()`](crate::Handle::placement) names the workers that are not pinned, and
    /// the reason. The default.
    #[default]
    BestEffort,
    /// Leaves workers to the scheduler. They inherit the mask of the thread that starts them, and the default number
    /// of workers is that of the cores in it.
    Off,
}

/// The cores that this process uses, in ascending order: on Linux the union of the masks of all its threads, elsewhere
/// what the system says of the process.
///
/// The answer is read anew with each call, and does not depend on the calling thread. A process of one thread which is
/// pinned has that thread's cores: it looks the same as a process under `taskset`. The system may allow more cores than
/// these: [`Instances::bound`](crate::Instances::bound) and [`Builder::cores`](crate::Builder::cores) take each core that
/// the system takes, and while a thread is pinned to one, that core belongs to the union.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    or_counted(os::masks().all)
}

/// Calls `f` with a mask of [all allowed cores](allowed_cores), and gives the calling thread its old mask back, also if `f`
/// panics. Threads that `f` starts inherit the wide mask and keep it.
///
/// It is for jobs, whose mask is the core of their worker, and costs a few microseconds:
///
/// ```
/// use ringmill::{Instances, Pipeline, allowed_cores, on_all_cores};
/// use std::thread::available_parallelism;
///
/// let core = allowed_cores()[0];
/// let mut seen = (0, 0);
/// Pipeline::<ringmill::PinError>::builder()
///     .stage("library", Instances::bound([core]), |_| {
///         |()| {
///             let narrow = available_parallelism().map_or(1, usize::from);
///             let wide = on_all_cores(|| available_parallelism().map_or(1, usize::from))?;
///             Ok((narrow, wide))
///         }
///     })
///     .run([()], |found| seen = found)?;
/// assert!(seen.0 <= seen.1);
/// # Ok::<(), ringmill::RunError<ringmill::PinError>>(())
/// ```
///
/// Should the system take the old cores away meanwhile, the thread keeps the wide mask. On systems other than Linux this
/// only calls `f`.
///
/// # Errors
/// [`PinError::NotWidened`] if the system refuses the wide mask. `f` is not called then.
pub fn on_all_cores<R>(f: impl FnOnce() -> R) -> Result<R, PinError> {
    os::widened(f)
}

/// The cores that a start found.
///
/// It is displayed as `1 of 2 cores: the calling thread's mask is {0}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Cores {
    /// The cores that workers use where none are named, in ascending order: [`allowed_cores`] at the start, and under
    /// [`Pin::Off`] the mask of the thread that started.
    pub allowed: Vec<usize>,
    /// The mask of the thread that started: its cores in ascending order.
    pub caller: Vec<usize>,
    /// How many cores are online; where the system does not say, how many are allowed.
    pub online: usize,
    /// How many cores' worth of time the process may use under a CPU quota, where those are fewer than the allowed cores.
    /// `None` where nothing depends on it, since the number of workers was named, or all stages are bound: the quota is not
    /// read then.
    pub quota: Option<usize>,
}

impl Cores {
    /// Reads them, but for the quota.
    pub(crate) fn read(pin: Pin) -> Self {
        let masks = os::masks();
        let caller = or_counted(masks.caller);
        let allowed = if pin == Pin::Off {
            caller.clone()
        } else {
            or_counted(masks.all)
        };
        Self {
            online: masks.online.unwrap_or(allowed.len()),
            allowed,
            caller,
            quota: None,
        }
    }

    /// Reads the quota, which takes several times what all the rest does.
    pub(crate) fn read_quota(&self) -> Option<usize> {
        let (allowed, caller) = (self.allowed.len(), self.caller.len());
        quota(allowed, caller, parallelism, parallelism_of_all)
    }

    /// The allowed cores in turn, beginning with the one that the calling thread is on, as far as the system says: threads
    /// that are pinned to the others do not wait for it, nor it for them.
    pub(crate) fn in_turn_from_here(&self) -> impl Iterator<Item = usize> + Clone {
        let here =
            os::current().and_then(|here| self.allowed.iter().position(|&core| core == here));
        let allowed = self.allowed.iter().copied();
        allowed.cycle().skip(here.unwrap_or(0))
    }

    /// Refuses a core that the system does not have for this process. The system is asked only about cores that are not
    /// allowed so far; whatever else it has against pinning shows when the worker pins itself.
    pub(crate) fn check(&self, core: usize) -> Result<(), PinError> {
        if self.allowed.contains(&core) || os::has(core) {
            return Ok(());
        }
        Err(PinError::NotAllowed {
            core,
            allowed: self.allowed.clone(),
        })
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            allowed,
            caller,
            online,
            quota,
        } = self;
        let count = allowed.len();
        let cores = if *online == 1 { "core" } else { "cores" };
        if count < *online {
            write!(f, "{count} of {online} {cores}: ")?;
            f.write_str(if allowed == caller {
                "the calling thread's mask is "
            } else {
                "the masks of all threads together are "
            })?;
            f.debug_set().entries(allowed).finish()?;
        } else {
            write!(f, "{count} {cores}")?;
        }
        match quota {
            Some(quota) => write!(f, "; a CPU quota has time for {quota}"),
            None => Ok(()),
        }
    }
}

/// Pins the calling thread.
pub(crate) fn pin(core: usize) -> Result<(), PinError> {
    os::pin(core)
        .then_some(())
        .ok_or(PinError::Refused { core })
}

/// How many workers a CPU quota has time for, where those are fewer than `allowed` cores. An answer is the least of the
/// quota and of the cores that the thread that asks may run on: `here` asks on the calling thread, which may run on
/// `caller` of them, `wide` on a thread that may run on all.
fn quota(
    allowed: usize,
    caller: usize,
    here: impl FnOnce() -> usize,
    wide: impl FnOnce() -> usize,
) -> Option<usize> {
    if allowed < 2 {
        return None; // One worker there is in any case.
    }
    let mut answer = here();
    if answer >= caller && caller < allowed {
        answer = wide();
    }
    (answer < allowed).then_some(answer.max(1))
}

fn parallelism() -> usize {
    thread::available_parallelism().map_or(usize::MAX, usize::from)
}

/// [`parallelism`] on a thread of ours with a wide mask. `usize::MAX`, that is no quota, if the system has no thread for
/// that or refuses the mask.
fn parallelism_of_all() -> usize {
    let asked = on_own_thread(|| os::widened(parallelism).unwrap_or(usize::MAX));
    asked.unwrap_or(usize::MAX)
}

/// Calls `f` on a thread of ours, so that the calling thread's mask stays as it is.
fn on_own_thread<R: Send>(f: impl FnOnce() -> R + Send) -> Option<R> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("ringmill/cores".to_string());
        let asked = builder.spawn_scoped(scope, f).ok()?;
        asked.join().ok()
    })
}

/// Cores, or the first ones where the system names none.
fn or_counted(cores: Vec<usize>) -> Vec<usize> {
    if cores.is_empty() {
        let count = thread::available_parallelism().map_or(1, usize::from);
        return (0..count).collect();
    }
    cores
}

/// The masks of threads: cores in ascending order, none where the system does not say.
struct Masks {
    caller: Vec<usize>,
    /// The union of all.
    all: Vec<usize>,
    /// How many cores are online.
    online: Option<usize>,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Cores, quota};

    /// What is asked, by threads that may run on `caller` and on all `allowed` cores, under a quota of `time` cores.
    fn asked(allowed: usize, caller: usize, time: usize) -> (Option<usize>, [usize; 2]) {
        let mut asks = [0; 2];
        let [here, wide] = &mut asks;
        let quota = quota(
            allowed,
            caller,
            || {
                *here += 1;
                caller.min(time)
            },
            || {
                *wide += 1;
                allowed.min(time)
            },
        );
        (quota, asks)
    }

    #[test]
    fn a_quota_is_heard_of_where_it_is_less_than_the_cores() {
        for allowed in [1, 2, 3, 128] {
            for caller in 1..=allowed {
                for time in [1, 2, 3, 64, 127, 128, 1000, usize::MAX] {
                    let (quota, asks) = asked(allowed, caller, time);
                    assert_eq!(
                        quota,
                        (time < allowed).then_some(time),
                        "{time} of {allowed} cores, asked on {caller}"
                    );
                    // A thread costs more than an answer: only where the calling thread cannot know.
                    let is_asked = usize::from(allowed > 1);
                    let is_narrow = usize::from(caller < allowed && caller <= time);
                    assert_eq!(asks, [is_asked, is_asked * is_narrow]);
                }
            }
        }
    }

    #[test]
    fn a_system_that_gives_no_time_at_all_gets_one_worker() {
        assert_eq!(quota(4, 4, || 0, || 0), Some(1));
    }

    #[test]
    fn fewer_cores_than_are_online_are_said() {
        let cores = |allowed: &[usize], caller: &[usize], quota| Cores {
            allowed: allowed.to_vec(),
            caller: caller.to_vec(),
            online: 4,
            quota,
        };
        let texts = [
            (cores(&[0, 1, 2, 3], &[2], None), "4 cores"),
            (
                cores(&[0], &[0], None),
                "1 of 4 cores: the calling thread's mask is {0}",
            ),
            (
                cores(&[0, 2], &[2], None),
                "2 of 4 cores: the masks of all threads together are {0, 2}",
            ),
            (
                cores(&[0, 1, 2, 3], &[0, 1, 2, 3], Some(2)),
                "4 cores; a CPU quota has time for 2",
            ),
        ];
        for (cores, text) in texts {
            assert_eq!(cores.to_string(), text);
        }
    }
}
