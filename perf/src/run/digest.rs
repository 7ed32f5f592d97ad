//! SHA-256 of files, in order: one stage of several instances that reads and hashes.
//!
//! There is one step, so `--placement fused` is the same as `floating` here.
//!
//! Memory: the sorted paths, and one block of file data per instance. At most [`window`] files
//! are begun and not printed, and a block is less than 1 MiB.

mod escape;
mod hasher;
mod output;
mod paths;

use std::convert::Infallible;
use std::iter;
use std::time::Instant;

use ringmill::{Context, Instances, stage};

use self::hasher::{Hasher, Job};
use self::output::{Output, Troubles};
use crate::args::{DigestArgs, Placement};
use crate::exit::{Exit, Failure, say};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::Report;

/// Paths that wait in a ring. Ctrl-c finishes them, so they are few.
const CAPACITY: usize = 64;

/// Results that may wait for an earlier one, at least one per instance.
fn window(instances: usize) -> usize {
    instances.max(64)
}

/// Walks, hashes and prints.
pub(super) fn digest(args: &DigestArgs, interrupt: &Interrupt) -> Result<Exit, Failure> {
    let flags = &args.flags;
    let builder = super::builder::<Infallible, Job>(flags, CAPACITY, super::slot::<Job>())?;
    let handle = builder.handle();
    interrupt.steer(handle.clone());

    let progress = Progress::new("files", !flags.json);
    let troubles = Troubles::new(&progress);
    // The walk begins once the executor stands: a flag that it refuses is refused at once.
    let files = iter::once_with(|| {
        let unread = |path: &_, error: &_| troubles.say(path, error);
        let files = paths::files(&args.paths, unread, || interrupt.pressed());
        progress.expect(files.len() as u64);
        files
    });
    let jobs = files.flatten().enumerate().map(Job::from);
    let mut output = Output::new(flags.json, &troubles, handle.clone());
    let collect = |digested| {
        progress.step();
        output.take(&digested);
    };
    let hasher = |context: &Context| {
        let mut hasher = Hasher::new(context.token());
        stage::map(move |job| hasher.digest(job))
    };

    let window = window(flags.workers());
    let start = Instant::now();
    let ended = match flags.placement {
        Placement::Floating | Placement::Fused => {
            let instances = Instances::new(flags.workers()).ordered(window);
            builder.stage("hash", instances, hasher).run(jobs, collect)
        }
        Placement::Bound => {
            let instances = Instances::bound(flags.bound_cores()).ordered(window);
            builder.stage("hash", instances, hasher).run(jobs, collect)
        }
    };
    let wall = start.elapsed();
    super::settle(ended)?;

    let report = Report::new("digest", &handle, output.total(), wall);
    let printed = output.end();
    let failed = troubles.any();
    drop(progress);
    let exit = match printed {
        None if flags.json => super::print_json(&report),
        None => {
            say(report);
            Exit::Done
        }
        Some(exit) => exit,
    };
    Ok(if failed { Exit::Failed } else { exit })
}
