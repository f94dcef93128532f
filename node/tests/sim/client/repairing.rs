//! Repairing, and then freeing what no record needs: the shell of the shipped repair, as `client/src/repair`.

use super::{Answered, Ask, Links, News, Outcome};
use crate::core::Core;
use crate::directory::Placement;
use crate::register::{RegisterNews, Wanted};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{DiskId, LogId, SegmentId};
use quarry_protocol::limits::READ_BYTES_MAX;
use quarry_protocol::message::{Answer, Reply, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef};
use quarry_protocol::recovery::{FetchFailure, RequestNo};
use quarry_protocol::repair::judge::may_free;
use quarry_protocol::repair::{
    CopyFailure, Repair, RepairConfig, RepairEffect, RepairEvent, RepairReport, SegmentOutcome, Unanswered,
};

/// The read of the record that copies are freed by.
const LAST_READ: RequestNo = RequestNo::MAX;

#[derive(Debug)]
pub(crate) struct Repairing {
    machine: Repair,
    name: String,
    /// The zones that a placement under way keeps.
    kept: Vec<String>,
    /// Copies that are being freed.
    freeing: u64,
    pub(crate) report: Option<RepairReport>,
    pub(crate) over: Option<bool>,
}

impl Repairing {
    pub(crate) fn new(core: &mut Core, name: String) -> Self {
        let patience_us = core.numbers.pick(&[50_000, 1_000_000, 5_000_000]);
        let config = RepairConfig { patience_us, ..RepairConfig::new(&name) };
        let machine = Repair::new(config, core.micros());
        Self { machine, name, kept: Vec::new(), freeing: 0, report: None, over: None }
    }

    pub(super) fn due(&self) -> Option<u64> {
        self.machine.poll_timeout().map(|due| due.0)
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if self.machine.poll_timeout().is_some_and(|due| due.0 <= core.now) {
            self.machine.handle(core.micros(), RepairEvent::Tick);
        }
        self.perform(core, links);
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: News) {
        let event = match news {
            News::Register(RegisterNews::Read { request: LAST_READ, result }) => {
                let record = result.ok().flatten().map(|(_, record)| record);
                return self.free(core, links, record.as_ref());
            }
            News::Register(RegisterNews::Read { request, result }) => RepairEvent::RecordRead { request, result },
            News::Register(RegisterNews::Swapped { request, outcome, .. }) => RepairEvent::Swapped { request, outcome },
            News::Placed { request, result } => {
                let new = |replica: &ReplicaRef| !self.kept.contains(&replica.zone);
                let result = result.map(|replicas| replicas.into_iter().filter(new).collect());
                RepairEvent::Placed { request, result }
            }
            News::Object { .. } => unreachable!("the links' own"),
        };
        self.machine.handle(core.micros(), event);
        self.perform(core, links);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        let Outcome::Answered { ask, result } = outcome else { return };
        if matches!(ask, Ask::Free) {
            self.freeing -= 1;
            return self.end_if_freed();
        }
        if let Some(event) = answered(ask, result) {
            self.machine.handle(core.micros(), event);
            self.perform(core, links);
        }
    }

    fn perform(&mut self, core: &mut Core, links: &mut Links) {
        while let Some(effect) = self.machine.poll_effect() {
            let client = links.client;
            match effect {
                RepairEffect::ReadRecord { request, name } => {
                    core.call_register(client, request, Wanted::Read { name });
                }
                RepairEffect::Swap { request, expected, record } => {
                    core.call_register(client, request, Wanted::Swap { expected: Some(expected), record });
                }
                RepairEffect::Place { request, log, replicas, keep, avoid } => {
                    let mut wanted = Placement::new(log, keep.len() + replicas, 0);
                    self.kept = keep.iter().map(|replica| replica.zone.clone()).collect();
                    (wanted.keep, wanted.avoid) = (keep, avoid);
                    core.place(client, request, &wanted);
                }
                RepairEffect::Call { request, to, what } => links.call(core, &to, what, Ask::Repair(request)),
                RepairEffect::Fetch { request, from, log, segment, seq } => {
                    let what = Request::Read { log, segment, from: seq, chunks_max: 1, bytes_max: READ_BYTES_MAX };
                    links.call(core, &from, what, Ask::RepairFetch(request));
                }
                RepairEffect::Copy { request, to, header, payload } => {
                    self.copy(core, links, request, &to, &header, payload);
                }
                RepairEffect::Finished(outcome) => self.finished(core, links, *outcome),
            }
        }
    }

    fn copy(
        &self,
        core: &mut Core,
        links: &mut Links,
        request: RequestNo,
        to: &ReplicaRef,
        header: &ChunkHeader,
        payload: Bytes,
    ) {
        core.effect("copy", [u64::from(links.client), header.segment.epoch.0, header.seq.0, 0]);
        core.oracle.counts.copies += 1;
        let record = core.register.record(&self.name);
        core.oracle.put_by_repair(header, &payload, record);
        links.copy(core, to, header, payload, Ask::Copy(request));
    }

