//! The state of one link.

use super::Ask;
use crate::core::ConnId;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::message::Request;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting { since: u64 },
    Up,
    Down,
}

/// A request that is not answered.
#[derive(Debug)]
pub(super) enum Pending {
    Put {
        segment: SegmentId,
        seq: ChunkSeq,
        at: u64,
    },
    Call {
        ask: Ask,
        until: u64,
    },
    Copy {
        ask: Ask,
        until: u64,
    },
    Read {
        ask: Ask,
        until: u64,
        log: LogId,
        segment: SegmentId,
        next: ChunkSeq,
        chunks: Vec<(ChunkHeader, Bytes)>,
        corrupt: bool,
    },
}

impl Pending {
    pub(super) fn of(ask: Ask, request: &Request, until: u64) -> Self {
        match *request {
            Request::Read { log, segment, from, .. } => {
                Self::Read { ask, until, log, segment, next: from, chunks: Vec::new(), corrupt: false }
            }
            _ => Self::Call { ask, until },
        }
    }

    pub(super) fn ask(&self) -> Option<Ask> {
        match self {
            Self::Put { .. } => None,
            Self::Call { ask, .. } | Self::Copy { ask, .. } | Self::Read { ask, .. } => Some(*ask),
        }
    }

    pub(super) fn is_put(&self) -> bool {
        matches!(self, Self::Put { .. })
    }

    pub(super) fn until(&self, put_us: u64) -> u64 {
        match self {
            Self::Put { at, .. } => at + put_us,
            Self::Call { until, .. } | Self::Copy { until, .. } | Self::Read { until, .. } => *until,
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) disk: DiskId,
    pub(super) node: usize,
    pub(super) shard: usize,
    pub(super) phase: Phase,
    pub(super) conn: Option<ConnId>,
    /// The identity in force at the other end.
    pub(super) current: DiskId,
    pub(super) retry_at: Option<u64>,
    pub(super) backoff: u64,
    pub(super) pending: BTreeMap<u64, Pending>,
    /// Calls that wait for the connection, and until when.
    pub(super) waiting: Vec<(Ask, Request, u64)>,
    pub(super) last_heard: u64,
    /// Whether somebody wants to know that it goes up or down.
    pub(super) watched: bool,
}

impl Link {
    pub(super) fn new(disk: DiskId, node: usize) -> Self {
        Self {
            disk,
            node,
            shard: 0,
            phase: Phase::Down,
            conn: None,
            current: disk,
            retry_at: None,
            backoff: 20_000,
            pending: BTreeMap::new(),
            waiting: Vec::new(),
            last_heard: 0,
            watched: false,
        }
    }

    pub(super) fn begin(&mut self, id: u64, pending: Pending, now: u64) {
        if self.pending.is_empty() {
            self.last_heard = now;
        }
        self.pending.insert(id, pending);
    }

    /// Calls that waited too long: nobody waits for their answers any more.
    pub(super) fn take_overdue(&mut self, now: u64) -> Vec<Ask> {
        let overdue = |pending: &Pending| !pending.is_put() && pending.until(0) <= now;
        let ids: Vec<u64> = self.pending.iter().filter(|(_, pending)| overdue(pending)).map(|(id, _)| *id).collect();
        let mut asks: Vec<Ask> = ids.iter().filter_map(|id| self.pending.remove(id)?.ask()).collect();
        let (late, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(.., until)| *until <= now);
        self.waiting = waiting;
        let late: Vec<(Ask, Request, u64)> = late;
        asks.extend(late.into_iter().map(|(ask, ..)| ask));
        asks
    }
}
