//! What is told to the parts of `quarry bench` that measure nothing: they work on results and prices.

use super::positive;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct BenchReportArgs {
    /// A result.json that a run wrote
    #[arg(value_name = "RESULT")]
    pub(crate) result: PathBuf,
    /// Write one self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write a percentile file (.hgrm) for each case, target and clock into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) hgrm: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cost: BenchCostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchCmpArgs {
    /// The results to compare with: runs of one program, three or more to tell how far they lie apart. Without --against two: one to
    /// compare with, and one that is compared
    #[arg(value_name = "RESULT", required = true)]
    pub(crate) results: Vec<PathBuf>,
    /// The results that are compared with those
    #[arg(long, value_name = "RESULT", num_args = 1..)]
    pub(crate) against: Vec<PathBuf>,
    /// Compare results of different machines, or of such as do not tell their write cache: every output says so
    #[arg(long)]
    pub(crate) across_environments: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct BenchCostArgs {
    /// Prices to use instead of those that this version comes with: a file like bench/prices.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// How long chunks are kept, for the cost of storage (default: 24)
    #[arg(long, value_name = "HOURS", value_parser = positive)]
    pub(crate) retention_hours: Option<f64>,
}
