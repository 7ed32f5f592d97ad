//! For rings and channels with one end for each side: lines of three stages beside each other, to which jobs are dealt.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;
use disruptor::wait_strategies::WaitStrategy;
use disruptor::{Polling, Producer, build_single_producer};

use super::{expected, job, share, stage};
use crate::executors::Pipe;

/// Jobs on their way between two stages, at most: what ringmill has where nothing is said.
pub const CAPACITY: usize = 1024;

/// Both ends of a line. Putting a job in says whether the line is there, and so does taking one out.
pub struct Line<'a> {
    pub put: Box<dyn FnMut(u64) -> bool + Send + 'a>,
    pub take: Box<dyn FnMut() -> Option<u64> + 'a>,
}

/// Deals jobs to the lines in turn, and takes their results in the same turn, so in order.
pub fn through(items: u64, lines: Vec<Line<'_>>) -> Duration {
    let (mut puts, mut takes): (Vec<_>, Vec<_>) =
        lines.into_iter().map(|line| (line.put, line.take)).unzip();
    // A thread that ends drops its end, and who waits for it ends as well: nobody waits for ever.
    let (go, gone) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // So that all threads are there.
            let mut is_open = puts.iter_mut().all(|put| put(0)) && gone.recv().is_ok();
            let turns = (0..puts.len()).cycle();
            for (number, line) in (0..items).zip(turns) {
                is_open = is_open && puts[line](job(number));
            }
        });
        for take in &mut takes {
            assert_eq!(take(), Some(expected(0)), "the first job of a line");
        }
        let begun = Instant::now();
        go.send(()).expect("the feeder waits for it");
        let turns = (0..takes.len()).cycle();
        for (number, line) in (0..items).zip(turns) {
            assert_eq!(takes[line](), Some(expected(number)), "jobs out of order");
        }
        let took = begun.elapsed();
        drop(takes);
        took
    })
}

/// Lines of three threads each.
pub fn threads<P: Pipe<u64>>(items: u64, workers: usize) -> Duration {
    thread::scope(|scope| {
        let lines = (0..share(workers)).map(|_| {
            let (mut tx, mut last) = P::new(CAPACITY);
            for _ in 0..3 {
                let (mut next, rx) = P::new(CAPACITY);
                let mut from = std::mem::replace(&mut last, rx);
                scope.spawn(move || {
                    while let Some(value) = P::recv(&mut from) {
                        if !P::send(&mut next, stage(value)) {
                            return;
                        }
                    }
                });
            }
            Line {
                put: Box::new(move |value| P::send(&mut tx, value)),
                take: Box::new(move || P::recv(&mut last)),
            }
        });
        through(items, lines.collect())
    })
}

/// Lines of three tasks each. With their ends in other threads: those of the runtime must not block.
pub fn tokio(items: u64, workers: usize) -> Duration {
    use tokio::sync::mpsc::channel;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .build()
        .expect("a runtime");
    let lines = (0..share(workers)).map(|_| {
        let (tx, mut last) = channel(CAPACITY);
        for _ in 0..3 {
            let (next, rx) = channel(CAPACITY);
            let mut from = std::mem::replace(&mut last, rx);
            runtime.spawn(async move {
                while let Some(value) = from.recv().await {
                    if next.send(stage(value)).await.is_err() {
                        return;
                    }
                }
            });
        }
        Line {
            put: Box::new(move |value| tx.blocking_send(value).is_ok()),
            take: Box::new(move || last.blocking_recv()),
        }
    });
    through(items, lines.collect())
}

/// Lines of three managed threads each, and a poller behind the last. Stages share the slot and write into it.
pub fn disruptor<W: WaitStrategy + 'static>(items: u64, workers: usize, strategy: W) -> Duration {
    let step = |slot: &AtomicU64, _: i64, _: bool| slot.store(stage(slot.load(Relaxed)), Relaxed);
    let lines = (0..share(workers)).map(|_| {
        let (mut poller, builder) = build_single_producer(CAPACITY, || AtomicU64::new(0), strategy)
            .handle_events_with(step)
            .and_then()
            .handle_events_with(step)
            .and_then()
            .handle_events_with(step)
            .and_then()
            .new_event_poller();
        let mut tx = builder.build();
        let here = Arc::new(());
        let there = Arc::downgrade(&here);
        Line {
            // `publish` would spin, which does not help those who have no core.
            put: Box::new(move |value| {
                let pause = Backoff::new();
                while there.strong_count() > 0 {
                    if tx.try_publish(|slot| *slot.get_mut() = value).is_ok() {
                        return true;
                    }
                    pause.snooze();
                }
                false
            }),
            take: Box::new(move || {
                // It goes with this end, which tells the other one.
                debug_assert_eq!(Arc::strong_count(&here), 1, "one end");
                let pause = Backoff::new();
                loop {
                    match poller.take(1) {
                        Ok(mut slots) => return (&mut slots).next().map(|slot| slot.load(Relaxed)),
                        Err(Polling::NoEvents) => pause.snooze(),
                        Err(Polling::Shutdown) => return None,
                    }
                }
            }),
        }
    });
    through(items, lines.collect())
}
