//! Where stages run: bound, floating and fused; threads' names and cores; what `placement()` says.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use crate::common::alone::alone;
use crate::common::masks::{all_numbers, move_here, move_to, own_cores};
use crate::common::{Door, Gate, until, within};
use ringmill::stage::map;
use ringmill::{
    BuildError, Builder, Ends, FailFast, Instances, One, Pin, Pipeline, Placement, Pool,
    allowed_cores, on_all_cores,
};

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

type Started = Result<Ends<u64, Infallible, FailFast, u64, One, One>, BuildError>;

/// What `placement()` says of an executor, which ends then.
fn placed(started: Started) -> Placement {
    let (dispatcher, receiver, pipeline) = started.unwrap();
    let placement = pipeline.placement();
    drop((dispatcher, receiver));
    pipeline.join().unwrap();
    placement
}

/// Starts with as many instances as could ever be needed, and nothing said about workers and cores.
fn unnamed(pin: Pin) -> Placement {
    let builder = Pure::builder::<u64>().pin(pin);
    placed(
        builder
            .stage("a", Instances::new(1024), |_| map(|x: u64| x))
            .start(),
    )
}

/// Starts one stage that is bound to a core.
fn bound(core: usize) -> Started {
    let builder = Pure::builder::<u64>();
    builder
        .stage("a", Instances::bound([core]), |_| map(|x: u64| x))
        .start()
}

fn cores_of(placement: &Placement) -> Vec<usize> {
    let workers = placement.workers.iter();
    workers.map(|worker| worker.core.unwrap()).collect()
}

/// Calls `f` on a thread that is pinned to a core.
fn pinned<R: Send>(core: usize, f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            move_here(core);
            let result = f();
            assert_eq!(own_cores(), [core], "its mask is as it was");
            result
        });
        thread.join().unwrap()
    })
}

#[test]
fn cores_do_not_depend_on_the_thread_that_asks_first() {
    let test = "::cores_do_not_depend_on_the_thread_that_asks_first";
    if !alone(&format!("{}{test}", module_path!()), "") {
        return;
    }
    within(|| {
        let allowed = own_cores();
        let (one, last) = (allowed[0], allowed[allowed.len() - 1]);
        // The least of the cores of this thread, which are all, and of a quota.
        let count = thread::available_parallelism().unwrap().get();
        let check = |placement: &Placement, caller: &[usize]| {
            assert_eq!(cores_of(placement), allowed[..count]);
            assert!(placement.workers.iter().all(|worker| worker.pinned));
            assert!(placement.shared_cores().is_empty());
            let cores = &placement.cores;
            assert_eq!((&*cores.allowed, &*cores.caller), (&*allowed, caller));
            assert_eq!(cores.quota, (count < allowed.len()).then_some(count));
            assert!(cores.online >= allowed.len());
        };
        for core in [one, last] {
            check(&pinned(core, || unnamed(Pin::BestEffort)), &[core]);
            check(&pinned(core, || unnamed(Pin::Require)), &[core]);
            assert_eq!(pinned(core, allowed_cores), allowed);
            let workers = || Pool::builder().start().unwrap().workers();
            assert_eq!((pinned(core, workers), workers()), (count, count));
            for other in [one, last] {
                let placement = pinned(core, || placed(bound(other)));
                assert_eq!(cores_of(&placement), [other]);
                assert!(placement.workers[0].pinned);
                assert_eq!(placement.cores.quota, None, "no number depends on it");
            }
            // Left to the scheduler, workers are where the thread that starts them is.
            let off = pinned(core, || unnamed(Pin::Off));
            assert_eq!(off.workers.len(), 1);
            assert_eq!((&*off.cores.allowed, off.cores.quota), (&[core][..], None));
        }
        check(&unnamed(Pin::BestEffort), &allowed);
        assert_eq!(unnamed(Pin::Off).workers.len(), count);
        assert_eq!(cores_of(&placed(bound(last))), [last]);
    });
}

#[test]
fn a_process_whose_threads_are_all_pinned_to_one_core_keeps_to_it_unless_others_are_named() {
    let test =
        "::a_process_whose_threads_are_all_pinned_to_one_core_keeps_to_it_unless_others_are_named";
    if !alone(&format!("{}{test}", module_path!()), "") {
        return;
    }
    within(|| {
        let [one, last] = two_cores();
        for number in all_numbers() {
            move_to(number, one);
        }
        assert_eq!(allowed_cores(), [one]);
        let placement = unnamed(Pin::BestEffort);
        assert_eq!(cores_of(&placement), [one]);
        says_one_core(&placement, one);
        let builder = || Pure::builder::<u64>().workers(2);
        let two = Instances::new(2);
        let start = |builder: Builder<'static, u64, Infallible>| {
            placed(builder.stage("a", two.clone(), |_| map(|x: u64| x)).start())
        };
        let placement = start(builder());
        assert_eq!(cores_of(&placement), [one, one]);
        assert_eq!(
            placement.shared_cores(),
            BTreeMap::from([(one, vec![0, 1])])
        );
        says_one_core(&placement, one);
        // The system judges named cores, and duties are at home on all of them.
        let placement = start(builder().cores([one, last]));
        assert_eq!(cores_of(&placement), [one, last]);
        assert_eq!(placement.shared_cores().is_empty(), one != last);
        let homes = placement.workers.iter();
        let homes = homes.filter(|worker| !worker.duties.is_empty()).count();
        assert_eq!(homes, if one == last { 1 } else { 2 });
        // While a thread is pinned to a core, that is one of the process's.
        let (dispatcher, receiver, pipeline) = bound(last).unwrap();
        assert!(pipeline.placement().workers[0].pinned);
        assert!(allowed_cores().into_iter().eq(BTreeSet::from([one, last])));
        drop((dispatcher, receiver));
        pipeline.join().unwrap();
        until(|| allowed_cores() == [one]);
    });
}

