//! Whether there is a stdout.
//!
//! Rust's runtime opens `/dev/null` in the place of a standard stream that is closed, before `main`, and takes
//! a write to a descriptor that is not open for writing for a success: results would be lost without a
//! word. So this looks earlier, from where the loader calls initialisers.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "a system call, in an initialiser")
)]

use std::io;

/// An error if stdout was closed, or not open for writing, when the process started.
#[cfg(target_os = "linux")]
pub(crate) fn check() -> io::Result<()> {
    if early::WRITABLE.load(std::sync::atomic::Ordering::Relaxed) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EBADF))
    }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn check() -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod early {
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) static WRITABLE: AtomicBool = AtomicBool::new(true);

    // SAFETY: entries of this section are addresses of functions with the C calling convention, which the
    // loader calls once each, before `main`.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    /// Needs nothing of Rust's runtime, which is not there yet.
    extern "C" fn look() {
        // SAFETY: F_GETFL takes no further argument and touches no memory of this process.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFL) };
        let writable = flags >= 0 && flags & libc::O_ACCMODE != libc::O_RDONLY;
        WRITABLE.store(writable, Ordering::Relaxed);
    }
}
