//! The alternation: device, loopback and appends take turns, so that a machine that slows down meanwhile slows all three.

use crate::append::{Appends, Load};
use crate::device::{DeviceError, DeviceFile, DeviceWork};
use crate::drive::CpuClock;
use crate::loopback::Loopback;
use crate::measured::{Measured, MeasuredSummary, Until};
use crate::pipe::{Pipe, PipeError};
use crate::ratios::{CpuPerGib, Round};
use quarry_client::{AppendError, ChunkStore, LogWriter, TailError, TrimError};
use std::io;
use std::time::Duration;

/// Fewest rounds of a measurement.
pub const ROUNDS_MIN: usize = 7;

/// How long the nodes are left alone before each round.
const SETTLE: Duration = Duration::from_millis(50);

/// Payload bytes between two trims while warming up.
const WARM_UP_TRIM_BYTES: u64 = 256 << 20;
/// Appends in flight while warming up.
const WARM_UP_DEPTH: usize = 16;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct RoundsPlan {
    /// How many rounds count.
    pub rounds: usize,
    /// When each of a round's three parts ends.
    pub part_until: Until,
    /// What the raw device does.
    pub device: DeviceWork,
    /// Who decides when an append begins.
    pub load: Load,
}

/// Why a measurement ended early.
#[derive(Debug, thiserror::Error)]
pub enum RoundsError {
    /// The raw device.
    #[error("raw device: {0}")]
    Device(#[from] DeviceError),
    /// The loopback connection.
    #[error("loopback: {0}")]
    Loopback(#[from] io::Error),
    /// The bare pipe.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// The appends.
    #[error("appends: {0}")]
    Append(#[from] AppendError),
    /// The log's tail.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// The log's prefix.
    #[error(transparent)]
    Trim(#[from] TrimError),
    /// A part began no operation at all.
    #[error("a part of a round measured nothing: give it more time (--part-seconds)")]
    Empty,
}

/// The log that is appended to, and dropped again as it grows.
#[derive(Clone, Copy)]
pub struct Trimmed<'a> {
    /// The store.
    pub store: &'a dyn ChunkStore,
    /// The log's name.
    pub name: &'a str,
    /// Its writer.
    pub writer: &'a LogWriter,
}

impl Trimmed<'_> {
    pub(crate) async fn trim(&self) -> Result<(), RoundsError> {
        let tail = self.store.tail(self.name).await?.tail;
        self.store.trim(self.name, tail).await?;
        Ok(())
    }
}

/// Everything that is prepared before the first round.
pub struct Prepared<'a> {
    /// The pre-written file.
    pub device: DeviceFile,
    /// The connection.
    pub loopback: Loopback,
    /// The bare pipe, if it is wanted.
    pub pipe: Option<Pipe>,
    /// The processes that store what is appended, as far as this run started them.
    pub nodes: Vec<u32>,
    /// The log.
    pub log: &'a Trimmed<'a>,
    /// The payloads.
    pub appends: Appends,
}

impl Prepared<'_> {
    /// Appends so many payload bytes, trimming on the way: afterwards the nodes overwrite files, as in steady state.
    pub async fn warm_up(&self, bytes: u64) -> Result<(), RoundsError> {
        let mut left = bytes;
        while left > 0 {
            let chunks = left.min(WARM_UP_TRIM_BYTES).div_ceil(self.appends.chunk_bytes() as u64);
            let load = Load::Closed { depth: WARM_UP_DEPTH };
            let appended = self.appends.measure(self.log.writer, load, Until::operations(chunks)).await?;
            left = left.saturating_sub(appended.bytes);
            self.log.trim().await?;
        }
        Ok(())
    }

    /// One round that does not count (first writes, cold connections, buffers), then those of the plan. `on_round` is
    /// told after each that counts.
    pub async fn measure(
        &mut self,
        plan: &RoundsPlan,
        mut on_round: impl FnMut(usize, &Round),
    ) -> Result<Vec<Round>, RoundsError> {
        self.round(plan).await?;
        let mut rounds = Vec::with_capacity(plan.rounds);
        for number in 1..=plan.rounds {
            let round = self.round(plan).await?;
            on_round(number, &round);
            rounds.push(round);
        }
        Ok(rounds)
    }

    async fn round(&mut self, plan: &RoundsPlan) -> Result<Round, RoundsError> {
        self.log.trim().await?;
        // What the last part left behind (a straggler's writes, a quiet shard's mark) must not fall into this one.
        tokio::time::sleep(SETTLE).await;
        // The two baselines block this thread on purpose: nothing of ours runs beside them.
        let device = self.device.measure(plan.device, plan.part_until)?;
        let loopback = self.loopback.measure(plan.part_until)?;
        let (pipe, pipe_cpu) = self.pipe(plan)?.unzip();
        let clock = CpuClock::start(&self.nodes);
        let append = self.appends.measure(self.log.writer, plan.load, plan.part_until).await?;
        let append_cpu = Some(CpuPerGib::of(clock.elapsed(), append.bytes));
        let counted = |part: &Measured| part.latencies.count() > 0;
        if !(counted(&device) && counted(&loopback) && counted(&append)) {
            return Err(RoundsError::Empty);
        }
        let (device, loopback, append) = (device.summary(), loopback.summary(), append.summary());
        Ok(Round { device, loopback, append, pipe, append_cpu, pipe_cpu })
    }

    /// The pipe has no open loop: under one it runs as the raw device does, one chunk at a time.
    fn pipe(&mut self, plan: &RoundsPlan) -> Result<Option<(MeasuredSummary, CpuPerGib)>, RoundsError> {
        let Some(pipe) = &mut self.pipe else { return Ok(None) };
        let depth = if let Load::Closed { depth } = plan.load { depth } else { 1 };
        let receivers: Vec<_> = pipe.processes().collect();
        let clock = CpuClock::start(&receivers);
        let measured = pipe.measure(depth, plan.part_until)?;
        if measured.latencies.count() == 0 {
            return Err(RoundsError::Empty);
        }
        Ok(Some((measured.summary(), CpuPerGib::of(clock.elapsed(), measured.bytes))))
    }
}
