#!/usr/bin/env bash
# Shows that a parallel generator reads its whole input while its consumer rests, and on a thread that is not the caller's.
#
# Seen: PyPI joblib 1.6.0, backends threading and loky, 2026-11-29.
# Guess: with return_as="generator" and pre_dispatch=4 at most a few jobs are taken from the input ahead of the consumer,
#   and the input runs on the thread that asks for the results.
# Instead: pre_dispatch limits the jobs that are not finished, not the results that nobody has fetched. After one
#   next() all 1,000 jobs have been taken and run, and 999 results wait in memory. Only the first 4 jobs are taken on
#   the caller's thread; each later one is taken by the thread that receives the results, so the input generator changes
#   its thread on the way.
# Matters: a limit on running jobs is no backpressure; a pool with an ordered output needs a window over both. And an
#   input that uses thread-local state, such as a database connection of sqlite3, fails in the middle of the run.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seen=$(
    python joblib==1.6.0 <<'PY'
import threading
import time
from joblib import Parallel, delayed

pulled = []

def jobs():
    for i in range(1000):
        pulled.append(threading.current_thread() is threading.main_thread())
        yield delayed(abs)(i)

for backend in ("threading", "loky"):
    pulled.clear()
    results = Parallel(n_jobs=2, backend=backend, return_as="generator", pre_dispatch=4, batch_size=1)(jobs())
    next(results)
    limit = time.monotonic() + 60
    while len(pulled) < 1000 and time.monotonic() < limit:
        time.sleep(0.1)
    print(f"{backend}: {len(pulled)} jobs taken after one result was asked for, {sum(pulled)} of them on the caller's thread")
    print(f"  results still to come: {sum(1 for _ in results)}")
PY
)
expect "$seen" <<'STATED'
threading: 1000 jobs taken after one result was asked for, 4 of them on the caller's thread
  results still to come: 999
loky: 1000 jobs taken after one result was asked for, 4 of them on the caller's thread
  results still to come: 999
STATED
