//! Two clusters, one of them hurt: their appends take turns, so that a machine that slows down meanwhile slows both.

use super::PhaseError;
use crate::append::{Appends, Load};
use crate::measured::{MeasuredSummary, Until};
use crate::ratios::Spread;
use crate::rounds::Trimmed;
use quarry_client::{ChunkStore, LogWriter};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;

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
    /// Told when a part of the hurt side begins and ends, if something is to go on just then: both share a machine.
    pub disturb: Option<watch::Sender<bool>>,
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
                (healthy, self.hurt_part().await?)
            } else {
                let hurt = self.hurt_part().await?;
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

    async fn hurt_part(&self) -> Result<MeasuredSummary, PhaseError> {
        let tell = |goes_on| self.disturb.as_ref().map(|disturb| disturb.send_replace(goes_on));
        tell(true);
        let part = self.part_of(&self.hurt).await;
        tell(false);
        part
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
