//! Broadcast and merge: every branch gets every job once and in order, whatever is before it, in it and behind
//! it; and the counters say so at every instant.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::{Census, Count, Gate, Life, OpenLate, core, within, within_steps};
use ringmill::stage::{filter_map, flat_map, map};
use ringmill::{Context, Counters, Handle, Idle, Instances, Pipeline};

/// A job that remembers the way it came: the branches' numbers, as digits.
#[derive(Clone)]
struct Tick {
    nth: u64,
    path: u32,
    _life: Life,
}

fn ticks(census: &Census, count: u64) -> impl Iterator<Item = Tick> + use<> {
    let census = census.clone();
    (0..count).map(move |nth| Tick {
        nth,
        path: 0,
        _life: census.life(),
    })
}

/// What some stages saw, independent of the library's counters.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u32, u64)>>>);

impl Log {
    fn all(&self) -> Vec<(u32, u64)> {
        self.0.lock().unwrap().clone()
    }

    /// The jobs that came this way, as they came.
    fn of(&self, path: u32) -> Vec<u64> {
        let way = |(by, nth)| (by == path).then_some(nth);
        self.all().into_iter().filter_map(way).collect()
    }

    fn add(&self, tick: &Tick) {
        self.0.lock().unwrap().push((tick.path, tick.nth));
    }
}

/// The stage of branch `digit`.
fn mark<E>(
    digit: u32,
    log: &Log,
) -> impl Fn(&Context) -> Box<dyn FnMut(Tick) -> Result<Tick, E> + Send> + use<E> {
    let log = log.clone();
    move |_| {
        let log = log.clone();
        Box::new(move |mut tick| {
            tick.path = 10 * tick.path + digit;
            log.add(&tick);
            Ok(tick)
        })
    }
}

fn conserved(counters: &Counters) {
    for stage in &counters.stages {
        let sum = stage.waiting + stage.running + stage.finished + stage.dropped;
        assert_eq!(stage.dispatched, sum, "{stage:?}");
    }
}

/// At the end: nothing is left, and what one stage emitted the next one got.
fn settled(handle: &Handle<impl Send + Sync>, emitted: &[(&str, u64)]) {
    let counters = handle.counters();
    conserved(&counters);
    assert_eq!(counters.active(), 0);
    for &(name, dispatched) in emitted {
        let stage = counters.stage(name).unwrap();
        let counts = (
            stage.dispatched,
            stage.finished,
            stage.dropped,
            stage.discarded,
        );
        assert_eq!(counts, (dispatched, dispatched, 0, 0), "{stage:?}");
    }
}

/// What is before the fork.
#[derive(Clone, Copy, Debug)]
enum Before {
    Mouth,
    One,
    Fused,
    Two,
    Nine,
    Ordered,
    Keyed,
    Bound,
    /// Another fork, of two empty branches.
    Fork,
}

/// What is in a branch.
#[derive(Clone, Copy, Debug)]
enum Inside {
    Empty,
    One,
    Fused,
    Two,
    Nine,
    Ordered,
    Keyed,
    Bound,
}

/// What is behind the merge.
#[derive(Clone, Copy, Debug)]
enum Behind {
    Receiver,
    One,
    Two,
    Keyed,
}

impl Before {
    const ALL: [Self; 9] = [
        Self::Mouth,
        Self::One,
        Self::Fused,
        Self::Two,
        Self::Nine,
        Self::Ordered,
        Self::Keyed,
        Self::Bound,
        Self::Fork,
    ];

    fn keeps_order(self) -> bool {
        !matches!(self, Self::Two | Self::Nine | Self::Keyed | Self::Fork)
    }

    /// How often each job comes to the fork.
    fn times(self) -> usize {
        if matches!(self, Self::Fork) { 2 } else { 1 }
    }
}

impl Inside {
    const ALL: [Self; 8] = [
        Self::Empty,
        Self::One,
        Self::Fused,
        Self::Two,
        Self::Nine,
        Self::Ordered,
        Self::Keyed,
        Self::Bound,
    ];

    fn keeps_order(self) -> bool {
        !matches!(self, Self::Two | Self::Nine | Self::Keyed)
    }

    fn digit(self, nth: u32) -> u32 {
        if matches!(self, Self::Empty) { 0 } else { nth }
    }
}

const BEHIND: [Behind; 4] = [Behind::Receiver, Behind::One, Behind::Two, Behind::Keyed];

const JOBS: u64 = 100;

