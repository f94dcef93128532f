//! The loop around the recovery machine: its effects become futures, their outcomes become events.
//!
//! Everything runs inside the caller's future, so dropping that stops the takeover where it stands. What it did until
//! then is harmless: the next recovery settles it.

use super::copies::Copies;
use super::effects;
use crate::actions;
use crate::quorum_store::Parts;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::recovery::{
    Recovery, RecoveryConfig, RecoveryEffect, RecoveryError, RecoveryEvent, RecoveryReport,
};
use quarry_protocol::time::Micros;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How a takeover ended.
pub(crate) type Takeover = Result<RecoveryReport, RecoveryError>;

/// Runs a recovery to its end.
pub(crate) async fn take_over(parts: &Parts, config: RecoveryConfig) -> Takeover {
    let (sender, mut link_events) = mpsc::unbounded_channel();
    let mut takeover = Running {
        parts,
        started: Instant::now(),
        machine: Recovery::new(config, Micros(0)),
        under_way: FuturesUnordered::new(),
        copies: Copies::new(sender),
    };
    if actions::are_wanted() {
        takeover.machine.record_actions();
    }
    loop {
        actions::report(|| takeover.machine.poll_action());
        if let Some(outcome) = takeover.do_effects() {
            return outcome;
        }
        let due = takeover.machine.poll_timeout().map(|at| takeover.started + Duration::from_micros(at.0));
        let event = tokio::select! {
            Some(event) = takeover.under_way.next() => event,
            Some((tag, event)) = link_events.recv() => match takeover.copies.translate(tag, event) {
                Some(event) => event,
                None => continue,
            },
            () = sleep_until(due) => RecoveryEvent::Tick,
        };
        takeover.handle(event);
    }
}

struct Running<'a> {
    parts: &'a Parts,
    started: Instant,
    machine: Recovery,
    under_way: FuturesUnordered<BoxFuture<'a, RecoveryEvent>>,
    copies: Copies,
}

impl Running<'_> {
    fn handle(&mut self, event: RecoveryEvent) {
        let now = Micros(self.started.elapsed().as_micros() as u64);
        self.machine.handle(now, event);
    }

    fn do_effects(&mut self) -> Option<Takeover> {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                RecoveryEffect::Finished(outcome) => return Some(*outcome),
                RecoveryEffect::Attach { log, segment, replicas } => {
                    self.copies.attach(self.parts.cluster.as_ref(), log, segment, &replicas);
                }
                RecoveryEffect::Copy { replica, header, payload, .. } => self.copies.put(replica, header, payload),
                RecoveryEffect::Place { request, log, replicas, replicas_min, known } => {
                    self.under_way.push(Box::pin(effects::place(
                        self.parts,
                        request,
                        log,
                        (replicas, replicas_min),
                        known,
                    )));
                }
                RecoveryEffect::ReadRecord { request, name } => {
                    self.under_way.push(Box::pin(effects::read_record(self.parts, request, name)));
                }
                RecoveryEffect::Swap { request, expected, record } => {
                    self.under_way.push(Box::pin(effects::swap(self.parts, request, expected, record)));
                }
                RecoveryEffect::Call { request, to, what } => {
                    self.under_way.push(Box::pin(effects::call(self.parts, request, to, what)));
                }
                RecoveryEffect::Fetch { request, from, log, segment, seq } => {
                    self.under_way.push(Box::pin(effects::fetch(self.parts, request, from, (log, segment), seq)));
                }
            }
        }
        self.copies.flush();
        None
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
