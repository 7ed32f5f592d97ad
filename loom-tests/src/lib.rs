//! What every model of ringmill needs: how it is run, counted and judged.
//!
//! Models are in `tests/`, one file a module of the library, each run in a process of its own by
//! `cargo loom` (see `src/bin/loom.rs`). loom explores fewer interleavings than it should where a thread
//! loads an atomic and then stores to it (tokio-rs/loom#166, #392). So a model is believed only if
//!
//! * each of its threads begins with a read-modify-write on one shared *gate* (`Scene::spawn`),
//! * every outcome that it names, its *witnesses*, was seen in some execution (`Scene::saw`),
//! * it had at least as many executions as its *floor* says.

#![cfg(loom)]
#![expect(
    unsafe_code,
    reason = "an unsynchronised cell, whose every access loom checks"
)]

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize as Plain, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicUsize;
use loom::thread::{self, JoinHandle};

/// First positions of rings: the second one wraps after two pushes.
pub const STARTS: [usize; 2] = [0, usize::MAX - 1];

/// How many preemptions an execution may have, where `LOOM_MAX_PREEMPTIONS` does not say.
const BOUND: usize = 2;

/// One execution of a model, as its threads see it.
#[derive(Clone)]
pub struct Scene {
    gate: loom::sync::Arc<AtomicUsize>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    /// The first position of the model's rings.
    pub start: usize,
}

impl Scene {
    /// Passes the gate, as each thread does when it begins.
    pub fn enter(&self) {
        self.gate.fetch_add(1, Relaxed);
    }

    /// Passes the gate once more: where loom, left alone, does not come to explore a switch.
    pub fn step(&self) {
        self.enter();
    }

    /// A thread of the model.
    pub fn spawn<R: 'static>(&self, body: impl FnOnce(&Scene) -> R + 'static) -> JoinHandle<R> {
        let scene = self.clone();
        thread::spawn(move || {
            scene.enter();
            body(&scene)
        })
    }

    /// What the model is about has happened. Of what follows, which only ends the scene, one course is explored.
    pub fn settle(&self) {
        loom::stop_exploring();
    }

    /// This outcome has been seen.
    pub fn saw(&self, outcome: impl Into<String>) {
        self.seen.lock().unwrap().insert(outcome.into());
    }
}

/// Explores a model without rings. See [`ring_model`].
pub fn model(
    name: &str,
    floor: usize,
    witnesses: &[&str],
    body: impl Fn(&Scene) + Send + Sync + 'static,
) {
    explore(name, floor, witnesses, &STARTS[..1], body);
}

/// Explores a model once for each of [`STARTS`]: `floor` executions in all at the least, in which the
/// outcomes seen are exactly `witnesses`.
pub fn ring_model(
    name: &str,
    floor: usize,
    witnesses: &[&str],
    body: impl Fn(&Scene) + Send + Sync + 'static,
) {
    explore(name, floor, witnesses, &STARTS, body);
}

fn explore(
    name: &str,
    floor: usize,
    witnesses: &[&str],
    starts: &[usize],
    body: impl Fn(&Scene) + Send + Sync + 'static,
) {
    let body = Arc::new(body);
    let executions = Arc::new(Plain::new(0));
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut bound = BOUND;
    for &start in starts {
        let mut builder = loom::model::Builder::new();
        bound = *builder.preemption_bound.get_or_insert(BOUND);
        builder.max_branches = builder.max_branches.max(10_000);
        let (body, executions, seen) = (body.clone(), executions.clone(), seen.clone());
        builder.check(move || {
            executions.fetch_add(1, Relaxed);
            let scene = Scene {
                gate: loom::sync::Arc::new(AtomicUsize::new(0)),
                seen: seen.clone(),
                start,
            };
            body(&scene);
        });
    }
    let executions = executions.load(Relaxed);
    let seen = seen.lock().unwrap();
    let seen: Vec<_> = seen.iter().map(String::as_str).collect();
    println!(
        "model {name}: {executions} executions, witnesses: {}",
        seen.join(", ")
    );
    if bound < BOUND {
        // What is declared is declared for the bound that is usual.
        return;
    }
    let mut declared = witnesses.to_vec();
    declared.sort_unstable();
    assert_eq!(
        seen, declared,
        "model {name}: outcomes seen, and outcomes declared"
    );
    assert!(
        executions >= floor.max(1),
        "model {name}: {executions} executions, at least {floor} expected"
    );
}

/// Counts items: each is to be dropped exactly once.
#[derive(Clone, Default)]
pub struct Purse(Arc<(Plain, Plain)>);

impl Purse {
    pub fn item(&self, number: usize) -> Item {
        self.0.0.fetch_add(1, Relaxed);
        Item {
            number,
            purse: self.clone(),
        }
    }

    /// Asserts that all items are gone.
    pub fn check(&self) {
        let (made, dropped) = (self.0.0.load(Relaxed), self.0.1.load(Relaxed));
        assert_eq!(made, dropped, "items made, and items dropped");
    }
}

/// An item of a [`Purse`].
pub struct Item {
    pub number: usize,
    purse: Purse,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.purse.0.1.fetch_add(1, Relaxed);
    }
}

/// Unwinds without a message on the screen.
pub fn quiet_panic() -> ! {
    resume_unwind(Box::new("expected by the model"))
}

/// Something that is not synchronised at all: loom refuses two threads that touch it without an order.
pub struct Plot(loom::cell::UnsafeCell<usize>);

impl Plot {
    pub fn new() -> loom::sync::Arc<Self> {
        loom::sync::Arc::new(Self(loom::cell::UnsafeCell::new(0)))
    }

    pub fn set(&self, value: usize) {
        // SAFETY: loom panics if another thread's access is not ordered with this one.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }

    pub fn get(&self) -> usize {
        // SAFETY: as in `set`.
        self.0.with(|cell| unsafe { *cell })
    }

    pub fn add(&self, value: usize) {
        self.set(self.get() + value);
    }
}

// SAFETY: loom checks every access.
unsafe impl Sync for Plot {}
