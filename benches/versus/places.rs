//! Where threads of benchmarks stand: each on a core of its own, as long as there are any.

use std::ops::Range;
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// The cores that this process may use; found before any thread is pinned.
pub fn cores() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// Pins the calling thread to the `nth` core, counted round and round. Where that is refused it runs anywhere.
pub fn pin(nth: usize) {
    let cores = cores();
    if let Some(&core) = cores.get(nth % cores.len().max(1)) {
        core_affinity::set_for_current(core);
    }
}

/// How long `first` and `second` take together, each on a core of its own; the time ends with `second`.
pub fn side_by_side(first: impl FnOnce() + Send, second: impl FnOnce() + Send) -> Duration {
    let gate = Barrier::new(2);
    thread::scope(|scope| {
        let gate = &gate;
        scope.spawn(move || {
            pin(1);
            gate.wait();
            first();
        });
        let second = scope.spawn(move || {
            pin(0);
            gate.wait();
            let begun = Instant::now();
            second();
            begun.elapsed()
        });
        second
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What one thread of a crew does.
pub type Member<'a> = Box<dyn FnOnce() + Send + 'a>;

/// How long all of them take together, from the first one's start to the last one's end, each in a thread of its own;
/// the cores are dealt out round and round.
pub fn crew(members: Vec<Member<'_>>) -> Duration {
    let gate = Barrier::new(members.len());
    let gate = &gate;
    let run = move |nth, member: Member<'_>| {
        pin(nth);
        gate.wait();
        let begun = Instant::now();
        member();
        (begun, Instant::now())
    };
    thread::scope(|scope| {
        let members = members.into_iter().enumerate();
        let all: Vec<_> = members
            .map(|(nth, member)| scope.spawn(move || run(nth, member)))
            .collect();
        let times = all.into_iter().map(|one| {
            one.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let whole = times.reduce(|(begun, ended), next| (begun.min(next.0), ended.max(next.1)));
        whole.map_or(Duration::ZERO, |(begun, ended)| ended - begun)
    })
}

/// The part of `0..items` that falls to the `nth` of so many.
pub fn share(items: u64, nth: usize, of: usize) -> Range<u64> {
    let edge = |nth| items * nth as u64 / of as u64;
    edge(nth)..edge(nth + 1)
}
