//! A client's way to buckets: the shipped bucket machine, one for each log and bucket, where it would connect to a node.

use super::{Answered, Ask, Links, Outcome};
use crate::buckets::{Asker, bucket_at};
use crate::core::Core;
use bytes::Bytes;
use quarry_protocol::bucket::{Bucket, BucketEffect, BucketEvent, KnownLog, Outcome as Performed, SlotName};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::message::{Answer, Reply, Request, Run};
use quarry_protocol::record::{LogRecord, ReplicaRef};
use quarry_protocol::replica::Ticket;
use std::collections::BTreeMap;

/// Whose answer a machine owes.
#[derive(Debug)]
enum Owed {
    Put { segment: SegmentId, seq: ChunkSeq },
    Call { ask: Ask, what: Request },
    Read { ask: Ask, chunks: Vec<(ChunkHeader, Bytes)> },
}

#[derive(Debug)]
struct BucketLink {
    bucket: usize,
    machine: Bucket,
    owed: BTreeMap<Ticket, Owed>,
}

/// All of a client's machines, and what they have to be told.
#[derive(Debug, Default)]
pub(super) struct BucketLinks {
    /// The bucket behind each disk that the client came upon.
    known: BTreeMap<DiskId, usize>,
    machines: BTreeMap<(DiskId, LogId), BucketLink>,
    record: Option<(LogId, KnownLog)>,
    tickets: Ticket,
}

impl BucketLinks {
    /// Whether this replica is a bucket; from now on its disk is known to be one.
    pub(super) fn is_bucket(&mut self, to: &ReplicaRef) -> bool {
        if let Some(bucket) = bucket_at(&to.address) {
            self.known.insert(to.disk, bucket);
        }
        self.is_behind(to.disk)
    }

    pub(super) fn is_behind(&self, disk: DiskId) -> bool {
        self.known.contains_key(&disk)
    }

    pub(super) fn due(&self) -> Option<u64> {
        self.machines.values().filter_map(|link| link.machine.poll_timeout()).map(|due| due.0).min()
    }

    fn link(&mut self, disk: DiskId, log: LogId) -> &mut BucketLink {
        let bucket = self.known[&disk];
        let new = || BucketLink { bucket, machine: Bucket::new(log, disk), owed: BTreeMap::new() };
        self.machines.entry((disk, log)).or_insert_with(new)
    }
}

impl Links {
    /// The register says this, or took it.
    pub(super) fn know(&mut self, record: &LogRecord) {
        self.buckets.record = Some((record.log, KnownLog::of(record)));
    }

    pub(super) fn put_to_bucket(&mut self, core: &mut Core, disk: DiskId, header: ChunkHeader, payload: Bytes) {
        let (segment, seq) = (header.segment, header.seq);
        let from = self.owe(disk, header.log, Owed::Put { segment, seq });
        self.drive(core, disk, header.log, BucketEvent::Put { from, disk, header, payload });
    }

    pub(super) fn call_bucket(&mut self, core: &mut Core, disk: DiskId, request: Request, ask: Ask) {
        let log = request.log().expect("nobody greets a bucket");
        if let Some((_, known)) = self.buckets.record.clone().filter(|(of, _)| *of == log) {
            self.drive(core, disk, log, BucketEvent::Known(known));
        }
        let owed = match &request {
            Request::Read { .. } => Owed::Read { ask, chunks: Vec::new() },
            what => Owed::Call { ask, what: what.clone() },
        };
        let from = self.owe(disk, log, owed);
        self.drive(core, disk, log, BucketEvent::Request { from, disk, request });
    }

    fn owe(&mut self, disk: DiskId, log: LogId, owed: Owed) -> Ticket {
        self.buckets.tickets += 1;
        let ticket = self.buckets.tickets;
        self.buckets.link(disk, log).owed.insert(ticket, owed);
        ticket
    }

    /// An operation on an object is over.
    pub(super) fn performed(&mut self, core: &mut Core, asker: Asker, outcome: Performed) {
        let operation = asker.operation;
        self.drive(core, asker.disk, asker.log, BucketEvent::Done { operation, outcome });
    }

    pub(super) fn tick_buckets(&mut self, core: &mut Core) {
        let due = |(at, link): (&(DiskId, LogId), &BucketLink)| {
            link.machine.poll_timeout().is_some_and(|due| due.0 <= core.now).then_some(*at)
        };
        let due: Vec<_> = self.buckets.machines.iter().filter_map(due).collect();
        for (disk, log) in due {
            self.drive(core, disk, log, BucketEvent::Tick);
        }
    }

