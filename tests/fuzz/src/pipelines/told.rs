//! The user's code around a run: hooks, idle strategies, and what a case makes them do.

use std::panic::panic_any;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::thread;

use ringmill::{Builder, Context, Fault, Handle, Idle, IdleStrategy, Pin, Step};

use super::assemble::Judge;
use super::case::{Act, By, Call, End, Event, IdleCase, LOADS, Other};
use super::drive::{Run, lock};
use super::item::{Identity, Item, PLANNED};
use crate::common::Life;

/// A hook's own: dropped with it.
type Kept = (Life, Option<Handle<String>>);

struct Strategy {
    run: Weak<Run>,
    steps: [Step; 2],
    is_second: bool,
}

impl IdleStrategy for Strategy {
    fn idle(&mut self) -> Step {
        tell(&self.run, Call::Idle);
        self.is_second = !self.is_second;
        self.steps[usize::from(!self.is_second)]
    }

    fn reset(&mut self) {
        tell(&self.run, Call::IdleReset);
    }
}

/// Counts a call, if there still is somebody who counts.
fn tell(run: &Weak<Run>, call: Call) {
    if let Some(run) = run.upgrade() {
        run.call(call);
    }
}

impl Run {
    /// A call of this kind: does what the case says of it.
    pub fn call(&self, call: Call) {
        if !call.is_of_idle() {
            super::moves();
        }
        let nth = self.calls[call as usize].fetch_add(1, SeqCst);
        for &(which, at, act) in &self.case.calls {
            match act {
                _ if (which, at) != (call, nth) => {}
                Act::Does(event) => self.happen(event),
                Act::Panic => self.panic(&format!("{PLANNED}{call:?}")),
            }
        }
    }

    /// A panic that is told by its message.
    pub fn panic(&self, message: &str) {
        lock(&self.panics).insert(message.to_string());
        panic_any(message.to_string());
    }

    /// The events whose job and place this is.
    pub fn come_to(&self, job: u32, by: By) {
        for (nth, &(at, event, place)) in self.case.events.iter().enumerate() {
            let is_due = (at, place) == (job, by);
            if is_due && !self.has_happened[nth].swap(true, SeqCst) {
                self.happen(event);
            }
        }
    }

    /// Whether this job's dispatcher leaves before it.
    pub fn leaves_before(&self, job: u32) -> bool {
        let leave = (job, Event::DropDispatcher, By::Feeder);
        self.case.events.contains(&leave)
    }

    pub fn happen(&self, event: Event) {
        let (case, handle) = (&self.case, &self.handle);
        let receives = matches!(case.end, End::Receive | End::ReceiveMany | End::Receivers);
        match event {
            Event::Close => {
                handle.close();
                assert!(handle.is_closed());
            }
            Event::DropReceiver if receives => self.receivers_leave.store(true, SeqCst),
            Event::DropPipeline if !case.is_run() => {
                let owner = lock(&self.owner).take();
                drop(owner); // Not under the lock: it waits for the end.
            }
            Event::Stop | Event::DropReceiver | Event::DropPipeline => {
                handle.stop();
                assert!(handle.is_stopped());
            }
            Event::TokenStop => handle.token().stop(),
            Event::SetErr => {
                let text = format!("{PLANNED}set {}", self.sets.fetch_add(1, SeqCst));
                match handle.set_err(text.clone()) {
                    Ok(()) => {
                        assert!(handle.err().is_some() && handle.is_stopped());
                        lock(&self.set).push(text);
                    }
                    Err(back) => {
                        assert_eq!(back, text, "another error came back");
                        assert!(handle.err().is_some() || handle.is_finished());
                    }
                }
            }
            Event::DropDispatcher => {} // See `leaves_before`.
            Event::Scale(size) => {
                for scaling in self.scalings() {
                    let (least, most) = scaling.limits();
                    scaling
                        .scale_to(size.clamp(least, most))
                        .expect("within its limits");
                    assert!(scaling.scale_to(most + 1).is_err());
                }
            }
            Event::Load(load) => self.scalings().for_each(|scaling| scaling.set_load(load)),
        }
    }

    pub fn scalings(&self) -> impl Iterator<Item = ringmill::Scaling<String>> {
        let sites = self.sites().into_iter();
        sites.filter_map(|site| self.handle.scaling(&site.name))
    }

