//! The 64-byte records of snapshots, indexes and control entries.

use crate::samples::{SEGMENT, chunk, disk, hex, log};
use proptest::prelude::*;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::limits::RECORD_BYTES;
use quarry_protocol::snapshot::{
    ChunkRecord, FileRecord, FooterRecord, IdentityRecord, LogRecord, LossRecord, Record, RecordError, ScrubRecord,
};

fn scrub() -> ScrubRecord {
    ScrubRecord {
        through: 5,
        until: 9,
        began_at_s: 0x5152_5354,
        verified_at_s: 0x6162_6364,
        ended_at_s: 0x7172_7374,
        damaged: 3,
        damaged_before: 4,
    }
}

/// Every kind of record, and its bytes (zeros at the end left out).
pub(crate) fn golden_records() -> Vec<(Record, &'static str)> {
    let log = log();
    let (segment, payload_crc) = (SEGMENT, chunk().payload_crc);
    vec![
        (
            Record::Log(LogRecord {
                log,
                fence: Epoch(9),
                floor: ChunkSeq(1000),
                deleted: Epoch(0),
                word: RecordNumber(8),
            }),
            "0100000000000000 101112131415161718191a1b1c1d1e1f 0900000000000000 e803000000000000 0000000000000000 0800000000000000",
        ),
        (
            Record::Loss(LossRecord { log, segment, from: ChunkSeq(70), to: ChunkSeq(90) }),
            "0200000000000000 101112131415161718191a1b1c1d1e1f 0807060504030201 14131211 00000000 4600000000000000 5a00000000000000",
        ),
        (
            Record::File(FileRecord {
                number: 0x3132_3334,
                incarnation: 3,
                first: 100,
                last: 200,
                opened_at_s: 0x5152_5354,
                closed_at_s: 0x6162_6364,
                verified_at_s: 0x7172_7374,
            }),
            "0300000000000000 34333231 00000000 6463626100000000 6400000000000000 c800000000000000 0300000000000000 \
             5453525100000000 7473727100000000",
        ),
        (
            Record::Identity(IdentityRecord { disk: disk(), since: 77, retired: true }),
            "0400000000000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 4d00000000000000 01",
        ),
        (
            Record::Chunk(ChunkRecord {
                log,
                segment,
                seq: ChunkSeq(5),
                watermark: ChunkSeq(4),
                length: 16,
                payload_crc,
                position: 0x4142_4344,
            }),
            "0500000000000000 101112131415161718191a1b1c1d1e1f 0807060504030201 14131211 10000000 0500000000000000 \
             0400000000000000 44434241 0e12326d",
        ),
        (
            Record::Footer(FooterRecord {
                index_position: 0x1000,
                index_parts: 2,
                snapshot_position: 0x3000,
                snapshot_parts: 1,
            }),
            "0600000000000000 00100000 02000000 00300000 01000000",
        ),
        (
            Record::Scrub(scrub()),
            "0700000000000000 0500000000000000 0900000000000000 5453525100000000 6463626100000000 7473727100000000 \
             03000000 04000000",
        ),
    ]
}

#[test]
fn golden() {
    for (record, golden) in golden_records() {
        let mut bytes = hex(golden);
        bytes.resize(RECORD_BYTES, 0);
        assert_eq!(record.encode().as_slice(), bytes, "{record:?}");
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn an_unknown_tag_is_refused() {
    for tag in (0..=255).filter(|tag| !(1..=7).contains(tag)) {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0] = tag;
        assert_eq!(Record::decode(&bytes), Err(RecordError { tag }));
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    (1..=7_u8, any::<[u8; 16]>(), any::<[u64; 6]>(), any::<[u32; 4]>(), any::<bool>()).prop_map(
        |(kind, id, [a, b, c, d, i, j], [e, f, g, h], retired)| {
            let (log, segment) = (LogId(id), SegmentId { epoch: Epoch(a), index: e });
            match kind {
                1 => Record::Log(LogRecord {
                    log,
                    fence: Epoch(a),
                    floor: ChunkSeq(b),
                    deleted: Epoch(c),
                    word: RecordNumber(d),
                }),
                2 => Record::Loss(LossRecord { log, segment, from: ChunkSeq(b), to: ChunkSeq(c) }),
                3 => Record::File(FileRecord {
                    number: e,
                    incarnation: a,
                    first: b,
                    last: c,
                    opened_at_s: d,
                    closed_at_s: i,
                    verified_at_s: j,
                }),
                4 => Record::Identity(IdentityRecord { disk: DiskId(id), since: a, retired }),
                5 => Record::Chunk(ChunkRecord {
                    log,
                    segment,
                    seq: ChunkSeq(b),
                    watermark: ChunkSeq(c),
                    length: f,
                    payload_crc: g,
                    position: h,
                }),
                6 => Record::Scrub(ScrubRecord {
                    through: a,
                    until: b,
                    began_at_s: c,
                    verified_at_s: d,
                    ended_at_s: i,
                    damaged: e,
                    damaged_before: f,
                }),
                _ => Record::Footer(FooterRecord {
                    index_position: e,
                    index_parts: f,
                    snapshot_position: g,
                    snapshot_parts: h,
                }),
            }
        },
    )
}

proptest! {
    #[test]
    fn every_record_comes_back(record in any_record()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    /// Pitfall 8, P12: records of one log merge by maximum, in any order, any number of times.
    #[test]
    fn log_records_merge_in_any_order(numbers in prop::collection::vec(any::<[u64; 4]>(), 1..6), rotate in 0..6_usize) {
        let record = |[fence, floor, deleted, word]: [u64; 4]| LogRecord {
            log: log(),
            fence: Epoch(fence),
            floor: ChunkSeq(floor),
            deleted: Epoch(deleted),
            word: RecordNumber(word),
        };
        let merged = |order: &[[u64; 4]]| {
            order.iter().copied().map(record).reduce(|mut all, next| { all.merge(&next); all })
        };
        let mut other = numbers.clone();
        other.rotate_left(rotate % numbers.len());
        other.extend(&numbers);
        prop_assert_eq!(merged(&numbers), merged(&other));
    }
}
