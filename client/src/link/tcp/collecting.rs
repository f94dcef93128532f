//! A read under way: the chunks that came so far, each checked when it arrives.

use super::super::{Chunk, ReadAnswer};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use quarry_protocol::message::Answer;

/// Which chunk has to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// The log.
    pub(super) log: LogId,
    /// The segment.
    pub(super) segment: SegmentId,
    /// The seq.
    pub(super) seq: ChunkSeq,
}

impl Expected {
    /// Verifies the body of a `Chunk` frame: checksums, and that it is the chunk that has to come. The error says
    /// which check failed.
    pub(super) fn verify(&self, body: &Bytes) -> Result<Chunk, String> {
        let Self { log, segment, seq } = self;
        let header = ChunkHeader::decode(body).map_err(|why| format!("{segment}/{seq}: {why}"))?;
        let payload = body.slice(CHUNK_HEADER_BYTES..);
        header.verify_payload(&payload).map_err(|why| format!("{segment}/{seq}: {why}"))?;
        if (header.log, header.segment, header.seq) == (*log, *segment, *seq) {
            return Ok(Chunk { header, payload });
        }
        Err(format!(
            "{segment}/{seq} of log {log} was expected, {}/{} of log {} came",
            header.segment, header.seq, header.log
        ))
    }
}

/// The answer to a read, while it arrives.
#[derive(Debug)]
pub(super) struct Collecting {
    expected: Expected,
    chunks_left: u32,
    bytes_max: u64,
    bytes: u64,
    chunks: Vec<Chunk>,
}

impl Collecting {
    /// A read of at most `chunks_max` chunks and `bytes_max` bytes, the first chunk apart.
    pub(super) const fn new(expected: Expected, chunks_max: u32, bytes_max: u32) -> Self {
        Self { expected, chunks_left: chunks_max, bytes_max: bytes_max as u64, bytes: 0, chunks: Vec::new() }
    }

    /// Which chunk has to come next.
    pub(super) const fn expected(&self) -> Expected {
        self.expected
    }

    /// Takes a verified chunk. Refuses more than was asked for: what a read holds in memory is bounded.
    pub(super) fn push(&mut self, chunk: Chunk) -> Result<(), String> {
        self.bytes += chunk.payload.len() as u64;
        if self.chunks_left == 0 || (self.bytes > self.bytes_max && !self.chunks.is_empty()) {
            return Err(format!("it sent more chunks or bytes than were asked for, {} bytes so far", self.bytes));
        }
        self.chunks_left -= 1;
        self.expected.seq = self.expected.seq.next();
        self.chunks.push(chunk);
        Ok(())
    }

    /// The whole answer, once the node says that the read ends at `next`.
    pub(super) fn finish(self, next: ChunkSeq, answer: Answer) -> Result<ReadAnswer, String> {
        if next != self.expected.seq {
            return Err(format!("a read ended at seq {next}, but chunks came up to {}", self.expected.seq));
        }
        Ok(ReadAnswer { chunks: self.chunks, next, answer })
    }
}
