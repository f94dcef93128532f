//! The alternation: device, loopback and appends take turns, so that a machine that slows down meanwhile slows all three.

use crate::append::{Appends, Load};
use crate::device::{DeviceError, DeviceFile, DeviceWork};
use crate::loopback::Loopback;
use crate::measured::{Measured, Until};
use crate::ratios::Round;
use quarry_client::{AppendError, LogWriter};
use std::io;

/// Fewest rounds of a measurement.
pub const ROUNDS_MIN: usize = 7;

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
    /// The appends.
    #[error("appends: {0}")]
    Append(#[from] AppendError),
    /// A part began no operation at all.
    #[error("a part of a round measured nothing: give it more time (--part-seconds)")]
    Empty,
}

/// Everything that is prepared before the first round.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The pre-written file.
    pub device: DeviceFile,
    /// The connection.
    pub loopback: Loopback,
    /// The writer.
    pub writer: &'a LogWriter,
    /// The payloads.
    pub appends: Appends,
}

impl Prepared<'_> {
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
        // The two baselines block this thread on purpose: nothing of ours runs beside them.
        let device = self.device.measure(plan.device, plan.part_until)?;
        let loopback = self.loopback.measure(plan.part_until)?;
        let append = self.appends.measure(self.writer, plan.load, plan.part_until).await?;
        let counted = |part: &Measured| part.latencies.count() > 0;
        if !(counted(&device) && counted(&loopback) && counted(&append)) {
            return Err(RoundsError::Empty);
        }
        Ok(Round { device: device.summary(), loopback: loopback.summary(), append: append.summary() })
    }
}
