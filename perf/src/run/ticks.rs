//! `ringmill run ticks`: market data, decoded, applied to order books and priced.

use std::path::PathBuf;

use clap::Args;

use crate::args::{Flags, at_least_one};

/// `ringmill run ticks`.
#[derive(Debug, Args)]
pub(crate) struct TicksArgs {
    /// A file of ITCH messages [default: messages made up from --seed]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["symbols", "seed"])]
    pub(crate) input: Option<PathBuf>,
    /// How many messages; of a file, the first so many [default: 1000000, of a file all]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) messages: Option<usize>,
    /// How many symbols are traded
    #[arg(long, value_name = "S", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) symbols: u16,
    /// Messages offered per second, whose latency is then measured [default: as fast as they go]
    #[arg(long, value_name = "R", value_parser = at_least_one)]
    pub(crate) rate: Option<usize>,
    /// Where the random numbers start: the same seed gives the same messages
    #[arg(long, value_name = "X", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What every workload takes.
    #[command(flatten)]
    pub(crate) flags: Flags,
}
