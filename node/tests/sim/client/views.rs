//! How far an unsealed segment is committed, without fencing anybody (P15): as `client/src/tail.rs`.

use super::{Answered, Ask, Links};
use crate::core::Core;
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::message::{Reply, Request, SegmentView};
use quarry_protocol::record::Segment;
use quarry_protocol::tail::committed_tail;

#[derive(Debug)]
pub(super) struct Views {
    segment: Segment,
    floor: ChunkSeq,
    heard: Vec<(usize, SegmentView)>,
    left: usize,
}

impl Views {
    /// Asks every replica of the segment.
    pub(super) fn ask(core: &mut Core, links: &mut Links, log: LogId, segment: &Segment, floor: ChunkSeq) -> Self {
        for (index, replica) in segment.replicas.iter().enumerate() {
            let what = Request::Inspect { log, segments: vec![segment.id] };
            links.call(core, replica, what, Ask::View(index));
        }
        Self { segment: segment.clone(), floor, heard: Vec::new(), left: segment.replicas.len() }
    }

    pub(super) fn take(&mut self, index: usize, result: Result<Answered, String>) {
        self.left -= 1;
        if let Ok(Answered::Reply(Reply::Inspected { segments, .. })) = result
            && let Some(view) = segments.into_iter().next()
        {
            self.heard.push((index, view));
        }
    }

    /// The tail, once it is known; an error if it cannot be. A part of the answers may have to do.
    pub(super) fn tail(&self, patient: bool) -> Option<Result<ChunkSeq, ()>> {
        let needed = self.segment.quorum().expect("a registered segment has a valid quorum").read();
        if self.heard.len() >= needed && (self.left == 0 || !patient) {
            return Some(Ok(committed_tail(&self.segment, self.floor, &self.heard)));
        }
        (self.left == 0).then_some(Err(()))
    }
}
