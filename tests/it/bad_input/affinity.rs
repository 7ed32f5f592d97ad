//! G15: the system refuses to pin a thread, or somebody moves one while it runs.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "system calls that std has no name for")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Pure, same};
use crate::common::alone::alone;
use crate::common::masks::{move_here, move_to, own_number};
use crate::common::place::{empty, enough, everywhere, single};
use crate::common::{Count, Threads, core, until, within};
use ringmill::stage::map;
use ringmill::{BuildError, Context, Instances, Pin, PinError, allowed_cores, on_all_cores};

/// From now on the system refuses to pin this thread, and all that it starts, to a core.
fn refuse_to_pin() {
    const NUMBER: u32 = 0; // Where a call's number stands in what a filter looks at.
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let is_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(load, 0, 0, NUMBER),
        step(is_equal, 0, 1, libc::SYS_sched_setaffinity as u32),
        step(give, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(give, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: takes numbers only.
    let closed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives until the call, which copies it, returns.
    let filtered = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!((closed, filtered), (0, 0), "the system can filter calls");
}

#[test]
fn g_15_affinity_is_refused() {
    if !alone(concat!(module_path!(), "::g_15_affinity_is_refused"), "") {
        return;
    }
    within(|| {
        let core = allowed_cores()[0]; // Read before anything is refused.
        refuse_to_pin();
        let refusal = PinError::Refused { core };
        let threads = Threads::default();
        let builder = || Pure::builder::<u64>().on_spawn(threads.hook());
        // As well as it goes: placement says so, and all is done.
        for pin in [Pin::BestEffort, Pin::Off] {
            let (mut dispatcher, receiver, pipeline) = builder()
                .workers(2)
                .cores([core])
                .pin(pin)
                .stage("a", Instances::new(2).ordered(4), same)
                .start()
                .unwrap();
            for worker in pipeline.placement().workers {
                assert!(!worker.pinned);
                let expected = (pin == Pin::BestEffort).then(|| refusal.clone());
                assert_eq!(worker.refused, expected);
            }
            let feeder = thread::spawn(move || dispatcher.dispatch_all(0..500).unwrap());
            assert!(receiver.eq(0..500));
            feeder.join().unwrap();
            pipeline.join().unwrap();
        }
        // Required, which it is where a stage is bound.
        let required = builder().cores([core]).pin(Pin::Require);
        let required = required.stage("a", Instances::new(2), same).start();
        let bound = builder().stage("a", Instances::bound([core]), same).start();
        for refused in [required, bound] {
            let Err(BuildError::Core { who, error }) = refused else {
                panic!("it was to be pinned");
            };
            assert!(who.contains("ringmill/0") || who.contains("a/0"), "{who}");
            assert_eq!(error, refusal);
        }
        assert_eq!(threads.alive(), 0);
        // A system that says nothing of a core answers when its worker pins itself; a core that no mask has a place for is
        // refused before.
        for (core, expected) in [
            (1023, PinError::Refused { core: 1023 }),
            (
                1024,
                PinError::NotAllowed {
                    core: 1024,
                    allowed: allowed_cores(),
                },
            ),
        ] {
            let bound = builder().stage("a", Instances::bound([core]), same).start();
            let Err(BuildError::Core { error, .. }) = bound else {
                panic!("no mask holds it");
            };
            assert_eq!(error, expected);
        }
    });
}

#[test]
fn a_wide_mask_is_refused() {
    if !alone(concat!(module_path!(), "::a_wide_mask_is_refused"), "") {
        return;
    }
    within(|| {
        let allowed = allowed_cores();
        move_here(allowed[0]);
        refuse_to_pin();
        let mut is_called = false;
        let widened = on_all_cores(|| is_called = true);
        let is_narrow = allowed.len() > 1;
        assert_eq!(is_called, !is_narrow);
        let refused = PinError::NotWidened { cores: allowed };
        assert_eq!(widened, if is_narrow { Err(refused) } else { Ok(()) });
        // Workers cannot leave the core of the thread that starts them, and all is done there.
        let mut out = Vec::new();
        let builder = Pure::builder::<u64>().stage("a", Instances::new(2).ordered(4), same);
        builder.run(0..500, |x| out.push(x)).unwrap();
        assert!(out.into_iter().eq(0..500));
    });
}

#[test]
fn g_15_affinity_is_changed_from_outside() {
    everywhere(|place, capacity| {
        let (all, moved) = (enough(capacity), Count::default());
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let (seen, moves) = (Arc::clone(&numbers), moved.clone());
        let work = move |_: &Context| {
            let (seen, moves) = (Arc::clone(&seen), moves.clone());
            map(move |job: u64| {
                if job.is_multiple_of(64) {
                    let (own, mut seen) = (own_number(), seen.lock().unwrap());
                    if !seen.contains(&own) {
                        seen.push(own);
                    }
                    drop(seen);
                    moves.reach(1);
                }
                job
            })
        };
        let builder = empty::<u64>(capacity).workers(2);
        let (mut dispatcher, receiver, pipeline) = single(place, builder, work);
        let is_over = Arc::new(AtomicBool::new(false));
        let until_over = Arc::clone(&is_over);
        let mover = thread::spawn(move || {
            while !until_over.load(SeqCst) {
                let threads = numbers.lock().unwrap().clone();
                for core in allowed_cores() {
                    for &thread in &threads {
                        move_to(thread, core);
                        moved.add(1);
                    }
                }
                thread::yield_now();
            }
        });
        let before = pipeline.placement();
        let feeder = thread::spawn(move || dispatcher.dispatch_all(0..all).map(|_| dispatcher));
        let mut receiver = receiver;
        assert!(
            receiver
                .by_ref()
                .take(usize::try_from(all).unwrap())
                .eq(0..all),
            "in order"
        );
        // No thread ends before nobody moves it any more.
        is_over.store(true, SeqCst);
        mover.join().unwrap();
        drop(feeder.join().unwrap());
        assert_eq!(receiver.receive(), None);
        // What it says is what came of the start.
        let report = pipeline.join().unwrap();
        let cores = |placement: &ringmill::Placement| {
            let workers = placement.workers.iter();
            workers
                .map(|worker| (worker.core, worker.pinned))
                .collect::<Vec<_>>()
        };
        assert_eq!(cores(&report.placement), cores(&before));
    });
    // A core that was taken away and given back.
    within(|| {
        let [core] = core();
        move_here(core);
        let mut out = Vec::new();
        let builder = Pure::builder::<u64>().workers(2).pin(Pin::Require);
        let builder = builder.stage("a", Instances::new(2).ordered(4), same);
        builder.run(0..500, |x| out.push(x)).unwrap();
        assert!(out.into_iter().eq(0..500));
        until(|| allowed_cores().contains(&core));
    });
}
