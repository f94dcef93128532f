//! Reads: chunks in seq order, a few fetched ahead.

use super::key::SlotName;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::requests::{Next, RequestNo, Work};
use super::slot::SlotContent;
use super::{Bucket, BucketEffect};
use crate::ids::{ChunkSeq, SegmentId};
use crate::limits::{BUCKET_READ_AHEAD_CHUNKS_MAX, READ_BYTES_MAX, READ_CHUNKS_MAX};
use crate::message::{Answer, Refusal, Reply};
use crate::replica::Ticket;
use alloc::collections::BTreeMap;
use bytes::Bytes;

/// A read.
#[derive(Debug)]
pub(super) struct Reading {
    segment: SegmentId,
    /// The next chunk to pass on.
    next: ChunkSeq,
    /// The next slot to fetch.
    ahead: ChunkSeq,
    /// One past the last chunk wanted.
    to: ChunkSeq,
    bytes_left: u64,
    /// Whether a chunk was passed on: the first one is, whatever its size.
    begun: bool,
    /// Fetched, and not passed on.
    fetched: BTreeMap<ChunkSeq, (SlotContent, Bytes)>,
}

impl Bucket {
    pub(super) fn begin_read(
        &mut self,
        number: RequestNo,
        to: Ticket,
        segment: SegmentId,
        from: ChunkSeq,
        (chunks_max, bytes_max): (u32, u32),
    ) -> Result<(Work, Next), Refusal> {
        if !(1..=READ_CHUNKS_MAX).contains(&chunks_max) || !(1..=READ_BYTES_MAX).contains(&bytes_max) {
            let why = alloc::format!(
                "a read of {chunks_max} chunks, {bytes_max} bytes: 1 to {READ_CHUNKS_MAX}, {READ_BYTES_MAX}"
            );
            return Err(Refusal::BadRequest { why });
        }
        self.check_not_deleted()?;
        let mut reading = Reading {
            segment,
            next: from,
            ahead: from,
            to: from.plus(u64::from(chunks_max)),
            bytes_left: u64::from(bytes_max),
            begun: false,
            fetched: BTreeMap::new(),
        };
        let next = self.go_on_reading(number, to, &mut reading);
        Ok((Work::Read(reading), next))
    }

    pub(super) fn read_found(
        &mut self,
        number: RequestNo,
        to: Ticket,
        reading: &mut Reading,
        seq: ChunkSeq,
        finding: Finding,
    ) -> Next {
        let found = match finding {
            Finding::Slot(content, payload) => (content, payload),
            Finding::Failed(why) => (SlotContent::Damaged(why), Bytes::new()),
            other => unreachable!("a slot was fetched, got {other:?}"),
        };
        reading.fetched.insert(seq, found);
        self.go_on_reading(number, to, reading)
    }

    fn go_on_reading(&mut self, number: RequestNo, to: Ticket, reading: &mut Reading) -> Next {
        while reading.next < reading.to {
            // A floor that came meanwhile: the chunk may be gone, and is not needed.
            if reading.next < self.known.floor {
                return end(reading.next, Answer::Trimmed);
            }
            let Some((content, payload)) = reading.fetched.remove(&reading.next) else {
                self.fetch_ahead(number, reading);
                return Next::Wait;
            };
            match content {
                SlotContent::Chunk(header) => {
                    let length = u64::from(header.length);
                    if reading.begun && length > reading.bytes_left {
                        return end(reading.next, Answer::Have);
                    }
                    reading.bytes_left = reading.bytes_left.saturating_sub(length);
                    (reading.begun, reading.next) = (true, reading.next.next());
                    self.effects.push_back(BucketEffect::Chunk { to, header, payload });
                    if reading.bytes_left == 0 {
                        return end(reading.next, Answer::Have);
                    }
                }
                SlotContent::Marker(_) => return end(reading.next, Answer::Never),
                // Nobody keeps an empty slot empty.
                SlotContent::Empty | SlotContent::Damaged(_) => return end(reading.next, Answer::Unknown),
            }
        }
        end(reading.next, Answer::Have)
    }

    fn fetch_ahead(&mut self, number: RequestNo, reading: &mut Reading) {
        let to = reading.to.min(reading.next.plus(BUCKET_READ_AHEAD_CHUNKS_MAX as u64));
        while reading.ahead < to {
            let slot = SlotName { log: self.log, segment: reading.segment, seq: reading.ahead };
            self.pool.ask(Owner::Request(number, 0, reading.ahead), Question::Fetch { slot });
            reading.ahead = reading.ahead.next();
        }
    }
}

/// Chunks and markers say for themselves what they are, and nothing else here counts for anything: no last look is needed.
fn end(next: ChunkSeq, answer: Answer) -> Next {
    Next::Answer(Reply::ReadEnd { next, answer })
}
