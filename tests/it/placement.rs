//! Where stages run: bound, floating and fused; threads' names and cores; what `placement()` says.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use crate::common::{Door, until, within};
use ringmill::stage::map;
use ringmill::{Instances, Pin, Pipeline, Placement, allowed_cores};

type Pure = Pipeline<Infallible>;

/// What the system says about the calling thread.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Here {
    id: ThreadId,
    comm: String,
    cores: String,
}

fn here() -> Here {
    let read = |file: &str| fs::read_to_string(format!("/proc/thread-self/{file}")).unwrap();
    let status = read("status");
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Here {
        id: thread::current().id(),
        comm: read("comm").trim_end().to_string(),
        cores: cores.unwrap().trim().to_string(),
    }
}

/// The names of this process's threads.
fn threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let comm = |task: std::io::Result<fs::DirEntry>| {
        // A thread may be gone before its name is read.
        fs::read_to_string(task.unwrap().path().join("comm")).ok()
    };
    tasks
        .filter_map(comm)
        .map(|name| name.trim_end().to_string())
        .collect()
}

fn names(placement: &Placement) -> Vec<&str> {
    placement
        .workers
        .iter()
        .map(|worker| &*worker.name)
        .collect()
}

/// The first and the last allowed core: the same one, where there is one.
fn two_cores() -> [usize; 2] {
    let allowed = allowed_cores();
    [allowed[0], allowed[allowed.len() - 1]]
}

#[test]
fn f_4_bound_stages_stay_on_their_cores() {
    within(|| {
        let [one, two] = two_cores();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let seen = Arc::clone(&seen);
            move |context: &ringmill::Context| {
                // Not `Send`: built where it is used.
                let built = Rc::new(here());
                let (seen, instance) = (Arc::clone(&seen), context.instance());
                map(move |x: u64| {
                    assert_eq!(*built, here(), "one thread for life");
                    seen.lock().unwrap().push((name, instance, here()));
                    x
                })
            }
        };
        let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
            .capacity(4)
            .stage("bound-a", Instances::bound([one, two]), note("bound-a"))
            .then("fused", note("fused"))
            .stage("bound-b", Instances::bound([one]), note("bound-b"))
            .start()
            .unwrap();
        let placement = pipeline.placement();
        let mut all_a = vec!["bound-a/0", "bound-a/1"];
        all_a.truncate(if one == two { 1 } else { 2 });
        assert_eq!(names(&placement), all_a);
        for (nth, worker) in placement.workers.iter().enumerate() {
            assert_eq!((worker.worker, worker.core), (nth, Some([one, two][nth])));
            assert!(worker.pinned && worker.refused.is_none());
        }
        let duties: Vec<_> = placement
            .workers
            .iter()
            .flat_map(|w| w.duties.clone())
            .collect();
        assert_eq!(duties.len(), 3, "fused stages share their duty: {duties:?}");
        assert!(
            placement.workers[0]
                .duties
                .contains(&"bound-b/0".to_string())
        );
        assert!(threads().contains("bound-a/0"));

        let feeder = thread::spawn(move || dispatcher.dispatch_all(0..200).unwrap());
        assert_eq!(receiver.count(), 200);
        feeder.join().unwrap();
        pipeline.join().unwrap();
        until(|| !threads().contains("bound-a/0"));
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let of_b = seen.iter().find(|entry| entry.0 == "bound-b").unwrap();
        for (name, instance, at) in &seen {
            let core = if *name == "bound-b" {
                one
            } else {
                [one, two][*instance]
            };
            assert_eq!(at.cores, core.to_string());
            assert!(at.comm.starts_with("bound-a/"));
            assert!(
                core != one || of_b.2.id == at.id,
                "the same core, the same worker"
            );
        }
    });
}

#[test]
fn f_4_floating_workers_are_named_numbered_and_pinned_in_turn() {
    within(|| {
        let allowed = allowed_cores();
        for (workers, pin) in [
            (1, Pin::Require),
            (2, Pin::BestEffort),
            (3, Pin::Off),
            (9, Pin::Require),
        ] {
            let spawned = Arc::new(Mutex::new(Vec::new()));
            let on_spawn = Arc::clone(&spawned);
            let (dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .workers(workers)
                .pin(pin)
                .on_spawn(move |worker| on_spawn.lock().unwrap().push((worker, here())))
                .stage("a", Instances::new(2), |_| map(|x: u64| x))
                .stage("b", Instances::new(2), |_| map(|x: u64| x))
                .start()
                .unwrap();
            let count = workers.min(4);
            let placement = pipeline.placement();
            let expected: Vec<_> = (0..count).map(|nth| format!("ringmill/{nth}")).collect();
            assert_eq!(names(&placement), expected);
            let mut duties = BTreeSet::new();
            for (nth, worker) in placement.workers.iter().enumerate() {
                let core = (pin != Pin::Off).then(|| allowed[nth % allowed.len()]);
                assert_eq!((worker.core, worker.pinned), (core, core.is_some()));
                duties.extend(worker.duties.iter().cloned());
            }
            assert!(
                duties
                    .into_iter()
                    .eq(["a/0", "a/1", "b/0", "b/1"].map(String::from))
            );
            let mut spawned = std::mem::take(&mut *spawned.lock().unwrap());
            spawned.sort_by_key(|entry| entry.0);
            assert_eq!(spawned.len(), count);
            for (nth, (worker, at)) in spawned.into_iter().enumerate() {
                assert_eq!((worker, at.comm), (nth, format!("ringmill/{nth}")));
                if pin != Pin::Off {
                    assert_eq!(at.cores, allowed[nth % allowed.len()].to_string());
                }
            }
            drop((dispatcher, receiver));
            pipeline.join().unwrap();
        }
    });
}

#[test]
fn the_cores_asked_for_are_used() {
    within(|| {
        let [_, last] = two_cores();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&seen);
        let builder = Pure::builder::<u64>()
            .workers(2)
            .cores([last])
            .pin(Pin::Require)
            .stage("a", Instances::new(2), move |_| {
                let seen = Arc::clone(&note);
                map(move |x: u64| {
                    seen.lock().unwrap().push(here().cores);
                    x
                })
            });
        let (mut dispatcher, receiver, pipeline) = builder.start().unwrap();
        assert!(
            pipeline
                .placement()
                .workers
                .iter()
                .all(|worker| worker.core == Some(last))
        );
        dispatcher.dispatch_all(0..20).unwrap();
        drop(dispatcher);
        assert_eq!(receiver.count(), 20);
        pipeline.join().unwrap();
        assert!(
            seen.lock()
                .unwrap()
                .iter()
                .all(|cores| *cores == last.to_string())
        );
    });
}

