//! The frame header.

use crate::samples::{chunk, disk, flipped, hex};
use proptest::prelude::*;
use quarry_protocol::frame::{FrameError, FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{FRAME_CHUNK_BODY_BYTES_MAX, FRAME_CONTROL_BODY_BYTES_MAX, FRAME_HEADER_BYTES};

const REPLY: &str = "51525259 0100 0180 2827262524232221 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 04000000 50c93f26 \
    0000000000000000000000000000000000000000 2d07ed6f";
const PUT: &str = "51525259 0100 0200 0700000000000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 70000000 00000000 \
    0000000000000000000000000000000000000000 1ee843d4";

fn reply() -> FrameHeader {
    FrameHeader::control(FrameKind::Reply, 0x2122_2324_2526_2728, disk(), b"body")
}

fn forged(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = hex(REPLY);
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn golden() {
    let put = FrameHeader::chunk(FrameKind::Put, 7, disk(), chunk().stored_bytes());
    for (header, golden) in [(reply(), REPLY), (put, PUT)] {
        assert_eq!(header.encode().as_slice(), hex(golden));
        assert_eq!(FrameHeader::decode(&hex(golden)), Ok(header));
    }
    assert_eq!(reply().verify_body(b"body"), Ok(()));
}

#[test]
fn every_flipped_bit_is_found() {
    for golden in [REPLY, PUT] {
        for (bit, bytes) in flipped(&hex(golden)) {
            assert!(FrameHeader::decode(&bytes).is_err(), "bit {bit}");
        }
    }
    for (bit, body) in flipped(b"body") {
        assert!(matches!(reply().verify_body(&body), Err(FrameError::BodyChecksum { .. })), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_found() {
    let bytes = hex(REPLY);
    for got in 0..FRAME_HEADER_BYTES {
        assert_eq!(FrameHeader::decode(&bytes[..got]), Err(FrameError::Short { got }));
    }
}

/// The message names what differs: another protocol, another version (whatever its checksum), an unknown kind.
#[test]
fn what_differs_is_named() {
    assert_eq!(
        FrameHeader::decode(b"GET / HTTP/1.1\r\nHost: www.example.org\r\nAccept: text/html,*/*\r\n\r\n."),
        Err(FrameError::NotAFrame)
    );
    let mut other_version = hex(REPLY);
    other_version[4] = 9;
    assert_eq!(FrameHeader::decode(&other_version), Err(FrameError::Version { got: 9 }));
    for kind in [0, 5, 0x8000, 0x8005, 0xffff_u16] {
        let bytes = forged(|b| b[6..8].copy_from_slice(&kind.to_le_bytes()));
        assert_eq!(FrameHeader::decode(&bytes), Err(FrameError::Kind { got: kind }));
    }
    for zero in 40..60 {
        assert_eq!(FrameHeader::decode(&forged(|b| b[zero] = 1)), Err(FrameError::NotAFrame), "byte {zero}");
    }
}

/// D8: a body is judged by its announced size, before any of it is read.
#[test]
fn a_body_of_the_wrong_size_is_refused_by_its_header() {
    let cases = [
        (FrameKind::Request, [0, FRAME_CONTROL_BODY_BYTES_MAX + 1, u32::MAX], [1, FRAME_CONTROL_BODY_BYTES_MAX]),
        (FrameKind::Reply, [0, FRAME_CONTROL_BODY_BYTES_MAX + 1, u32::MAX], [1, FRAME_CONTROL_BODY_BYTES_MAX]),
        (FrameKind::Put, [96, FRAME_CHUNK_BODY_BYTES_MAX + 1, u32::MAX], [97, FRAME_CHUNK_BODY_BYTES_MAX]),
        (FrameKind::TimedPut, [96, FRAME_CHUNK_BODY_BYTES_MAX + 1, u32::MAX], [97, FRAME_CHUNK_BODY_BYTES_MAX]),
        (FrameKind::Copy, [96, FRAME_CHUNK_BODY_BYTES_MAX + 1, u32::MAX], [97, FRAME_CHUNK_BODY_BYTES_MAX]),
        (FrameKind::Chunk, [96, FRAME_CHUNK_BODY_BYTES_MAX + 1, 0], [97, FRAME_CHUNK_BODY_BYTES_MAX]),
        (FrameKind::Stored, [1, 2, u32::MAX], [0, 0]),
        (FrameKind::TimedStored, [0, 11, 13], [12, 12]),
    ];
    for (kind, refused, taken) in cases {
        let header = |body_bytes| FrameHeader { kind, body_bytes, ..reply() };
        for got in refused {
            let refusal = FrameHeader::decode(&header(got).encode());
            assert!(matches!(refusal, Err(FrameError::BodySize { .. })), "{kind:?} of {got}: {refusal:?}");
        }
        for got in taken {
            assert_eq!(FrameHeader::decode(&header(got).encode()), Ok(header(got)));
        }
    }
}

proptest! {
    #[test]
    fn every_header_comes_back(request_id in any::<u64>(), disk in any::<[u8; 16]>(), body_crc in any::<u32>(), bytes in 1..1000_u32) {
        let header = FrameHeader { kind: FrameKind::Request, request_id, disk: DiskId(disk), body_bytes: bytes, body_crc };
        prop_assert_eq!(FrameHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn random_bytes_are_not_a_header(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(FrameHeader::decode(&bytes).is_err());
    }
}
