//! Takes the results in order: sums to stdout, troubles to stderr.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::{self, StdoutLock};

use ringmill::Handle;

use super::escape;
use super::hasher::Digested;
use crate::exit::{Exit, Unwritten, print};
use crate::progress::Progress;

/// What could not be read.
pub(super) struct Troubles<'a> {
    progress: &'a Progress,
    any: Cell<bool>,
}

impl<'a> Troubles<'a> {
    pub(super) fn new(progress: &'a Progress) -> Self {
        let any = Cell::new(false);
        Self { progress, any }
    }

    #[expect(
        clippy::unnecessary_debug_formatting,
        reason = "a name with newlines or control characters stays on its line and does nothing"
    )]
    pub(super) fn say(&self, path: &OsStr, error: &io::Error) {
        self.any.set(true);
        let line = format_args!("cannot read {path:?}: {error}");
        self.progress.say(line);
    }

    pub(super) fn any(&self) -> bool {
        self.any.get()
    }
}

/// The collecting end.
pub(super) struct Output<'a> {
    /// None: sums are only counted.
    stdout: Option<StdoutLock<'static>>,
    troubles: &'a Troubles<'a>,
    handle: Handle<Infallible>,
    line: Vec<u8>,
    /// Results taken, and so the index of the next one.
    jobs: usize,
    bytes: u64,
    /// Set when stdout takes no more; the run is stopped then.
    unwritten: Option<Unwritten>,
}

impl<'a> Output<'a> {
    pub(super) fn new(json: bool, troubles: &'a Troubles<'a>, handle: Handle<Infallible>) -> Self {
        Self {
            stdout: (!json).then(|| io::stdout().lock()),
            troubles,
            handle,
            line: Vec::new(),
            jobs: 0,
            bytes: 0,
            unwritten: None,
        }
    }

    /// Takes a result. After a stop some are missing: nothing after the first gap is taken, so
    /// that what was printed is all there is up to its last line.
    pub(super) fn take(&mut self, digested: &Digested) {
        if self.unwritten.is_some() || digested.index != self.jobs {
            return;
        }
        let path = digested.path.as_os_str();
        match &digested.sum {
            Ok(Some(sum)) => {
                self.bytes += sum.bytes;
                self.print(&sum.hash, path);
            }
            Ok(None) => return,
            Err(error) => self.troubles.say(path, error),
        }
        self.jobs += 1;
    }

    /// Prints a line, at once, as sha256sum does: who reads a pipe need not wait for the next.
    fn print(&mut self, hash: &[u8; 32], path: &OsStr) {
        let Some(stdout) = &mut self.stdout else {
            return;
        };
        self.line.clear();
        escape::line(hash, path, &mut self.line);
        if let Err(unwritten) = print(stdout, &self.line) {
            self.unwritten = Some(unwritten);
            self.handle.stop();
        }
    }

    /// Results and bytes so far.
    pub(super) fn total(&self) -> (u64, u64) {
        (self.jobs as u64, self.bytes)
    }

    /// Gives stdout back; how to exit if it takes no more.
    pub(super) fn end(self) -> Option<Exit> {
        self.unwritten.map(Exit::from)
    }
}
