#!/usr/bin/env bash
# Shows that the first percentile of the values 1 and 10 is a negative number in a t-digest package.
#
# Seen: PyPI tdigest 0.5.2.2, beside npm tdigest 0.1.3 and the crate tdigest 1.0.1, 2026-11-29.
# Guess: a percentile never falls as its rank grows and never leaves the range of the values.
# Instead: the Python package returns the minimum for rank 0, and below the middle of the first centroid it prolongs the
#   line to the second one without a limit. The values 1 and 10 give 1 at rank 0, -3.32 at rank 1 and -1.7 at rank 10.
#   The upper end is cut off. The npm package and the crate stay inside the range at both ends.
# Matters: a report of the latencies of few jobs shows a time below zero, and a logarithmic axis or a check that
#   percentiles rise fails far from the cause.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seen=$(
    python tdigest==0.5.2.2 <<'PY'
from tdigest import TDigest
for values in ([1, 10], [1, 2, 1000]):
    digest = TDigest()
    digest.batch_update(values)
    print("python", values, [round(digest.percentile(p), 3) for p in (0, 1, 10, 50, 99, 100)])
PY
    packages tdigest@0.1.3
    cat >finding.mjs <<'JS'
import tdigest from 'tdigest';
for (const values of [[1, 10], [1, 2, 1000]]) {
    const digest = new tdigest.TDigest();
    for (const value of values) digest.push(value);
    console.log('npm', JSON.stringify(values), JSON.stringify([0, 1, 10, 50, 99, 100].map(p => digest.percentile(p / 100))));
}
JS
    node finding.mjs
    rust 'tdigest = "=1.0.1"' <<'RS'
fn main() {
    for values in [vec![1.0, 10.0], vec![1.0, 2.0, 1000.0]] {
        let digest = tdigest::TDigest::new_with_size(100).merge_unsorted(values.clone());
        let found = [0.0, 0.01, 0.1, 0.5, 0.99, 1.0].map(|q| digest.estimate_quantile(q).unwrap());
        println!("crate {values:?} {found:?}");
    }
}
RS
)
expect "$seen" <<'STATED'
python [1, 10] [1.0, -3.32, -1.7, 5.5, 10.0, 10.0]
python [1, 2, 1000] [1.0, 0.53, 0.8, 2.0, 1000.0, 1000.0]
npm [1,10] [1,1,1,5.5,10,10]
npm [1,2,1000] [1,1,1,2,1000,1000]
crate [1.0, 10.0] [1.0, 1.0, 1.0, 5.5, 10.0, 10.0]
crate [1.0, 2.0, 1000.0] [1.0, 1.0, 1.0, 2.0, 1000.0, 1000.0]
STATED