    fn drive(&mut self, core: &mut Core, disk: DiskId, log: LogId, event: BucketEvent) {
        let now = core.micros();
        let link = self.buckets.link(disk, log);
        link.machine.handle(now, event);
        while let Some(effect) = link.machine.poll_effect() {
            match effect {
                BucketEffect::Perform { operation, what } => {
                    let asker = Asker { client: self.client, disk, log, operation };
                    core.call_bucket(link.bucket, asker, what);
                }
                BucketEffect::PutStored { to, .. } => {
                    let owed = link.owed.remove(&to);
                    let Some(Owed::Put { segment, seq }) = owed else { panic!("ticket {to} is no put: {owed:?}") };
                    link.check_stored(core, log, (segment, seq));
                    self.out.push_back(Outcome::Stored { disk, segment, seq });
                }
                BucketEffect::Chunk { to, header, payload } => match link.owed.get_mut(&to) {
                    Some(Owed::Read { chunks, .. }) => chunks.push((header, payload)),
                    other => panic!("ticket {to} is no read: {other:?}"),
                },
                BucketEffect::Reply { to, reply } => {
                    let owed = link.owed.remove(&to).unwrap_or_else(|| panic!("ticket {to} is answered twice"));
                    link.check_answer(core, log, &owed, &reply);
                    self.out.push_back(outcome(disk, owed, reply));
                }
            }
        }
        link.machine.invariants();
    }
}

fn outcome(disk: DiskId, owed: Owed, reply: Reply) -> Outcome {
    match (owed, reply) {
        (Owed::Put { segment, seq }, Reply::Refused(refusal)) => Outcome::Refused { disk, segment, seq, refusal },
        (Owed::Put { segment, seq }, reply) => panic!("a put of {segment}/{seq} is answered with {reply:?}"),
        (Owed::Call { ask, .. }, reply) => Outcome::Answered { ask, result: Ok(Answered::Reply(reply)) },
        (Owed::Read { ask, chunks }, reply) => {
            let verified = chunks.iter().all(|(header, payload)| header.verify_payload(payload).is_ok());
            let result = match reply {
                _ if !verified => Answered::Corrupt,
                Reply::ReadEnd { answer, .. } => Answered::Chunks { chunks, answer },
                reply => Answered::Reply(reply),
            };
            Outcome::Answered { ask, result: Ok(result) }
        }
    }
}

/// What a machine says, held against the objects.
impl BucketLink {
    /// Whether the bucket still is the one that this machine talks to: what it said was true when it looked.
    fn is_there(&self, core: &Core) -> bool {
        core.buckets[self.bucket].disk == self.machine.disk()
    }

    fn check_stored(&self, core: &mut Core, log: LogId, (segment, seq): (SegmentId, ChunkSeq)) {
        core.effect("stored in a bucket", [self.bucket as u64, segment.epoch.0, seq.0, 0]);
        let there = core.buckets[self.bucket].chunk(SlotName { log, segment, seq }).is_some();
        let trimmed = core.oracle.is_trimmed(log, seq);
        // Put into the bucket that took the place of this one: it is lost with all that was in that one.
        let emptied = !self.is_there(core);
        assert!(there || trimmed || emptied, "P4: {segment}/{seq} is answered \"stored\" and is not in the bucket");
        core.oracle.holds(self.machine.disk(), log, (segment, seq));
    }

    fn check_answer(&self, core: &mut Core, log: LogId, owed: &Owed, reply: &Reply) {
        let Owed::Call { what, .. } = owed else { return };
        if !self.is_there(core) {
            return;
        }
        match (what, reply) {
            (Request::Freeze { segment, .. }, Reply::Frozen { runs }) => {
                self.check_runs(core, log, *segment, runs);
                core.oracle.frozen(self.machine.disk(), log, *segment, runs);
            }
            (Request::Fence { .. }, Reply::Fenced { segments, .. })
            | (Request::Inspect { .. }, Reply::Inspected { segments, .. }) => {
                for view in segments {
                    self.check_runs(core, log, view.segment, &view.runs);
                    core.oracle.viewed(self.machine.disk(), log, view);
                }
            }
            _ => {}
        }
    }

    fn check_runs(&self, core: &Core, log: LogId, segment: SegmentId, runs: &[Run]) {
        for run in runs.iter().filter(|run| run.answer == Answer::Have) {
            for seq in (run.from.0..run.to.0).map(ChunkSeq) {
                let there = core.buckets[self.bucket].chunk(SlotName { log, segment, seq }).is_some();
                let trimmed = core.oracle.is_trimmed(log, seq);
                assert!(there || trimmed, "P8: {segment}/{seq} is answered \"have\" and is not in the bucket");
            }
        }
    }
}
