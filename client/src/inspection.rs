//! A log as the register and its replicas see it, for people: enough to draw a seq x replica matrix.

use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::ids::Epoch;
use quarry_protocol::message::{Answer, SegmentView};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd};

/// What [`crate::ChunkStore::inspect`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The register's record.
    pub record: LogRecord,
    /// First seq not known to be committed; `None` if too few replicas answered to say.
    pub tail: Option<ChunkSeq>,
    /// One per segment of the record, in order.
    pub segments: Vec<SegmentInspection>,
}

/// One segment, with what each of its replicas says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInspection {
    /// As the record has it.
    pub segment: Segment,
    /// One per replica of the segment, in order.
    pub replicas: Vec<ReplicaInspection>,
}

/// What one replica says of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaInspection {
    /// Who.
    pub replica: ReplicaRef,
    /// What it said, or why it said nothing.
    pub answer: Result<ReplicaView, String>,
}

/// A replica's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// The fence in force there.
    pub fence: Epoch,
    /// The floor it knows.
    pub floor: ChunkSeq,
    /// What it holds. Its runs cover only the end of the segment, see [`SegmentView::runs`]; below them it can be asked
    /// by reading.
    pub view: SegmentView,
}

impl ReplicaView {
    /// What this replica says of `seq`, if the view covers it: `None` is "below the part that is reported".
    #[must_use]
    pub fn answer_at(&self, seq: ChunkSeq) -> Option<Answer> {
        if seq < self.floor {
            return Some(Answer::Trimmed);
        }
        if let Some(run) = self.view.runs.iter().find(|run| run.from <= seq && seq < run.to) {
            return Some(run.answer);
        }
        self.view.newest.is_none_or(|newest| seq > newest).then_some(Answer::Never)
    }
}

impl SegmentInspection {
    /// The end as people read it: `open`, `boundary at 7` or `sealed at 7`.
    #[must_use]
    pub fn end_text(&self) -> String {
        match self.segment.end {
            SegmentEnd::Open => "open".to_owned(),
            SegmentEnd::Boundary { at } => format!("boundary at {at}"),
            SegmentEnd::Sealed { at, .. } => format!("sealed at {at}"),
        }
    }
}