fn delivers(before: Before, inside: [Inside; 3], behind: Behind, capacity: usize, idle: Idle) {
    let census = Census::default();
    let log = Log::default();
    let n = Instances::new;
    let key = |tick: &Tick| tick.nth % 5;
    let pass = || |_: &Context| Ok::<Tick, Infallible>;
    // The branches' types differ by what is before them.
    macro_rules! forked {
        ($builder:expr) => {
            $builder.broadcast(|fork| {
                let first = fork.branch(|branch| branch.stage("1", n(1), mark(1, &log)));
                (2..).zip(inside).fold(first, |fork, (digit, inside)| {
                    let name = format!("{digit}");
                    let mark = mark(digit, &log);
                    match inside {
                        Inside::Empty => fork.branch(|b| b),
                        Inside::One => fork.branch(|b| b.stage(name, n(1), mark)),
                        Inside::Fused => fork.branch(|b| {
                            b.stage(name, n(1), pass()).then(format!("{digit}b"), mark)
                        }),
                        Inside::Two => fork.branch(|b| b.capacity(2).stage(name, n(2), mark)),
                        Inside::Nine => fork.branch(|b| b.stage(name, n(9), mark)),
                        Inside::Ordered => fork.branch(|b| b.stage(name, n(2).ordered(3), mark)),
                        Inside::Keyed => fork.branch(|b| b.stage(name, n(3).keyed(key), mark)),
                        Inside::Bound => {
                            fork.branch(|b| b.stage(name, Instances::bound(core()), mark))
                        }
                    }
                })
            })
        };
    }
    let builder = Pipeline::<Infallible>::builder::<Tick>()
        .capacity(capacity)
        .idle(idle);
    let forked = match before {
        Before::Mouth => forked!(builder),
        Before::One => forked!(builder.stage("0", n(1), pass())),
        Before::Fused => forked!(builder.stage("0", n(1), pass()).then("0b", pass())),
        Before::Two => forked!(builder.stage("0", n(2), pass())),
        Before::Nine => forked!(builder.stage("0", n(9), pass())),
        Before::Ordered => forked!(builder.stage("0", n(3).ordered(2), pass())),
        Before::Keyed => forked!(builder.stage("0", n(2).keyed(key), pass())),
        Before::Bound => forked!(builder.stage("0", Instances::bound(core()), pass())),
        Before::Fork => {
            let builder = builder.stage("0", n(1), pass());
            forked!(builder.broadcast(|fork| fork.branch(|b| b).branch(|b| b)))
        }
    };
    let (mut dispatcher, receiver, pipeline) = match behind {
        Behind::Receiver => forked.start(),
        Behind::One => forked.stage("join", n(1), pass()).start(),
        Behind::Two => forked.stage("join", n(2), pass()).start(),
        Behind::Keyed => forked.stage("join", n(2).keyed(key), pass()).start(),
    }
    .unwrap();
    let handle = pipeline.handle();
    let results = Log::default();
    let log_of_results = results.clone();
    // Who dispatches and who receives look now and then; a thread that did nothing else would take the core.
    let seen = handle.clone();
    let taker = thread::spawn(move || {
        for (nth, tick) in receiver.enumerate() {
            log_of_results.add(&tick);
            if nth % 16 == 0 {
                conserved(&seen.counters());
            }
        }
    });
    let mut jobs = ticks(&census, JOBS).peekable();
    while jobs.peek().is_some() {
        dispatcher.dispatch_all(jobs.by_ref().take(8)).unwrap();
        conserved(&handle.counters());
    }
    dispatcher.done();
    taker.join().unwrap();
    pipeline.join().unwrap();

    let times = before.times();
    let all: Vec<u64> = (0..JOBS).flat_map(|nth| vec![nth; times]).collect();
    let empty = inside
        .iter()
        .filter(|it| matches!(it, Inside::Empty))
        .count();
    let stages = (2..)
        .zip(inside)
        .map(|(nth, inside)| (inside, inside.digit(nth)));
    for (inside, digit) in [(Inside::One, 1)].into_iter().chain(stages) {
        // An empty branch has no stage that sees anything.
        for (place, log) in [("in", &log), ("out", &results)] {
            let mut seen = log.of(digit);
            if digit == 0 {
                if place == "out" {
                    seen.sort_unstable();
                    let all = all.iter().flat_map(|&nth| vec![nth; empty]);
                    assert!(seen.into_iter().eq(all));
                }
                continue;
            }
            let keeps_order = before.keeps_order()
                && match place {
                    "in" => matches!(inside, Inside::One | Inside::Fused | Inside::Bound),
                    _ => inside.keeps_order() && matches!(behind, Behind::Receiver | Behind::One),
                };
            if !keeps_order {
                seen.sort_unstable();
            }
            assert_eq!(seen, all, "branch {digit}, {place}");
        }
        if digit > 0 {
            settled(&handle, &[(&digit.to_string(), JOBS * times as u64)]);
        }
    }
    let joined = 4 * JOBS * times as u64;
    assert_eq!(results.all().len() as u64, joined);
    if !matches!(behind, Behind::Receiver) {
        settled(&handle, &[("join", joined)]);
    }
    assert_eq!(census.born(), joined, "a copy for each branch but one");
    census.is_over();
}

