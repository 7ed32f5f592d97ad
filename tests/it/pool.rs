//! Pools: batches over borrowed data, nested, with panics.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Instant;

use crate::common::within;
use ringmill::stage::map;
use ringmill::{BuildError, Idle, Instances, Pin, Pipeline, Pool};

fn pools() -> impl Iterator<Item = Pool> {
    let idles = [Idle::backoff(), Idle::parking(), Idle::yielding()];
    idles.into_iter().flat_map(|idle| {
        let pool = move |workers| Pool::builder().workers(workers).idle(idle.clone()).start();
        [1, 2, 3, 8].map(move |workers| pool(workers).unwrap())
    })
}

#[test]
fn f_11_map_keeps_order_and_runs_each_item_once() {
    for pool in pools() {
        for len in [0, 1, 2, 3, 100, 10_000] {
            let items: Vec<usize> = (0..len).collect();
            let calls = AtomicUsize::new(0);
            let doubled = pool.map(&items, |item| {
                calls.fetch_add(1, Ordering::Relaxed);
                item * 2
            });
            assert!(doubled.iter().copied().eq((0..len).map(|item| item * 2)));
            assert_eq!(calls.into_inner(), len);
        }
    }
}

#[test]
fn f_11_for_each_mut_touches_each_item_once() {
    for pool in pools() {
        let mut items = vec![0_u32; 12_345];
        pool.for_each_mut(&mut items, |piece| {
            piece.iter_mut().for_each(|item| *item += 1)
        });
        assert!(items.iter().all(|&item| item == 1));
        pool.for_each_mut(&mut [] as &mut [u8], |_| {
            unreachable!("no items, no pieces")
        });
    }
}

#[test]
fn f_11_batches_nest() {
    for pool in pools() {
        let rows: Vec<u64> = (0..20).collect();
        let sums = pool.map(&rows, |&row| {
            let cells: Vec<u64> = (0..50).collect();
            let squares = pool.map(&cells, |&cell| {
                let mut grains = [row; 8];
                pool.for_each_mut(&mut grains, |piece| {
                    piece.iter_mut().for_each(|g| *g += cell)
                });
                grains.iter().sum::<u64>()
            });
            squares.into_iter().sum::<u64>()
        });
        let cells: u64 = (0..50).sum();
        assert!(
            sums.iter()
                .zip(&rows)
                .all(|(&sum, &row)| sum == 8 * (50 * row + cells))
        );
    }
}

#[test]
fn f_11_scope_runs_all_tasks_which_borrow_and_spawn() {
    for pool in pools() {
        let done = AtomicUsize::new(0);
        let last = pool.scope(|scope| {
            for _ in 0..1000 {
                scope.spawn(|| {
                    done.fetch_add(1, Ordering::Relaxed);
                    scope.spawn(|| {
                        done.fetch_add(1, Ordering::Relaxed);
                    });
                });
            }
            "last"
        });
        assert_eq!((last, done.into_inner()), ("last", 2000));
    }
}

/// More threads than there are cores, too.
#[test]
fn a_batch_is_shared_by_all_workers() {
    for workers in [3, 16, 64] {
        within(move || {
            let pool = Pool::builder().workers(workers).start().unwrap();
            // Each item waits for the others, so that each thread must have one.
            let all = Barrier::new(workers);
            let threads = pool.map(&vec![(); workers], |()| {
                all.wait();
                thread::current().id()
            });
            let threads: HashSet<_> = threads.into_iter().collect();
            assert_eq!(threads.len(), workers);
        });
    }
}

#[test]
fn each_helper_is_home_to_one_duty() {
    let pool = Pool::builder().workers(17).start().unwrap();
    let workers = pool.placement().workers;
    let duties: Vec<_> = workers.iter().map(|worker| &worker.duties[..]).collect();
    let expected: Vec<_> = (0..16).map(|nth| [format!("help/{nth}")]).collect();
    assert_eq!(duties, expected);
}

#[test]
fn a_scope_helps_while_its_body_waits() {
    within(|| {
        let pool = Pool::builder().workers(2).start().unwrap();
        for _ in 0..200 {
            let meet = Barrier::new(2);
            pool.scope(|scope| {
                scope.spawn(|| {
                    meet.wait();
                });
                meet.wait();
            });
        }
    });
}

/// Counts how many of its kind there are.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(alive: &'a AtomicUsize) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(alive)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_panic_costs_one_item_and_goes_on_at_the_end() {
    for pool in pools() {
        let alive = AtomicUsize::new(0);
        let calls = AtomicUsize::new(0);
        let items: Vec<usize> = (0..500).collect();
        let map = || {
            pool.map(&items, |&item| {
                calls.fetch_add(1, Ordering::Relaxed);
                assert_ne!(item, 250, "item 250");
                Counted::new(&alive)
            })
        };
        let payload = catch_unwind(AssertUnwindSafe(map))
            .err()
            .expect("it panics");
        let message = payload.downcast_ref::<String>().expect("a message");
        assert!(message.contains("item 250"), "{message}");
        assert_eq!(calls.into_inner(), 500);
        assert_eq!(alive.into_inner(), 0, "results of a failed map are dropped");
    }
}

