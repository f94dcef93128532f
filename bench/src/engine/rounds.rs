//! Cases at a fixed depth or rate, and ladders: rounds in which the baseline and all targets take turns.

use super::baseline::BaselineParts;
use super::ladder::{Ladder, holds};
use super::side::Side;
use super::{CasePlan, Engine, EngineError, Progress};
use crate::append::Load;
use crate::measured::Until;
use crate::result::{Baseline, CaseTarget, LadderResult, LadderStep, PartResult};
use crate::suite::LadderSpec;

/// What a case gives.
type Measured = (Option<Baseline>, Vec<CaseTarget>);

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Device,
    Loopback,
    Pipe,
    /// Of the side at this index.
    Side(usize),
}

/// Everybody's turn once, in the order of a round.
fn turns(baseline: bool, pipe: bool, sides: usize, round: usize) -> Vec<Turn> {
    let mut turns = if baseline { vec![Turn::Device, Turn::Loopback] } else { Vec::new() };
    turns.extend(pipe.then_some(Turn::Pipe));
    turns.extend((0..sides).map(Turn::Side));
    if round % 2 == 1 {
        turns.reverse();
    }
    turns
}

/// Everything that is prepared before the first round.
struct Prepared {
    sides: Vec<Side>,
    baseline: Option<BaselineParts>,
}

impl Prepared {
    async fn for_case(engine: &mut Engine<'_>, plan: &CasePlan<'_>, load: Load) -> Result<Self, EngineError> {
        let mut sides = Vec::with_capacity(plan.targets.len());
        for index in &plan.targets {
            sides.push(Side::open(plan, *index, &mut engine.targets[*index], None).await?);
        }
        // Behind all others: what is at the same place among these stands beside what is there among those.
        let without_stages = plan.targets.iter().filter(|_| plan.spec.stages_cost);
        for index in without_stages {
            sides.push(Side::open_without_stages(plan, *index, &mut engine.targets[*index]).await?);
        }
        let baseline = BaselineParts::for_case(engine, plan, load, &sides)?;
        Ok(Self { sides, baseline })
    }

    /// One round; a side gives what `part` says it does, and what that was is handed to `part_over` if it counts.
    async fn round(
        &mut self,
        engine: &Engine<'_>,
        plan: &CasePlan<'_>,
        round: usize,
        load_of: impl Fn(usize) -> Option<Load>,
        mut part_over: impl FnMut(usize, PartResult),
    ) -> Result<(), EngineError> {
        let (until, counts) = (Until::elapsed(plan.part), round > 0);
        let pipe = self.baseline.as_ref().is_some_and(BaselineParts::has_pipe);
        for turn in turns(self.baseline.is_some(), pipe, self.sides.len(), round) {
            engine.settle().await;
            match (turn, &mut self.baseline) {
                (Turn::Device, Some(baseline)) => baseline.device(until, counts)?,
                (Turn::Loopback, Some(baseline)) => baseline.loopback(until, counts)?,
                (Turn::Pipe, Some(baseline)) => baseline.pipe(until, counts)?,
                (Turn::Device | Turn::Loopback | Turn::Pipe, None) => {}
                (Turn::Side(index), _) => {
                    let Some(load) = load_of(index) else { continue };
                    let side = &mut self.sides[index];
                    let clock = engine.targets[side.target].cpu_clock();
                    let part = side.measure(load, plan.part, clock).await;
                    engine.note_failures(plan, side, part.failed);
                    if part.operations + part.failed == 0 {
                        return Err(EngineError::Empty { case: plan.name.clone() });
                    }
                    if counts {
                        part_over(index, part);
                    } else {
                        side.take_stages();
                    }
                    side.tidy().await?;
                }
            }
        }
        Ok(())
    }

