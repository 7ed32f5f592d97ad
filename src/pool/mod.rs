//! Pools: workers for batches over borrowed data.
//!
//! A batch is run by its caller, together with whoever is free: the caller takes pieces while there are any, also those
//! that running pieces add, and waits only for pieces that others have begun. It never runs anybody else's work meanwhile,
//! so batches inside batches cannot deadlock.

mod batch;
pub(crate) mod board;
pub(crate) mod scope;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::affinity::Pin;
use crate::edge::{Call, InputPeek, To, Tx};
use crate::error::BuildError;
use crate::executor::Executor;
use crate::idle::Idle;
use crate::lifecycle::{Core, Phase};
use crate::lot::{Bell, ENDED};
use crate::placement::Placement;
use crate::plan::{Build, Detached, DutyPlan, Plan};
use crate::worker::duty::{Poll, Polled};
use crate::worker::is_inside;
use board::{Batch, Board};
pub use scope::Scope;

/// Batches that can be open to helpers at the same time.
const SLOTS: usize = 32;

/// The most workers of one pool: as many as a Linux kernel for x86-64 can be built for processors. Each has a thread, and
/// remembers 40 bytes of each other.
const MOST_WORKERS: usize = 8192;

/// Workers that help with batches, up to 32 at the same time; the callers of more do those alone. Dropping it
/// lets the workers finish what they have begun, and joins them.
///
/// ```
/// let pool = ringmill::Pool::builder().workers(2).start()?;
/// let squares = pool.map(&[1, 2, 3], |x| x * x);
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), ringmill::BuildError>(())
/// ```
pub struct Pool {
    executor: Arc<Executor<Infallible>>,
    board: Arc<Board>,
    /// Calls workers. `None` where the caller is the only one: then the board has no slots.
    bell: Option<Bell>,
    threads: Detached,
    helpers: usize,
}

impl Pool {
    /// Begins to build a pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder { plan: Plan::new() }
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn core(&self) -> Arc<Core> {
        Arc::clone(&self.executor.core)
    }

    /// How many threads work at a batch: its caller, and all threads of the pool. A batch of another caller shares the
    /// latter. [`Pool::placement`] lists those alone, so it has one worker less.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.helpers + 1
    }

    /// `f` of every item, in order. Returns when all of them are done.
    ///
    /// # Panics
    /// A panic in `f` costs that item: the others are done all the same, then the first panic goes on here.
    pub fn map<T, R, F>(&self, items: &[T], f: F) -> Vec<R>
    where
        T: Sync,
        R: Send,
        F: Fn(&T) -> R + Sync,
    {
        let run = |batch: &dyn Batch| self.run(batch, items.len());
        batch::map(items, f, self.workers(), run)
    }

    /// `f` on pieces that together are `items`, each once. How it is cut depends on the number of workers
    /// and on chance. Returns when all of them are done.
    ///
    /// # Panics
    /// A panic in `f` costs that piece: the others are done all the same, then the first panic goes on
    /// here.
    pub fn for_each_mut<T, F>(&self, items: &mut [T], f: F)
    where
        T: Send,
        F: Fn(&mut [T]) + Sync,
    {
        let count = items.len();
        batch::for_each_mut(items, f, self.workers(), |batch| self.run(batch, count));
    }

    /// Lends `f` a scope to spawn tasks in, which may borrow. Returns when `f` and all tasks are done, also those that
    /// tasks have spawned.
    ///
    /// Tasks begin in the order in which they were spawned, on as many threads as are free. The caller runs tasks once `f`
    /// is over, as long as there are any; before that, only the pool's threads do. So tasks that wait for one another may
    /// wait for ever, where they are more than the [workers](Pool::workers) that are free; and so may an `f` that waits
    /// for a task, in a pool of one worker.
    ///
    /// A task runs on the stack of a worker or of the caller, never inside another task or inside
    /// [`Scope::spawn`]: that stack need not be larger for many tasks, or for long chains of them. Waiting tasks take
    /// memory, and since the oldest begins first, a tree of tasks has all of one level waiting.
    ///
    /// # Panics
    /// A panic in a task costs that task: the others run all the same. When all are done, a panic in `f` goes on here,
    /// and otherwise the first one in a task.
    pub fn scope<'env, F, R>(&'env self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        scope::run(&self.board, self.bell.as_ref(), f)
    }

    /// Opens a batch to helpers, if there are any and it has pieces for them. Returns when it is done; what nobody could
    /// be called for is left to the caller.
    fn run(&self, batch: &dyn Batch, len: usize) {
        if len > 1
            && let Some(bell) = &self.bell
        {
            self.board.post(Some(bell), batch, |posted| {
                posted.added();
            });
        }
    }

    /// Which worker runs where; the caller of a batch is not among them.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.executor.placement()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.executor.core.advance(Phase::Closed);
        if !is_inside(&self.executor.core) {
            self.threads.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}

