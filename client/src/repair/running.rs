//! The loop around the repair machine: its effects become futures, their outcomes become events.
//!
//! Everything runs inside the caller's future, so dropping that stops the repair where it stands. The next one goes on.

use super::effects;
use crate::quorum_store::Parts;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::repair::{
    Repair, RepairConfig, RepairEffect, RepairEvent, RepairFailure, RepairProgress, RepairReport,
};
use quarry_protocol::time::Micros;
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Running<'a> {
    parts: &'a Parts,
    started: Instant,
    machine: Repair,
    under_way: FuturesUnordered<BoxFuture<'a, RepairEvent>>,
}

impl<'a> Running<'a> {
    pub(super) fn new(parts: &'a Parts, config: RepairConfig) -> Self {
        let machine = Repair::new(config, Micros(0));
        Self { parts, started: Instant::now(), machine, under_way: FuturesUnordered::new() }
    }

    pub(super) async fn run(
        mut self,
        progress: &mut (dyn FnMut(RepairProgress) + Send),
    ) -> Result<RepairReport, RepairFailure> {
        loop {
            progress(self.machine.progress());
            if let Some(outcome) = self.do_effects() {
                return outcome;
            }
            let due = self.machine.poll_timeout().map(|at| self.started + Duration::from_micros(at.0));
            let event = tokio::select! {
                Some(event) = self.under_way.next() => event,
                () = sleep_until(due) => RepairEvent::Tick,
            };
            self.machine.handle(Micros(self.started.elapsed().as_micros() as u64), event);
        }
    }

    fn do_effects(&mut self) -> Option<Result<RepairReport, RepairFailure>> {
        let parts = self.parts;
        while let Some(effect) = self.machine.poll_effect() {
            let outcome: BoxFuture<'a, RepairEvent> = match effect {
                RepairEffect::Finished(outcome) => return Some(*outcome),
                RepairEffect::ReadRecord { request, name } => Box::pin(effects::read_record(parts, request, name)),
                RepairEffect::Swap { request, expected, record } => {
                    Box::pin(effects::swap(parts, request, expected, record))
                }
                RepairEffect::Place { request, log, replicas, keep, avoid } => {
                    Box::pin(effects::place(parts, request, (log, replicas), keep, avoid))
                }
                RepairEffect::Call { request, to, what } => Box::pin(effects::call(parts, request, to, what)),
                RepairEffect::Fetch { request, from, log, segment, seq } => {
                    Box::pin(effects::fetch(parts, request, from, (log, segment), seq))
                }
                RepairEffect::Copy { request, to, header, payload } => {
                    Box::pin(effects::copy(parts, request, to, header, payload))
                }
            };
            self.under_way.push(outcome);
        }
        None
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
