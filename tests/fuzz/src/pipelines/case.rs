//! Cases, and how bytes become one.

use std::time::Duration;

use ringmill::{Idle, Overflow};

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
    /// Panics at the job of this number.
    pub panic_at: Option<u32>,
    pub place: Place,
    pub route: Route,
    pub instances: usize,
    /// May be scaled up to three instances.
    pub scaled: bool,
    /// A fork of two branches in front, with a stage each.
    pub fork: Option<[Work; 2]>,
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
    DropDispatcher,
    Scale(usize),
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
    /// By `dispatch_all`, so many at once.
    Batches(usize),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub stages: Vec<StageCase>,
    pub jobs: u32,
    pub dispatchers: u32,
    pub feed: Feed,
    pub capacity: usize,
    pub workers: usize,
    pub idle: Idle,
    pub per_job: bool,
    /// Of each job; those that are tiny pass, and one of an hour never does.
    pub timeout: Option<Duration>,
    pub deadline: Option<Duration>,
    pub overflow: Overflow,
    pub end: End,
    /// How often a receiver yields after each result.
    pub yields: u8,
    /// At the job of this number; from inside the first stage, or by a dispatcher.
    pub event: Option<(u32, Event)>,
    pub inside: bool,
}

/// A job timeout that does not pass.
const NEVER: Duration = Duration::from_secs(3600);

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
        let idle = match it.below(8) {
            4 | 5 => Idle::yielding(),
            6 => Idle::parking(),
            7 => Idle::busy_spin(),
            _ => Idle::backoff(),
        };
        // Threads that spin get in each other's way for a whole time slice.
        let spins = format!("{idle:?}") == format!("{:?}", Idle::busy_spin());
        let jobs = if spins { jobs % 24 } else { jobs >> flats };
        let overflow = match it.below(8) {
            5 => Overflow::Refuse,
            6 => Overflow::DropNewest,
            7 => Overflow::DropOldest,
            _ => Overflow::Block,
        };
        if overflow == Overflow::DropOldest && matches!(stages[0].route, Route::Ordered(_)) {
            stages[0].route = Route::Any; // `BuildError::OrderedDropsOldest`.
        }
        Self {
            stages,
            jobs,
            dispatchers: 1 + it.below(3),
            feed: match it.below(4) {
                2 => Feed::Trying,
                3 => Feed::Batches(1 + it.size(100)),
                _ => Feed::Waiting,
            },
            capacity: [1, 2, 3, 5, 8, 17, 33, 64][it.size(8)],
            workers: 1 + it.size(4),
            idle,
            per_job,
            timeout: match it.below(8) {
                5 | 6 => Some(NEVER),
                7 => Some(Duration::from_micros(1 << it.below(12))),
                _ => None,
            },
            deadline: it
                .once_in(16)
                .then(|| Duration::from_micros(500 << it.below(5))),
            overflow,
            end: match it.below(8) {
                2 => End::ReceiveMany,
                3 => End::Receivers,
                4 => End::Discard,
                5 => End::Fold(1 + it.size(3)),
                6 | 7 => End::Run,
                _ => End::Receive,
            },
            yields: it.byte() % 4,
            event: it.once_in(2).then(|| {
                let event = match it.below(11) {
                    0 => Event::Close,
                    1 => Event::Stop,
                    2 => Event::TokenStop,
                    3 => Event::SetErr,
                    4 => Event::DropReceiver,
                    5 => Event::DropPipeline,
                    6 => Event::DropDispatcher,
                    _ => Event::Scale(1 + it.size(3)),
                };
                (it.below(jobs.max(1)), event)
            }),
            inside: it.once_in(2),
        }
    }

    /// Whether every job that is accepted and not dropped for want of room comes through, unless it fails.
    pub fn is_whole(&self) -> bool {
        let ends = [Event::Close, Event::DropDispatcher];
        let harmless = |event| matches!(event, Event::Scale(_)) || ends.contains(&event);
        self.event.is_none_or(|(_, event)| harmless(event))
            && self.deadline.is_none()
            && !self.is_late()
    }

    /// Whether jobs may come too late.
    pub fn is_late(&self) -> bool {
        self.timeout.is_some_and(|timeout| timeout < NEVER)
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
    StageCase {
        work: of_stage,
        panic_at,
        place,
        route,
        instances: 1 + it.size(3),
        scaled: it.once_in(3) && place == Place::Floating && route != Route::Keyed,
        fork: branches,
    }
}
