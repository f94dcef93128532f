//! What is left after a restart. [`replay`] is the plainest replay there can be: it merges what was stored.

use super::*;
use crate::replica::{RestoredSegment, ToStore};
use crate::snapshot::{LogRecord, Record};
use alloc::collections::BTreeMap;

/// The logs that a replay finds when exactly `stored` has survived.
pub(super) fn replay(stored: &[ToStore]) -> Vec<RestoredLog> {
    let mut logs: BTreeMap<LogId, (LogRecord, BTreeMap<SegmentId, RestoredSegment>)> = BTreeMap::new();
    for what in stored {
        let log = match what {
            ToStore::Chunk { header, .. } => header.log,
            ToStore::Control(Record::Log(record)) => record.log,
            ToStore::Control(Record::Loss(lost)) => lost.log,
            ToStore::Control(record) => panic!("a replica never stores {record:?}"),
        };
        let (record, segments) =
            logs.entry(log).or_insert_with(|| (LogRecord { log, ..LogRecord::default() }, BTreeMap::new()));
        match what {
            ToStore::Chunk { header, .. } => {
                let segment = found(segments, header.segment);
                segment.held.insert(header.seq, header.seq.next());
                segment.watermark = segment.watermark.max(header.watermark);
            }
            ToStore::Control(Record::Log(other)) => record.merge(other),
            ToStore::Control(Record::Loss(lost)) => found(segments, lost.segment).lost.insert(lost.from, lost.to),
            ToStore::Control(_) => {}
        }
    }
    logs.into_values()
        .map(|(record, segments)| RestoredLog { record, segments: segments.into_values().collect() })
        .collect()
}

fn found(segments: &mut BTreeMap<SegmentId, RestoredSegment>, segment: SegmentId) -> &mut RestoredSegment {
    segments.entry(segment).or_insert_with(|| RestoredSegment { segment, ..RestoredSegment::default() })
}

/// P3: a chunk is the durable word of its epoch; nothing else was stored for it.
#[test]
fn the_epochs_of_chunks_are_merged_into_the_fence() {
    let chunk = ToStore::Chunk { header: header(5, 0), slot: Slot(0) };
    let mut driven = Driven::restored(replay(&[chunk]));
    assert_eq!(refusal(&driven.put(4, 0)), Refusal::Fenced { by: Epoch(5) });
    assert_eq!(driven.freeze(5, 4, 0, 1), Reply::Frozen { runs: [run(0, 1, Answer::Never)].to_vec() });
}

/// D5: fences, floors and deletions come back merged by maximum, whatever the order of what is found.
#[test]
fn small_state_merges_in_any_order() {
    let record = |fence, floor, word| LogRecord {
        log: LOG,
        fence: Epoch(fence),
        floor: ChunkSeq(floor),
        deleted: Epoch(0),
        word: RecordNumber(word),
    };
    let logs = [record(3, 1, 9), record(2, 7, 1)];
    for logs in [logs, [logs[1], logs[0]]] {
        let restored = logs.map(|record| RestoredLog { record, segments: Vec::new() }).to_vec();
        let driven = Driven::restored(restored);
        assert_eq!(driven.replica.log_records().next(), Some(record(3, 7, 9)));
    }
}

/// Pitfall 11: chunks of a deleted log that are still in some file do not bring it back.
#[test]
fn chunks_of_a_deleted_log_stay_dead() {
    let deleted = LogRecord { log: LOG, deleted: Epoch(2), ..LogRecord::default() };
    let chunk = ToStore::Chunk { header: header(1, 0), slot: Slot(0) };
    let mut driven = Driven::restored(replay(&[chunk, ToStore::Control(Record::Log(deleted))]));
    assert_eq!(refusal(&driven.put(1, 0)), Refusal::Fenced { by: Epoch(2) });
    assert_eq!(refusal(&driven.put(3, 0)), Refusal::LogDeleted { log: LOG, at: Epoch(2) });
    assert_eq!(driven.freeze(3, 1, 0, 1), Reply::Frozen { runs: [run(0, 1, Answer::Unknown)].to_vec() });
}

/// Pitfall 20a: chunks below the floor that are still in some file are trimmed, not held.
#[test]
fn chunks_below_the_floor_stay_trimmed() {
    let floor = LogRecord { log: LOG, fence: Epoch(2), floor: ChunkSeq(2), ..LogRecord::default() };
    let chunk = |seq| ToStore::Chunk { header: header(1, seq), slot: Slot(0) };
    let mut driven = Driven::restored(replay(&[chunk(0), ToStore::Control(Record::Log(floor)), chunk(3)]));
    let runs = [run(0, 2, Answer::Trimmed), run(2, 3, Answer::Never), run(3, 4, Answer::Have)].to_vec();
    assert_eq!(driven.freeze(2, 1, 0, 4), Reply::Frozen { runs });
}
