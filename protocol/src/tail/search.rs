//! Asking the replicas how far the log is committed: the unsealed segments one after the other, as far as each is committed
//! to its end.

use super::committed_tail;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use crate::message::{Reply, Request, SegmentView};
use crate::record::{LogRecord, ReplicaRef, Segment};
use crate::recovery::{MissingReplica, RequestNo};
use crate::time::Micros;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// How much longer, in microseconds, the last replicas are waited for once a read quorum has answered. The bound they would
/// raise is only a lower one anyway.
pub const STRAGGLER_GRACE_US: u64 = 250_000;

/// What happened to a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailEvent {
    /// The outcome of [`TailEffect::Call`].
    Replied {
        /// Which request.
        request: RequestNo,
        /// What the replica said (refusals included), or why nothing is known of it.
        result: Result<Reply, String>,
    },
    /// Time passed ([`TailSearch::poll_timeout`]).
    Tick,
}

/// Something to do. Whoever drives the search bounds each request with a time limit of its own and reports its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailEffect {
    /// Ask a replica what it holds, without fencing anybody.
    Call {
        /// Comes back with [`TailEvent::Replied`].
        request: RequestNo,
        /// Whom.
        to: ReplicaRef,
        /// What.
        what: Request,
    },
    /// The first seq of the log that is not known to be committed. The last effect.
    Finished(Result<ChunkSeq, TailFailure>),
}

/// Too few replicas of a segment answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{answered} of the {needed} replicas needed answered: {}", Silent(.silent))]
pub struct TailFailure {
    /// The segment.
    pub segment: SegmentId,
    /// How many of its replicas answered.
    pub answered: usize,
    /// Its read quorum.
    pub needed: usize,
    /// Who did not, and why.
    pub silent: Vec<MissingReplica>,
}

struct Silent<'a>(&'a [MissingReplica]);

impl fmt::Display for Silent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, MissingReplica { replica, why }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{} ({}): {why}", replica.zone, replica.address)?;
        }
        Ok(())
    }
}

/// One look at how far a log is committed (P15).
#[derive(Clone, Debug)]
pub struct TailSearch {
    log: LogId,
    floor: ChunkSeq,
    /// What is not settled: the segment under way, and those behind it.
    segments: VecDeque<Segment>,
    /// Everything below is committed.
    tail: ChunkSeq,
    /// The requests that are under way, each with the replica's index in the segment.
    asked: Vec<(RequestNo, usize)>,
    views: Vec<(usize, SegmentView)>,
    silent: Vec<MissingReplica>,
    /// Until when the last replicas are waited for.
    patience: Option<Micros>,
    next_request: RequestNo,
    effects: VecDeque<TailEffect>,
    over: bool,
}

impl TailSearch {
    /// Looks how far the log of `record` is committed. Its requests are numbered from `first_request` on, so that whoever
    /// makes other requests beside it can tell them apart.
    #[must_use]
    pub fn new(record: &LogRecord, first_request: RequestNo) -> Self {
        let sealed = record.segments.iter().take_while(|segment| segment.is_sealed()).count();
        let sealed_end = sealed.checked_sub(1).and_then(|last| record.segments[last].end_seq());
        let mut search = Self {
            log: record.log,
            floor: record.floor,
            segments: record.segments[sealed..].iter().cloned().collect(),
            tail: record.floor.max(sealed_end.unwrap_or_default()),
            asked: Vec::new(),
            views: Vec::new(),
            silent: Vec::new(),
            patience: None,
            next_request: first_request,
            effects: VecDeque::new(),
            over: false,
        };
        search.ask();
        search
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Micros, event: TailEvent) {
        if self.over {
            return;
        }
        if let TailEvent::Replied { request, result } = event {
            self.replied(now, request, result);
        }
        if self.asked.is_empty() || self.patience.is_some_and(|until| now >= until) {
            self.conclude();
        }
        self.invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<TailEffect> {
        self.effects.pop_front()
    }

    /// When [`TailEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.patience.filter(|_| !self.over)
    }

