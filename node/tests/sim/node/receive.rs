//! Connections and frames as they come in: as `node/src/io/serve.rs` and `node/src/io/receive.rs`.

use super::{Arrived, Node, Question, State};
use crate::core::{ConnId, Core};
use crate::network::{Body, Frame};
use bytes::Bytes;
use quarry_protocol::chunk::{ChunkError, ChunkHeader};
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use quarry_protocol::message::{Refusal, Reply, Request};

impl Node {
    /// A client connects.
    pub(crate) fn open(&mut self, core: &mut Core, conn: ConnId) {
        let shard = core.net.conn(conn).shard;
        if self.state != State::Up || shard >= self.shards.len() {
            core.close_at_node(conn, false);
            return;
        }
        core.net.conn(conn).node_open = Some(self.life);
        self.shards[shard].conns.insert(conn);
        self.arrive(core, shard, Arrived::Connected { conn });
    }

    fn is_open(&self, core: &mut Core, conn: ConnId) -> bool {
        core.net.conn(conn).node_open == Some(self.life) && self.state == State::Up
    }

    /// The client's end is closed, or this one has to be.
    pub(crate) fn closed(&mut self, core: &mut Core, conn: ConnId) {
        if !self.is_open(core, conn) {
            return;
        }
        core.close_at_node(conn, false);
        let shard = core.net.conn(conn).shard;
        let host = &mut self.shards[shard];
        host.conns.remove(&conn);
        self.arrive(core, shard, Arrived::Closed { conn });
    }

    /// A frame comes in.
    pub(crate) fn receive(&mut self, core: &mut Core, conn: ConnId, frame: Frame) {
        if !self.is_open(core, conn) {
            return;
        }
        let Ok(header) = FrameHeader::decode(&frame.head) else { return self.closed(core, conn) };
        match (header.kind, frame.body) {
            (FrameKind::Put | FrameKind::Copy, Body::Chunk { head, payload }) => {
                self.receive_put(core, conn, &header, &head, payload);
            }
            (FrameKind::Request, Body::Control { bytes, from }) => {
                self.receive_request(core, conn, &header, &bytes[from..]);
            }
            // A frame that a flipped bit turned into another kind: what follows it cannot be framed.
            _ => self.closed(core, conn),
        }
    }

    fn receive_put(
        &mut self,
        core: &mut Core,
        conn: ConnId,
        frame: &FrameHeader,
        head: &[u8; CHUNK_HEADER_BYTES],
        payload: Bytes,
    ) {
        let shard = core.net.conn(conn).shard;
        if self.shards[shard].stopping {
            return;
        }
        let chunk = match check_chunk(head, &payload) {
            Ok(chunk) => chunk,
            Err(why) => return Self::turn_away(core, conn, frame, &why),
        };
        let (log, segment, seq) = (chunk.log, chunk.segment, chunk.seq);
        core.step("put", [self.index as u64, u64::from(conn), segment.epoch.0, seq.0]);
        let host = &mut self.shards[shard];
        let slot = host.take_slot(payload);
        let (request_id, disk, copy) = (frame.request_id, frame.disk, frame.kind == FrameKind::Copy);
        host.questions.insert((conn, request_id), (disk, Question::Put { log, segment, seq, copy }));
        self.arrive(core, shard, Arrived::Put { conn, request_id, disk, header: chunk, slot, copy });
    }

    fn receive_request(&mut self, core: &mut Core, conn: ConnId, frame: &FrameHeader, body: &[u8]) {
        let shard = core.net.conn(conn).shard;
        if self.shards[shard].stopping {
            return;
        }
        if frame.verify_body(body).is_err() {
            return self.closed(core, conn);
        }
        let request = match Request::decode(body) {
            Ok(request) => request,
            Err(why) => return Self::turn_away(core, conn, frame, &why),
        };
        core.step(request.name(), [self.index as u64, u64::from(conn), frame.request_id, 0]);
        if let Some(question) = question_of(&request) {
            self.shards[shard].questions.insert((conn, frame.request_id), (frame.disk, question));
        }
        let (request_id, disk) = (frame.request_id, frame.disk);
        self.arrive(core, shard, Arrived::Request { conn, request_id, disk, request });
    }

    fn turn_away(core: &mut Core, conn: ConnId, frame: &FrameHeader, why: &dyn std::error::Error) {
        let body = Reply::Refused(Refusal::BadRequest { why: why.to_string() }).encode();
        let mut bytes = FrameHeader::control(FrameKind::Reply, frame.request_id, frame.disk, &body).encode().to_vec();
        bytes.extend_from_slice(&body);
        core.send_to_client(conn, Frame::whole(bytes));
    }
}

fn check_chunk(head: &[u8], payload: &Bytes) -> Result<ChunkHeader, ChunkError> {
    let header = ChunkHeader::decode(head)?;
    header.verify_payload(payload)?;
    Ok(header)
}

fn question_of(request: &Request) -> Option<Question> {
    Some(match request {
        Request::Fence { log, .. } => Question::Fence { log: *log },
        Request::Freeze { log, segment, .. } => Question::Freeze { log: *log, segment: *segment },
        Request::Inspect { log, .. } => Question::Inspect { log: *log },
        Request::Trim { log, .. } => Question::Trim { log: *log },
        Request::Delete { log, .. } => Question::Delete { log: *log },
        Request::Pin { log, .. } => Question::Pin { log: *log },
        Request::Inventory { log, segment, .. } => Question::Inventory { log: *log, segment: *segment },
        Request::Free { log, segment, word } => Question::Free { log: *log, segment: *segment, word: *word },
        Request::Hello { .. }
        | Request::Read { .. }
        | Request::Provenance { .. }
        | Request::Members { .. }
        | Request::Holdings { .. } => return None,
    })
}