    async fn finish(
        self,
        mut result: impl FnMut(usize) -> (Vec<PartResult>, Option<LadderResult>),
    ) -> Result<Measured, EngineError> {
        let baseline = self.baseline.map(BaselineParts::finish).transpose()?;
        let mut targets: Vec<CaseTarget> = Vec::with_capacity(self.sides.len());
        for (index, side) in self.sides.into_iter().enumerate() {
            let (rounds, ladder) = result(index);
            let (target, chunk_bytes) = (side.target, side.chunk_bytes as u64);
            let stages = side.take_stages();
            let verdict = side.finish().await?;
            // Appends without stages belong to those with them.
            if let Some(with) = targets.iter_mut().find(|with| with.target == target) {
                with.verdict.add(&verdict);
                if let Some(stages) = &mut with.stages {
                    stages.without = rounds;
                }
            } else {
                targets.push(CaseTarget { target, chunk_bytes, rounds, ladder, phase: None, stages, verdict });
            }
        }
        Ok((baseline, targets))
    }
}

/// A case at a fixed depth or rate.
pub(super) async fn run(engine: &mut Engine<'_>, plan: &CasePlan<'_>, load: Load) -> Result<Measured, EngineError> {
    let mut prepared = Prepared::for_case(engine, plan, load).await?;
    let mut parts = vec![Vec::with_capacity(plan.rounds); prepared.sides.len()];
    (engine.say)(Progress::Begin { name: &plan.name, steps: plan.rounds + 1 });
    for round in 0..=plan.rounds {
        prepared.round(engine, plan, round, |_| Some(load), |index, part| parts[index].push(part)).await?;
        (engine.say)(Progress::Step);
    }
    prepared.finish(|index| (std::mem::take(&mut parts[index]), None)).await
}

/// A ladder: in each round, every target tries the next rate of its own.
pub(super) async fn climb(
    engine: &mut Engine<'_>,
    plan: &CasePlan<'_>,
    spec: LadderSpec,
) -> Result<Measured, EngineError> {
    let first = Load::Open { per_second: spec.first_per_second };
    let mut prepared = Prepared::for_case(engine, plan, first).await?;
    let mut ladders = vec![(Ladder::new(spec), Vec::new()); prepared.sides.len()];
    (engine.say)(Progress::Begin { name: &plan.name, steps: spec.steps_max + 1 });
    prepared.round(engine, plan, 0, |_| Some(first), |_, _| ()).await?;
    let operations_max: Vec<_> = prepared.sides.iter().map(Side::operations_max).collect();
    let mut round = 0;
    loop {
        (engine.say)(Progress::Step);
        round += 1;
        let rates: Vec<_> = ladders.iter().map(|(ladder, _)| ladder.next()).collect();
        if rates.iter().all(Option::is_none) {
            break;
        }
        let load = |index: usize| rates[index].map(|per_second| Load::Open { per_second });
        let note = |index: usize, part: PartResult| {
            let (ladder, steps): &mut (Ladder, Vec<LadderStep>) = &mut ladders[index];
            let per_second = ladder.next().expect("its rate was tried");
            let due_seconds = plan.part.as_secs_f64().min(operations_max[index] as f64 / per_second);
            let held = holds(&part, per_second, due_seconds, spec.p99_us_max);
            ladder.note(held);
            steps.push(LadderStep { per_second, round: round - 1, part, held });
        };
        prepared.round(engine, plan, round, load, note).await?;
    }
    prepared
        .finish(|index| {
            let (ladder, mut steps) = ladders[index].clone();
            steps.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
            (Vec::new(), Some(LadderResult { steps, highest_per_second: ladder.highest() }))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_first_alternates_and_everybody_has_a_turn() {
        let [device, loopback, one, other] = [Turn::Device, Turn::Loopback, Turn::Side(0), Turn::Side(1)];
        assert_eq!(turns(true, true, 2, 0), [device, loopback, Turn::Pipe, one, other]);
        assert_eq!(turns(true, false, 2, 1), [other, one, loopback, device]);
        assert_eq!(turns(false, false, 2, 2), [one, other]);
    }
}
