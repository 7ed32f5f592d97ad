//! Scopes of a pool: who runs tasks, in which order, on which stack, and who is woken for them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{self, ThreadId};

use crate::common::{jobs, until, within};
use ringmill::{Pool, Scope};

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).start().unwrap()
}

fn count(done: &AtomicUsize) {
    done.fetch_add(1, Ordering::Relaxed);
}

/// The smallest stack that any of these tests needs.
const STACK: usize = 64 * 1024;

/// Runs `body` on a thread with a small stack, with a pool whose workers have small stacks, too.
fn on_small_stacks(workers: usize, body: impl FnOnce(&Pool) + Send + 'static) {
    within(move || {
        let pool = Pool::builder().workers(workers).stack_size(STACK);
        let pool = pool.start().unwrap();
        let thread = thread::Builder::new().stack_size(STACK);
        let caller = thread.spawn(move || body(&pool)).unwrap();
        if let Err(payload) = caller.join() {
            resume_unwind(payload);
        }
    });
}

/// What the kernel says of a thread of this process: whether it sleeps.
#[cfg(target_os = "linux")]
struct Thread(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Thread {
    fn current() -> Self {
        let id = std::fs::read_link("/proc/thread-self").unwrap();
        Self(std::path::Path::new("/proc").join(id).join("stat"))
    }

    fn sleeps(&self) -> bool {
        let stat = std::fs::read_to_string(&self.0).unwrap();
        let (_name, rest) = stat.rsplit_once(") ").unwrap();
        rest.starts_with('S')
    }
}

#[test]
fn a_caller_that_sleeps_is_woken_for_what_a_task_spawns() {
    within(|| {
        let pool = pool(2);
        for _ in 0..jobs(20) {
            let caller = thread::current().id();
            #[cfg(target_os = "linux")]
            let caller_state = Thread::current();
            let [begun, met] = [Barrier::new(2), Barrier::new(2)];
            let met_by = Mutex::new(None);
            pool.scope(|scope| {
                let (met_by, begun, met) = (&met_by, &begun, &met);
                #[cfg(target_os = "linux")]
                let caller_state = &caller_state;
                scope.spawn(move || {
                    begun.wait();
                    #[cfg(target_os = "linux")]
                    until(|| caller_state.sleeps());
                    scope.spawn(move || {
                        *met_by.lock().unwrap() = Some(thread::current().id());
                        met.wait();
                    });
                    met.wait();
                });
                begun.wait(); // The helper runs that task, so the caller has none.
            });
            assert_eq!(met_by.into_inner().unwrap(), Some(caller));
        }
    });
}

#[test]
fn tasks_of_a_task_come_to_all_threads() {
    within(|| {
        let pool = pool(3);
        for _ in 0..jobs(200) {
            let [begun, all] = [Barrier::new(2), Barrier::new(3)];
            pool.scope(|scope| {
                let (begun, all) = (&begun, &all);
                scope.spawn(move || {
                    begun.wait();
                    for _ in 0..3 {
                        scope.spawn(|| {
                            all.wait();
                        });
                    }
                });
                begun.wait();
            });
        }
    });
}

#[test]
fn tasks_begin_in_the_order_in_which_they_were_spawned() {
    within(|| {
        let order = Mutex::new(Vec::new());
        pool(1).scope(|scope| {
            let order = &order;
            for task in 0..1000 {
                scope.spawn(move || {
                    order.lock().unwrap().push(task);
                    scope.spawn(move || order.lock().unwrap().push(1000 + task));
                });
            }
            assert!(order.lock().unwrap().is_empty(), "spawn runs no task");
        });
        assert!(order.into_inner().unwrap().into_iter().eq(0..2000));
    });
}

fn chain<'scope>(scope: &'scope Scope<'scope, '_>, left: u64, done: &'scope AtomicUsize) {
    scope.spawn(move || {
        count(done);
        if left > 1 {
            chain(scope, left - 1, done);
        }
    });
}

