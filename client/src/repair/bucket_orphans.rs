//! Chunks in buckets that no record needs (P13): left by a takeover that lost its race, by a trim or a deletion that was cut
//! short, or of a segment whose copies lie elsewhere now.
//!
//! ```text
//! listing ─► records ─► judged ─► the record once more ─► judged ─► each slot looked at ─► chunks deleted, markers left
//!  (hint)
//! ```

use super::orphans::{Orphan, OrphanFate, records};
use crate::bucket::BucketStore;
use crate::open::read_found;
use crate::quorum_store::Parts;
use futures::stream::{self, StreamExt, TryStreamExt};
use quarry_protocol::bucket::SlotName;
use quarry_protocol::ids::{DiskId, LogId, SegmentId};
use quarry_protocol::record::{LogRecord, ReplicaRef};
use quarry_protocol::repair::judge::{Kept, may_free_in_bucket};
use std::collections::BTreeMap;
use std::time::Duration;

/// Slots looked at and deleted at a time.
const DELETES_AT_A_TIME: usize = 8;

/// Everything that the store's own buckets hold and no record names there; frees what may be freed and is idle for `grace`, if one
/// is given.
pub(super) async fn orphans(parts: &Parts, grace: Option<Duration>) -> Result<Vec<Orphan>, String> {
    let mut held = Vec::new();
    for store in parts.cluster.buckets() {
        match listed(&store).await {
            Ok((disk, segments)) => held.push((store, disk, segments)),
            Err(why) => tracing::info!("{} is not looked through for orphans: {why}", store.place()),
        }
    }
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let records = records(parts).await?;
    let mut found = Vec::new();
    for (store, disk, segments) in held {
        for (log, segment) in segments {
            found.extend(Leftover { store: &store, disk, log, segment }.look(parts, &records, grace).await?);
        }
    }
    Ok(found)
}

async fn listed(store: &BucketStore) -> Result<(DiskId, Vec<(LogId, SegmentId)>), String> {
    let disk = store.recognise().await.map_err(|why| why.why)?;
    Ok((disk, store.segments_listed().await.map_err(|why| why.why)?))
}

/// A segment of which a bucket lists something.
struct Leftover<'a> {
    store: &'a BucketStore,
    disk: DiskId,
    log: LogId,
    segment: SegmentId,
}

impl Leftover<'_> {
    async fn look(
        &self,
        parts: &Parts,
        records: &BTreeMap<LogId, LogRecord>,
        grace: Option<Duration>,
    ) -> Result<Option<Orphan>, String> {
        let record = records.get(&self.log);
        let judged = self.judge(record);
        if matches!(judged, Err(Kept::Named | Kept::NotSealed | Kept::MayBeRegistered)) {
            return Ok(None);
        }
        let (slots, idle_s) = match self.store.chunks_listed(self.log, self.segment).await {
            Ok(listed) => listed,
            Err(why) => {
                // One segment that cannot be listed must not keep all others from being looked at (pitfall 30).
                tracing::warn!(log = %self.log, segment = %self.segment, "not looked at for orphans: {}", why.why);
                return Ok(None);
            }
        };
        if slots.is_empty() {
            return Ok(None);
        }
        let chunks = slots.len() as u64;
        let old = grace.is_some_and(|grace| idle_s >= grace.as_secs());
        let fate = match (judged, record) {
            (Ok(()), Some(record)) if old => match self.free(parts, &record.name, slots).await {
                Ok(()) => OrphanFate::Freed,
                Err(why) => OrphanFate::Stays(why),
            },
            (Ok(()), _) => OrphanFate::Waits,
            (Err(kept), _) => OrphanFate::Stays(kept.to_string()),
        };
        let place = self.store.place();
        let replica = ReplicaRef { disk: self.disk, address: place.to_string(), zone: place.zone() };
        let name = record.map(|record| record.name.clone());
        Ok(Some(Orphan { replica, log: self.log, name, segment: self.segment, chunks, idle_s, fate }))
    }

    fn judge(&self, record: Option<&LogRecord>) -> Result<(), Kept> {
        may_free_in_bucket(record, self.log, self.segment, self.disk)
    }

    /// Deletes chunks, by the word of the record as it is now.
    async fn free(&self, parts: &Parts, name: &str, slots: Vec<SlotName>) -> Result<(), String> {
        let read = read_found(parts, name).await.map_err(|_| "its record cannot be read again".to_owned())?;
        self.judge(read.as_ref().map(|(_, record)| record)).map_err(|kept| kept.to_string())?;
        let here = self.store.recognise().await.map_err(|why| why.why)?;
        if here != self.disk {
            return Err(format!("{} is another bucket now", self.store.place()));
        }
        let removals =
            stream::iter(slots).map(|slot| self.store.remove_chunk(slot)).buffer_unordered(DELETES_AT_A_TIME);
        removals.try_collect::<Vec<()>>().await.map(drop).map_err(|why| why.why)
    }
}