/// Each case with other ones beside it, in each capacity and before each kind of consumer.
fn every(before: &[Before], first: usize) {
    let mut nth = first;
    for &before in before {
        for capacity in [1, 3, 1024] {
            for a in 0..Inside::ALL.len() {
                let inside = [0, 3, 5].map(|b| Inside::ALL[(a + b) % Inside::ALL.len()]);
                let behind = BEHIND[nth % 4];
                // Yields, one for each job that small rings hand over, take long where others want the cores.
                let idle = if nth.is_multiple_of(3) {
                    Idle::backoff()
                } else {
                    Idle::parking()
                };
                nth += 1;
                within_steps(move |step| {
                    step.say(format!(
                        "{before:?} {inside:?} {behind:?} {capacity} {idle:?}"
                    ));
                    delivers(before, inside, behind, capacity, idle);
                });
            }
            nth += 1; // So that each case meets every kind behind.
        }
    }
}

#[test]
fn f_13_every_branch_sees_every_job_once() {
    every(&Before::ALL[..5], 0);
}

#[test]
fn f_13_behind_windows_keys_cores_and_forks() {
    every(&Before::ALL[5..], 2);
}

#[test]
fn f_13_forks_in_forks() {
    within(|| {
        for capacity in [1, 1024] {
            let census = Census::default();
            let log = Log::default();
            let received = Log::default();
            let one = || Instances::new(1);
            let report = Pipeline::<Infallible>::builder::<Tick>()
                .capacity(capacity)
                .stage("0", Instances::new(2), |_| Ok)
                .broadcast(|fork| {
                    fork.branch(|b| {
                        b.stage("1", one(), mark(1, &log)).broadcast(|fork| {
                            fork.branch(|b| b.stage("11", one(), mark(1, &log)))
                                .branch(|b| b.stage("12", one(), mark(2, &log)))
                        })
                    })
                    // A fork right behind a fork, and a single branch.
                    .branch(|b| {
                        b.broadcast(|fork| {
                            fork.branch(|b| b.stage("3", one(), mark(3, &log)))
                                .branch(|b| {
                                    b.stage(
                                        "4",
                                        Instances::new(2).keyed(|t: &Tick| t.nth),
                                        mark(4, &log),
                                    )
                                })
                        })
                    })
                    .branch(|b| {
                        b.broadcast(|fork| fork.branch(|b| b.stage("5", one(), mark(5, &log))))
                    })
                })
                .run(ticks(&census, JOBS), |tick| received.add(&tick))
                .unwrap();
            conserved(&report.counters);
            for path in [11, 12, 3, 4, 5] {
                for log in [&log, &received] {
                    let mut seen = log.of(path);
                    seen.sort_unstable();
                    assert!(seen.into_iter().eq(0..JOBS), "{path}");
                }
            }
            assert_eq!(received.all().len() as u64, 5 * JOBS);
            census.is_over();
        }
    });
}

