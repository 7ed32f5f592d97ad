//! How many items a second go through a queue that several threads push into and pop from?
//!
//! Who finds no room, or nothing, spins a little and then lets others run: with four threads at each end there are more
//! threads than cores on most machines. Channels whose own blocking calls are better than that wait in those.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_utils::Backoff;

use crate::limits::add_together;
use crate::places::{Member, crew, share};
use crate::protocol::Case;
use crate::queues::{
    ArrayQueue, AsyncChannel, ConcurrentQueue, CrossbeamChannel, CrossfireMpmc, DisruptorMulti,
    Flume, GilMpmc, GilSharded, Kanal, NexusMpsc, NexusSpmc, RingmillMpmc, Shared, ThingBuf,
};

const GROUP: &str = "mpmc";
const CAPACITY: usize = 1024;
/// Items that go together where items go together.
const BATCH: u64 = 64;
/// An item's number says who pushed it, and as which one, in so many bits.
const COUNT_BITS: u32 = 48;

pub fn cases() -> Vec<Case<'static>> {
    let mut cases = Vec::new();
    for batch in [1, BATCH] {
        for threads in [1, 2, 4] {
            cases.push(case(threads, batch));
        }
    }
    cases
}

/// With so many threads at each end. Who knows no batches pushes and pops one per call in any case.
fn case(threads: usize, batch: u64) -> Case<'static> {
    let how = if batch == 1 {
        "one per call".into()
    } else {
        format!("batch {batch}")
    };
    let case = Case::rate(GROUP, format!("{threads}P{threads}C, {how}"))
        .subject("ringmill", move |items| {
            exchange::<RingmillMpmc>(items, threads, batch)
        })
        .subject("gil", move |items| {
            exchange::<GilMpmc>(items, threads, batch)
        })
        .subject("gil sharded", move |items| {
            exchange::<GilSharded>(items, threads, batch)
        })
        .subject("crossbeam-queue", move |items| {
            exchange::<ArrayQueue>(items, threads, batch)
        })
        // Its iterator is no batch: it pops one at a time.
        .subject("concurrent-queue", move |items| {
            exchange::<ConcurrentQueue>(items, threads, batch)
        })
        .subject("thingbuf", move |items| {
            exchange::<ThingBuf>(items, threads, batch)
        })
        .subject("crossbeam-channel", move |items| {
            exchange::<CrossbeamChannel>(items, threads, batch)
        })
        .subject("crossfire", move |items| {
            exchange::<CrossfireMpmc>(items, threads, batch)
        })
        .subject("kanal", move |items| {
            exchange::<Kanal>(items, threads, batch)
        })
        .subject("flume", move |items| {
            exchange::<Flume>(items, threads, batch)
        })
        .subject("async-channel", move |items| {
            exchange::<AsyncChannel>(items, threads, batch)
        });
    let case = if batch == 1 {
        case.limit("adding to one counter", move |items| {
            add_together(items, threads)
        })
    } else {
        case
    };
    match (threads, batch) {
        // One end of each of these cannot be shared.
        (1, 1) => case
            .subject("nexus-queue mpsc", move |items| {
                exchange::<NexusMpsc>(items, threads, batch)
            })
            .subject("nexus-queue spmc", move |items| {
                exchange::<NexusSpmc>(items, threads, batch)
            }),
        // Its consumers do not share items out: each sees all. It is made for batches.
        (1, _) => case.subject("disruptor (one consumer)", move |items| {
            exchange::<DisruptorMulti>(items, threads, batch)
        }),
        _ => case,
    }
}

/// What the threads of one run know of each other.
struct Run {
    items: u64,
    threads: usize,
    batch: u64,
    popped: AtomicU64,
    sum: AtomicU64,
    failed: AtomicBool,
}

/// Says to the others that its thread panicked.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Sends `items` items from `threads` threads to as many others.
fn exchange<Q: Shared<u64>>(items: u64, threads: usize, batch: u64) -> Duration {
    let (txs, rxs) = Q::ends(CAPACITY, [threads; 2]);
    let run = Run {
        items,
        threads,
        batch,
        popped: AtomicU64::new(0),
        sum: AtomicU64::new(0),
        failed: AtomicBool::new(false),
    };
    let run = &run;
    let consumers = rxs
        .into_iter()
        .map(|rx| Box::new(move || run.consume::<Q>(rx)) as Member<'_>);
    let producers = txs
        .into_iter()
        .enumerate()
        .map(|(nth, tx)| Box::new(move || run.produce::<Q>(nth, tx)) as Member<'_>);
    let took = crew(consumers.chain(producers).collect());
    let pushed = (0..threads)
        .flat_map(|nth| run.numbers(nth))
        .fold(0, u64::wrapping_add);
    assert_eq!(run.popped.load(Ordering::Relaxed), items, "items got lost");
    assert_eq!(run.sum.load(Ordering::Relaxed), pushed, "wrong items");
    took
}

impl Run {
    /// The numbers of the `nth` producer's items.
    fn numbers(&self, nth: usize) -> std::ops::Range<u64> {
        let base = (nth as u64) << COUNT_BITS;
        let share = share(self.items, nth, self.threads);
        base..base + share.end - share.start
    }

    fn produce<Q: Shared<u64>>(&self, nth: usize, mut tx: Q::Tx) {
        let _alarm = Alarm(&self.failed);
        let mut numbers = self.numbers(nth);
        while !numbers.is_empty() {
            let mut batch = numbers.start..numbers.end.min(numbers.start + self.batch);
            numbers.start = batch.end;
            let backoff = Backoff::new();
            while !batch.is_empty() {
                let before = batch.start;
                Q::push(&mut tx, self.batch as usize, &mut batch);
                if batch.start == before {
                    assert!(!Q::WAITS, "all consumers are gone");
                    self.wait(&backoff);
                }
            }
        }
    }

    fn consume<Q: Shared<u64>>(&self, mut rx: Q::Rx) {
        let _alarm = Alarm(&self.failed);
        // Of each producer, the first number that may still come.
        let mut next = vec![0; self.threads];
        let (mut sum, mut some, mut late) = (0_u64, 0, false);
        let mut each = |number: u64| {
            let [from, count] = [number >> COUNT_BITS, number & ((1 << COUNT_BITS) - 1)];
            late |= count < next[from as usize];
            next[from as usize] = count + 1;
            sum = sum.wrapping_add(number);
        };
        let backoff = Backoff::new();
        loop {
            let popped = Q::pop(&mut rx, self.batch as usize, &mut each) as u64;
            some += popped;
            if popped > 0 {
                backoff.reset();
            } else if Q::WAITS || self.is_over(&backoff, &mut some) {
                break;
            }
        }
        assert!(!late, "items of one producer out of order");
        self.popped.fetch_add(some, Ordering::Relaxed);
        self.sum.fetch_add(sum, Ordering::Relaxed);
    }

    /// Lets others run; whoever waits for long looks whether it makes sense.
    fn wait(&self, backoff: &Backoff) {
        if backoff.is_completed() {
            let failed = self.failed.load(Ordering::Relaxed);
            assert!(!failed, "another thread panicked");
        }
        backoff.snooze();
    }

    /// Whether all items were popped, by any consumer. Whoever waits for long says how many `some` were its own.
    fn is_over(&self, backoff: &Backoff, some: &mut u64) -> bool {
        if backoff.is_completed() {
            self.popped
                .fetch_add(std::mem::take(some), Ordering::Relaxed);
            if self.popped.load(Ordering::Relaxed) == self.items {
                return true;
            }
        }
        self.wait(backoff);
        false
    }
}
