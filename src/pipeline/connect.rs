//! Which rings lie between two stages, and how they are put there.

use std::sync::Arc;

use super::builder::Link;
use super::relay;
use crate::counters::Tally;
use crate::edge::{Route, Rx, To, Tx};
use crate::error::{BuildError, RingError};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::ring::cursor::Cursors;
use crate::ring::{mpmc, spsc, window};
use crate::sync::Arc as RingArc;

/// What the next stage, or the receivers, ask of the ring in front of them.
pub(crate) struct Wanted<'env, X> {
    /// Who takes from it; `None` where receivers do.
    pub(crate) stage: Option<String>,
    pub(crate) consumers: usize,
    pub(crate) route: Option<Route<'env, X>>,
}

/// The rings in front of a stage, for counting.
pub(super) fn source<X>(
    plan: &Plan<'_, impl Sized>,
    edge: usize,
    rxs: &[Rx<X>],
) -> Vec<RingArc<Cursors>> {
    if let Some(window) = plan.window_before(edge) {
        return vec![window];
    }
    let mut rings: Vec<RingArc<Cursors>> = Vec::new();
    for cursors in rxs.iter().flat_map(Rx::rings) {
        if !rings
            .iter()
            .any(|ring| std::ptr::eq(&raw const **ring, &raw const **cursors))
        {
            rings.push(RingArc::clone(cursors));
        }
    }
    rings
}

/// A ring as asked for or, where that cannot be, the error and the smallest ring in its place: `start` will
/// say the error, and types need a ring.
fn ring_or<X>(
    plan: &mut Plan<'_, impl Send + Sync + 'static>,
    stage: Option<&String>,
    capacity: usize,
    make: impl Fn(usize) -> Result<X, RingError>,
) -> X {
    match make(capacity) {
        Ok(ring) => ring,
        Err(error) => {
            plan.refuse(BuildError::Ring {
                stage: stage.cloned(),
                error,
            });
            make(1).unwrap_or_else(|error| panic!("no memory for a single slot: {error}"))
        }
    }
}

/// Puts a ring behind `last`, of the kind that its producers and the consumers wanted ask for, and hides
/// `last` in the plan. Returns the consumers' ends, the edge's number, and tallies of what stands between.
pub(crate) fn connect<'env, J, E, P, L>(
    plan: &mut Plan<'env, E>,
    mouth: &mut Option<Tx<'env, P::Item<J>>>,
    capacity: usize,
    last: L,
    wanted: Wanted<'env, P::Item<L::Out>>,
) -> (Vec<Rx<P::Item<L::Out>>>, usize, Vec<Arc<Tally>>)
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    L: Link<'env, J, E, P>,
{
    let shape = last.shape();
    let edge = if shape.producers.is_none() {
        0
    } else {
        plan.add_edge(false)
    };
    let Some((size, input)) = shape.window else {
        let is_mouth = shape.producers.is_none();
        let producers = shape.producers.unwrap_or(1);
        if wanted.route.is_some() {
            plan.set_lanes(edge);
        }
        if !is_mouth && is_merged(producers, &wanted) {
            plan.set_merged(edge);
        }
        let (txs, rxs) = rings(plan, capacity, is_mouth, producers, wanted);
        *mouth = last.seal(plan, edge, txs).or(mouth.take());
        return (rxs, edge, Vec::new());
    };
    let make = |size| window::window(size, RingArc::clone(&input));
    let (placer, taker) = ring_or(plan, wanted.stage.as_ref(), size, make);
    let placers = (0..shape.producers.unwrap_or(1))
        .map(|_| Tx::to_window(placer.clone()))
        .collect();
    let is_direct = wanted.consumers == 1 && wanted.route.is_none();
    let rx = Rx::window(taker);
    if is_direct {
        *mouth = last.seal(plan, edge, placers).or(mouth.take());
        return (vec![rx], edge, Vec::new());
    }
    // A window has one consumer: a relay takes from it for the many.
    plan.set_window_before(edge, rx.cursors());
    *mouth = last.seal(plan, edge, placers).or(mouth.take());
    let behind = plan.add_edge(wanted.route.is_some());
    plan.set_window_before(behind, rx.cursors());
    let is_exit = wanted.stage.is_none();
    let (mut txs, rxs) = rings(plan, capacity, false, 1, wanted);
    let tally = Tally::new();
    if let Some(tx) = txs.pop() {
        relay::add(plan, rx, tx, edge, behind, Arc::clone(&tally), is_exit);
    }
    if is_exit {
        // What a stop makes it drop are results of the stage before.
        if let Some(stage) = plan.stages.last_mut() {
            stage.instances.push(tally);
        }
        return (rxs, behind, Vec::new());
    }
    (rxs, behind, vec![tally])
}

