//! What must be equal for figures to mean the same thing.

use crate::environment::{DiskFacts, DoctorFinding, Environment};
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
#[error(
    "these results measure different things, so their difference says nothing:\n{}{}",
    lines(differences),
    hint(differences)
)]
pub struct Incomparable {
    /// Every field that differs and must not.
    pub differences: Vec<FieldDifference>,
}

fn lines(differences: &[FieldDifference]) -> String {
    let lines: Vec<_> =
        differences.iter().map(|field| format!("  {}: {} and {}", field.field, field.a, field.b)).collect();
    lines.join("\n")
}

/// What to do where only the machine is in the way.
fn hint(differences: &[FieldDifference]) -> &'static str {
    if differences.iter().all(|field| field.field.contains("environment.")) {
        "\nonly the machines differ, or do not tell enough: --across-environments compares all the same, and says so first"
    } else {
        ""
    }
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

/// Said of what a machine does not tell.
const UNKNOWN: &str = "unknown";

impl Fields {
    /// As [`Self::same`], but what neither of them knows is not the same.
    fn known_and_same<T: PartialEq + Debug>(&mut self, name: &str, a: Option<&T>, b: Option<&T>) {
        if a.is_none() || a != b {
            let [a, b] = [a, b].map(|value| value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:?}")));
            self.found.push(FieldDifference { field: format!("{}{name}", self.prefix), a, b });
        }
    }

    fn disks(&mut self, a: &DiskFacts, b: &DiskFacts) {
        self.same("model", &a.model, &b.model);
        self.same("file_system", &a.file_system, &b.file_system);
        self.same("mount_options", &a.mount_options, &b.mount_options);
        self.same("scheduler", &a.scheduler, &b.scheduler);
        self.known_and_same("write_cache", a.write_cache.as_ref(), b.write_cache.as_ref());
        self.known_and_same("fua", a.fua.as_ref(), b.fua.as_ref());
    }

    /// Every code that one of them has, with what it says of it.
    fn doctors(&mut self, a: &[DoctorFinding], b: &[DoctorFinding]) {
        if a.is_empty() && b.is_empty() {
            let unasked = "not asked".to_owned();
            self.found.push(FieldDifference {
                field: format!("{}doctor", self.prefix),
                a: unasked.clone(),
                b: unasked,
            });
        }
        let severity = |findings: &[DoctorFinding], code: &str| {
            findings.iter().find(|finding| finding.code == code).map(|finding| finding.severity.clone())
        };
        let codes: BTreeSet<_> = a.iter().chain(b).map(|finding| finding.code.as_str()).collect();
        for code in codes {
            self.known_and_same(&format!("doctor[{code}]"), severity(a, code).as_ref(), severity(b, code).as_ref());
        }
    }
}

/// Where two machines differ, or do not tell what a synced write means on them. The revision may: to see what it changed is what comparing is for.
fn environments(a: &Environment, b: &Environment) -> Vec<FieldDifference> {
    let mut fields = Fields::of("environment.");
    fields.same("kernel", &a.kernel, &b.kernel);
    fields.same("processor", &a.processor, &b.processor);
    fields.same("processors", &a.processors, &b.processors);
    fields.same("governor", &a.governor, &b.governor);
    fields.same("virtualisation", &a.virtualisation, &b.virtualisation);
    fields.same("optimised", &a.optimised, &b.optimised);
    fields.doctors(&a.doctor, &b.doctor);
    fields.prefix.push_str("disk.");
    fields.disks(&a.disk, &b.disk);
    fields.found
}

/// Every run with what it is called, the first of the first side first: the others are held against it.
fn numbered<'a>(a: &'a [BenchResult], b: &'a [BenchResult]) -> Vec<(String, &'a BenchResult)> {
    let name = |side, runs: &'a [BenchResult]| {
        runs.iter().enumerate().map(move |(index, run)| (format!("{side}{}", index + 1), run))
    };
    name("A", a).chain(name("B", b)).collect()
}

