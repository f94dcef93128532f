//! Pinning: whoever gets copies is told the number of the record that is going to name it, before it is looked at (P13).

use super::event::Unanswered;
use super::party::Stock;
use super::{Phase, Repair, RepairEffect};
use crate::message::{Refusal, Reply, Request};
use crate::planted;
use crate::time::Micros;
use alloc::string::String;

impl Repair {
    /// Pins everybody who gets copies.
    pub(super) fn pin_targets(&mut self, now: Micros) {
        self.phase = Phase::Pinning;
        let (_, record) = self.found.as_ref().expect("pinned with a record");
        let (log, word) = (record.log, record.number.next());
        let job = self.job.as_mut().expect("pinned with a segment in hand");
        let (from, mut unpinned) = (job.from, alloc::vec::Vec::new());
        for (at, party) in job.parties.iter_mut().enumerate() {
            if party.failed.is_some() || (party.replaces.is_none() && party.missing.is_empty()) {
                continue;
            }
            if planted!(PinForgotten) {
                unpinned.push(at);
                continue;
            }
            party.pinning = Some(self.next_request);
            let (request, to) = (self.next_request, party.at.clone());
            self.next_request += 1;
            self.effects.push_back(RepairEffect::Call { request, to, what: Request::Pin { log, word } });
        }
        for at in unpinned {
            self.ask_inventory(at, from);
        }
        let job = self.job.as_ref().expect("pinned with a segment in hand");
        let busy = job.parties.iter().any(|p| p.pinning.is_some() || matches!(p.stock, Stock::Asking(_)));
        if !busy {
            self.begin_copying(now);
        }
    }

    pub(super) fn pinned(&mut self, now: Micros, party: usize, result: Result<Reply, Unanswered>) {
        let job = self.job.as_mut().expect("pinned with a segment in hand");
        job.parties[party].pinning = None;
        let from = job.from;
        match result {
            // What a holder has is known; it did not lose that by being pinned, but may have before the word was there.
            Ok(Reply::Pinned { .. }) => {
                let party_of = &mut job.parties[party];
                (party_of.held, party_of.trimmed) = Default::default();
                self.ask_inventory(party, from);
            }
            // Somebody has read, or made, a later record than the one in hand.
            Ok(Reply::Refused(Refusal::StaleWord { .. } | Refusal::LogDeleted { .. })) => self.read_record(now),
            Ok(Reply::Refused(why)) => self.target_failed(party, alloc::format!("{why}")),
            Ok(reply) => self.target_failed(party, alloc::format!("it answered a pin with {reply:?}")),
            Err(why) => self.target_failed(party, alloc::format!("{why}")),
        }
    }

    /// Nothing more is copied to this one, not in this run.
    pub(super) fn target_failed(&mut self, party: usize, why: String) {
        let job = self.job.as_mut().expect("copied with a segment in hand");
        let party = &mut job.parties[party];
        self.unfit.insert(party.at.disk);
        party.missing = crate::ranges::SeqRanges::new();
        job.trouble.get_or_insert_with(|| alloc::format!("{} takes no copies: {why}", party.at.address));
        party.failed = Some(why);
    }
}
