//! What must be true of a run: while it goes on, and of what is left of it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use ringmill::{Counters, Fault, Overflow};

use super::Report;
use super::assemble::{Part, Seen, key_of};
use super::case::{Case, End, Event, Route, StageCase, Work};
use super::drive::{Run, Witness, lock};
use super::item::{Identity, PLANNED};
use super::model::Model;

/// Whatever else is true of a run, its counters add up: looks at them until the end.
pub fn watch(run: &Run) {
    let sites = run.sites();
    let mut before: Option<Counters> = None;
    loop {
        let is_last = run.handle.is_finished();
        let accepted = run.accepted.load(SeqCst);
        let begun: Vec<_> = sites.iter().map(|site| site.begun.load(SeqCst)).collect();
        let now = run.handle.counters();
        let over: Vec<_> = sites.iter().map(|site| site.over.load(SeqCst)).collect();
        for stage in &now.stages {
            let sum = stage.waiting + stage.running + stage.finished + stage.dropped;
            assert_eq!(stage.dispatched, sum, "{stage:?}");
            // A difference below zero would be astronomic.
            let most = stage.dispatched;
            assert!(stage.waiting <= most && stage.running <= most, "{stage:?}");
            assert!(stage.failed <= stage.finished, "{stage:?}");
        }
        for (was, is) in before
            .iter()
            .flat_map(|was| was.stages.iter().zip(&now.stages))
        {
            assert!(
                was.dispatched <= is.dispatched && was.finished <= is.finished,
                "{was:?} {is:?}"
            );
            assert!(
                was.dropped <= is.dropped && was.discarded <= is.discarded,
                "{was:?} {is:?}"
            );
            assert!(
                was.failed <= is.failed && was.overflowed <= is.overflowed,
                "{was:?} {is:?}"
            );
        }
        if let Some(first) = now.stages.first() {
            assert!(first.dispatched <= run.offered.load(SeqCst), "{first:?}");
            assert!(first.dispatched + first.overflowed >= accepted, "{first:?}");
        }
        for (nth, site) in sites.iter().enumerate() {
            let Some(stage) = now.stage(&site.name) else {
                continue;
            };
            assert!(stage.running + stage.finished >= begun[nth], "{stage:?}");
            if !run.case.per_job && run.case.timeout.is_none() {
                assert!(stage.finished <= over[nth], "{stage:?}");
            }
        }
        before = Some(now);
        if is_last {
            return;
        }
        thread::yield_now();
    }
}

/// How far order is promised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Promise {
    Nothing,
    ByKey,
    All,
}

fn promise(parts: &[Part]) -> Promise {
    let of = |how: &StageCase| match how.route {
        _ if how.instances == 1 && !how.scaled => Promise::All,
        Route::Ordered(_) => Promise::All,
        Route::Keyed => Promise::ByKey,
        Route::Any => Promise::Nothing,
    };
    let each = parts.iter().map(|part| match part {
        Part::Stage(how, _) => of(how),
        Part::Then(_) | Part::Fork(_) => Promise::All,
    });
    each.min().unwrap_or(Promise::All)
}

/// Judges what is left once everything is over.
pub fn judge(case: &Case, witness: Witness) -> Report {
    let Witness {
        run,
        accepted,
        logs,
        joined,
    } = witness;
    let counters = run.handle.counters();
    if let Some(Ok(of_report)) = &joined {
        assert_eq!(of_report, &counters, "the report has the last word");
    }
    let lost = lock(&run.lost).clone();
    let lost_once: HashSet<_> = lost.iter().copied().collect();
    assert_eq!(lost_once.len(), lost.len(), "a job is dropped once");
    let got_in: HashSet<_> = accepted.iter().copied().collect();
    assert_eq!(got_in.len(), accepted.len());
    assert!(
        lost_once.is_subset(&got_in),
        "only accepted jobs are dropped"
    );
    let kept = accepted
        .iter()
        .copied()
        .filter(|job| !lost_once.contains(job));
    let model = Model::new(&run.parts, kept);

    counts(case, &run, &counters, &accepted, lost.len() as u64);
    let received = once(&run, &model, &logs, &lost_once);
    for log in &logs {
        order(case, &run.parts, log);
    }
    match &joined {
        Some(Err(fault)) => blame(case, &model, fault),
        Some(Ok(_)) if case.is_whole() => whole(case, &run, &model, &logs),
        Some(Ok(_)) => {}
        None => assert!(matches!(case.event, Some((_, Event::DropPipeline)))),
    }
    run.census.is_over();
    Report {
        accepted: accepted.len(),
        received,
        is_whole: matches!(joined, Some(Ok(_))) && case.is_whole(),
        has_failed: matches!(joined, Some(Err(_))),
    }
}

