//! How much slower is a ring whose handles stand next to each other in memory?
//!
//! The threads at both ends of a ring use their handles where they stand. What a handle keeps for its own thread, such
//! as the position where it last saw the other end, is written all the time; where the other thread's handle is in the
//! same cache line, both threads wait for that line.

use std::hint::{black_box, spin_loop};
use std::time::Duration;

use crate::places::side_by_side;
use crate::protocol::{Better, Case};
use crate::queues::{
    ArrayQueue, CrossbeamChannel, CrossfireMpmc, Gil, GilMpmc, GilSharded, Kanal, Nexus, NexusMpsc,
    NexusSpmc, Omango, Queue, Ringbuf, Ringmill, RingmillMpmc, Rtrb,
};

const GROUP: &str = "adjacent";
const CAPACITY: usize = 1024;
const ITEMS: u64 = 1 << 21;
const TURNS: u64 = 8;
/// How many times slower.
const UNIT: (&str, Better) = ("x", Better::Lower);

pub fn cases() -> Vec<Case<'static>> {
    vec![
        Case::figure(GROUP, "handles side by side", UNIT, ITEMS)
            .subject("ringmill", slowdown::<Ringmill>)
            .subject("rtrb", slowdown::<Rtrb>)
            .subject("gil", slowdown::<Gil>)
            .subject("nexus-queue", slowdown::<Nexus>)
            .subject("ringbuf", slowdown::<Ringbuf>)
            .subject("omango", slowdown::<Omango>),
        Case::figure(GROUP, "shared ends side by side", UNIT, ITEMS)
            .subject("ringmill", slowdown::<RingmillMpmc>)
            .subject("gil", slowdown::<GilMpmc>)
            .subject("gil sharded", slowdown::<GilSharded>)
            .subject("nexus-queue mpsc", slowdown::<NexusMpsc>)
            .subject("nexus-queue spmc", slowdown::<NexusSpmc>)
            .subject("crossbeam-queue", slowdown::<ArrayQueue>)
            .subject("crossbeam-channel", slowdown::<CrossbeamChannel>)
            .subject("crossfire", slowdown::<CrossfireMpmc>)
            .subject("kanal", slowdown::<Kanal>),
    ]
}

/// Two handles in a row, from the beginning of a cache line on.
#[repr(C, align(64))]
struct Adjacent<Tx, Rx> {
    tx: Tx,
    rx: Rx,
}

/// A handle that has its cache lines, and those around them, for itself.
#[repr(align(256))]
struct Alone<Handle>(Handle);

/// How many times longer items take if the handles are adjacent. Both ways take turns, and the shortest turn of each
/// counts: whatever else runs on the machine only makes turns longer.
fn slowdown<Q: Queue<u64>>(items: u64) -> f64 {
    let turn = items.div_ceil(TURNS);
    let turns = (0..TURNS).map(|_| [adjacent::<Q>(turn), apart::<Q>(turn)]);
    let shortest =
        turns.reduce(|[adjacent, apart], next| [adjacent.min(next[0]), apart.min(next[1])]);
    let [adjacent, apart] = shortest
        .expect("there are turns")
        .map(|took| took.as_secs_f64());
    adjacent / apart
}

fn adjacent<Q: Queue<u64>>(items: u64) -> Duration {
    let (tx, rx) = Q::new(CAPACITY);
    let mut both = Box::new(Adjacent { tx, rx });
    let Adjacent { tx, rx } = &mut *both;
    stream::<Q>(items, tx, rx)
}

fn apart<Q: Queue<u64>>(items: u64) -> Duration {
    let (tx, rx) = Q::new(CAPACITY);
    let (mut tx, mut rx) = (Box::new(Alone(tx)), Box::new(Alone(rx)));
    stream::<Q>(items, &mut tx.0, &mut rx.0)
}

/// Sends the items `0..items` from one core to another, one per call; they come out in their order. The handles are
/// used through references that the compiler cannot see through, as they are where they are parts of something larger.
fn stream<Q: Queue<u64>>(items: u64, tx: &mut Q::Tx, rx: &mut Q::Rx) -> Duration {
    let produce = move || {
        for number in 0..items {
            while !Q::try_push(black_box(&mut *tx), number) {
                spin_loop();
            }
        }
    };
    let consume = move || {
        // Any item out of its place leaves a bit.
        let (mut next, mut wrong) = (0, 0);
        while next < items {
            if let Some(number) = Q::try_pop(black_box(&mut *rx)) {
                wrong |= number ^ next;
                next += 1;
            } else {
                spin_loop();
            }
        }
        assert_eq!(wrong, 0, "items out of order");
    };
    side_by_side(produce, consume)
}
