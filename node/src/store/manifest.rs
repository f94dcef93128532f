//! The manifest: which chunk files of a shard were ever made, in one small file beside them (`shard-NN/manifest`).
//!
//! Without it a missing chunk file that no snapshot lists yet, because it is the newest, would look like one that never
//! was, and the node would answer *never* for what it held (pitfall 33). A file enters the manifest once it is full of
//! zeros, synced and named, and before anything is written to it. It is replaced as a whole: written under another
//! name, synced, renamed, directory synced. A manifest that is missing or damaged is made again from what is there.
//!
//! ```text
//!  0  magic "QUARRYMF"  8    12  zero     4    32  bit n of byte n / 8: chunk file n was made
//!  8  version           4    16  disk id 16  4092  crc of the 4092 bytes before
//! ```

use super::superblock::FORMAT_VERSION;
use quarry_protocol::bytesio::{array, put, u32_at};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{BLOCK_BYTES, FILES_PER_SHARD_MAX};
use std::collections::BTreeSet;

/// Size of a manifest, in bytes.
pub const MANIFEST_BYTES: usize = BLOCK_BYTES as usize;
const MAGIC: [u8; 8] = *b"QUARRYMF";
const BITS_AT: usize = 32;
const CRC_AT: usize = MANIFEST_BYTES - 4;
/// One past the largest file number that has a bit.
const NUMBERS: u32 = 8 * (CRC_AT - BITS_AT) as u32;
const _: () = assert!(NUMBERS as usize > FILES_PER_SHARD_MAX);

/// The manifest of a shard's files.
///
/// # Panics
/// If a number is beyond the most files that a shard may have.
#[must_use]
pub fn encode(disk: DiskId, files: &BTreeSet<u32>) -> Vec<u8> {
    let mut bytes = vec![0; MANIFEST_BYTES];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, 8, &FORMAT_VERSION.to_le_bytes());
    put(&mut bytes, 16, &disk.0);
    for &number in files {
        assert!(number < NUMBERS, "chunk file {number} of at most {NUMBERS}");
        bytes[BITS_AT + number as usize / 8] |= 1 << (number % 8);
    }
    let crc = crc32c::crc32c(&bytes[..CRC_AT]);
    put(&mut bytes, CRC_AT, &crc.to_le_bytes());
    bytes
}

/// The files in a manifest; none if it is not a manifest of this disk, or damaged.
#[must_use]
pub fn decode(disk: DiskId, bytes: &[u8]) -> Option<BTreeSet<u32>> {
    let whole = bytes.len() == MANIFEST_BYTES && bytes[..8] == MAGIC && u32_at(bytes, 8) == FORMAT_VERSION;
    if !whole || crc32c::crc32c(&bytes[..CRC_AT]) != u32_at(bytes, CRC_AT) || DiskId(array(bytes, 16)) != disk {
        return None;
    }
    let made = |number: &u32| bytes[BITS_AT + *number as usize / 8] & (1 << (number % 8)) != 0;
    Some((0..NUMBERS).filter(made).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_any_flipped_bit_is_noticed() {
        let (disk, files) = (DiskId([3; 16]), BTreeSet::from([0, 1, 9, FILES_PER_SHARD_MAX as u32]));
        let good = encode(disk, &files);
        assert_eq!(decode(disk, &good), Some(files));
        assert_eq!(decode(DiskId([4; 16]), &good), None, "another disk's");
        assert_eq!(decode(disk, &good[1..]), None, "cut short");
        for byte in 0..good.len() {
            let mut bytes = good.clone();
            bytes[byte] ^= 1 << (byte % 8);
            assert_eq!(decode(disk, &bytes), None, "byte {byte}");
        }
    }
}
