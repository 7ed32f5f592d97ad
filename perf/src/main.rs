//! `ringmill`: runs and measures workloads on the ringmill executor.
//!
//! Results go to stdout, talk and progress to stderr. [`Exit`] lists the exit codes.

mod args;
mod exit;
mod interrupt;
mod progress;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, say};
use crate::interrupt::Interrupt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            say(format_args!("cannot listen for ctrl-c: {error}"));
            return Exit::Failed.into();
        }
    };
    match cli.command {
        Command::Run(workload) => run::run(&workload, &interrupt).into(),
    }
}
