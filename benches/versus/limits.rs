//! What the machine itself allows: the least that two cores must do to tell each other something.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use crate::places::{Member, cores, crew, share, side_by_side};
use crate::protocol::nanoseconds;

/// Words in a cache line.
const WORDS: usize = 8;

/// Streams `bytes` a item through a buffer of `capacity` items, whole lines at a time, with no more synchronisation than
/// a position at each end of eight lines.
pub fn stream_lines(items: u64, bytes: usize, capacity: usize) -> Duration {
    let words = (capacity * bytes / 8).next_power_of_two().max(16 * WORDS);
    let total = items * bytes as u64 / 8;
    let lines: Vec<AtomicU64> = (0..words).map(|_| AtomicU64::new(0)).collect();
    let (lines, mask) = (&*lines, words - 1);
    let [written, read] = [const { CachePadded::new(AtomicU64::new(0)) }; 2];
    let (written, read) = (&*written, &*read);
    let step = 8 * WORDS as u64;
    let produce = move || {
        let (mut at, mut room) = (0, words as u64);
        while at < total {
            let end = total.min(at + step);
            while room < end {
                room = read.load(Ordering::Acquire) + words as u64;
                spin_loop();
            }
            for word in at..end {
                lines[word as usize & mask].store(word, Ordering::Relaxed);
            }
            at = end;
            written.store(at, Ordering::Release);
        }
    };
    let consume = move || {
        let (mut at, mut there, mut wrong) = (0, 0, 0);
        while at < total {
            while there <= at {
                there = written.load(Ordering::Acquire);
                spin_loop();
            }
            let end = there.min(at + step);
            for word in at..end {
                wrong |= lines[word as usize & mask].load(Ordering::Relaxed) ^ word;
            }
            at = end;
            read.store(at, Ordering::Release);
        }
        assert_eq!(wrong, 0, "words out of order");
    };
    side_by_side(produce, consume)
}

/// Times how long a number takes to another core and back through one cache line each way, after `warm_up` times of
/// the same. Both do `pause` between two looks.
pub fn ping_pong(samples: u64, warm_up: u64, pause: impl Fn() + Sync) -> Histogram<u64> {
    let [there, back] = [const { CachePadded::new(AtomicU64::new(0)) }; 2];
    let (there, back, pause) = (&*there, &*back, &pause);
    let trips = warm_up + samples;
    let echo = move || {
        for number in 1..=trips {
            while there.load(Ordering::Acquire) != number {
                pause();
            }
            back.store(number, Ordering::Release);
        }
    };
    let mut times = nanoseconds();
    let time = || {
        for number in 1..=trips {
            let begun = Instant::now();
            there.store(number, Ordering::Release);
            while back.load(Ordering::Acquire) != number {
                pause();
            }
            let took = begun.elapsed();
            if number > warm_up {
                times.saturating_record(took.as_nanos() as u64);
            }
        }
    };
    side_by_side(echo, time);
    times
}

/// How many nanoseconds a number takes to another core and back: the median of the better of two ways to wait. None
/// where there is no other core.
pub fn core_distance() -> Option<f64> {
    const SAMPLES: u64 = 2000;
    const WARM_UP: u64 = 500;
    if cores().len() < 2 {
        return None;
    }
    let with_pause = ping_pong(SAMPLES, WARM_UP, spin_loop);
    let tight = ping_pong(SAMPLES, WARM_UP, || ());
    let median = |times: &Histogram<u64>| times.value_at_quantile(0.5) as f64;
    Some(median(&with_pause).min(median(&tight)))
}

/// How long `threads` threads take to add one to the same counter, `items` times in all.
pub fn add_together(items: u64, threads: usize) -> Duration {
    let counter = CachePadded::new(AtomicU64::new(0));
    let add = |nth| {
        for _ in share(items, nth, threads) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let members = (0..threads).map(|nth| Box::new(move || add(nth)) as Member<'_>);
    let took = crew(members.collect());
    assert_eq!(counter.load(Ordering::Relaxed), items, "additions got lost");
    took
}
