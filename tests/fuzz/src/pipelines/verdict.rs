//! What must be true of a run: while it goes on, and of what is left of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use ringmill::{Counters, Fault, Handle, Overflow};

use super::Report;
use super::assemble::{Part, Seen, key_of};
use super::case::{COUNTERS_END, Call, Case, End, Event, Route, StageCase, Work};
use super::drive::{Ended, Run, Witness, lock};
use super::item::{Identity, PLANNED, Site};
use super::model::Model;

/// Whatever else is true of a run, its counters add up: looks at them until the end.
pub fn watch(run: &Run) {
    let sites = run.sites();
    let mut before: Option<Counters> = None;
    let mut first_fault = None;
    loop {
        let is_finished = run.handle.is_finished();
        let is_last = run.is_over();
        let fault = run.handle.err();
        if let Some(first) = &first_fault {
            let is_same = |fault| Arc::ptr_eq(first, fault);
            assert!(
                fault.as_ref().is_some_and(is_same),
                "the first error is gone"
            );
        }
        first_fault = fault;
        for scaling in run.scalings() {
            let (size, target, (least, most)) =
                (scaling.size(), scaling.target(), scaling.limits());
            assert!(size <= most, "{scaling:?}");
            assert!((least..=most).contains(&target), "{scaling:?}");
        }
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
        if is_finished {
            *lock(&run.at_end) = Some((now, begun));
            return;
        }
        if is_last {
            return;
        }
        before = Some(now);
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
        _ if how.is_single() => Promise::All,
        Route::Ordered(_) => Promise::All,
        Route::Keyed => Promise::ByKey,
        Route::Any => Promise::Nothing,
    };
    let each = parts.iter().map(|part| match part {
        Part::Stage(how, _) => of(how),
        Part::Then(_) | Part::Fork { .. } => Promise::All,
    });
    each.min().unwrap_or(Promise::All)
}

/// Judges what is left once everything is over.
pub fn judge(case: &Case, witness: Witness) -> Report {
    let Witness {
        run,
        mut accepted,
        unsure,
        logs,
        ended,
    } = witness;
    run.census.is_over();
    run.states.is_over();
    let mut report = Report::default();
    if let Ended::Refused(error) = &ended {
        let panics = lock(&run.panics);
        assert!(
            panics.iter().any(|panic| error.contains(panic)),
            "not planned: {error}"
        );
        report.was_refused = true;
        return report;
    }
    let counters = run.handle.counters();
    let lost = lock(&run.lost).clone();
    let lost_once: HashSet<_> = lost.iter().copied().collect();
    assert_eq!(lost_once.len(), lost.len(), "a job is dropped once");
    // Of a batch that panicked some are in: those that were begun or dropped surely are.
    let got_in = |&job: &u32| {
        let id = Identity { job, path: 0 };
        let begun = |site: &Arc<Site>| site.depth == 0 && lock(&site.seen).contains_key(&id);
        lost_once.contains(&job) || run.sites().iter().any(begun)
    };
    let (in_all_the_same, perhaps): (Vec<_>, Vec<_>) = unsure.into_iter().partition(got_in);
    accepted.extend(in_all_the_same);
    let got_in: HashSet<_> = accepted.iter().copied().collect();
    assert_eq!(got_in.len(), accepted.len());
    assert!(
        lost_once.is_subset(&got_in),
        "only accepted jobs are dropped"
    );
    let possible = accepted.iter().chain(&perhaps).copied();
    let kept = possible.filter(|job| !lost_once.contains(job));
    let model = Model::new(&run.parts, case.copy_panic, kept);

    counts(
        case,
        &run,
        &counters,
        &accepted,
        &perhaps,
        lost.len() as u64,
    );
    after(case, &run, &counters);
    report.received = once(&run, &model, &logs, &lost_once);
    for log in &logs {
        order(case, &run.parts, log);
    }
    if let Some(fault) = run.handle.err() {
        blame(case, &run, &model, &fault);
    }
    errors(&run.handle, &lock(&run.set), &ended);
    report.accepted = accepted.len();
    match &ended {
        Ended::Joined(of_report) => {
            let [of_report, counters] = [of_report, &counters].map(|it| settled(&run, it));
            assert_eq!(of_report, counters, "the report has the last word");
            if case.is_whole() {
                whole(case, &run, &accepted, &logs);
                report.is_whole = true;
            }
        }
        Ended::Failed(_) => report.has_failed = true,
        Ended::Unwound => assert!(case.is_run() && run.handle.is_stopped()),
        Ended::Dropped => assert!(case.may(Event::DropPipeline)),
        Ended::Refused(_) => unreachable!("see above"),
    }
    report
}

