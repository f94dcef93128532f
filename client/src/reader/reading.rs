//! One read under way.

use super::bounds::{FOLLOW_PAUSE_MAX, FOLLOW_PAUSE_MIN, PIECE_BYTES, PIECE_CHUNKS_FIRST, PIECES_MAX, RECORD_INTERVAL};
use super::fetch::{NoPiece, Piece, Source};
use crate::actions;
use crate::chunk_store::{ReadChunk, ReadOptions};
use crate::error::ReadError;
use crate::link::Chunk;
use crate::lookup::lookup;
use crate::quorum_store::Parts;
use crate::repair::Repairs;
use crate::tail::committed;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::READ_CHUNKS_MAX;
use quarry_protocol::reach::{Reach, Unreachable};
use quarry_protocol::record::{LogRecord, Segment};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Fetched = (Piece, Result<Vec<Chunk>, NoPiece>);

/// See the module.
pub(super) struct Reading {
    parts: Arc<Parts>,
    /// Where it is, and how far it may go.
    reach: Reach,
    record_read: Instant,
    options: ReadOptions,
    /// One past the last seq wanted.
    to: Option<ChunkSeq>,
    /// The tail as it was found when the read got there; a read that does not follow ends here.
    until: Option<ChunkSeq>,
    /// The segment under way.
    source: Option<Arc<Source>>,
    /// The first seq that was not asked for.
    unasked: ChunkSeq,
    /// What was asked for and did not come yet, in order.
    pieces: FuturesOrdered<BoxFuture<'static, Fetched>>,
    piece_chunks: u32,
    turn: usize,
    /// What came and was not taken yet.
    ready: VecDeque<ReadChunk>,
    pause: Duration,
    /// Since when register or replicas have failed to say how far the log goes.
    failing: Option<Instant>,
}

impl Reading {
    pub(super) fn new(
        parts: Arc<Parts>,
        record: LogRecord,
        from: ChunkSeq,
        to: Option<ChunkSeq>,
        options: ReadOptions,
    ) -> Result<Self, ReadError> {
        let (name, floor) = (record.name.clone(), record.floor);
        if let Some(seq) = to.filter(|to| *to < floor && from >= floor) {
            return Err(ReadError::Trimmed { name, seq, floor });
        }
        let mut reach = Reach::new(record, from).map_err(|why| unreachable_error(name, &why))?;
        if actions::are_wanted() {
            reach.record_actions();
        }
        Ok(Self {
            parts,
            reach,
            record_read: Instant::now(),
            options,
            to,
            until: None,
            source: None,
            unasked: from,
            pieces: FuturesOrdered::new(),
            piece_chunks: PIECE_CHUNKS_FIRST,
            turn: 0,
            ready: VecDeque::new(),
            pause: FOLLOW_PAUSE_MIN,
            failing: None,
        })
    }

    /// Fails if the read starts above the tail and does not follow.
    pub(super) async fn check_start(&mut self) -> Result<(), ReadError> {
        if self.options.follow || self.reach.owner().is_some_and(Segment::is_sealed) {
            return Ok(());
        }
        let tail = loop {
            match committed(&self.parts, self.reach.record()).await {
                Ok(tail) => break tail,
                Err(why) => self.forgive(self.unavailable(why)).await?,
            }
        };
        self.failing = None;
        if self.reach.next() > tail {
            return Err(self.above(self.reach.next(), tail));
        }
        self.raise(tail);
        Ok(())
    }

