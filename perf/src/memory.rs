//! Memory is asked for before it is used: what cannot be had is an error, not the end of the process.

use std::fs;
use std::path::Path;

use indicatif::HumanBytes;

use crate::exit::Failure;

/// Refuses a value that takes more memory than can be had: `base` bytes and `each` for each one.
pub(crate) fn ask(flag: &str, value: usize, base: usize, each: usize) -> Result<(), Failure> {
    within(usable(), flag, value, base, each)
}

fn within(
    usable: usize,
    flag: &str,
    value: usize,
    base: usize,
    each: usize,
) -> Result<(), Failure> {
    let bytes = value.saturating_mul(each).saturating_add(base);
    if bytes <= usable {
        return Ok(());
    }
    let most = usable.saturating_sub(base) / each;
    let (bytes, usable) = (HumanBytes(bytes as u64), HumanBytes(usable as u64));
    Err(Failure::Usage(format!(
        "{flag} {value} takes about {bytes} of memory, and {usable} can be had: at most {most}"
    )))
}

/// Bytes that can be had: three quarters of what is free, as there is more to be kept than what is asked
/// for. `usize::MAX` where the system does not say; then only the allocator refuses.
pub(crate) fn usable() -> usize {
    let free = [free(), group(), address_space()];
    free.into_iter()
        .flatten()
        .min()
        .map_or(usize::MAX, |free| free / 4 * 3)
}

/// What the system has left.
fn free() -> Option<usize> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What the process may still map (`ulimit -v`).
fn address_space() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: usize = soft.split_whitespace().next()?.parse().ok()?; // Not if it is "unlimited".
    Some(limit.saturating_sub(kibibytes(&status, "VmSize:")?))
}

/// The least limit of the control groups that the process is in. How much of it is taken says little:
/// most of that is cache.
fn group() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let of_line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let root = Path::new(root);
        let own = root.join(path.trim_start_matches('/'));
        let limit = |group: &Path| {
            let text = fs::read_to_string(group.join(file)).ok()?;
            text.trim().parse().ok() // Not if it is "max".
        };
        own.ancestors()
            .take_while(|group| group.starts_with(root))
            .filter_map(limit)
            .min()
    };
    groups.lines().filter_map(of_line).min()
}

/// The value of a line as `MemAvailable:   1024 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<usize> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: usize = value.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(usable: usize, value: usize) -> Option<String> {
        match within(usable, "--jobs", value, 100, 10) {
            Ok(()) => None,
            Err(Failure::Usage(error)) => Some(error),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_refused_is_named_with_the_most_that_is_possible() {
        assert_eq!(refused(200, 10), None);
        assert_eq!(
            refused(200, 11).as_deref(),
            Some("--jobs 11 takes about 210 B of memory, and 200 B can be had: at most 10")
        );
        assert!(refused(usize::MAX - 1, usize::MAX).is_some());
        assert!(refused(50, 1).is_some_and(|error| error.ends_with("at most 0")));
    }

    #[test]
    fn a_line_in_kibibytes_is_read_in_bytes() {
        let text = "MemFree:  1 kB\nMemAvailable:      12 kB\nOdd: x kB\n";
        assert_eq!(kibibytes(text, "MemAvailable:"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "Odd:"), None);
        assert_eq!(kibibytes(text, "None:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_says_how_much_there_is() {
        assert!(free().is_some_and(|bytes| bytes > 0));
        assert!(usable() > 0 && usable() < usize::MAX);
    }
}
