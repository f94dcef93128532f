//! Taking a log over, to write or to delete it: the shell of the shipped recovery, as `client/src/open`.

use super::{Answered, Ask, Links, News, Outcome, Role, Writing};
use crate::core::Core;
use crate::directory::Placement;
use crate::register::{RegisterNews, Wanted};
use quarry_protocol::ids::{DiskId, LogId, OwnerId, SegmentId};
use quarry_protocol::limits::READ_BYTES_MAX;
use quarry_protocol::message::Request;
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::{
    OpenMode, Purpose, Recovery, RecoveryConfig, RecoveryEffect, RecoveryError, RecoveryEvent, RecoveryReport,
};

#[derive(Debug)]
pub(crate) struct Opening {
    recovery: Recovery,
    /// Where copies go.
    attached: Option<(SegmentId, Vec<ReplicaRef>)>,
    outcome: Option<Result<RecoveryReport, RecoveryError>>,
    /// After a deletion: everybody is being told.
    telling: bool,
    /// How many chunks to write afterwards.
    pub(super) appends: u64,
    bucket_percent: u64,
}

impl Opening {
    /// Takes a log over to write so many chunks, or to delete it.
    pub(crate) fn new(core: &mut Core, log: usize, appends: Option<u64>, deadline_us: u64) -> Self {
        let options = core.options.logs[log];
        let (replicas, ack_quorum, window) = (options.replicas, options.ack_quorum, options.window);
        let (purpose, mode) = match appends {
            Some(_) => {
                let log = LogId(core.numbers.id());
                (Purpose::Write { replicas, ack_quorum, window }, OpenMode::CreateIfMissing { log })
            }
            None => (Purpose::Delete, OpenMode::MustExist),
        };
        let owner = OwnerId(core.numbers.id());
        let config = RecoveryConfig { name: name_of(log), mode, owner, purpose, deadline_us };
        let mut recovery = Recovery::new(config, core.micros());
        if core.trace.wanted {
            recovery.record_actions();
        }
        Self {
            recovery,
            attached: None,
            outcome: None,
            telling: false,
            appends: appends.unwrap_or(0),
            bucket_percent: options.bucket_percent,
        }
    }

    pub(super) fn due(&self) -> Option<u64> {
        self.recovery.poll_timeout().map(|due| due.0)
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if self.recovery.poll_timeout().is_some_and(|due| due.0 <= core.now) {
            self.recovery.handle(core.micros(), RecoveryEvent::Tick);
        }
        self.perform(core, links);
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: News) {
        let event = match news {
            News::Register(RegisterNews::Read { request, result }) => RecoveryEvent::RecordRead { request, result },
            News::Register(RegisterNews::Swapped { request, outcome, .. }) => {
                RecoveryEvent::Swapped { request, outcome }
            }
            News::Placed { request, result } => RecoveryEvent::Placed { request, result },
            News::Object { .. } => unreachable!("the links' own"),
        };
        self.recovery.handle(core.micros(), event);
        self.perform(core, links);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        if let Some(event) = self.translate(outcome) {
            self.recovery.handle(core.micros(), event);
            self.perform(core, links);
        }
    }

    fn translate(&self, outcome: Outcome) -> Option<RecoveryEvent> {
        let replica_of = |disk: DiskId| {
            let (segment, replicas) = self.attached.as_ref()?;
            Some((*segment, replicas.iter().position(|replica| replica.disk == disk)?))
        };
        let mine = |disk: DiskId, of: SegmentId| replica_of(disk).filter(|(segment, _)| *segment == of);
        Some(match outcome {
            Outcome::Answered { ask, result } => return answered(ask, result),
            Outcome::Up { disk } => {
                let (segment, replica) = replica_of(disk)?;
                RecoveryEvent::Up { replica, segment }
            }
            Outcome::Down { disk, why } => {
                let (segment, replica) = replica_of(disk)?;
                RecoveryEvent::Down { replica, segment, why }
            }
            Outcome::Stored { disk, segment, seq } => {
                let (segment, replica) = mine(disk, segment)?;
                RecoveryEvent::CopyStored { replica, segment, seq }
            }
            Outcome::Refused { disk, segment, seq, refusal } => {
                let (segment, replica) = mine(disk, segment)?;
                RecoveryEvent::CopyRefused { replica, segment, seq, refusal }
            }
        })
    }

