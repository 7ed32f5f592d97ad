//! `ringmill`: runs and measures workloads on the ringmill executor.
//!
//! Results go to stdout, talk and progress to stderr. [`Exit`] lists the exit codes.

mod args;
mod exit;
mod interrupt;
mod memory;
mod progress;
mod report;
mod run;
mod stdout;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Unwritten, say, written};
use crate::interrupt::Interrupt;

fn main() -> ExitCode {
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            say(format_args!("cannot listen for ctrl-c: {error}"));
            return Exit::Failed.into();
        }
    };
    let cli = Cli::try_parse();
    if let Err(usage) = &cli
        && usage.use_stderr()
    {
        let _ = usage.print(); // A closed stderr is nobody listening.
        return Exit::Usage.into();
    }
    // Everything else prints something.
    if let Err(unwritten) = written(stdout::check()) {
        return Exit::from(unwritten).into();
    }
    match cli {
        Ok(cli) => match cli.command {
            Command::Run(workload) => run::run(&workload, &interrupt).into(),
        },
        // Help and the version are results.
        Err(help) => written(help.print().and_then(|()| io::stdout().flush()))
            .map_or_else(
                |unwritten: Unwritten| Exit::from(unwritten),
                |()| Exit::Done,
            )
            .into(),
    }
}
