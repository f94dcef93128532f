//! Every copy of every sealed segment, read from its own holder and compared: what repair says is whole has to be.

use super::checker::{Checker, log_name};
use super::clients::repair_options;
use quarry_client::link::tcp::ANY_CLUSTER;
use quarry_client::link::{ReplicaLink, TcpLink};
use quarry_client::{ChunkStore, QuorumStore};
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::limits::{READ_BYTES_MAX, READ_CHUNKS_MAX};
use quarry_protocol::record::{ReplicaRef, Segment};
use quarry_protocol::repair::SegmentOutcome;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long repair may take until everything is whole. Every node is up, so it is a matter of copying.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long one waits between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Repairs a log until all of its sealed segments are whole, and then looks at each copy. Says how many there are.
pub(super) async fn look(store: &QuorumStore, checker: &Checker, log: usize) -> Result<u64, String> {
    repair(store, checker, log).await?;
    let record = store.inspect(&log_name(log)).await.map_err(|why| why.to_string())?.record;
    let mut copies = 0;
    for segment in &record.segments {
        let Some(end) = segment.end_seq().filter(|_| segment.is_sealed()) else { continue };
        let part = segment.base.max(record.floor)..end;
        let zones: BTreeSet<_> = segment.replicas.iter().map(|replica| &replica.zone).collect();
        if zones.len() < segment.replicas.len() {
            return Err(format!("segment {} has two copies in one zone: {:?}", segment.id, segment.replicas));
        }
        for replica in &segment.replicas {
            let whole = compare(checker, (log, record.log), segment, replica, part.clone()).await;
            whole.map_err(|why| format!("segment {} at {} ({}): {why}", segment.id, replica.zone, replica.address))?;
            copies += 1;
        }
    }
    Ok(copies)
}

/// Repairs until nothing is left to do.
async fn repair(store: &QuorumStore, checker: &Checker, log: usize) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let report =
            store.repair(&log_name(log), &repair_options(), &mut |_| {}).await.map_err(|why| why.to_string())?;
        checker.count(|counts| counts.chunks_repaired += report.chunks);
        let short = report.segments.iter().find(|segment| segment.outcome != SegmentOutcome::Whole);
        match short {
            None => return Ok(()),
            Some(segment) if since.elapsed() > PATIENCE => {
                return Err(format!("not whole {PATIENCE:?} after all was healed: {segment:?}"));
            }
            Some(_) => sleep(PAUSE).await,
        }
    }
}

/// Reads a copy from its holder, and from nobody else.
async fn compare(
    checker: &Checker,
    (log, id): (usize, LogId),
    segment: &Segment,
    replica: &ReplicaRef,
    part: Range<ChunkSeq>,
) -> Result<(), String> {
    let link = TcpLink::new(replica.clone(), ANY_CLUSTER);
    let mut next = part.start;
    while next < part.end {
        let chunks_max = READ_CHUNKS_MAX.min((part.end.0 - next.0) as u32);
        let read = link.read(id, segment.id, next, chunks_max, READ_BYTES_MAX).await.map_err(|why| why.to_string())?;
        if read.chunks.is_empty() {
            return Err(format!("it says {:?} of seq {next}", read.answer));
        }
        for chunk in read.chunks {
            checker.ledger(log).read(next.0, &chunk.payload)?;
            next = next.next();
        }
    }
    Ok(())
}