    /// Does, on a thread of its own, what is to happen there.
    pub fn disturb(&self) {
        let apart = self.case.events.iter().filter(|it| it.2 == By::Apart);
        let mut apart: Vec<_> = apart.map(|&(at, event, _)| (at, event)).collect();
        apart.sort_by_key(|&(at, _)| at);
        let first: Vec<_> = self
            .sites()
            .into_iter()
            .filter(|it| it.depth == 0)
            .collect();
        let begun = || {
            first
                .iter()
                .map(|site| site.begun.load(SeqCst))
                .sum::<u64>()
        };
        let mut apart = apart.into_iter().peekable();
        let mut random = self.case.churn.map(|seed| u32::from(seed) | 0x100);
        while !self.is_over() && (apart.peek().is_some() || random.is_some()) {
            while let Some((_, event)) = apart.next_if(|&(at, _)| begun() >= u64::from(at)) {
                self.happen(event);
            }
            if let Some(random) = &mut random {
                // A shift register (Marsaglia): small, and any order will do.
                *random ^= *random << 13;
                *random ^= *random >> 17;
                *random ^= *random << 5;
                self.happen(if *random & 4 == 0 {
                    Event::Load(LOADS[*random as usize / 8 % LOADS.len()])
                } else {
                    Event::Scale(*random as usize / 8 % 4)
                });
            }
            let yields = random.map_or(1, |random| random >> 8 & 15);
            (0..=yields).for_each(|_| thread::yield_now());
        }
    }

    fn kept(&self) -> Kept {
        let handle = self.case.hooks_own.then(|| self.handle.clone());
        (self.kept.life(), handle)
    }

    fn idle(self: &Arc<Self>) -> Idle {
        let (hints, other) = match self.case.idle {
            IdleCase::Backoff => return Idle::backoff(),
            IdleCase::Yielding => return Idle::yielding(),
            IdleCase::Parking => return Idle::parking(),
            IdleCase::BusySpin => return Idle::busy_spin(),
            IdleCase::Custom(hints, other) => (hints, other),
        };
        let other = match other {
            Other::Spin => Step::Spin(hints),
            Other::Yield => Step::Yield,
            Other::Park => Step::Park,
        };
        let (run, kept) = (Arc::downgrade(self), self.kept.life());
        Idle::custom(move || {
            let _kept = &kept;
            tell(&run, Call::IdleMake);
            Strategy {
                run: Weak::clone(&run),
                steps: [Step::Spin(hints), other],
                is_second: false,
            }
        })
    }

    /// Sets whatever is the same for all policies.
    pub fn set_up<P: Judge, D>(
        self: &Arc<Self>,
        builder: Builder<'static, Item, String, P, D>,
    ) -> Builder<'static, Item, String, P, D> {
        let case = &self.case;
        let of_worker = |call| {
            let (run, kept) = (Arc::downgrade(self), self.kept());
            move |_worker: usize| {
                let _kept = &kept;
                tell(&run, call);
            }
        };
        let of_instance = |call| {
            let (run, kept) = (Arc::downgrade(self), self.kept());
            move |_: &Context| {
                let _kept = &kept;
                tell(&run, call);
            }
        };
        let (counted, spawned) = (self.threads.hook(), of_worker(Call::Spawn));
        let (run, sites, kept) = (Arc::downgrade(self), self.sites(), self.kept());
        let on_fault = move |fault: &Fault<String>| {
            let _kept = &kept;
            // Of hooks and states nobody counts a failure.
            let is_of_job = match fault {
                Fault::Panicked { message, .. } => Identity::read(message).is_some(),
                Fault::Stage { .. } | Fault::Late { .. } => true,
                _ => false,
            };
            if let Fault::Stage { stage, .. }
            | Fault::Panicked { stage, .. }
            | Fault::Late { stage, .. } = fault
                && is_of_job
                && let Some(site) = sites.iter().find(|site| *site.name == **stage)
            {
                site.faults.fetch_add(1, SeqCst);
            }
            tell(&run, Call::Fault);
        };
        let builder = builder
            .capacity(case.capacity)
            .workers(case.workers)
            .idle(self.idle())
            .overflow(case.overflow)
            .pin(if case.is_pinned {
                Pin::BestEffort
            } else {
                Pin::Off
            })
            .on_spawn(move |worker| {
                counted(worker);
                spawned(worker);
            })
            .on_worker_start(of_worker(Call::WorkerStart))
            .on_worker_stop(of_worker(Call::WorkerStop))
            .on_instance_start(of_instance(Call::InstanceStart))
            .on_instance_stop(of_instance(Call::InstanceStop))
            .on_fault(on_fault);
        match case.deadline {
            Some(deadline) => builder.deadline(deadline),
            None => builder,
        }
    }
}
