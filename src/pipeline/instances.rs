//! How many instances a stage has, where they run, and how jobs find them.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::edge::Route;
use crate::error::BuildError;
use crate::plan::{Build, Wiring};
use crate::policy::Policy;
use crate::stage::Stage;
use crate::worker::duty::Duty;

/// The instances float: workers share them out, and help each other. Their state is `Send`.
#[derive(Debug, Clone, Copy)]
pub enum Floating {}

/// Each instance is bound to a core for life, and built on the thread that runs it. Its state need not be
/// `Send`.
#[derive(Debug, Clone, Copy)]
pub enum Bound {}

/// Any instance may take any job. Results of several instances have no order, not even that in which they were
/// finished, unless the stage is [`ordered`](Instances::ordered).
#[derive(Debug, Clone, Copy)]
pub struct Any;

/// Jobs of equal keys go to the same instance.
pub struct Keyed<F>(F);

impl<F> fmt::Debug for Keyed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

/// The most instances of one stage: 16 bits count them. Each has counters, a duty and, in a keyed stage, a ring.
pub(crate) const MOST_INSTANCES: usize = 0xffff;

/// The instances of one stage, at most 65535.
///
/// ```
/// use ringmill::Instances;
/// let floating = Instances::new(4).ordered(64);
/// let bound = Instances::bound([2, 3]);
/// let keyed = Instances::new(2).keyed(|order: &(u32, f64)| order.0);
/// ```
#[derive(Debug, Clone)]
pub struct Instances<W = Floating, K = Any> {
    pub(crate) count: usize,
    pub(crate) cores: Option<Vec<usize>>,
    pub(crate) window: Option<usize>,
    /// The most that there may be, where their number changes.
    pub(crate) most: Option<usize>,
    /// Waiting jobs an instance from which one more is added.
    pub(crate) load: Option<usize>,
    pub(crate) key: K,
    place: PhantomData<W>,
}

impl Instances {
    /// `count` floating instances.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            count,
            cores: None,
            window: None,
            most: None,
            load: None,
            key: Any,
            place: PhantomData,
        }
    }
}

impl<K> Instances<Floating, K> {
    /// Lets their number change while the executor runs: from `count` up to `most`, beginning with `count`. By hand
    /// with [`Scaling::scale_to`](crate::Scaling::scale_to), which [`Handle::scaling`](crate::Handle::scaling) has, or
    /// [by load](Instances::by_load). Rings and counters are made for the most. An instance that is added builds its
    /// state with the init closure; one that is taken away finishes its job and drops its state. There are never more
    /// threads than instances and [`workers`](crate::Builder::workers): those that are not needed end, and come back
    /// when they are. Costs one thread more, which sleeps.
    #[must_use]
    pub fn up_to(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// With [`up_to`](Instances::up_to): adds an instance where more than `waiting` jobs have waited for each for
    /// 20–40 ms, and takes one away where fewer would have done for 300 ms. Looks every 10 ms.
    #[must_use]
    pub fn by_load(mut self, waiting: usize) -> Self {
        self.load = Some(waiting);
        self
    }
}

impl Instances<Bound> {
    /// One instance for each core named, bound to it. Instances of any stages that name the same core
    /// share one worker; a core may be named twice.
    #[must_use]
    pub fn bound(cores: impl IntoIterator<Item = usize>) -> Self {
        let cores: Vec<usize> = cores.into_iter().collect();
        Self {
            count: cores.len(),
            cores: Some(cores),
            window: None,
            most: None,
            load: None,
            key: Any,
            place: PhantomData,
        }
    }
}

impl<W, K> Instances<W, K> {
    /// Keeps the order of the stage's input through its instances: results come out in the order in which
    /// their jobs came in. `window` is how many jobs may be between the oldest that is not through and the
    /// newest that is begun. Changes nothing for a single instance.
    ///
    /// A stop or a failure drops jobs that are not begun. The only receiver of such a stage's results gets none of a job
    /// behind one that was dropped; those that are there are dropped, and counted as discarded.
    #[must_use]
    pub fn ordered(mut self, window: usize) -> Self {
        self.window = Some(window);
        self
    }
}

impl<W> Instances<W> {
    /// Jobs with the same key go to the same instance, so that it may keep state by key and their order is
    /// kept. Each instance has a ring of its own, of the full capacity; whoever has a job for one that is full
    /// waits with all that come after it, whatever their keys.
    ///
    /// A panic of `key` is a failure of the stage before, whose result it was given; where that stage is
    /// [ordered](Self::ordered), the failure names its instance 0. In the per-job policy a job that failed in an earlier
    /// stage has no key any more: it passes through any of the instances, and the order of its key is not kept for it.
    #[must_use]
    pub fn keyed<T, F, H>(self, key: F) -> Instances<W, Keyed<F>>
    where
        F: Fn(&T) -> H,
        H: Hash,
    {
        let Self {
            count,
            cores,
            window,
            most,
            load,
            ..
        } = self;
        Instances {
            count,
            cores,
            window,
            most,
            load,
            key: Keyed(key),
            place: PhantomData,
        }
    }
}

/// How jobs find their instance: [`Any`] or [`Keyed`]. Not to be implemented outside.
pub trait Routes<'env, T> {
    /// Whether there are lanes.
    #[doc(hidden)]
    const IS_KEYED: bool;

