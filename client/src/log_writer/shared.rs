//! What the appending callers and the writer's task share.

use super::pending::PendingAppend;
use crate::error::AppendError;
use bytes::Bytes;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use std::sync::Arc;

pub(super) struct Shared {
    name: Arc<str>,
    log: LogId,
    segment: SegmentId,
    next: ChunkSeq,
}

impl Shared {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn log(&self) -> LogId {
        self.log
    }

    pub(super) fn segment(&self) -> SegmentId {
        self.segment
    }

    pub(super) fn next_seq(&self) -> ChunkSeq {
        self.next
    }

    pub(super) fn tail(&self) -> ChunkSeq {
        self.next
    }

    pub(super) async fn append(&self, payload: Bytes) -> Result<PendingAppend, AppendError> {
        self.try_append(payload)
    }

    pub(super) fn try_append(&self, _payload: Bytes) -> Result<PendingAppend, AppendError> {
        Err(AppendError::Closed { log: self.name.to_string() })
    }

    pub(super) async fn flush(&self) -> Result<ChunkSeq, AppendError> {
        Ok(self.next)
    }

    pub(super) async fn stopped(&self) -> AppendError {
        AppendError::Closed { log: self.name.to_string() }
    }

    pub(super) fn close(&self) {}
}
