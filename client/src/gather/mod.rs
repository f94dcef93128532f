//! Bringing a log's old segments onto the tier that its new ones lie on: copies first, verified, then the record, then the holders are
//! verified once more (P16). What lay elsewhere is not touched: nodes free it when the record names others (P13), a bucket keeps it.
//!
//! ```text
//!  read the record ─► place ─► pin nodes ─► what lacks? ─► copy, chained from base to seal ─► complete? ─► swap ─► complete?
//!        ▲                                                                                                  │
//!        └───────── the record was changed, or may have been: what is there already is not copied again ◄───┘
//! ```
//! Only the record and what replicas hold is state: a run that is cut short anywhere is taken up by the next one. The set of
//! replicas may have another size than the old one, and the ack quorum goes with it. An unsealed segment is none of its business.
//!
//! A slot of a bucket that is written twice holds the same bytes: a create that finds something there compares it. Two runs at once are
//! two that copy the same, of which one swaps.

mod chain;
mod copy;

use crate::bucket::BucketPlace;
use crate::cluster::PlaceRequest;
use crate::open::{placed_in_time, read_found, swap_record};
use crate::quorum_store::Parts;
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::limits::SEGMENTS_PER_LOG_MAX;
use quarry_protocol::message::{Answer, Refusal, Reply, Request};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, Version};
use quarry_protocol::recovery::{RegisterFailure, SwapOutcome};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often one segment is begun anew, because the record or its holders changed meanwhile.
const ATTEMPTS_MAX: u32 = 8;
/// Pause before the record is read again, after it was not certain what became of a change.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What was brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Segments that lie here now, and did not before.
    pub segments: Vec<SegmentId>,
    /// Chunks that were copied; to several replicas, they count once for each.
    pub chunks: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Segments that stay where they are, and why.
    pub left: Vec<(SegmentId, String)>,
}

/// Why nothing was brought.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatherError {
    /// There is no such log.
    #[error("log {name:?} does not exist: check the name (list the logs)")]
    NotFound {
        /// Its name.
        name: String,
    },
    /// The register did not say where its segments lie.
    #[error("the record of log {name:?} cannot be read: {why}: run it again, what was copied is kept")]
    Register {
        /// The log's name.
        name: String,
        /// What it said.
        why: String,
    },
}

/// What became of one attempt at a segment.
enum Attempt {
    /// It lies here; whether this run put that on record.
    Here { swapped: bool },
    /// Look again: the record changed, or may have.
    Again(String),
    /// It stays where it is.
    Left(String),
}

/// See the module. `bytes_per_s` bounds the copying.
pub(crate) async fn gather(
    parts: &Parts,
    name: &str,
    bytes_per_s: u64,
    progress: &mut (dyn FnMut(&Gathered) + Send),
) -> Result<Gathered, GatherError> {
    let mut done = Gathered::default();
    // How often a segment was tried, and who held it when it was tried first.
    let mut tried: BTreeMap<SegmentId, (u32, Vec<ReplicaRef>)> = BTreeMap::new();
    let mut over = Vec::new();
    loop {
        let read = read_found(parts, name).await;
        let read = read.map_err(|failure| match failure {
            RegisterFailure::Unavailable(why) | RegisterFailure::Unusable(why) => why,
        });
        let read = read.map_err(|why| GatherError::Register { name: name.to_owned(), why })?;
        let found = read.filter(|(_, record)| !record.deleted);
        let (version, record) = found.ok_or_else(|| GatherError::NotFound { name: name.to_owned() })?;
        let next = record.segments.iter().find(|segment| segment.is_sealed() && !over.contains(&segment.id));
        let Some(segment) = next.cloned() else { return Ok(done) };
        let (attempts, sources) = tried.entry(segment.id).or_insert_with(|| (0, segment.replicas.clone()));
        *attempts += 1;
        let work = Work { parts, record: &record, segment: &segment, sources, bytes_per_s };
        match work.attempt(&version, &mut done, progress).await {
            Attempt::Here { swapped } => {
                if swapped || *attempts > 1 && *sources != segment.replicas {
                    done.segments.push(segment.id);
                }
                over.push(segment.id);
            }
            Attempt::Again(_) if *attempts < ATTEMPTS_MAX => tokio::time::sleep(AGAIN_AFTER).await,
            Attempt::Again(why) | Attempt::Left(why) => {
                done.left.push((segment.id, why));
                over.push(segment.id);
            }
        }
        progress(&done);
    }
}

/// One segment.
struct Work<'a> {
    parts: &'a Parts,
    record: &'a LogRecord,
    segment: &'a Segment,
    /// Who held it when this run began.
    sources: &'a [ReplicaRef],
    bytes_per_s: u64,
}

