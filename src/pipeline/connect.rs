//! Which rings lie between two stages, and how they are put there.

use std::sync::Arc;

use super::builder::Link;
use super::relay;
use crate::counters::Tally;
use crate::edge::{Mouth, Route, Rx, To, Tx};
use crate::error::{BuildError, RingError};
use crate::overflow::Overflow;
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
    /// Whether they all take from one ring: it gives results their order, and no lane is near a dormant instance.
    pub(crate) is_one_ring: bool,
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
    mouth: &mut Vec<Tx<'env, P::Item<J>>>,
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
    let Some((size, input)) = shape.window else {
        let (edge, txs, rxs) = edge(plan, capacity, shape.producers, wanted);
        seal(plan, mouth, last, txs);
        return (rxs, edge, Vec::new());
    };
    let stage = wanted.stage.as_ref();
    let (edge_before, placers, mut rx) =
        window_behind(plan, stage, size, &input, shape.producers.unwrap_or(1));
    seal(plan, mouth, last, placers);
    let is_exit = wanted.stage.is_none();
    if wanted.consumers == 1 && wanted.route.is_none() {
        if is_exit && let Some(stage) = plan.stages.last_mut() {
            let tally = Tally::new();
            rx.count_unreceived(&tally);
            stage.instances.push(tally);
        }
        return (vec![rx], edge_before, Vec::new());
    }
    // A window has one consumer: a relay takes from it for the many.
    let (behind, mut txs, rxs) = edge(plan, capacity, Some(1), wanted);
    plan.set_window_before(behind, rx.cursors());
    let between = relay::Between::behind_last(plan, !is_exit);
    let tallies = between.behind.iter().cloned().collect();
    if let Some(tx) = txs.pop() {
        relay::add::<L::Out, E, P>(plan, rx, tx, edge_before, between);
    }
    (rxs, behind, tallies)
}

/// Hides `last`, and keeps the mouth where that gives one.
fn seal<'env, J, E, P, L>(
    plan: &mut Plan<'env, E>,
    mouth: &mut Vec<Tx<'env, P::Item<J>>>,
    last: L,
    txs: Vec<Tx<'env, P::Item<L::Out>>>,
) where
    J: Send + 'env,
    P: Policy<E>,
    L: Link<'env, J, E, P>,
{
    let given = last.seal(plan, txs);
    if !given.is_empty() {
        *mouth = given;
    }
}

/// A window behind `producers` duties, whose tickets are those of the ring `input`, on an edge of its own.
pub(super) fn window_behind<'env, X: Send + 'env>(
    plan: &mut Plan<'env, impl Send + Sync + 'static>,
    stage: Option<&String>,
    size: usize,
    input: &RingArc<Cursors>,
    producers: usize,
) -> (usize, Vec<Tx<'env, X>>, Rx<X>) {
    let edge = plan.add_edge(false);
    let make = |size| window::window(size, RingArc::clone(input));
    let (placer, taker) = ring_or(plan, stage, size, make);
    let mut placers: Vec<_> = (0..producers)
        .map(|_| Tx::to_window(placer.clone()))
        .collect();
    Tx::place(&mut placers, edge, false);
    (edge, placers, Rx::window(taker))
}

/// Hides `last`, whose results go nowhere; returns the mouth if that gives one.
pub(super) fn end_nowhere<'env, J, E, P, L>(
    plan: &mut Plan<'env, E>,
    last: L,
) -> Vec<Tx<'env, P::Item<J>>>
where
    J: Send + 'env,
    E: Send + Sync + 'static,
    P: Policy<E>,
    L: Link<'env, J, E, P>,
{
    let edge = plan.add_edge(false);
    let producers = last.shape().producers.unwrap_or(1);
    let mut txs: Vec<_> = (0..producers).map(|_| Tx::new(To::Nowhere)).collect();
    Tx::place(&mut txs, edge, false);
    last.seal(plan, txs)
}

/// Producers that get a ring each in front of a single consumer, at the most: it looks at all of them in turn, at two
/// cache lines each.
const MERGED: usize = 8;
/// The same in front of several, each of which mostly looks at those near it.
const SHARED: usize = 32;