/// Panics without a message on the screen.
fn panic_quietly() -> ! {
    resume_unwind(Box::new(()))
}

#[test]
fn results_beside_many_panics_are_dropped_once() {
    for pool in pools() {
        let alive = AtomicUsize::new(0);
        let items: Vec<usize> = (0..3000).collect();
        let map = || {
            pool.map(&items, |item| {
                if item % 3 == 0 {
                    panic_quietly();
                }
                Counted::new(&alive)
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(map)).is_err());
        assert_eq!(alive.into_inner(), 0);
    }
}

/// Not in proportion to their square: that took 20 times as long as the panics alone.
#[test]
fn many_panics_take_time_in_proportion() {
    within(|| {
        let items = vec![(); 100_000];
        let begun = Instant::now();
        for () in &items {
            catch_unwind(|| panic_quietly()).unwrap_err();
        }
        let alone = begun.elapsed();
        let pool = Pool::builder().workers(1).start().unwrap();
        let begun = Instant::now();
        let map = || pool.map(&items, |()| panic_quietly());
        catch_unwind(AssertUnwindSafe(map)).unwrap_err();
        let took = begun.elapsed();
        assert!(took < 6 * alone, "{took:?}, and {alone:?} for the panics");
    });
}

#[test]
fn a_panic_in_a_task_goes_on_when_all_are_done() {
    for pool in pools() {
        let done = AtomicUsize::new(0);
        let scope = || {
            pool.scope(|scope| {
                for task in 0..100 {
                    let done = &done;
                    scope.spawn(move || {
                        assert_ne!(task, 50);
                        done.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        };
        catch_unwind(AssertUnwindSafe(scope)).expect_err("it panics");
        assert_eq!(done.into_inner(), 99);
    }
}

#[test]
fn f_11_many_callers_share_a_pool() {
    for pool in pools() {
        thread::scope(|scope| {
            for caller in 0..4_usize {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..50 {
                        let sum: usize = pool.map(&[caller; 100], |c| c + round).into_iter().sum();
                        assert_eq!(sum, 100 * (caller + round));
                    }
                });
            }
        });
    }
}

#[test]
fn g_5_zero_workers_are_refused() {
    let refused = Pool::builder().workers(0).start().unwrap_err();
    assert!(matches!(refused, BuildError::ZeroWorkers));
}

#[test]
fn more_workers_than_there_can_be_are_refused_before_any_is_made() {
    for workers in [8193, 80_000, usize::MAX] {
        let pool = Pool::builder()
            .workers(workers)
            .on_spawn(|_| unreachable!("no thread"));
        let refused = within(|| pool.start().unwrap_err());
        let expected = format!("{workers} workers; there can be at most 8192");
        assert_eq!(refused.to_string(), expected);
        assert!(matches!(
            refused,
            BuildError::TooMany { count, most: 8192, .. } if count == workers
        ));
    }
}

#[test]
fn more_instances_than_there_can_be_are_refused_before_any_is_made() {
    let stage = |instances: Instances| {
        within(move || {
            Pipeline::<()>::builder::<u8>()
                .stage("a", instances, |_| map(|x: u8| x))
                .start()
                .map(drop)
                .unwrap_err()
        })
    };
    for count in [65_536, 80_000, usize::MAX] {
        let both = Instances::new(count).up_to(count);
        let cases = [Instances::new(count), Instances::new(1).up_to(count), both];
        for instances in cases {
            let refused = stage(instances);
            let expected = format!("{count} instances of stage \"a\"; there can be at most 65535");
            assert_eq!(refused.to_string(), expected);
        }
    }
}

#[test]
fn a_core_that_is_not_allowed_is_refused() {
    let refused = Pool::builder()
        .workers(2)
        .cores([4096])
        .start()
        .unwrap_err();
    assert!(refused.to_string().contains("4096"), "{refused}");
}

#[test]
fn workers_are_as_many_as_said() {
    let started = Mutex::new(Vec::new());
    let started: &'static Mutex<Vec<usize>> = Box::leak(Box::new(started));
    let hook = |worker| started.lock().unwrap().push(worker);
    let pool = Pool::builder()
        .workers(4)
        .pin(Pin::Off)
        .on_spawn(hook)
        .start()
        .unwrap();
    assert_eq!((pool.workers(), started.lock().unwrap().len()), (4, 3));
    assert_eq!(pool.placement().workers.len(), 3);
    assert!(pool.placement().workers.iter().all(|worker| !worker.pinned));
}
