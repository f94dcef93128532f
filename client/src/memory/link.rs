//! The way to a memory replica.

use super::node::{Asked, MemoryNode};
use crate::link::{LinkError, LinkEvents, ReadAnswer, ReplicaLink, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::{READ_BYTES_MAX, READ_CHUNKS_MAX};
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::ReplicaRef;
use std::sync::Arc;
use std::time::Duration;

/// How long a paused replica is waited for.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct MemoryLink {
    pub(super) node: Arc<MemoryNode>,
    /// Who is meant; the node may be another identity by now.
    pub(super) replica: ReplicaRef,
}

impl MemoryLink {
    /// Asks until the node is not paused.
    async fn ask(&self, name: &'static str, ask: impl Fn() -> Asked + Send) -> Result<Asked, LinkError> {
        let asking = async {
            loop {
                let mut changed = std::pin::pin!(self.node.changed());
                changed.as_mut().enable();
                match ask() {
                    Asked::Paused => changed.await,
                    Asked::Down => return Err(self.down()),
                    answered => return Ok(answered),
                }
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, asking).await.unwrap_or_else(|_| {
            Err(LinkError::Timeout {
                address: self.replica.address.clone(),
                request: name,
                after_ms: CALL_TIMEOUT.as_millis() as u64,
            })
        })
    }

    fn down(&self) -> LinkError {
        LinkError::Down { address: self.replica.address.clone(), why: "the memory replica was killed".to_owned() }
    }

    fn broken(&self, why: &str) -> LinkError {
        LinkError::Protocol { address: self.replica.address.clone(), why: why.to_owned() }
    }
}

#[async_trait]
impl ReplicaLink for MemoryLink {
    fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    fn put(&self, header: ChunkHeader, payload: Bytes) {
        self.node.put(self.replica.disk, header, payload);
    }

    async fn call(&self, request: Request) -> Result<Reply, LinkError> {
        match self.ask("control", || self.node.ask(self.replica.disk, request.clone())).await? {
            Asked::Reply(reply) => Ok(reply),
            _ => Err(self.broken("it answered a call with chunks")),
        }
    }

    async fn read(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        chunks_max: u32,
        bytes_max: u32,
    ) -> Result<ReadAnswer, LinkError> {
        let (chunks_max, bytes_max) = (chunks_max.clamp(1, READ_CHUNKS_MAX), bytes_max.clamp(1, READ_BYTES_MAX));
        let request = Request::Read { log, segment, from, chunks_max, bytes_max };
        match self.ask("read", || self.node.ask(self.replica.disk, request.clone())).await? {
            Asked::Read(answer) => Ok(answer),
            Asked::Reply(Reply::ReadEnd { next, answer }) => Ok(ReadAnswer { chunks: Vec::new(), next, answer }),
            Asked::Reply(Reply::Refused(refusal)) => {
                Err(LinkError::Refused { address: self.replica.address.clone(), refusal })
            }
            _ => Err(self.broken("it answered a read with something else")),
        }
    }

    async fn copy(&self, header: ChunkHeader, payload: Bytes) -> Result<(), LinkError> {
        match self.ask("copy", || self.node.copy(self.replica.disk, header, payload.clone())).await? {
            Asked::Copied => Ok(()),
            Asked::Reply(Reply::Refused(refusal)) => {
                Err(LinkError::Refused { address: self.replica.address.clone(), refusal })
            }
            _ => Err(self.broken("it answered a copy with something else")),
        }
    }

    fn subscribe(&self, log: LogId, segment: SegmentId, tag: usize, events: LinkEvents) -> Subscription {
        let subject = (self.replica.disk, log, segment);
        let number = self.node.subscribe(subject, tag, events);
        let node = Arc::clone(&self.node);
        Subscription::new(move || node.unsubscribe(subject, number))
    }
}