impl Work<'_> {
    async fn attempt(
        &self,
        version: &Version,
        done: &mut Gathered,
        progress: &mut (dyn FnMut(&Gathered) + Send),
    ) -> Attempt {
        let shape = self.parts.defaults;
        let keep = &self.segment.replicas;
        let request = PlaceRequest { keep, ..PlaceRequest::new(self.record.log, shape.replicas, &[]) };
        let targets = match placed_in_time(self.parts.cluster.place(request)).await {
            Ok(targets) => targets,
            Err(why) => return Attempt::Left(why),
        };
        let is_here = is_here(&self.segment.replicas, &targets);
        if is_here && self.sources == self.segment.replicas {
            return Attempt::Here { swapped: false };
        }
        // It was put on record by this run, or while it was at it: the holders are looked at once more.
        let targets = if is_here { self.segment.replicas.clone() } else { targets };
        if let Err(not) = self.fill(&targets, done, progress).await {
            return not;
        }
        if is_here {
            return Attempt::Here { swapped: false };
        }
        let mut changed = self.record.changed();
        let place = changed.segments.iter_mut().find(|segment| segment.id == self.segment.id);
        let place = place.expect("a copy of the record");
        (place.replicas, place.ack_quorum) = (targets.clone(), shape.ack_quorum as u8);
        if let Err(why) = changed.check(SEGMENTS_PER_LOG_MAX) {
            return Attempt::Left(format!("its new holders cannot be put on record: {why}"));
        }
        match swap_record(self.parts, Some(version), &changed).await {
            SwapOutcome::Done(_) => match self.fill(&targets, done, progress).await {
                Ok(()) => Attempt::Here { swapped: true },
                // It is on record by now: what is missing is looked at again, not left.
                Err(Attempt::Left(why)) => Attempt::Again(why),
                Err(not) => not,
            },
            SwapOutcome::Conflict => Attempt::Again("others keep changing the record".to_owned()),
            SwapOutcome::Ambiguous(why) | SwapOutcome::Failed(why) => Attempt::Again(why),
        }
    }

    /// Has all of these hold all of the segment.
    async fn fill(
        &self,
        targets: &[ReplicaRef],
        done: &mut Gathered,
        progress: &mut (dyn FnMut(&Gathered) + Send),
    ) -> Result<(), Attempt> {
        for target in targets {
            self.pin(target).await?;
        }
        let missing = self.missing(targets).await?;
        if missing.iter().all(SeqRanges::is_empty) {
            return Ok(());
        }
        let targets: Vec<_> = targets.iter().zip(missing).collect();
        copy::copy(self, &targets, done, progress).await.map_err(Attempt::Left)?;
        let targets: Vec<ReplicaRef> = targets.into_iter().map(|(target, _)| target.clone()).collect();
        let missing = self.missing(&targets).await?;
        let short = targets.iter().zip(&missing).find(|(_, missing)| !missing.is_empty());
        match short {
            None => Ok(()),
            Some((at, _)) => Err(Attempt::Again(format!("{} does not show what was copied to it", at.address))),
        }
    }

    /// P13: no client that read an older record frees there what is copied. Nothing frees segments on record in a bucket.
    async fn pin(&self, at: &ReplicaRef) -> Result<(), Attempt> {
        if BucketPlace::is_address(&at.address) {
            return Ok(());
        }
        let word = if self.segment.replicas.contains(at) { self.record.number } else { self.record.number.next() };
        let left = |why: String| Attempt::Left(format!("{} takes no copies: {why}", at.address));
        match self.parts.cluster.link(at).call(Request::Pin { log: self.record.log, word }).await {
            Ok(Reply::Pinned { .. }) => Ok(()),
            Ok(Reply::Refused(why @ (Refusal::StaleWord { .. } | Refusal::LogDeleted { .. }))) => {
                Err(Attempt::Again(why.to_string()))
            }
            Ok(Reply::Refused(why)) => Err(left(why.to_string())),
            Ok(reply) => Err(left(format!("it answered a pin with {reply:?}"))),
            Err(why) => Err(left(why.to_string())),
        }
    }

    /// What each of these lacks of the segment.
    async fn missing(&self, targets: &[ReplicaRef]) -> Result<Vec<SeqRanges>, Attempt> {
        let mut all = Vec::new();
        for target in targets {
            let missing = self.missing_at(target).await;
            all.push(
                missing
                    .map_err(|why| Attempt::Left(format!("{} does not say what it holds: {why}", target.address)))?,
            );
        }
        Ok(all)
    }

    async fn missing_at(&self, at: &ReplicaRef) -> Result<SeqRanges, String> {
        let (mut from, to) = self.range();
        let (link, mut missing) = (self.parts.cluster.link(at), SeqRanges::new());
        missing.insert(from, to);
        while from < to {
            let what = Request::Inventory { log: self.record.log, segment: self.segment.id, from, to };
            let (runs, next) = match link.call(what).await {
                Ok(Reply::Inventory { runs, next }) if next > from => (runs, next),
                Ok(Reply::Refused(why)) => return Err(why.to_string()),
                Ok(reply) => return Err(format!("it answered an inventory with {reply:?}")),
                Err(why) => return Err(why.to_string()),
            };
            for run in runs.iter().filter(|run| matches!(run.answer, Answer::Have | Answer::Trimmed)) {
                missing.remove(run.from, run.to);
            }
            from = next;
        }
        Ok(missing)
    }

    /// What is kept of the segment.
    fn range(&self) -> (ChunkSeq, ChunkSeq) {
        let to = self.segment.end_seq().expect("it is sealed");
        (self.segment.base.max(self.record.floor).min(to), to)
    }
}

/// Whether a segment lies on the tier of these replicas: on nodes, whichever they are; or in the very same buckets.
fn is_here(holders: &[ReplicaRef], targets: &[ReplicaRef]) -> bool {
    let in_buckets = |all: &[ReplicaRef]| all.iter().any(|at| BucketPlace::is_address(&at.address));
    if !in_buckets(targets) {
        return !in_buckets(holders);
    }
    holders.len() == targets.len() && holders.iter().all(|holder| targets.iter().any(|at| at.disk == holder.disk))
}
