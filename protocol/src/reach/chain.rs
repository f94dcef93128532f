//! The digest that runs through a segment's chunks: what makes replicas that hold different histories visible.

use crate::chunk::ChunkHeader;
use crate::digest::Digest;
use crate::ids::LogId;
use crate::record::{Segment, SegmentEnd};
use alloc::string::String;

/// Where the chain of the segment under way stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    /// Unknown if the reader came into the segment behind its first chunk.
    digest: Option<Digest>,
}

impl Chain {
    /// Takes the next chunk of `segment`, or says why it cannot be the next one.
    pub(super) fn take(&mut self, log: LogId, segment: &Segment, header: &ChunkHeader) -> Result<(), String> {
        let start = (header.seq == segment.base).then(|| Digest::start(log, segment.id, segment.base));
        if start.or(self.digest).is_some_and(|before| !before.continues_with(header)) {
            return Err(alloc::format!(
                "chunk {}/{} does not continue the chain of digests before it",
                segment.id,
                header.seq
            ));
        }
        match segment.end {
            SegmentEnd::Sealed { at, digest } if header.seq.next() == at && header.digest != digest => {
                return Err(alloc::format!(
                    "segment {} ends with digest {}, but was sealed with {digest}",
                    segment.id,
                    header.digest
                ));
            }
            _ => self.digest = Some(header.digest),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ChunkSeq, DiskId, Epoch, SegmentId};
    use crate::record::{ReplicaRef, Window};
    use alloc::vec;
    use alloc::vec::Vec;

    const LOG: LogId = LogId([4; 16]);

    fn segment() -> Segment {
        Segment {
            id: SegmentId { epoch: Epoch(1), index: 0 },
            base: ChunkSeq(10),
            end: SegmentEnd::Open,
            replicas: vec![ReplicaRef { disk: DiskId([1; 16]), address: String::new(), zone: String::new() }],
            ack_quorum: 1,
            window: Window { chunks: 1, bytes: 1 },
        }
    }

    fn chunks(count: u64) -> Vec<ChunkHeader> {
        let segment = segment();
        let mut digest = Digest::start(LOG, segment.id, segment.base);
        (10..10 + count)
            .map(|seq| {
                digest = digest.chain(ChunkSeq(seq), 5, seq as u32);
                ChunkHeader {
                    log: LOG,
                    segment: segment.id,
                    seq: ChunkSeq(seq),
                    watermark: ChunkSeq(0),
                    length: 5,
                    payload_crc: seq as u32,
                    digest,
                }
            })
            .collect()
    }

    #[test]
    fn a_whole_segment_and_its_seal_hold_together() {
        let (headers, mut segment) = (chunks(3), segment());
        segment.end = SegmentEnd::Sealed { at: ChunkSeq(13), digest: headers[2].digest };
        for start in 0..3 {
            let mut chain = Chain::default();
            headers[start..].iter().for_each(|h| chain.take(LOG, &segment, h).unwrap());
        }
        segment.end = SegmentEnd::Sealed { at: ChunkSeq(13), digest: headers[1].digest };
        assert!(Chain::default().take(LOG, &segment, &headers[2]).unwrap_err().contains("sealed with"));
    }

    /// P1: a chunk of another history, whole by its own checksums, is noticed.
    #[test]
    fn a_chunk_of_another_history_is_noticed() {
        let mut headers = chunks(3);
        headers[1].payload_crc += 1;
        let mut chain = Chain::default();
        chain.take(LOG, &segment(), &headers[0]).unwrap();
        assert!(chain.take(LOG, &segment(), &headers[1]).is_err());
        assert!(Chain::default().take(LogId([5; 16]), &segment(), &headers[0]).is_err());
    }
}