    /// The lane for an item that is made by `open`ing to a job, if there are lanes.
    #[doc(hidden)]
    fn route<X, O>(self, lanes: usize, open: O) -> Option<Route<'env, X>>
    where
        X: 'env,
        O: Fn(&X) -> Option<&T> + Send + Sync + 'env;
}

impl<'env, T> Routes<'env, T> for Any {
    const IS_KEYED: bool = false;

    fn route<X, O>(self, _lanes: usize, _open: O) -> Option<Route<'env, X>>
    where
        X: 'env,
        O: Fn(&X) -> Option<&T> + Send + Sync + 'env,
    {
        None
    }
}

impl<'env, T, F, H> Routes<'env, T> for Keyed<F>
where
    T: 'env,
    F: Fn(&T) -> H + Send + Sync + 'env,
    H: Hash,
{
    const IS_KEYED: bool = true;

    fn route<X, O>(self, lanes: usize, open: O) -> Option<Route<'env, X>>
    where
        X: 'env,
        O: Fn(&X) -> Option<&T> + Send + Sync + 'env,
    {
        let hasher = BuildHasherDefault::<Mix>::default();
        Some(Arc::new(move |item: &X| {
            // What stands for an earlier failure has no key; any lane will do.
            open(item).map_or(0, |job| {
                // The high half times the number of lanes spreads any number of lanes evenly.
                let hash = hasher.hash_one((self.0)(job));
                usize::try_from(((hash >> 32) * lanes as u64) >> 32).unwrap_or(0)
            })
        }))
    }
}

/// Hashes keys: folded multiplication, a few ns. Whoever chooses the keys can make them collide, which
/// costs balance and nothing else.
#[derive(Default)]
struct Mix(u64);

impl Mix {
    /// 2⁶⁴ divided by the golden ratio, made odd (Knuth, "Sorting and Searching", 6.4).
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word ^ Self::ODD) * u128::from(Self::ODD);
        let low = wide & u128::from(u64::MAX);
        self.0 = u64::try_from(wide >> 64 ^ low).unwrap_or(0);
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        // Once more: the last word mixed has reached only some of the high bits.
        let mut last = Self(self.0);
        last.mix(self.0.rotate_left(32));
        last.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
}

/// Whether instances placed like this may have a state of type `S`. Not to be implemented outside.
#[diagnostic::on_unimplemented(
    message = "a floating stage's state must be `Send`",
    note = "bind the stage to cores with `Instances::bound` if its state cannot move between threads"
)]
pub trait Accepts<S>: 'static {
    /// Hides a duty's types.
    #[doc(hidden)]
    fn erase<'env, In, E, P>(
        build: impl FnOnce(&Wiring, usize) -> Result<Duty<'env, In, S, E, P>, BuildError> + Send + 'env,
    ) -> Build<'env>
    where
        In: Send + 'env,
        S: Stage<In, E> + 'env,
        S::Out: Send + 'env,
        E: Send + Sync + 'static,
        P: Policy<E>;
}

impl<S> Accepts<S> for Bound {
    fn erase<'env, In, E, P>(
        build: impl FnOnce(&Wiring, usize) -> Result<Duty<'env, In, S, E, P>, BuildError> + Send + 'env,
    ) -> Build<'env>
    where
        In: Send + 'env,
        S: Stage<In, E> + 'env,
        S::Out: Send + 'env,
        E: Send + Sync + 'static,
        P: Policy<E>,
    {
        Build::Bound(Box::new(move |wiring, number| {
            Ok(Box::new(build(wiring, number)?))
        }))
    }
}

impl<S: Send> Accepts<S> for Floating {
    fn erase<'env, In, E, P>(
        build: impl FnOnce(&Wiring, usize) -> Result<Duty<'env, In, S, E, P>, BuildError> + Send + 'env,
    ) -> Build<'env>
    where
        In: Send + 'env,
        S: Stage<In, E> + 'env,
        S::Out: Send + 'env,
        E: Send + Sync + 'static,
        P: Policy<E>,
    {
        Build::Floating(Box::new(move |wiring, number| {
            Ok(Box::new(build(wiring, number)?))
        }))
    }
}
