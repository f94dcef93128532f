//! The chunk header.

use crate::samples::{PAYLOAD, SEGMENT, chunk, flipped, hex, log};
use proptest::prelude::*;
use quarry_protocol::chunk::{ChunkError, ChunkHeader, check_length};
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, CHUNK_PAYLOAD_BYTES_MAX};

const GOLDEN: &str = "5143484b 0100 01 00 101112131415161718191a1b1c1d1e1f 0807060504030201 14131211 10000000 0500000000000000 \
    0500000000000000 222b7fa380e6ba8f7f4940e86b0844af 0e12326d 00000000000000000000000000000000 0b129805";

/// The golden header with some bytes changed and its checksum made right again.
fn forged(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = hex(GOLDEN);
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..92]);
    bytes[92..96].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn golden() {
    assert_eq!(chunk().encode().as_slice(), hex(GOLDEN));
    assert_eq!(ChunkHeader::decode(&hex(GOLDEN)), Ok(chunk()));
    assert_eq!(chunk().verify_payload(PAYLOAD), Ok(()));
    assert_eq!(chunk().stored_bytes(), 96 + 16);
    assert_eq!(Digest::start(log(), SEGMENT, ChunkSeq(5)).to_string(), "223c77bf5f29da56278225520b35853b");
}

#[test]
fn every_flipped_bit_is_found() {
    for (bit, bytes) in flipped(&hex(GOLDEN)) {
        assert!(ChunkHeader::decode(&bytes).is_err(), "bit {bit}");
    }
    for (bit, payload) in flipped(PAYLOAD) {
        assert!(matches!(chunk().verify_payload(&payload), Err(ChunkError::PayloadChecksum { .. })), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_found() {
    let bytes = hex(GOLDEN);
    for got in 0..CHUNK_HEADER_BYTES {
        assert_eq!(ChunkHeader::decode(&bytes[..got]), Err(ChunkError::Short { got }));
    }
    for got in (0..PAYLOAD.len()).chain([PAYLOAD.len() + 1]) {
        let payload = vec![0; got];
        assert_eq!(chunk().verify_payload(&payload), Err(ChunkError::PayloadLength { got, said: 16 }));
    }
}

/// Right checksums do not help what no writer would write: pitfall 23, zeros are not a frame; a chunk of no bytes or too
/// many; another version; bits set where zeros belong.
#[test]
fn a_right_checksum_alone_is_not_enough() {
    assert_eq!(ChunkHeader::decode(&[0; 96]), Err(ChunkError::NotAChunk));
    assert_eq!(ChunkHeader::decode(&forged(|b| b[4] = 2)), Err(ChunkError::Version { got: 2 }));
    for zero in [7].into_iter().chain(76..92) {
        assert_eq!(ChunkHeader::decode(&forged(|b| b[zero] = 1)), Err(ChunkError::NotAChunk), "byte {zero}");
    }
    assert_eq!(ChunkHeader::decode(&forged(|b| b[6] = 2)), Err(ChunkError::NotAChunk), "a control entry");
    for length in [0, CHUNK_PAYLOAD_BYTES_MAX + 1, u32::MAX] {
        let bytes = forged(|b| b[36..40].copy_from_slice(&length.to_le_bytes()));
        assert_eq!(ChunkHeader::decode(&bytes), Err(ChunkError::Length { got: u64::from(length) }));
    }
    let largest = forged(|b| b[36..40].copy_from_slice(&CHUNK_PAYLOAD_BYTES_MAX.to_le_bytes()));
    assert!(ChunkHeader::decode(&largest).is_ok());
    assert!(check_length(1).is_ok() && check_length(0).is_err());
}

proptest! {
    #[test]
    fn every_header_comes_back(
        (log, epoch, index, seq) in any::<([u8; 16], u64, u32, u64)>(),
        (watermark, payload_crc, digest) in any::<(u64, u32, [u8; 16])>(),
        length in 1..=CHUNK_PAYLOAD_BYTES_MAX,
    ) {
        let header = ChunkHeader {
            log: LogId(log),
            segment: SegmentId { epoch: Epoch(epoch), index },
            seq: ChunkSeq(seq),
            watermark: ChunkSeq(watermark),
            length,
            payload_crc,
            digest: Digest(digest),
        };
        prop_assert_eq!(ChunkHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn random_bytes_are_not_a_header(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(ChunkHeader::decode(&bytes).is_err());
    }

    /// The digest binds order, length, checksum, and where the chain began.
    #[test]
    fn any_change_changes_the_digest(seq in any::<u64>(), length in any::<u32>(), crc in any::<u32>(), by in 1..u32::MAX) {
        let start = Digest::start(log(), SEGMENT, ChunkSeq(0));
        let digest = start.chain(ChunkSeq(seq), length, crc);
        prop_assert_ne!(digest, start.chain(ChunkSeq(seq.wrapping_add(u64::from(by))), length, crc));
        prop_assert_ne!(digest, start.chain(ChunkSeq(seq), length.wrapping_add(by), crc));
        prop_assert_ne!(digest, start.chain(ChunkSeq(seq), length, crc.wrapping_add(by)));
        let elsewhere = Digest::start(log(), SEGMENT, ChunkSeq(u64::from(by)));
        prop_assert_ne!(digest, elsewhere.chain(ChunkSeq(seq), length, crc));
    }
}
