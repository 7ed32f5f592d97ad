//! Pools: workers for batches over borrowed data.
//!
//! A batch is run by its caller, together with whoever is free: the caller takes pieces until none is left,
//! then waits only for pieces that others have begun. It never runs anybody else's work meanwhile, so
//! batches inside batches cannot deadlock.

mod batch;
pub(crate) mod board;
mod scope;

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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
use batch::{ForEach, Map};
use board::{Batch, Board};
pub use scope::Scope;
use scope::Tasks;

/// Batches that can be open to helpers at the same time.
const SLOTS: usize = 32;

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
    /// Calls workers; `None` where the caller is the only one.
    bell: Option<Bell>,
    threads: Detached,
    helpers: usize,
}

impl Pool {
    /// Begins to build a pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder { plan: Plan::new() }
    }

    /// How many threads work at a batch, its caller included.
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
        let mut out = Vec::new();
        let map = Map::new(items, &mut out, f, self.workers());
        self.run(&map, items.len());
        map.finish(&mut out);
        out
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
        let each = ForEach::new(items, f, self.workers());
        self.run(&each, count);
        each.finish();
    }

    /// Lends `f` a scope to spawn tasks in, which may borrow; returns when `f` and all tasks are done.
    ///
    /// Nothing says when a task begins: a scope whose tasks wait for one another may wait for ever.
    ///
    /// # Panics
    /// A panic in `f` goes on here, and otherwise the first one in a task, when all the others are done.
    pub fn scope<'env, F, R>(&'env self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        let tasks = match Tasks::new() {
            Ok(tasks) => tasks,
            Err(error) => panic!("no memory for a scope's ring of tasks: {error}"),
        };
        let result = {
            let posted = self.bell.as_ref().and_then(|_| self.board.post(&tasks));
            let scope = Scope {
                tasks: &tasks,
                helpers: posted.as_ref().zip(self.bell.as_ref()),
                scope: PhantomData,
                env: PhantomData,
            };
            let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
            loop {
                tasks.work();
                if let Some(posted) = &posted {
                    posted.drain();
                }
                if !tasks.has_more() {
                    break result;
                }
            }
        };
        match result {
            Ok(result) => {
                tasks.panic.resume();
                result
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    fn run(&self, batch: &dyn Batch, len: usize) {
        let helpers = self.bell.as_ref().filter(|_| len > 1);
        let posted = helpers.and_then(|bell| {
            let posted = self.board.post(batch);
            bell.call_one();
            posted
        });
        batch.work();
        drop(posted);
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
    /// How many threads work at a batch: one less is started, because its caller works too. Default: one for each
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
        plan.config.workers = Some((workers - 1).max(1));
        plan.config.is_beside_caller = true;
        let board = Arc::new(Board::new(SLOTS));
        let executor = Arc::clone(&plan.executor);
        let helpers = workers - 1;
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
            Call::Nobody | Call::Mouth(_) | Call::Exit(_) => None,
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
}
