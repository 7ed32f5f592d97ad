//! What tests share: a watchdog, and a way to wait that does not sleep.
#![allow(dead_code)]

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Runs `body` on a thread of its own; a hang is a failure.
pub fn within(body: impl FnOnce() + Send + 'static) {
    const LIMIT: Duration = Duration::from_secs(30);
    let (done, wait) = channel::<()>();
    let name = thread::current().name().unwrap_or("test").to_string();
    let thread = thread::spawn(move || {
        let _done = done;
        body();
    });
    match wait.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("{name} hangs"),
        _ => {
            if let Err(payload) = thread.join() {
                resume_unwind(payload);
            }
        }
    }
}

/// Waits until `is` holds, leaving the core to others meanwhile.
pub fn until(is: impl Fn() -> bool) {
    while !is() {
        thread::yield_now();
    }
}

/// `jobs`, or fewer where the environment asks for quicker runs (many of them in a row).
pub fn jobs(jobs: u64) -> u64 {
    let divisor = std::env::var("RINGMILL_TEST_DIVIDE").ok();
    let divisor = divisor.and_then(|text| text.parse().ok()).unwrap_or(1);
    (jobs / divisor).max(1)
}

/// Keeps jobs inside their stage until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<AtomicBool>, Arc<AtomicUsize>);

impl Gate {
    pub fn pass<T>(&self, job: T) -> T {
        self.1.fetch_add(1, SeqCst);
        until(|| self.0.load(SeqCst));
        job
    }

    pub fn open(&self) {
        self.0.store(true, SeqCst);
    }

    pub fn inside(&self) -> usize {
        self.1.load(SeqCst)
    }
}
