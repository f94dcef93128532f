//! What receipts that say where the time went cost, round by round.

use super::{cpu_us_per_operation, quantile_us};
use crate::ratios::Spread;
use crate::result::{CaseTarget, PartResult};
use serde::Serialize;

/// Appends with them over the same appends without, in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StagesCost {
    /// Of the medians from due.
    pub p50: Spread,
    /// Of the payload bandwidths.
    pub bandwidth: Spread,
    /// Of the processor time of an append, client and nodes together, where both are known.
    pub cpu: Option<Spread>,
}

impl StagesCost {
    /// `None` where it was not measured.
    #[must_use]
    pub fn of(target: &CaseTarget) -> Option<Self> {
        let without = &target.stages.as_ref()?.without;
        if without.len() != target.rounds.len() || without.is_empty() {
            return None;
        }
        let ratio = |figure: &dyn Fn(&PartResult) -> Option<f64>| {
            let pairs = target.rounds.iter().zip(without);
            let ratios =
                pairs.map(|(with, without)| Some(figure(with)? / figure(without).filter(|figure| *figure > 0.0)?));
            ratios.collect::<Option<Vec<_>>>().map(Spread::of)
        };
        Some(Self {
            p50: ratio(&|part| Some(quantile_us(&part.from_due, 0.5)))?,
            bandwidth: ratio(&|part| Some(part.bytes_per_second()))?,
            cpu: ratio(&cpu_us_per_operation),
        })
    }
}
