//! Two results side by side, or several runs against several: what differs beyond their spread, and whether they may be compared at
//! all.

mod comparable;
mod difference;
mod figure;
#[cfg(test)]
mod tests;

pub use comparable::{FieldDifference, Incomparable};
pub use difference::{Basis, Change, Difference, Finding};

use crate::result::{BenchResult, CaseTarget};
use difference::Measured;
use serde::Serialize;

/// What two sides have in common, figure by figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The revision that each side was built from: usually what one wants to compare.
    pub revisions: [String; 2],
    /// How many runs each side has.
    pub runs: [usize; 2],
    /// What the spreads are spreads of.
    pub basis: Basis,
    /// How likely a figure that did not change at all looks changed: that the values of so many runs on each side do not overlap by
    /// chance. Absent for rounds of one run, which are not independent of each other, and where nothing could be judged.
    pub chance: Option<f64>,
    /// Where the environments differ: anything but empty only where that was asked for, and then to be said first.
    pub environments_differ: Vec<FieldDifference>,
    /// Case by case, target by target, figure by figure.
    pub differences: Vec<Difference>,
    /// Cases on targets whose figures at the highest rate that held were left out: these rates differ.
    pub at_other_rates: Vec<String>,
    /// Cases, and targets of cases, that not all runs have.
    pub only_in: [Vec<String>; 2],
}

impl Comparison {
    /// Of the runs `a` and then those of `b`. Refused if anything differs that makes figures mean another thing; with
    /// `across_environments`, the machine may differ.
    ///
    /// # Panics
    /// If one of the two has no run.
    pub fn of(a: &[BenchResult], b: &[BenchResult], across_environments: bool) -> Result<Self, Incomparable> {
        assert!(!a.is_empty() && !b.is_empty(), "nothing is compared with nothing");
        let (mut refused, environments_differ) = (comparable::sides(a, b), comparable::machines(a, b));
        if !across_environments {
            refused.splice(0..0, environments_differ.iter().cloned());
        }
        if !refused.is_empty() {
            return Err(Incomparable { differences: refused });
        }
        let basis = if a.len() == 1 && b.len() == 1 { Basis::Rounds } else { Basis::Runs };
        let (mut differences, mut at_other_rates) = (Vec::new(), Vec::new());
        for case in &a[0].cases {
            for target in &case.targets {
                let (name, chunk_bytes) = (&a[0].targets[target.target].name, target.chunk_bytes);
                let of = |runs| all(runs, &case.name, name, chunk_bytes);
                // What a run of them lacks is named below.
                if let (Some(of_a), Some(of_b)) = (of(a), of(b)) {
                    let (found, left_out) = difference::of(&of_a, &of_b, basis);
                    differences.extend(found);
                    if left_out {
                        let label = a[0].targets[target.target].label();
                        at_other_rates.push(comparable::place(&case.name, &label, chunk_bytes));
                    }
                }
            }
        }
        let judged = differences.iter().any(|found| found.change.finding.is_judged());
        Ok(Self {
            revisions: [a, b].map(|runs| runs[0].environment.git_revision.clone()),
            runs: [a.len(), b.len()],
            basis,
            chance: (basis == Basis::Runs && judged).then(|| chance([a.len(), b.len()])),
            environments_differ,
            differences,
            at_other_rates,
            only_in: [comparable::not_in_all(a, a, b), comparable::not_in_all(b, a, b)],
        })
    }
}

/// A case on a target, as every run has it; `None` if one does not.
fn all<'a>(runs: &'a [BenchResult], case: &str, target: &str, chunk_bytes: u64) -> Option<Vec<Measured<'a>>> {
    runs.iter().map(|run| find(run, case, target, chunk_bytes)).collect()
}

/// The same of one run.
fn find<'a>(run: &'a BenchResult, case: &str, target: &str, chunk_bytes: u64) -> Option<Measured<'a>> {
    let case = run.cases.iter().find(|found| found.name == case)?;
    let same = |found: &&CaseTarget| run.targets[found.target].name == target && found.chunk_bytes == chunk_bytes;
    let found = case.targets.iter().find(same)?;
    Some((run, case, found))
}

/// Of all ways to deal so many values to two sides, those in which one side has all the smaller ones.
fn chance([a, b]: [usize; 2]) -> f64 {
    let ways: f64 = (1..=a).map(|number| (b + number) as f64 / number as f64).product();
    2.0 / ways
}
