//! Answers as they leave a shard: the oracle hears of them first.

use super::start::is_good;
use super::{Node, Question, ShardHost};
use crate::core::{ConnId, Core};
use crate::network::Frame;
use crate::numbers::Numbers;
use crate::oracle::Oracle;
use quarry_node::shard::Shard;
use quarry_node::store::{ChunkKey, Place};
use quarry_protocol::frame::FrameHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FRAME_HEADER_BYTES};
use quarry_protocol::message::{Answer, Refusal, Reply, Run};
use quarry_protocol::snapshot::LossRecord;

impl Node {
    pub(super) fn answer_stored(&mut self, core: &mut Core, shard: usize, conn: ConnId, request_id: u64, disk: DiskId) {
        let question = self.shards[shard].questions.remove(&(conn, request_id));
        let Some((named, Question::Put { log, segment, seq, copy })) = question else {
            panic!("request {request_id} of connection {conn} was answered \"stored\", and is no put or was answered")
        };
        core.effect("stored", [self.index as u64, u64::from(conn), segment.epoch.0, seq.0]);
        let host = &self.shards[shard];
        assert!(named == disk && disk == host.identity, "P4: {} stores a put for {named}, as {disk}", host.identity);
        let durable = host.disk.holds_durably(&ChunkKey { log, segment, seq });
        // P4: what lies below the floor counts as stored.
        let trimmed = seq < host.disk.durable_record(log).floor;
        assert!(durable || trimmed, "P4: {segment}/{seq} is answered \"stored\" and is not durable");
        core.oracle.stored(disk, log, (segment, seq), copy);
        self.send(core, conn, Frame::stored(request_id, disk));
    }

    pub(super) fn answer(&mut self, core: &mut Core, shard: usize, conn: ConnId, bytes: Vec<u8>) {
        let header =
            FrameHeader::decode(&bytes).unwrap_or_else(|why| panic!("a shard sends a frame that is none: {why}"));
        let question = self.shards[shard].questions.remove(&(conn, header.request_id));
        let body = &bytes[FRAME_HEADER_BYTES..];
        core.effect("reply", [self.index as u64, u64::from(conn), header.request_id, u64::from(header.body_crc)]);
        header.verify_body(body).unwrap_or_else(|why| panic!("a shard sends a body that does not verify: {why}"));
        if let Some((named, question)) = question {
            let reply =
                Reply::decode(body).unwrap_or_else(|why| panic!("a shard sends a body that does not decode: {why}"));
            let host = &self.shards[shard];
            if !matches!(reply, Reply::Refused(_)) {
                host.check_name(named, &question);
                host.check_durable(&question, &reply);
            }
            if let (Question::Free { log, segment, .. }, Reply::Freed) = (&question, &reply) {
                let names = [&[host.names.current], &host.names.retired[..]].concat();
                let record = core.register.of(*log);
                core.oracle.freed(*log, *segment, &names, record);
            }
            note(core, (named, named != host.identity), &question, &reply);
        }
        self.send(core, conn, Frame::whole(bytes));
    }
}

impl ShardHost {
    /// P4, P14: only a disk that this shard goes by is answered for, and only the one in force takes changes.
    fn check_name(&self, named: DiskId, question: &Question) {
        let identity = &self.names;
        let known = named == identity.current || identity.retired.contains(&named);
        assert!(known, "P4: {question:?} for disk {named} is answered by {identity:?}");
    }

    /// P3, P4, P12: what an answer promises is on the disk, in an order that a replay believes.
    fn check_durable(&self, question: &Question, reply: &Reply) {
        match (question, reply) {
            (Question::Fence { log }, Reply::Fenced { fence, segments, .. }) => {
                let record = self.disk.durable_record(*log);
                assert!(
                    record.fence.max(record.deleted) >= *fence,
                    "P3: fence {fence} is answered, durable is {record:?}"
                );
                segments.iter().for_each(|view| self.check_runs(*log, view.segment, &view.runs));
            }
            (Question::Freeze { log, segment }, Reply::Frozen { runs }) => self.check_runs(*log, *segment, runs),
            (Question::Trim { log }, Reply::Trimmed { floor }) => {
                let record = self.disk.durable_record(*log);
                assert!(record.floor >= *floor, "P12: floor {floor} is confirmed, durable is {record:?}");
            }
            (Question::Delete { log }, Reply::Deleted) => {
                let record = self.disk.durable_record(*log);
                assert!(record.deleted.0 > 0, "P13: a deletion is confirmed, durable is {record:?}");
            }
            (Question::Pin { log }, Reply::Pinned { word }) => {
                let record = self.disk.durable_record(*log);
                assert!(record.word >= *word, "P13: word {word} is confirmed, durable is {record:?}");
            }
            (Question::Inventory { log, segment }, Reply::Inventory { runs, .. }) => {
                self.check_runs(*log, *segment, runs);
            }
            (Question::Free { log, word, .. }, Reply::Freed) => {
                let record = self.disk.durable_record(*log);
                assert!(record.word == *word, "P13: freed by word {word}, durable is {record:?}");
            }
            _ => {}
        }
    }

