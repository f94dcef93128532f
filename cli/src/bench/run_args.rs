//! The command line of `quarry bench run`.

use crate::exit::Failure;
use clap::Args;
use quarry_bench::size::Size;
use quarry_bench::suite::{
    CaseSpec, ChunkSize, LadderSpec, LoadSpec, NodesSpec, PhaseKind, PhaseSpec, SHIPPED, Suite, TargetSpec, shipped,
};
use std::path::PathBuf;

/// Without SUITE, any of the options for one case makes a suite of just that case; without those, too, it is `quick`.
#[derive(Debug, Args)]
pub(crate) struct BenchRunArgs {
    /// A suite: a TOML file, or one of those that come along: quick, full, tiers
    #[arg(value_name = "SUITE")]
    pub(crate) suite: Option<String>,
    /// Where the nodes' files and the raw device's lie: on a disk that takes direct writes
    #[arg(long, default_value = "quarry-bench")]
    pub(crate) dir: PathBuf,
    /// Where the result goes: result.json, histograms and a page; made if missing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the suite with every default filled in, and run nothing
    #[arg(long)]
    pub(crate) print_suite: bool,
    /// Rounds that count, instead of the suite's
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// How long each part of a round begins operations, instead of the suite's
    #[arg(long, value_name = "SECONDS")]
    pub(crate) part_seconds: Option<f64>,
    /// What payloads and emulated latencies follow from, instead of the suite's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) case: CaseArgs,
}

/// One case without a suite.
#[derive(Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "One case without a suite")]
pub(crate) struct CaseArgs {
    /// Bytes of each chunk, or `preferred`; may be given again and again (default: 64KiB)
    #[arg(long, value_name = "SIZE")]
    chunk: Vec<String>,
    /// Closed loop: appends in flight for each log (default: 1)
    #[arg(long, conflicts_with_all = ["rate", "ladder"])]
    depth: Option<usize>,
    /// Open loop: appends per second over all logs
    #[arg(long, value_name = "PER_SECOND", conflicts_with_all = ["ladder", "phase"])]
    rate: Option<f64>,
    /// The highest rate at which p99 from due time stays within so many microseconds
    #[arg(long, value_name = "P99_US", conflicts_with = "phase")]
    ladder: Option<f64>,
    /// The ladder's first rate
    #[arg(long, value_name = "PER_SECOND", requires = "ladder")]
    first_rate: Option<f64>,
    /// Something happens meanwhile: slow, paused, killed, `takeover_idle`, `takeover_full`, restart, trim, `catch_up`, repair
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    phase: Option<PhaseKind>,
    /// The phase's failure detection time
    #[arg(long, value_name = "MS", requires = "phase")]
    replica_patience_ms: Option<u64>,
    /// Payload bytes that are there before a restart, catch-up reads or a repair
    #[arg(long, value_name = "SIZE", requires = "phase")]
    older: Option<Size>,
    /// Logs that are written at once, by a writer each
    #[arg(long)]
    logs: Option<usize>,
    /// Clients that the writers are spread over, each with connections of its own
    #[arg(long)]
    clients: Option<usize>,
    /// A store to measure, as its URL; may be given again and again (default: nodes of our own)
    #[arg(long, value_name = "URL")]
    target: Vec<String>,
    /// An object store to imitate and to measure: s3express, s3 or immediate; may be given again and again
    #[arg(long, value_name = "KIND")]
    emulated: Vec<String>,
    /// Nodes to start and to measure (default: as many as there are replicas, and one more to repair to)
    #[arg(long, value_name = "COUNT")]
    nodes: Option<usize>,
    /// Passed on to `quarry start` of those nodes
    #[arg(long, value_name = "US")]
    spin_us: Option<u64>,
    /// Passed on to `quarry format` of those nodes
    #[arg(long, value_name = "SIZE")]
    capacity: Option<Size>,
    /// Payload bytes appended and trimmed on those nodes before anything is measured (default: their capacity)
    #[arg(long, value_name = "SIZE")]
    warm_up: Option<Size>,
    /// Replicas of each chunk (default: 3 on nodes of our own, else what the store has by itself)
    #[arg(long)]
    replicas: Option<usize>,
    /// Replicas that must have stored a chunk before it is acknowledged (default: a majority)
    #[arg(long, value_name = "COUNT")]
    ack: Option<usize>,
    /// Have receipts say where the time of each append went: costs a few percent
    #[arg(long)]
    stages: bool,
    /// Measure what that costs: the same appends without it, in the same rounds
    #[arg(long, requires = "stages")]
    stages_cost: bool,
    /// Writes in flight to the raw device (default: as many as all replicas together would have)
    #[arg(long, value_name = "COUNT")]
    device_in_flight: Option<usize>,
    /// Leave out the raw device, the loopback and the bare pipe
    #[arg(long)]
    no_baseline: bool,
}

impl BenchRunArgs {
    /// The suite that is asked for. `store` is what --store or its variable says.
    pub(super) fn suite(&self, store: Option<&String>) -> Result<Suite, Failure> {
        let mut suite = match &self.suite {
            Some(name) => {
                if self.case != CaseArgs::default() {
                    return Err(Failure::usage(
                        "a suite says what is measured: leave the options for one case away, or SUITE",
                    ));
                }
                named(name)?
            }
            None if self.case == CaseArgs::default() && store.is_none() => named("quick")?,
            None => self.case.suite(store)?,
        };
        suite.rounds = self.rounds.unwrap_or(suite.rounds);
        suite.part_seconds = self.part_seconds.unwrap_or(suite.part_seconds);
        suite.seed = self.seed.unwrap_or(suite.seed);
        for case in &mut suite.cases {
            case.rounds = self.rounds.or(case.rounds);
            case.part_seconds = self.part_seconds.or(case.part_seconds);
            if self.part_seconds.is_none()
                && case.part_seconds.is_none()
                && matches!(self.case.phase, Some(PhaseKind::Killed))
            {
                case.part_seconds = Some(KILLED_PART_SECONDS);
            }
        }
        suite.checked().map_err(Failure::usage)
    }
}

