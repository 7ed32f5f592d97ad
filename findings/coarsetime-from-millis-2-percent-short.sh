#!/usr/bin/env bash
# Shows that a duration made from milliseconds is up to 2.4 % too short in a clock crate.
#
# Seen: crate coarsetime 0.1.38, 2026-11-29.
# Guess: Duration::from_millis(999) is 999 ms, to the resolution of the type (2^-32 s).
# Instead: from_millis takes a millisecond for 2^-10 s. It makes 975.585 ms of 999 ms, and 488 ms of 500 ms;
#   whole seconds are right, so 1,000 ms is longer than 999 ms by 24 ms. The conversion from std's Duration is right to a
#   nanosecond, but as_millis() rounds down, and so no whole millisecond below a second comes back as itself.
# Matters: coarse clocks are taken for deadlines and latency limits in pools. A timeout of 500 ms ends 12 ms early, one of
#   1 ms has 0 whole milliseconds, and a test with whole seconds sees nothing of it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seen=$(
    rust 'coarsetime = "=0.1.38"' <<'RS'
use coarsetime::Duration;
fn main() {
    for ms in [1, 10, 500, 999, 1000, 1999] {
        let direct = Duration::from_millis(ms);
        let through_std: Duration = std::time::Duration::from_millis(ms).into();
        println!("{ms} ms: from_millis {} us, from std's Duration {} us", direct.as_micros(), through_std.as_micros());
    }
    let same = (1..10_000).filter(|&ms| Duration::from_millis(ms).as_millis() == ms).count();
    println!("1 to 9999 ms: {same} come back from as_millis() as they were");
}
RS
)
expect "$seen" <<'STATED'
1 ms: from_millis 976 us, from std's Duration 999 us
10 ms: from_millis 9765 us, from std's Duration 9999 us
500 ms: from_millis 488281 us, from std's Duration 500000 us
999 ms: from_millis 975585 us, from std's Duration 998999 us
1000 ms: from_millis 1000000 us, from std's Duration 1000000 us
1999 ms: from_millis 1975585 us, from std's Duration 1998999 us
1 to 9999 ms: 9 come back from as_millis() as they were
STATED
