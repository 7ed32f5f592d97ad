//! Is ringmill ahead of its peers? Measures both side by side, in rounds in which they take turns.
//!
//! ```text
//! cargo bench -p ringmill-benches --bench versus -- rings rtt --json record.json
//! ```
//! writes one line of JSON per figure, and percentile curves beside it. `--quick` is three rounds within a minute a
//! group, for a look; without a group, every subject of every case runs once, to see that all of them are right.
//! `.ci/turns` compares two revisions; its runs leave out peers by `--only ringmill`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of items and nanoseconds are far from any edge"
)]

mod adjacent;
mod batch;
mod dispatch;
mod effort;
mod executors;
mod idle;
mod jobs;
mod limits;
mod loads;
mod mpmc;
mod openloop;
mod oversubscribed;
mod pipeline;
mod places;
mod plan;
mod protocol;
mod queues;
mod report;
mod rings;
mod rtt;
mod seed;
mod slices;
mod small;
mod staged;
mod startup;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use clap::Parser;

use plan::Plan;
use protocol::Case;

/// A group's name, and its cases.
type Group = (&'static str, fn() -> Vec<Case<'static>>);

const GROUPS: &[Group] = &[
    ("rings", rings::cases),
    ("rtt", rtt::cases),
    ("mpmc", mpmc::cases),
    ("adjacent", adjacent::cases),
    ("dispatch", dispatch::cases),
    ("pipeline", pipeline::cases),
    ("openloop", openloop::cases),
    ("batch", batch::cases),
    ("small", small::cases),
    ("seed", seed::cases),
    ("oversubscribed", oversubscribed::cases),
    ("idle", idle::cases),
    ("startup", startup::cases),
];

#[derive(Parser)]
#[command(about = "Measures ringmill and its peers side by side")]
struct Args {
    /// What to measure; nothing: run everything once, to see that it is right.
    #[arg(value_parser = GROUPS.iter().map(|group| group.0).collect::<Vec<_>>())]
    groups: Vec<String>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    case: String,
    /// Only these subjects, without peers and limits.
    #[arg(long, value_parser = ["ringmill"])]
    only: Option<String>,
    /// Prints the nanoseconds of a word to another core and back, and measures nothing else.
    #[arg(long)]
    core_distance: bool,
    /// Three rounds within a minute a group; not for records.
    #[arg(long)]
    quick: bool,
    /// Writes the lines there, and percentiles beside it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run everything once, to see that it is right.
    #[arg(long)]
    test: bool,
    /// Prints the nanoseconds of this subject's first start in this process.
    #[arg(long, hide = true, value_name = "SUBJECT")]
    first_start: Option<String>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A path as the caller meant it: cargo runs benchmarks in the folder of their package.
fn from_caller(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let is_moved =
        env::var_os("CARGO_MANIFEST_DIR").is_some_and(|folder| here == Path::new(&folder));
    let caller = is_moved.then(|| {
        let cargo = std::os::unix::process::parent_id();
        fs::read_link(format!("/proc/{cargo}/cwd"))
            .ok()
            .or_else(|| env::var_os("PWD").map(PathBuf::from))
    });
    caller.flatten().unwrap_or(here).join(path)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let is_smoke = args.test || args.groups.is_empty();
    let (mut lines, mut curves) = (Vec::new(), Vec::new());
    places::cores();
    if args.core_distance {
        if let Some(distance) = limits::core_distance() {
            println!("{distance}");
        }
        return ExitCode::SUCCESS;
    }
    if let Some(subject) = args.first_start {
        return startup::first_start(&subject);
    }
    for (name, cases) in GROUPS {
        if !args.groups.is_empty() && args.groups.iter().all(|group| group != name) {
            continue;
        }
        let mut cases = cases();
        cases.retain(|case| case.name().contains(&args.case));
        if args.only.is_some() {
            cases.iter_mut().for_each(Case::without_peers);
        }
        let plan = match (is_smoke, args.quick) {
            (true, _) => Plan::SMOKE,
            (_, true) => Plan::quick(cases.iter().map(Case::turns).sum()),
            _ => Plan::FULL,
        };
        println!(
            "\n{name}: {} rounds, medians, ratio to the best peer [95 %]",
            plan.rounds
        );
        for case in cases {
            let (more_lines, more_curves) = case.run(plan);
            if is_smoke {
                println!("{}: {} subjects are right", case.name(), case.turns());
            } else {
                more_lines.iter().for_each(report::print);
            }
            lines.extend(more_lines);
            curves.extend(more_curves);
        }
    }
    let Some(path) = args.json else {
        return ExitCode::SUCCESS;
    };
    let path = from_caller(&path);
    let written =
        report::write_json(&path, &lines).and_then(|()| report::write_curves(&path, &curves));
    if let Err(error) = written {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
