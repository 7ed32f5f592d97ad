//! Cases, and how bytes become one.

use std::time::Duration;

use ringmill::Overflow;

/// Whether an iterator waits until an earlier job has begun. Not yet: one that never begins, because its time was up before,
/// say, would be waited for for ever.
const ITERATORS_WAIT: bool = false;

/// Whether the counters stand still once the executor has finished. Not yet: results of an ordered stage that lie behind
/// a dropped job are counted as discarded by their only receiver, when it comes to them.
pub const COUNTERS_END: bool = false;

/// What a stage does with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One result.
    Map,
    /// None for each job whose number divides by this.
    Filter(u32),
    /// As many as the job's number modulo one more than this says.
    Flat(u32),
    /// One, or an error at the job of this number.
    Fail(u32),
}

/// Where instances run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Floating,
    Bound,
    /// Fused into the stage before, if there is one.
    Fused,
}

/// How jobs find their instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Any,
    Ordered(usize),
    Keyed,
}

#[derive(Clone, Debug)]
pub struct StageCase {
    pub work: Work,
    /// How often a job yields.
    pub yields: u8,
    /// Panics at the job of this number.
    pub panic_at: Option<u32>,
    /// The key function panics at the job of this number.
    pub key_panic: Option<u32>,
    pub place: Place,
    pub route: Route,
    pub instances: usize,
    /// May be scaled up to three instances; by this load, or by hand only where that is 0.
    pub scaled: Option<usize>,
    /// A fork of two branches in front, with a stage each.
    pub fork: Option<[Work; 2]>,
}

impl StageCase {
    pub fn is_single(&self) -> bool {
        self.instances == 1 && self.scaled.is_none()
    }

    /// Whether its results are brought into order.
    pub fn has_window(&self) -> bool {
        matches!(self.route, Route::Ordered(_)) && !self.is_single()
    }
}

/// What somebody does to the executor while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Close,
    Stop,
    TokenStop,
    SetErr,
    /// The receivers leave; where there are none, as `Stop`.
    DropReceiver,
    /// Where the calling thread has it, as `Stop`.
    DropPipeline,
    /// The dispatcher leaves, where one is at hand.
    DropDispatcher,
    Scale(usize),
    Load(usize),
}

impl Event {
    /// Whether every accepted job comes through all the same.
    fn is_harmless(self) -> bool {
        use Event::{Close, DropDispatcher, Load, Scale};
        matches!(self, Close | DropDispatcher | Scale(_) | Load(_))
    }
}

/// Where somebody does it: at the job of a certain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Inside the first stage.
    Stage,
    /// Before the job is dispatched, by its dispatcher.
    Feeder,
    /// Inside the iterator that gives the job.
    Iterator,
    /// On a thread of its own, once so many jobs have begun.
    Apart,
    /// Inside the first key function that is called for the job.
    Key,
}

/// Calls of the user's code that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Spawn,
    WorkerStart,
    WorkerStop,
    InstanceStart,
    InstanceStop,
    Fault,
    /// An init closure.
    Init,
    IdleMake,
    Idle,
    IdleReset,
    /// What `run` calls with each result.
    Each,
}

impl Call {
    pub const COUNT: usize = Self::Each as usize + 1;

    fn is_of_state(self) -> bool {
        matches!(self, Self::Init | Self::InstanceStart | Self::InstanceStop)
    }

    pub fn is_of_idle(self) -> bool {
        matches!(self, Self::IdleMake | Self::Idle | Self::IdleReset)
    }
}

/// What such a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Panic,
    Does(Event),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleCase {
    Backoff,
    Yielding,
    Parking,
    BusySpin,
    /// A strategy of the test's: so many hints, each second time something else.
    Custom(u32, Other),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Spin,
    Yield,
    Park,
}