/// What `differs` finds between the first run and each other one; with more than two of them, which one that is.
fn each(
    a: &[BenchResult],
    b: &[BenchResult],
    differs: impl Fn(&BenchResult, &BenchResult) -> Vec<FieldDifference>,
) -> Vec<FieldDifference> {
    let runs = numbered(a, b);
    let (first, others) = runs.split_first().expect("a side has a run");
    let mut found = Vec::new();
    for (name, other) in others {
        let of_pair = differs(first.1, other).into_iter().map(|field| match runs.len() {
            2 => field,
            _ => FieldDifference { field: format!("{} and {name}: {}", first.0, field.field), ..field },
        });
        found.extend(of_pair);
    }
    found
}

/// Where the machines of the runs differ.
pub(super) fn machines(a: &[BenchResult], b: &[BenchResult]) -> Vec<FieldDifference> {
    each(a, b, |a, b| environments(&a.environment, &b.environment))
}

/// Where targets or cases of one name are not the same thing, or the runs of a side are not several runs of one program.
pub(super) fn sides(a: &[BenchResult], b: &[BenchResult]) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    for (side, runs) in [("A", a), ("B", b)] {
        for (index, run) in runs.iter().enumerate() {
            let names = |other: usize| format!("{side}{} and {side}{}: ", other + 1, index + 1);
            if let Some(same) = runs[..index].iter().position(|other| other == run) {
                let once = "a run counts once".to_owned();
                found.push(FieldDifference { field: names(same) + "the same run twice", a: once.clone(), b: once });
            }
            let mut fields = Fields::of(names(0));
            fields.same("environment.git_revision", &runs[0].environment.git_revision, &run.environment.git_revision);
            found.extend(fields.found);
        }
    }
    found.extend(each(a, b, targets_and_cases));
    let (everywhere, all) = (common(a, b), numbered(a, b));
    if found.is_empty() && everywhere.is_empty() {
        let [a, b] = [&all[0], &all[all.len() - 1]].map(|(_, run)| places(run).join(", "));
        found.push(FieldDifference { field: "cases: none in common".to_owned(), a, b });
    }
    found
}

/// Places that every run has.
fn common(a: &[BenchResult], b: &[BenchResult]) -> BTreeSet<String> {
    let of = |run| places(run).into_iter().collect::<BTreeSet<_>>();
    a.iter().chain(b).map(of).reduce(|all, one| &all & &one).unwrap_or_default()
}

/// Cases and targets of `side` that not every run of `a` and `b` has.
pub(super) fn not_in_all(side: &[BenchResult], a: &[BenchResult], b: &[BenchResult]) -> Vec<String> {
    let everywhere = common(a, b);
    let mut seen = BTreeSet::new();
    let all = side.iter().flat_map(places);
    all.filter(|place| !everywhere.contains(place) && seen.insert(place.clone())).collect()
}

fn targets_and_cases(a: &BenchResult, b: &BenchResult) -> Vec<FieldDifference> {
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
    fields.same("number of disks", &a.disks.len(), &b.disks.len());
    for (a, b) in a.disks.iter().zip(&b.disks) {
        fields.same("disks.model", &a.model, &b.model);
        fields.same("disks.file_system", &a.file_system, &b.file_system);
    }
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
fn asked(result: &BenchResult, case: &CaseResult) -> Option<(LoadSpec, usize, bool, bool)> {
    let suite = Suite::parse(&result.suite).ok()?;
    let of_case = |spec: &&CaseSpec| spec.chunks.iter().any(|chunk| spec.name_with(*chunk) == case.name);
    let spec = suite.cases.iter().find(of_case)?;
    Some((spec.load.clone(), spec.clients, spec.stages, spec.stages_cost))
}

fn chunk_sizes(result: &BenchResult, case: &CaseResult, name: &str) -> BTreeSet<u64> {
    let targets = case.targets.iter().filter(|target| result.targets[target.target].name == name);
    targets.map(|target| target.chunk_bytes).collect()
}

/// Every case and target, by name.
fn places(result: &BenchResult) -> Vec<String> {
    let of_case = |case: &CaseResult| {
        let name = case.name.clone();
        let places = case.targets.iter().map(move |target| (name.clone(), target.target, target.chunk_bytes));
        places.collect::<Vec<_>>()
    };
    let all = result.cases.iter().flat_map(of_case);
    all.map(|(case, target, chunk)| place(&case, &result.targets[target].label(), chunk)).collect()
}

/// What a case on a target is called.
pub(super) fn place(case: &str, target: &str, chunk_bytes: u64) -> String {
    format!("{case} on {target} in chunks of {chunk_bytes}")
}
