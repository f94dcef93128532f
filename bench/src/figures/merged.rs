//! Which parts count, and their samples together.

use crate::latencies::Latencies;
use crate::result::{CaseTarget, PartResult, Samples};

/// A part, and which round of its case it belongs to: that of the baseline it stands beside.
pub type RoundPart<'a> = (usize, &'a PartResult);

/// The parts that a target's figures are made of: its rounds, or of a ladder the step with the highest rate that held, or the
/// slowest step if none did.
#[must_use]
pub fn measured_parts(target: &CaseTarget) -> Vec<RoundPart<'_>> {
    let Some(ladder) = &target.ladder else { return in_order(&target.rounds) };
    let highest = ladder.steps.iter().rfind(|step| Some(step.per_second) == ladder.highest_per_second);
    highest.or(ladder.steps.first()).map(|step| (step.round, &step.part)).into_iter().collect()
}

/// One part of each round.
#[must_use]
pub fn in_order(parts: &[PartResult]) -> Vec<RoundPart<'_>> {
    parts.iter().enumerate().collect()
}

impl Latencies {
    /// All samples of several histograms.
    #[must_use]
    pub fn merged<'a>(samples: impl IntoIterator<Item = &'a Samples>) -> Self {
        let mut merged = Self::new();
        samples.into_iter().for_each(|samples| merged.merge(&samples.latencies()));
        merged
    }
}
