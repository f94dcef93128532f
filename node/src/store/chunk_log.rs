//! What the index of the open file will say: one compact entry per chunk placed so far, in parts as they will be
//! written. Half the size of the records, since a file of small chunks has hundreds of thousands of them.

use super::room::RECORDS_PER_PART;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::snapshot::{ChunkRecord, Record};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Entry {
    seq: u64,
    /// The watermark lies at most a window above or below the seq; kept whole, hostile headers included.
    watermark: u64,
    /// Which of `segments`.
    segment: u32,
    position: u32,
    length: u32,
    payload_crc: u32,
}

const _: () = assert!(size_of::<Entry>() == 32);

/// The chunks of the open file.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkLog {
    segments: Vec<(LogId, SegmentId)>,
    numbers: BTreeMap<(LogId, SegmentId), u32>,
    parts: Vec<Vec<Entry>>,
    chunks: usize,
}

impl ChunkLog {
    /// How many chunks.
    pub(super) fn len(&self) -> usize {
        self.chunks
    }

    pub(super) fn push(&mut self, header: &ChunkHeader, position: u32) {
        let segments = &mut self.segments;
        let segment = *self.numbers.entry((header.log, header.segment)).or_insert_with(|| {
            segments.push((header.log, header.segment));
            segments.len() as u32 - 1
        });
        if self.chunks.is_multiple_of(RECORDS_PER_PART) {
            self.parts.push(Vec::with_capacity(if self.chunks == 0 { 64 } else { RECORDS_PER_PART }));
        }
        self.chunks += 1;
        let part = self.parts.last_mut().expect("a part was opened for the first chunk");
        part.push(Entry {
            seq: header.seq.0,
            watermark: header.watermark.0,
            segment,
            position,
            length: header.length,
            payload_crc: header.payload_crc,
        });
    }

    /// The records of part `part`; its entries are not needed after that.
    pub(super) fn take_part(&mut self, part: usize) -> Vec<Record> {
        let entries = std::mem::take(&mut self.parts[part]);
        let record = |entry: Entry| {
            let (log, segment) = self.segments[entry.segment as usize];
            Record::Chunk(ChunkRecord {
                log,
                segment,
                seq: ChunkSeq(entry.seq),
                watermark: ChunkSeq(entry.watermark),
                length: entry.length,
                payload_crc: entry.payload_crc,
                position: entry.position,
            })
        };
        entries.into_iter().map(record).collect()
    }
}
