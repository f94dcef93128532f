//! Runs a suite: every case on its targets, side by side, with the physical limit in the same rounds.
//!
//! ```text
//!  round 0 (does not count)   device ─ loopback ─ pipe ─ target a ─ target b
//!  round 1                    target b ─ target a ─ pipe ─ loopback ─ device
//!  round 2                    device ─ loopback ─ pipe ─ target a ─ target b        ...
//! ```
//! All take turns, so that a machine that slows down meanwhile slows all of them; who goes first alternates. Every part is
//! measured by [`crate::drive`] on both clocks. Between parts, logs that have grown are read back, compared and trimmed; at the end
//! of a case every log is taken over once more, appended to, read back and deleted. What does not come back as it was
//! acknowledged is in the verdict, whatever the figures are.

mod baseline;
mod diary;
mod ladder;
mod log;
mod phases;
mod rounds;
mod settle;
mod side;
mod stages;
mod target;
#[cfg(test)]
mod tests;

use crate::append::Load;
use crate::device::DeviceError;
use crate::environment::Environment;
use crate::integrity::ReadBackError;
use crate::local_cluster::NodeError;
use crate::pipe::PipeError;
use crate::result::{BenchResult, CaseLoad, CaseResult, SCHEMA};
use crate::scratch::Scratch;
use crate::suite::{CaseSpec, ChunkSize, LoadSpec, Suite};
use diary::{Diary, LeftBehind};
use settle::SETTLE;
use side::{Receipts, Side, WARM_UP_CHUNK_BYTES};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use target::Target;

/// Where and how a suite is run.
#[derive(Clone, Debug)]
pub struct EngineSetup {
    /// The `quarry` binary, for nodes and the bare pipe.
    pub binary: PathBuf,
    /// Where nodes' files and the raw device's go, in a directory of the run's own that is removed in the end.
    pub dir: PathBuf,
    /// The command line; for the report.
    pub command: Vec<String>,
}

/// What a run tells of itself.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Something begins that takes so many steps; of some not all are needed.
    Begin {
        /// What.
        name: &'a str,
        /// Most steps.
        steps: usize,
    },
    /// A step of it is done.
    Step,
    /// Something that whoever reads the figures should know.
    Note(&'a str),
}

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The directory of the run.
    #[error("directory below {}: {source}: choose another with --dir", path.display())]
    Directory {
        /// Below which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A store.
    #[error("target {target:?}: {why}")]
    Target {
        /// Which.
        target: String,
        /// What happened.
        why: String,
    },
    /// A log.
    #[error("log {log:?}: {why}")]
    Log {
        /// Which.
        log: String,
        /// What happened.
        why: String,
    },
    /// What was acknowledged cannot be read at all.
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    /// Acknowledged chunks are lost or came back different, and the case they belong to has no result that could say so.
    #[error("INTEGRITY: {lost} ({why})")]
    Lost {
        /// Which, and how many.
        lost: String,
        /// What broke the case off, or when it was found.
        why: String,
    },
    /// The raw device.
    #[error("raw device: {0}")]
    Device(#[from] DeviceError),
    /// The loopback connection.
    #[error("loopback: {0}")]
    Loopback(io::Error),
    /// The bare pipe.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// A part in which nothing was done.
    #[error("case {case:?}: a part measured nothing: give it more time (part_seconds)")]
    Empty {
        /// Which case.
        case: String,
    },
}

/// One case with chunks of one size.
struct CasePlan<'a> {
    spec: &'a CaseSpec,
    name: String,
    chunk: ChunkSize,
    rounds: usize,
    part: Duration,
    seed: u64,
    /// Indices of its targets.
    targets: Vec<usize>,
    /// What the names of its logs begin with: of this run and case, and of no other.
    prefix: String,
    diary: Diary,
}

impl CasePlan<'_> {
    fn log_name(&self, target: usize, which: &str) -> String {
        format!("{}-{target}-{which}", self.prefix)
    }

    fn load(&self) -> CaseLoad {
        match &self.spec.load {
            LoadSpec::Closed { depth } => CaseLoad::Closed { depth: *depth },
            LoadSpec::Open { per_second } => CaseLoad::Open { per_second: *per_second },
            LoadSpec::Ladder(ladder) => CaseLoad::Ladder { p99_us_max: ladder.p99_us_max },
            LoadSpec::Phase(phase) => CaseLoad::Phase { phase: phase.kind.name().to_owned(), depth: phase.depth },
        }
    }
}

/// A run under way.
struct Engine<'a> {
    setup: &'a EngineSetup,
    /// Where its files lie.
    dir: &'a Path,
    targets: Vec<Target>,
    diary: Diary,
    say: &'a dyn Fn(Progress<'_>),
}

/// What came of a run: all cases, or those before the one that failed, and why that did.
pub type Finished = (BenchResult, Option<EngineError>);

