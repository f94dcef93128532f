//! Inventory: what lies in each slot of a stretch, now. For copies of sealed segments: nothing is kept empty by having been looked at.

use super::Bucket;
use super::key::SlotName;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::requests::{Next, RequestNo, Work};
use super::survey::answer_for;
use crate::ids::{ChunkSeq, SegmentId};
use crate::message::{Answer, Refusal, Reply, Run};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Slots that one answer tells of at most.
const SLOTS_PER_ANSWER_MAX: u64 = 256;

/// An inventory.
#[derive(Debug)]
pub(super) struct Stocktaking {
    from: ChunkSeq,
    to: ChunkSeq,
    answers: BTreeMap<ChunkSeq, Answer>,
    outstanding: usize,
}

impl Bucket {
    pub(super) fn begin_inventory(
        &mut self,
        number: RequestNo,
        segment: SegmentId,
        (from, to): (ChunkSeq, ChunkSeq),
    ) -> Result<(Work, Next), Refusal> {
        self.check_not_deleted()?;
        if from > to {
            return Err(Refusal::BadRequest { why: alloc::format!("an inventory of seqs {from} to {to}") });
        }
        let to = to.min(from.plus(SLOTS_PER_ANSWER_MAX));
        let mut stock = Stocktaking { from, to, answers: BTreeMap::new(), outstanding: 0 };
        for seq in (from.max(self.known.floor).0..to.0).map(ChunkSeq) {
            stock.outstanding += 1;
            let slot = SlotName { log: self.log, segment, seq };
            self.pool.ask(Owner::Request(number, 0, seq), Question::Look { slot });
        }
        let next = self.go_on_with_stock(&stock);
        Ok((Work::Inventory(stock), next))
    }

    pub(super) fn stock_found(
        &mut self,
        stock: &mut Stocktaking,
        seq: ChunkSeq,
        finding: Finding,
    ) -> Result<Next, Refusal> {
        stock.outstanding -= 1;
        match finding {
            Finding::Slot(content, _) => _ = stock.answers.insert(seq, answer_for(&content)),
            Finding::Failed(why) => return Err(Refusal::DiskFailed { why }),
            other => unreachable!("a slot was looked at, got {other:?}"),
        }
        Ok(self.go_on_with_stock(stock))
    }

    fn go_on_with_stock(&self, stock: &Stocktaking) -> Next {
        if stock.outstanding > 0 {
            return Next::Wait;
        }
        let mut runs: Vec<Run> = Vec::new();
        for seq in (stock.from.0..stock.to.0).map(ChunkSeq) {
            let unasked = if seq < self.known.floor { Answer::Trimmed } else { Answer::Unknown };
            let answer = stock.answers.get(&seq).copied().unwrap_or(unasked);
            match runs.last_mut() {
                Some(last) if last.answer == answer => last.to = seq.next(),
                _ => runs.push(Run { from: seq, to: seq.next(), answer }),
            }
        }
        Next::Close(Reply::Inventory { runs, next: stock.to })
    }
}