    /// The next chunk; nothing at the end of the read.
    pub(super) async fn next(&mut self) -> Result<Option<ReadChunk>, ReadError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if self.to.is_some_and(|to| self.reach.next() >= to) {
                return Ok(None);
            }
            self.ask();
            if let Some((piece, result)) = self.pieces.next().await {
                self.take(piece, result).await?;
            } else if self.until.is_some_and(|until| self.reach.next() >= until) {
                return self.to.map_or(Ok(None), |to| Err(self.above(to, self.reach.next())));
            } else {
                self.advance().await?;
            }
        }
    }

    /// Asks for what may be read and is not asked for, as much as may be in flight.
    fn ask(&mut self) {
        let Some(source) = &self.source else { return };
        let bound = [self.to, self.until].into_iter().flatten().fold(self.reach.limit(), ChunkSeq::min);
        while self.pieces.len() < PIECES_MAX && self.unasked < bound {
            let count = u64::from(self.piece_chunks).min(bound.0 - self.unasked.0) as u32;
            let piece = Piece { from: self.unasked, count, turn: self.turn, believe_gone: true };
            self.pieces.push_back(fetch(source, piece));
            self.unasked = self.unasked.plus(u64::from(count));
            self.turn = self.turn.wrapping_add(1);
        }
    }

    /// Takes a piece that came, and asks again for what is missing of it.
    async fn take(&mut self, piece: Piece, result: Result<Vec<Chunk>, NoPiece>) -> Result<(), ReadError> {
        let source = Arc::clone(self.source.as_ref().expect("a piece came from a segment"));
        let next = self.reach.next();
        assert!(piece.from == next, "piece {} came when {next} was next", piece.from);
        let chunks = match result {
            Ok(chunks) => chunks,
            Err(NoPiece::Unavailable { why, lost }) => {
                let name = self.reach.record().name.clone();
                return Err(ReadError::Unavailable { name, seq: next, why, lost });
            }
            Err(NoPiece::Gone) => {
                // If the record knows of no trim or deletion, the other replicas have to say.
                self.read_record().await?;
                self.pieces.push_front(fetch(&source, Piece { believe_gone: false, ..piece }));
                return Ok(());
            }
        };
        let (count, mut bytes) = (chunks.len() as u32, 0);
        assert!(count >= 1 && count <= piece.count, "{count} chunks for a piece of {}", piece.count);
        for Chunk { header, payload } in chunks {
            self.reach.take(&header).map_err(|why| self.unavailable(why))?;
            actions::report(|| self.reach.poll_action());
            bytes += payload.len() as u64;
            self.ready.push_back(ReadChunk { seq: header.seq, segment: header.segment, payload });
        }
        self.piece_chunks =
            (u64::from(PIECE_BYTES) * u64::from(count) / bytes.max(1)).clamp(1, READ_CHUNKS_MAX.into()) as u32;
        let missing = piece.count - count;
        if missing > 2 * self.piece_chunks {
            // Chunks are larger than they were: what is left of the piece is worth several. Start over from here.
            self.pieces = FuturesOrdered::new();
            self.unasked = self.reach.next();
        } else if missing > 0 {
            let rest = Piece { from: self.reach.next(), count: missing, turn: piece.turn, believe_gone: true };
            self.pieces.push_front(fetch(&source, rest));
        }
        Ok(())
    }

    /// Finds out how the log goes on behind everything that was known to be readable.
    async fn advance(&mut self) -> Result<(), ReadError> {
        let next = self.reach.next();
        assert!(self.unasked == next, "{next} is next, but {} is asked for", self.unasked);
        if self.enter() {
            return Ok(());
        }
        match self.look().await {
            Ok(()) => self.failing = None,
            Err(why) => return self.forgive(why).await,
        }
        let at_end = self.until.is_some_and(|until| next >= until);
        if next >= self.reach.limit() && !at_end {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(FOLLOW_PAUSE_MAX);
        } else {
            self.pause = FOLLOW_PAUSE_MIN;
        }
        Ok(())
    }

    /// Goes on in the segment that owns the next seq, as the record has it. Whether something may be read there.
    fn enter(&mut self) -> bool {
        let readable = self.reach.enter();
        if let Some(segment) = self.reach.segment()
            && self.source.as_ref().is_none_or(|source| source.segment != *segment)
        {
            let (cluster, log) = (Arc::clone(&self.parts.cluster), self.reach.record().log);
            let (parts, name) = (Arc::downgrade(&self.parts), self.reach.record().name.clone());
            let id = segment.id;
            // Read-repair: whoever reads does not wait for it.
            let damaged = Box::new(move || {
                parts.upgrade().into_iter().for_each(|parts| Repairs::after_damage(&parts, &name, id));
            });
            let deadline = self.options.deadline;
            self.source = Some(Arc::new(Source::new(cluster, log, segment.clone(), deadline, damaged)));
        }
        readable
    }

    /// Looks how far the log is committed now.
    async fn look(&mut self) -> Result<(), ReadError> {
        let chain_ended = self.reach.owner().is_none();
        if !self.options.follow || chain_ended || self.record_read.elapsed() >= RECORD_INTERVAL {
            self.read_record().await?;
        }
        let tail = committed(&self.parts, self.reach.record()).await.map_err(|why| self.unavailable(why))?;
        if !self.options.follow {
            // The first look says where the read ends. If fewer replicas answer later, it ends where those know it to be
            // committed, rather than wait for others that may never come.
            let tail = tail.max(self.reach.next());
            self.until = Some(self.until.map_or(tail, |until| until.min(tail)));
        }
        self.raise(tail);
        Ok(())
    }

    /// The log of the record in hand is committed up to `tail`.
    fn raise(&mut self, tail: ChunkSeq) {
        self.enter();
        self.reach.raise(tail);
    }

    async fn read_record(&mut self) -> Result<(), ReadError> {
        let name = self.reach.record().name.clone();
        let (_, record) = lookup(&self.parts, &name).await.map_err(|none| none.read_error(&name))?;
        self.reach.reread(record).map_err(|why| unreachable_error(name, &why))?;
        self.record_read = Instant::now();
        Ok(())
    }

    /// Passes over an error that may go away, for as long as a chunk may be out of reach.
    async fn forgive(&mut self, why: ReadError) -> Result<(), ReadError> {
        let since = *self.failing.get_or_insert_with(Instant::now);
        if !why.may_retry() || since.elapsed() >= self.options.deadline {
            return Err(why);
        }
        sleep(FOLLOW_PAUSE_MAX).await;
        Ok(())
    }

    fn unavailable(&self, why: String) -> ReadError {
        ReadError::Unavailable { name: self.reach.record().name.clone(), seq: self.reach.next(), why, lost: false }
    }

    fn above(&self, seq: ChunkSeq, tail: ChunkSeq) -> ReadError {
        ReadError::AboveTail { name: self.reach.record().name.clone(), seq, tail }
    }
}

fn fetch(source: &Arc<Source>, piece: Piece) -> BoxFuture<'static, Fetched> {
    let source = Arc::clone(source);
    Box::pin(async move { (piece, source.fetch(piece).await) })
}

fn unreachable_error(name: String, why: &Unreachable) -> ReadError {
    match *why {
        Unreachable::Trimmed { seq, floor } => ReadError::Trimmed { name, seq, floor },
        Unreachable::AnotherLog => ReadError::NotFound { name },
        Unreachable::WentBack { .. } => ReadError::Record { name, why: why.to_string() },
    }
}
