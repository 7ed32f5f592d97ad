//! A start that fails half way leaves nothing behind, and says why.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use super::{Job, Pure, same};
use crate::common::alone::alone;
use crate::common::{until, within};
use ringmill::stage::map;
use ringmill::{
    BuildError, Context, Idle, IdleStrategy, Instances, Pin, RunError, Step, allowed_cores,
};

/// Whether this process has a thread whose name begins like this; the system shows one for a moment after
/// it was joined.
fn has_thread(prefix: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    names.flatten().any(|name| name.starts_with(prefix))
}

/// In a process with room for the stacks of a few threads only: one after the first is refused.
#[test]
fn g_14_a_thread_refused_after_others_leaves_nothing_behind() {
    let own = concat!(
        module_path!(),
        "::g_14_a_thread_refused_after_others_leaves_nothing_behind"
    );
    if !alone(own, "ulimit -v 1500000 &&") {
        return;
    }
    within(|| {
        let built = Arc::new(AtomicUsize::new(0));
        let init = |built: &Arc<AtomicUsize>| {
            let built = Arc::clone(built);
            move |_: &Context| {
                built.fetch_add(1, SeqCst);
                let guard = Guard(Arc::clone(&built));
                map(move |x: u64| x + u64::from(guard.0.load(SeqCst) == 0))
            }
        };
        for _ in 0..3 {
            let start = || {
                let builder = Pure::builder::<u64>().workers(50).pin(Pin::Off);
                let builder = builder.stack_size(200 << 20);
                builder.stage("bad-few", Instances::new(50), init(&built))
            };
            let error = start().start().map(drop).unwrap_err();
            let BuildError::Spawn { thread, .. } = &error else {
                panic!("{error:?}");
            };
            let nth: usize = thread.strip_prefix("ringmill/").unwrap().parse().unwrap();
            assert!(nth > 0, "some could be started: {error}");
            assert_eq!(built.load(SeqCst), 0, "every state is dropped");
            let ran = start().run(0..9, drop).map(drop).unwrap_err();
            assert!(matches!(ran, RunError::Build(BuildError::Spawn { .. })));
            assert_eq!(built.load(SeqCst), 0);
            until(|| !has_thread("ringmill/"));
        }
        // Bound stages have a thread for each core: of a size that just fits, there is room for one.
        if let [one, two, ..] = *allowed_cores() {
            let refused = (5..30).rev().find_map(|size| {
                let builder = Pure::builder::<u64>().stack_size(size * (50 << 20));
                let instances = Instances::bound([one, two]);
                let started = builder.stage("bad-few", instances, init(&built)).start();
                let error = started.map(drop).unwrap_err();
                assert_eq!(built.load(SeqCst), 0);
                until(|| !has_thread("bad-few"));
                let BuildError::Spawn { thread, .. } = error else {
                    panic!("{error:?}");
                };
                (thread != "bad-few/0").then_some(thread)
            });
            assert_eq!(refused.as_deref(), Some("bad-few/1"));
        }
        // What there is room for starts all the same.
        let mut count = 0;
        let builder = Pure::builder::<u64>().workers(2);
        let builder = builder.stage("a", Instances::new(2), same);
        builder.run(0..100, |_| count += 1).unwrap();
        assert_eq!(count, 100);
    });
}

/// Counts down when it is dropped.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A panic's payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("bomb");
        }
    }
}

#[test]
fn what_panics_at_the_start_is_an_error_of_start() {
    within(|| {
        let core = allowed_cores()[0];
        for instances in 1..=2 {
            let cores = vec![core; instances];
            let error = refused!(Pure::builder::<u64>().stage(
                "init-a",
                Instances::bound(cores.clone()),
                move |context| {
                    assert!(context.instance() + 1 < instances, "no such file");
                    same(context)
                }
            ));
            let BuildError::Init {
                stage,
                instance,
                message,
            } = error
            else {
                panic!("{error:?}");
            };
            assert_eq!(
                (&*stage, instance, &*message),
                ("init-a", instances - 1, "no such file")
            );
            let error = refused!(
                Pure::builder::<u64>()
                    .stage("init-a", Instances::new(instances), same)
                    .then("init-b", |_| -> Job { panic!("no such file") })
            );
            assert!(matches!(error, BuildError::Init { instance: 0, .. }));
            until(|| !has_thread("init-"));
        }
        let builder = Pure::builder::<u64>().on_spawn(|_| panic!("no hook"));
        let error = builder
            .stage("init-a", Instances::new(2), same)
            .start()
            .unwrap_err();
        assert!(matches!(error, BuildError::Hook { message, .. } if message == "no hook"));
    });
}

#[test]
fn a_payload_that_panics_too_is_an_error_of_start() {
    within(|| {
        let core = allowed_cores()[0];
        let bomb = |_: &Context| -> Job { std::panic::panic_any(Bomb) };
        for instances in [1, 2] {
            let started = catch_unwind(AssertUnwindSafe(|| {
                let cores = vec![core; instances];
                let builder = Pure::builder::<u64>();
                builder
                    .stage("bad-a", Instances::bound(cores), bomb)
                    .start()
                    .map(drop)
            }));
            assert!(!matches!(started, Ok(Ok(()))), "it cannot have started");
        }
    });
}

struct Spin;

impl IdleStrategy for Spin {
    fn idle(&mut self) -> Step {
        Step::Yield
    }
    fn reset(&mut self) {}
}

#[test]
fn an_idle_strategy_that_cannot_be_made_is_an_error_of_start() {
    within(|| {
        let core = allowed_cores()[0];
        // The worker's is made first; then the dispatcher's and the receiver's, on this thread.
        for bad in 0..3 {
            let made = AtomicUsize::new(0);
            let idle = Idle::custom(move || {
                assert!(made.fetch_add(1, SeqCst) != bad, "no strategy");
                Spin
            });
            let builder = Pure::builder::<u64>().idle(idle);
            let stages = builder.stage("bad-idle", Instances::bound([core]), same);
            let error = stages.start().map(drop).unwrap_err();
            assert!(matches!(error, BuildError::Hook { message, .. } if message == "no strategy"));
            until(|| !has_thread("bad-idle"));
        }
    });
}
