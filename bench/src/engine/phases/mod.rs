//! Phases: what appends cost while something happens, beside the same appends while nothing does; and operations other than
//! appends.

mod beside;
mod cut_off;
mod killed;
mod older;
mod repairing;
mod restart;
mod takeover;

use super::baseline::BaselineParts;
use super::side::Side;
use super::target::Target;
use super::{CasePlan, Engine, EngineError, Progress, SETTLE};
use crate::append::Load;
use crate::local_cluster::LocalNode;
use crate::measured::Until;
use crate::ratios::Spread;
use crate::result::{Baseline, CaseTarget, PartResult, PhaseFigure, PhaseResult};
use crate::suite::{PhaseKind, PhaseSpec};
use beside::Beside;
use std::time::Duration;
use tokio::time::sleep;

/// Longest part of the raw device and of the loopback: those of phases are long for what happens in them.
const LIMIT_PART_MAX: Duration = Duration::from_secs(1);

/// One round of a phase.
struct PhaseRound {
    /// What was measured while it happened.
    part: PartResult,
    /// The same appends while nothing did.
    healthy: Option<PartResult>,
    /// What else there is to say.
    figures: Vec<Figure>,
    /// What whoever reads the figures should know.
    note: Option<String>,
}

/// A figure of one round.
struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
}

/// What a phase keeps from round to round.
enum Phase {
    Beside(Box<Beside>),
    Killed,
    Takeover { full: bool },
    Restart,
}

impl Phase {
    async fn prepare(
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
    ) -> Result<Self, EngineError> {
        match spec.kind {
            PhaseKind::Killed => Ok(Self::Killed),
            PhaseKind::TakeoverIdle => Ok(Self::Takeover { full: false }),
            PhaseKind::TakeoverFull => Ok(Self::Takeover { full: true }),
            PhaseKind::Restart => {
                older::fill(&side.logs[0], spec.older.0).await?;
                Ok(Self::Restart)
            }
            PhaseKind::Slow | PhaseKind::Paused | PhaseKind::Trim | PhaseKind::CatchUp | PhaseKind::Repair => {
                Ok(Self::Beside(Box::new(Beside::prepare(plan, spec, target, side).await?)))
            }
        }
    }

    async fn round(
        &mut self,
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
        number: usize,
    ) -> Result<PhaseRound, EngineError> {
        match self {
            Self::Beside(beside) => beside.round(plan, spec, target, side, number).await,
            Self::Killed => killed::round(plan, spec, target, side).await,
            Self::Takeover { full } => takeover::round(plan, target, side, *full).await,
            Self::Restart => restart::round(target, side).await,
        }
    }

    async fn finish(self, side: &mut Side) -> Result<(), EngineError> {
        match self {
            Self::Beside(beside) => beside.finish(side).await,
            Self::Killed | Self::Takeover { .. } | Self::Restart => Ok(()),
        }
    }
}

