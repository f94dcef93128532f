//! Two results side by side: what differs beyond the spread of the rounds, and whether they may be compared at all.

mod comparable;
mod difference;
#[cfg(test)]
mod tests;

pub use comparable::{FieldDifference, Incomparable};
pub use difference::{Change, Difference, Finding};

use crate::result::BenchResult;
use serde::Serialize;

/// What two runs have in common, figure by figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The revision that each was built from: usually what one wants to compare.
    pub revisions: [String; 2],
    /// Where the environments differ: anything but empty only where that was asked for, and then to be said first.
    pub environments_differ: Vec<FieldDifference>,
    /// Case by case, target by target, figure by figure.
    pub differences: Vec<Difference>,
    /// Cases, and targets of cases, that only one of them has.
    pub only_in: [Vec<String>; 2],
}

impl Comparison {
    /// Of `a` and then `b`. Refused if anything differs that makes figures mean another thing; with `across_environments`, the
    /// machine may differ.
    pub fn of(a: &BenchResult, b: &BenchResult, across_environments: bool) -> Result<Self, Incomparable> {
        let environments_differ = comparable::environments(&a.environment, &b.environment);
        let mut refused = comparable::targets_and_cases(a, b);
        if !across_environments {
            refused.splice(0..0, environments_differ.iter().cloned());
        }
        if !refused.is_empty() {
            return Err(Incomparable { differences: refused });
        }
        let mut differences = Vec::new();
        for case in &a.cases {
            let Some(of_b) = b.cases.iter().find(|of_b| of_b.name == case.name) else { continue };
            for target in &case.targets {
                let facts = &a.targets[target.target];
                let same = of_b
                    .targets
                    .iter()
                    .find(|of_b| b.targets[of_b.target].name == facts.name && of_b.chunk_bytes == target.chunk_bytes);
                if let Some(same) = same {
                    let other_facts = &b.targets[same.target];
                    differences.extend(difference::of((facts, case, target), (other_facts, of_b, same)));
                }
            }
        }
        let (names_a, names_b) = (comparable::places(a), comparable::places(b));
        let only = |names: &[String], others: &[String]| {
            names.iter().filter(|name| !others.contains(name)).cloned().collect::<Vec<_>>()
        };
        Ok(Self {
            revisions: [a, b].map(|result| result.environment.git_revision.clone()),
            environments_differ,
            differences,
            only_in: [only(&names_a, &names_b), only(&names_b, &names_a)],
        })
    }
}