#[test]
fn run_works_on_the_calling_thread() {
    within(|| {
        let me = here();
        let mut ids = BTreeSet::new();
        let report = Pure::builder::<u64>()
            .workers(1)
            .stage("a", Instances::new(1), |_| map(|_: u64| here()))
            .then("b", |_| map(|at: Here| (at, here())))
            .run(0..50, |(first, second)| {
                assert_eq!(first, second, "fused: the same thread");
                ids.insert(format!("{:?}", first.id));
            })
            .unwrap();
        assert_eq!(here(), me, "the caller is not pinned");
        assert!(
            ids.into_iter().eq([format!("{:?}", me.id)]),
            "one worker: the caller"
        );
        let workers = &report.placement.workers;
        assert_eq!(
            (workers.len(), workers[0].core, workers[0].pinned),
            (1, None, false)
        );
        assert_eq!(workers[0].duties, ["a/0"]);

        let [_, last] = two_cores();
        let mut seen = Vec::new();
        let report = Pure::builder::<u64>()
            .workers(2)
            .stage("a", Instances::new(1), |_| map(|x: u64| x))
            .stage("scoped", Instances::bound([last]), |_| map(|_: u64| here()))
            .run(0..50, |at| seen.push(at))
            .unwrap();
        assert!(
            seen.iter()
                .all(|at| at.comm == "scoped/0" && at.cores == last.to_string())
        );
        assert!(names(&report.placement).contains(&"scoped/0"));
    });
}

#[test]
fn g_10_long_names_are_cut_at_a_character() {
    within(|| {
        let core = allowed_cores()[0];
        let long = "0123456789abcdefghij";
        let cases = [
            ("short", "short/0"),
            ("exactly-13-ch", "exactly-13-ch/0"),
            (long, "0123456789abc/0"),
            ("ééééééé", "éééééé/0"),
            ("日本語日本語", "日本語日/0"),
            ("a b/c", "a b/c/0"),
        ];
        for (name, expected) in cases {
            let mut comm = String::new();
            let report = Pure::builder::<u64>()
                .stage(name, Instances::bound([core]), |_| {
                    map(|_: u64| here().comm)
                })
                .run([1], |name| comm = name)
                .unwrap();
            assert_eq!(comm, expected);
            assert_eq!(names(&report.placement)[1], expected);
            assert_eq!(report.placement.workers[1].duties, [format!("{name}/0")]);
            assert!(report.counters.stage(name).is_some());
        }
    });
}

#[test]
fn f_4_whoever_is_free_helps_when_a_home_is_held_up() {
    within(|| {
        // Neighbouring stages share a home. While "slow" is inside a job there, another worker must
        // bring the job through "quick" that lets it go.
        for round in 0..crate::common::jobs(100) {
            let gate = Door::default();
            let (slow, quick) = (gate.clone(), gate.clone());
            let (mut dispatcher, receiver, pipeline) = Pure::builder::<u64>()
                .capacity(8)
                .workers(2)
                .stage("quick", Instances::new(1), move |_| {
                    let gate = quick.clone();
                    map(move |x: u64| {
                        if x == 1000 {
                            gate.open();
                        }
                        x
                    })
                })
                .stage("slow", Instances::new(1), move |_| {
                    let gate = slow.clone();
                    map(move |x: u64| if x == 999 { gate.pass(x) } else { x })
                })
                .start()
                .unwrap();
            let collector = thread::spawn(move || receiver.count() as u64);
            for nth in 0..round % 10 {
                dispatcher.dispatch(nth).unwrap();
            }
            dispatcher.dispatch(999).unwrap();
            if round % 2 == 0 {
                gate.reach(1);
            }
            dispatcher.dispatch(1000).unwrap();
            drop(dispatcher);
            assert_eq!(collector.join().unwrap(), round % 10 + 2);
            pipeline.join().unwrap();
        }
    });
}
