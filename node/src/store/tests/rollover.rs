//! D5: a file can always be closed, to the block; what closes it says what is in it.

use super::*;
use crate::store::{ChunkKey, Place, Replayed};
use quarry_protocol::batch::{BatchHeader, BatchKind};
use quarry_protocol::ids::{ChunkSeq, Epoch, SegmentId};
use quarry_protocol::limits::{BLOCK_BYTES, CHUNK_PAYLOAD_BYTES_MAX, FILE_BYTES_MIN};
use quarry_protocol::replica::RestoredLog;
use quarry_protocol::snapshot::{FileRecord, FooterRecord, LogRecord, LossRecord, Record};
use std::collections::BTreeMap;

/// The records of the `parts` batches from `position` on.
fn records(file: &[u8], position: u32, parts: u32, kind: BatchKind) -> (Vec<Record>, u32) {
    let (mut records, mut at) = (Vec::new(), position);
    for part in 0..parts {
        let bytes = &file[at as usize..];
        let header = BatchHeader::decode(bytes).expect("a batch header");
        assert_eq!((header.kind, header.part, header.parts, header.position), (kind, part, parts, u64::from(at)));
        header.verify_records(bytes, |record| records.push(record)).expect("records");
        at += header.disk_bytes();
    }
    (records, at)
}

/// Reads a closed file as a replay would, and hands back its chunks' places and how much of it was left unused.
fn closed(driver: &Driver, number: u32) -> (BTreeMap<u64, Place>, u64) {
    let file = &driver.files[&number];
    let (footer, _) = records(file, (file.len() as u32) - BLOCK_BYTES, 1, BatchKind::Footer);
    let [Record::Footer(footer)] = footer[..] else { panic!("a footer holds one record: {footer:?}") };
    let FooterRecord { index_position, index_parts, snapshot_position, snapshot_parts } = footer;
    let (index, at) = records(file, index_position, index_parts, BatchKind::Index);
    assert_eq!(at, snapshot_position);
    let (snapshot, end) = records(file, snapshot_position, snapshot_parts, BatchKind::Snapshot);
    assert!(snapshot.iter().any(|record| matches!(record, Record::File(file) if file.number == number)));
    let chunks = index.into_iter().map(|record| match record {
        Record::Chunk(chunk) => (chunk.seq.0, Place { file: number, position: chunk.position, length: chunk.length }),
        other => panic!("an index holds chunks only: {other:?}"),
    });
    (chunks.collect(), file.len() as u64 - u64::from(BLOCK_BYTES) - u64::from(end))
}

/// Fills the first file with chunks of `bytes`, `together` at a time, and checks what closed it.
fn fill(bytes: u32, together: u64) -> u64 {
    let mut driver = Driver::new(8);
    driver.settle();
    let first = driver.headers[0].file;
    let mut seq = 0;
    while driver.headers.last().expect("a batch").file == first {
        for _ in 0..together {
            driver.push_chunk(key(1, seq), bytes);
            seq += 1;
        }
        driver.run();
    }
    driver.finish();
    let (chunks, unused) = closed(&driver, first);
    assert!(!chunks.is_empty());
    for (seq, place) in &chunks {
        assert_eq!(driver.store.locate(&key(1, *seq)), Some(*place));
        driver.read_back(&key(1, *seq));
    }
    let in_first = (0..seq).filter(|seq| driver.store.locate(&key(1, *seq)).is_some_and(|place| place.file == first));
    assert_eq!(in_first.count(), chunks.len(), "the index of the file is not complete");
    unused
}

#[test]
fn a_file_full_of_one_byte_chunks() {
    // What is left is less than the batch that did not fit any more would have taken with its index.
    assert!(fill(1, 1024) < 256 << 10);
}

#[test]
fn a_file_full_of_single_small_batches_leaves_less_than_a_batch() {
    assert!(fill(1, 1) <= 2 * u64::from(BLOCK_BYTES));
}

#[test]
fn a_file_full_of_the_largest_chunks() {
    assert!(fill(CHUNK_PAYLOAD_BYTES_MAX, 1) < u64::from(CHUNK_PAYLOAD_BYTES_MAX) + (64 << 10));
}

#[test]
fn a_file_full_of_odd_chunks() {
    for bytes in [4000, 65_537, 1_000_003] {
        let _ = fill(bytes, 3);
    }
}