#[test]
fn f_13_discard_and_fold() {
    within(|| {
        let census = Census::default();
        let log = Log::default();
        let builder = || Pipeline::<Infallible>::builder::<Tick>().capacity(2);
        // Also an empty branch and one behind a window, to both of which a discarded result is nothing.
        let report = builder()
            .stage("0", Instances::new(1), |_| Ok)
            .broadcast(|fork| {
                fork.branch(|b| b)
                    .branch(|b| b.stage("1", Instances::new(1), mark(1, &log)))
                    .branch(|b| b.stage("2", Instances::new(2).ordered(2), mark(2, &log)))
            })
            .discard()
            .run(ticks(&census, JOBS))
            .unwrap();
        let discarded = |name| report.counters.stage(name).unwrap().discarded;
        assert_eq!(
            (discarded("0"), discarded("1"), discarded("2")),
            (0, JOBS, JOBS)
        );
        for path in [1, 2] {
            let mut seen = log.of(path);
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..JOBS));
        }
        census.is_over();

        let (mut dispatcher, pipeline) = builder()
            .broadcast(|fork| {
                fork.branch(|b| b)
                    .branch(|b| b.stage("1", Instances::new(2), mark(1, &Log::default())))
            })
            .fold(Instances::new(2), |_| 0, |sum, tick| *sum += tick.nth)
            .start()
            .unwrap();
        dispatcher.dispatch_all(ticks(&census, JOBS)).unwrap();
        dispatcher.done();
        let sum: u64 = pipeline.join().unwrap().states.into_iter().sum();
        assert_eq!(sum, JOBS * (JOBS - 1));
        census.is_over();
    });
}

#[test]
fn f_13_results_of_flat_maps_come_one_by_one() {
    within(|| {
        for capacity in [1, 4] {
            let received = Log::default();
            let census = Census::default();
            let lives = census.clone();
            Pipeline::<Infallible>::builder::<u64>()
                .capacity(capacity)
                .stage("0", Instances::new(1), move |_| {
                    let lives = lives.clone();
                    flat_map(move |count| ticks(&lives, count))
                })
                .broadcast(|fork| {
                    fork.branch(|b| b.stage("1", Instances::new(1), mark(1, &Log::default())))
                        .branch(|b| {
                            b.stage(
                                "2",
                                Instances::new(2).keyed(|t: &Tick| t.nth),
                                mark(2, &Log::default()),
                            )
                        })
                        .branch(|b| {
                            b.stage("3", Instances::new(1), |_| filter_map(|_| None::<Tick>))
                        })
                })
                .run([0, 7, 0, 50], |tick| received.add(&tick))
                .unwrap();
            assert!(received.of(1).into_iter().eq((0..7).chain(0..50)));
            assert_eq!(received.of(2).len(), 57);
            assert_eq!(received.of(3), []);
            census.is_over();
        }
    });
}

/// A branch that does not go on holds up everybody, after exactly as many jobs as fit; the others get those.
#[test]
fn f_13_a_blocked_branch_holds_up_all() {
    within(|| {
        for capacity in [1, 8] {
            let (gate, began) = (Gate::default(), Count::default());
            let _late = OpenLate(gate.clone());
            let (log, census, fast) = (Log::default(), Census::default(), Count::default());
            let (waits, inside, seen) = (gate.clone(), began.clone(), fast.clone());
            let (mut dispatcher, receiver, pipeline) = Pipeline::<Infallible>::builder::<Tick>()
                .capacity(capacity)
                .workers(2) // One is inside.
                .stage("0", Instances::new(1), |_| Ok)
                .broadcast(|fork| {
                    fork.branch(|b| {
                        b.stage("slow", Instances::new(1), move |_| {
                            let (waits, inside) = (waits.clone(), inside.clone());
                            filter_map(move |_: Tick| {
                                inside.add(1);
                                waits.pass();
                                None::<Tick>
                            })
                        })
                    })
                    .branch(|b| {
                        b.stage("fast", Instances::new(1), move |_| {
                            let seen = seen.clone();
                            map(move |tick| {
                                seen.add(1);
                                tick
                            })
                        })
                    })
                })
                .start()
                .unwrap();
            let results = log.clone();
            let taker = thread::spawn(move || receiver.for_each(|tick| results.add(&tick)));
            // One inside, `capacity` behind it, and `capacity` jobs in front.
            let whole = 2 * capacity + 1;
            let mut jobs = ticks(&census, 1000);
            for job in jobs.by_ref().take(whole) {
                dispatcher.dispatch(job).unwrap();
            }
            began.reach(1);
            fast.reach(capacity + 1);
            let refused = dispatcher.try_dispatch(jobs.next().unwrap()).unwrap_err();
            assert!(refused.is_full());
            assert_eq!((fast.get(), began.get()), (capacity + 1, 1));
            gate.open();
            dispatcher.done();
            taker.join().unwrap();
            pipeline.join().unwrap();
            assert_eq!((fast.get(), began.get()), (whole, whole));
            assert_eq!(log.all().len(), whole);
            drop((refused, jobs));
            census.is_over();
        }
    });
}
