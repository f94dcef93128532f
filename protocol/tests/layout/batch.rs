//! Batches: what one aligned write holds.

use crate::record::golden_records;
use crate::samples::{PAYLOAD, chunk, disk, flipped, hex};
use proptest::prelude::*;
use quarry_protocol::batch::{BatchError, BatchHeader, BatchKind, Entry, decode_entry, encode_control, padded};
use quarry_protocol::chunk::ChunkError;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{BATCH_BYTES_MAX, BATCH_HEADER_BYTES, BLOCK_BYTES, RECORD_BYTES};
use quarry_protocol::snapshot::Record;

const DATA: &str = "51424154 0100 01 00 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 0c000000 02000000 2200000000000000 0020000000000000 \
    3800000000000000 3500000000000000 50010000 1f63bb13 00000000 01000000 \
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 47ed24ef";
const INDEX: &str = "51424154 0100 03 00 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 0c000000 01000000 2200000000000000 0010000000000000 \
    3900000000000000 3800000000000000 c0000000 e7dd85b0 01000000 03000000 \
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 342cf1ff";
const CONTROL: &str = "5143544c 0100 02 00 0100000000000000 101112131415161718191a1b1c1d1e1f 0900000000000000 e803000000000000 \
    0000000000000000 0800000000000000 0000000000000000 0000000000000000000000000000000000000000 f23effd4";

fn record(tag: u8) -> Record {
    golden_records()[usize::from(tag) - 1].0
}

/// One chunk and one control entry.
fn data() -> (BatchHeader, Vec<u8>) {
    let (chunk, control) = (chunk().encode(), encode_control(&record(1)));
    let heads_crc = crc32c::crc32c(&[&chunk[..92], &control[..92]].concat());
    let used = (BATCH_HEADER_BYTES + chunk.len() + PAYLOAD.len() + control.len()) as u32;
    let header = BatchHeader {
        kind: BatchKind::Data,
        disk: disk(),
        file: 12,
        incarnation: 34,
        position: 8192,
        number: 56,
        confirmed: 53,
        entries: 2,
        used,
        heads_crc,
        part: 0,
        parts: 1,
    };
    let mut bytes = [header.encode().as_slice(), &chunk, PAYLOAD, &control].concat();
    bytes.resize(padded(used) as usize, 0);
    (header, bytes)
}

fn index() -> (BatchHeader, Vec<u8>) {
    let body = record(5).encode();
    let header = BatchHeader {
        kind: BatchKind::Index,
        position: 4096,
        number: 57,
        confirmed: 56,
        entries: 1,
        used: (BATCH_HEADER_BYTES + RECORD_BYTES) as u32,
        heads_crc: crc32c::crc32c(&body),
        part: 1,
        parts: 3,
        ..data().0
    };
    let mut bytes = [header.encode().as_slice(), &body].concat();
    bytes.resize(padded(header.used) as usize, 0);
    (header, bytes)
}

fn entries(header: &BatchHeader, bytes: &[u8]) -> Result<Vec<(u32, Entry)>, BatchError> {
    let mut entries = Vec::new();
    header.verify_data(bytes, |at, entry| entries.push((at, entry)))?;
    Ok(entries)
}

fn records(header: &BatchHeader, bytes: &[u8]) -> Result<Vec<Record>, BatchError> {
    let mut records = Vec::new();
    header.verify_records(bytes, |record| records.push(record))?;
    Ok(records)
}

fn verify(bytes: &[u8]) -> Result<(), BatchError> {
    let header = BatchHeader::decode(bytes)?;
    match header.kind {
        BatchKind::Data => entries(&header, bytes).map(|_| ()),
        _ => records(&header, bytes).map(|_| ()),
    }
}

/// Changes a header and makes its checksum right again.
fn forged(change: impl Fn(&mut [u8])) -> Result<BatchHeader, BatchError> {
    let mut bytes = hex(DATA);
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    BatchHeader::decode(&bytes)
}

#[test]
fn golden() {
    for ((header, bytes), golden) in [(data(), DATA), (index(), INDEX)] {
        assert_eq!(bytes[..BATCH_HEADER_BYTES], hex(golden));
        assert_eq!(BatchHeader::decode(&bytes), Ok(header));
        assert_eq!(bytes.len(), header.disk_bytes() as usize);
    }
    assert_eq!(encode_control(&record(1)).as_slice(), hex(CONTROL));
    let (header, bytes) = data();
    let expected = vec![(128, Entry::Chunk(chunk())), (128 + 96 + 16, Entry::Control(record(1)))];
    assert_eq!(entries(&header, &bytes), Ok(expected));
    let (header, bytes) = index();
    assert_eq!(records(&header, &bytes), Ok(vec![record(5)]));
}

/// D4: a flipped bit anywhere but in a payload is found by the batch, padding included; in a payload, by its chunk.
#[test]
fn every_flipped_bit_is_found() {
    let payload = BATCH_HEADER_BYTES + 96..BATCH_HEADER_BYTES + 96 + PAYLOAD.len();
    for (_, bytes) in [data(), index()] {
        let is_data = BatchHeader::decode(&bytes).expect("whole").kind == BatchKind::Data;
        for (bit, flipped) in flipped(&bytes) {
            if is_data && payload.contains(&(bit / 8)) {
                assert_eq!(verify(&flipped), Ok(()), "the batch does not cover payloads");
                assert!(chunk().verify_payload(&flipped[payload.clone()]).is_err(), "bit {bit}");
            } else {
                assert!(verify(&flipped).is_err(), "bit {bit}");
            }
        }
    }
}

