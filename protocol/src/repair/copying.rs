//! Copying: chunk by chunk, from many to many, verified before it is stored anywhere.
//!
//! ```text
//! wanted: what somebody lacks, and its neighbours, which bind it
//!   fetch (sources take turns) ─► got ─► chain of digests, in order ─► held back until the next one binds it ─► copies
//! ```

use super::budget::{Budget, SLOW_COPY_US};
use super::event::CopyFailure;
use super::party::{Stock, held_by_nobody, missing_of, subtract};
use super::segment::Job;
use super::{Phase, Repair, RepairEffect};
use crate::backoff::Backoff;
use crate::chunk::ChunkHeader;
use crate::digest::Digest;
use crate::ids::{ChunkSeq, DiskId, LogId};
use crate::message::Refusal;
use crate::planted;
use crate::ranges::SeqRanges;
use crate::record::SegmentEnd;
use crate::recovery::{FetchFailure, RequestNo};
use crate::time::Micros;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use bytes::Bytes;

/// Most chunks that are being read, or read and not copied on yet.
const FETCHES_MAX: usize = 16;
/// Payload bytes in hand, copies under way included, past which nothing more is read.
const IN_HAND_BYTES_MAX: u64 = 16 << 20;
/// How often, in a row, sources may not answer before the holders are asked anew.
const FETCH_FAILURES_MAX: u32 = 8;

/// A chunk that was read.
#[derive(Clone, Debug)]
struct Got {
    header: ChunkHeader,
    payload: Bytes,
    from: DiskId,
}

/// A copy under way.
#[derive(Clone, Copy, Debug)]
struct Storing {
    party: usize,
    seq: ChunkSeq,
    bytes: u64,
    since: Micros,
}

/// How far the chain of digests is verified.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// The next seq, and the digest through the one before it.
    next: ChunkSeq,
    digest: Digest,
    /// Whether it hangs on the segment's base, or on something that does.
    anchored: bool,
    /// Who gave the last one.
    from: DiskId,
}

#[derive(Clone, Debug)]
pub(super) struct Copying {
    wanted: SeqRanges,
    /// The next seq to read, and to verify.
    fetch_at: ChunkSeq,
    verify_at: ChunkSeq,
    fetching: BTreeMap<ChunkSeq, (RequestNo, DiskId)>,
    got: BTreeMap<ChunkSeq, Got>,
    chain: Option<Chain>,
    /// Verified, and not bound by the next one yet.
    held_back: Option<Got>,
    storing: BTreeMap<RequestNo, Storing>,
    turn: usize,
    failures: u32,
    backoff: Backoff,
    retry_at: Option<Micros>,
}

impl Copying {
    fn new(job: &Job) -> Self {
        let missing = missing_of(&job.parties);
        let nobody = held_by_nobody(&job.parties, job.from, job.to);
        let mut wanted = SeqRanges::new();
        for (from, to) in missing.iter() {
            // The neighbours bind what lies between them to the rest of the segment.
            wanted.insert(ChunkSeq(from.0.saturating_sub(1)).max(job.from), to.next().min(job.to));
        }
        subtract(&mut wanted, &nobody);
        let first = wanted.first().unwrap_or(job.to);
        Self {
            wanted,
            fetch_at: first,
            verify_at: first,
            fetching: BTreeMap::new(),
            got: BTreeMap::new(),
            chain: None,
            held_back: None,
            storing: BTreeMap::new(),
            turn: 0,
            failures: 0,
            backoff: Backoff::new(),
            retry_at: None,
        }
    }

    pub(super) fn wakes_at(&self, budget: &Budget) -> Option<Micros> {
        self.retry_at.or_else(|| (self.may_fetch() && self.next_wanted().is_some()).then(|| budget.wakes_at()))
    }

    pub(super) fn invariants(&self) {
        let in_hand = self.fetching.len() + self.got.len();
        assert!(in_hand <= FETCHES_MAX, "{in_hand} chunks are in hand, the most is {FETCHES_MAX}");
    }

    fn next_wanted(&self) -> Option<ChunkSeq> {
        self.wanted.first_from(self.fetch_at)
    }

    fn may_fetch(&self) -> bool {
        let read: u64 = self.got.values().map(|got| got.payload.len() as u64).sum();
        let storing: u64 = self.storing.values().map(|storing| storing.bytes).sum();
        self.fetching.len() + self.got.len() < FETCHES_MAX && read + storing < IN_HAND_BYTES_MAX
    }

    fn is_done(&self) -> bool {
        self.wanted.first_from(self.verify_at).is_none() && self.held_back.is_none() && self.storing.is_empty()
    }
}