    fn perform(&mut self, core: &mut Core, links: &mut Links) {
        core.trace.take(|| self.recovery.poll_action());
        while let Some(effect) = self.recovery.poll_effect() {
            let client = links.client;
            match effect {
                RecoveryEffect::ReadRecord { request, name } => {
                    core.call_register(client, request, Wanted::Read { name });
                }
                RecoveryEffect::Swap { request, expected, record } => {
                    core.call_register(client, request, Wanted::Swap { expected, record });
                }
                RecoveryEffect::Place { request, log, replicas, replicas_min, known } => {
                    let mut wanted = Placement::new(log, replicas, self.bucket_percent);
                    (wanted.replicas_min, wanted.known) = (replicas_min, known);
                    core.place(client, request, &wanted);
                }
                RecoveryEffect::Call { request, to, what } => links.call(core, &to, what, Ask::Recovery(request)),
                RecoveryEffect::Fetch { request, from, log, segment, seq } => {
                    let what = Request::Read { log, segment, from: seq, chunks_max: 1, bytes_max: READ_BYTES_MAX };
                    links.call(core, &from, what, Ask::Fetch(request));
                }
                RecoveryEffect::Attach { segment, replicas, .. } => {
                    replicas.iter().for_each(|replica| links.watch(core, replica));
                    self.attached = Some((segment, replicas));
                }
                RecoveryEffect::Copy { to, header, payload, .. } => {
                    core.oracle.put(&header, &payload);
                    links.put(core, to.disk, &header, payload);
                }
                RecoveryEffect::Finished(outcome) => self.outcome = Some(*outcome),
            }
        }
    }

    /// What comes after: writing, telling everybody of a deletion, or nothing.
    pub(super) fn next_role(&mut self, core: &mut Core, links: &mut Links, log: usize) -> Option<Role> {
        if self.telling {
            return (!links.is_telling()).then_some(Role::Over { done: true });
        }
        match self.outcome.take()? {
            Err(why) => {
                core.effect("open failed", [u64::from(links.client), u64::from(why.may_retry()), 0, 0]);
                core.oracle.counts.failed_opens += 1;
                core.oracle.refused(&why);
                Some(Role::Over { done: matches!(why, RecoveryError::NotFound { .. }) })
            }
            Ok(report) if report.segment.is_none() => {
                core.effect("deleted", [u64::from(links.client), report.epoch.0, 0, 0]);
                core.oracle.counts.deletions += 1;
                let what = Request::Delete { log: report.record.log, epoch: report.epoch };
                links.tell(core, what, report.before.iter().chain([&report.record]));
                self.telling = true;
                None
            }
            Ok(report) => {
                core.effect(
                    "open",
                    [u64::from(links.client), report.epoch.0, report.next_seq.0, report.carried.len() as u64],
                );
                let current = core.register.record(&report.record.name);
                core.oracle.took_over(&report, current);
                if report.record.floor.0 > 0 {
                    let (log, floor) = (report.record.log, report.record.floor);
                    let what = Request::Trim { log, word: report.record.number, floor };
                    links.tell(core, what, report.before.iter().chain([&report.record]));
                }
                Some(Role::Writing(Box::new(Writing::new(core, links, log, report, self.appends))))
            }
        }
    }
}

fn answered(ask: Ask, result: Result<Answered, String>) -> Option<RecoveryEvent> {
    Some(match (ask, result) {
        (Ask::Recovery(request), Ok(Answered::Reply(reply))) => RecoveryEvent::Replied { request, result: Ok(reply) },
        (Ask::Recovery(request), Ok(_)) => RecoveryEvent::Replied { request, result: Err("chunks".to_owned()) },
        (Ask::Recovery(request), Err(why)) => RecoveryEvent::Replied { request, result: Err(why) },
        (Ask::Fetch(request), result) => RecoveryEvent::Fetched { request, result: super::repairing::fetched(result) },
        _ => return None,
    })
}

/// The name of a run's log.
pub(crate) fn name_of(log: usize) -> String {
    format!("log{log}")
}
