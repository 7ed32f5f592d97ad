//! A progress bar on stderr, where there is a person to see it.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::say;

/// How often the bar is drawn while nothing moves, so that its clock goes on.
const TICK: Duration = Duration::from_millis(200);

/// Counts finished jobs; shows them only if stderr is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar for jobs called `unit`. Lines that scroll through the same terminal are progress
    /// enough: with `prints` there is no bar if stdout is a terminal too.
    pub(crate) fn new(unit: &str, prints: bool) -> Self {
        let seen = io::stderr().is_terminal() && !(prints && io::stdout().is_terminal());
        Self {
            bar: seen.then(|| bar(unit)),
        }
    }

    /// Says how many jobs there are.
    pub(crate) fn expect(&self, jobs: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(jobs);
        }
    }

    /// One more job is finished.
    pub(crate) fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Says a line without the bar running through it.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(unit: &str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{elapsed}}");
    let style = ProgressStyle::with_template(&template);
    let bar =
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(TICK);
    bar
}
