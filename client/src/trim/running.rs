//! The loop around the trim machine: its effects become futures, their outcomes become events.

use crate::actions;
use crate::calls::call;
use crate::open::{REGISTER_TIMEOUT, swap_record};
use crate::quorum_store::Parts;
use crate::register::RegisterError;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::record::{LogRecord, Version};
use quarry_protocol::recovery::{MissingReplica, RegisterFailure, RequestNo};
use quarry_protocol::time::Micros;
use quarry_protocol::trim::{Trim, TrimConfig, TrimEffect, TrimEvent, TrimFailure};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What became of each floor asked for.
pub(super) type Outcomes = Vec<Result<ChunkSeq, TrimFailure>>;

/// A trim under way. Dropping it stops it where it stands; the floor may be on record then.
pub(super) struct Running {
    parts: Arc<Parts>,
    name: String,
    started: Instant,
    machine: Trim,
    under_way: FuturesUnordered<BoxFuture<'static, TrimEvent>>,
    outcomes: Option<Outcomes>,
    over: bool,
}

impl Running {
    pub(super) fn new(parts: Arc<Parts>, config: TrimConfig) -> Self {
        let mut running = Self {
            parts,
            name: config.name.clone(),
            started: Instant::now(),
            machine: Trim::new(config, Micros(0)),
            under_way: FuturesUnordered::new(),
            outcomes: None,
            over: false,
        };
        if actions::are_wanted() {
            running.machine.record_actions();
        }
        running.do_effects();
        running
    }

    /// Goes on until it is known what became of each floor.
    pub(super) async fn outcomes(&mut self) -> Outcomes {
        loop {
            if let Some(outcomes) = self.outcomes.take() {
                return outcomes;
            }
            self.step().await;
        }
    }

    /// Goes on until nothing is left to do.
    pub(super) async fn finish(mut self) {
        while !self.over {
            self.step().await;
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    async fn step(&mut self) {
        let due = self.machine.poll_timeout().map(|at| self.started + Duration::from_micros(at.0));
        let event = tokio::select! {
            Some(event) = self.under_way.next() => event,
            () = tokio::time::sleep_until(due.expect("a trim that goes on has a deadline")) => TrimEvent::Tick,
        };
        self.machine.handle(Micros(self.started.elapsed().as_micros() as u64), event);
        self.do_effects();
    }

    fn do_effects(&mut self) {
        actions::report(|| self.machine.poll_action());
        while let Some(effect) = self.machine.poll_effect() {
            let parts = Arc::clone(&self.parts);
            match effect {
                TrimEffect::ReadRecord { request, name } => self.under_way.push(Box::pin(async move {
                    TrimEvent::RecordRead { request, result: read_record(&parts, &name).await }
                })),
                TrimEffect::Swap { request, expected, record } => {
                    self.under_way.push(Box::pin(swap(parts, request, expected, record)));
                }
                TrimEffect::Call { request, to, what } => self.under_way.push(Box::pin(async move {
                    TrimEvent::Replied { request, result: call(&parts, &to, what).await }
                })),
                TrimEffect::Finished(outcomes) => self.outcomes = Some(outcomes),
                TrimEffect::Over { untold, kept } => {
                    self.over = true;
                    self.report(&untold, kept.as_deref());
                }
            }
        }
    }

    fn report(&self, untold: &[MissingReplica], kept: Option<&str>) {
        for MissingReplica { replica, why } in untold {
            tracing::info!(log = %self.name, "{} was not told of the trim: {why}", replica.address);
        }
        if let Some(why) = kept {
            tracing::debug!(log = %self.name, "segments below the floor stay on record for now: {why}");
        }
    }
}

async fn swap(parts: Arc<Parts>, request: RequestNo, expected: Version, record: Box<LogRecord>) -> TrimEvent {
    TrimEvent::Swapped { request, outcome: swap_record(&parts, Some(&expected), &record).await }
}

/// A record that cannot be used is told apart from a register that cannot.
async fn read_record(parts: &Parts, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterFailure> {
    match timeout(REGISTER_TIMEOUT, parts.register.read(name)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(RegisterError::Record(why))) => Err(RegisterFailure::Unusable(why.to_string())),
        Ok(Err(other)) => Err(RegisterFailure::Unavailable(other.to_string())),
        Err(_) => Err(RegisterFailure::Unavailable(format!("no answer within {REGISTER_TIMEOUT:?}"))),
    }
}
