//! What a suite must keep, and its defaults filled in.

use super::{CaseSpec, ChunkSize, LadderSpec, LoadSpec, NodesSpec, PhaseKind, PhaseSpec, Suite, TargetSpec};
use crate::size::Size;
use quarry_protocol::chunk::check_length;
use quarry_protocol::limits::{BLOCK_BYTES, REPLICAS_MAX, WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use quarry_protocol::quorum::Quorum;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Targets of a suite.
const TARGETS: RangeInclusive<usize> = 1..=8;
/// Cases of a suite.
const CASES: RangeInclusive<usize> = 1..=64;
/// Sizes of chunks of a case.
const CHUNKS: RangeInclusive<usize> = 1..=16;
/// Rounds that count.
const ROUNDS: RangeInclusive<usize> = 1..=1000;
/// Time of a part.
const PART_SECONDS: RangeInclusive<f64> = 0.02..=3600.0;
/// Appends in flight for each log: more never fit in a window.
const DEPTH: RangeInclusive<usize> = 1..=WINDOW_CHUNKS_MAX as usize;
/// Writes in flight to the raw device: every device is busy with less.
pub(crate) const DEVICE_IN_FLIGHT: RangeInclusive<usize> = 1..=256;
/// Bytes in flight to the raw device: they lie in memory.
pub(crate) const DEVICE_IN_FLIGHT_BYTES_MAX: u64 = 64 << 20;
/// Operations per second.
const RATE: RangeInclusive<f64> = 0.1..=1e7;
/// Logs written at once.
const LOGS: RangeInclusive<usize> = 1..=1024;
/// Clients.
const CLIENTS: RangeInclusive<usize> = 1..=64;
/// Steps of a ladder.
const STEPS: RangeInclusive<usize> = 1..=64;
/// How much higher each step of a ladder is.
const FACTOR: RangeInclusive<f64> = 1.05..=100.0;
/// A ladder's bound, in microseconds.
const BOUND_US: RangeInclusive<f64> = 1.0..=60e6;
/// The failure detection time, in milliseconds.
const PATIENCE_MS: RangeInclusive<u64> = 10..=60_000;
/// How much of the time a slow node stands still.
const STOPPED_PERCENT: RangeInclusive<u32> = 1..=95;
/// Payload bytes at which logs are read back and trimmed: a part appends half of it, and that must be some chunks of any size.
const HOLDS: RangeInclusive<u64> = 64 << 20..=1 << 40;
/// The same, unless it is said.
const HOLDS_BYTES: u64 = 512 << 20;
/// Nodes may be asked to hold this part of their capacity: what is trimmed is not free at once.
const HELD_PART_OF_CAPACITY: u64 = 4;
/// Longest name of a suite, target or case, in bytes.
const NAME_BYTES: RangeInclusive<usize> = 1..=80;

/// Why a suite is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// It is no TOML, or has a key or value that no suite has.
    #[error("{0}")]
    Toml(String),
    /// A value is out of its bounds, or does not go with another.
    #[error("{place}: {why}")]
    Value {
        /// Where in the suite.
        place: String,
        /// What is wrong, and how to mend it.
        why: String,
    },
}

/// A place in the suite, to name in an error.
struct Place(String);

impl Place {
    fn refuse<T>(&self, why: impl Display) -> Result<T, SuiteError> {
        Err(SuiteError::Value { place: self.0.clone(), why: why.to_string() })
    }

    #[allow(clippy::needless_pass_by_value, reason = "bounds are constants, handed over once")]
    fn within<T: PartialOrd + Display>(
        &self,
        key: &str,
        value: &T,
        bounds: RangeInclusive<T>,
    ) -> Result<(), SuiteError> {
        if bounds.contains(value) {
            return Ok(());
        }
        self.refuse(format!("{key} = {value}: must be {} to {}", bounds.start(), bounds.end()))
    }
}

impl Suite {
    /// Checks every value and fills in every default.
    pub fn checked(mut self) -> Result<Self, SuiteError> {
        let place = Place("suite".to_owned());
        place.within("length of its name", &self.name.len(), NAME_BYTES)?;
        place.within("number of targets", &self.targets.len(), TARGETS)?;
        place.within("number of cases", &self.cases.len(), CASES)?;
        place.within("rounds", &self.rounds, ROUNDS)?;
        place.within("part_seconds", &self.part_seconds, PART_SECONDS)?;
        self.targets.iter_mut().try_for_each(check_target)?;
        unique("target", self.targets.iter().map(|target| target.name.clone()))?;
        for case in &mut self.cases {
            case.rounds.get_or_insert(self.rounds);
            case.part_seconds.get_or_insert(self.part_seconds);
            check_case(case, &self.targets)?;
        }
        let names = self.cases.iter().flat_map(|case| case.chunks.iter().map(|chunk| case.name_with(*chunk)));
        unique("case", names)?;
        Ok(self)
    }
}

