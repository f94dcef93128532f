//! A raw client: frames of `quarry_protocol` over a blocking socket, with every byte in the test's hands.

use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::limits::FRAME_HEADER_BYTES;
use quarry_protocol::message::{NodeInfo, Reply, Request};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Long enough for any answer of a busy machine; a test that waits for it has failed already.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a node sent.
#[derive(Debug)]
pub(crate) enum Answer {
    Stored(u64),
    Reply(u64, Reply),
    Chunk(ChunkHeader, Vec<u8>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    requests: u64,
    pub(crate) disk: DiskId,
}

/// The segment that all these tests write to.
pub(crate) const SEGMENT: SegmentId = SegmentId { epoch: Epoch(1), index: 0 };

/// The log that all these tests write to, or the `n`th one.
pub(crate) fn log(n: u8) -> LogId {
    LogId([n; 16])
}

/// The payload of a seq: different for every seq, of `bytes` bytes.
pub(crate) fn payload(seq: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (seq as usize * 131 + i * 7 + i / 251) as u8).collect()
}

/// A chunk's header.
pub(crate) fn header(log: LogId, segment: SegmentId, seq: u64, payload: &[u8]) -> ChunkHeader {
    ChunkHeader {
        log,
        segment,
        seq: ChunkSeq(seq),
        watermark: ChunkSeq(0),
        length: payload.len() as u32,
        payload_crc: crc32c::crc32c(payload),
        digest: Digest([seq as u8; 16]),
    }
}

impl Client {
    /// A connection that has said nothing yet.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the node listens");
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Self { stream, requests: 0, disk: DiskId::ZERO }
    }

    /// A connection that knows the disk it talks to.
    pub(crate) fn connect(address: SocketAddr, cluster: &str) -> Self {
        let mut client = Self::silent(address);
        let info = client.hello(cluster);
        client.disk = info.shards[usize::from(info.shard)].disk;
        client
    }

    pub(crate) fn hello(&mut self, cluster: &str) -> NodeInfo {
        match self.ask(&Request::Hello { cluster: cluster.into() }) {
            Reply::Hello(info) => info,
            other => panic!("hello was answered with {other:?}"),
        }
    }

    /// Sends a request; returns its id.
    pub(crate) fn request(&mut self, request: &Request) -> u64 {
        self.requests += 1;
        let body = request.encode();
        let header = FrameHeader::control(FrameKind::Request, self.requests, self.disk, &body);
        self.send(&[&header.encode()[..], &body].concat());
        self.requests
    }

    /// Sends a request and waits for its reply, which must be the next answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        let asked = self.request(request);
        match self.answer() {
            Answer::Reply(id, reply) if id == asked => reply,
            other => panic!("{request:?} was answered with {other:?}"),
        }
    }

    /// The bytes of a put, and its request id.
    pub(crate) fn put_frame(&mut self, header: &ChunkHeader, payload: &[u8]) -> (u64, Vec<u8>) {
        self.requests += 1;
        let frame = FrameHeader::chunk(FrameKind::Put, self.requests, self.disk, header.stored_bytes());
        (self.requests, [&frame.encode()[..], &header.encode()[..], payload].concat())
    }

    /// Sends a put; returns its id.
    pub(crate) fn put(&mut self, log: LogId, segment: SegmentId, seq: u64, payload: &[u8]) -> u64 {
        let (id, bytes) = self.put_frame(&header(log, segment, seq, payload), payload);
        self.send(&bytes);
        id
    }

    /// Puts and waits until it is stored.
    pub(crate) fn store(&mut self, log: LogId, segment: SegmentId, seq: u64, payload: &[u8]) {
        let put = self.put(log, segment, seq, payload);
        match self.answer() {
            Answer::Stored(id) if id == put => {}
            other => panic!("the put of {seq} was answered with {other:?}"),
        }
    }

    /// Puts and expects a refusal.
    pub(crate) fn refused(
        &mut self,
        log: LogId,
        segment: SegmentId,
        seq: u64,
        payload: &[u8],
    ) -> quarry_protocol::message::Refusal {
        self.put(log, segment, seq, payload);
        match self.answer() {
            Answer::Reply(_, Reply::Refused(refusal)) => refusal,
            other => panic!("the put of {seq} was answered with {other:?}"),
        }
    }

    /// Reads chunks; what came, and the seq and answer at the end.
    pub(crate) fn read(
        &mut self,
        log: LogId,
        segment: SegmentId,
        from: u64,
        chunks: u32,
    ) -> (Vec<(ChunkHeader, Vec<u8>)>, Reply) {
        let (chunks_max, bytes_max) = (chunks, 4 << 20);
        self.request(&Request::Read { log, segment, from: ChunkSeq(from), chunks_max, bytes_max });
        let mut got = Vec::new();
        loop {
            match self.answer() {
                Answer::Chunk(header, payload) => got.push((header, payload)),
                Answer::Reply(_, end) => return (got, end),
                Answer::Stored(id) => panic!("a read was answered with stored {id}"),
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the node reads");
    }

    /// Sends and does not mind if the node has hung up already.
    pub(crate) fn send_anyway(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next answer, verified.
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    pub(crate) fn try_answer(&mut self) -> io::Result<Answer> {
        let mut head = [0; FRAME_HEADER_BYTES];
        self.stream.read_exact(&mut head)?;
        let frame = FrameHeader::decode(&head).expect("a frame");
        let mut body = vec![0; frame.body_bytes as usize];
        self.stream.read_exact(&mut body)?;
        Ok(match frame.kind {
            FrameKind::Stored => Answer::Stored(frame.request_id),
            FrameKind::Reply => {
                frame.verify_body(&body).expect("a sound body");
                Answer::Reply(frame.request_id, Reply::decode(&body).expect("a reply"))
            }
            FrameKind::Chunk => {
                let header = ChunkHeader::decode(&body).expect("a chunk");
                let payload = body.split_off(quarry_protocol::limits::CHUNK_HEADER_BYTES);
                header.verify_payload(&payload).expect("a sound chunk");
                Answer::Chunk(header, payload)
            }
            kind => panic!("nodes do not send {kind:?} frames"),
        })
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("still open");
    }

    /// Whether the node hangs up without another answer.
    pub(crate) fn is_hung_up_on(&mut self) -> bool {
        match self.try_answer() {
            Ok(answer) => panic!("instead of hanging up the node sent {answer:?}"),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => panic!("the node does not hang up"),
            Err(_) => true,
        }
    }
}