#[test]
fn a_long_chain_of_tasks_needs_the_stack_of_one() {
    for workers in [1, 2] {
        on_small_stacks(workers, |pool| {
            let length = jobs(1_000_000);
            let done = AtomicUsize::new(0);
            pool.scope(|scope| {
                let done = &done;
                for _ in 0..300 {
                    scope.spawn(|| count(done));
                }
                chain(scope, length, done);
            });
            assert_eq!(done.into_inner() as u64, 300 + length);
        });
    }
}

#[test]
fn many_chains_of_tasks_need_the_stack_of_one() {
    for workers in [1, 2, 4] {
        on_small_stacks(workers, |pool| {
            let length = jobs(2000);
            let done = AtomicUsize::new(0);
            pool.scope(|scope| {
                for _ in 0..300 {
                    chain(scope, length, &done);
                }
            });
            assert_eq!(done.into_inner() as u64, 300 * length);
        });
    }
}

#[test]
fn any_number_of_tasks_may_wait() {
    for workers in [1, 2] {
        on_small_stacks(workers, |pool| {
            let tasks = jobs(200_000);
            let by: Mutex<Vec<ThreadId>> = Mutex::default();
            let spawner = thread::current().id();
            pool.scope(|scope| {
                for _ in 0..tasks {
                    scope.spawn(|| by.lock().unwrap().push(thread::current().id()));
                }
                assert!(!by.lock().unwrap().contains(&spawner), "spawn ran a task");
            });
            assert_eq!(by.into_inner().unwrap().len() as u64, tasks);
        });
    }
}

#[test]
fn tasks_may_be_spawned_under_a_lock_that_they_take() {
    for workers in [1, 2] {
        on_small_stacks(workers, |pool| {
            let sum = Mutex::new(0);
            pool.scope(|scope| {
                let held = sum.lock().unwrap();
                for _ in 0..1000 {
                    scope.spawn(|| *sum.lock().unwrap() += 1);
                }
                assert_eq!(*held, 0);
            });
            assert_eq!(sum.into_inner().unwrap(), 1000);
        });
    }
}

#[test]
fn a_thread_that_is_none_of_the_pools_may_spawn_tasks() {
    within(|| {
        for workers in [1, 2] {
            let pool = pool(workers);
            let done = AtomicUsize::new(0);
            pool.scope(|scope| {
                let done = &done;
                thread::scope(|threads| {
                    for _ in 0..4 {
                        threads.spawn(move || {
                            for _ in 0..100 {
                                scope.spawn(|| count(done));
                            }
                        });
                    }
                });
            });
            assert_eq!(done.into_inner(), 400);
        }
    });
}

/// Scopes inside scopes, more of them than can be open to helpers at a time.
#[test]
fn scopes_nest_beyond_those_that_helpers_can_come_to() {
    fn nest(pool: &Pool, depth: usize, done: &AtomicUsize) {
        pool.scope(|scope| {
            scope.spawn(|| count(done));
            if depth > 1 {
                nest(pool, depth - 1, done);
            }
        });
    }
    within(|| {
        let done = AtomicUsize::new(0);
        nest(&pool(2), 100, &done);
        assert_eq!(done.into_inner(), 100);
    });
}

/// A payload whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new("a bomb"));
    }
}

#[test]
fn a_panic_of_the_body_goes_on_when_all_tasks_are_done() {
    within(|| {
        for workers in [1, 2] {
            let pool = pool(workers);
            let done = AtomicUsize::new(0);
            let scope = || {
                pool.scope(|scope| {
                    for task in 0..100 {
                        let done = &done;
                        scope.spawn(move || {
                            scope.spawn(|| count(done));
                            if task % 2 == 0 {
                                resume_unwind(Box::new(Bomb)); // Without a message on the screen.
                            }
                        });
                    }
                    resume_unwind(Box::new("the body"));
                })
            };
            let payload = catch_unwind(AssertUnwindSafe(scope)).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"the body"));
            assert_eq!(done.into_inner(), 100);
        }
    });
}
