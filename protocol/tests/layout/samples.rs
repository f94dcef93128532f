//! The values behind the golden vectors.

use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};

pub(crate) const PAYLOAD: &[u8] = b"a chunk of a log";

/// Bytes that count up from `first`: every byte of every field is different, so that a swap of any two shows.
fn counting(first: u8) -> [u8; 16] {
    std::array::from_fn(|i| first + i as u8)
}

pub(crate) fn log() -> LogId {
    LogId(counting(0x10))
}

pub(crate) fn disk() -> DiskId {
    DiskId(counting(0xa0))
}

pub(crate) const SEGMENT: SegmentId = SegmentId { epoch: Epoch(0x0102_0304_0506_0708), index: 0x1112_1314 };

pub(crate) fn chunk() -> ChunkHeader {
    let (seq, length, payload_crc) = (ChunkSeq(5), PAYLOAD.len() as u32, crc32c::crc32c(PAYLOAD));
    let digest = Digest::start(log(), SEGMENT, seq).chain(seq, length, payload_crc);
    ChunkHeader { log: log(), segment: SEGMENT, seq, watermark: seq, length, payload_crc, digest }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

/// What [`hex`] reads.
pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Every copy of `bytes` with one bit flipped.
pub(crate) fn flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        (bit, copy)
    })
}
