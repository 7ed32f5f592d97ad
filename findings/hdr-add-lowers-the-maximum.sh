#!/usr/bin/env bash
# Shows that adding a coarse histogram to an empty fine one lowers the maximum below the value that was recorded.
#
# Seen: crate hdrhistogram 7.6.0, PyPI hdrhistogram 0.10.8, npm hdr-histogram-js 3.0.1, 2026-11-29.
# Guess: a maximum covers the recorded values, and more significant digits in the sum cannot make it worse.
# Instead: add() records the lower end of each of the other histogram's buckets. 1,000,000 recorded with one digit has the
#   maximum 1,015,807 in Rust and Python (the bucket's upper end) and 1,000,000 in JavaScript. Added to an empty histogram
#   with three digits, the maximum is 983,551 in Rust and Python, 983,040 in JavaScript, and 1.6 % below the value.
#   In JavaScript the 100th percentile of the sum (983,551) is then above the maximum.
# Matters: workers that keep coarse histograms to save memory, summed into a fine one, report a worst latency that is
#   too good, with three digits that look exact. Sum at the coarsest precision of all, or keep the maximum beside it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages hdr-histogram-js@3.0.1
cat >finding.mjs <<'JS'
import * as hdr from 'hdr-histogram-js';
const make = digits => hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 10_000_000, numberOfSignificantValueDigits: digits });
const [coarse, fine] = [make(1), make(3)];
coarse.recordValue(1_000_000);
fine.add(coarse);
console.log(`JavaScript: coarse max ${coarse.maxValue}, sum max ${fine.maxValue}, 100th percentile ${fine.getValueAtPercentile(100)}`);
JS
seen=$(
    rust 'hdrhistogram = { version = "=7.6.0", default-features = false }' <<'RS'
use hdrhistogram::Histogram;
fn main() {
    let make = |digits| Histogram::<u64>::new_with_bounds(1, 10_000_000, digits).unwrap();
    let (mut coarse, mut fine) = (make(1), make(3));
    coarse.record(1_000_000).unwrap();
    fine.add(&coarse).unwrap();
    println!("Rust: coarse max {}, sum max {}, 100th percentile {}", coarse.max(), fine.max(), fine.value_at_quantile(1.0));
}
RS
    python hdrhistogram==0.10.8 <<'PY'
from hdrh.histogram import HdrHistogram
coarse, fine = (HdrHistogram(1, 10_000_000, digits) for digits in (1, 3))
coarse.record_value(1_000_000)
fine.add(coarse)
print(f"Python: coarse max {coarse.get_max_value()}, sum max {fine.get_max_value()}, 100th percentile {fine.get_value_at_percentile(100)}")
PY
    node finding.mjs
)
expect "$seen" <<'STATED'
Rust: coarse max 1015807, sum max 983551, 100th percentile 983551
Python: coarse max 1015807, sum max 983551, 100th percentile 983551
JavaScript: coarse max 1000000, sum max 983040, 100th percentile 983551
STATED
