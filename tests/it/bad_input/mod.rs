//! Bad input is a typed error before anything runs, or does what the docs say: never a panic, an abort or
//! a hang.

/// The error of starting, and that running says the same; no job is asked for.
macro_rules! refused {
    ($build:expr) => {{
        let started = $build.start().map(drop).unwrap_err();
        let jobs = (0..).map(|_| -> u64 { panic!("nothing may be taken from the iterator") });
        let RunError::Build(ran) = $build.run(jobs, drop).map(drop).unwrap_err() else {
            panic!("it cannot be built");
        };
        assert_eq!(ran.to_string(), started.to_string());
        started
    }};
}

// Behind the macro, which they use.
mod affinity;
mod drops;
mod forgotten;
mod start;

use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use crate::common::{Door, within};
use ringmill::ring::{mpmc, spsc};
use ringmill::stage::map;
use ringmill::{
    BuildError, Context, Idle, Instances, Pin, PinError, Pipeline, ReceiveTimeoutError, RingError,
    RunError, allowed_cores,
};

type Pure = Pipeline<Infallible>;
type Job = ringmill::stage::Map<fn(u64) -> u64>;

fn same(_: &Context) -> Job {
    map(|x| x)
}

fn ring_error(error: BuildError) -> (Option<String>, RingError) {
    match error {
        BuildError::Ring { stage, error } => (stage, error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn g_1_capacity_0() {
    assert_eq!(spsc::ring::<u64>(0).unwrap_err(), RingError::ZeroCapacity);
    assert_eq!(mpmc::ring::<u64>(0).unwrap_err(), RingError::ZeroCapacity);
    let error = refused!(Pure::builder::<u64>().capacity(0).stage(
        "bad-a",
        Instances::new(1),
        same
    ));
    assert_eq!(
        error.to_string(),
        "stage \"bad-a\": a ring's capacity is 0; it must be at least 1"
    );
    assert_eq!(
        ring_error(error),
        (Some("bad-a".to_string()), RingError::ZeroCapacity)
    );
    let error = refused!(
        Pure::builder::<u64>()
            .stage("bad-a", Instances::new(1), same)
            .capacity(0)
    );
    assert_eq!(ring_error(error), (None, RingError::ZeroCapacity));
}

#[test]
fn g_2_g_3_any_capacity_is_exact() {
    for capacity in 1..=20 {
        let (mut tx, _rx) = spsc::ring(capacity).unwrap();
        assert_eq!(
            (0..capacity + 3)
                .filter(|&x| tx.try_push(x).is_ok())
                .count(),
            capacity
        );
        let (tx, _rx) = mpmc::ring(capacity).unwrap();
        assert_eq!(
            (0..capacity + 3)
                .filter(|&x| tx.try_push(x).is_ok())
                .count(),
            capacity
        );
    }
}

#[test]
fn g_4_capacities_beyond_the_address_space() {
    let most = isize::MAX as usize;
    for capacity in [usize::MAX, most, most / 8 + 1, most / 16 + 1, 1 << 58] {
        for refused in [
            spsc::ring::<u64>(capacity).err(),
            mpmc::ring::<u64>(capacity).err(),
        ] {
            match refused.unwrap() {
                RingError::CapacityTooLarge {
                    capacity: named, ..
                }
                | RingError::OutOfMemory {
                    capacity: named, ..
                } => assert_eq!(named, capacity),
                other => panic!("{other:?}"),
            }
        }
        let error = refused!(Pure::builder::<u64>().capacity(capacity).stage(
            "bad-a",
            Instances::new(2),
            same
        ));
        assert_eq!(ring_error(error).0.as_deref(), Some("bad-a"));
        let error = refused!(
            Pure::builder::<u64>()
                .stage("bad-a", Instances::new(2).ordered(capacity), same)
                .stage("bad-b", Instances::new(1), same)
        );
        assert_eq!(ring_error(error).0.as_deref(), Some("bad-b"));
    }
    assert_eq!(
        spsc::ring::<[u8; 4096]>(most / 4096 + 1).unwrap_err(),
        RingError::CapacityTooLarge {
            capacity: most / 4096 + 1,
            size: 4096
        }
    );
}

#[test]
fn g_5_s_b4_zero_workers_or_instances() {
    let error = refused!(
        Pure::builder::<u64>()
            .workers(0)
            .stage("bad-a", Instances::new(1), same)
    );
    assert!(matches!(error, BuildError::ZeroWorkers));
    for instances in [0, 1] {
        let first = Instances::new(instances);
        let error = refused!(
            Pure::builder::<u64>()
                .stage("bad-a", first.clone(), same)
                .stage("bad-b", Instances::new(0).ordered(3), same)
        );
        let named = if instances == 0 { "bad-a" } else { "bad-b" };
        assert!(matches!(error, BuildError::ZeroInstances { stage } if stage == named));
    }
    let error = refused!(Pure::builder::<u64>().stage("bad-a", Instances::bound([]), same));
    assert!(matches!(error, BuildError::ZeroInstances { stage } if stage == "bad-a"));
    let error = refused!(
        Pure::builder::<u64>()
            .cores([])
            .stage("bad-a", Instances::new(1), same)
    );
    assert!(matches!(error, BuildError::NoCores));
    let folded = Pure::builder::<u64>()
        .stage("bad-a", Instances::new(1), same)
        .fold(Instances::new(0), |_| 0, |sum, x| *sum += x);
    let error = folded.start().map(drop).unwrap_err();
    assert!(matches!(error, BuildError::ZeroInstances { stage } if stage == "fold"));
}

#[test]
fn g_6_more_workers_than_duties_are_not_made() {
    within(|| {
        for workers in [100_000, usize::MAX] {
            let (dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .workers(workers)
                .stage("bad-a", Instances::new(3), same)
                .start()
                .unwrap();
            assert_eq!(pipeline.placement().workers.len(), 3);
            drop((dispatcher, receiver));
            pipeline.join().unwrap();
        }
        let mut out = Vec::new();
        Pure::builder::<u64>()
            .stage("bad-many", Instances::new(1000), same)
            .run(0..100, |x| out.push(x))
            .unwrap();
        out.sort_unstable();
        assert!(out.into_iter().eq(0..100));
    });
}

#[test]
fn g_7_g_8_cores_that_are_not_allowed() {
    let allowed = allowed_cores();
    // The first that this system will never have, the last that a mask has a place for, and others that none has.
    let possible = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
    let possible: Vec<usize> = possible
        .trim()
        .split([',', '-'])
        .map(|number| number.parse().unwrap())
        .collect();
    let beyond = possible.iter().max().unwrap() + 1;
    for core in [beyond, 1023, 1024, 1_000_000, usize::MAX] {
        let pin_error = PinError::NotAllowed {
            core,
            allowed: allowed.to_vec(),
        };
        let error = refused!(
            Pure::builder::<u64>()
                .stage("bad-a", Instances::new(1), same)
                .stage("bad-b", Instances::bound([allowed[0], core]), same)
        );
        let text = error.to_string();
        assert!(
            text.contains("bad-b") && text.contains(&core.to_string()),
            "{text}"
        );
        assert!(matches!(error, BuildError::Core { error, .. } if error == pin_error));
        for pin in [Pin::Require, Pin::BestEffort] {
            let builder = Pure::builder::<u64>().cores([allowed[0], core]).pin(pin);
            let error = builder
                .stage("bad-a", Instances::new(1), same)
                .start()
                .unwrap_err();
            assert!(matches!(error, BuildError::Core { error, .. } if error == pin_error));
        }
    }
}

#[test]
fn g_9_g_10_names() {
    let cases = [
        ("", "is empty"),
        ("bad-a", "is taken by another stage"),
        ("bad\0", "holds a NUL"),
    ];
    for (bad, expected) in cases {
        let check = |error: BuildError| match error {
            BuildError::StageName { name, problem } => {
                assert_eq!((&*name, problem), (bad, expected))
            }
            other => panic!("{other:?}"),
        };
        check(refused!(
            Pure::builder::<u64>()
                .stage("bad-a", Instances::new(1), same)
                .stage(bad, Instances::new(1), same)
        ));
        check(refused!(
            Pure::builder::<u64>()
                .stage("bad-a", Instances::new(1), same)
                .then(bad, same)
        ));
    }
    let folded = Pure::builder::<u64>()
        .stage("fold", Instances::new(1), same)
        .fold(Instances::new(1), |_| 0, |sum, x| *sum += x);
    let error = folded.start().map(drop).unwrap_err();
    assert!(matches!(error, BuildError::StageName { name, .. } if name == "fold"));
    // A name of any length does; what becomes of it in the threads' names, `placement.rs` tests.
    let long = "long ".repeat(10_000);
    let builder = Pure::builder::<u64>();
    let core = allowed_cores()[0];
    assert!(
        builder
            .stage(long, Instances::bound([core]), same)
            .run(0..9, drop)
            .is_ok()
    );
}

#[test]
fn g_11_zero_sized_jobs() {
    within(|| {
        for capacity in [1, 3, 1024] {
            for instances in [
                Instances::new(1),
                Instances::new(2),
                Instances::new(2).ordered(3),
            ] {
                let mut count = 0;
                Pure::builder::<()>()
                    .capacity(capacity)
                    .stage("a", instances.clone(), |_| map(|()| ()))
                    .stage("b", Instances::new(1), |_| map(|()| ()))
                    .run(std::iter::repeat_n((), 1000), |()| count += 1)
                    .unwrap();
                assert_eq!(count, 1000);
            }
        }
        // Nothing is needed for as many as there can be, and nobody counts them one by one.
        let (mut tx, mut rx) = spsc::ring::<()>(1 << 60).unwrap();
        assert_eq!(tx.push_batch(std::iter::repeat_n((), 1000)), 1000);
        assert_eq!(rx.drain(1 << 60, drop), 1000);
    });
}

#[test]
fn g_12_jobs_of_4_kib() {
    within(|| {
        for capacity in [1, 3, 64] {
            let mut out = Vec::new();
            let jobs = (0..300_u16).map(|nth| [nth; 2048]);
            Pure::builder::<[u16; 2048]>()
                .capacity(capacity)
                .stage("a", Instances::new(2).ordered(5), |_| {
                    map(|job: [u16; 2048]| job)
                })
                .stage("b", Instances::new(1), |_| map(|job: [u16; 2048]| job))
                .run(jobs, |job| out.push(job))
                .unwrap();
            assert!(
                out.iter()
                    .zip(0..300)
                    .all(|(job, nth)| job.iter().all(|&x| x == nth))
            );
            assert_eq!(out.len(), 300);
        }
    });
}

#[test]
fn g_16_windows_timeouts_and_thresholds_of_0() {
    for count in [1, 2] {
        let instances = Instances::new(count).ordered(0);
        let error = refused!(Pure::builder::<u64>().stage("bad-a", instances.clone(), same));
        assert!(matches!(error, BuildError::ZeroWindow { stage } if stage == "bad-a"));
    }
    let both = || Instances::new(2).keyed(|x: &u64| *x).ordered(4);
    let error = refused!(Pure::builder::<u64>().stage("bad-a", both(), same));
    assert!(matches!(error, BuildError::KeyedAndOrdered { stage } if stage == "bad-a"));
    // No time and no load: such a limit would be passed at once.
    let one = || Instances::new(1);
    let within_none = || Pure::builder::<u64>().deadline(Duration::ZERO);
    let error = refused!(within_none().stage("bad-a", one(), same));
    assert!(matches!(error, BuildError::ZeroTime { .. }));
    let due_at_once = || Pure::builder::<u64>().job_timeout(Duration::ZERO);
    let error = refused!(due_at_once().stage("bad-a", one(), same));
    assert!(matches!(error, BuildError::ZeroTime { .. }));
    let by_none = || Instances::new(1).up_to(2).by_load(0);
    let error = refused!(Pure::builder::<u64>().stage("bad-a", by_none(), same));
    assert!(matches!(error, BuildError::ZeroLoad { stage } if stage == "bad-a"));
    within(|| {
        // A watch with a threshold of 0 names whoever is inside a job.
        let door = Door::default();
        let _late = door.open_late();
        let enters = door.clone();
        let work = move |_: &Context| {
            let door = enters.clone();
            map(move |job: u64| door.pass(job))
        };
        let builder = Pure::builder::<u64>();
        let (mut dispatcher, _receiver, pipeline) =
            builder.stage("a", Instances::new(1), work).start().unwrap();
        let mut watch = pipeline.watch();
        assert!(watch.stuck(Duration::ZERO).is_empty());
        dispatcher.dispatch(1).unwrap();
        door.reach(1);
        let stuck = watch.stuck(Duration::ZERO);
        assert_eq!((stuck.len(), stuck[0].instance), (1, 0));
        drop(dispatcher);
        door.open();
        pipeline.join().unwrap();

        // No time at all still takes what is there.
        for idle in [Idle::backoff(), Idle::backoff_hot(Duration::ZERO)] {
            let (mut dispatcher, mut receiver, pipeline) = Pure::builder::<u64>()
                .idle(idle)
                .stack_size(0)
                .stage("a", Instances::new(1), same)
                .start()
                .unwrap();
            let nothing = receiver.receive_timeout(Duration::ZERO);
            assert_eq!(nothing, Err(ReceiveTimeoutError::Timeout));
            dispatcher.dispatch_timeout(7, Duration::ZERO).unwrap();
            assert_eq!(receiver.receive(), Some(7));
            assert_eq!(receiver.receive_many(&mut Vec::new(), 0), 0);
            let still = pipeline.join_timeout(Duration::ZERO).unwrap_err();
            dispatcher.done();
            let nothing = receiver.receive_timeout(Duration::MAX);
            assert_eq!(nothing, Err(ReceiveTimeoutError::Done));
            let joined = still.pipeline.join_timeout(Duration::ZERO).unwrap();
            assert_eq!(joined.unwrap().counters.stages[0].finished, 1);
        }
    });
}

/// Ends after 10 jobs, and would go on if it were asked again, as an iterator may.
struct Restarts(u64);

impl Iterator for Restarts {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 += 1;
        (!self.0.is_multiple_of(11)).then_some(self.0)
    }
}

#[test]
fn an_iterator_that_has_ended_is_not_asked_again() {
    within(|| {
        for capacity in [1, 64] {
            let mut results = Vec::new();
            let builder = || {
                let builder = Pure::builder::<u64>().capacity(capacity);
                builder.stage("only", Instances::new(1), same)
            };
            builder()
                .run(Restarts(0), |result| {
                    results.push(result);
                    assert!(result < 1000, "it has no end");
                })
                .unwrap();
            assert_eq!(results, (1..=10).collect::<Vec<_>>());

            let (mut dispatcher, receiver, pipeline) = builder().start().unwrap();
            let receiving = std::thread::spawn(move || receiver.collect::<Vec<_>>());
            let jobs = Restarts(0).inspect(|&job| assert!(job < 1000, "it has no end"));
            assert_eq!(dispatcher.dispatch_all(jobs), Ok(10));
            drop(dispatcher);
            assert_eq!(receiving.join().unwrap(), (1..=10).collect::<Vec<_>>());
            pipeline.join().unwrap();
        }
    });
}
