//! Copies that no record needs (P13): which there are, and freeing them after a grace time.

use super::bucket_orphans;
use crate::open::REGISTER_TIMEOUT;
use crate::quorum_store::Parts;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use quarry_protocol::ids::{DiskId, LogId, SegmentId};
use quarry_protocol::message::{HoldingsCursor, HoldingsPage, LogHolding, Refusal, Reply, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef};
use quarry_protocol::repair::judge::{Kept, may_free};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// Most records read at a time.
const RECORDS_AT_A_TIME: usize = 16;

/// A copy that no record names, on one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Where it lies.
    pub replica: ReplicaRef,
    /// Its log's id, and its name if a record has that id.
    pub log: LogId,
    /// The log's name, if a record says so.
    pub name: Option<String>,
    /// The segment.
    pub segment: SegmentId,
    /// How many chunks it has.
    pub chunks: u64,
    /// For how long nothing of it was stored, in seconds.
    pub idle_s: u64,
    /// What became of it.
    pub fate: OrphanFate,
}

/// What became of an orphan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrphanFate {
    /// It is not held any more.
    Freed,
    /// It may be freed; that was not asked for, or it is not idle for long enough.
    Waits,
    /// It stays: by P13's rule, or because its node or bucket refused.
    Stays(String),
}

/// Everything that nodes and buckets hold and no record names; frees what may be freed and is idle for `grace`, if one is given.
pub(crate) async fn orphans(parts: &Parts, grace: Option<Duration>) -> Result<Vec<Orphan>, String> {
    // Holdings come first: what is in a record that is read later is not mistaken for an orphan of an earlier one.
    let disks = parts.cluster.disks().await;
    let answers = join_all(disks.iter().map(|replica| holdings(parts, replica))).await;
    let mut held = Vec::new();
    for (replica, answer) in disks.into_iter().zip(answers) {
        match answer {
            Ok((identities, logs)) => held.push((replica, identities, logs)),
            Err(why) => tracing::info!("{} is not asked for orphans: {why}", replica.address),
        }
    }
    let mut found = bucket_orphans::orphans(parts, grace).await?;
    let records = records(parts).await?;
    for (replica, identities, logs) in held {
        for log in logs {
            let record = records.get(&log.log);
            for held in log.segments.iter().filter(|held| held.chunks > 0) {
                let judged = may_free(record, log.log, held.segment, &identities);
                if matches!(judged, Err(Kept::Named | Kept::NotSealed | Kept::MayBeRegistered)) {
                    continue;
                }
                let old = grace.is_some_and(|grace| held.idle_s >= grace.as_secs());
                let fate = match (judged, record) {
                    (Ok(()), Some(record)) if old => free(parts, &replica, record, held.segment).await,
                    (Ok(()), _) => OrphanFate::Waits,
                    (Err(kept), _) => OrphanFate::Stays(kept.to_string()),
                };
                found.push(Orphan {
                    replica: replica.clone(),
                    log: log.log,
                    name: record.map(|record| record.name.clone()),
                    segment: held.segment,
                    chunks: held.chunks,
                    idle_s: held.idle_s,
                    fate,
                });
            }
        }
    }
    Ok(found)
}

async fn free(parts: &Parts, at: &ReplicaRef, record: &LogRecord, segment: SegmentId) -> OrphanFate {
    let what = Request::Free { log: record.log, segment, word: record.number };
    match parts.cluster.link(at).call(what).await {
        Ok(Reply::Freed) => OrphanFate::Freed,
        Ok(Reply::Refused(why @ Refusal::StaleWord { .. })) => {
            OrphanFate::Stays(format!("a repair may be about to name it, or was: {why}"))
        }
        Ok(Reply::Refused(why)) => OrphanFate::Stays(why.to_string()),
        Ok(reply) => OrphanFate::Stays(format!("it answered with {reply:?}")),
        Err(why) => OrphanFate::Stays(why.to_string()),
    }
}

/// Everything that a shard holds, page by page, and the names it goes by.
pub(crate) async fn holdings(parts: &Parts, at: &ReplicaRef) -> Result<(Vec<DiskId>, Vec<LogHolding>), String> {
    let (link, mut from, mut all) = (parts.cluster.link(at), HoldingsCursor::default(), Vec::new());
    loop {
        match link.call(Request::Holdings { from }).await {
            Ok(Reply::Holdings(page)) => {
                let HoldingsPage { identities, logs, next } = *page;
                all.extend(logs);
                match next {
                    Some(next) if next > from => from = next,
                    Some(_) => return Err("its holdings do not come to an end".to_owned()),
                    None => return Ok((identities, all)),
                }
            }
            Ok(reply) => return Err(format!("it answered with {reply:?}")),
            Err(why) => return Err(why.to_string()),
        }
    }
}

/// Every record that can be read, by log id. One that cannot frees nothing: its log is not found here.
pub(super) async fn records(parts: &Parts) -> Result<BTreeMap<LogId, LogRecord>, String> {
    let found = read_all(parts).await?.into_iter().filter_map(|(_, read)| read.ok()?);
    Ok(found.map(|record| (record.log, record)).collect())
}

/// Every record; none if one of them cannot be read: its log may lie anywhere.
pub(super) async fn every_record(parts: &Parts) -> Result<Vec<LogRecord>, String> {
    let unread = |name, why| format!("log {name:?} may have chunks there, its record cannot be read: {why}");
    let found = read_all(parts).await?.into_iter();
    let records: Vec<_> =
        found.map(|(name, read)| read.map_err(|why| unread(name, why))).collect::<Result<_, String>>()?;
    Ok(records.into_iter().flatten().collect())
}

type ReadByName = (String, Result<Option<LogRecord>, String>);

/// Reads every record that the register lists. One that is gone by then is none.
async fn read_all(parts: &Parts) -> Result<Vec<ReadByName>, String> {
    let listed = timeout(REGISTER_TIMEOUT, parts.register.list("")).await;
    let late = || format!("no answer within {REGISTER_TIMEOUT:?}");
    let names = listed.map_err(|_| late())?.map_err(|why| why.to_string())?;
    let read = |name: String| async move {
        let read = timeout(REGISTER_TIMEOUT, parts.register.read(&name)).await;
        let read = read.map_err(|_| late()).and_then(|read| read.map_err(|why| why.to_string()));
        (name, read.map(|found| found.map(|(_, record)| record)))
    };
    Ok(stream::iter(names).map(read).buffered(RECORDS_AT_A_TIME).collect().await)
}