    fn finished(&mut self, core: &mut Core, links: &Links, outcome: Result<RepairReport, impl std::fmt::Debug>) {
        core.effect("repaired", [u64::from(links.client), u64::from(outcome.is_ok()), 0, 0]);
        match outcome {
            Err(_) => self.over = Some(false),
            Ok(report) => {
                core.oracle.counts.repairs += 1;
                let lost = report.segments.iter().any(|done| matches!(done.outcome, SegmentOutcome::Lost { .. }));
                // Nobody may be told of a loss that is none.
                assert!(!lost || core.options.beyond, "P8: more is lost than may get lost: {report:?}");
                self.report = Some(report);
                core.call_register(links.client, LAST_READ, Wanted::Read { name: self.name.clone() });
            }
        }
    }

    /// P13: by the word of the record as it was just read, every copy that it does not need.
    fn free(&mut self, core: &mut Core, links: &mut Links, record: Option<&LogRecord>) {
        let Some(record) = record else {
            self.over = Some(true);
            return;
        };
        for (log, segment, disk) in core.oracle.copies_of(record.log) {
            let Some((at, identities)) = core.shard_of(disk) else { continue };
            if may_free(Some(record), log, segment, &identities).is_ok() {
                self.freeing += 1;
                core.oracle.free_asked(log, segment, &identities);
                let what = Request::Free { log, segment, word: record.number };
                links.call(core, &at, what, Ask::Free);
            }
        }
        self.end_if_freed();
    }

    fn end_if_freed(&mut self) {
        if self.freeing == 0 {
            self.over = Some(true);
        }
    }
}

fn answered(ask: Ask, result: Result<Answered, String>) -> Option<RepairEvent> {
    Some(match (ask, result) {
        (Ask::Repair(request), Ok(Answered::Reply(reply))) => RepairEvent::Replied { request, result: Ok(reply) },
        (Ask::Repair(request), Ok(_)) => {
            RepairEvent::Replied { request, result: Err(Unanswered::Silent("chunks".to_owned())) }
        }
        (Ask::Repair(request), Err(why)) => {
            let gone = why == "disk replaced";
            let why = if gone { Unanswered::Gone(why) } else { Unanswered::Silent(why) };
            RepairEvent::Replied { request, result: Err(why) }
        }
        (Ask::RepairFetch(request), result) => RepairEvent::Fetched { request, result: fetched(result) },
        (Ask::Copy(request), Ok(Answered::Stored)) => RepairEvent::Copied { request, result: Ok(()) },
        (Ask::Copy(request), Ok(Answered::Reply(Reply::Refused(refusal)))) => {
            RepairEvent::Copied { request, result: Err(CopyFailure::Refused(refusal)) }
        }
        (Ask::Copy(request), other) => {
            RepairEvent::Copied { request, result: Err(CopyFailure::Unreachable(format!("{other:?}"))) }
        }
        _ => return None,
    })
}

pub(super) fn fetched(result: Result<Answered, String>) -> Result<(ChunkHeader, Bytes), FetchFailure> {
    match result {
        Ok(Answered::Chunks { mut chunks, answer }) => match chunks.pop() {
            Some(chunk) => Ok(chunk),
            None => Err(FetchFailure::Answer(answer)),
        },
        // P8: a chunk that does not verify is unknown.
        Ok(Answered::Corrupt) => Err(FetchFailure::Answer(Answer::Unknown)),
        Ok(other) => Err(FetchFailure::Unreachable(format!("{other:?}"))),
        Err(why) => Err(FetchFailure::Unreachable(why)),
    }
}

impl Core {
    /// Where a shard that goes by `disk`, or went by it once, is reached now, and all its names.
    fn shard_of(&self, disk: DiskId) -> Option<(ReplicaRef, Vec<DiskId>)> {
        let shards =
            self.directory.0.iter().flatten().flat_map(|info| info.shards.iter().map(move |shard| (info, shard)));
        let names = |shard: &quarry_protocol::message::ShardAddress| {
            core::iter::once(shard.disk).chain(shard.retired.iter().copied()).collect::<Vec<_>>()
        };
        let found = shards.map(|(info, shard)| (info, shard.disk, names(shard))).find(|(.., all)| all.contains(&disk));
        found.map(|(info, current, all)| {
            (ReplicaRef { disk: current, address: info.advertise.clone(), zone: info.zone.clone() }, all)
        })
    }
}

/// A copy: of which log and segment, on which disk.
pub(crate) type CopyName = (LogId, SegmentId, DiskId);
