//! What the machines did, in the specification's words: one list of action names for code and `tla/` alike.
//!
//! A machine that was told to record notes each step of the protocol that it takes; whoever drives it collects them with
//! `poll_action()` and puts the notes of all parties in one order. The specification then says whether that order is one of
//! its behaviours (`tla/TraceCheck.tla`). Recording is off unless asked for, and then costs a branch per step.

mod names;
mod tla;

pub use names::{ACTION_NAMES, ActionName, NotedBy};

use crate::digest::Digest;
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, OwnerId, SegmentId};
use crate::message::Answer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most notes a machine holds. It is far above what one event makes it do; whoever drives it takes them after each.
pub const ACTIONS_HELD_MAX: usize = 1 << 16;

/// One step of one party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The log it concerns.
    pub log: LogId,
    /// The step.
    pub step: Step,
}

/// Chunks of one segment that a replica holds, or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldRun {
    /// The segment.
    pub segment: SegmentId,
    /// The first seq.
    pub from: ChunkSeq,
    /// One past the last.
    pub to: ChunkSeq,
}

/// The steps that code takes. `content` is a chunk's digest: it names the
/// bytes and everything before them in the segment. `payload` is the checksum of the payload alone, which a copy keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the specification's: see each variant")]
pub enum Step {
    /// A recovery learnt that its epoch and owner are in the register (P7.1).
    Claim { client: OwnerId, epoch: Epoch },
    /// A recovery took what a replica's fence answer says of one segment (P7.2).
    HearFence { epoch: Epoch, replica: DiskId, segment: SegmentId, watermark: ChunkSeq, newest: Option<ChunkSeq> },
    /// A recovery took one run of a replica's freeze answer (P7.3).
    HearFreeze { epoch: Epoch, replica: DiskId, segment: SegmentId, from: ChunkSeq, to: ChunkSeq, answer: Answer },
    /// A recovery found the end, above the floor it knows: it will copy `copy_from..end` forward (P7.3, P7.4).
    Settle { epoch: Epoch, copy_from: ChunkSeq, end: ChunkSeq, floor: ChunkSeq },
    /// A recovery handed a copy to a replica of its own new segment (P7.4).
    Copy { epoch: Epoch, replica: DiskId, segment: SegmentId, seq: ChunkSeq, content: Digest, payload: u32 },
    /// A recovery learnt that the swap took place which seals the old segments at `base` and registers `segment` (P7.5).
    Open {
        client: OwnerId,
        epoch: Epoch,
        segment: SegmentId,
        base: ChunkSeq,
        end: ChunkSeq,
        floor: ChunkSeq,
        ack_quorum: usize,
        replicas: Vec<DiskId>,
    },
    /// A deletion learnt that its tombstone is in the register (P13).
    Bury { client: OwnerId, epoch: Epoch },
    /// A recovery gave up.
    Abandon { client: OwnerId },
    /// A writer handed a chunk to a replica's connection (P2).
    Put {
        epoch: Epoch,
        replica: DiskId,
        segment: SegmentId,
        seq: ChunkSeq,
        watermark: ChunkSeq,
        content: Digest,
        payload: u32,
    },
    /// A writer acknowledged a chunk to its caller (P2).
    Commit { segment: SegmentId, seq: ChunkSeq },
    /// A writer stopped for good (P9).
    Stop { segment: SegmentId },
    /// A put passed every check of a replica and is on its way to its disk.
    Accept { replica: DiskId, segment: SegmentId, seq: ChunkSeq, watermark: ChunkSeq, content: Digest },
    /// A replica answered that a chunk is stored (P4).
    Store { replica: DiskId, segment: SegmentId, seq: ChunkSeq },
    /// From here on a replica refuses lower epochs (P3).
    RaiseFence { replica: DiskId, epoch: Epoch },
    /// What a replica's fence answer says of one segment, as it leaves (P3).
    AnswerFence { replica: DiskId, epoch: Epoch, segment: SegmentId, watermark: ChunkSeq, newest: Option<ChunkSeq> },
    /// One run of a replica's freeze answer.
    AnswerFreeze { replica: DiskId, epoch: Epoch, segment: SegmentId, from: ChunkSeq, to: ChunkSeq, answer: Answer },
    /// A floor is durable on a replica, and what lies below is dropped (P12).
    Trim { replica: DiskId, floor: ChunkSeq },
    /// A deletion is durable on a replica (P13).
    Forget { replica: DiskId, epoch: Epoch },
    /// A replica found chunks lost: it answers *unknown* from now on (P8).
    Lose { replica: DiskId, segment: SegmentId, from: ChunkSeq, to: ChunkSeq },
    /// A client learnt that a floor is in the register (P12).
    RaiseFloor { floor: ChunkSeq },
    /// A reader was given a chunk (P15).
    Read { segment: SegmentId, seq: ChunkSeq, content: Digest, payload: u32 },
    /// A replica's process or power went.
    Crash { replica: DiskId },
    /// A replica replayed its disk: this is what it holds of the log.
    Restart { replica: DiskId, fence: Epoch, floor: ChunkSeq, held: Vec<HeldRun>, lost: Vec<HeldRun> },
    /// A replica may have lost what it acknowledged: it goes by a new identity (P8).
    Retire { replica: DiskId, new: DiskId },
    /// A replica was formatted anew under its old address (P14).
    Wipe { replica: DiskId, new: DiskId },
}

/// A machine's notes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actions {
    recording: bool,
    noted: VecDeque<Action>,
}

impl Actions {
    pub(crate) fn record(&mut self) {
        self.recording = true;
    }

    /// Notes a step, if steps are recorded.
    pub(crate) fn note(&mut self, log: LogId, step: impl FnOnce() -> Step) {
        if self.recording {
            assert!(self.noted.len() < ACTIONS_HELD_MAX, "{ACTIONS_HELD_MAX} actions noted and none taken");
            self.noted.push_back(Action { log, step: step() });
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.noted.pop_front()
    }
}
