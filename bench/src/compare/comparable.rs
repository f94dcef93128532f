//! What must be equal for figures to mean the same thing.

use crate::environment::Environment;
use crate::result::{BenchResult, CaseResult, TargetFacts, TargetKind};
use crate::suite::{CaseSpec, LoadSpec, Suite};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A field with two values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Which, as `result.json` has it.
    pub field: String,
    /// In the first result.
    pub a: String,
    /// In the second.
    pub b: String,
}

/// Why two results cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error("these results measure different things, so their difference says nothing:\n{}", lines(differences))]
pub struct Incomparable {
    /// Every field that differs and must not.
    pub differences: Vec<FieldDifference>,
}

fn lines(differences: &[FieldDifference]) -> String {
    let lines: Vec<_> =
        differences.iter().map(|field| format!("  {}: {} and {}", field.field, field.a, field.b)).collect();
    lines.join("\n")
}

/// Collects fields that differ.
struct Fields {
    prefix: String,
    found: Vec<FieldDifference>,
}

impl Fields {
    fn of(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), found: Vec::new() }
    }

    fn same<T: PartialEq + Debug>(&mut self, name: &str, a: &T, b: &T) {
        if a != b {
            let [a, b] = [a, b].map(|value| format!("{value:?}"));
            self.found.push(FieldDifference { field: format!("{}{name}", self.prefix), a, b });
        }
    }
}

/// Where two machines differ. The revision may: to see what it changed is what comparing is for.
pub(super) fn environments(a: &Environment, b: &Environment) -> Vec<FieldDifference> {
    let mut fields = Fields::of("environment.");
    fields.same("kernel", &a.kernel, &b.kernel);
    fields.same("processor", &a.processor, &b.processor);
    fields.same("processors", &a.processors, &b.processors);
    fields.same("governor", &a.governor, &b.governor);
    fields.same("virtualisation", &a.virtualisation, &b.virtualisation);
    fields.same("optimised", &a.optimised, &b.optimised);
    let (a, b) = (&a.disk, &b.disk);
    fields.same("disk.model", &a.model, &b.model);
    fields.same("disk.file_system", &a.file_system, &b.file_system);
    fields.same("disk.mount_options", &a.mount_options, &b.mount_options);
    fields.same("disk.scheduler", &a.scheduler, &b.scheduler);
    fields.same("disk.write_cache", &a.write_cache, &b.write_cache);
    fields.same("disk.fua", &a.fua, &b.fua);
    fields.found
}

/// Where targets or cases of one name are not the same thing.
pub(super) fn targets_and_cases(a: &BenchResult, b: &BenchResult) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    for target in &a.targets {
        if let Some(same) = b.targets.iter().find(|same| same.name == target.name) {
            found.extend(targets(target, same));
        }
    }
    for case in &a.cases {
        if let Some(same) = b.cases.iter().find(|same| same.name == case.name) {
            found.extend(cases(a, case, b, same));
        }
    }
    let (places_a, places_b) = (places(a), places(b));
    if found.is_empty() && !places_a.iter().any(|place| places_b.contains(place)) {
        let [a, b] = [places_a, places_b].map(|places| places.join(", "));
        found.push(FieldDifference { field: "cases: none in common".to_owned(), a, b });
    }
    found
}

fn targets(a: &TargetFacts, b: &TargetFacts) -> Vec<FieldDifference> {
    let mut fields = Fields::of(format!("targets[{}].", a.name));
    fields.same("kind", &a.kind, &b.kind);
    if a.kind == TargetKind::Nodes && a.on_this_machine && b.on_this_machine {
        fields.same("place", &a.place, &b.place);
    }
    fields.same("emulated", &a.emulated, &b.emulated);
    fields.same("durability", &a.durability, &b.durability);
    fields.same("replicas", &a.replicas, &b.replicas);
    fields.same("ack_quorum", &a.ack_quorum, &b.ack_quorum);
    fields.same("on_this_machine", &a.on_this_machine, &b.on_this_machine);
    fields.found
}

fn cases(of_a: &BenchResult, a: &CaseResult, of_b: &BenchResult, b: &CaseResult) -> Vec<FieldDifference> {
    let mut fields = Fields::of(format!("cases[{}].", a.name));
    fields.same("load", &a.load, &b.load);
    fields.same("logs", &a.logs, &b.logs);
    fields.same("part_seconds", &a.part_seconds, &b.part_seconds);
    let [asked_a, asked_b] = [(of_a, a), (of_b, b)].map(|(result, case)| asked(result, case));
    fields.same("suite", &asked_a, &asked_b);
    if let (Some(a), Some(b)) = (&a.baseline, &b.baseline) {
        fields.same("baseline.write_bytes", &a.write_bytes, &b.write_bytes);
        fields.same("baseline.device_in_flight", &a.device_in_flight, &b.device_in_flight);
    }
    let names: BTreeSet<_> = a.targets.iter().map(|target| &of_a.targets[target.target].name).collect();
    for name in names {
        let (sizes_a, sizes_b) = (chunk_sizes(of_a, a, name), chunk_sizes(of_b, b, name));
        // A target that only one of them has is named elsewhere.
        if !sizes_b.is_empty() {
            fields.same(&format!("targets[{name}].chunk_bytes"), &sizes_a, &sizes_b);
        }
    }
    for (result, case) in [(of_a, a), (of_b, b)] {
        for target in &case.targets {
            let (name, verdict) = (&result.targets[target.target].name, &target.verdict);
            if verdict.different + verdict.missing > 0 {
                let lost = format!("{} different, {} missing", verdict.different, verdict.missing);
                let field = format!("cases[{}].targets[{name}].verdict", case.name);
                fields.found.push(FieldDifference {
                    field,
                    a: lost,
                    b: "a run that lost chunks has no figures".to_owned(),
                });
            }
        }
    }
    fields.found
}

/// What was asked for beyond what stands in the result of the case itself: the parameters of a ladder or a phase, clients, receipts.
fn asked(result: &BenchResult, case: &CaseResult) -> Option<(LoadSpec, usize, bool)> {
    let suite = Suite::parse(&result.suite).ok()?;
    let of_case = |spec: &&CaseSpec| spec.chunks.iter().any(|chunk| spec.name_with(*chunk) == case.name);
    let spec = suite.cases.iter().find(of_case)?;
    Some((spec.load.clone(), spec.clients, spec.stages))
}

fn chunk_sizes(result: &BenchResult, case: &CaseResult, name: &str) -> BTreeSet<u64> {
    let targets = case.targets.iter().filter(|target| result.targets[target.target].name == name);
    targets.map(|target| target.chunk_bytes).collect()
}

/// Every case and target, by name.
pub(super) fn places(result: &BenchResult) -> Vec<String> {
    let of_case = |case: &CaseResult| {
        let name = case.name.clone();
        let places = case.targets.iter().map(move |target| (name.clone(), target.target, target.chunk_bytes));
        places.collect::<Vec<_>>()
    };
    let all = result.cases.iter().flat_map(of_case);
    all.map(|(case, target, chunk)| format!("{case} on {} in chunks of {chunk}", result.targets[target].label()))
        .collect()
}