fn unique(kind: &str, names: impl Iterator<Item = String>) -> Result<(), SuiteError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Place(format!("{kind} {name:?}")).refuse("there is another of this name: give each its own");
        }
        seen.insert(name);
    }
    Ok(())
}

fn check_target(target: &mut TargetSpec) -> Result<(), SuiteError> {
    let place = Place(format!("target {:?}", target.name));
    place.within("length of its name", &target.name.len(), NAME_BYTES)?;
    let kinds = [target.nodes.is_some(), target.emulated.is_some(), target.url.is_some()];
    if kinds.iter().filter(|given| **given).count() != 1 {
        return place.refuse("say exactly one of nodes, emulated and url");
    }
    let holds = match (&target.nodes, target.emulated) {
        (Some(nodes), _) => HOLDS_BYTES.min(nodes.capacity.0 / HELD_PART_OF_CAPACITY),
        (None, Some(_)) => HOLDS_BYTES / 2,
        (None, None) => HOLDS_BYTES,
    };
    let holds = target.holds.get_or_insert(Size(holds)).0;
    place.within("holds", &holds, HOLDS)?;
    if let Some(nodes) = &mut target.nodes {
        place.within("nodes.count", &nodes.count, 1..=REPLICAS_MAX)?;
        nodes.warm_up.get_or_insert(nodes.capacity);
        target.replicas.get_or_insert(nodes.count.min(3));
        check_space(&place, nodes, holds)?;
        if target.replicas > Some(nodes.count) {
            let (replicas, count) = (target.replicas.unwrap_or(0), nodes.count);
            return place.refuse(format!("replicas = {replicas}: each needs a node of its own, there are {count}"));
        }
    }
    match (target.replicas, target.ack) {
        (Some(replicas), ack) => {
            let quorum = ack.map_or_else(|| Quorum::majority(replicas), |ack| Quorum::new(replicas, ack));
            match quorum {
                Ok(quorum) => target.ack = Some(quorum.ack()),
                Err(why) => return place.refuse(why),
            }
        }
        (None, Some(_)) => return place.refuse("ack says nothing without replicas: say both"),
        (None, None) => {}
    }
    Ok(())
}

/// What a run leaves in nodes must fit, with room for what a part adds and what is not yet freed.
fn check_space(place: &Place, nodes: &NodesSpec, holds: u64) -> Result<(), SuiteError> {
    let holds_max = nodes.capacity.0 / HELD_PART_OF_CAPACITY;
    if holds > holds_max {
        return place.refuse(format!(
            "holds = {holds}: at most a quarter of nodes.capacity = {} ({holds_max}): make one smaller or the other larger",
            nodes.capacity
        ));
    }
    Ok(())
}

fn check_case(case: &mut CaseSpec, targets: &[TargetSpec]) -> Result<(), SuiteError> {
    let place = Place(format!("case {:?}", case.name));
    place.within("length of its name", &case.name.len(), NAME_BYTES)?;
    place.within("number of chunks", &case.chunks.len(), CHUNKS)?;
    place.within("rounds", &case.rounds.unwrap_or(1), ROUNDS)?;
    place.within("part_seconds", &case.part_seconds.unwrap_or(1.0), PART_SECONDS)?;
    place.within("logs", &case.logs, LOGS)?;
    place.within("clients", &case.clients, CLIENTS)?;
    if case.clients > case.logs {
        return place
            .refuse(format!("clients = {}: each writes a log at least, there are {} logs", case.clients, case.logs));
    }
    if case.targets.is_empty() {
        case.targets = targets.iter().map(|target| target.name.clone()).collect();
    }
    let mut named = Vec::new();
    for name in &case.targets {
        match targets.iter().find(|target| target.name == *name) {
            Some(target) => named.push(target),
            None => return place.refuse(format!("targets: there is no target {name:?}")),
        }
    }
    unique("targets of a case:", case.targets.iter().cloned())?;
    let depth = check_load(&place, &case.load)?;
    for chunk in &case.chunks {
        check_chunk(&place, *chunk, depth)?;
    }
    if let LoadSpec::Phase(phase) = &case.load {
        check_phase(&place, phase, case, &named)?;
    }
    let own_nodes = named.iter().any(|target| target.nodes.is_some());
    let baseline = *case.baseline.get_or_insert(own_nodes);
    check_device_depth(&place, case, baseline)?;
    if case.stages && !matches!(case.load, LoadSpec::Closed { .. } | LoadSpec::Open { .. }) {
        return place.refuse("stages = true: they are told apart under a closed or an open loop: leave it away");
    }
    if case.stages_cost && !case.stages {
        return place.refuse("stages_cost = true: the cost is that of stages: say stages = true, too");
    }
    let closed = matches!(case.load, LoadSpec::Closed { .. });
    if *case.pipe.get_or_insert(baseline && closed) && !(baseline && closed) {
        return place.refuse("pipe = true: it stands beside the baseline of a closed loop only: leave it away");
    }
    Ok(())
}

