//! After the start a job costs no allocation, whatever kind of ring it passes, wherever its stages run and
//! whoever waits for whom. One test: it counts for the whole process.

#[path = "it/common/mod.rs"]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use ringmill::stage::{flat_map, map};
use ringmill::{Dispatcher, FailFast, Idle, Instances, Pipeline, Receiver, allowed_cores};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands everything on to the system's allocator.
#[expect(unsafe_code, reason = "an allocator that counts")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

type Ends = (
    Dispatcher<u64, Infallible>,
    Receiver<u64, Infallible>,
    Pipeline<Infallible>,
);

/// Every kind of edge and placement.
fn pipelines(capacity: usize, idle: &Idle) -> Vec<(&'static str, Ends)> {
    let allowed = allowed_cores();
    let (one, two) = (allowed[0], allowed[allowed.len() - 1]);
    let builder = || {
        let builder = Pipeline::<Infallible>::builder::<u64>();
        builder.capacity(capacity).idle(idle.clone()).workers(2)
    };
    let same = |_: &ringmill::Context| map(|x: u64| x);
    vec![
        (
            "bound, one producer to one consumer",
            builder()
                .stage("a", Instances::bound([one]), same)
                .stage("b", Instances::bound([two]), same)
                .start()
                .unwrap(),
        ),
        (
            "floating, one to many to many to one",
            builder()
                .stage("a", Instances::new(1), same)
                .stage("b", Instances::new(2), same)
                .stage("c", Instances::new(2), same)
                .stage("d", Instances::new(1), same)
                .start()
                .unwrap(),
        ),
        (
            "fused, no result and several",
            builder()
                .stage("a", Instances::new(1), |_| flat_map(|x: u64| 0..x % 3))
                .then("b", |_| flat_map(|x: u64| [x; 2]))
                .then("c", same)
                .start()
                .unwrap(),
        ),
        (
            "ordered, to one and through a relay to many",
            builder()
                .stage("a", Instances::new(2).ordered(4), same)
                .stage("b", Instances::new(2).ordered(4), |_| {
                    flat_map(|x: u64| 0..x % 3)
                })
                .start()
                .unwrap(),
        ),
        (
            "keyed, from the dispatcher and from a stage",
            builder()
                .stage("a", Instances::new(2).keyed(|x: &u64| *x), same)
                .stage("b", Instances::new(1), same)
                .stage("c", Instances::new(2).keyed(|x: &u64| *x), same)
                .start()
                .unwrap(),
        ),
    ]
}

/// How jobs are dispatched.
#[derive(Clone, Copy, Debug)]
enum Way {
    Singly,
    All,
    Batches,
}

const BATCH: usize = 64;

/// How many allocations there are while another `jobs` jobs come out of the pipeline.
fn cost<D: Send>(
    dispatcher: &mut Dispatcher<u64, Infallible, FailFast, D>,
    receiver: &mut Receiver<u64, Infallible>,
    jobs: u64,
    way: Way,
) -> u64 {
    let (go, wait) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut cost = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut batch = VecDeque::with_capacity(BATCH);
            wait.store(1, SeqCst);
            common::until(|| go.load(SeqCst) == 1);
            match way {
                Way::Singly => (0..jobs).for_each(|nth| dispatcher.dispatch(nth).unwrap()),
                Way::All => {
                    dispatcher.dispatch_all(0..jobs).unwrap();
                }
                Way::Batches => {
                    for first in (0..jobs).step_by(BATCH) {
                        batch.extend(first..jobs.min(first + BATCH as u64));
                        dispatcher.dispatch_batch(&mut batch).unwrap();
                    }
                }
            }
            wait.store(2, SeqCst);
        });
        // The thread and what belongs to it are made by now.
        common::until(|| wait.load(SeqCst) == 1);
        let before = ALLOCATIONS.load(SeqCst);
        go.store(1, SeqCst);
        while wait.load(SeqCst) != 2 {
            let _any = receiver.receive_timeout(std::time::Duration::from_millis(1));
        }
        cost = ALLOCATIONS.load(SeqCst) - before;
    });
    cost
}

fn check(capacity: usize, idle: &Idle, jobs: u64, way: Way) {
    for (name, (mut dispatcher, mut receiver, pipeline)) in pipelines(capacity, idle) {
        // Threads, ends and whatever is made on first use.
        cost(&mut dispatcher, &mut receiver, jobs / 20 + 100, way);
        let few = cost(&mut dispatcher, &mut receiver, jobs, way);
        let many = cost(&mut dispatcher, &mut receiver, 10 * jobs, way);
        assert_eq!((few, many), (0, 0), "{name}, {capacity}, {idle:?}, {way:?}");
        drop(dispatcher);
        receiver.for_each(drop);
        pipeline.join().unwrap();
    }
}

/// What a clone needs it has when it is made: its first job costs no more than the others.
fn check_clones(capacity: usize) {
    for is_keyed in [false, true] {
        let same = |_: &ringmill::Context| map(|x: u64| x);
        let builder = Pipeline::<Infallible>::builder::<u64>()
            .capacity(capacity)
            .many_dispatchers();
        let (mut dispatcher, mut receiver, pipeline) = if is_keyed {
            let keyed = Instances::new(2).keyed(|x: &u64| *x);
            builder.stage("a", keyed, same).start().unwrap()
        } else {
            builder.stage("a", Instances::new(1), same).start().unwrap()
        };
        cost(&mut dispatcher, &mut receiver, 300, Way::Singly);
        for way in [Way::Singly, Way::All, Way::Batches] {
            let mut clone = dispatcher.clone();
            let cost = cost(&mut clone, &mut receiver, common::jobs(300), way);
            assert_eq!(cost, 0, "keyed: {is_keyed}, {capacity}, {way:?}");
        }
        drop(dispatcher);
        receiver.for_each(drop);
        pipeline.join().unwrap();
    }
}

/// What is made once a process: the first thread that is about to sleep asks for light fences, which a thread of its own
/// registers for.
fn make_what_is_made_once() {
    let same = |_: &ringmill::Context| map(|x: u64| x);
    let builder = Pipeline::<Infallible>::builder::<u64>().idle(Idle::parking());
    let started = builder.stage("a", Instances::new(1), same).start();
    let (mut dispatcher, receiver, pipeline) = started.unwrap();
    dispatcher.dispatch(1).unwrap();
    dispatcher.done();
    assert_eq!(receiver.count(), 1);
    pipeline.join().unwrap();
    let is_there = || {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
        names
            .flatten()
            .any(|name| name.starts_with("ringmill/fences"))
    };
    common::until(|| !is_there());
}

#[test]
fn a_job_costs_no_allocation() {
    make_what_is_made_once();
    check(1024, &Idle::backoff(), common::jobs(100_000), Way::Batches);
    check(1024, &Idle::backoff(), common::jobs(5_000), Way::All);
    // Small rings hand over one by one and wake somebody for nearly each job: fewer of them.
    for capacity in [1, 2, 3, 16] {
        check(capacity, &Idle::parking(), common::jobs(200), Way::Singly);
        check(capacity, &Idle::backoff(), common::jobs(300), Way::Batches);
    }
    for capacity in [3, 1024] {
        check_clones(capacity);
    }
}