/// The counters against those of the stages' own code, of the dispatchers, and of the hooks.
fn counts(case: &Case, run: &Run, counters: &Counters, accepted: &[u32], lost: u64) {
    assert_eq!(counters.active(), 0, "{counters:?}");
    let first = &counters.stages[0];
    assert_eq!(first.overflowed, lost, "{first:?}");
    let newest = accepted.len() as u64 - first.dispatched;
    assert!(newest <= lost, "{first:?}");
    assert!(
        newest == 0 || case.overflow != Overflow::Refuse,
        "{first:?}"
    );
    for stage in &counters.stages {
        assert_eq!(
            stage.dispatched,
            stage.finished + stage.dropped,
            "{stage:?}"
        );
    }
    for site in run.sites() {
        let stage = counters.stage(&site.name).expect("it is counted");
        let (begun, faults) = (site.begun.load(SeqCst), site.faults.load(SeqCst));
        assert_eq!(begun, site.over.load(SeqCst), "{stage:?}");
        assert_eq!(
            stage.failed, faults,
            "{stage:?}: as many as the hook was told of"
        );
        // Those that are not begun, and finished all the same: failures that pass, and jobs that expire.
        let before = counters
            .stages
            .iter()
            .take_while(|it| *it.name != *site.name);
        let failures: u64 = before.map(|it| it.failed).sum();
        let most = begun + if case.per_job { failures } else { 0 };
        let most = most + if case.is_late() { faults } else { 0 };
        assert!(
            (begun..=most).contains(&stage.finished),
            "{stage:?}: {begun} begun, at most {most}"
        );
    }
    // What one stage has made is what the next is given, or was discarded; a stop may end a flat map early.
    for pair in run.parts.windows(2) {
        if let [Part::Stage(_, from) | Part::Then(from), Part::Stage(_, to)] = pair
            && !case.per_job
            && case.timeout.is_none()
        {
            let made = from.made.load(SeqCst);
            let [from_counts, to_counts] =
                [from, to].map(|site| counters.stage(&site.name).expect("it is counted"));
            let arrived = to_counts.dispatched + from_counts.discarded;
            let is_exact = !matches!(from.work, Work::Flat(_));
            assert!(
                arrived <= made,
                "{from_counts:?} {to_counts:?}, {made} made"
            );
            assert!(
                !is_exact || arrived == made,
                "{from_counts:?} {to_counts:?}, {made} made"
            );
        }
    }
}

/// Each value is worked on at most once by each stage, each result received at most once, and all of them come from
/// accepted jobs.
fn once(run: &Run, model: &Model, logs: &[Vec<Seen>], lost: &HashSet<u32>) -> usize {
    for site in run.sites() {
        let seen = lock(&site.seen);
        let given: HashSet<_> = model.given.get(&site.name).into_iter().flatten().collect();
        for (id, times) in seen.iter() {
            assert_eq!(
                *times, 1,
                "{}: {id:?} is worked on {times} times",
                site.name
            );
            assert!(
                !lost.contains(&id.job),
                "{}: {id:?} was dropped, and worked on",
                site.name
            );
            assert!(
                given.contains(id),
                "{}: {id:?} comes from nowhere",
                site.name
            );
        }
    }
    let mut times: HashMap<Seen, u32> = HashMap::new();
    let all = logs.iter().flatten();
    all.clone()
        .for_each(|&seen| *times.entry(seen).or_default() += 1);
    for (seen, times) in times {
        let most = model.out.get(&seen).copied().unwrap_or(0);
        let is_late = seen == Seen::Late && run.case.is_late();
        assert!(
            is_late || times <= most,
            "{seen:?}: {times} times, not {most}"
        );
    }
    all.count()
}

/// The order of one receiver's results, as far as it is promised.
fn order(case: &Case, parts: &[Part], log: &[Seen]) {
    let promise = promise(parts);
    if promise == Promise::Nothing {
        return;
    }
    let fork = parts.iter().find_map(|part| match part {
        Part::Fork([left, _]) => Some(60 - 4 * left.depth),
        _ => None,
    });
    let mut last: HashMap<(u32, u32, Option<u64>), Identity> = HashMap::new();
    for &seen in log {
        let id = match seen {
            Seen::Result(id) => id,
            // A failure has no key, but a place in the order.
            Seen::Failed(id) if promise == Promise::All => id,
            Seen::Failed(_) | Seen::Late => continue,
        };
        let key = if promise == Promise::ByKey {
            key_of(id)
        } else {
            0
        };
        // Four bits a stage, none from where it failed; the right branch counts from 4. What failed before the
        // fork goes through the last branch.
        let branch = fork.map(|shift| match id.path >> shift {
            before if shift < 60 && before >> 4 & 15 == 0 => 1,
            to_branch => (to_branch & 15) / 4,
        });
        let before = last.insert((id.job % case.dispatchers, key, branch), id);
        assert!(
            before.is_none_or(|before| before < id),
            "{before:?} before {id:?}"
        );
    }
}

/// A fault is one that could be expected.
fn blame(case: &Case, model: &Model, fault: &Fault<String>) {
    let is_planned = match fault {
        Fault::Stage { error: text, .. } | Fault::Panicked { message: text, .. } => {
            let id = Identity::read(text).unwrap_or_else(|| panic!("not planned: {fault:?}"));
            !case.per_job && model.out.contains_key(&Seen::Failed(id))
        }
        Fault::Set(text) => {
            text.starts_with(PLANNED) && matches!(case.event, Some((_, Event::SetErr)))
        }
        Fault::Late { .. } => !case.per_job && case.is_late(),
        Fault::DeadlineExceeded { deadline } => case.deadline == Some(*deadline),
        _ => false,
    };
    assert!(is_planned, "not planned: {fault:?}");
}

/// No error, and nobody ended it: every job is through.
fn whole(case: &Case, run: &Run, model: &Model, logs: &[Vec<Seen>]) {
    assert!(case.per_job || !model.has_failures(), "it was to fail");
    for site in run.sites() {
        let given = model.given.get(&site.name).map_or(0, Vec::len);
        assert_eq!(site.begun.load(SeqCst), given as u64, "{}", site.name);
    }
    if case.end != End::Discard {
        let received = logs.iter().flatten().count();
        assert_eq!(
            received as u32,
            model.out.values().sum::<u32>(),
            "each result is received"
        );
    }
}