/// A depth of the raw device that is asked for must be one that it gets.
fn check_device_depth(place: &Place, case: &CaseSpec, baseline: bool) -> Result<(), SuiteError> {
    let Some(in_flight) = case.device_in_flight else { return Ok(()) };
    place.within("device_in_flight", &in_flight, DEVICE_IN_FLIGHT)?;
    if !baseline {
        return place.refuse("device_in_flight says nothing without a baseline: leave one of them away");
    }
    for chunk in &case.chunks {
        let ChunkSize::Bytes(size) = chunk else { continue };
        let bytes = size.0.next_multiple_of(u64::from(BLOCK_BYTES)) * in_flight as u64;
        if bytes > DEVICE_IN_FLIGHT_BYTES_MAX {
            return place.refuse(format!(
                "device_in_flight = {in_flight} with chunks of {size} is {bytes} bytes in flight: at most {DEVICE_IN_FLIGHT_BYTES_MAX}"
            ));
        }
    }
    Ok(())
}

/// How many appends of a log are in flight, if that is fixed.
fn check_load(place: &Place, load: &LoadSpec) -> Result<Option<usize>, SuiteError> {
    match load {
        LoadSpec::Closed { depth } => {
            place.within("depth", depth, DEPTH)?;
            Ok(Some(*depth))
        }
        LoadSpec::Open { per_second } => {
            place.within("per_second", per_second, RATE)?;
            Ok(None)
        }
        LoadSpec::Ladder(LadderSpec { p99_us_max, first_per_second, factor, halvings: _, steps_max }) => {
            place.within("p99_us_max", p99_us_max, BOUND_US)?;
            place.within("first_per_second", first_per_second, RATE)?;
            place.within("factor", factor, FACTOR)?;
            place.within("steps_max", steps_max, STEPS)?;
            Ok(None)
        }
        LoadSpec::Phase(phase) => {
            place.within("depth", &phase.depth, DEPTH)?;
            place.within("patience_ms", &phase.patience_ms, PATIENCE_MS)?;
            place.within("stopped_percent", &phase.stopped_percent, STOPPED_PERCENT)?;
            Ok(Some(phase.depth))
        }
    }
}

fn check_chunk(place: &Place, chunk: ChunkSize, depth: Option<usize>) -> Result<(), SuiteError> {
    let ChunkSize::Bytes(size) = chunk else { return Ok(()) };
    if let Err(why) = check_length(size.0) {
        return place.refuse(format!("chunks: {why}"));
    }
    let in_flight = size.0 * depth.unwrap_or(1) as u64;
    if in_flight > WINDOW_BYTES_MAX {
        return place.refuse(format!(
            "depth {} with chunks of {size} is {in_flight} bytes in flight, a window holds {WINDOW_BYTES_MAX}: lower one of them",
            depth.unwrap_or(1)
        ));
    }
    Ok(())
}

fn check_phase(place: &Place, phase: &PhaseSpec, case: &CaseSpec, targets: &[&TargetSpec]) -> Result<(), SuiteError> {
    let kind = phase.kind.name();
    if case.logs != 1 {
        return place.refuse(format!("logs = {}: a phase looks at one log", case.logs));
    }
    for target in targets {
        let Some(nodes) = &target.nodes else {
            if phase.kind == PhaseKind::TakeoverFull && target.emulated.is_some() {
                return place.refuse(format!(
                    "phase {kind} cuts a client off, target {:?} has one for all: name targets with nodes or url",
                    target.name
                ));
            }
            if phase.kind.hurts_nodes() {
                return place.refuse(format!(
                    "phase {kind} hurts nodes, target {:?} has none that it may hurt: name targets with nodes",
                    target.name
                ));
            }
            continue;
        };
        let (replicas, ack) = (target.replicas.unwrap_or(1), target.ack.unwrap_or(1));
        if matches!(phase.kind, PhaseKind::Slow | PhaseKind::Paused | PhaseKind::Killed) && ack == replicas {
            return place.refuse(format!(
                "phase {kind} takes a replica away, target {:?} acknowledges with all {replicas}: let ack be lower",
                target.name
            ));
        }
        if phase.kind == PhaseKind::Repair && nodes.count <= replicas {
            return place.refuse(format!(
                "phase repair copies to another node, target {:?} has {} for {replicas} replicas: start one more",
                target.name, nodes.count
            ));
        }
        if phase.older.0 > nodes.capacity.0 / 2 {
            return place
                .refuse(format!("older = {}: at most half of nodes.capacity = {}", phase.older, nodes.capacity));
        }
    }
    Ok(())
}