/// A suite that comes along, or a file.
fn named(name: &str) -> Result<Suite, Failure> {
    let text = match shipped(name) {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(name).map_err(|why| {
            let shipped = SHIPPED.map(|(name, _)| name).join(", ");
            Failure::usage(format!("suite {name:?}: {why}: give a TOML file, or one of {shipped}"))
        })?,
    };
    Suite::parse(&text).map_err(|why| Failure::usage(format!("suite {name:?}: {why}")))
}

impl CaseArgs {
    fn suite(&self, store: Option<&String>) -> Result<Suite, Failure> {
        let mut case = CaseSpec::new("append", self.load());
        case.chunks = self.chunks()?;
        case.logs = self.logs.unwrap_or(case.logs);
        case.clients = self.clients.unwrap_or(case.clients);
        case.stages = self.stages;
        case.stages_cost = self.stages_cost;
        case.device_in_flight = self.device_in_flight;
        case.baseline = self.no_baseline.then_some(false);
        if let Some(phase) = self.phase {
            phase.name().clone_into(&mut case.name);
        }
        Ok(Suite {
            name: case.name.clone(),
            seed: 1,
            rounds: 7,
            part_seconds: 1.0,
            targets: self.targets(store)?,
            cases: vec![case],
        })
    }

    fn load(&self) -> LoadSpec {
        if let Some(kind) = self.phase {
            let mut phase = PhaseSpec::new(kind);
            phase.depth = self.depth.unwrap_or(phase.depth);
            phase.patience_ms = self.replica_patience_ms.unwrap_or(phase.patience_ms);
            phase.older = self.older.unwrap_or(phase.older);
            return LoadSpec::Phase(phase);
        }
        match (self.rate, self.ladder) {
            (Some(per_second), _) => LoadSpec::Open { per_second },
            (None, Some(p99_us_max)) => {
                let first_per_second = self.first_rate.unwrap_or(LadderSpec::FIRST_PER_SECOND);
                LoadSpec::Ladder(LadderSpec::new(p99_us_max, first_per_second))
            }
            (None, None) => LoadSpec::Closed { depth: self.depth.unwrap_or(1) },
        }
    }

    fn chunks(&self) -> Result<Vec<ChunkSize>, Failure> {
        if self.chunk.is_empty() {
            return Ok(CaseSpec::new("", self.load()).chunks);
        }
        let read = |text: &String| text.parse().map_err(|why| Failure::usage(format!("--chunk {text}: {why}")));
        self.chunk.iter().map(read).collect()
    }

    fn targets(&self, store: Option<&String>) -> Result<Vec<TargetSpec>, Failure> {
        let mut targets = Vec::new();
        for url in store.into_iter().filter(|_| self.target.is_empty()).chain(&self.target) {
            crate::store::check_register(url).map_err(Failure::new)?;
            let place = url.split('?').next().unwrap_or(url);
            let taken = targets.iter().any(|target: &TargetSpec| target.name == place);
            let scheme = url.split(':').next().unwrap_or(url);
            let numbered = format!("{scheme}-{}", targets.len() + 1);
            let name = if taken || place.len() > TARGET_NAME_BYTES { &numbered } else { place };
            targets.push(TargetSpec { url: Some(url.clone()), ..TargetSpec::named(name) });
        }
        for text in &self.emulated {
            let kind = text.parse().map_err(|why| Failure::usage(format!("--emulated {text}: {why}")))?;
            targets.push(TargetSpec { emulated: Some(kind), ..TargetSpec::named(text) });
        }
        let of_nodes =
            self.nodes.is_some() || self.spin_us.is_some() || self.capacity.is_some() || self.warm_up.is_some();
        if targets.is_empty() || of_nodes {
            let mut nodes = NodesSpec { warm_up: self.warm_up, ..NodesSpec::default() };
            let spare = usize::from(matches!(self.phase, Some(PhaseKind::Repair | PhaseKind::Killed)));
            nodes.count = self.nodes.unwrap_or(self.replicas.unwrap_or(3) + spare);
            nodes.spin_us = self.spin_us.unwrap_or(nodes.spin_us);
            nodes.capacity = self.capacity.unwrap_or(nodes.capacity);
            targets.insert(0, TargetSpec { nodes: Some(nodes), ..TargetSpec::named("nodes") });
        }
        for target in &mut targets {
            (target.replicas, target.ack) = (self.replicas, self.ack);
        }
        if self.replicas.is_none() && self.ack.is_some() {
            targets[0].replicas = targets[0].nodes.as_ref().map(|nodes| nodes.count.min(3));
        }
        Ok(targets)
    }
}

/// Longest name of a target.
const TARGET_NAME_BYTES: usize = 80;
/// A part with a kill has to outlast the time after which the dead node is replaced.
const KILLED_PART_SECONDS: f64 = 4.0;

fn phase(text: &str) -> Result<PhaseKind, String> {
    text.parse()
}
