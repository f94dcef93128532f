//! A node whose every answer the test writes itself.

use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FRAME_HEADER_BYTES};
use quarry_protocol::message::{Answer, NodeInfo, Reply, Request, ShardAddress};
use quarry_protocol::record::ReplicaRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) const DISK: DiskId = DiskId([0xd1; 16]);
pub(super) const OTHER_DISK: DiskId = DiskId([0xd2; 16]);
pub(super) const CLUSTER: &str = "test";
pub(super) const LOG: LogId = LogId([0x10; 16]);
pub(super) const SEGMENT: SegmentId = SegmentId { epoch: Epoch(3), index: 0 };

pub(super) fn chunk(log: LogId, seq: u64, payload: &Bytes) -> ChunkHeader {
    ChunkHeader {
        log,
        segment: SEGMENT,
        seq: ChunkSeq(seq),
        watermark: ChunkSeq(0),
        length: payload.len() as u32,
        payload_crc: crc32c::crc32c(payload),
        digest: Digest([0; 16]),
    }
}

pub(super) struct FakeNode {
    listener: TcpListener,
    pub(super) info: NodeInfo,
}

/// One connection, after its hello.
pub(super) struct Peer {
    stream: TcpStream,
    /// The disk that answers.
    pub(super) disk: DiskId,
}

impl FakeNode {
    /// A node with one shard, which has [`DISK`].
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shards = vec![ShardAddress { disk: DISK, retired: Vec::new(), port }];
        let advertise = format!("127.0.0.1:{port}");
        let info = NodeInfo { cluster: CLUSTER.into(), zone: "a".into(), advertise, shards, shard: 0 };
        Self { listener, info }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(super) fn replica(&self) -> ReplicaRef {
        ReplicaRef { disk: DISK, address: format!("127.0.0.1:{}", self.port()), zone: "a".into() }
    }

    /// The next connection, with its hello answered.
    pub(super) async fn accept(&self) -> Peer {
        let mut peer = self.accept_silently().await;
        let (id, request) = peer.request().await;
        assert_eq!(request, Request::Hello { cluster: CLUSTER.into() }, "a hello comes first");
        peer.reply(id, &Reply::Hello(self.info.clone())).await;
        peer
    }

    pub(super) async fn accept_silently(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        Peer { stream, disk: DISK }
    }
}

impl Peer {
    /// The next frame. Panics if the client closes the connection.
    pub(super) async fn frame(&mut self) -> (FrameHeader, Vec<u8>) {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.stream.read_exact(&mut header).await.unwrap();
        let header = FrameHeader::decode(&header).unwrap();
        let mut body = vec![0; header.body_bytes as usize];
        self.stream.read_exact(&mut body).await.unwrap();
        (header, body)
    }

    pub(super) async fn request(&mut self) -> (u64, Request) {
        let (header, body) = self.frame().await;
        assert_eq!(header.kind, FrameKind::Request);
        header.verify_body(&body).unwrap();
        (header.request_id, Request::decode(&body).unwrap())
    }

    pub(super) async fn put(&mut self) -> (u64, ChunkHeader) {
        let (header, body) = self.frame().await;
        assert_eq!((header.kind, header.disk), (FrameKind::Put, DISK), "every put names its disk (P4)");
        let chunk = ChunkHeader::decode(&body).unwrap();
        chunk.verify_payload(&body[CHUNK_HEADER_BYTES..]).unwrap();
        (header.request_id, chunk)
    }

    /// Whether another byte comes before the connection ends.
    pub(super) async fn has_more(&mut self) -> bool {
        matches!(self.stream.peek(&mut [0; 1]).await, Ok(1))
    }

    /// Whether the client ended the connection, without anything more to say.
    pub(super) async fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        // The client may have closed the connection already, because of what it got before.
        let _ = self.stream.write_all(bytes).await;
    }

    pub(super) async fn stored(&mut self, id: u64) {
        let frame = FrameHeader::control(FrameKind::Stored, id, self.disk, &[]).encode();
        self.raw(&frame).await;
    }

    pub(super) async fn reply(&mut self, id: u64, reply: &Reply) {
        let body = reply.encode();
        let header = FrameHeader::control(FrameKind::Reply, id, self.disk, &body).encode();
        self.raw(&[&header[..], &body].concat()).await;
    }

    pub(super) async fn chunk(&mut self, id: u64, header: &ChunkHeader, payload: &[u8]) {
        let bytes = (CHUNK_HEADER_BYTES + payload.len()) as u32;
        let frame = FrameHeader::chunk(FrameKind::Chunk, id, self.disk, bytes).encode();
        self.raw(&[&frame[..], &header.encode(), payload].concat()).await;
    }

    pub(super) async fn read_end(&mut self, id: u64, next: u64, answer: Answer) {
        self.reply(id, &Reply::ReadEnd { next: ChunkSeq(next), answer }).await;
    }
}