/// Every log that appears makes the closing snapshot larger: the room for it is kept as they come.
#[test]
fn room_is_kept_for_a_small_state_that_grows() {
    let mut driver = Driver::started(8);
    let first = driver.store.small_state().len();
    for number in 0..30_000_u64 {
        let mut id = key(0, number);
        id.log.0[..8].copy_from_slice(&number.to_le_bytes());
        id.log.0[15] = 1;
        driver.push_chunk(id, 1);
        if number % 7 == 0 {
            driver.run();
        }
    }
    driver.finish();
    assert_eq!(driver.store.small_state().iter().filter(|record| matches!(record, Record::Log(_))).count(), 30_000);
    assert!(first < 10 && driver.headers.iter().any(|header| header.kind == BatchKind::Footer));
}

#[test]
fn incarnations_are_never_used_twice() {
    let mut driver = Driver::started(6);
    for seq in 0..60 {
        driver.push_chunk(key(1, seq), 2 << 20);
        driver.run();
        if seq >= 2 {
            driver.trim(1, seq - 1);
        }
    }
    let mut opened: Vec<_> = driver.headers.iter().map(|header| (header.incarnation, header.file)).collect();
    opened.dedup();
    assert!(opened.len() > 8, "files were not recycled: {opened:?}");
    assert!(opened.windows(2).all(|pair| pair[0].0 < pair[1].0), "{opened:?}");
    driver.finish();
}

/// D5: a start appends to no old file, and its snapshot repeats what the replay found.
#[test]
fn a_start_opens_a_fresh_file_and_goes_on_counting() {
    let mut replayed = Replayed::fresh(super::driver::DISK);
    let live = Place { file: 3, position: 4096, length: 10 };
    replayed.index.insert(key(1, 7), live);
    let old =
        |number, last| FileRecord { number, incarnation: u64::from(number), first: 1, last, ..FileRecord::default() };
    replayed.files = vec![old(3, 40), old(4, 41)];
    replayed.free_files = vec![5];
    let segment = SegmentId { epoch: Epoch(6), index: 0 };
    let record = LogRecord { log: log(1), fence: Epoch(5), floor: ChunkSeq(7), ..LogRecord::default() };
    let restored = quarry_protocol::replica::RestoredSegment { segment, ..Default::default() };
    replayed.logs = vec![RestoredLog { record, segments: vec![restored] }];
    (replayed.next_batch, replayed.next_incarnation) = (42, 9);
    let mut driver = Driver::with(8, replayed);
    assert!(!driver.store.is_open());
    driver.settle();
    assert!(driver.store.is_open());
    let first = driver.headers[0];
    let found = (first.file, first.incarnation, first.number, first.confirmed, first.position);
    assert_eq!(found, (5, 9, 42, 41, 0));
    let state = driver.store.small_state();
    // File 4 holds nothing that lives, so it is not carried on.
    let listed = state.iter().filter_map(|record| match record {
        Record::File(file) => Some(file.number),
        _ => None,
    });
    assert_eq!(listed.collect::<Vec<_>>(), [3, 5]);
    assert!(state.contains(&Record::Log(LogRecord { fence: Epoch(6), ..record })));
    assert_eq!(driver.store.locate(&key(1, 7)), Some(live));
    assert_eq!(driver.files[&5].len() as u64, FILE_BYTES_MIN);
}

/// D6: a chunk that was put again after its loss was recorded is acknowledged, so no snapshot may go on calling it lost; a
/// loss that nobody repaired is carried on.
#[test]
fn a_chunk_put_again_after_its_loss_is_held_after_a_restart() {
    for again in [false, true] {
        let mut driver = Driver::started(8);
        for seq in 0..4 {
            driver.push_chunk(key(1, seq), 1000);
        }
        driver.run();
        let ChunkKey { log, segment, .. } = key(1, 0);
        let first = driver.store.locate(&key(1, 0)).expect("confirmed").file;
        let loss = LossRecord { log, segment, from: ChunkSeq(1), to: ChunkSeq(3) };
        driver.push_record(Record::Loss(loss));
        if again {
            driver.push_chunk(key(1, 1), 1000);
        }
        let mut next = 4;
        while driver.store.locate(&key(1, next - 1)).is_some_and(|place| place.file == first) {
            driver.push_chunk(key(1, next), 2 << 20);
            driver.run();
            next += 1;
        }
        driver.finish();
        let replayed = driver.replay();
        let left = LossRecord { from: ChunkSeq(if again { 2 } else { 1 }), ..loss };
        assert_eq!(replayed.losses, [left]);
        let restored = replayed.logs[0].segments[0].clone();
        let held = (0..next).filter(|seq| restored.held.contains(ChunkSeq(*seq)));
        let expected = (0..next).filter(|seq| *seq == 0 || *seq > 2 || (*seq == 1 && again));
        assert!(held.eq(expected), "{restored:?}");
    }
}
