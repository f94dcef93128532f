//! The durability receipt of a log: for each range, who holds it, since when, and when it was verified last.

use crate::bucket::BucketPlace;
use crate::error::InspectError;
use crate::lookup::lookup;
use crate::open::who;
use crate::quorum_store::Parts;
use crate::tail::committed;
use futures::future::join_all;
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::message::{Answer, ProvenanceRun, Reply, Request};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

/// What [`crate::QuorumStore::receipt`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurabilityReceipt {
    /// The log's name.
    pub log: String,
    /// Its id.
    pub id: LogId,
    /// First seq not known to be committed; `None` if too few replicas answered to say.
    pub tail: Option<ChunkSeq>,
    /// One per segment of the record, in order.
    pub segments: Vec<SegmentReceipt>,
}

/// One segment, with what each of its replicas says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReceipt {
    /// As the record has it.
    pub segment: Segment,
    /// Its first seq that is not trimmed.
    pub from: ChunkSeq,
    /// One past the last seq that the receipt is for: where the segment ended or the tail, whichever is lower. If the tail is
    /// not known, one past the last seq that a replica told of.
    pub end: ChunkSeq,
    /// One per replica of the segment, in order.
    pub holders: Vec<HolderReceipt>,
}

/// What one replica says of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderReceipt {
    /// Who.
    pub replica: ReplicaRef,
    /// What it holds of it, in order; or why it said nothing.
    pub answer: Result<Vec<ProvenanceRun>, String>,
}

/// A range and how many replicas say that they hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeCopies {
    /// First seq.
    pub from: ChunkSeq,
    /// One past the last seq.
    pub to: ChunkSeq,
    /// At least so many copies: replicas that did not answer may hold it too.
    pub copies: usize,
}

impl SegmentReceipt {
    /// How many copies each range has. Neighbouring seqs with as many copies share a range.
    #[must_use]
    pub fn copies(&self) -> Vec<RangeCopies> {
        let held = || self.holders.iter().filter_map(|holder| holder.answer.as_ref().ok()).flatten();
        let mut edges: BTreeSet<ChunkSeq> = held().flat_map(|run| [run.from, run.to]).collect();
        edges.extend([self.from, self.end]);
        let edges: Vec<_> = edges.range(self.from..=self.end).copied().collect();
        let mut ranges: Vec<RangeCopies> = Vec::new();
        for edge in edges.windows(2) {
            let (from, to) = (edge[0], edge[1]);
            let copies = held().filter(|run| run.from <= from && from < run.to).count();
            match ranges.last_mut() {
                Some(last) if last.copies == copies => last.to = to,
                _ => ranges.push(RangeCopies { from, to, copies }),
            }
        }
        ranges
    }

    /// Whether every replica of the segment says that it holds all of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.copies().iter().all(|range| range.copies >= self.segment.replicas.len())
    }

    /// The ranges that a holder with these runs lacks, each from its first seq to one past its last.
    #[must_use]
    pub fn missing(&self, runs: &[ProvenanceRun]) -> Vec<(ChunkSeq, ChunkSeq)> {
        let (mut missing, mut next) = (Vec::new(), self.from);
        for run in runs {
            if run.from > next {
                missing.push((next, run.from));
            }
            next = run.to;
        }
        if next < self.end {
            missing.push((next, self.end));
        }
        missing
    }
}

pub(crate) async fn receipt(parts: &Parts, name: &str) -> Result<DurabilityReceipt, InspectError> {
    let (_, record) = lookup(parts, name).await.map_err(|none| none.inspect_error(name))?;
    // First: what is committed by now is held by now.
    let tail = committed(parts, &record).await.ok();
    let spans: Vec<_> = record.segments.iter().map(|segment| span(segment, record.floor, tail)).collect();
    let said = ask_everybody(parts, &record, &spans).await;
    let segments = record.segments.iter().zip(&spans).enumerate().map(|(i, (segment, (from, to)))| {
        let answer = |replica: &ReplicaRef| said[&(replica, i)].clone();
        let holders = segment.replicas.iter().map(|at| HolderReceipt { replica: at.clone(), answer: answer(at) });
        let holders: Vec<HolderReceipt> = holders.collect();
        let told = || holders.iter().filter_map(|holder| holder.answer.as_ref().ok()).flatten().map(|run| run.to).max();
        let end = if *to == UNKNOWN { told().unwrap_or(*from) } else { *to };
        SegmentReceipt { segment: segment.clone(), from: *from, end, holders }
    });
    Ok(DurabilityReceipt { segments: segments.collect(), log: record.name.clone(), id: record.log, tail })
}

/// The end of what is asked for where the tail is not known.
const UNKNOWN: ChunkSeq = ChunkSeq(u64::MAX);

