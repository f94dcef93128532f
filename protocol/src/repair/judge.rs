//! Which copies nobody needs: the one rule by which a client asks a replica to free a segment (P13).

use crate::ids::{DiskId, LogId, SegmentId};
use crate::planted;
use crate::record::LogRecord;

/// Why a copy stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    /// No record says anything of this very log: nothing is deleted because something is missing.
    #[error("no record of this log is there to say that it is not needed")]
    NoRecord,
    /// The record is a tombstone: its log is deleted as a whole.
    #[error("its log is deleted, which the node has not heard of yet")]
    Deleted,
    /// The record names one of the shard's identities as a holder.
    #[error("the record names this disk as a holder")]
    Named,
    /// The segment is not sealed: its replicas do not change.
    #[error("the segment is not sealed")]
    NotSealed,
    /// A copy may be on its way back there, and a bucket cannot be told of it.
    #[error("its copies lie elsewhere; a bucket keeps its own until the log is trimmed past them, or deleted")]
    InBucket,
    /// It is of the record's own epoch, or of a later one: it may be about to be registered.
    #[error("its writer may be about to register it")]
    MayBeRegistered,
}

/// Whether a shard that goes by `identities` may free what it holds of `segment` of `log`, by the word of `record`, the one
/// that is on record now under the log's name, or none.
///
/// A shard holds what it holds under all its names. So it is a holder if the record names any of them, a retired one too.
pub fn may_free(record: Option<&LogRecord>, log: LogId, segment: SegmentId, identities: &[DiskId]) -> Result<(), Kept> {
    let Some(record) = record.filter(|record| record.log == log) else {
        return if planted!(FreeOnAbsent) { Ok(()) } else { Err(Kept::NoRecord) };
    };
    if record.deleted {
        return Err(Kept::Deleted);
    }
    match record.segments.iter().find(|known| known.id == segment) {
        Some(known) if !known.is_sealed() => Err(Kept::NotSealed),
        Some(known) if known.replicas.iter().any(|holder| identities.contains(&holder.disk)) => Err(Kept::Named),
        Some(_) => Ok(()),
        None if segment.epoch < record.epoch => Ok(()),
        None => Err(Kept::MayBeRegistered),
    }
}

