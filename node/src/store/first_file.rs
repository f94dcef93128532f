//! What `format` writes to a shard's first chunk file: an opening snapshot of nothing but the shard's identity.
//!
//! So a formatted shard always holds a snapshot, and a directory without one has lost it: a shard whose files were all
//! taken away must not be mistaken for a new one (pitfall 33).

use quarry_protocol::batch::{BatchHeader, BatchKind, padded};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{BATCH_HEADER_BYTES, RECORD_BYTES};
use quarry_protocol::snapshot::{IdentityRecord, Record};

/// Number of the first chunk file.
pub const FIRST_FILE: u32 = 0;

/// The bytes at position 0 of the first chunk file of the shard whose disk is `disk`: whole blocks.
#[must_use]
pub fn first_batch(disk: DiskId) -> Vec<u8> {
    let record = Record::Identity(IdentityRecord { disk, since: 1, retired: false }).encode();
    let used = (BATCH_HEADER_BYTES + RECORD_BYTES) as u32;
    let header = BatchHeader {
        kind: BatchKind::Snapshot,
        disk,
        file: FIRST_FILE,
        incarnation: 1,
        position: 0,
        number: 1,
        confirmed: 0,
        entries: 1,
        used,
        heads_crc: crc32c::crc32c(&record),
        part: 0,
        parts: 1,
    };
    let mut bytes = [&header.encode()[..], &record[..]].concat();
    bytes.resize(padded(used) as usize, 0);
    bytes
}
