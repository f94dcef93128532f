//! Since when chunks are held and when they were verified last: what a durability receipt says.
//!
//! Chunks have no time of their own. What is known of one is what is known of the chunk file it lies in: it was stored, or
//! copied forward, between the file's opening and its closing, and was verified when the whole file was.

use super::Store;
use super::index::ChunkKey;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::{PROVENANCE_CHUNKS_MAX, RANGES_PER_ANSWER_MAX};
use quarry_protocol::message::ProvenanceRun;

impl Store {
    /// The chunks `from..to` of a segment that are held durably and are not lost, as runs, and the first seq that was not
    /// looked at: an answer has its bounds.
    pub fn provenance(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        to: ChunkSeq,
    ) -> (Vec<ProvenanceRun>, ChunkSeq) {
        let mut runs: Vec<ProvenanceRun> = Vec::new();
        for (looked_at, (seq, place)) in self.index.range(log, segment, from, to).enumerate() {
            if looked_at == PROVENANCE_CHUNKS_MAX {
                return (runs, seq);
            }
            if self.state.is_lost(&ChunkKey { log, segment, seq }) {
                continue;
            }
            let run = ProvenanceRun { from: seq, to: seq.next(), ..self.provenance_of_file(place.file) };
            let joins = |last: &&mut ProvenanceRun| **last == ProvenanceRun { from: last.from, to: seq, ..run };
            if let Some(last) = runs.last_mut().filter(joins) {
                last.to = run.to;
            } else if runs.len() == RANGES_PER_ANSWER_MAX {
                return (runs, seq);
            } else {
                runs.push(run);
            }
        }
        (runs, to)
    }

    fn provenance_of_file(&self, number: u32) -> ProvenanceRun {
        let file = self.files.get(number);
        let nowhere = ChunkSeq(0);
        ProvenanceRun {
            from: nowhere,
            to: nowhere,
            stored_from_s: file.opened_at_s,
            stored_to_s: if file.closed_at_s == 0 { self.wall_clock_s() } else { file.closed_at_s },
            verified_at_s: (file.verified_at_s > 0).then_some(file.verified_at_s),
        }
    }
}
