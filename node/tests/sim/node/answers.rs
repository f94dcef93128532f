//! Answers as they leave a shard: the oracle hears of them first.

use super::{Node, Question};
use crate::core::{ConnId, Core};
use crate::network::Frame;
use quarry_protocol::frame::FrameHeader;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::FRAME_HEADER_BYTES;
use quarry_protocol::message::{Refusal, Reply};

impl Node {
    pub(super) fn answer_stored(&mut self, core: &mut Core, shard: usize, conn: ConnId, request_id: u64, disk: DiskId) {
        let Some(Question::Put { log, segment, seq }) = self.shards[shard].questions.remove(&(conn, request_id)) else {
            panic!("request {request_id} of connection {conn} was answered \"stored\", and is no put or was answered")
        };
        core.effect("stored", [self.index as u64, u64::from(conn), segment.epoch.0, seq.0]);
        core.oracle.stored(disk, log, (segment, seq));
        self.send(core, conn, Frame::stored(request_id, disk));
    }

    pub(super) fn answer(&mut self, core: &mut Core, shard: usize, conn: ConnId, bytes: Vec<u8>) {
        let header =
            FrameHeader::decode(&bytes).unwrap_or_else(|why| panic!("a shard sends a frame that is none: {why}"));
        let question = self.shards[shard].questions.remove(&(conn, header.request_id));
        let body = &bytes[FRAME_HEADER_BYTES..];
        core.effect("reply", [self.index as u64, u64::from(conn), header.request_id, u64::from(header.body_crc)]);
        header.verify_body(body).unwrap_or_else(|why| panic!("a shard sends a body that does not verify: {why}"));
        if let Some(question) = question {
            let reply =
                Reply::decode(body).unwrap_or_else(|why| panic!("a shard sends a body that does not decode: {why}"));
            note(core, header.disk, &question, &reply);
        }
        self.send(core, conn, Frame::whole(bytes));
    }
}

fn note(core: &mut Core, disk: DiskId, question: &Question, reply: &Reply) {
    let oracle = &mut core.oracle;
    match (question, reply) {
        (Question::Fence { log }, Reply::Fenced { fence, floor, segments }) => {
            oracle.fenced(disk, *log, (*fence, *floor), segments);
        }
        (Question::Freeze { log, segment }, Reply::Frozen { runs }) => oracle.frozen(disk, *log, *segment, runs),
        (Question::Inspect { log }, Reply::Inspected { fence, segments, .. }) => {
            oracle.inspected(disk, *log, *fence, segments);
        }
        (Question::Trim { log }, Reply::Trimmed { floor }) => oracle.trimmed(disk, *log, *floor),
        (Question::Delete { log }, Reply::Deleted) => oracle.deleted(disk, *log),
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
        Refusal::BadRequest { .. } => "refused: bad request",
        Refusal::WrongCluster { .. } => "refused: wrong cluster",
    }
}
