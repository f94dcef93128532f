//! Which parts count, and their samples together.

use crate::latencies::Latencies;
use crate::result::{CaseTarget, PartResult, Samples};

/// The parts that a target's figures are made of: its rounds, or of a ladder the step with the highest rate that held, or the
/// slowest step if none did.
#[must_use]
pub fn measured_parts(target: &CaseTarget) -> Vec<&PartResult> {
    let Some(ladder) = &target.ladder else { return target.rounds.iter().collect() };
    let highest = ladder.steps.iter().rfind(|step| Some(step.per_second) == ladder.highest_per_second);
    highest.or(ladder.steps.first()).map(|step| &step.part).into_iter().collect()
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
