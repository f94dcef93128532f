//! Asking replicas what they hold (P8: an answer that does not come is *unknown*).

use super::event::Unanswered;
use super::party::Stock;
use super::{Phase, Repair, RepairEffect};
use crate::ids::ChunkSeq;
use crate::message::{Refusal, Reply, Request};
use crate::recovery::RequestNo;
use crate::time::Micros;

impl Repair {
    /// Asks a party what it holds from `from` on.
    pub(super) fn ask_inventory(&mut self, party: usize, from: ChunkSeq) {
        let request = self.new_request();
        let (_, record) = self.found.as_ref().expect("asked with a record");
        let job = self.job.as_mut().expect("asked with a segment in hand");
        job.parties[party].stock = Stock::Asking(request);
        let what = Request::Inventory { log: record.log, segment: job.segment.id, from, to: job.to };
        let to = job.parties[party].at.clone();
        self.effects.push_back(RepairEffect::Call { request, to, what });
    }

    pub(super) fn replied(&mut self, now: Micros, request: RequestNo, result: Result<Reply, Unanswered>) {
        if !matches!(self.phase, Phase::Surveying | Phase::Pinning) {
            return;
        }
        let Some(job) = &self.job else { return };
        if let Some(party) = job.parties.iter().position(|party| party.stock == Stock::Asking(request)) {
            self.took_stock(now, party, result);
        } else if let Some(party) = job.parties.iter().position(|party| party.pinning == Some(request)) {
            self.pinned(now, party, result);
        }
        self.go_on_if_all_answered(now);
    }

    fn took_stock(&mut self, now: Micros, party: usize, result: Result<Reply, Unanswered>) {
        let job = self.job.as_mut().expect("asked with a segment in hand");
        let (to, disk) = (job.to, job.parties[party].at.disk);
        let stock = match result {
            Ok(Reply::Inventory { runs, next }) => {
                let party_of = &mut job.parties[party];
                party_of.hear(&runs);
                let heard_to = runs.last().map(|run| run.to);
                if next < to && heard_to == Some(next) {
                    return self.ask_inventory(party, next);
                }
                Stock::Known
            }
            Ok(Reply::Refused(Refusal::WrongDisk { here, .. })) => Stock::Gone(alloc::format!("{here} is there now")),
            // The register has its tombstone.
            Ok(Reply::Refused(Refusal::LogDeleted { .. })) => return self.read_record(now),
            Ok(Reply::Refused(why)) => Stock::Silent(alloc::format!("{why}")),
            Ok(reply) => Stock::Silent(alloc::format!("it answered an inventory with {reply:?}")),
            Err(Unanswered::Silent(why)) => Stock::Silent(why),
            Err(Unanswered::Gone(why)) => Stock::Gone(why),
        };
        if let Stock::Silent(_) = stock {
            self.silent_since.entry(disk).or_insert(now);
        } else {
            self.silent_since.remove(&disk);
        }
        job.parties[party].stock = stock;
        // What broke the chain of digests once is not asked for there again.
        let id = job.segment.id;
        for (_, _, seq) in self.distrusted.iter().filter(|(by, of, _)| *by == disk && *of == id) {
            job.parties[party].held.remove(*seq, seq.next());
        }
    }

    fn go_on_if_all_answered(&mut self, now: Micros) {
        let Some(job) = &self.job else { return };
        let busy = job.parties.iter().any(|party| matches!(party.stock, Stock::Asking(_)) || party.pinning.is_some());
        match self.phase {
            _ if busy => {}
            Phase::Surveying => self.judge(now),
            Phase::Pinning => self.begin_copying(now),
            _ => {}
        }
    }
}
