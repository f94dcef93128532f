//! How much of a file its index, its closing snapshot and its footer will take: the room that is never given to
//! anything else, so that a file can always be closed (D5).

use quarry_protocol::batch::padded;
use quarry_protocol::limits::{
    BATCH_HEADER_BYTES, BLOCK_BYTES, CHUNK_HEADER_BYTES, CHUNK_PAYLOAD_BYTES_MAX, FILE_BYTES_MIN, RECORD_BYTES,
    RECORDS_PART_BYTES_MAX,
};

/// Records of a full part.
pub(super) const RECORDS_PER_PART: usize = RECORDS_PART_BYTES_MAX as usize / RECORD_BYTES;

/// How many batches `records` take.
pub(super) const fn parts(records: usize) -> usize {
    records.div_ceil(RECORDS_PER_PART)
}

/// Bytes of a batch of `records`, which are at most a part, on disk.
const fn part_bytes(records: usize) -> u64 {
    padded((BATCH_HEADER_BYTES + records * RECORD_BYTES) as u32) as u64
}

/// Bytes that `records` take on disk, cut into parts.
pub(super) const fn records_bytes(records: usize) -> u64 {
    let whole = (records / RECORDS_PER_PART) as u64 * part_bytes(RECORDS_PER_PART);
    match records % RECORDS_PER_PART {
        0 => whole,
        rest => whole + part_bytes(rest),
    }
}

/// Bytes that have to stay free behind the last data batch of a file with `chunks` chunks, if a snapshot has
/// `records` records.
pub(super) const fn closing_bytes(chunks: usize, records: usize) -> u64 {
    records_bytes(chunks) + records_bytes(records) + BLOCK_BYTES as u64
}

/// Bytes of the largest chunk's batch on disk.
pub(super) const CHUNK_BATCH_BYTES_MAX: u64 =
    padded((BATCH_HEADER_BYTES + CHUNK_HEADER_BYTES) as u32 + CHUNK_PAYLOAD_BYTES_MAX) as u64;

/// Live bytes that a file can hold for certain, whatever the sizes of its chunks, if a snapshot has `records` records.
pub(super) const fn usable_bytes(file_bytes: u64, records: usize) -> u64 {
    file_bytes.saturating_sub(2 * records_bytes(records) + BLOCK_BYTES as u64 + CHUNK_BATCH_BYTES_MAX)
}

/// What a chunk with this many payload bytes costs: its bytes, and its record in the file's index.
pub(super) const fn cost(payload_bytes: u32) -> u64 {
    CHUNK_HEADER_BYTES as u64 + payload_bytes as u64 + RECORD_BYTES as u64
}

const _: () = {
    // Any chunk fits in a fresh file between the two largest snapshots, with its index: a roll always ends.
    assert!(2 * (FILE_BYTES_MIN / 4) + CHUNK_BATCH_BYTES_MAX + closing_bytes(1, 0) <= FILE_BYTES_MIN);
    assert!(RECORDS_PART_BYTES_MAX.is_multiple_of(RECORD_BYTES as u32));
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_and_padded_exactly() {
        assert_eq!((parts(0), records_bytes(0)), (0, 0));
        assert_eq!((parts(1), records_bytes(1)), (1, 4096));
        // 62 records and the header fill a block to the byte.
        assert_eq!((records_bytes(62), records_bytes(63)), (4096, 8192));
        assert_eq!((parts(4096), records_bytes(4096)), (1, (256 << 10) + 4096));
        assert_eq!((parts(4097), records_bytes(4097)), (2, (256 << 10) + 8192));
        assert_eq!(closing_bytes(1, 1), 3 * 4096);
    }
}
