//! What a replica notes of its steps, for traces (see [`crate::action`]).

use super::{Key, Replica};
use crate::action::{Action, HeldRun, Step};
use crate::chunk::ChunkHeader;
use crate::ids::{DiskId, Epoch, LogId, SegmentId};
use crate::message::{Refusal, Reply, Run, SegmentView};
use alloc::vec::Vec;

impl Replica {
    /// Has every step noted from now on, for [`Self::poll_action`]; first, what a replay found of each log.
    pub fn record_actions(&mut self) {
        self.actions.record();
        let replica = self.identity.current;
        for (log, known) in &self.logs {
            let (mut held, mut lost) = (Vec::new(), Vec::new());
            for (&segment, found) in &known.segments {
                held.extend(found.held.iter().map(|(from, to)| HeldRun { segment, from, to }));
                lost.extend(found.lost.iter().map(|(from, to)| HeldRun { segment, from, to }));
            }
            let (fence, floor) = (known.durable.fence, known.durable.floor);
            self.actions.note(*log, || Step::Restart { replica, fence, floor, held, lost });
        }
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.poll()
    }

    /// Traces are of writers, recoveries and trims: what a repair copies is left out.
    pub(super) fn note_stored(&mut self, key: Key, copy: bool) {
        if copy {
            return;
        }
        let (replica, Key { log, segment, seq }) = (self.identity.current, key);
        self.actions.note(log, || Step::Store { replica, segment, seq });
    }

    pub(super) fn note_accepted(&mut self, header: &ChunkHeader) {
        let replica = self.identity.current;
        let ChunkHeader { log, segment, seq, watermark, digest: content, .. } = *header;
        // A chunk is the word of its epoch (P3).
        let fence = self.logs.get(&log).map_or(Epoch(0), |known| known.told.fence);
        self.note_fence_raised(log, fence, segment.epoch);
        self.actions.note(log, || Step::Accept { replica, segment, seq, watermark, content });
    }

    pub(super) fn note_fence_raised(&mut self, log: LogId, before: Epoch, epoch: Epoch) {
        let replica = self.identity.current;
        if epoch > before {
            self.actions.note(log, || Step::RaiseFence { replica, epoch });
        }
    }

    pub(super) fn note_fenced(&mut self, log: LogId, reply: &Result<Reply, Refusal>) {
        let (replica, Ok(Reply::Fenced { fence: epoch, segments, .. })) = (self.identity.current, reply) else {
            return;
        };
        for &SegmentView { segment, watermark, newest, .. } in segments {
            self.actions.note(log, || Step::AnswerFence { replica, epoch: *epoch, segment, watermark, newest });
        }
    }

    pub(super) fn note_frozen(&mut self, replica: DiskId, log: LogId, epoch: Epoch, segment: SegmentId, reply: &Reply) {
        let Reply::Frozen { runs } = reply else { return };
        for &Run { from, to, answer } in runs {
            self.actions.note(log, || Step::AnswerFreeze { replica, epoch, segment, from, to, answer });
        }
    }
}
