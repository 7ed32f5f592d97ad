//! How many items a second go through a ring from one core to another?

use std::hint::spin_loop;
use std::time::Duration;

use crate::limits::stream_lines;
use crate::places::side_by_side;
use crate::protocol::Case;
use crate::queues::{
    ArrayQueue, ConcurrentQueue, CrossbeamChannel, CrossfireSpsc, Disruptor, Flume, Gil, Item,
    Kanal, Nexus, Omango, Queue, Ringbuf, Ringmill, Rtrb, StdMpsc, ThingBuf, Wide,
};

const GROUP: &str = "rings";
/// Items that go together where items go together.
const BATCH: u64 = 64;

/// How items go in and come out.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    OneByOne,
    Batches,
    PushOneDrainMany,
}

const MANNERS: [(Manner, &str); 3] = [
    (Manner::OneByOne, "one per call"),
    (Manner::Batches, "batch 64"),
    (Manner::PushOneDrainMany, "push one, drain many"),
];

pub fn cases() -> Vec<Case<'static>> {
    let mut cases = Vec::new();
    for capacity in [1024, 65536] {
        for manner in MANNERS {
            cases.push(case::<u64>("u64", manner, capacity));
            cases.push(case::<Wide>("64 bytes", manner, capacity));
        }
    }
    cases
}

fn case<T: Item>(item: &str, (manner, how): (Manner, &str), capacity: usize) -> Case<'static> {
    let knows_batches = Case::rate(GROUP, format!("{item}, {how}, {capacity}"))
        .subject("ringmill", move |items| {
            stream::<T, Ringmill>(items, manner, capacity)
        })
        .subject("rtrb", move |items| {
            stream::<T, Rtrb>(items, manner, capacity)
        })
        .subject("gil", move |items| {
            stream::<T, Gil>(items, manner, capacity)
        })
        .subject("ringbuf", move |items| {
            stream::<T, Ringbuf>(items, manner, capacity)
        })
        .subject("disruptor", move |items| {
            stream::<T, Disruptor>(items, manner, capacity)
        })
        .limit("streaming lines", move |items| {
            stream_lines(items, size_of::<T>(), capacity)
        });
    if manner != Manner::OneByOne {
        return knows_batches;
    }
    knows_batches
        .subject("nexus-queue", move |items| {
            stream::<T, Nexus>(items, manner, capacity)
        })
        .subject("omango", move |items| {
            stream::<T, Omango>(items, manner, capacity)
        })
        .subject("crossbeam-queue", move |items| {
            stream::<T, ArrayQueue>(items, manner, capacity)
        })
        .subject("concurrent-queue", move |items| {
            stream::<T, ConcurrentQueue>(items, manner, capacity)
        })
        .subject("thingbuf", move |items| {
            stream::<T, ThingBuf>(items, manner, capacity)
        })
        .subject("crossbeam-channel", move |items| {
            stream::<T, CrossbeamChannel>(items, manner, capacity)
        })
        .subject("crossfire", move |items| {
            stream::<T, CrossfireSpsc>(items, manner, capacity)
        })
        .subject("kanal", move |items| {
            stream::<T, Kanal>(items, manner, capacity)
        })
        .subject("flume", move |items| {
            stream::<T, Flume>(items, manner, capacity)
        })
        .subject("std mpsc", move |items| {
            stream::<T, StdMpsc>(items, manner, capacity)
        })
}

/// Sends the items `0..items` from one core to another; they come out in their order.
fn stream<T: Item, Q: Queue<T>>(items: u64, manner: Manner, capacity: usize) -> Duration {
    let (mut tx, mut rx) = Q::new(capacity);
    let produce = move || match manner {
        Manner::Batches => {
            let mut batch = 0..0;
            while batch.end < items || !batch.is_empty() {
                if batch.is_empty() {
                    batch = batch.end..items.min(batch.end + BATCH);
                }
                let before = batch.start;
                Q::push_some(&mut tx, &mut batch);
                if batch.start == before {
                    spin_loop();
                }
            }
        }
        Manner::OneByOne | Manner::PushOneDrainMany => {
            for number in 0..items {
                while !Q::try_push(&mut tx, T::new(number)) {
                    spin_loop();
                }
            }
        }
    };
    let consume = move || {
        // Any item out of its place leaves a bit.
        let (mut next, mut wrong) = (0, 0);
        let most = match manner {
            Manner::OneByOne => 1,
            Manner::Batches => BATCH as usize,
            Manner::PushOneDrainMany => capacity,
        };
        while next < items {
            let before = next;
            let mut each = |item: T| {
                wrong |= item.number() ^ next;
                next += 1;
            };
            if manner == Manner::OneByOne {
                if let Some(item) = Q::try_pop(&mut rx) {
                    each(item);
                }
            } else {
                Q::pop_some(&mut rx, most, each);
            }
            if next == before {
                spin_loop();
            }
        }
        assert_eq!(wrong, 0, "items out of order");
    };
    side_by_side(produce, consume)
}
