//! What andy2046's pool promises, a bounded queue before groups of workers with a handler each, and how it
//! was seen to fail.

use std::cell::Cell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::common::alone::alone;
use crate::common::place::{PLACES, Place, empty, enough, everywhere, same, single, three};
use crate::common::{Census, Count, Door, Life, Threads, until, within, within_steps};
use ringmill::stage::map;
use ringmill::{BuildError, Context, DispatchError, Instances, Pipeline, RingError, allowed_cores};

/// The handler of one instance: not to be shared, and it need not be.
struct Handler {
    handled: Cell<u64>,
    total: Arc<AtomicU64>,
}

impl ringmill::Stage<u64, String> for Handler {
    type Out = u64;

    fn job<O: ringmill::Outlet<u64>>(
        &mut self,
        job: u64,
        out: &mut O,
    ) -> Result<ringmill::Flow, String> {
        self.handled.set(self.handled.get() + 1);
        assert!(out.emit(job).is_ok());
        Ok(ringmill::Flow::Done)
    }

    fn end(&mut self) {
        self.total.fetch_add(self.handled.get(), SeqCst);
    }
}

#[test]
fn r_c1_each_instance_has_a_handler_of_its_own() {
    everywhere(|place, capacity| {
        for groups in [1, 2, 5] {
            let all = enough(capacity);
            let (made, total) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
            let (makes, adds) = (made.clone(), total.clone());
            let init = move |context: &Context| {
                assert_eq!(context.instances(), groups);
                makes.fetch_add(1, SeqCst);
                Handler {
                    handled: Cell::new(0),
                    total: adds.clone(),
                }
            };
            let builder = empty::<u64>(capacity).workers(2);
            let (mut dispatcher, receiver, pipeline) = match place {
                Place::Bound => {
                    let cores = allowed_cores().into_iter().cycle();
                    let instances = Instances::bound(cores.take(groups));
                    builder.stage("work", instances, init).start()
                }
                Place::Floating => builder.stage("work", Instances::new(groups), init).start(),
                Place::Fused => builder
                    .stage("first", Instances::new(groups), same)
                    .then("work", init)
                    .start(),
            }
            .unwrap();
            let feeder = thread::spawn(move || dispatcher.dispatch_all(0..all).unwrap());
            assert_eq!(receiver.sum::<u64>(), all * (all - 1) / 2);
            assert_eq!(feeder.join().unwrap() as u64, all);
            pipeline.join().unwrap();
            assert_eq!((made.load(SeqCst), total.load(SeqCst)), (groups, all));
        }
    });
}

/// Whoever hears of the end, in whatever way, finds every job that was accepted done.
#[test]
fn r_c2_what_was_accepted_is_done_before_the_end_is_told() {
    everywhere(|place, capacity| {
        for hears in ["receiver", "handle", "join"] {
            let done = Count::default();
            let does = done.clone();
            let work = move |_: &Context| {
                let done = does.clone();
                map(move |job: u64| {
                    done.add(1);
                    job
                })
            };
            let builder = empty::<u64>(capacity);
            let (mut dispatcher, receiver, pipeline) = three(place, builder, same, same, work);
            let all = usize::try_from(enough(capacity)).unwrap();
            let feeder = thread::spawn(move || {
                let accepted = dispatcher.dispatch_all(0..enough(capacity)).unwrap();
                dispatcher.done();
                accepted
            });
            let handle = pipeline.handle();
            let taker = thread::spawn(move || receiver.count());
            match hears {
                "receiver" => assert_eq!((taker.join().unwrap(), done.get()), (all, all)),
                "handle" => {
                    until(|| handle.is_finished());
                    assert_eq!((done.get(), taker.join().unwrap()), (all, all));
                }
                _ => {
                    pipeline.join().unwrap();
                    assert_eq!((done.get(), taker.join().unwrap()), (all, all));
                }
            }
            assert_eq!(feeder.join().unwrap(), all);
        }
    });
}

