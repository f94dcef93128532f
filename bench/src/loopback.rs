//! The network's share: one side sends as many bytes as a chunk has, the other answers with 64, over a loopback
//! TCP connection, one at a time. Plain blocking sockets on two threads: the least the kernel charges for it.

use crate::latencies::Latencies;
use crate::measured::{Measured, Until};
use crate::noise::Noise;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Instant;

/// Bytes of an answer: as many as a frame header has.
const ANSWER_BYTES: usize = quarry_protocol::limits::FRAME_HEADER_BYTES;

/// A connection to a thread of this process that answers every message.
#[derive(Debug)]
pub struct Loopback {
    stream: TcpStream,
    message: Vec<u8>,
    answering: Option<JoinHandle<io::Result<u64>>>,
}

impl Loopback {
    /// Connects, for messages of `message_bytes` each.
    pub fn connect(message_bytes: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (peer, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        peer.set_nodelay(true)?;
        let answering = std::thread::Builder::new()
            .name("loopback".into())
            .spawn(move || answer_every_message(peer, message_bytes))?;
        Ok(Self { stream, message: Noise::new(2).bytes(message_bytes), answering: Some(answering) })
    }

    /// Round trips, one after the other, until `until`.
    pub fn measure(&mut self, until: Until) -> io::Result<Measured> {
        let begun_at = Instant::now();
        let (mut latencies, mut answer) = (Latencies::new(), [0; ANSWER_BYTES]);
        while until.allows(latencies.count(), begun_at.elapsed()) {
            let sent_at = Instant::now();
            self.stream.write_all(&self.message)?;
            self.stream.read_exact(&mut answer)?;
            latencies.record(sent_at.elapsed());
        }
        let bytes = latencies.count() * self.message.len() as u64;
        Ok(Measured { latencies, bytes, elapsed: begun_at.elapsed() })
    }

    /// Closes the connection and says how many messages were answered.
    pub fn close(mut self) -> io::Result<u64> {
        self.stream.shutdown(Shutdown::Write)?;
        match self.answering.take().map(JoinHandle::join) {
            Some(Ok(answered)) => answered,
            _ => Err(io::Error::other("the answering thread of the loopback measurement panicked")),
        }
    }
}

fn answer_every_message(mut stream: TcpStream, message_bytes: usize) -> io::Result<u64> {
    let (mut message, answer) = (vec![0; message_bytes], [0x51; ANSWER_BYTES]);
    let mut answered = 0;
    loop {
        match stream.read_exact(&mut message) {
            Ok(()) => stream.write_all(&answer)?,
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(answered),
            Err(why) => return Err(why),
        }
        answered += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_answered_once() {
        for message_bytes in [1, 65_536, 1_000_000] {
            let mut loopback = Loopback::connect(message_bytes).expect("connect");
            let measured = loopback.measure(Until::operations(20)).expect("measure");
            assert_eq!(measured.latencies.count(), 20);
            assert_eq!(measured.bytes, 20 * message_bytes as u64);
            assert_eq!(loopback.close().expect("close"), 20);
        }
    }
}