/// Whether the consumers take from a ring for each producer instead of one that they share: no line moves between
/// producers then, and what one consumer takes comes from one of them, mostly. Receivers are cloned, which ends of
/// many rings cannot be.
fn is_merged<X>(producers: usize, wanted: &Wanted<'_, X>) -> bool {
    let most = match wanted.consumers {
        1 => MERGED,
        _ if wanted.stage.is_some() && !wanted.is_one_ring => SHARED,
        _ => 0,
    };
    (2..=most).contains(&producers) && wanted.route.is_none()
}

/// A new edge and its rings, from `producers` (none: dispatchers) to the consumers wanted.
fn edge<'env, X: Send + 'env>(
    plan: &mut Plan<'env, impl Send + Sync + 'static>,
    capacity: usize,
    producers: Option<usize>,
    wanted: Wanted<'env, X>,
) -> (usize, Vec<Tx<'env, X>>, Vec<Rx<X>>) {
    let has_lanes = wanted.route.is_some();
    let is_merged = producers.is_some_and(|producers| is_merged(producers, &wanted));
    let edge = match producers {
        None => 0,
        Some(_) => plan.add_edge(false),
    };
    if has_lanes {
        plan.set_lanes(edge);
    }
    if is_merged {
        plan.set_merged(edge);
    }
    let (mut txs, rxs) = rings(plan, capacity, producers, is_merged, wanted);
    Tx::place(&mut txs, edge, is_merged);
    (edge, txs, rxs)
}

fn rings<'env, X: Send + 'env>(
    plan: &mut Plan<'env, impl Send + Sync + 'static>,
    capacity: usize,
    producers: Option<usize>,
    is_merged: bool,
    wanted: Wanted<'env, X>,
) -> (Vec<Tx<'env, X>>, Vec<Rx<X>>) {
    let Wanted {
        stage,
        consumers,
        route,
        ..
    } = wanted;
    let stage = stage.as_ref();
    let is_mouth = producers.is_none();
    let is_single = producers.unwrap_or(1) == 1 && !(is_mouth && plan.config.shares_mouth);
    let producers = producers.unwrap_or(1);
    let core = Arc::clone(&plan.executor.core);
    let single = |plan: &mut _| {
        let (tx, rx) = ring_or(plan, stage, capacity, spsc::ring);
        let mut rx = Rx::spsc(rx);
        if !is_mouth {
            return (Tx::new(To::Spsc(tx)), rx);
        }
        rx.set_mouth(&core);
        (Tx::new(To::Mouth(Mouth::new(tx, &core))), rx)
    };
    let evicts = is_mouth && plan.config.overflow == Overflow::DropOldest;
    // Receivers keep nothing that they have claimed, and an instance without siblings has none to leave it to.
    let is_shared = stage.is_some() && !evicts;
    let claims = |consumers: usize| {
        if is_shared && consumers > 1 {
            consumers
        } else {
            0
        }
    };
    let shared = |plan: &mut _, consumers| {
        let (tx, rx) = ring_or(plan, stage, capacity, |capacity| {
            mpmc::shared_ring_at(capacity, 0, claims(consumers))
        });
        let rx = (0..consumers).map(|_| {
            let mut rx = Rx::mpmc(rx.clone(), consumers, evicts);
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
                let (tx, rx) = single(plan);
                lanes.push(tx);
                rxs.push(rx);
            } else {
                let (tx, mut rx) = shared(plan, 1);
                lanes.push(tx);
                rxs.append(&mut rx);
            }
        }
        let first = Tx::to_lanes(lanes, route);
        let mut txs: Vec<_> = (1..producers).map(|_| first.clone()).collect();
        txs.push(first);
        return (txs, rxs);
    }
    if is_single && consumers == 1 {
        let (tx, rx) = single(plan);
        return (vec![tx], vec![rx]);
    }
    if is_merged && consumers == 1 {
        let (txs, lanes) = (0..producers).map(|_| single(plan)).unzip();
        return (txs, vec![Rx::lanes(lanes)]);
    }
    if is_merged {
        let rings = (0..producers).map(|_| {
            ring_or(plan, stage, capacity, |capacity| {
                mpmc::sole_ring_at(capacity, 0, consumers)
            })
        });
        let (txs, lanes): (Vec<_>, Vec<_>) = rings.unzip();
        let rxs = (0..consumers).map(|nth| Rx::shared_lanes(&lanes, nth, consumers));
        return (
            txs.into_iter().map(|tx| Tx::new(To::Sole(tx))).collect(),
            rxs.collect(),
        );
    }
    let (tx, rxs) = shared(plan, consumers);
    ((0..producers).map(|_| tx.clone()).collect(), rxs)
}
