//! What a trim changes in a record.

use crate::ids::{ChunkSeq, DiskId};
use crate::record::{LogRecord, Segment};
use alloc::collections::BTreeSet;

/// The record with its floor raised to `floor`.
pub(super) fn with_floor(record: &LogRecord, floor: ChunkSeq) -> LogRecord {
    LogRecord { floor: record.floor.max(floor), ..record.changed() }
}

/// The record without the segments that lie wholly below the floor and are not needed to reach a replica: each of their
/// replicas knows the floor, or is on record in a segment that stays. `None` if there are none.
pub(super) fn without_dropped_segments(record: &LogRecord, knows_floor: &BTreeSet<DiskId>) -> Option<LogRecord> {
    let below = record.segments.iter().take_while(|segment| is_below(segment, record.floor)).count();
    let stays: BTreeSet<_> = record.segments[below..].iter().flat_map(disks).collect();
    let droppable =
        |segment: &&Segment| disks(segment).all(|disk| knows_floor.contains(&disk) || stays.contains(&disk));
    let dropped = record.segments[..below].iter().take_while(droppable).count();
    (dropped > 0).then(|| LogRecord { segments: record.segments[dropped..].to_vec(), ..record.changed() })
}

/// Only a sealed segment's end is where it really ends.
fn is_below(segment: &Segment, floor: ChunkSeq) -> bool {
    segment.is_sealed() && segment.end_seq().is_some_and(|end| end <= floor)
}

fn disks(segment: &Segment) -> impl Iterator<Item = DiskId> + '_ {
    segment.replicas.iter().map(|replica| replica.disk)
}
