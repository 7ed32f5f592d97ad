//! `ringmill run`: the workloads, and what they share.

mod digest;
mod json;
mod ticks;

use std::fmt::Display;
use std::io;

use ringmill::{Builder, Pin, Pipeline, RunError};

use crate::args::{Flags, Workload};
use crate::exit::{Exit, Failure, print, say};
use crate::interrupt::Interrupt;
use crate::memory;
use crate::report::Report;

/// Runs one workload and says how it ended.
pub(crate) fn run(workload: &Workload, interrupt: &Interrupt) -> Exit {
    let ended = match workload {
        Workload::Digest(args) => digest::digest(args, interrupt),
        Workload::Json(args) => json::json(args, interrupt),
        Workload::Ticks(args) => ticks::ticks(args, interrupt),
    };
    let exit = match ended {
        Err(Failure::Usage(error)) => {
            say(format_args!("error: {error}"));
            Exit::Usage
        }
        _ if interrupt.pressed() => Exit::Interrupted,
        Err(Failure::Job(error)) => {
            say(format_args!("error: {error}"));
            Exit::Failed
        }
        Ok(exit) => exit,
    };
    interrupt.settle();
    exit
}

/// Bytes of a ring's slot besides the job: its sequence number.
const SEQUENCE: usize = 8;

/// Bytes that one more of capacity takes in a ring of such jobs, at most: a ring has a power of two of slots,
/// which is up to twice its capacity.
const fn slot<J>() -> usize {
    2 * (size_of::<J>() + SEQUENCE)
}

/// A builder with the flags applied, and no stage yet. `each` is what one more of capacity takes in all
/// rings, in bytes.
fn builder<'job, E, J>(
    flags: &Flags,
    capacity: usize,
    each: usize,
) -> Result<Builder<'job, J, E>, Failure>
where
    E: Send + Sync + 'static,
    J: Send + 'job,
{
    let capacity = flags.capacity(capacity);
    memory::ask("--capacity", capacity, 0, each)?;
    let builder = Pipeline::<E>::builder::<J>()
        .capacity(capacity)
        .workers(flags.workers())
        .idle(flags.idle());
    // Who names cores wants those cores or an error.
    Ok(match flags.named_cores() {
        Some(cores) => builder.cores(cores.iter().copied()).pin(Pin::Require),
        None => builder,
    })
}

/// Sorts out how a run ended. One that was closed or stopped has not failed.
fn settle<E: Display>(ended: Result<ringmill::Report, RunError<E>>) -> Result<(), Failure> {
    match ended {
        Ok(_) => Ok(()),
        Err(RunError::Build(error)) => Err(Failure::Usage(error.to_string())),
        Err(error) => Err(Failure::Job(error.to_string())),
    }
}

/// Prints the object that replaces the normal output.
fn print_json(report: &Report) -> Exit {
    print_text(&report.to_json())
}

/// Prints a result to stdout.
fn print_text(text: &str) -> Exit {
    match print(&mut io::stdout(), text.as_bytes()) {
        Ok(()) => Exit::Done,
        Err(unwritten) => unwritten.into(),
    }
}