/// A case that is a phase, on all of its targets in turn.
pub(super) async fn run(
    engine: &mut Engine<'_>,
    plan: &CasePlan<'_>,
    spec: PhaseSpec,
) -> Result<(Option<Baseline>, Vec<CaseTarget>), EngineError> {
    let patience = Duration::from_millis(spec.patience_ms);
    (engine.say)(Progress::Begin { name: &plan.name, steps: (plan.rounds + 1) * plan.targets.len() });
    let (mut sides, mut phases) = (Vec::new(), Vec::new());
    for index in &plan.targets {
        let target = &mut engine.targets[*index];
        let mut side = Side::open(plan, *index, target, Some(patience)).await?;
        phases.push((Phase::prepare(plan, &spec, target, &mut side).await?, Vec::with_capacity(plan.rounds)));
        sides.push(side);
    }
    let mut baseline = BaselineParts::for_case(engine, plan, beside(&spec), &sides)?;
    for number in 0..=plan.rounds {
        // Who goes first alternates.
        if number.is_multiple_of(2) {
            limit(baseline.as_mut(), plan, number).await?;
        }
        for (side, (phase, rounds)) in sides.iter_mut().zip(&mut phases) {
            engine.settle().await;
            let round = phase.round(plan, &spec, &mut engine.targets[side.target], side, number).await?;
            let failed = round.part.failed + round.healthy.as_ref().map_or(0, |healthy| healthy.failed);
            engine.note_failures(plan, side, failed);
            if let Some(note) = &round.note {
                (engine.say)(Progress::Note(&format!("case {:?}: {note}", plan.name)));
            }
            if round.part.operations + round.part.failed == 0 {
                return Err(EngineError::Empty { case: plan.name.clone() });
            }
            // The first one finds everything cold.
            if number > 0 {
                rounds.push(round);
            }
            side.tidy().await?;
            (engine.say)(Progress::Step);
        }
        if !number.is_multiple_of(2) {
            limit(baseline.as_mut(), plan, number).await?;
        }
    }
    let mut targets = Vec::with_capacity(sides.len());
    for (mut side, (phase, rounds)) in sides.into_iter().zip(phases) {
        phase.finish(&mut side).await?;
        let (target, chunk_bytes) = (side.target, side.chunk_bytes as u64);
        let verdict = side.finish().await?;
        let phase = Some(PhaseResult { figures: figures(&rounds), healthy: healthy(&rounds) });
        let rounds = rounds.into_iter().map(|round| round.part).collect();
        targets.push(CaseTarget { target, chunk_bytes, rounds, ladder: None, phase, stages: None, verdict });
    }
    Ok((baseline.map(BaselineParts::finish).transpose()?, targets))
}

/// The raw device and the loopback in a round.
async fn limit(baseline: Option<&mut BaselineParts>, plan: &CasePlan<'_>, number: usize) -> Result<(), EngineError> {
    let Some(baseline) = baseline else { return Ok(()) };
    let (until, counts) = (Until::elapsed(plan.part.min(LIMIT_PART_MAX)), number > 0);
    sleep(SETTLE).await;
    baseline.device(until, counts)?;
    baseline.loopback(until, counts)
}

/// What the raw device does beside a phase: as much as its appends would, or one write where an operation is something else.
const fn beside(spec: &PhaseSpec) -> Load {
    match spec.kind {
        PhaseKind::TakeoverIdle | PhaseKind::TakeoverFull | PhaseKind::Restart => Load::Closed { depth: 1 },
        _ => closed(spec),
    }
}

fn healthy(rounds: &[PhaseRound]) -> Vec<PartResult> {
    rounds.iter().filter_map(|round| round.healthy.clone()).collect()
}

/// Every figure that a round has, over all the rounds that have it.
fn figures(rounds: &[PhaseRound]) -> Vec<PhaseFigure> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for figure in rounds.iter().flat_map(|round| &round.figures) {
        if !names.contains(&(figure.name, figure.unit)) {
            names.push((figure.name, figure.unit));
        }
    }
    let of = |(name, unit): (&str, &str)| {
        let all = rounds.iter().flat_map(|round| &round.figures).filter(|figure| figure.name == name);
        let rounds: Vec<_> = all.map(|figure| figure.value).collect();
        PhaseFigure { name: name.to_owned(), unit: unit.to_owned(), spread: Spread::of(rounds.clone()), rounds }
    };
    names.into_iter().map(of).collect()
}

/// Which of the target's nodes holds a replica of the log that is written.
fn holder(target: &mut Target, side: &Side) -> Result<usize, EngineError> {
    let holder = side.logs[0].writer()?.replicas().pop().ok_or_else(|| target.failed("its log has no replicas"))?;
    let found = target.cluster()?.nodes().iter().position(|node: &LocalNode| node.address() == holder.address);
    found.ok_or_else(|| target.failed(format!("no node of its own is at {}", holder.address)))
}

const fn closed(spec: &PhaseSpec) -> Load {
    Load::Closed { depth: spec.depth }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
