//! Which workers there are, and which duty is at home where.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use super::{Config, DutyPlan};
use crate::affinity::Pin;
use crate::error::PinError;
use crate::placement::WorkerPlacement;

/// Which workers there are, and which duty is at home where.
pub(super) struct Assignment {
    pub(super) workers: Vec<WorkerPlan>,
    /// How many of them poll floating duties; they come first.
    pub(super) floating: usize,
    /// Which of those duties may be at home at.
    pub(super) homes_range: Range<usize>,
    /// By number of duty.
    pub(super) homes: Vec<usize>,
    /// How many cores the workers may use together.
    pub(super) cores: usize,
}

pub(super) struct WorkerPlan {
    pub(super) name: Arc<str>,
    pub(super) core: Option<usize>,
    pub(super) required: bool,
    pub(super) pinned: bool,
    pub(super) refused: Option<PinError>,
    pub(super) duties: Vec<String>,
}

impl WorkerPlan {
    pub(super) fn report(self, worker: usize) -> WorkerPlacement {
        let Self {
            name,
            core,
            pinned,
            refused,
            duties,
            ..
        } = self;
        WorkerPlacement {
            worker,
            name,
            core,
            pinned,
            refused,
            duties,
        }
    }
}

impl Assignment {
    /// Floating duties are put in the order of their instance's share of the stage, then of the stage, and
    /// cut into equal runs: neighbouring stages share a home, instances of one stage do not. There are no
    /// more homes than cores: further workers only help, which they do when a home is held up. Dormant duties come after
    /// that, each where its stage has the fewest. In a pool each worker is home to one duty, so that work that is posted can
    /// call every one of them.
    pub(super) fn new(config: &Config, duties: &[DutyPlan<'_>], has_caller: bool) -> Self {
        let found = config.found();
        let named = config.cores.iter().flatten().copied();
        let bound = duties.iter().filter_map(|duty| duty.core);
        let cores = found.allowed.iter().copied().chain(named).chain(bound);
        let cores = cores.collect::<BTreeSet<_>>().len();
        // The first worker of those that the caller is one of is the caller.
        let mut pin_to: Box<dyn Iterator<Item = usize> + '_> = match &config.cores {
            Some(named) => Box::new(named.iter().copied().cycle()),
            None if has_caller => Box::new(found.in_turn_from_here()),
            None if config.is_beside_caller => Box::new(found.in_turn_from_here().skip(1)),
            None => Box::new(found.allowed.iter().copied().cycle()),
        };
        let floats = |nth: &usize| duties[*nth].core.is_none();
        let all = (0..duties.len()).filter(floats).count();
        let mut order: Vec<usize> = (0..duties.len())
            .filter(|nth| floats(nth) && !duties[*nth].is_dormant())
            .collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (&duties[a], &duties[b]);
            let left = a.instance * b.instances;
            let right = b.instance * a.instances;
            left.cmp(&right).then(a.stage.cmp(&b.stage))
        });
        let wanted = if all == 0 {
            0
        } else {
            let workers = config.workers.unwrap_or_else(|| config.default_workers());
            workers.min(all)
        };
        let floating = if has_caller { wanted.max(1) } else { wanted };
        let most = floating.min(cores);
        // A caller that is inside a job does not feed: it is a home only where others cannot do without it.
        let is_home = !has_caller || most < 2 || order.len() >= most;
        let first_home = usize::from(!is_home);
        let homes_range = first_home..most;
        let homes_count = if config.is_beside_caller {
            floating
        } else {
            homes_range.len().min(order.len().max(1))
        };
        let mut homes = vec![0; duties.len()];
        for (nth, &number) in order.iter().enumerate() {
            homes[number] = first_home + nth * homes_count / order.len();
        }
        let dormant = (0..duties.len()).filter(|&nth| duties[nth].is_dormant());
        for number in dormant {
            let fewest = homes_range.clone().min_by_key(|&home| {
                let there = order.iter().filter(|&&other| homes[other] == home);
                let siblings = there
                    .clone()
                    .filter(|&&other| duties[other].stage == duties[number].stage);
                (siblings.count(), there.count())
            });
            homes[number] = fewest.unwrap_or(first_home);
            order.push(number);
        }

        let mut workers: Vec<WorkerPlan> = (0..floating)
            .map(|index| (index, pin_to.next()))
            .map(|(index, core)| WorkerPlan {
                name: Arc::from(format!("ringmill/{index}")),
                core: core.filter(|_| config.pin != Pin::Off && !(has_caller && index == 0)),
                required: false,
                pinned: false,
                refused: None,
                duties: Vec::new(),
            })
            .collect();
        if has_caller && let Some(caller) = workers.first_mut() {
            caller.name = Arc::from(thread::current().name().unwrap_or("caller"));
        }
        for (number, duty) in duties.iter().enumerate() {
            let Some(core) = duty.core else { continue };
            let shared = (floating..workers.len()).find(|&index| workers[index].core == Some(core));
            homes[number] = shared.unwrap_or_else(|| {
                workers.push(WorkerPlan {
                    name: thread_name(&duty.name, duty.instance),
                    core: Some(core),
                    required: true,
                    pinned: false,
                    refused: None,
                    duties: Vec::new(),
                });
                workers.len() - 1
            });
        }
        for (number, duty) in duties.iter().enumerate() {
            workers[homes[number]]
                .duties
                .push(format!("{}/{}", duty.name, duty.instance));
        }
        Self {
            workers,
            floating,
            homes_range,
            homes,
            cores,
        }
    }
}

/// `stage/i` in the 15 bytes that the kernel keeps, the stage cut at a character.
fn thread_name(stage: &str, instance: usize) -> Arc<str> {
    const KEPT: usize = 15;
    let suffix = format!("/{instance}");
    let mut end = stage.len().min(KEPT.saturating_sub(suffix.len()));
    while !stage.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(format!("{}{suffix}", &stage[..end]))
}
