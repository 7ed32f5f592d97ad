#!/usr/bin/env bash
# Shows that an empty ring of 6 bytes can refuse a block of 4 bytes, however often it is asked, in a ring crate for blocks.
#
# Seen: crate bbqueue 0.7.0, 2026-11-29.
# Guess: an empty ring grants its whole capacity in one piece. A new one does, and nothing prevents a start from the front.
# Instead: emptying moves neither end. Behind the position where the ring ran empty only the rest of the buffer counts,
#   or what lies before it less one byte. An empty ring of 6 bytes grants 6, 5, 4, 3, 4, 5 or 5 bytes at most,
#   by that position. capacity() says 6 each time, and waiting does not help: no reader can free anything.
# Matters: a producer that waits for room for a block of more than half the capacity can wait forever on an empty ring.
#   Rings for blocks need twice the largest block, and a test that begins with a new ring each time does not notice.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seen=$(
    rust 'bbqueue = "=0.7.0"' <<'RS'
use bbqueue::nicknames::Churrasco;

fn main() {
    for position in 0..=6 {
        let ring: Churrasco<6> = Churrasco::new();
        let (producer, consumer) = (ring.stream_producer(), ring.stream_consumer());
        if position > 0 {
            producer.grant_exact(position).unwrap().commit(position);
            consumer.read().unwrap().release(position);
        }
        assert!(consumer.read().is_err(), "the ring is empty");
        let most = (0..=6).rev().find(|&n| producer.grant_exact(n).is_ok()).unwrap();
        println!("empty at {position}, capacity {}: at most {most}", ring.capacity());
    }
}
RS
)
expect "$seen" <<'STATED'
empty at 0, capacity 6: at most 6
empty at 1, capacity 6: at most 5
empty at 2, capacity 6: at most 4
empty at 3, capacity 6: at most 3
empty at 4, capacity 6: at most 3
empty at 5, capacity 6: at most 4
empty at 6, capacity 6: at most 5
STATED
