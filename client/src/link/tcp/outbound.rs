//! What waits to be sent, and sending it: many frames per system call, payloads never copied.

use super::bounds::SLICES_MAX;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{DiskId, LogId, SegmentId};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FRAME_HEADER_BYTES};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

const PUT_HEAD_BYTES: usize = FRAME_HEADER_BYTES + CHUNK_HEADER_BYTES;

/// One frame, as the parts that are sent one behind the other.
pub(super) struct Frame {
    head: Head,
    payload: Bytes,
    /// Whose put it is, so that it can be dropped with its subscription.
    segment: Option<(LogId, SegmentId)>,
}

enum Head {
    Put([u8; PUT_HEAD_BYTES]),
    Control(Vec<u8>),
}

impl Frame {
    /// A put of `payload` under `request_id`.
    pub(super) fn put(request_id: u64, disk: DiskId, header: &ChunkHeader, payload: Bytes) -> Self {
        let segment = Some((header.log, header.segment));
        Self { head: chunk_head(FrameKind::Put, request_id, disk, header), payload, segment }
    }

    /// A put that asks where its time goes.
    pub(super) fn timed_put(request_id: u64, disk: DiskId, header: &ChunkHeader, payload: Bytes) -> Self {
        Self {
            head: chunk_head(FrameKind::TimedPut, request_id, disk, header),
            ..Self::put(request_id, disk, header, payload)
        }
    }

    /// A copy that a repair makes; it belongs to no subscription.
    pub(super) fn copy(request_id: u64, disk: DiskId, header: &ChunkHeader, payload: Bytes) -> Self {
        Self { head: chunk_head(FrameKind::Copy, request_id, disk, header), payload, segment: None }
    }

    /// A control request.
    pub(super) fn request(request_id: u64, disk: DiskId, body: &[u8]) -> Self {
        let mut head = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
        head.extend_from_slice(&FrameHeader::control(FrameKind::Request, request_id, disk, body).encode());
        head.extend_from_slice(body);
        Self { head: Head::Control(head), payload: Bytes::new(), segment: None }
    }

    fn head(&self) -> &[u8] {
        match &self.head {
            Head::Put(bytes) => bytes,
            Head::Control(bytes) => bytes,
        }
    }

    fn bytes(&self) -> usize {
        self.head().len() + self.payload.len()
    }
}

fn chunk_head(kind: FrameKind, request_id: u64, disk: DiskId, header: &ChunkHeader) -> Head {
    let mut head = [0; PUT_HEAD_BYTES];
    let frame = FrameHeader::chunk(kind, request_id, disk, header.stored_bytes());
    head[..FRAME_HEADER_BYTES].copy_from_slice(&frame.encode());
    head[FRAME_HEADER_BYTES..].copy_from_slice(&header.encode());
    Head::Put(head)
}

/// Frames in the order in which they go out.
#[derive(Default)]
pub(super) struct Outbound {
    frames: VecDeque<Frame>,
    /// Bytes of the first frame that are sent already.
    sent_of_first: usize,
    /// Bytes that are not sent yet.
    bytes: usize,
}

/// How far sending came.
#[derive(Debug)]
pub(super) enum Sent {
    /// Nothing is left.
    All,
    /// The socket takes no more for now.
    Blocked,
}

impl Outbound {
    /// Adds a frame behind the others.
    pub(super) fn push(&mut self, frame: Frame) {
        self.bytes += frame.bytes();
        self.frames.push_back(frame);
    }

    /// Bytes that are not sent yet.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the puts of one segment, but not one that is sent in part.
    pub(super) fn drop_puts_of(&mut self, log: LogId, segment: SegmentId) {
        let mut index = 0;
        let sent_in_part = self.sent_of_first > 0;
        let mut dropped = 0;
        self.frames.retain(|frame| {
            let keep = (index == 0 && sent_in_part) || frame.segment != Some((log, segment));
            index += 1;
            dropped += if keep { 0 } else { frame.bytes() };
            keep
        });
        self.bytes -= dropped;
    }

    /// Sends as much as `write` takes. `write` is a vectored write that does not block.
    pub(super) fn send(&mut self, mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<Sent> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.fill(&mut slices);
            match write(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(Sent::Blocked),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(Sent::All)
    }

    fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let (mut count, mut skip) = (0, self.sent_of_first);
        for frame in &self.frames {
            for part in [frame.head(), &frame.payload] {
                let skipped = skip.min(part.len());
                skip -= skipped;
                if skipped == part.len() {
                    continue;
                }
                if count == SLICES_MAX {
                    return count;
                }
                slices[count] = IoSlice::new(&part[skipped..]);
                count += 1;
            }
        }
        count
    }

