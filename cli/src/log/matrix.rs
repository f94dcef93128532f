//! The matrix seq x replica of a segment. Neighbouring seqs about which every replica says the same share a row.

use quarry_client::inspection::SegmentInspection;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::Answer;
use serde::Serialize;
use std::collections::BTreeSet;

/// What every replica says of seqs `from..to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct MatrixRow {
    /// First seq.
    pub(super) from: u64,
    /// One past the last seq.
    pub(super) to: u64,
    /// One word per replica: `have`, `never`, `trimmed`, `unknown`, `silent` (it did not answer) or `committed`
    /// (known to be on an ack quorum, so that replicas do not report it one by one).
    pub(super) replicas: Vec<&'static str>,
}

/// The rows of a segment, in order.
pub(super) fn rows(inspected: &SegmentInspection) -> Vec<MatrixRow> {
    let edges: Vec<_> = edges(inspected).into_iter().collect();
    let mut rows: Vec<MatrixRow> = Vec::new();
    for pair in edges.windows(2) {
        let replicas = words(inspected, ChunkSeq(pair[0]));
        match rows.last_mut() {
            Some(last) if last.replicas == replicas => last.to = pair[1],
            _ => rows.push(MatrixRow { from: pair[0], to: pair[1], replicas }),
        }
    }
    rows
}

/// Every seq at which some replica's answer may change.
fn edges(inspected: &SegmentInspection) -> BTreeSet<u64> {
    let base = inspected.segment.base.0;
    let mut edges = BTreeSet::from([base]);
    for view in inspected.replicas.iter().filter_map(|replica| replica.answer.as_ref().ok()) {
        edges.insert(view.floor.0);
        edges.extend(view.view.newest.map(|newest| newest.0 + 1));
        edges.extend(view.view.runs.iter().flat_map(|run| [run.from.0, run.to.0]));
    }
    let end = inspected.segment.end_seq().map(|end| end.0);
    edges.extend(end);
    edges.retain(|edge| *edge >= base && end.is_none_or(|end| *edge <= end));
    edges
}

fn words(inspected: &SegmentInspection, seq: ChunkSeq) -> Vec<&'static str> {
    let word = |answer| match answer {
        Some(Answer::Have) => "have",
        Some(Answer::Never) => "never",
        Some(Answer::Trimmed) => "trimmed",
        Some(Answer::Unknown) => "unknown",
        None => "committed",
    };
    inspected
        .replicas
        .iter()
        .map(|replica| replica.answer.as_ref().map_or("silent", |view| word(view.answer_at(seq))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_client::inspection::{ReplicaInspection, ReplicaView};
    use quarry_protocol::ids::{DiskId, Epoch, SegmentId};
    use quarry_protocol::message::{Run, SegmentView};
    use quarry_protocol::record::{ReplicaRef, Segment, SegmentEnd, Window};

    /// A floor, and runs.
    type Said<'a> = (u64, &'a [(u64, u64, Answer)]);

    fn replica(number: u8, answer: Result<Said<'_>, &str>) -> ReplicaInspection {
        let address = format!("127.0.0.1:700{number}");
        let replica = ReplicaRef { disk: DiskId([number; 16]), address, zone: format!("z{number}") };
        let answer = answer.map_err(str::to_owned).map(|(floor, runs)| {
            let runs: Vec<_> =
                runs.iter().map(|&(from, to, answer)| Run { from: ChunkSeq(from), to: ChunkSeq(to), answer }).collect();
            let newest = runs.last().map(|run| ChunkSeq(run.to.0 - 1));
            let view = SegmentView { segment: SegmentId::default(), watermark: ChunkSeq(0), newest, runs };
            ReplicaView { fence: Epoch(1), floor: ChunkSeq(floor), view }
        });
        ReplicaInspection { replica, answer }
    }

    fn segment(replicas: Vec<ReplicaInspection>) -> SegmentInspection {
        let segment = Segment {
            id: SegmentId { epoch: Epoch(1), index: 0 },
            base: ChunkSeq(2),
            end: SegmentEnd::Open,
            replicas: replicas.iter().map(|replica| replica.replica.clone()).collect(),
            ack_quorum: 2,
            window: Window { chunks: 4, bytes: 1024 },
        };
        SegmentInspection { segment, replicas }
    }

    #[test]
    fn seqs_alike_on_every_replica_share_a_row() {
        use Answer::{Have, Unknown};
        let inspected = segment(vec![
            replica(1, Ok((4, &[(6, 10, Have)]))),
            replica(2, Ok((0, &[(2, 8, Have), (8, 9, Unknown)]))),
            replica(3, Err("connection refused")),
        ]);
        let got: Vec<_> = rows(&inspected).into_iter().map(|row| (row.from, row.to, row.replicas)).collect();
        let wanted = [
            (2, 4, vec!["trimmed", "have", "silent"]),
            (4, 6, vec!["committed", "have", "silent"]),
            (6, 8, vec!["have", "have", "silent"]),
            (8, 9, vec!["have", "unknown", "silent"]),
            (9, 10, vec!["have", "never", "silent"]),
        ];
        assert_eq!(got, wanted);
    }

    #[test]
    fn an_empty_segment_has_no_rows() {
        assert_eq!(rows(&segment(vec![replica(1, Ok((0, &[]))), replica(2, Err("away"))])), []);
    }
}