/// What a receipt is for: what is neither trimmed nor past the tail.
fn span(segment: &Segment, floor: ChunkSeq, tail: Option<ChunkSeq>) -> (ChunkSeq, ChunkSeq) {
    let from = segment.base.max(floor);
    let end = segment.end_seq().unwrap_or(UNKNOWN);
    // What is sealed is committed, whatever replicas know of it.
    let tail = if segment.is_sealed() { end } else { tail.unwrap_or(UNKNOWN) };
    (from, end.min(tail).max(from))
}

type Said<'a> = BTreeMap<(&'a ReplicaRef, usize), Result<Vec<ProvenanceRun>, String>>;

/// Asks all replicas at once, each for one segment after the other. One that fails is not asked again.
async fn ask_everybody<'a>(parts: &Parts, record: &'a LogRecord, spans: &[(ChunkSeq, ChunkSeq)]) -> Said<'a> {
    let mut holds: BTreeMap<&ReplicaRef, Vec<usize>> = BTreeMap::new();
    for (i, segment) in record.segments.iter().enumerate() {
        for replica in &segment.replicas {
            holds.entry(replica).or_default().push(i);
        }
    }
    let asked = holds.into_iter().map(|(replica, segments)| async move {
        let mut said = Vec::new();
        let mut failed = None;
        for i in segments {
            let answer = match failed.clone() {
                Some(why) => Err(why),
                None => ask(parts, record, replica, i, spans[i]).await,
            };
            failed = answer.as_ref().err().cloned();
            said.push(((replica, i), answer));
        }
        said
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What one replica holds of a segment, page by page.
async fn ask(
    parts: &Parts,
    record: &LogRecord,
    at: &ReplicaRef,
    segment: usize,
    (from, to): (ChunkSeq, ChunkSeq),
) -> Result<Vec<ProvenanceRun>, String> {
    if BucketPlace::is_address(&at.address) {
        let looked = look(parts, record, at, segment, (from, to)).await;
        return looked.map_err(|why| format!("{}: {why}", who(at)));
    }
    let (link, mut heard) = (parts.cluster.link(at), Heard { runs: Vec::new(), next: from });
    while heard.next < to {
        let request =
            Request::Provenance { log: record.log, segment: record.segments[segment].id, from: heard.next, to };
        let reply = link.call(request).await.map_err(|why| format!("{}: {why}", who(at)))?;
        heard.page(reply, to).map_err(|why| format!("{}: {why}", who(at)))?;
    }
    Ok(heard.runs)
}

/// What lies in a bucket's slots now. A bucket keeps no times: what is seen there was stored before that.
async fn look(
    parts: &Parts,
    record: &LogRecord,
    at: &ReplicaRef,
    segment: usize,
    (mut from, to): (ChunkSeq, ChunkSeq),
) -> Result<Vec<ProvenanceRun>, String> {
    if to == UNKNOWN {
        return Err("how far the log goes is not known, and every slot would have to be looked at".to_owned());
    }
    let (link, mut held) = (parts.cluster.link(at), SeqRanges::new());
    while from < to {
        let request = Request::Inventory { log: record.log, segment: record.segments[segment].id, from, to };
        let (runs, next) = match link.call(request).await.map_err(|why| why.to_string())? {
            Reply::Inventory { runs, next } if next > from => (runs, next),
            Reply::Refused(refusal) => return Err(refusal.to_string()),
            other => return Err(format!("it answered an inventory with {other:?}")),
        };
        for run in runs.iter().filter(|run| run.answer == Answer::Have) {
            held.insert(run.from, run.to);
        }
        from = next;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seen = |(from, to)| ProvenanceRun { from, to, stored_from_s: 0, stored_to_s: now, verified_at_s: None };
    Ok(held.iter().map(seen).collect())
}

/// The pages of one replica's answer so far.
struct Heard {
    runs: Vec<ProvenanceRun>,
    /// The first seq that it has not looked at.
    next: ChunkSeq,
}

impl Heard {
    fn page(&mut self, reply: Reply, to: ChunkSeq) -> Result<(), String> {
        let (runs, next) = match reply {
            Reply::Provenance { runs, next } => (runs, next),
            Reply::Refused(refusal) => return Err(refusal.to_string()),
            other => return Err(format!("it answered a provenance request with {other:?}")),
        };
        if next <= self.next {
            return Err(format!("its provenance does not go on from seq {}", self.next));
        }
        let mut at = self.next;
        for run in runs {
            if run.from < at || run.to <= run.from || run.to > to {
                let (from, end) = (run.from, run.to);
                return Err(format!("its provenance is out of order: {from} to {end}, asked from {at} to {to}"));
            }
            at = run.to;
            // A page may have ended within a run.
            let joins = |last: &&mut ProvenanceRun| **last == ProvenanceRun { from: last.from, to: run.from, ..run };
            match self.runs.last_mut().filter(joins) {
                Some(last) => last.to = run.to,
                None => self.runs.push(run),
            }
        }
        self.next = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
