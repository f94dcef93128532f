//! One whole measurement of quorum appends: a log of its own, everything prepared, the rounds, the report.

use crate::append::{Appends, Load};
use crate::device::{DeviceError, DeviceFile, DeviceWork};
use crate::environment::Environment;
use crate::loopback::Loopback;
use crate::measured::Until;
use crate::pipe::{Pipe, PipeError, PipePlan};
use crate::ratios::{Ratios, Round};
use crate::report::{AppendReport, DURABILITY, LOOPBACK, Setup};
use crate::rounds::{Prepared, RoundsError, RoundsPlan, Trimmed};
use quarry_client::{ChunkStore, CreateMode, DeleteError, OpenError, OpenOptions};
use quarry_protocol::chunk::{ChunkError, check_length};
use quarry_protocol::ids::OwnerId;
use quarry_protocol::limits::{BLOCK_BYTES, WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use quarry_protocol::quorum::Quorum;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The raw device's file holds at least so many times what is in flight.
const DEVICE_FILE_WRITES_MIN: u64 = 64;

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Payload of a chunk, in bytes.
    pub chunk_bytes: u32,
    /// Who decides when an append begins.
    pub load: Load,
    /// Replicas, and how many of them acknowledge.
    pub quorum: Quorum,
    /// How many rounds count.
    pub rounds: usize,
    /// How long each of a round's three parts begins operations.
    pub part: Duration,
    /// Where the raw device's file goes: on the nodes' file system.
    pub dir: PathBuf,
    /// Bytes of the raw device's file.
    pub device_file_bytes: u64,
    /// Payload bytes appended and trimmed again before the first round, so that the nodes' files are all written and
    /// recycled by then. At least the capacity of a node that was never full.
    pub warm_up_bytes: u64,
    /// Who started the nodes, and how; for the report.
    pub cluster: String,
    /// The command line; for the report.
    pub command: Vec<String>,
    /// The program that receives for the bare pipe, if that is to be measured too.
    pub pipe: Option<PathBuf>,
    /// The processes of the nodes, as far as this run started them: their processor time is told.
    pub nodes: Vec<u32>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum MeasurementError {
    /// No chunk has this size.
    #[error(transparent)]
    ChunkSize(#[from] ChunkError),
    /// The log of the measurement.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log of the measurement, at its end.
    #[error(transparent)]
    Delete(#[from] DeleteError),
    /// The raw device.
    #[error("raw device: {0}")]
    Device(#[from] DeviceError),
    /// The bare pipe.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// The loopback connection, or the random numbers.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A round.
    #[error(transparent)]
    Rounds(#[from] RoundsError),
}

impl Measurement {
    /// Measures, in a log made for it and deleted afterwards. `on_round` is told after every round that counts.
    pub async fn run(
        &self,
        store: &dyn ChunkStore,
        on_round: impl FnMut(usize, &Round),
    ) -> Result<AppendReport, MeasurementError> {
        check_length(u64::from(self.chunk_bytes))?;
        let name = format!("bench-append-{}", fresh_id()?);
        let options = OpenOptions {
            create: CreateMode::MustBeNew,
            replicas: Some(self.quorum.replicas()),
            ack_quorum: Some(self.quorum.ack()),
            window_chunks: Some(WINDOW_CHUNKS_MAX),
            window_bytes: Some(WINDOW_BYTES_MAX),
            ..OpenOptions::default()
        };
        let opened = store.open(&name, options).await?;
        let report = self.run_on(&Trimmed { store, name: &name, writer: &opened.writer }, on_round).await;
        drop(opened);
        // The log goes whatever the rounds said; what they said comes first.
        let deleted = store.delete(&name).await;
        let report = report?;
        deleted?;
        Ok(report)
    }

    async fn run_on(
        &self,
        log: &Trimmed<'_>,
        on_round: impl FnMut(usize, &Round),
    ) -> Result<AppendReport, MeasurementError> {
        let device = DeviceWork { write_bytes: self.chunk_bytes, in_flight: self.device_writes_in_flight() };
        let file_bytes_min = u64::from(device.block_bytes()) * DEVICE_FILE_WRITES_MIN.max(device.in_flight as u64);
        let file = self.dir.join(format!("device-{}", std::process::id()));
        let mut prepared = Prepared {
            device: DeviceFile::prepare(&file, self.device_file_bytes.max(file_bytes_min))?,
            loopback: Loopback::connect(self.chunk_bytes as usize).map_err(system("loopback connection"))?,
            pipe: self.pipe()?,
            nodes: self.nodes.clone(),
            log,
            appends: Appends::new(self.chunk_bytes as usize),
        };
        prepared.warm_up(self.warm_up_bytes).await?;
        let part_until = Until::elapsed(self.part);
        let plan = RoundsPlan { rounds: self.rounds, part_until, device, load: self.load };
        let rounds = prepared.measure(&plan, on_round).await?;
        let setup = self.setup(device, prepared.device.bytes());
        prepared.loopback.close().map_err(system("loopback connection"))?;
        Ok(AppendReport {
            workload: "append",
            ratios: Ratios::of(&rounds, self.quorum.replicas()),
            setup,
            environment: Environment::of(&self.dir),
            rounds,
        })
    }

    /// None for chunks that no direct write takes.
    fn pipe(&self) -> Result<Option<Pipe>, PipeError> {
        let Some(binary) = self.pipe.clone().filter(|_| self.chunk_bytes.is_multiple_of(BLOCK_BYTES)) else {
            return Ok(None);
        };
        let plan = PipePlan {
            binary,
            dir: self.dir.clone(),
            replicas: self.quorum.replicas(),
            ack_quorum: self.quorum.ack(),
            chunk_bytes: self.chunk_bytes as usize,
            file_bytes: self.device_file_bytes,
        };
        Pipe::start(&plan).map(Some)
    }

    /// As many as the replicas together would have: each writes every chunk.
    fn device_writes_in_flight(&self) -> usize {
        match self.load {
            Load::Closed { depth } => self.quorum.replicas() * depth,
            Load::Open { .. } => self.quorum.replicas(),
        }
    }

    fn setup(&self, device: DeviceWork, device_file_bytes: u64) -> Setup {
        let (loop_kind, depth, appends_per_second) = match self.load {
            Load::Closed { depth } => ("closed", Some(depth), None),
            Load::Open { per_second } => ("open", None, Some(per_second)),
        };
        Setup {
            chunk_bytes: self.chunk_bytes,
            loop_kind,
            depth,
            appends_per_second,
            replicas: self.quorum.replicas(),
            ack_quorum: self.quorum.ack(),
            durability: DURABILITY,
            device_write_bytes: device.block_bytes(),
            device_writes_in_flight: device.in_flight,
            device_file_bytes,
            warm_up_bytes: self.warm_up_bytes,
            loopback: LOOPBACK,
            rounds: self.rounds,
            part_seconds: self.part.as_secs_f64(),
            cluster: self.cluster.clone(),
            command: self.command.clone(),
        }
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> MeasurementError {
    move |source| MeasurementError::System { what, source }
}

fn fresh_id() -> Result<OwnerId, MeasurementError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| system("random numbers")(io::Error::other(why)))?;
    Ok(OwnerId(bytes))
}
