//! The masks of threads: the cores that each may run on.

#![expect(unsafe_code, reason = "system calls that std has no name for")]

use std::fs;
use std::mem::size_of;

/// The number of the calling thread.
pub fn own_number() -> libc::pid_t {
    let path = fs::read_link("/proc/thread-self").unwrap();
    path.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// The numbers of all threads of this process.
pub fn all_numbers() -> Vec<libc::pid_t> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let number = |task: fs::DirEntry| task.file_name().to_str().unwrap().parse().unwrap();
    tasks.map(|task| number(task.unwrap())).collect()
}

/// Moves a thread of this process to a core, as anybody may.
pub fn move_to(thread: libc::pid_t, core: usize) {
    // SAFETY: all zeros is a set of no cores.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` is allowed, so the set has a place for it.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set lives until the call returns.
    let moved =
        unsafe { libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &raw const set) };
    assert_eq!(moved, 0);
}

/// Moves the calling thread to a core.
pub fn move_here(core: usize) {
    move_to(own_number(), core);
}

/// The cores that the calling thread may run on.
pub fn own_cores() -> Vec<usize> {
    // SAFETY: all zeros is a set of no cores.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives until the call returns, and is as long as the call is told.
    let read = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    assert_eq!(read, 0);
    (0..libc::CPU_SETSIZE as usize)
        // SAFETY: the set has a place for each number below its size.
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .collect()
}