impl IdleCase {
    /// Whether threads that idle like this keep their cores.
    fn spins(self) -> bool {
        match self {
            Self::BusySpin | Self::Custom(_, Other::Spin) => true,
            Self::Custom(hints, _) => hints > LONG_SPIN,
            Self::Backoff | Self::Yielding | Self::Parking => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Receive,
    ReceiveMany,
    /// By two clones.
    Receivers,
    Discard,
    Fold(usize),
    Run,
}

/// How jobs are dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Waiting,
    /// Tries until it is in.
    Trying,
    /// Waits for so long at a time.
    Timing(Duration),
    /// By `dispatch_all`, so many at once.
    Batches(usize),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub stages: Vec<StageCase>,
    pub jobs: u32,
    pub dispatchers: u32,
    pub feed: Feed,
    /// The iterator panics when it is to give the job of this number.
    pub iterator_panic: Option<u32>,
    /// The iterator of a batch gives a job only when the first stage has begun the one before.
    pub iterator_waits: bool,
    /// A fork's copy of the job of this number panics.
    pub copy_panic: Option<u32>,
    pub capacity: usize,
    pub workers: usize,
    pub idle: IdleCase,
    pub is_pinned: bool,
    pub per_job: bool,
    /// Of each job; those that are tiny pass, and one of an hour never does.
    pub timeout: Option<Duration>,
    pub deadline: Option<Duration>,
    pub overflow: Overflow,
    pub end: End,
    /// How often a receiver yields after each result.
    pub yields: u8,
    /// The first of two receivers leaves after so many results.
    pub leaves_after: Option<usize>,
    pub events: Vec<(u32, Event, By)>,
    /// What the so many-th call of a kind does.
    pub calls: Vec<(Call, u32, Act)>,
    /// Hooks own a handle.
    pub hooks_own: bool,
    /// Somebody changes all numbers of instances and all loads until the end, in an order that this says.
    pub churn: Option<u8>,
}

/// A job timeout that does not pass.
const NEVER: Duration = Duration::from_secs(3600);

/// Hints that take as long as a time slice, or longer.
const LONG_SPIN: u32 = 10_000;

/// Loads that are none, small, and those whose products would be too large.
pub const LOADS: [usize; 6] = [0, 1, 3, 64, usize::MAX, 1 << (usize::BITS - 1)];

/// Choices, one after the other; 0, the plainest one, where there are no bytes left.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    /// A number below `end`.
    fn below(&mut self, end: u32) -> u32 {
        let wide = u32::from(self.byte());
        let wide = if end > 256 {
            wide << 8 | u32::from(self.byte())
        } else {
            wide
        };
        wide % end
    }

    fn size(&mut self, end: u32) -> usize {
        self.below(end) as usize
    }

    /// Yes, once in so many.
    fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == times - 1
    }

    fn event(&mut self) -> Event {
        match self.below(13) {
            0 => Event::Close,
            1 => Event::Stop,
            2 => Event::TokenStop,
            3 => Event::SetErr,
            4 => Event::DropReceiver,
            5 => Event::DropPipeline,
            6 => Event::DropDispatcher,
            7 | 8 => Event::Load(LOADS[self.size(6)]),
            _ => Event::Scale(1 + self.size(3)),
        }
    }

    fn happening(&mut self, jobs: u32) -> (u32, Event, By) {
        let event = self.event();
        let at = self.below(jobs.max(1));
        let by = match self.below(5) {
            1 => By::Stage,
            2 => By::Iterator,
            3 => By::Apart,
            4 => By::Key,
            _ => By::Feeder,
        };
        (at, event, by)
    }

    fn call(&mut self) -> (Call, u32, Act) {
        let call = match self.below(Call::COUNT as u32) {
            0 => Call::Fault,
            1 => Call::WorkerStart,
            2 => Call::WorkerStop,
            3 => Call::InstanceStart,
            4 => Call::InstanceStop,
            5 => Call::Spawn,
            6 => Call::Init,
            7 => Call::IdleMake,
            8 => Call::Idle,
            9 => Call::IdleReset,
            _ => Call::Each,
        };
        // Where all calls are at the start, a late one never comes.
        let nth = self.below(if call.is_of_idle() { 40 } else { 8 });
        let act = if self.once_in(2) {
            Act::Does(self.event())
        } else {
            Act::Panic
        };
        (call, nth, act)
    }

    fn idle(&mut self) -> IdleCase {
        match self.below(16) {
            5 | 6 => IdleCase::Yielding,
            7 | 8 => IdleCase::Parking,
            9 => IdleCase::BusySpin,
            10 | 11 => self.custom(),
            _ => IdleCase::Backoff,
        }
    }

    fn custom(&mut self) -> IdleCase {
        let hints = [1, 100, LONG_SPIN, 1 << 20, u32::MAX][self.size(5)];
        let other = match self.below(4) {
            0 => Other::Yield,
            1 => Other::Spin,
            _ => Other::Park,
        };
        IdleCase::Custom(hints, other)
    }
}

