//! How long is an item on its way to another core and back, through two rings?
//!
//! One item is on its way at a time. The clock is read before each round trip and after it, so that each sample holds
//! the cost of one reading; the limits' samples hold it too.

use std::hint::spin_loop;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::limits::ping_pong;
use crate::places::side_by_side;
use crate::protocol::{Case, nanoseconds};
use crate::queues::{
    ArrayQueue, ConcurrentQueue, CrossbeamChannel, CrossfireMpmc, CrossfireSpsc, Disruptor, Flume,
    Gil, GilMpmc, Item, Kanal, Nexus, Omango, Queue, Ringbuf, Ringmill, RingmillMpmc, Rtrb,
    StdMpsc, ThingBuf, Wide,
};

const GROUP: &str = "rtt";
const CAPACITY: usize = 1024;
/// Round trips before the first sample.
const WARM_UP: u64 = 1000;

pub fn cases() -> Vec<Case<'static>> {
    vec![
        single_ends::<u64>("u64, capacity 1024"),
        single_ends::<Wide>("64 bytes, capacity 1024"),
        shared_ends::<u64>("u64, capacity 1024, ends can be shared"),
    ]
}

/// Each with the fewest ends that it is made for.
fn single_ends<T: Item>(name: &'static str) -> Case<'static> {
    with_limits(
        Case::latency(GROUP, name)
            .subject("ringmill", round_trips::<T, Ringmill>)
            .subject("omango", round_trips::<T, Omango>)
            .subject("gil", round_trips::<T, Gil>)
            .subject("nexus-queue", round_trips::<T, Nexus>)
            .subject("rtrb", round_trips::<T, Rtrb>)
            .subject("ringbuf", round_trips::<T, Ringbuf>)
            .subject("disruptor", round_trips::<T, Disruptor>)
            .subject("crossbeam-queue", round_trips::<T, ArrayQueue>)
            .subject("crossbeam-channel", round_trips::<T, CrossbeamChannel>)
            .subject("crossfire", round_trips::<T, CrossfireSpsc>)
            .subject("concurrent-queue", round_trips::<T, ConcurrentQueue>)
            .subject("kanal", round_trips::<T, Kanal>)
            .subject("flume", round_trips::<T, Flume>)
            .subject("std mpsc", round_trips::<T, StdMpsc>)
            .subject("thingbuf", round_trips::<T, ThingBuf>),
    )
}

/// Those that let any number of threads in at both ends.
fn shared_ends<T: Item>(name: &'static str) -> Case<'static> {
    with_limits(
        Case::latency(GROUP, name)
            .subject("ringmill", round_trips::<T, RingmillMpmc>)
            .subject("gil", round_trips::<T, GilMpmc>)
            .subject("crossbeam-queue", round_trips::<T, ArrayQueue>)
            .subject("crossbeam-channel", round_trips::<T, CrossbeamChannel>)
            .subject("crossfire", round_trips::<T, CrossfireMpmc>)
            .subject("concurrent-queue", round_trips::<T, ConcurrentQueue>)
            .subject("kanal", round_trips::<T, Kanal>)
            .subject("flume", round_trips::<T, Flume>)
            .subject("thingbuf", round_trips::<T, ThingBuf>),
    )
}

/// Waiting without a pause sees a change sooner, waiting with one leaves the line to the other core.
fn with_limits(case: Case<'static>) -> Case<'static> {
    case.limit("two lines, tight", |samples| {
        ping_pong(samples, WARM_UP, || ())
    })
    .limit("two lines, pause", |samples| {
        ping_pong(samples, WARM_UP, spin_loop)
    })
}

/// Sends items out through one ring; another core sends them back through a second one.
fn round_trips<T: Item, Q: Queue<T>>(samples: u64) -> Histogram<u64> {
    let (mut out, mut echo_rx) = Q::new(CAPACITY);
    let (mut echo_tx, mut back) = Q::new(CAPACITY);
    let trips = WARM_UP + samples;
    let echo = move || {
        for _ in 0..trips {
            let item = wait_for::<T, Q>(&mut echo_rx);
            push::<T, Q>(&mut echo_tx, item);
        }
    };
    let mut times = nanoseconds();
    let time = || {
        // Any wrong item leaves a bit.
        let mut wrong = 0;
        for number in 0..trips {
            let begun = Instant::now();
            push::<T, Q>(&mut out, T::new(number));
            let item = wait_for::<T, Q>(&mut back);
            let took = begun.elapsed();
            wrong |= item.number() ^ number;
            if number >= WARM_UP {
                times.saturating_record(took.as_nanos() as u64);
            }
        }
        assert_eq!(wrong, 0, "wrong items came back");
    };
    side_by_side(echo, time);
    times
}

/// There is always room for one item, but some say no for a moment while the other end gives a slot back.
#[inline]
fn push<T: Item, Q: Queue<T>>(tx: &mut Q::Tx, item: T) {
    while !Q::try_push(tx, item) {
        spin_loop();
    }
}

#[inline]
fn wait_for<T: Item, Q: Queue<T>>(rx: &mut Q::Rx) -> T {
    loop {
        if let Some(item) = Q::try_pop(rx) {
            return item;
        }
        spin_loop();
    }
}