    fn advance(&mut self, sent: usize) {
        assert!(sent <= self.bytes, "sent {sent} bytes of {} queued", self.bytes);
        self.bytes -= sent;
        self.sent_of_first += sent;
        while let Some(first) = self.frames.front()
            && self.sent_of_first >= first.bytes()
        {
            self.sent_of_first -= first.bytes();
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::digest::Digest;
    use quarry_protocol::ids::{ChunkSeq, Epoch};

    fn put(seq: u64, segment: u32, payload: &'static [u8]) -> Frame {
        let header = ChunkHeader {
            log: LogId([1; 16]),
            segment: SegmentId { epoch: Epoch(1), index: segment },
            seq: ChunkSeq(seq),
            watermark: ChunkSeq(0),
            length: payload.len() as u32,
            payload_crc: crc32c::crc32c(payload),
            digest: Digest([0; 16]),
        };
        Frame::put(seq, DiskId([2; 16]), &header, Bytes::from_static(payload))
    }

    fn wire(frames: &[Frame]) -> Vec<u8> {
        frames.iter().flat_map(|f| [f.head(), &f.payload].concat()).collect()
    }

    /// However few bytes a write takes, what arrives is every frame, whole and in order.
    #[test]
    fn partial_writes_lose_and_repeat_nothing() {
        for step in [1, 7, 63, 160, 161, 4096] {
            let frames = || [put(0, 0, b"a"), Frame::request(1, DiskId([2; 16]), b"body"), put(2, 0, &[7; 300])];
            let (mut outbound, mut got) = (Outbound::default(), Vec::new());
            for frame in frames() {
                outbound.push(frame);
            }
            let mut blocked = false;
            for _ in 0..10_000 {
                let sent = outbound.send(|slices| {
                    blocked = !blocked;
                    if blocked {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    let all: Vec<u8> = slices.iter().flat_map(|s| s.to_vec()).collect();
                    got.extend_from_slice(&all[..step.min(all.len())]);
                    Ok(step.min(all.len()))
                });
                if matches!(sent, Ok(Sent::All)) {
                    break;
                }
            }
            assert_eq!(got, wire(&frames()), "in steps of {step}");
            assert_eq!(outbound.bytes(), 0);
        }
    }

    #[test]
    fn more_frames_than_slices_go_out_in_order() {
        let (mut outbound, mut got, mut calls) = (Outbound::default(), Vec::new(), 0);
        let frames: Vec<Frame> = (0..200).map(|seq| put(seq, 0, b"xyz")).collect();
        let expected = wire(&frames);
        for frame in frames {
            outbound.push(frame);
        }
        let sent = outbound.send(|slices| {
            calls += 1;
            let before = got.len();
            for slice in slices {
                got.extend_from_slice(slice);
            }
            Ok(got.len() - before)
        });
        assert!(matches!(sent, Ok(Sent::All)));
        assert_eq!((got, calls), (expected, 400_usize.div_ceil(SLICES_MAX)));
    }

    /// Pitfall 34: a writer that left a replica behind leaves nothing in its queue, and breaks no frame.
    #[test]
    fn dropping_a_segment_keeps_the_frame_that_is_sent_in_part() {
        let (mut outbound, mut got) = (Outbound::default(), Vec::new());
        for frame in [put(0, 0, b"abc"), put(1, 1, b"other"), put(2, 0, b"gone")] {
            outbound.push(frame);
        }
        let mut first = true;
        let mut write = |slices: &[IoSlice<'_>]| {
            if !std::mem::take(&mut first) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            got.extend_from_slice(&slices[0][..10]);
            Ok(10)
        };
        assert!(matches!(outbound.send(&mut write), Ok(Sent::Blocked)));
        outbound.drop_puts_of(LogId([1; 16]), SegmentId { epoch: Epoch(1), index: 0 });
        let sent = outbound.send(|slices| {
            let before = got.len();
            for slice in slices {
                got.extend_from_slice(slice);
            }
            Ok(got.len() - before)
        });
        assert!(matches!(sent, Ok(Sent::All)));
        assert_eq!(got, wire(&[put(0, 0, b"abc"), put(1, 1, b"other")]));
        assert_eq!(outbound.bytes(), 0);
    }
}
