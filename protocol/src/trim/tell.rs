//! After the floor is on record: whoever holds data is told, then the record is shortened. Nobody has to wait for it.

use super::record::without_dropped_segments;
use super::{DROPPING_US_MAX, Phase, Trim, TrimEffect};
use crate::action::Step;
use crate::message::Request;
use crate::recovery::{MissingReplica, RequestNo, SwapOutcome};
use crate::telling::{Telling, TellingEffect, Told};
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Trim {
    /// The floor is on record: that is the outcome. Then the replicas are told.
    pub(super) fn landed(&mut self, now: Micros) {
        let (_, record) = self.found.as_ref().expect("a floor is on record");
        let floor = record.floor;
        self.actions.note(record.log, || Step::RaiseFloor { floor });
        let what = Request::Trim { log: record.log, word: record.number, floor };
        let telling = Telling::new(what, [record], self.next_request, now);
        self.phase = Phase::Telling(telling);
        self.finish(&Ok(floor));
        self.tell(now);
    }

    pub(super) fn tell(&mut self, now: Micros) {
        let Phase::Telling(telling) = &mut self.phase else { unreachable!("told the replicas") };
        let mut outcome = None;
        while let Some(effect) = telling.poll_effect() {
            match effect {
                TellingEffect::Call { request, to, what } => {
                    self.effects.push_back(TrimEffect::Call { request, to, what });
                }
                TellingEffect::Finished(told) => outcome = Some(told),
            }
        }
        self.next_request = telling.next_request();
        if let Some(told) = outcome {
            self.drop_segments(now, told);
        }
    }

    /// Segments that lie wholly below the floor, and are needed to reach nobody any more, leave the record. That is tried
    /// once: a conflict, or no answer, leaves it to the next trim or open.
    fn drop_segments(&mut self, now: Micros, told: Vec<Told>) {
        let knows = told.iter().filter(|told| told.result.is_ok()).map(|told| told.replica.disk).collect();
        let missing = |told: Told| Some(MissingReplica { replica: told.replica, why: told.result.err()? });
        let untold = told.into_iter().filter_map(missing).collect();
        let (version, record) = self.found.as_ref().expect("segments are dropped from a record");
        let Some(shorter) = without_dropped_segments(record, &knows) else { return self.over(untold, None) };
        let expected = version.clone();
        let request = self.new_request();
        self.phase = Phase::Dropping { request, untold, until: now.plus(DROPPING_US_MAX) };
        self.effects.push_back(TrimEffect::Swap { request, expected, record: Box::new(shorter) });
    }

    /// What became of the shorter record.
    pub(super) fn dropped(&mut self, request: RequestNo, outcome: SwapOutcome) {
        let Phase::Dropping { request: expected, untold, .. } = &mut self.phase else { unreachable!("dropped") };
        if *expected != request {
            return;
        }
        let untold = core::mem::take(untold);
        let kept = match outcome {
            SwapOutcome::Done(_) => None,
            SwapOutcome::Conflict => Some("the record changed meanwhile".into()),
            SwapOutcome::Ambiguous(why) | SwapOutcome::Failed(why) => Some(why),
        };
        self.over(untold, kept);
    }

    /// A register that does not answer is not waited for.
    pub(super) fn bound_dropping(&mut self, now: Micros) {
        let Phase::Dropping { untold, until, .. } = &mut self.phase else { unreachable!("dropped") };
        if now >= *until {
            let untold: Vec<MissingReplica> = core::mem::take(untold);
            self.over(untold, Some("the register did not answer in time".into()));
        }
    }
}
