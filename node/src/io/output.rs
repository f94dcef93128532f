//! What waits to be sent to one connection: frames in order, small ones joined, chunks that were read from disk sent
//! from the very blocks they were read into.

use super::disk::ReadBytes;
use quarry_protocol::limits::CONNECTION_SEND_BYTES_MAX;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::RawFd;

/// Frames are joined into pieces of up to this many bytes.
const JOINED_BYTES_MAX: usize = 16 << 10;
/// Most pieces of one send call.
const PIECES_PER_SEND: usize = 64;

#[derive(Debug)]
enum Piece {
    Frames(Vec<u8>),
    Read(ReadBytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Frames(bytes) => bytes,
            Self::Read(read) => read.bytes(),
        }
    }
}

/// What waits to be sent to one connection.
#[derive(Debug, Default)]
pub(super) struct Output {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are sent already.
    sent: usize,
    bytes: u64,
}

/// How a [`Output::send`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing waits any more.
    All,
    /// The socket's buffer is full; this many bytes were sent.
    Some(usize),
}

impl Output {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether `more` bytes may be added (D8).
    pub(super) fn has_room(&self, more: u64) -> bool {
        self.bytes + more <= CONNECTION_SEND_BYTES_MAX
    }

    /// Adds whole frames.
    pub(super) fn push(&mut self, frames: &[u8]) {
        self.bytes += frames.len() as u64;
        match self.pieces.back_mut() {
            Some(Piece::Frames(last)) if last.len() + frames.len() <= JOINED_BYTES_MAX => {
                last.extend_from_slice(frames);
            }
            _ => self.pieces.push_back(Piece::Frames(frames.to_vec())),
        }
    }

    /// Adds the body of a frame whose header was pushed just before.
    pub(super) fn push_read(&mut self, read: ReadBytes) {
        self.bytes += read.bytes().len() as u64;
        self.pieces.push_back(Piece::Read(read));
    }

    /// Sends as much as the socket takes, in as few calls as possible, without waiting.
    pub(super) fn send(&mut self, socket: RawFd) -> io::Result<Sent> {
        let mut total = 0;
        while self.bytes > 0 {
            let mut slices: [IoSlice<'_>; PIECES_PER_SEND] = std::array::from_fn(|_| IoSlice::new(&[]));
            let mut used = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                let skip = if used == 0 { self.sent } else { 0 };
                *slice = IoSlice::new(&piece.bytes()[skip..]);
                used += 1;
            }
            match send_now(socket, &slices[..used]) {
                Ok(sent) => {
                    total += sent;
                    self.advance(sent);
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(Sent::Some(total)),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(Sent::All)
    }

    /// The bytes to be sent first; empty if nothing waits.
    pub(super) fn first(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| &piece.bytes()[self.sent..])
    }

    /// Notes that this many of the first bytes are sent.
    pub(super) fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent as u64;
        while let Some(piece) = self.pieces.front() {
            let left = piece.bytes().len() - self.sent;
            if sent < left {
                self.sent += sent;
                return;
            }
            sent -= left;
            self.sent = 0;
            self.pieces.pop_front();
        }
        assert!(sent == 0, "{sent} bytes were sent that nobody had queued");
    }

    /// Forgets everything: the connection is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// One gathering send that does not wait and does not raise SIGPIPE. glommio has no vectored send.
fn send_now(socket: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: all zero is a valid msghdr: no name, no control data.
    #[allow(unsafe_code)]
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    // SAFETY: IoSlice has the layout of iovec; the slices outlive the call and the kernel only reads them.
    #[allow(unsafe_code)]
    let sent = unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn everything_arrives_in_order_however_little_the_socket_takes() {
        let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
        let mut output = Output::default();
        let mut expected = Vec::new();
        for i in 0..40u8 {
            let frame = vec![i; 1000 * (usize::from(i) + 1)];
            expected.extend_from_slice(&frame);
            output.push(&frame);
        }
        assert_eq!(output.bytes(), expected.len() as u64);
        let mut received = Vec::new();
        let mut piece = [0; 5000];
        while output.send(theirs.as_raw_fd()).expect("the peer is there") != Sent::All {
            let n = ours.read(&mut piece).expect("bytes wait");
            received.extend_from_slice(&piece[..n]);
        }
        drop(theirs);
        ours.read_to_end(&mut received).expect("the rest");
        assert_eq!(received, expected);
        assert_eq!(output.bytes(), 0);
    }

    #[test]
    fn small_frames_share_a_piece_and_the_bound_is_kept() {
        let mut output = Output::default();
        for _ in 0..100 {
            output.push(&[7; 64]);
        }
        assert_eq!(output.pieces.len(), 1);
        assert!(output.has_room(CONNECTION_SEND_BYTES_MAX - 6400));
        assert!(!output.has_room(CONNECTION_SEND_BYTES_MAX - 6399));
    }
}
