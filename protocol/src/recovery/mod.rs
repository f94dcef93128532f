//! Recovery: how a log changes hands (P7).
//!
//! A pure machine. Whoever drives it calls [`Recovery::handle`] with what happened, then does every effect of
//! [`Recovery::poll_effect`] until there is none, and calls again with [`RecoveryEvent::Tick`] no later than
//! [`Recovery::poll_timeout`]. The last effect is [`RecoveryEffect::Finished`].
//!
//! ```text
//! Claiming ──► Settling ──────────► Copying ─────────────► Registering ──► Finished
//! P7.1         P7.2 fence, freeze   P7.4 into the new,     P7.5 seal and
//! epoch,owner  P7.3 walk (walk.rs)  unregistered segment   register
//!                 ▲                    │ chunk unreadable     │ record changed
//!                 └────────────────────┴──────────────────────┘ (floor moved)
//! ```
//! A step taken again comes to the same plan unless something changed; then what was copied for the old plan is left in a
//! segment that nobody will ever read, and the new plan's segment has another name (P1).

mod config;
mod copy;
mod effect;
mod error;
mod event;
mod fail;
mod fetch;
mod place;
mod plan;
mod register;
mod report;
mod seal;
mod settle;
mod walk;
mod witness;

pub use config::{OpenMode, Purpose, RECOVERY_DEADLINE_US_DEFAULT, RecoveryConfig};
pub use effect::RecoveryEffect;
pub use error::{Doing, RecoveryError};
pub use event::{FetchFailure, RecoveryEvent, RegisterFailure, RequestNo, SwapOutcome};
pub use report::{MissingReplica, RecoveryReport, SegmentSettled, Timings};

use crate::action::{Action, Actions, Step};
use crate::ids::Epoch;
use crate::quorum::Quorum;
use crate::record::{LogRecord, Segment, Version, check_log_name};
use crate::time::Micros;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use copy::Copying;
use fetch::Fetcher;
use place::Placing;
use register::RegisterTask;
use settle::Asked;
use witness::Witness;

/// Where a recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Claiming,
    Settling,
    Copying,
    Registering,
    Finished,
}

/// The claimed record.
#[derive(Clone, Debug)]
struct Claimed {
    epoch: Epoch,
    version: Version,
    /// As last read.
    record: LogRecord,
    /// The segments that were not sealed when it was claimed: one, or two around a boundary.
    open: Vec<Segment>,
}

/// One takeover of one log.
#[derive(Clone, Debug)]
pub struct Recovery {
    config: RecoveryConfig,
    /// Of the new segment; `None` for a deletion.
    quorum: Option<Quorum>,
    started: Micros,
    phase: Phase,
    phase_since: Micros,
    timings: Timings,
    next_request: RequestNo,
    register: RegisterTask,
    created: bool,
    before: Option<LogRecord>,
    claimed: Option<Claimed>,
    witnesses: Vec<Witness>,
    asked: Vec<Asked>,
    placing: Placing,
    fetcher: Fetcher,
    copying: Option<Copying>,
    /// How many new segments were planned so far: names are never used twice.
    attempts: u32,
    /// A fence above the own epoch, reported by a replica.
    fence_seen: Option<Epoch>,
    effects: VecDeque<RecoveryEffect>,
    actions: Actions,
}

impl Recovery {
    /// Starts a takeover. A configuration that cannot be ends it at once with [`RecoveryError::Config`].
    #[must_use]
    pub fn new(config: RecoveryConfig, now: Micros) -> Self {
        let mut recovery = Self {
            config,
            quorum: None,
            started: now,
            phase: Phase::Claiming,
            phase_since: now,
            timings: Timings::default(),
            next_request: 1,
            register: RegisterTask::new(),
            created: false,
            before: None,
            claimed: None,
            witnesses: Vec::new(),
            asked: Vec::new(),
            placing: Placing::new(),
            fetcher: Fetcher::new(),
            copying: None,
            attempts: 0,
            fence_seen: None,
            effects: VecDeque::new(),
            actions: Actions::default(),
        };
        match recovery.check_config() {
            Ok(quorum) => {
                recovery.quorum = quorum;
                recovery.read_now(now);
                recovery.advance(now);
            }
            Err(why) => recovery.fail(RecoveryError::Config { why }),
        }
        recovery
    }

