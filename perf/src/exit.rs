//! How the command ends, and how it talks on the way.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit codes. Clap's own usage errors exit with 2 as well.
///
/// A reader of stdout that closes its end is no failure: it had what it wanted, and the command ends quietly
/// with the code that it had earned until then. A stdout that was closed from the start is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// A job failed; the others were done.
    Failed,
    /// The flags ask for something that cannot be.
    Usage,
    /// Ctrl-c was pressed, whatever else happened.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Unwritten> for Exit {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::NobodyReads => Self::Done,
            Unwritten::Failed => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a workload has nothing to report.
#[derive(Debug)]
pub(crate) enum Failure {
    /// These flags ask for something that cannot be.
    Usage(String),
    /// A stage failed or panicked.
    Job(String),
}

/// Writes one line of talk to stderr. A closed stderr is nobody listening, not an error.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "ringmill: {line}");
}

/// Writes to stdout, at once. A failure is said; a reader that has gone is none.
pub(crate) fn print(out: &mut impl Write, bytes: &[u8]) -> Result<(), Unwritten> {
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Sorts out how writing to stdout ended, and says a failure.
pub(crate) fn written(wrote: io::Result<()>) -> Result<(), Unwritten> {
    match wrote {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unwritten::NobodyReads),
        Err(error) => {
            say(format_args!("cannot write to stdout: {error}"));
            Err(Unwritten::Failed)
        }
    }
}

/// Why stdout takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// The reader has closed its end: end quietly.
    NobodyReads,
    /// The write failed, and that was said.
    Failed,
}