/// Producers that get a ring each in front of a single consumer, at the most: it looks at all of them in turn,
/// at two cache lines each.
const MERGED: usize = 8;

/// Whether the one consumer takes from a ring for each producer instead of one that they share: a push then
/// needs no read-modify-write, and no line moves between producers.
fn is_merged<X>(producers: usize, wanted: &Wanted<'_, X>) -> bool {
    (2..=MERGED).contains(&producers) && wanted.consumers == 1 && wanted.route.is_none()
}

/// Rings from `producers` (dispatchers, if it is the mouth) to the consumers wanted.
fn rings<'env, X: Send + 'env>(
    plan: &mut Plan<'env, impl Send + Sync + 'static>,
    capacity: usize,
    is_mouth: bool,
    producers: usize,
    wanted: Wanted<'env, X>,
) -> (Vec<Tx<'env, X>>, Vec<Rx<X>>) {
    let is_merged = !is_mouth && is_merged(producers, &wanted);
    let Wanted {
        stage,
        consumers,
        route,
    } = wanted;
    let stage = stage.as_ref();
    let is_single = producers == 1 && !is_mouth;
    let core = Arc::clone(&plan.executor.core);
    let shared = |plan: &mut _, consumers| {
        let (tx, rx) = ring_or(plan, stage, capacity, mpmc::ring);
        let rx = (0..consumers).map(|_| {
            let mut rx = Rx::mpmc(rx.clone(), consumers);
            if is_mouth {
                rx.set_mouth(&core);
            }
            rx
        });
        (Tx::new(To::Mpmc(tx)), rx.collect::<Vec<_>>())
    };
    if let Some(route) = route {
        let mut lanes = Vec::new();
        let mut rxs = Vec::new();
        for _ in 0..consumers {
            if is_single {
                let (tx, rx) = ring_or(plan, stage, capacity, spsc::ring);
                lanes.push(Tx::new(To::Spsc(tx)));
                rxs.push(Rx::spsc(rx));
            } else {
                let (tx, mut rx) = shared(plan, 1);
                lanes.push(tx);
                rxs.append(&mut rx);
            }
        }
        let first = Tx::new(To::Lanes { lanes, route });
        let mut txs: Vec<_> = (1..producers).map(|_| first.clone()).collect();
        txs.push(first);
        return (txs, rxs);
    }
    if is_single && consumers == 1 {
        let (tx, rx) = ring_or(plan, stage, capacity, spsc::ring);
        return (vec![Tx::new(To::Spsc(tx))], vec![Rx::spsc(rx)]);
    }
    if is_merged {
        let lanes = (0..producers).map(|_| {
            let (tx, rx) = ring_or(plan, stage, capacity, spsc::ring);
            (Tx::new(To::Spsc(tx)), Rx::spsc(rx))
        });
        let (txs, lanes) = lanes.unzip();
        return (txs, vec![Rx::lanes(lanes)]);
    }
    let (tx, rxs) = shared(plan, consumers);
    ((0..producers).map(|_| tx.clone()).collect(), rxs)
}