impl Repair {
    /// Everybody who gets copies is pinned and has said what it holds.
    pub(super) fn begin_copying(&mut self, now: Micros) {
        let job = self.job.as_mut().expect("copied with a segment in hand");
        let lost = held_by_nobody(&job.parties, job.from, job.to);
        let (from, to) = (job.from, job.to);
        let mut silent = alloc::vec::Vec::new();
        for (at, party) in job.parties.iter_mut().enumerate() {
            let target = party.replaces.is_some() || !party.missing.is_empty();
            if !target || party.failed.is_some() {
                continue;
            }
            if party.stock != Stock::Known {
                silent.push((at, party.why()));
                continue;
            }
            party.missing = party.lacks(from, to);
            subtract(&mut party.missing, &lost);
        }
        for (at, why) in silent {
            self.target_failed(at, why);
        }
        if planted!(RepairSwapsFirst) && self.has_new_holder() {
            return self.swap_holders(now);
        }
        let job = self.job.as_ref().expect("copied with a segment in hand");
        let chunks = job.parties.iter().map(|party| party.missing.len()).sum();
        self.expect_chunks(chunks);
        let job = self.job.as_ref().expect("copied with a segment in hand");
        self.phase = Phase::Copying(Box::new(Copying::new(job)));
        self.drive_copying(now);
    }

    fn has_new_holder(&self) -> bool {
        let job = self.job.as_ref().expect("copied with a segment in hand");
        job.parties.iter().any(|party| party.replaces.is_some() && party.failed.is_none())
    }

    /// How many bytes these chunks may be: as large as those that were copied, on the average.
    fn expect_chunks(&mut self, chunks: u64) {
        let each = self.progress.bytes.checked_div(self.progress.chunks).unwrap_or(0);
        self.progress.bytes_total = self.progress.bytes + each * chunks;
    }

    pub(super) fn drive_copying(&mut self, now: Micros) {
        self.verify_and_copy(now);
        let (job, Phase::Copying(copying)) = (self.job.as_ref(), &mut self.phase) else { return };
        let job = job.expect("copied with a segment in hand");
        if missing_of(&job.parties).is_empty() && copying.storing.is_empty() || copying.is_done() {
            return self.copied_all(now);
        }
        self.fetch_more(now);
    }

    fn copied_all(&mut self, now: Micros) {
        let job = self.job.as_ref().expect("copied with a segment in hand");
        let whole = |party: &super::party::Party| party.failed.is_some() || party.missing.is_empty();
        if self.has_new_holder() && job.parties.iter().all(whole) {
            return self.swap_holders(now);
        }
        self.ask_again(now);
    }

    fn fetch_more(&mut self, now: Micros) {
        loop {
            let (Some(job), Phase::Copying(copying)) = (&self.job, &mut self.phase) else { return };
            if copying.retry_at.is_some_and(|at| now < at) || !copying.may_fetch() || !self.budget.has_some(now) {
                return;
            }
            copying.retry_at = None;
            let Some(seq) = copying.next_wanted() else { return };
            let holds = |party: &&super::party::Party| party.stock == Stock::Known && party.held.contains(seq);
            let count = job.parties.iter().filter(holds).count();
            if count == 0 {
                // It was there when they were asked.
                return self.ask_again(now);
            }
            copying.turn += 1;
            let turn = if self.one_source { job.attempts as usize } else { copying.turn };
            let source = job.parties.iter().filter(holds).nth(turn % count).expect("one of them");
            let (request, from) = (self.next_request, source.at.clone());
            self.next_request += 1;
            copying.fetching.insert(seq, (request, from.disk));
            copying.fetch_at = seq.next();
            let (_, record) = self.found.as_ref().expect("copied with a record");
            let (log, segment) = (record.log, job.segment.id);
            self.effects.push_back(RepairEffect::Fetch { request, from, log, segment, seq });
        }
    }

    pub(super) fn fetched(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<(ChunkHeader, Bytes), FetchFailure>,
    ) {
        let (Some(job), Phase::Copying(copying)) = (&mut self.job, &mut self.phase) else { return };
        let found = copying.fetching.iter().find(|(_, (asked, _))| *asked == request);
        let Some((&seq, &(_, from))) = found else { return };
        copying.fetching.remove(&seq);
        let source = job.parties.iter_mut().find(|party| party.at.disk == from).expect("a source is a party");
        match result {
            Ok((header, payload)) if (header.segment, header.seq) == (job.segment.id, seq) => {
                self.budget.spend(u64::from(header.stored_bytes()));
                copying.failures = 0;
                copying.got.insert(seq, Got { header, payload, from });
            }
            Ok(_) | Err(FetchFailure::Answer(_)) => {
                // Its inventory says something else from now on: a node records what it cannot read.
                source.held.remove(seq, seq.next());
                copying.fetch_at = copying.fetch_at.min(seq);
            }
            Err(FetchFailure::Unreachable(_)) => {
                self.budget.yields(now);
                copying.failures += 1;
                copying.fetch_at = copying.fetch_at.min(seq);
                copying.retry_at = Some(copying.backoff.after(now));
                if copying.failures >= FETCH_FAILURES_MAX {
                    self.ask_again(now);
                }
            }
        }
        self.skip_what_is_here();
    }

