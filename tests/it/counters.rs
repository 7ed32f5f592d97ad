//! Counters add up at every instant, and agree with counts kept by the test's own code.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use crate::common::{Door, jobs, until, within};
use ringmill::stage::{flat_map, map};
use ringmill::{Counters, Dispatcher, Handle, Instances, Pipeline, Receiver, allowed_cores};

type Pure = Pipeline<Infallible>;
type Ends = (Dispatcher<u64, Infallible>, Receiver<u64, Infallible>, Pure);

/// Counts of one stage's jobs, kept by its closure.
#[derive(Clone, Default)]
struct Own(Arc<(AtomicU64, AtomicU64)>);

impl Own {
    fn job(&self, job: u64) -> u64 {
        self.0.0.fetch_add(1, SeqCst);
        if job.is_multiple_of(64) {
            thread::yield_now();
        }
        self.0.1.fetch_add(1, SeqCst);
        job
    }

    fn begun(&self) -> u64 {
        self.0.0.load(SeqCst)
    }

    fn over(&self) -> u64 {
        self.0.1.load(SeqCst)
    }
}

/// What must hold of any two snapshots, one taken after the other.
fn check(before: &Counters, now: &Counters) {
    for (nth, (was, is)) in before.stages.iter().zip(&now.stages).enumerate() {
        let sum = is.waiting + is.running + is.finished + is.dropped;
        assert_eq!(is.dispatched, sum, "{is:?}");
        // Nothing is negative: a difference that were would be astronomic.
        assert!(
            is.waiting <= is.dispatched && is.running <= is.dispatched,
            "{is:?}"
        );
        assert!(was.dispatched <= is.dispatched, "{was:?} {is:?}");
        assert!(
            was.finished <= is.finished && was.dropped <= is.dropped,
            "{was:?} {is:?}"
        );
        assert!(was.discarded <= is.discarded, "{was:?} {is:?}");
        if nth > 0 {
            // One result a job in these pipelines: what comes here has been begun there.
            let from = &now.stages[nth - 1];
            assert!(
                is.dispatched <= from.running + from.finished,
                "{from:?} {is:?}"
            );
        }
    }
    assert_eq!(
        now.active(),
        now.stages
            .iter()
            .map(|s| s.waiting + s.running)
            .sum::<u64>()
    );
}

/// Takes snapshots until the executor has finished, each between two looks at the own counts.
fn watch(
    handle: &Handle<Infallible>,
    own: &[Own],
    offered: &AtomicU64,
    accepted: &AtomicU64,
) -> u64 {
    let mut before = handle.counters();
    let mut snapshots = 0;
    loop {
        let is_last = handle.is_finished();
        let was_accepted = accepted.load(SeqCst);
        let begun: Vec<_> = own.iter().map(Own::begun).collect();
        let over: Vec<_> = own.iter().map(Own::over).collect();
        let now = handle.counters();
        assert!(now.stages[0].dispatched >= was_accepted);
        assert!(now.stages[0].dispatched <= offered.load(SeqCst));
        for (nth, stage) in now.stages.iter().enumerate() {
            // `over` is counted just before the executor counts a job as finished.
            let started = stage.running + stage.finished;
            assert!(started >= begun[nth] && started >= over[nth], "{stage:?}");
            assert!(stage.finished <= own[nth].over(), "{stage:?}");
        }
        check(&before, &now);
        before = now;
        snapshots += 1;
        if is_last {
            return snapshots;
        }
    }
}

/// Pipelines of two stages that count for themselves, in each placement and with each kind of edge.
fn pipelines(capacity: usize) -> Vec<([Own; 2], Ends)> {
    let core = allowed_cores()[0];
    let mut all = Vec::new();
    for shape in 0..5 {
        let own = [Own::default(), Own::default()];
        let of = |nth: usize| {
            let own = own[nth].clone();
            move |_: &ringmill::Context| {
                let own = own.clone();
                map(move |x: u64| own.job(x))
            }
        };
        let builder = Pure::builder::<u64>().capacity(capacity);
        let started = match shape {
            0 => builder
                .stage("a", Instances::bound([core]), of(0))
                .stage("b", Instances::bound([core]), of(1))
                .start(),
            1 => builder
                .stage("a", Instances::new(1), of(0))
                .then("b", of(1))
                .start(),
            2 => builder
                .stage("a", Instances::new(2), of(0))
                .stage("b", Instances::new(2), of(1))
                .start(),
            3 => builder
                .stage("a", Instances::new(2).ordered(3), of(0))
                .stage("b", Instances::new(2).ordered(2), of(1))
                .start(),
            _ => builder
                .stage("a", Instances::new(2).keyed(|x: &u64| *x), of(0))
                .stage("b", Instances::new(2).keyed(|x: &u64| *x), of(1))
                .start(),
        };
        all.push((own, started.unwrap()));
    }
    all
}