/// A torn write: any prefix of sectors is the new batch, the rest is what was there before, zeros or another batch.
#[test]
fn every_truncation_is_found() {
    for (_, bytes) in [data(), index()] {
        for got in 0..bytes.len() {
            assert!(matches!(verify(&bytes[..got]), Err(BatchError::Short { .. })), "{got} bytes");
        }
    }
}

/// Pitfall 26: an old chunk inside a torn batch verifies by itself; the batch's checksum over its heads tells it apart.
#[test]
fn an_old_chunk_at_the_right_place_is_not_taken() {
    let (header, mut bytes) = data();
    let mut old = chunk();
    old.seq = old.seq.next();
    bytes[BATCH_HEADER_BYTES..BATCH_HEADER_BYTES + 96].copy_from_slice(&old.encode());
    assert!(matches!(entries(&header, &bytes), Err(BatchError::HeadsChecksum { .. })));
}

#[test]
fn sizes_that_do_not_fit_are_refused_before_anything_is_read() {
    let bounds = |result: Result<BatchHeader, BatchError>| matches!(result, Err(BatchError::Bounds { .. }));
    let put = |at: usize, value: u64, width: usize| {
        forged(move |b| b[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]))
    };
    assert!(bounds(put(28, 1025, 4)), "entries");
    assert!(bounds(put(64, u64::from(BATCH_BYTES_MAX) + 1, 4)) && bounds(put(64, 127, 4)), "used");
    assert!(bounds(put(72, 1, 4)) && bounds(put(76, 0, 4)), "part 1 of 1, no parts");
    assert!(bounds(put(56, 56, 8)), "it cannot confirm itself");
    assert_eq!(put(4, 2, 2), Err(BatchError::Version { got: 2 }));
    for kind in [0, 5, 255] {
        assert_eq!(put(6, kind, 1), Err(BatchError::NotABatch));
    }
    for zero in [7].into_iter().chain(80..124) {
        assert_eq!(put(zero, 1, 1), Err(BatchError::NotABatch), "byte {zero}");
    }
    // A count of records that does not match the size.
    let (header, mut bytes) = index();
    bytes[..BATCH_HEADER_BYTES].copy_from_slice(&BatchHeader { entries: 2, ..header }.encode());
    assert!(bounds(BatchHeader::decode(&bytes)));
    // A count of entries that does not match what lies there.
    for entries_said in [0, 1, 3] {
        let (header, bytes) = data();
        let header = BatchHeader { entries: entries_said, ..header };
        assert!(entries(&header, &bytes).is_err(), "{entries_said} entries");
    }
}

/// A quiet shard's bare mark: a batch without entries.
#[test]
fn a_bare_mark_is_a_batch() {
    let header = BatchHeader { entries: 0, used: 128, heads_crc: 0, ..data().0 };
    let mut bytes = header.encode().to_vec();
    bytes.resize(BLOCK_BYTES as usize, 0);
    assert_eq!(verify(&bytes), Ok(()));
    assert_eq!(padded(1), BLOCK_BYTES);
    assert_eq!(padded(BLOCK_BYTES), BLOCK_BYTES);
    assert_eq!(padded(BLOCK_BYTES + 1), 2 * BLOCK_BYTES);
}

#[test]
fn a_control_entry_is_told_from_a_chunk() {
    assert_eq!(decode_entry(&hex(CONTROL)), Ok(Entry::Control(record(1))));
    assert_eq!(decode_entry(&chunk().encode()), Ok(Entry::Chunk(chunk())));
    for (bit, bytes) in flipped(&hex(CONTROL)) {
        assert!(decode_entry(&bytes).is_err(), "bit {bit}");
    }
    assert_eq!(decode_entry(&hex(CONTROL)[..95]), Err(ChunkError::Short { got: 95 }));
    assert!(decode_entry(&[0; 96]).is_err(), "pitfall 23: zeros are not an entry");
}

proptest! {
    #[test]
    fn every_header_comes_back(
        disk in any::<[u8; 16]>(),
        (file, incarnation, position) in any::<(u32, u64, u64)>(),
        (number, marked) in (1..u64::MAX, any::<u64>()),
        entries in 0..1024_u32,
        used in 128..=BATCH_BYTES_MAX,
    ) {
        let kind = BatchKind::Data;
        let (confirmed, disk) = (marked % number, DiskId(disk));
        let header = BatchHeader { kind, disk, file, incarnation, position, number, confirmed, entries, used, ..data().0 };
        prop_assert_eq!(BatchHeader::decode(&header.encode()), Ok(header));
    }

    /// Whatever lies behind a valid header: an error, never a panic, never an entry beyond the batch.
    #[test]
    fn random_entries_are_refused(body in prop::collection::vec(any::<u8>(), 4096), entries_said in 0..8_u32, used in 128..4096_u32) {
        let header = BatchHeader { entries: entries_said, used, ..data().0 };
        let mut bytes = header.encode().to_vec();
        bytes.extend(body);
        prop_assert!(entries(&header, &bytes).is_err());
        prop_assert!(BatchHeader::decode(&bytes[128..]).is_err());
    }
}