impl Case {
    /// Any bytes are a case.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut choices = Choices(bytes.iter());
        let it = &mut choices;
        let per_job = it.once_in(2);
        let count = 1 + it.below(4);
        let jobs = it.below(301);
        let mut forks = 0;
        let mut stages: Vec<_> = (0..count)
            .map(|nth| stage(it, jobs, nth == 0, &mut forks))
            .collect();
        let flats = stages
            .iter()
            .filter(|stage| matches!(stage.work, Work::Flat(_)))
            .count();
        let overflow = match it.below(8) {
            5 => Overflow::Refuse,
            6 => Overflow::DropNewest,
            7 => Overflow::DropOldest,
            _ => Overflow::Block,
        };
        if overflow == Overflow::DropOldest && matches!(stages[0].route, Route::Ordered(_)) {
            stages[0].route = Route::Any; // `BuildError::OrderedDropsOldest`.
        }
        let calls = match it.below(8) {
            5 | 6 => vec![it.call()],
            7 => vec![it.call(), it.call()],
            _ => Vec::new(),
        };
        let is_told = calls.iter().any(|(call, ..)| call.is_of_idle());
        let idle = if is_told { it.custom() } else { it.idle() };
        // Threads that spin get in each other's way for a whole time slice.
        let jobs = if idle.spins() {
            jobs % 12
        } else {
            jobs >> flats
        };
        let some = |it: &mut Choices<'_>| it.below(jobs.max(1));
        let feed = match it.below(6) {
            2 => Feed::Trying,
            3 => Feed::Timing(Duration::from_micros(1 << it.below(12))),
            4 | 5 => Feed::Batches(1 + it.size(100)),
            _ => Feed::Waiting,
        };
        let end = match it.below(8) {
            2 => End::ReceiveMany,
            3 => End::Receivers,
            4 => End::Discard,
            5 => End::Fold(1 + it.size(3)),
            6 | 7 => End::Run,
            _ => End::Receive,
        };
        let timeout = match it.below(8) {
            5 | 6 => Some(NEVER),
            7 => Some(Duration::from_micros(1 << it.below(12))),
            _ => None,
        };
        // See `drive`: which of them are built is a matter of types.
        let has_many = per_job != timeout.is_some();
        // A job that expires is never begun.
        let may_wait = timeout.is_none_or(|timeout| timeout == NEVER);
        Self {
            stages,
            jobs,
            dispatchers: if has_many { 1 + it.below(3) } else { 1 },
            feed,
            iterator_panic: it.once_in(16).then(|| some(it)),
            iterator_waits: it.once_in(8) && may_wait && end != End::Run && ITERATORS_WAIT,
            copy_panic: it.once_in(4).then(|| some(it)),
            capacity: [1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 33, 64][it.size(12)],
            workers: 1 + it.size(4),
            idle,
            is_pinned: it.once_in(2),
            per_job,
            timeout,
            deadline: it
                .once_in(16)
                .then(|| Duration::from_micros(500 << it.below(5))),
            overflow,
            end,
            yields: it.byte() % 4,
            leaves_after: (it.once_in(4) && end == End::Receivers).then(|| it.size(50)),
            events: match it.below(8) {
                3..=5 => vec![it.happening(jobs)],
                6 => vec![it.happening(jobs), it.happening(jobs)],
                7 => (0..3).map(|_| it.happening(jobs)).collect(),
                _ => Vec::new(),
            },
            calls,
            hooks_own: it.once_in(2),
            churn: it.once_in(4).then(|| it.byte()),
        }
    }

    /// What anybody may do to the executor.
    fn acts(&self) -> impl Iterator<Item = Event> {
        let by_hook = self.calls.iter().filter_map(|&(_, _, act)| match act {
            Act::Does(event) => Some(event),
            Act::Panic => None,
        });
        self.events
            .iter()
            .map(|&(_, event, _)| event)
            .chain(by_hook)
    }

    pub fn may(&self, event: Event) -> bool {
        self.acts().any(|act| act == event)
    }

    /// Whether every job that is accepted and not dropped for want of room comes through, unless it or the executor
    /// fails.
    pub fn is_whole(&self) -> bool {
        self.acts().all(Event::is_harmless) && self.deadline.is_none() && !self.is_late()
    }

    /// Whether jobs may come too late.
    pub fn is_late(&self) -> bool {
        self.timeout.is_some_and(|timeout| timeout < NEVER)
    }

    /// Whether the user's code around an instance's state may panic.
    pub fn has_state_panics(&self) -> bool {
        let mut panics = self.calls.iter().filter(|it| it.2 == Act::Panic);
        panics.any(|it| it.0.is_of_state())
    }

    pub fn is_run(&self) -> bool {
        self.end == End::Run
    }
}

fn stage(it: &mut Choices<'_>, jobs: u32, is_first: bool, forks: &mut u32) -> StageCase {
    let some = |it: &mut Choices<'_>| it.below(jobs.max(1));
    let work = |it: &mut Choices<'_>| match it.below(8) {
        4 => Work::Filter(2 + it.below(5)),
        5 | 6 => Work::Flat(1 + it.below(2)),
        7 => Work::Fail(some(it)),
        _ => Work::Map,
    };
    let of_stage = work(it);
    let panic_at = it.once_in(8).then(|| some(it));
    let place = match it.below(6) {
        3 => Place::Bound,
        4 | 5 if !is_first => Place::Fused,
        _ => Place::Floating,
    };
    let route = match it.below(4) {
        1 | 2 => Route::Ordered(1 + it.size(8)),
        3 => Route::Keyed,
        _ => Route::Any,
    };
    let forked = it.once_in(8) && *forks == 0 && place != Place::Fused;
    *forks += u32::from(forked);
    let branches = forked.then(|| [0, 0].map(|_| work(it)));
    let is_scaled = it.below(3) > 0 && place == Place::Floating && route != Route::Keyed;
    StageCase {
        work: of_stage,
        yields: it.byte() % 4,
        panic_at,
        key_panic: (route == Route::Keyed && it.once_in(4)).then(|| some(it)),
        place,
        route,
        instances: 1 + it.size(3),
        scaled: is_scaled.then(|| LOADS[it.size(6)]),
        fork: branches,
    }
}