/// Feeds, receives and watches until the end; what happens meanwhile is up to `disturb`.
fn observe(
    own: &[Own; 2],
    ends: Ends,
    count: u64,
    disturb: impl FnOnce(&Handle<Infallible>),
) -> Counters {
    let (mut dispatcher, receiver, pipeline) = ends;
    let handle = pipeline.handle();
    let (offered, accepted) = (AtomicU64::new(0), AtomicU64::new(0));
    let received = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&handle, own, &offered, &accepted));
        scope.spawn(|| {
            for nth in 0..count {
                offered.fetch_add(1, SeqCst);
                if dispatcher.dispatch(nth).is_err() {
                    break;
                }
                accepted.fetch_add(1, SeqCst);
            }
            drop(dispatcher);
        });
        let collector = scope.spawn(|| receiver.count() as u64);
        disturb(&handle);
        assert!(watcher.join().unwrap() > 0);
        collector.join().unwrap()
    });
    let counters = pipeline.join().unwrap().counters;
    let [first, last] = &counters.stages[..] else {
        unreachable!()
    };
    assert_eq!(counters.active(), 0);
    assert_eq!(first.dispatched, accepted.load(SeqCst));
    for (stage, own) in counters.stages.iter().zip(own) {
        assert_eq!(stage.dispatched, stage.finished + stage.dropped);
        assert_eq!((stage.finished, stage.finished), (own.begun(), own.over()));
    }
    assert_eq!(first.finished, last.dispatched + first.discarded);
    assert_eq!(last.finished, received + last.discarded);
    counters
}

#[test]
fn f_5_counters_add_up_while_it_runs() {
    within(|| {
        for capacity in [1, 64] {
            for (own, ends) in pipelines(capacity) {
                let count = jobs(500);
                let counters = observe(&own, ends, count, |_| {});
                for stage in counters.stages {
                    assert_eq!(
                        (stage.finished, stage.dropped, stage.discarded),
                        (count, 0, 0)
                    );
                }
            }
        }
    });
}

#[test]
fn s_b7_counters_add_up_through_a_stop() {
    within(|| {
        for capacity in [1, 64] {
            for after in [0, jobs(200)] {
                for (own, ends) in pipelines(capacity) {
                    observe(&own, ends, u64::MAX, |handle| {
                        until(|| handle.counters().stages[0].finished >= after);
                        handle.stop();
                    });
                }
            }
        }
    });
}

#[test]
fn s_b6_discarded_results_are_counted() {
    within(|| {
        let (mut dispatcher, pipeline) = Pure::builder::<u64>()
            .capacity(3)
            .stage("a", Instances::new(1), |_| flat_map(|x: u64| 0..x % 3))
            .then("b", |_| map(|x: u64| x))
            .discard()
            .start()
            .unwrap();
        let handle = pipeline.handle();
        let watcher = thread::spawn(move || {
            let mut before = handle.counters();
            while !handle.is_finished() {
                let now = handle.counters();
                for (was, is) in before.stages.iter().zip(&now.stages) {
                    let sum = is.waiting + is.running + is.finished + is.dropped;
                    assert_eq!(is.dispatched, sum);
                    assert!(was.discarded <= is.discarded && was.finished <= is.finished);
                }
                before = now;
            }
        });
        dispatcher.dispatch_all(0..3000).unwrap();
        drop(dispatcher);
        watcher.join().unwrap();
        let counters = pipeline.join().unwrap().counters;
        let counts = |name| {
            let stage = counters.stage(name).unwrap();
            (stage.dispatched, stage.finished, stage.discarded)
        };
        assert_eq!(counts("a"), (3000, 3000, 0));
        assert_eq!(counts("b"), (3000, 3000, 3000));
        assert!(counters.stage("c").is_none());
        assert_eq!(counters.active(), 0);
    });
}

#[test]
fn what_waits_and_runs_is_exact_when_nothing_moves() {
    within(|| {
        let gate = Door::default();
        let stage = gate.clone();
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .capacity(5)
            .workers(2)
            .stage("a", Instances::new(2), move |_| {
                let gate = stage.clone();
                map(move |x: u64| gate.pass(x))
            })
            .start()
            .unwrap();
        dispatcher.dispatch_all(0..6).unwrap();
        gate.reach(2);
        let stage = pipeline.counters().stages[0].clone();
        assert_eq!((stage.dispatched, stage.waiting, stage.running), (6, 4, 2));
        pipeline.stop();
        gate.open();
        assert_eq!(receiver.count(), 2);
        let stage = pipeline.join().unwrap().counters.stages[0].clone();
        assert_eq!((stage.finished, stage.dropped, stage.discarded), (2, 4, 0));
    });
}
