//! Bytes from a node, cut into validated frames: the header first, the body only when the header stood up to
//! every check (D8).

use super::bounds::{RECEIVE_BYTES, RECEIVE_BYTES_MIN};
use bytes::{Bytes, BytesMut};
use quarry_protocol::frame::{FrameError, FrameHeader};
use quarry_protocol::limits::FRAME_HEADER_BYTES;

/// A received frame: its validated header and its body, whose checksum is still to be checked.
pub(super) type Frame = (FrameHeader, Bytes);

/// Bytes that were received and not yet cut into frames.
#[derive(Default)]
pub(super) struct Inbound {
    buffer: BytesMut,
    /// The header of the frame whose body is still arriving.
    header: Option<FrameHeader>,
}

impl Inbound {
    /// Where the next receive goes, with room for many small frames or the rest of a large one.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        let missing = self.header.map_or(0, |h| (h.body_bytes as usize).saturating_sub(self.buffer.len()));
        if self.buffer.capacity() - self.buffer.len() < missing.max(RECEIVE_BYTES_MIN) {
            self.buffer.reserve(missing.max(RECEIVE_BYTES));
        }
        &mut self.buffer
    }

    /// The next whole frame, if it has arrived. After an error nothing that follows can be framed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None if self.buffer.len() < FRAME_HEADER_BYTES => return Ok(None),
            None => {
                let header = FrameHeader::decode(&self.buffer[..FRAME_HEADER_BYTES])?;
                let _ = self.buffer.split_to(FRAME_HEADER_BYTES);
                *self.header.insert(header)
            }
        };
        if self.buffer.len() < header.body_bytes as usize {
            return Ok(None);
        }
        self.header = None;
        Ok(Some((header, self.buffer.split_to(header.body_bytes as usize).freeze())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::frame::FrameKind;
    use quarry_protocol::ids::DiskId;

    fn frame(kind: FrameKind, id: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = FrameHeader::control(kind, id, DiskId([3; 16]), body).encode().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let wire = [
            frame(FrameKind::Stored, 1, b""),
            frame(FrameKind::Reply, 2, &[5; 1000]),
            frame(FrameKind::Stored, 3, b""),
        ];
        for step in [1, 63, 64, 65, 1000, 4096] {
            let (mut inbound, mut got) = (Inbound::default(), Vec::new());
            for part in wire.concat().chunks(step) {
                inbound.room().extend_from_slice(part);
                while let Some((header, body)) = inbound.next().unwrap() {
                    assert!(header.verify_body(&body).is_ok() || body.is_empty());
                    got.push((header.request_id, body.len()));
                }
            }
            assert_eq!(got, [(1, 0), (2, 1000), (3, 0)], "in steps of {step}");
        }
    }

    /// D8: a frame that announces more than its kind may hold is refused before any of its body is awaited.
    #[test]
    fn an_oversized_frame_is_refused_before_its_body() {
        let mut inbound = Inbound::default();
        let header = FrameHeader {
            kind: FrameKind::Reply,
            request_id: 1,
            disk: DiskId([3; 16]),
            body_bytes: u32::MAX,
            body_crc: 0,
        };
        inbound.room().extend_from_slice(&header.encode());
        assert!(matches!(inbound.next(), Err(FrameError::BodySize { .. })));
    }

    #[test]
    fn a_large_body_gets_the_room_it_needs_at_once() {
        let mut inbound = Inbound::default();
        let bytes = frame(FrameKind::Reply, 1, &vec![0; 200_000]);
        inbound.room().extend_from_slice(&bytes[..64]);
        assert_eq!(inbound.next().unwrap(), None);
        let room = inbound.room();
        assert!(room.capacity() - room.len() >= 200_000);
    }
}
