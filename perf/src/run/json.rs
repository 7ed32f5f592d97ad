//! Three stages that each serialise a map and parse it into a new one.

use std::time::{Duration, Instant};

use ringmill::Instances;
use ringmill_perf::letters::{
    CAPACITY, Job, Letters, Total, check, last, letters, round_trip, trip,
};

use crate::args::{JsonArgs, Placement};
use crate::exit::{Exit, Failure, say};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::{Report, Times};

/// Runs the jobs through the executor, then in one loop.
pub(super) fn json(args: &JsonArgs, interrupt: &Interrupt) -> Result<Exit, Failure> {
    let flags = &args.flags;
    let original = letters();
    // A ring before each stage, and one for the results.
    let rings = match flags.placement {
        Placement::Floating | Placement::Bound => 4,
        Placement::Fused => 2,
    };
    let each = rings * super::slot::<Job>();
    let builder = super::builder::<serde_json::Error, Job>(flags, CAPACITY, each)?;
    let handle = builder.handle();
    interrupt.steer(handle.clone());

    let progress = Progress::new("jobs", false);
    progress.expect(args.jobs as u64);
    let mut total = Total::default();
    let collect = |job: Job| {
        progress.step();
        total.add(&job);
    };
    let jobs = (0..args.jobs).map(|_| Job::new(&original));
    let trip = |_: &_| trip();
    let last = |_: &_| last(&original);

    let start = Instant::now();
    let ended = match flags.placement {
        Placement::Floating => {
            let instances = || Instances::new(flags.workers());
            builder
                .stage("first", instances(), trip)
                .stage("second", instances(), trip)
                .stage("third", instances(), last)
                .run(jobs, collect)
        }
        Placement::Bound => {
            let instances = || Instances::bound(flags.bound_cores());
            builder
                .stage("first", instances(), trip)
                .stage("second", instances(), trip)
                .stage("third", instances(), last)
                .run(jobs, collect)
        }
        Placement::Fused => builder
            .stage("first", Instances::new(flags.workers()), trip)
            .then("second", trip)
            .then("third", last)
            .run(jobs, collect),
    };
    let wall = start.elapsed();
    super::settle(ended)?;
    drop(progress);

    let mut report = Report::new("json", &handle, (total.jobs, total.bytes), wall);
    let threads = report.placement.len() as f64;
    let work = total.work.as_secs_f64();
    let outside = threads * report.seconds - work - total.check.as_secs_f64();
    report.times = Some(Times {
        work_seconds: work,
        overhead_seconds: outside.max(0.0),
    });
    report.verified = (total.jobs > 0).then_some(total.right == total.jobs);
    if let Some(sequential) = sequential(args.jobs, &original, interrupt)? {
        report.compare(sequential);
    }
    let printed = if flags.json {
        super::print_json(&report)
    } else {
        super::print_text(&format!("{report}\n"))
    };
    if report.verified == Some(false) {
        say("error: a map came out other than it went in");
        return Ok(Exit::Failed);
    }
    Ok(printed)
}

/// The time of the same work in one loop; none if it was interrupted.
fn sequential(
    jobs: usize,
    original: &Letters,
    interrupt: &Interrupt,
) -> Result<Option<Duration>, Failure> {
    let mut text = Vec::new();
    let mut three = |mut job| {
        for _ in 0..3 {
            job = round_trip(&mut text, job)?;
        }
        Ok(check(job, original))
    };
    let mut total = Total::default();
    let start = Instant::now();
    for _ in 0..jobs {
        if interrupt.pressed() {
            return Ok(None);
        }
        let job = three(Job::new(original));
        total.add(&job.map_err(|error: serde_json::Error| Failure::Job(error.to_string()))?);
    }
    Ok(Some(start.elapsed()))
}