    /// P13: what turned out to be damaged is kept as it is, until it is trimmed, its log deleted, or a copy that no record needs
    /// freed.
    pub(super) fn check_kept(&self, shard: &Shard, oracle: &Oracle) {
        let freed = |loss: &LossRecord| oracle.may_be_freed(loss.log, loss.segment, self.identity);
        for loss in shard.losses().filter(|loss| !freed(loss)) {
            for key in self.disk.held_of(&loss) {
                assert!(shard.locate(&key).is_some(), "P13: {key:?} was damaged, and is not kept any more");
            }
        }
    }

    /// A bit rots in some chunk that lives; whether one did.
    pub(crate) fn rot_a_chunk(&mut self, numbers: &mut Numbers) -> bool {
        let Some(shard) = &self.shard else { return false };
        let chunks = shard.statistics().store.chunks.max(1) as usize;
        let Some((key, place)) = shard.places().nth(numbers.index(chunks)) else { return false };
        let bytes = CHUNK_HEADER_BYTES as u64 + u64::from(place.length);
        is_good(&self.disk, &key, place) && self.disk.rot_within(place.file, u64::from(place.position), bytes, numbers)
    }

    /// Chunks that are stored, cannot be read as they were put, and are not known to be lost.
    pub(crate) fn undiscovered(&self) -> Vec<ChunkKey> {
        let Some(shard) = &self.shard else { return Vec::new() };
        let known = |key: &ChunkKey| {
            let covers = |loss: &LossRecord| {
                (loss.log, loss.segment) == (key.log, key.segment) && (loss.from..loss.to).contains(&key.seq)
            };
            shard.losses().any(|loss| covers(&loss))
        };
        let bad = |(key, place): &(ChunkKey, Place)| !is_good(&self.disk, key, *place) && !known(key);
        shard.places().filter(bad).map(|(key, _)| key).collect()
    }

    fn check_runs(&self, log: LogId, segment: SegmentId, runs: &[Run]) {
        for run in runs.iter().filter(|run| run.answer == Answer::Have) {
            for seq in (run.from.0..run.to.0).map(ChunkSeq) {
                let durable = self.disk.holds_durably(&ChunkKey { log, segment, seq });
                assert!(durable, "P3: {segment}/{seq} is answered \"have\" and is not durable");
            }
        }
    }
}

fn note(core: &mut Core, (disk, retired): (DiskId, bool), question: &Question, reply: &Reply) {
    let oracle = &mut core.oracle;
    match (question, reply) {
        (Question::Fence { log }, Reply::Fenced { fence, floor, segments }) => {
            oracle.fenced((disk, retired), *log, (*fence, *floor), segments);
        }
        (Question::Freeze { log, segment }, Reply::Frozen { runs }) => oracle.frozen(disk, *log, *segment, runs),
        (Question::Inspect { log }, Reply::Inspected { fence, segments, .. }) => {
            oracle.inspected(disk, *log, *fence, segments);
        }
        (Question::Trim { log }, Reply::Trimmed { floor }) => oracle.trimmed((disk, retired), *log, *floor),
        (Question::Delete { log }, Reply::Deleted) => oracle.deleted(disk, *log),
        (Question::Inventory { log, segment }, Reply::Inventory { runs, .. }) => {
            oracle.inventoried(disk, *log, *segment, runs);
        }
        (Question::Pin { .. }, Reply::Pinned { .. }) | (Question::Free { .. }, Reply::Freed) => {}
        (_, Reply::Refused(why)) => core.effect(name_of(why), [0; 4]),
        (question, reply) => panic!("{question:?} was answered with {reply:?}"),
    }
}

const fn name_of(why: &Refusal) -> &'static str {
    match why {
        Refusal::Fenced { .. } => "refused: fenced",
        Refusal::WrongDisk { .. } => "refused: wrong disk",
        Refusal::Retired { .. } => "refused: retired",
        Refusal::Full { .. } => "refused: full",
        Refusal::LogDeleted { .. } => "refused: log deleted",
        Refusal::TooManyLogs { .. } => "refused: too many logs",
        Refusal::DiskFailed { .. } => "refused: disk failed",
        Refusal::Different { .. } => "refused: different",
        Refusal::StaleWord { .. } => "refused: stale word",
        Refusal::BadRequest { .. } => "refused: bad request",
        Refusal::WrongCluster { .. } => "refused: wrong cluster",
    }
}
