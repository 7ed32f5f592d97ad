//! The command line. Every value that cannot be is refused here or, where only the executor
//! knows (a core that is not allowed, too many workers), by its `BuildError`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ringmill::Idle;
use ringmill_perf::letters::MOST_JOBS;

/// Runs and measures workloads on the ringmill executor.
#[derive(Debug, Parser)]
#[command(name = "ringmill", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be asked of `ringmill`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workload once
    ///
    /// Results go to stdout, talk and progress to stderr. Exit codes: 0 done, 1 a job failed,
    /// 2 bad usage, 130 interrupted (the first ctrl-c finishes what was begun, the second stops at any
    /// moment: half a second later the process has ended).
    #[command(subcommand)]
    Run(Workload),
}

/// The workloads.
#[derive(Debug, Subcommand)]
pub(crate) enum Workload {
    /// SHA-256 of files, as sha256sum prints it, sorted by name
    ///
    /// Prints what `find PATH... -type f -print0 | LC_ALL=C sort -z | xargs -r0 sha256sum` prints,
    /// for any number of workers. What cannot be read is named on stderr, the rest is done.
    Digest(DigestArgs),
    /// Serialise and parse a map of 100 entries, three times a job
    Json(JsonArgs),
    /// Decode a market data feed, keep its order books, report every change of a top of book
    ///
    /// NASDAQ TotalView-ITCH 5.0, from a file as NASDAQ publishes them or made up. Checked in the same
    /// run against one loop on one thread.
    ///
    /// A message that contradicts those before it changes no book. The result counts them as anomalies, names
    /// the first one of each sort with its number (from 1) and its offset in bytes, and the exit code stays 0:
    /// unknown_order (refers to an order that is not live), wrong_stock (refers to, or adds, an order number
    /// that is live in another stock; what it adds is an order of its own), too_many_shares (executes or
    /// cancels more than the order has), duplicate_order (adds an order that is live) and no_shares.
    /// With --json they are the fields "anomalies", an object of these five counts, and "first_anomalies",
    /// a list of objects with "kind", "message", "byte", "locate", "order" and, of a wrong_stock, "other_locate".
    Ticks(TicksArgs),
}

/// `ringmill run digest`.
#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// Files, and directories to walk; symbolic links are not followed
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// `ringmill run json`.
#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// How many maps go through the three stages
    #[arg(long, value_name = "J", default_value = "1000", value_parser = job_count)]
    pub(crate) jobs: usize,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// `ringmill run ticks`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TicksArgs {
    /// A file of ITCH messages, decompressed [default: messages made up from --seed]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["symbols", "seed"])]
    pub(crate) input: Option<PathBuf>,
    /// How many messages; of a file, the first so many [default: 1000000, of a file all]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) messages: Option<usize>,
    /// How many symbols are traded
    #[arg(long, value_name = "S", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) symbols: u16,
    /// Messages offered per second, whose latency is then measured [default: as fast as they go]
    #[arg(long, value_name = "R", value_parser = at_least_one)]
    pub(crate) rate: Option<usize>,
    /// Where the random numbers start: the same seed gives the same messages
    #[arg(long, value_name = "X", default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// What every workload takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Flags {
    /// Threads that execute stages, the calling one included where it works, and instances of
    /// each stage [default: one per core of --cores, else per allowed core]
    #[arg(long, value_name = "N", value_parser = thread_count)]
    workers: Option<usize>,
    /// Cores to pin threads to, as in 0,1 [default: the allowed cores, pinned if possible]
    #[arg(long, value_name = "LIST", value_parser = core_list)]
    cores: Option<CoreList>,
    /// What a thread does while there is nothing to do
    #[arg(long, value_enum, default_value_t = IdleKind::Backoff)]
    idle: IdleKind,
    /// Jobs that each ring holds [default: as the workload needs]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    capacity: Option<usize>,
    /// Where stages run
    #[arg(long, value_enum, default_value_t = Placement::Floating)]
    pub(crate) placement: Placement,
    /// Print one JSON object on one line in place of the normal output
    #[arg(long)]
    pub(crate) json: bool,
}

impl Flags {
    /// How many threads execute stages; each stage has as many instances.
    pub(crate) fn workers(&self) -> usize {
        match (self.workers, self.named_cores()) {
            (Some(workers), _) => workers,
            (None, Some(cores)) => cores.len(),
            (None, None) => ringmill::allowed_cores().len(),
        }
    }

    /// The cores that were asked for.
    pub(crate) fn named_cores(&self) -> Option<&[usize]> {
        self.cores.as_ref().map(|list| list.0.as_slice())
    }

    /// A core for each instance of a bound stage: the cores in turn, the first one again after
    /// the last.
    pub(crate) fn bound_cores(&self) -> Vec<usize> {
        let cores = self.named_cores().map(<[usize]>::to_vec);
        let cores = cores.unwrap_or_else(ringmill::allowed_cores);
        cores.into_iter().cycle().take(self.workers()).collect()
    }

    /// The idle strategy.
    pub(crate) fn idle(&self) -> Idle {
        match self.idle {
            IdleKind::Backoff => Idle::backoff(),
            IdleKind::BusySpin => Idle::busy_spin(),
            IdleKind::Yielding => Idle::yielding(),
            IdleKind::Parking => Idle::parking(),
        }
    }

    /// The capacity of each ring, `default` if none was asked for.
    pub(crate) fn capacity(&self, default: usize) -> usize {
        self.capacity.unwrap_or(default)
    }
}

/// Where stages run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Placement {
    /// The executor places them and lets free threads help
    Floating,
    /// Each instance stays on one core of --cores; instances of one core share its thread
    Bound,
    /// All steps of a job run one after the other in one floating stage
    Fused,
}

/// The built-in idle strategies.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum IdleKind {
    /// Spin, then yield, then park
    Backoff,
    /// Spin for ever
    BusySpin,
    /// Yield to the system for ever
    Yielding,
    /// Park at once
    Parking,
}

/// The value of `--cores`.
#[derive(Debug, Clone)]
struct CoreList(Vec<usize>);

/// A count of something there has to be.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {}", usize::MAX)),
    }
}

/// More threads than this are a slip of the finger.
const MOST_WORKERS: usize = 1024;

fn job_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST_JOBS).contains(&(number as u64)) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {MOST_JOBS}")),
    }
}

fn thread_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST_WORKERS).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {MOST_WORKERS}")),
    }
}

fn core_list(text: &str) -> Result<CoreList, String> {
    let core = |part: &str| {
        part.parse().map_err(|_| {
            format!("'{part}' is no core; give numbers with commas between them, as in 0,1")
        })
    };
    text.split(',')
        .map(core)
        .collect::<Result<_, _>>()
        .map(CoreList)
}
