//! Bytes of a connection that were received before anybody asked for them: the next frame's header, and, while frames are
//! small, as many of them as one call brings.
//!
//! A large body goes from the socket straight into its slot (D3). For a small one the system call costs more than one more copy
//! of it does.

use quarry_protocol::limits::FRAME_HEADER_BYTES;

/// Bodies up to this many bytes are received several at a time.
pub(super) const SMALL_BODY_BYTES_MAX: usize = 8 << 10;
/// Most bytes received ahead of their use.
pub(super) const AHEAD_BYTES_MAX: usize = 32 << 10;

const _: () = assert!(AHEAD_BYTES_MAX >= 2 * (FRAME_HEADER_BYTES + SMALL_BODY_BYTES_MAX));

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    /// How many bytes it may hold: what the last frame was like says what the next will be.
    reach: usize,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { bytes: vec![0; FRAME_HEADER_BYTES], from: 0, to: 0, reach: FRAME_HEADER_BYTES }
    }
}

impl Ahead {
    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    /// Says how large the body of the frame at hand is.
    pub(super) fn expect(&mut self, body_bytes: usize) {
        self.reach = if Self::takes(body_bytes) { AHEAD_BYTES_MAX } else { FRAME_HEADER_BYTES };
    }

    /// Whether a body of that size comes through here.
    pub(super) fn takes(body_bytes: usize) -> bool {
        body_bytes <= SMALL_BODY_BYTES_MAX
    }

    /// Where to receive to, next. Call [`Self::received`] with how much came. Empty only while a whole header is there.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.bytes.len() < self.reach {
            self.bytes.resize(self.reach, 0);
        }
        let end = self.reach.max(self.to);
        &mut self.bytes[self.to..end]
    }

    /// Notes that so many bytes came.
    pub(super) fn received(&mut self, bytes: usize) {
        self.to += bytes;
        assert!(self.to <= self.bytes.len(), "{bytes} bytes more than there is room for");
    }

    /// Adds bytes that were received elsewhere: the beginning of a header.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        assert!(self.len() == 0 && bytes.len() <= FRAME_HEADER_BYTES, "{} bytes of a header", bytes.len());
        (self.from, self.to) = (0, bytes.len());
        self.bytes[..bytes.len()].copy_from_slice(bytes);
    }

    /// Takes the next header, if all of it is there.
    pub(super) fn take_header(&mut self) -> Option<[u8; FRAME_HEADER_BYTES]> {
        if self.len() < FRAME_HEADER_BYTES {
            return None;
        }
        let mut header = [0; FRAME_HEADER_BYTES];
        self.take(&mut header);
        Some(header)
    }

    /// Moves what there is of `into`'s bytes there; how many they were.
    pub(super) fn take(&mut self, into: &mut [u8]) -> usize {
        let bytes = self.len().min(into.len());
        into[..bytes].copy_from_slice(&self.bytes[self.from..self.from + bytes]);
        self.from += bytes;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receives `stream`, `step` bytes at a time, as the receiver does: frames of a header, whose first byte says how many KiB the
    /// body has, and a body.
    fn bodies(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, usize) {
        let (mut ahead, mut at, mut calls, mut found) = (Ahead::default(), 0, 0, Vec::new());
        let mut receive = |into: &mut [u8]| {
            let bytes = into.len().min(step).min(stream.len() - at);
            into[..bytes].copy_from_slice(&stream[at..at + bytes]);
            at += bytes;
            calls += 1;
            bytes
        };
        loop {
            let header = loop {
                if let Some(header) = ahead.take_header() {
                    break header;
                }
                let received = receive(ahead.space());
                if received == 0 {
                    assert_eq!(ahead.len(), 0, "cut off inside a header");
                    return (found, calls);
                }
                ahead.received(received);
            };
            let body_bytes = usize::from(header[0]) << 10;
            ahead.expect(body_bytes);
            let mut body = vec![0; body_bytes + FRAME_HEADER_BYTES];
            let mut got = ahead.take(&mut body[..body_bytes]);
            while got < body_bytes {
                if Ahead::takes(body_bytes) {
                    let received = receive(ahead.space());
                    ahead.received(received);
                    got += ahead.take(&mut body[got..body_bytes]);
                } else {
                    got += receive(&mut body[got..]);
                    if got > body_bytes {
                        ahead.push(&body[body_bytes..got]);
                    }
                }
            }
            body.truncate(body_bytes);
            found.push(body);
        }
    }

    fn stream(kib: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let body = |(index, kib): (usize, &u8)| vec![index as u8 + 1; usize::from(*kib) << 10];
        let bodies: Vec<_> = kib.iter().enumerate().map(body).collect();
        let framed = kib.iter().zip(&bodies).flat_map(|(kib, body)| {
            let mut frame = vec![0xff; FRAME_HEADER_BYTES];
            frame[0] = *kib;
            frame.extend_from_slice(body);
            frame
        });
        (framed.collect(), bodies)
    }

    #[test]
    fn every_body_is_whole_however_small_and_large_ones_follow_each_other() {
        let (sent, whole) = stream(&[4, 4, 64, 64, 4, 9, 8, 0, 1, 200, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 33, 0, 0]);
        for step in [1, 63, 64, 65, 4096, 5000, 40_000, usize::MAX] {
            assert!(bodies(&sent, step).0 == whole, "{step} bytes at a time");
        }
    }

    #[test]
    fn small_bodies_share_calls_and_large_ones_come_straight() {
        let (sent, _) = stream(&[4; 64]);
        let calls = bodies(&sent, usize::MAX).1;
        // The first frame's header comes alone, and the end takes a call of its own.
        assert!(calls <= 3 + sent.len() / (AHEAD_BYTES_MAX - FRAME_HEADER_BYTES - (4 << 10)), "{calls} calls");
        let (sent, _) = stream(&[64; 64]);
        assert_eq!(bodies(&sent, usize::MAX).1, 2 + 64, "one for each body, which brings the next header along");
    }
}