    /// The number of the first request that this search did not make.
    #[must_use]
    pub const fn next_request(&self) -> RequestNo {
        self.next_request
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        assert!(self.tail >= self.floor, "tail {} below the floor {}", self.tail, self.floor);
        assert!(self.over || !self.asked.is_empty(), "nobody is asked about {:?}", self.segments.front());
        if let Some(segment) = self.segments.front() {
            let heard = self.asked.len() + self.views.len() + self.silent.len();
            assert!(self.over || heard == segment.replicas.len(), "{heard} of {} replicas", segment.replicas.len());
            assert!(self.views.iter().all(|(_, view)| view.segment == segment.id), "{:?}", self.views);
        }
    }

    /// What is missing, should nobody answer any more.
    pub(crate) fn failure(&self) -> Option<TailFailure> {
        let segment = self.segments.front()?;
        let waiting = self.asked.iter().map(|(_, index)| MissingReplica {
            replica: segment.replicas[*index].clone(),
            why: "it did not answer in time".into(),
        });
        let silent = self.silent.iter().cloned().chain(waiting).collect();
        Some(TailFailure { segment: segment.id, answered: self.views.len(), needed: read_quorum(segment), silent })
    }

    /// Asks every replica of the first segment that is left; without one the tail is known.
    fn ask(&mut self) {
        (self.views, self.silent, self.asked, self.patience) = (Vec::new(), Vec::new(), Vec::new(), None);
        let Some(segment) = self.segments.front() else { return self.finish(Ok(self.tail)) };
        for (index, replica) in segment.replicas.iter().enumerate() {
            let request = self.next_request;
            self.next_request += 1;
            self.asked.push((request, index));
            let what = Request::Inspect { log: self.log, segments: [segment.id].into() };
            self.effects.push_back(TailEffect::Call { request, to: replica.clone(), what });
        }
    }

    fn replied(&mut self, now: Micros, request: RequestNo, result: Result<Reply, String>) {
        // A late or repeated reply finds no request: it is not counted (pitfall 4).
        let Some(at) = self.asked.iter().position(|(asked, _)| *asked == request) else { return };
        let (_, index) = self.asked.swap_remove(at);
        let segment = self.segments.front().expect("somebody was asked about a segment");
        let why = match result {
            Ok(Reply::Inspected { segments, .. }) if segments.iter().map(|view| view.segment).eq([segment.id]) => {
                self.views.extend(segments.into_iter().map(|view| (index, view)));
                if self.views.len() >= read_quorum(segment) {
                    self.patience.get_or_insert(now.plus(STRAGGLER_GRACE_US));
                }
                return;
            }
            Ok(Reply::Refused(refusal)) => refusal.to_string(),
            Ok(other) => alloc::format!("it answered an inspect request with {other:.200?}"),
            Err(why) => why,
        };
        self.silent.push(MissingReplica { replica: segment.replicas[index].clone(), why });
    }

    /// Nobody else is waited for: how far is the segment committed?
    fn conclude(&mut self) {
        let segment = self.segments.front().expect("somebody was asked about a segment");
        // Without a read quorum the highest watermark is still true, but the newest acknowledged chunk may be missed by
        // far: somebody who trims or reads to the tail would be told of a log that is too short.
        if self.views.len() < read_quorum(segment) {
            let failure = self.failure().expect("a segment is under way");
            return self.finish(Err(failure));
        }
        let at = committed_tail(segment, self.floor, &self.views);
        self.tail = self.tail.max(at);
        if segment.end_seq() == Some(at) {
            self.segments.pop_front();
            self.ask();
        } else {
            self.finish(Ok(self.tail));
        }
    }

    fn finish(&mut self, outcome: Result<ChunkSeq, TailFailure>) {
        assert!(!self.over, "a search ends once");
        self.over = true;
        self.effects.push_back(TailEffect::Finished(outcome));
    }
}

fn read_quorum(segment: &Segment) -> usize {
    segment.quorum().expect("a record is checked when it is read").read()
}