/// Runs `suite`, which must be one that [`Suite::checked`] gave; `say` is told how far it is. Must be called on a thread that lives
/// as long as the process: nodes end with it.
pub async fn run(suite: &Suite, setup: &EngineSetup, say: &dyn Fn(Progress<'_>)) -> Result<Finished, EngineError> {
    let (begun_at, begun) = (Instant::now(), SystemTime::now());
    // Dropped after everything that has files in it, also when the run is broken off.
    let scratch =
        Scratch::make(&setup.dir).map_err(|source| EngineError::Directory { path: setup.dir.clone(), source })?;
    let left = LeftBehind { diary: Diary::default(), say };
    let mut engine = Engine { setup, dir: scratch.path(), targets: Vec::new(), diary: left.diary.clone(), say };
    say(Progress::Begin { name: "starting targets", steps: suite.targets.len() });
    for (index, spec) in suite.targets.iter().enumerate() {
        engine.targets.push(Target::start(spec, index, suite.seed, &setup.binary, scratch.path()).await?);
        say(Progress::Step);
    }
    let mut cases = Vec::new();
    let failed = engine.cases(suite, &mut cases).await.err();
    let facts = engine.targets.iter().map(|target| target.facts.clone()).collect();
    for target in engine.targets {
        // Everything is measured by now.
        if let Err(why) = target.stop().await {
            say(Progress::Note(&why.to_string()));
        }
    }
    let result = BenchResult {
        schema: SCHEMA.to_owned(),
        name: suite.name.clone(),
        begun_unix_seconds: begun.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        seconds: begun_at.elapsed().as_secs_f64(),
        command: setup.command.clone(),
        suite: suite.to_toml(),
        environment: Environment::of(&setup.dir),
        targets: facts,
        cases,
    };
    match failed {
        Some(why) if result.cases.is_empty() => Err(why),
        failed => Ok((result, failed)),
    }
}

impl Engine<'_> {
    async fn cases(&mut self, suite: &Suite, results: &mut Vec<CaseResult>) -> Result<(), EngineError> {
        let run = getrandom::u64().map_err(|why| EngineError::Target {
            target: "this machine".to_owned(),
            why: format!("no random numbers: {why}"),
        })?;
        self.warm_up(suite, run).await.map_err(|why| self.diary.judge(why))?;
        self.diary.nothing_lost("warming up")?;
        for spec in &suite.cases {
            for chunk in &spec.chunks {
                let place = |name: &String| suite.targets.iter().position(|target| target.name == *name);
                let plan = CasePlan {
                    spec,
                    name: spec.name_with(*chunk),
                    chunk: *chunk,
                    rounds: spec.rounds.unwrap_or(suite.rounds),
                    part: Duration::from_secs_f64(spec.part_seconds.unwrap_or(suite.part_seconds)),
                    seed: suite.seed,
                    targets: spec.targets.iter().filter_map(place).collect(),
                    prefix: format!("bench-{run:016x}-{}", results.len()),
                    diary: self.diary.clone(),
                };
                let case = self.case(&plan).await;
                results.push(case.map_err(|why| self.diary.judge(why))?);
            }
        }
        Ok(())
    }

    async fn case(&mut self, plan: &CasePlan<'_>) -> Result<CaseResult, EngineError> {
        let (baseline, targets) = match &plan.spec.load {
            LoadSpec::Closed { depth } => rounds::run(self, plan, Load::Closed { depth: *depth }).await?,
            LoadSpec::Open { per_second } => rounds::run(self, plan, Load::Open { per_second: *per_second }).await?,
            LoadSpec::Ladder(ladder) => rounds::climb(self, plan, *ladder).await?,
            LoadSpec::Phase(phase) => phases::run(self, plan, *phase).await?,
        };
        Ok(CaseResult {
            name: plan.name.clone(),
            load: plan.load(),
            logs: plan.spec.logs,
            part_seconds: plan.part.as_secs_f64(),
            baseline,
            targets,
        })
    }

    /// Fills every file of nodes that were made for this run, once.
    async fn warm_up(&mut self, suite: &Suite, run: u64) -> Result<(), EngineError> {
        for index in 0..self.targets.len() {
            let spec = &self.targets[index].spec;
            let Some((bytes, nodes)) = spec.nodes.as_ref().and_then(|nodes| Some((nodes.warm_up?, nodes.count))) else {
                continue;
            };
            let name = format!("warming up {}", spec.name);
            (self.say)(Progress::Begin { name: &name, steps: 1 });
            let chunk = ChunkSize::Bytes(crate::size::Size(u64::from(WARM_UP_CHUNK_BYTES)));
            let spec = CaseSpec::new("warm-up", LoadSpec::Closed { depth: 1 });
            let prefix = format!("bench-{run:016x}-warm-up");
            let (seed, part, diary) = (suite.seed, Duration::ZERO, self.diary.clone());
            let plan =
                CasePlan { spec: &spec, name, chunk, rounds: 0, part, seed, targets: vec![index], prefix, diary };
            let target = &mut self.targets[index];
            // A log holds as many nodes as it has replicas: this one has one on every node, and waits for each of them.
            let mut options = target.options(None);
            (options.replicas, options.ack_quorum) = (Some(nodes), Some(nodes));
            let mut side =
                Side::open_with(&plan, index, target, &options, Receipts { stages: false, mark: "" }).await?;
            let holders = side.logs[0].writer()?.replicas().len();
            if holders != nodes {
                return Err(target.failed(format!("only {holders} of {nodes} nodes were warmed up")));
            }
            side.warm_up(bytes.0).await?;
            side.finish().await?;
            (self.say)(Progress::Step);
        }
        Ok(())
    }

    /// Before each part. A single store has nothing to wait for but itself: what it leaves behind is its own.
    async fn settle(&self) {
        if self.targets.len() > 1 {
            settle::until_quiet().await;
        } else {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Says what went wrong in a part, if something did: the figures count it.
    fn note_failures(&self, plan: &CasePlan<'_>, side: &Side, failed: u64) {
        if failed > 0 {
            let why = side.first_failure().map_or_else(
                || "they were never handed over: the store did not take them in time".to_owned(),
                |why| format!("the first: {why}"),
            );
            let target = &self.targets[side.target].spec.name;
            let note = format!("case {:?} on {target:?}: {failed} operations of a part failed; {why}", plan.name);
            (self.say)(Progress::Note(&note));
        }
    }
}
