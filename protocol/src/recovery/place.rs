//! Where the new segment goes.

use super::Recovery;
use super::config::Purpose;
use super::effect::RecoveryEffect;
use super::event::RequestNo;
use crate::backoff::Backoff;
use crate::quorum::Quorum;
use crate::record::ReplicaRef;
use crate::time::Micros;
use alloc::string::String;
use alloc::vec::Vec;

/// The search for replicas, which goes on beside the settling.
#[derive(Clone, Debug)]
pub(super) struct Placing {
    request: Option<RequestNo>,
    retry_at: Option<Micros>,
    backoff: Backoff,
    /// The replicas of the new segment, once found.
    pub(super) replicas: Option<Vec<ReplicaRef>>,
    pub(super) trouble: Option<String>,
}

impl Placing {
    pub(super) const fn new() -> Self {
        Self { request: None, retry_at: None, backoff: Backoff::new(), replicas: None, trouble: None }
    }

    pub(super) const fn wakes_at(&self) -> Option<Micros> {
        self.retry_at
    }
}

impl Recovery {
    /// Asks for replicas, unless they are known or asked for.
    pub(super) fn ask_place(&mut self, now: Micros) {
        let Purpose::Write { replicas, ack_quorum, .. } = self.config.purpose else { return };
        let placing = &mut self.placing;
        if placing.replicas.is_some() || placing.request.is_some() || placing.retry_at.is_some_and(|at| now < at) {
            return;
        }
        placing.retry_at = None;
        let request = self.new_request();
        self.placing.request = Some(request);
        let record = &self.claimed.as_ref().expect("placed after the claim").record;
        let known = record.segments.last().map(|segment| segment.replicas.clone()).unwrap_or_default();
        self.effects.push_back(RecoveryEffect::Place {
            request,
            log: record.log,
            replicas,
            replicas_min: ack_quorum,
            known,
        });
    }

    pub(super) fn placed(&mut self, now: Micros, request: RequestNo, result: Result<Vec<ReplicaRef>, String>) {
        if self.placing.request != Some(request) {
            return;
        }
        self.placing.request = None;
        let Purpose::Write { replicas: wanted, ack_quorum, .. } = self.config.purpose else { return };
        match result {
            // Fewer than wanted is a segment with less redundancy, not with less durability: what is acknowledged is on as
            // many replicas as ever. The next open, or rotation, finds more.
            Ok(replicas) if (ack_quorum..=wanted).contains(&replicas.len()) => {
                let quorum = Quorum::new(replicas.len(), ack_quorum);
                self.quorum =
                    Some(quorum.expect("an ack quorum that was valid for more replicas and is not above these"));
                self.placing.replicas = Some(replicas);
            }
            Ok(replicas) => {
                let found = replicas.len();
                self.place_failed(
                    now,
                    alloc::format!("{found} replicas found of {wanted} wanted, at least {ack_quorum} are needed"),
                );
            }
            Err(why) => self.place_failed(now, why),
        }
    }

    fn place_failed(&mut self, now: Micros, why: String) {
        self.placing.trouble = Some(why);
        self.placing.retry_at = Some(self.placing.backoff.after(now));
    }
}