    /// The quorum of the new segment.
    fn check_config(&self) -> Result<Option<Quorum>, String> {
        check_log_name(&self.config.name)?;
        let Purpose::Write { replicas, ack_quorum, window } = self.config.purpose else { return Ok(None) };
        window.check()?;
        Quorum::new(replicas, ack_quorum).map(Some).map_err(|why| why.to_string())
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Micros, event: RecoveryEvent) {
        if self.phase == Phase::Finished {
            return;
        }
        match event {
            RecoveryEvent::RecordRead { request, result } => self.record_read(now, request, result),
            RecoveryEvent::Swapped { request, outcome } => self.swapped(now, request, outcome),
            RecoveryEvent::Placed { request, result } => self.placed(now, request, result),
            RecoveryEvent::Replied { request, result } => self.replied(now, request, result),
            RecoveryEvent::Fetched { request, result } => self.fetched(now, request, result),
            RecoveryEvent::CopyStored { replica, segment, seq } => self.copy_stored(now, replica, segment, seq),
            RecoveryEvent::CopyRefused { replica, segment, seq, refusal } => {
                self.copy_refused(now, replica, segment, seq, refusal);
            }
            RecoveryEvent::Up { replica, segment } => self.copy_link_up(now, replica, segment),
            RecoveryEvent::Down { replica, segment, why } => self.copy_link_down(now, replica, segment, why),
            RecoveryEvent::Tick => {}
        }
        self.advance(now);
        self.invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<RecoveryEffect> {
        self.effects.pop_front()
    }

    /// Has every step noted from now on, for [`Self::poll_action`].
    pub fn record_actions(&mut self) {
        self.actions.record();
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.poll()
    }

    /// Notes a step of this recovery's log, which it knows once it claimed it.
    fn note(&mut self, step: impl FnOnce(Epoch) -> Step) {
        if let Some(claimed) = &self.claimed {
            let epoch = claimed.epoch;
            self.actions.note(claimed.record.log, || step(epoch));
        }
    }

    /// When [`RecoveryEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        if self.phase == Phase::Finished {
            return None;
        }
        let times = [
            Some(self.started.plus(self.config.deadline_us)),
            self.register.wakes_at(),
            self.placing.wakes_at(),
            self.asking_wakes_at(),
            self.copying_wakes_at(),
        ];
        times.into_iter().flatten().min()
    }

    /// The record it works on, as last read, once the epoch is claimed: what a replica that keeps no floors and windows of
    /// its own (a bucket) has to be told before it is asked.
    pub fn record(&self) -> Option<&LogRecord> {
        self.claimed.as_ref().map(|claimed| &claimed.record)
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        if let Some(claimed) = &self.claimed {
            let record = &claimed.record;
            assert!(record.epoch == claimed.epoch, "record at epoch {}, claimed {}", record.epoch, claimed.epoch);
            assert!(record.owner == self.config.owner, "record of {}, mine is {}", record.owner, self.config.owner);
            assert!(claimed.open.len() <= 2, "{} unsealed segments", claimed.open.len());
        } else {
            assert!(
                self.witnesses.is_empty() && self.copying.is_none(),
                "asked before the claim: {:?}",
                self.witnesses
            );
            assert!(matches!(self.phase, Phase::Claiming | Phase::Finished), "{:?} without a claim", self.phase);
        }
        for witness in &self.witnesses {
            let heard = witness.testimonies.iter().flatten().any(|testimony| !testimony.answers.is_empty());
            assert!(witness.fenced || !heard, "{:?} testified before it was fenced", witness.replica);
        }
        if let Some(copying) = &self.copying {
            copying.invariants();
        }
    }

    /// Does everything that can be done now.
    fn advance(&mut self, now: Micros) {
        if self.phase != Phase::Finished && now.since(self.started) >= self.config.deadline_us {
            self.fail_at_deadline(now);
        }
        // Every round but the last enters a later phase, or comes back to settling with one thing taken back: the bound is
        // far above what that can take.
        for _ in 0..64 {
            let went_on = match self.phase {
                Phase::Settling => self.settle(now),
                Phase::Copying => self.copy(now),
                Phase::Claiming | Phase::Registering | Phase::Finished => false,
            };
            if !went_on {
                break;
            }
        }
        if self.phase != Phase::Finished {
            self.drive_register(now);
        }
    }

    fn enter(&mut self, now: Micros, phase: Phase) {
        let spent_us = now.since(self.phase_since);
        match self.phase {
            Phase::Claiming => self.timings.claim_us += spent_us,
            Phase::Settling => self.timings.settle_us += spent_us,
            Phase::Copying => self.timings.copy_us += spent_us,
            Phase::Registering | Phase::Finished => self.timings.register_us += spent_us,
        }
        (self.phase, self.phase_since) = (phase, now);
    }

    fn new_request(&mut self) -> RequestNo {
        self.next_request += 1;
        self.next_request - 1
    }
}
