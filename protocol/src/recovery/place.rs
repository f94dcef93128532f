//! Where the new segment goes.

use super::Recovery;
use super::backoff::Backoff;
use super::config::Purpose;
use super::effect::RecoveryEffect;
use super::event::RequestNo;
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
        let Purpose::Write { replicas, .. } = self.config.purpose else { return };
        let placing = &mut self.placing;
        if placing.replicas.is_some() || placing.request.is_some() || placing.retry_at.is_some_and(|at| now < at) {
            return;
        }
        placing.retry_at = None;
        let request = self.new_request();
        self.placing.request = Some(request);
        let record = &self.claimed.as_ref().expect("placed after the claim").record;
        let known = record.segments.last().map(|segment| segment.replicas.clone()).unwrap_or_default();
        self.effects.push_back(RecoveryEffect::Place { request, log: record.log, replicas, known });
    }

    pub(super) fn placed(&mut self, now: Micros, request: RequestNo, result: Result<Vec<ReplicaRef>, String>) {
        if self.placing.request != Some(request) {
            return;
        }
        self.placing.request = None;
        let wanted = self.quorum.map_or(0, crate::quorum::Quorum::replicas);
        match result {
            Ok(replicas) if replicas.len() == wanted => self.placing.replicas = Some(replicas),
            Ok(replicas) => {
                self.place_failed(now, alloc::format!("{} replicas found of {wanted} wanted", replicas.len()));
            }
            Err(why) => self.place_failed(now, why),
        }
    }

    fn place_failed(&mut self, now: Micros, why: String) {
        self.placing.trouble = Some(why);
        self.placing.retry_at = Some(self.placing.backoff.after(now));
    }
}