/// The counters as far as they cannot change after the end.
fn settled(run: &Run, counters: &Counters) -> Counters {
    let mut counters = counters.clone();
    let last = run.parts.iter().rev().find_map(|part| match part {
        Part::Stage(how, _) => Some(how),
        Part::Then(_) | Part::Fork { .. } => None,
    });
    if !COUNTERS_END
        && last.is_some_and(StageCase::has_window)
        && let Some(stage) = counters.stages.last_mut()
    {
        stage.discarded = 0;
    }
    counters
}

/// The first error wins, and whoever was told that theirs is the first was told the truth.
fn errors(handle: &Handle<String>, set: &[String], ended: &Ended) {
    let fault = handle.err();
    match ended {
        Ended::Failed(told) => assert!(fault.as_ref().is_some_and(|it| Arc::ptr_eq(it, told))),
        Ended::Joined(_) => assert!(fault.is_none(), "joined without {fault:?}"),
        _ => {}
    }
    let first = match fault.as_deref() {
        Some(Fault::Set(text)) => Some(text),
        _ => None,
    };
    assert_eq!(first, set.first(), "another error is the first");
    assert!(set.len() <= 1, "two were first: {set:?}");
}

/// Once it has finished nothing more happens, and whoever was told of a beginning was told of the end.
fn after(case: &Case, run: &Run, counters: &Counters) {
    if let Some((at_end, begun)) = &*lock(&run.at_end) {
        let [at_end, counters] = [at_end, counters].map(|it| settled(run, it));
        assert_eq!(at_end, counters, "it went on after the end");
        for (site, begun) in run.sites().iter().zip(begun) {
            assert_eq!(site.begun.load(SeqCst), *begun, "{} went on", site.name);
        }
    }
    for scaling in run.scalings() {
        assert_eq!(scaling.size(), 0, "{scaling:?}");
    }
    let calls = |call: Call| run.calls[call as usize].load(SeqCst);
    assert_eq!(calls(Call::WorkerStart), calls(Call::WorkerStop), "workers");
    if !case.has_state_panics() {
        let (starts, stops) = (calls(Call::InstanceStart), calls(Call::InstanceStop));
        assert_eq!(starts, stops, "instances");
    }
}

/// The counters against those of the stages' own code, of the dispatchers, and of the hooks.
fn counts(
    case: &Case,
    run: &Run,
    counters: &Counters,
    accepted: &[u32],
    perhaps: &[u32],
    lost: u64,
) {
    assert_eq!(counters.active(), 0, "{counters:?}");
    let first = &counters.stages[0];
    assert_eq!(first.overflowed, lost, "{first:?}");
    // What was dropped as the newest never got in.
    let (sure, most) = (
        accepted.len() as u64,
        (accepted.len() + perhaps.len()) as u64,
    );
    assert!(first.dispatched <= most, "{first:?}: {most} at most");
    let newest = sure.saturating_sub(first.dispatched);
    assert!(newest <= lost, "{first:?}: {sure} accepted");
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
            let is_exact = !matches!(from.work, Work::Flat(_)) && to.key_panic.is_none();
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
        Part::Fork { branches, .. } => Some(60 - 4 * branches[0].depth),
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
        // Four bits a stage; the right branch counts from 5. What has come to neither goes through the last one.
        let branch = fork.map(|shift| match id.path >> shift & 15 {
            0 => 1,
            to_branch => (to_branch - 1) / 4,
        });
        let before = last.insert((id.job % case.dispatchers, key, branch), id);
        assert!(
            before.is_none_or(|before| before < id),
            "{before:?} before {id:?}"
        );
    }
}

/// A fault is one that could be expected.
fn blame(case: &Case, run: &Run, model: &Model, fault: &Fault<String>) {
    let is_planned = match fault {
        Fault::Stage { error: text, .. } | Fault::Panicked { message: text, .. } => {
            match Identity::read(text) {
                Some(id) => !case.per_job && model.out.contains_key(&Seen::Failed(id)),
                None => lock(&run.panics).contains(text),
            }
        }
        Fault::Set(text) => text.starts_with(PLANNED) && case.may(Event::SetErr),
        Fault::Late { .. } => !case.per_job && case.is_late(),
        Fault::DeadlineExceeded { deadline } => case.deadline == Some(*deadline),
        _ => false,
    };
    assert!(is_planned, "not planned: {fault:?}");
}

/// No error, and nobody ended it: every job is through.
fn whole(case: &Case, run: &Run, accepted: &[u32], logs: &[Vec<Seen>]) {
    let lost = lock(&run.lost);
    let kept = accepted.iter().copied().filter(|job| !lost.contains(job));
    let model = Model::new(&run.parts, case.copy_panic, kept);
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
