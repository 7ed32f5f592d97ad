//! Whom each duty calls, at both ends of every ring.

use std::sync::Arc;

use super::{CallerDuty, DutyPlan, EdgePlan};
use crate::edge::{Call, Place, taker_of};
use crate::lifecycle::Core;
use crate::lot::{BOUND, Bell, Flags, Lot, Neighbour, Neighbours};

/// Whom each duty calls: what [`Build`] is given.
#[expect(
    missing_debug_implementations,
    reason = "named only in sealed signatures"
)]
pub struct Wiring {
    pub(super) core: Arc<Core>,
    pub(super) lot: Arc<Lot>,
    pub(super) edges: Arc<[Wires]>,
    /// The input edge of each duty, and the duty's place among those who take from it.
    pub(super) inputs: Vec<Place>,
}

/// The duties at both ends of one edge; none where dispatchers or receivers are.
pub(super) struct Wires {
    /// Where each has a ring of its own, in the order of the rings.
    producers: Arc<[Neighbour]>,
    consumers: Arc<[Neighbour]>,
    has_lanes: bool,
    is_merged: bool,
}

impl Wiring {
    fn bell(&self, duties: Neighbours) -> Call {
        if duties.is_empty() {
            Call::Nobody
        } else {
            Call::Duties(Bell::new(&self.lot, duties))
        }
    }

    /// Whom to call behind edge `edge`, ring `lane`.
    pub(crate) fn behind(&self, edge: usize, lane: usize) -> Call {
        let wires = &self.edges[edge];
        if wires.consumers.is_empty() {
            Call::Exit(Arc::clone(&self.core))
        } else if wires.has_lanes {
            self.bell(Neighbours::only(&wires.consumers, lane))
        } else if wires.is_merged {
            let near = taker_of(lane, wires.consumers.len(), wires.producers.len());
            self.bell(Neighbours::from(&wires.consumers, near))
        } else {
            self.bell(Neighbours::all(&wires.consumers))
        }
    }

    /// Whom duty `number` calls in front of it, at lane `lane` of its input.
    pub(crate) fn before(&self, number: usize, lane: usize) -> Call {
        let (edge, nth) = self.inputs[number];
        let wires = &self.edges[edge];
        if wires.producers.is_empty() {
            return Call::Mouth(
                Arc::clone(&self.core),
                if wires.has_lanes { nth } else { 0 },
            );
        }
        self.in_front(edge, lane)
    }

    /// Into how many rings dispatchers push.
    pub(super) fn mouths(&self) -> usize {
        let first = &self.edges[0];
        if first.has_lanes {
            first.consumers.len()
        } else {
            1
        }
    }

    /// Whom to call in front of edge `edge`, lane `lane`.
    pub(crate) fn in_front(&self, edge: usize, lane: usize) -> Call {
        let wires = &self.edges[edge];
        if wires.producers.is_empty() {
            Call::Mouth(Arc::clone(&self.core), 0)
        } else if wires.is_merged {
            self.bell(Neighbours::only(&wires.producers, lane))
        } else {
            self.bell(Neighbours::all(&wires.producers))
        }
    }

    /// The others that share the input of duty `number`.
    pub(crate) fn siblings(&self, number: usize) -> Call {
        let (edge, nth) = self.inputs[number];
        let wires = &self.edges[edge];
        if wires.has_lanes {
            return Call::Nobody;
        }
        self.bell(Neighbours::all_but(&wires.consumers, nth))
    }

    /// The lot's workers and the ends: whether they are more than the cores.
    pub(super) fn is_crowded(&self, outside: usize, cores: usize) -> bool {
        self.lot.len() + outside > cores
    }
}

/// The duties at both ends of each edge, and the place of each duty at its input's.
pub(super) fn wires<'caller, 'own: 'caller>(
    edges: &[EdgePlan],
    duties: &[DutyPlan<'_>],
    flags: &[Neighbour],
    caller: impl Iterator<Item = &'caller CallerDuty<'own>>,
) -> (Arc<[Wires]>, Vec<Place>) {
    let mut producers = vec![Vec::new(); edges.len()];
    let mut consumers = vec![Vec::new(); edges.len()];
    let mut inputs = Vec::new();
    for (duty, flags) in duties.iter().zip(flags) {
        inputs.push((duty.input_edge, consumers[duty.input_edge].len()));
        consumers[duty.input_edge].push(Arc::clone(flags));
        for &(edge, lane) in &duty.outputs {
            producers[edge].push((lane, Arc::clone(flags)));
        }
    }
    for duty in caller {
        let flags = Flags::new(BOUND, 0);
        if duty.is_feed {
            producers[duty.edge].push((0, flags));
        } else {
            consumers[duty.edge].push(flags);
        }
    }
    let ends = producers.into_iter().zip(consumers).zip(edges);
    let wires = ends.map(|((mut producers, consumers), edge)| {
        producers.sort_by_key(|&(lane, _)| lane);
        Wires {
            producers: producers.into_iter().map(|(_, flags)| flags).collect(),
            consumers: consumers.into(),
            has_lanes: edge.has_lanes,
            is_merged: edge.is_merged,
        }
    });
    (wires.collect(), inputs)
}