/// Builds a [`Pool`].
#[must_use = "nothing runs before `start`"]
pub struct PoolBuilder {
    plan: Plan<'static, Infallible>,
}

impl PoolBuilder {
    /// Sets how many threads work at a batch, its caller included: `start` starts one less. Threads beyond the cores are
    /// worth it only for work that waits, for a disk or a timer. At most 8192. Default: one for each
    /// [allowed core](crate::allowed_cores), or fewer under a CPU quota, as for a pipeline
    /// ([`Builder::workers`](crate::Builder::workers)).
    pub fn workers(mut self, workers: usize) -> Self {
        self.plan.config.workers = Some(workers);
        self
    }

    /// The cores that workers are pinned to, in turn. Where nothing is said, all allowed ones, beginning behind the one that
    /// the calling thread is on at the start.
    pub fn cores(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.plan.config.cores = Some(cores.into_iter().collect());
        self
    }

    /// Whether workers are pinned: best effort where nothing is said.
    pub fn pin(mut self, pin: Pin) -> Self {
        self.plan.config.pin = pin;
        self
    }

    /// How workers idle.
    pub fn idle(mut self, idle: Idle) -> Self {
        self.plan.config.idle = idle;
        self
    }

    /// The stack of each thread, in bytes; the system's default where nothing is said.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.plan.config.stack_size = Some(bytes);
        self
    }

    /// Called on each new thread before it does anything else, with the worker's number. A panic in it is
    /// an error of `start`.
    pub fn on_spawn(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.plan.config.on_spawn = Some(Arc::new(hook));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// [`BuildError`]: the first thing that is wrong. Nothing is left behind.
    pub fn start(self) -> Result<Pool, BuildError> {
        let mut plan = self.plan;
        let workers = plan
            .config
            .workers
            .unwrap_or_else(|| plan.config.default_workers());
        if workers == 0 {
            return Err(BuildError::ZeroWorkers);
        }
        if workers > MOST_WORKERS {
            return Err(BuildError::TooMany {
                what: "workers".to_string(),
                count: workers,
                most: MOST_WORKERS,
            });
        }
        plan.config.workers = Some((workers - 1).max(1));
        plan.config.is_beside_caller = true;
        let helpers = workers - 1;
        let board = Arc::new(Board::new(if helpers > 0 { SLOTS } else { 0 }));
        let executor = Arc::clone(&plan.executor);
        let behind = plan.add_edge(false);
        for instance in 0..helpers {
            let looks = Looks {
                board: Arc::clone(&board),
                core: Arc::clone(&executor.core),
            };
            let board = Arc::clone(&board);
            let executor = Arc::clone(&executor);
            plan.add_duty(DutyPlan {
                stage: 0,
                name: Arc::from("help"),
                instance,
                instances: helpers,
                core: None,
                input: Arc::new(looks),
                output: Tx::<()>::new(To::Nowhere).peek(),
                capacity: usize::MAX,
                input_edge: 0,
                outputs: vec![(behind, 0)],
                share: None,
                build: Build::Floating(Box::new(move |wiring, number| {
                    let others = wiring.siblings(number);
                    Ok(Box::new(Help {
                        board,
                        others,
                        executor,
                        ended: false,
                    }))
                })),
            });
        }
        let (started, threads) = plan.start_detached(1)?;
        let bell = match started.wiring.behind(0, 0) {
            Call::Duties(bell) => Some(bell),
            Call::Nobody | Call::Mouth(..) | Call::Exit(_) => None,
        };
        Ok(Pool {
            executor,
            board,
            bell,
            threads,
            helpers,
        })
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder").finish_non_exhaustive()
    }
}

/// What a helper's station shows.
struct Looks {
    board: Arc<Board>,
    core: Arc<Core>,
}

impl InputPeek for Looks {
    fn backlog(&self) -> usize {
        usize::from(self.board.has_open())
    }

    fn is_at_end(&self) -> bool {
        self.core.phase() != Phase::Open
    }
}

/// The duty of a pool's worker: to help with what is open.
struct Help {
    board: Arc<Board>,
    others: Call,
    executor: Arc<Executor<Infallible>>,
    ended: bool,
}

impl Poll for Help {
    fn poll(&mut self) -> Polled {
        #[cfg(all(test, not(loom)))]
        crate::sabotage::at(crate::sabotage::Spot::Helper, &self.executor.core);
        if self.executor.core.phase() != Phase::Open && !self.ended {
            self.ended = true;
            self.executor.duty_ended();
            return Polled {
                jobs: 1,
                is_light: false,
                is_slow: false,
                word: ENDED,
            };
        }
        let others = &self.others;
        // One helper calls the next, so that the poster wakes only one.
        let helped = self.board.help(|| {
            if let Call::Duties(bell) = others {
                bell.call_one();
            }
        });
        Polled {
            jobs: usize::from(helped),
            is_light: !helped,
            is_slow: false,
            word: 0,
        }
    }

    fn abort(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.executor.duty_ended();
        }
    }
}