#[test]
fn a_process_that_is_started_on_one_core_keeps_to_it() {
    within(|| {
        let [one, _] = two_cores();
        move_here(one); // What this thread starts inherits its mask.
        let test = "::a_process_that_is_started_on_one_core_keeps_to_it";
        if !alone(&format!("{}{test}", module_path!()), "") {
            return;
        }
        assert_eq!(allowed_cores(), [one]);
        let placement = unnamed(Pin::BestEffort);
        assert_eq!(cores_of(&placement), [one]);
        says_one_core(&placement, one);
    });
}

/// The cores that its display ends with.
fn says_one_core(placement: &Placement, core: usize) {
    let cores = &placement.cores;
    assert_eq!(
        (&*cores.allowed, &*cores.caller),
        (&[core][..], &[core][..])
    );
    let expected = match cores.online {
        1 => "1 core".to_string(),
        online => format!("1 of {online} cores: the calling thread's mask is {{{core}}}"),
    };
    let text = placement.to_string();
    assert_eq!(text.lines().last(), Some(&*expected), "{text}");
}

#[test]
fn two_workers_on_one_core_are_said() {
    within(|| {
        let [one, last] = two_cores();
        let workers = |workers| Pure::builder::<u64>().workers(workers);
        let two = || Instances::new(2);
        let named = workers(2).cores([last]);
        let named = placed(named.stage("a", two(), |_| map(|x: u64| x)).start());
        assert_eq!(named.shared_cores(), BTreeMap::from([(last, vec![0, 1])]));
        // Where there is one core, the second worker only helps.
        let [first, second] = if one == last {
            ["a/0, a/1", "no duty of its own"]
        } else {
            ["a/0", "a/1"]
        };
        let expected = format!(
            "worker 0 \"ringmill/0\", core {last}; {first}\n\
             worker 1 \"ringmill/1\", core {last}; {second}\n\
             2 workers on core {last}: [0, 1]\n{}",
            named.cores
        );
        assert_eq!(named.to_string(), expected);
        // A worker that is bound beside one that floats.
        let beside = workers(1).cores([last]);
        let beside = beside.stage("a", Instances::new(1), |_| map(|x: u64| x));
        let beside = beside.stage("b", Instances::bound([last]), |_| map(|x: u64| x));
        let beside = placed(beside.start());
        assert_eq!(beside.shared_cores(), BTreeMap::from([(last, vec![0, 1])]));
        // Nobody shares where each has a core of its own, and where none has.
        let off = workers(2).cores([last]).pin(Pin::Off);
        let off = placed(off.stage("a", two(), |_| map(|x: u64| x)).start());
        assert!(off.shared_cores().is_empty());
        assert!(
            off.to_string()
                .starts_with("worker 0 \"ringmill/0\", any core; ")
        );
        if one != last {
            let each = workers(2).cores([one, last]);
            let each = placed(each.stage("a", two(), |_| map(|x: u64| x)).start());
            assert!(each.shared_cores().is_empty());
        }
    });
}

#[test]
fn a_closure_runs_on_all_cores_from_inside_a_job() {
    let test = "::a_closure_runs_on_all_cores_from_inside_a_job";
    if !alone(&format!("{}{test}", module_path!()), "") {
        return;
    }
    within(|| {
        let allowed = own_cores();
        assert_eq!(on_all_cores(own_cores), Ok(allowed.clone()));
        for core in [allowed[0], allowed[allowed.len() - 1]] {
            let job = move || {
                assert_eq!(own_cores(), [core]);
                let gate = Gate::default();
                let go = gate.clone();
                let thread = on_all_cores(|| {
                    thread::spawn(move || {
                        go.pass();
                        own_cores()
                    })
                });
                assert_eq!(own_cores(), [core], "narrow again");
                gate.open();
                let kept = thread.unwrap().join().unwrap();
                let panics = || on_all_cores(|| assert_eq!(own_cores(), [usize::MAX]));
                assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
                assert_eq!(own_cores(), [core], "narrow again after a panic");
                kept
            };
            assert_eq!(pinned(core, job), allowed);
            let mut seen = Vec::new();
            Pure::builder::<u64>()
                .stage("a", Instances::bound([core]), |_| map(move |_: u64| job()))
                .run([1], |kept| seen.push(kept))
                .unwrap();
            assert_eq!(seen.pop(), Some(allowed.clone()));
        }
    });
}
