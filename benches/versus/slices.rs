//! One face for all who map slices with a thread for each core. Each starts its threads, is lent to a turn, and ends
//! them.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use paralight::threads::RangeStrategy;

use crate::loads::{Costs, Item};
use crate::places::cores;
use crate::protocol::Case;

/// What a turn has to do: batches of equal size, one after the other.
struct Turn {
    costs: Costs,
    items: u64,
    /// Items in a batch, at most.
    batch: usize,
}

impl Turn {
    /// Maps all batches; how long that takes. Each is looked at while the clock stands.
    fn run(&self, map: &mut dyn FnMut(&[Item]) -> Vec<u64>) -> Duration {
        let batch = self.costs.batch(self.batch.min(self.items as usize));
        let items = &*batch.items;
        // Threads are up, and in longer turns results have their memory, before the clock starts.
        let warm_up = items.len().min(self.items as usize / 8).max(1);
        assert_eq!(map(&items[..warm_up]), batch.results[..warm_up]);
        let rounds = (self.items / items.len() as u64).max(1);
        let mut took = Duration::ZERO;
        for _ in 0..rounds {
            let begun = Instant::now();
            let results = map(items);
            took += begun.elapsed();
            assert!(results == batch.results, "wrong results, or a wrong order");
        }
        batch.average(took / rounds as u32, self.items)
    }
}

/// All who map slices, in batches with so much work.
pub fn case(group: &'static str, name: String, costs: Costs, work_ns: u32) -> Case<'static> {
    let turn = move |run: fn(&Turn) -> Duration| {
        move |items| {
            run(&Turn {
                costs,
                items,
                batch: costs.items_in(work_ns),
            })
        }
    };
    Case::rate(group, name)
        .subject("ringmill", turn(ringmill))
        .subject("rayon", turn(rayon))
        .subject(
            "paralight fixed",
            turn(|turn| paralight(turn, RangeStrategy::Fixed)),
        )
        .subject(
            "paralight stealing",
            turn(|turn| paralight(turn, RangeStrategy::WorkStealing)),
        )
        .subject("orx-parallel", turn(orx_parallel))
        .subject("chili", turn(chili))
        .limit("sequential / cores", turn(sequential_by_cores))
}

/// A thread for each core, as a number that is not zero.
fn threads() -> NonZeroUsize {
    NonZeroUsize::new(cores().len()).unwrap_or(NonZeroUsize::MIN)
}

/// What perfect sharing would reach.
fn sequential_by_cores(turn: &Turn) -> Duration {
    turn.run(&mut |items| items.iter().map(|item| item.run()).collect()) / threads().get() as u32
}

fn ringmill(turn: &Turn) -> Duration {
    let pool = ringmill::Pool::builder()
        .start()
        .expect("a worker for each core");
    turn.run(&mut |items| pool.map(items, |item| item.run()))
}

/// Called from inside the pool, so that the caller works too; pieces of at least 20 µs, and where costs are uneven of at
/// most that, because stealing splits no piece that has begun.
fn rayon(turn: &Turn) -> Duration {
    use rayon::prelude::*;

    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads().get())
        .build()
        .expect("a worker for each core");
    let least = turn.costs.items_in(20_000);
    let most = if turn.costs.are_even() {
        usize::MAX
    } else {
        least
    };
    pool.install(|| {
        turn.run(&mut |items| {
            let items = items.par_iter().with_min_len(least).with_max_len(most);
            items.map(|item| item.run()).collect()
        })
    })
}

/// Its documentation recommends fixed shares for even costs, stealing for uneven ones, and pinning for machines with
/// nothing else to do.
fn paralight(turn: &Turn, range_strategy: RangeStrategy) -> Duration {
    use paralight::prelude::{
        CpuPinningPolicy, ExactParallelSourceExt as _, IntoExactParallelRefSource as _,
        ThreadCount, ThreadPoolBuilder,
    };

    let mut pool = ThreadPoolBuilder {
        num_threads: ThreadCount::Count(threads()),
        range_strategy,
        cpu_pinning: CpuPinningPolicy::IfSupported,
    }
    .build();
    turn.run(&mut |items| {
        let mapped = items.par_iter().map(|item| item.run());
        mapped.with_thread_pool(&mut pool).collect()
    })
}

/// The size of chunks is left to it, as its documentation recommends.
fn orx_parallel(turn: &Turn) -> Duration {
    use orx_parallel::{Par, Parallelizable, Pool, Runner};

    let pool = Pool::basic(threads().get());
    turn.run(&mut |items| {
        let items = items.par().runner(Runner::adaptive_with_pool(&pool));
        items.map(|item| item.run()).collect()
    })
}

fn chili(turn: &Turn) -> Duration {
    let pool = chili::ThreadPool::with_config(chili::Config {
        thread_count: Some(threads()),
        ..chili::Config::default()
    });
    let mut scope = pool.scope();
    let leaf = turn.costs.items_in(1000);
    turn.run(&mut |items| {
        let mut results = vec![0; items.len()];
        halve(&mut scope, items, &mut results, leaf);
        results
    })
}

/// Halves that may be taken by others, down to a leaf of about 1 µs. Each looks for a heartbeat: by default each 64th
/// does, which is for leaves of nanoseconds.
fn halve(scope: &mut chili::Scope<'_>, items: &[Item], results: &mut [u64], leaf: usize) {
    if items.len() <= leaf {
        for (result, item) in results.iter_mut().zip(items) {
            *result = item.run();
        }
        return;
    }
    let middle = items.len() / 2;
    let (first, last) = items.split_at(middle);
    let (first_results, last_results) = results.split_at_mut(middle);
    scope.join_with_heartbeat_every::<1, _, _, _, _>(
        |scope| halve(scope, first, first_results, leaf),
        |scope| halve(scope, last, last_results, leaf),
    );
}