/// The memory that this process has in use, in bytes.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Theirs ends with 99,997 goroutines.
#[test]
fn s_c1_a_hundred_thousand_jobs_for_two_workers_that_are_held() {
    type Job = Box<[u8; 4096]>;
    if !alone(
        concat!(
            module_path!(),
            "::s_c1_a_hundred_thousand_jobs_for_two_workers_that_are_held"
        ),
        "",
    ) {
        return;
    }
    within_steps(|step| {
        for place in PLACES {
            // Ten is the scenario's.
            for capacity in [10, 1, 1024] {
                step.say(format!("{place:?} {capacity}"));
                let door = Door::default();
                let _late = door.open_late();
                let enters = door.clone();
                let work = move |_: &Context| {
                    let door = enters.clone();
                    map(move |job: Job| door.pass(job))
                };
                let builder = empty::<Job>(capacity).workers(2);
                let cores = allowed_cores();
                let mut inside = 2;
                let (mut dispatcher, receiver, pipeline) = match place {
                    Place::Bound => {
                        // Where there is one core, its worker is the only one.
                        inside = cores.len().min(2);
                        let instances = Instances::bound(cores.iter().copied().take(2));
                        builder.stage("work", instances, work).start()
                    }
                    Place::Floating => builder.stage("work", Instances::new(2), work).start(),
                    Place::Fused => builder
                        .stage("first", Instances::new(2), |_| map(|job: Job| job))
                        .then("work", work)
                        .start(),
                }
                .unwrap();
                for nth in 1..=inside {
                    dispatcher.dispatch(Job::new([0; 4096])).unwrap();
                    door.reach(nth);
                }
                let before = resident();
                let mut accepted = inside;
                for nth in 0..100_000_u32 {
                    let byte = u8::try_from(nth % 251).unwrap();
                    match dispatcher.try_dispatch(Job::new([byte; 4096])) {
                        Ok(()) => accepted += 1,
                        Err(DispatchError::Full(job)) => assert_eq!(job[17], byte),
                        Err(other) => panic!("{other}"),
                    }
                }
                let grown = resident().saturating_sub(before);
                assert_eq!((accepted, door.inside()), (capacity + inside, inside));
                let kept = 4096 * accepted as u64;
                assert!(
                    grown < (1 << 20) + kept,
                    "{grown} bytes for {accepted} jobs"
                );
                assert!(capacity == 1024 || grown < 1 << 20, "{grown} bytes");
                pipeline.stop();
                door.open();
                assert_eq!(receiver.count(), inside);
                pipeline.join().unwrap();
            }
        }
    });
}

#[test]
fn s_c2_a_close_while_producers_send() {
    everywhere(|place, capacity| {
        for round in 0..8 {
            let census = Census::default();
            let work = |_: &Context| map(|job: Life| job);
            let builder = empty::<Life>(capacity);
            let (dispatcher, receiver, pipeline) = single(place, builder, work);
            let accepted = Count::default();
            let producers = [(); 2].map(|()| {
                let (mut dispatcher, census) = (dispatcher.clone(), census.clone());
                let accepted = accepted.clone();
                thread::spawn(move || {
                    let refused = loop {
                        match dispatcher.dispatch(census.life()) {
                            Ok(()) => accepted.add(1),
                            Err(refused) => break refused,
                        }
                    };
                    assert!(matches!(refused, DispatchError::Closed(_)));
                })
            });
            let taker = thread::spawn(move || receiver.count());
            accepted.reach(3 * round);
            if round % 2 == 0 {
                pipeline.close();
            } else {
                dispatcher.done();
            }
            for producer in producers {
                producer.join().unwrap();
            }
            let results = taker.join().unwrap();
            assert_eq!(results, accepted.get());
            let report = pipeline.join().unwrap();
            let stage = report.counters.stage("work").unwrap();
            assert_eq!((stage.finished, stage.dropped), (results as u64, 0));
            census.is_over();
        }
    });
}

/// Of several bad options the first is told, and nothing has begun. All of them, one by one: `bad_input`.
#[test]
fn s_c5_a_bad_option_is_an_error() {
    within(|| {
        let threads = Threads::default();
        let never = |_: &Context| -> fn(u64) -> Result<u64, String> { panic!("built") };
        let builder = || {
            let builder = Pipeline::<String>::builder::<u64>();
            builder.on_spawn(threads.hook())
        };
        let refused = builder()
            .capacity(0)
            .stage("a", Instances::new(0), never)
            .stage("a", Instances::new(3).ordered(0), never)
            .workers(0)
            .start()
            .map(drop);
        let said = refused.unwrap_err().to_string();
        assert!(!said.is_empty() && said.is_ascii(), "{said}");
        let refused = builder().workers(0).stage("a", Instances::new(1), never);
        assert!(matches!(refused.start(), Err(BuildError::ZeroWorkers)));
        let refused = builder().stage("a", Instances::bound([]), never);
        assert!(matches!(
            refused.start(),
            Err(BuildError::ZeroInstances { .. })
        ));
        let refused = builder()
            .capacity(usize::MAX)
            .stage("a", Instances::new(1), never);
        let Err(BuildError::Ring { stage, error }) = refused.start() else {
            panic!("too large");
        };
        assert_eq!(stage.as_deref(), Some("a"));
        assert!(matches!(error, RingError::CapacityTooLarge { .. }));
        assert_eq!(threads.ever(), 0);
    });
}
