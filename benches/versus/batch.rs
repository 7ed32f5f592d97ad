//! How much of all cores is put to work on a batch: over a slice, and one job per item?

use std::time::Duration;

use ringmill_benches::{LONG, SHORT};

use crate::jobs;
use crate::loads::{Batch, Costs};
use crate::protocol::Case;
use crate::slices;

const GROUP: &str = "batch";
/// The work in a batch over a slice, in nanoseconds.
const WORK: u32 = 20_000_000;

const COSTS: [(&str, Costs); 7] = [
    ("20 ns", Costs::Even(LONG / 50)),
    ("160 ns", Costs::Even(SHORT)),
    ("1 us", Costs::Even(LONG)),
    ("10 us", Costs::Even(LONG * 10)),
    ("100 us", Costs::Even(LONG * 100)),
    ("Pareto", Costs::Pareto),
    ("front-heavy", Costs::FrontHeavy),
];

pub fn cases() -> Vec<Case<'static>> {
    let slices = COSTS
        .iter()
        .map(|&(name, costs)| slices::case(GROUP, format!("slice, {name}"), costs, WORK));
    let jobs = COSTS.iter().map(|&(name, costs)| one_by_one(name, costs));
    slices.chain(jobs).collect()
}

fn one_by_one(name: &str, costs: Costs) -> Case<'static> {
    let turn = move |run: fn(&Batch) -> Duration| {
        move |items| {
            let jobs = costs.batch(items as usize);
            jobs.average(run(&jobs), items)
        }
    };
    Case::rate(GROUP, format!("one job per item, {name}"))
        .subject("ringmill", turn(jobs::ringmill))
        .subject("rayon par_bridge", turn(jobs::rayon_par_bridge))
        .subject("rayon spawn", turn(jobs::rayon_spawn))
        .subject("crossbeam-channel", turn(jobs::crossbeam_channel))
        .subject("threadpool", turn(jobs::threadpool))
        .subject("tokio spawn", turn(jobs::tokio_spawn))
        .subject("pariter", turn(jobs::pariter))
        .limit("sequential / cores", turn(jobs::sequential_by_cores))
}