/// Whether chunks of `segment` of `log` may be deleted from the bucket named `disk`, by the word of `record`. Markers never are.
///
/// A bucket takes no pin and no word: whatever is decided may take place after the next change of the record, or long after. So only
/// what stays true for ever counts.
///
/// - A segment that the record does not name, of an epoch below the record's, is never named again. It is put on record by a swap of
///   its own epoch's owner only (P7.5, P11), which compares a record of that epoch, and epochs rise. So it was never named (a takeover
///   that lost its race), or it left the chain, all of it below the floor. A recovery under way copies into a segment of the record's
///   own epoch, which stays; one that was overtaken may go on copying for a while, into what nobody will read.
/// - A tombstone is the last record of its log.
/// - A segment that lies elsewhere now could be brought back by a copy that began before it was looked at: it stays.
///
/// Chunks keep nobody from anything; what fences a writer of such a segment are markers, at its end or in its window, and they stay for
/// the life of the log and beyond. A put that comes late fills a slot anew, and is garbage as it was before.
pub fn may_free_in_bucket(
    record: Option<&LogRecord>,
    log: LogId,
    segment: SegmentId,
    disk: DiskId,
) -> Result<(), Kept> {
    match may_free(record, log, segment, &[disk]) {
        Err(Kept::Deleted) => Ok(()),
        Ok(()) if record.is_some_and(|record| record.segments.iter().any(|known| known.id == segment)) => {
            Err(Kept::InBucket)
        }
        judged => judged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::ids::{ChunkSeq, Epoch};
    use crate::record::{ReplicaRef, Segment, SegmentEnd, Window};

    const LOG: LogId = LogId([1; 16]);

    const fn disk(number: u8) -> DiskId {
        DiskId([number; 16])
    }

    const fn id(epoch: u64) -> SegmentId {
        SegmentId { epoch: Epoch(epoch), index: 0 }
    }

    fn segment(epoch: u64, end: SegmentEnd) -> Segment {
        let at = |number| ReplicaRef { disk: disk(number), address: "n:1".into(), zone: alloc::format!("z{number}") };
        Segment {
            id: id(epoch),
            base: ChunkSeq(0),
            end,
            replicas: [at(1), at(2), at(3)].to_vec(),
            ack_quorum: 2,
            window: Window { chunks: 4, bytes: 100 },
        }
    }

    fn record() -> LogRecord {
        let sealed = SegmentEnd::Sealed { at: ChunkSeq(9), digest: Digest::default() };
        let segments = [segment(2, sealed), Segment { base: ChunkSeq(9), ..segment(5, SegmentEnd::Open) }].to_vec();
        LogRecord { epoch: Epoch(5), segments, ..LogRecord::new("log", LOG) }
    }

    #[test]
    fn only_a_record_of_this_very_log_frees_anything() {
        let record = record();
        let free = |log, epoch, names: &[DiskId]| may_free(Some(&record), log, id(epoch), names);
        assert_eq!(free(LOG, 2, &[disk(4)]), Ok(()), "sealed, and held by others");
        assert_eq!(free(LOG, 3, &[disk(1)]), Ok(()), "a takeover that lost a race");
        assert_eq!(free(LOG, 2, &[disk(2)]), Err(Kept::Named));
        assert_eq!(free(LOG, 2, &[disk(9), disk(2)]), Err(Kept::Named), "under the name it had before");
        assert_eq!(free(LOG, 5, &[disk(4)]), Err(Kept::NotSealed));
        let next = SegmentId { index: 1, ..id(5) };
        assert_eq!(may_free(Some(&record), LOG, next, &[disk(4)]), Err(Kept::MayBeRegistered));
        assert_eq!(free(LOG, 6, &[disk(4)]), Err(Kept::MayBeRegistered), "the record was read long ago");
        assert_eq!(free(LogId([2; 16]), 2, &[disk(4)]), Err(Kept::NoRecord));
        assert_eq!(may_free(None, LOG, id(2), &[disk(4)]), Err(Kept::NoRecord));
        let deleted = LogRecord { deleted: true, ..record };
        assert_eq!(may_free(Some(&deleted), LOG, id(2), &[disk(4)]), Err(Kept::Deleted));
    }

    #[test]
    fn a_bucket_is_freed_only_of_what_stays_unnamed() {
        let record = record();
        let free = |log, epoch, at| may_free_in_bucket(Some(&record), log, id(epoch), disk(at));
        assert_eq!(free(LOG, 3, 1), Ok(()), "a takeover that lost a race");
        assert_eq!(free(LOG, 2, 4), Err(Kept::InBucket), "a copy may be on its way back");
        assert_eq!(free(LOG, 2, 2), Err(Kept::Named));
        assert_eq!(free(LOG, 5, 4), Err(Kept::NotSealed));
        let next = SegmentId { index: 1, ..id(5) };
        assert_eq!(
            may_free_in_bucket(Some(&record), LOG, next, disk(4)),
            Err(Kept::MayBeRegistered),
            "a recovery copies"
        );
        assert_eq!(free(LOG, 6, 4), Err(Kept::MayBeRegistered));
        assert_eq!(free(LogId([2; 16]), 2, 4), Err(Kept::NoRecord));
        assert_eq!(may_free_in_bucket(None, LOG, id(2), disk(4)), Err(Kept::NoRecord));
        let deleted = LogRecord { deleted: true, ..record };
        assert_eq!(may_free_in_bucket(Some(&deleted), LOG, id(2), disk(2)), Ok(()), "a tombstone is the last word");
    }
}