    /// After a step back: what is being read, or was read, is not read again.
    fn skip_what_is_here(&mut self) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        let is_here = |at: ChunkSeq| copying.fetching.contains_key(&at) || copying.got.contains_key(&at);
        while copying.fetch_at < copying.verify_at
            || copying.wanted.contains(copying.fetch_at) && is_here(copying.fetch_at)
        {
            copying.fetch_at = copying.fetch_at.next();
        }
    }

    /// Verifies what was read, in order, and copies what is bound by that.
    fn verify_and_copy(&mut self, now: Micros) {
        loop {
            let (Some(job), Phase::Copying(copying)) = (&self.job, &mut self.phase) else { return };
            let Some(at) = copying.wanted.first_from(copying.verify_at) else { break };
            let Some(got) = copying.got.remove(&at) else { return };
            let (_, record) = self.found.as_ref().expect("copied with a record");
            match verify(job, record.log, copying.chain, &got) {
                Ok(chain) => copying.chain = Some(chain),
                Err(Broken::By(liar)) => {
                    // It would take no other bytes in their place.
                    self.unfit.insert(liar);
                    let before = ChunkSeq(at.0.saturating_sub(1));
                    let seqs = if self.one_source { [before, at] } else { [at, at] };
                    self.distrusted.extend(seqs.map(|seq| (liar, job.segment.id, seq)));
                    return self.ask_again(now);
                }
                Err(Broken::ByOneOfTwo) => {
                    self.one_source = true;
                    return self.ask_again(now);
                }
            }
            copying.verify_at = at.next();
            if let Some(bound) = copying.held_back.replace(got) {
                self.copy(now, &bound);
            }
        }
        let Phase::Copying(copying) = &mut self.phase else { return };
        if let Some(last) = copying.held_back.take() {
            self.copy(now, &last);
        }
    }

    /// Has everybody who lacks it store it.
    fn copy(&mut self, now: Micros, got: &Got) {
        let (Some(job), Phase::Copying(copying)) = (&self.job, &mut self.phase) else { return };
        let (seq, bytes) = (got.header.seq, u64::from(got.header.stored_bytes()));
        for (party, target) in job.parties.iter().enumerate().filter(|(_, party)| party.missing.contains(seq)) {
            let (request, to) = (self.next_request, target.at.clone());
            self.next_request += 1;
            copying.storing.insert(request, Storing { party, seq, bytes, since: now });
            self.budget.spend(bytes);
            let (header, payload) = (got.header, got.payload.clone());
            self.effects.push_back(RepairEffect::Copy { request, to, header, payload });
        }
    }

    pub(super) fn copied(&mut self, now: Micros, request: RequestNo, result: Result<(), CopyFailure>) {
        let (Some(job), Phase::Copying(copying)) = (&mut self.job, &mut self.phase) else { return };
        let Some(storing) = copying.storing.remove(&request) else { return };
        if now.since(storing.since) > SLOW_COPY_US {
            self.budget.yields(now);
        }
        match result {
            Ok(()) => {
                job.parties[storing.party].missing.remove(storing.seq, storing.seq.next());
                self.progress.chunks += 1;
                self.progress.bytes += storing.bytes;
                let left = job.parties.iter().map(|party| party.missing.len()).sum();
                self.expect_chunks(left);
            }
            Err(CopyFailure::Refused(Refusal::LogDeleted { .. })) => self.read_record(now),
            Err(why) => {
                self.budget.yields(now);
                if job.parties[storing.party].failed.is_none() {
                    self.target_failed(storing.party, alloc::format!("{why}").to_owned());
                }
            }
        }
    }
}

/// Who is not to be believed where the chain of digests breaks.
enum Broken {
    By(DiskId),
    /// The one that came before hangs on nothing, so either may be wrong. Both from one replica say more.
    ByOneOfTwo,
}

/// Whether a chunk continues the chain, and ends it where the seal says.
fn verify(job: &Job, log: LogId, chain: Option<Chain>, got: &Got) -> Result<Chain, Broken> {
    let header = &got.header;
    let start = (header.seq == job.segment.base).then(|| Digest::start(log, job.segment.id, job.segment.base));
    let chain = chain.filter(|chain| chain.next == header.seq);
    let anchored = start.is_some() || chain.is_some_and(|chain| chain.anchored);
    let before = start.or(chain.map(|chain| chain.digest));
    let broken = before.is_some_and(|before| !before.continues_with(header)) || header.log != log;
    if broken && !planted!(RepairUnverified) {
        let of_two = chain.is_some_and(|chain| !chain.anchored && chain.from != got.from);
        return Err(if of_two { Broken::ByOneOfTwo } else { Broken::By(got.from) });
    }
    if let SegmentEnd::Sealed { at, digest } = job.segment.end
        && header.seq.next() == at
        && header.digest != digest
        && !planted!(RepairUnverified)
    {
        return Err(Broken::By(got.from));
    }
    Ok(Chain { next: header.seq.next(), digest: header.digest, anchored, from: got.from })
}
