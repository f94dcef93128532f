//! Two clusters, one of them hurt: their appends take turns, so that a machine that slows down meanwhile slows both.

use super::PhaseError;
use crate::append::{Appends, Load};
use crate::measured::{MeasuredSummary, Until};
use crate::ratios::Spread;
use crate::rounds::Trimmed;
use quarry_client::{ChunkStore, LogWriter};
use serde::Serialize;
use std::time::Duration;

/// How long both are left alone before each part.
const SETTLE: Duration = Duration::from_millis(50);

/// One of the two.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its store.
    pub store: &'a dyn ChunkStore,
    /// The log.
    pub name: &'a str,
    /// Its writer.
    pub writer: &'a LogWriter,
}

/// One round: both sides, one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BesideRound {
    /// Where nothing is wrong.
    pub healthy: MeasuredSummary,
    /// Where something is.
    pub hurt: MeasuredSummary,
}

/// What to measure.
pub struct Beside<'a> {
    /// Where nothing is wrong.
    pub healthy: Side<'a>,
    /// Where something is.
    pub hurt: Side<'a>,
    /// The payloads.
    pub appends: Appends,
    /// Who decides when an append begins.
    pub load: Load,
    /// How long each part begins appends.
    pub part: Duration,
}

impl Beside<'_> {
    /// One round that does not count, then `rounds` of them. Who goes first changes from round to round.
    pub async fn measure(
        &self,
        rounds: usize,
        mut on_round: impl FnMut(usize, &BesideRound),
    ) -> Result<Vec<BesideRound>, PhaseError> {
        let mut measured = Vec::with_capacity(rounds);
        for number in 0..=rounds {
            let (healthy, hurt) = if number % 2 == 0 {
                let healthy = self.part_of(&self.healthy).await?;
                (healthy, self.part_of(&self.hurt).await?)
            } else {
                let hurt = self.part_of(&self.hurt).await?;
                (self.part_of(&self.healthy).await?, hurt)
            };
            if number > 0 {
                let round = BesideRound { healthy, hurt };
                on_round(number, &round);
                measured.push(round);
            }
        }
        Ok(measured)
    }

    async fn part_of(&self, side: &Side<'_>) -> Result<MeasuredSummary, PhaseError> {
        let Side { store, name, writer } = *side;
        Trimmed { store, name, writer }.trim().await?;
        tokio::time::sleep(SETTLE).await;
        Ok(self.appends.measure(writer, self.load, Until::elapsed(self.part)).await?.summary())
    }
}

/// The ratios of the rounds' figures.
#[must_use]
pub fn ratios(rounds: &[BesideRound], figure: fn(&MeasuredSummary) -> f64) -> Spread {
    Spread::of(rounds.iter().map(|round| figure(&round.hurt) / figure(&round.healthy)).collect())
}
