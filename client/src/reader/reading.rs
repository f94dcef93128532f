//! One read under way.

use super::bounds::{FOLLOW_PAUSE_MAX, FOLLOW_PAUSE_MIN, PIECE_BYTES, PIECE_CHUNKS_FIRST, PIECES_MAX, RECORD_INTERVAL};
use super::chain::Chain;
use super::fetch::{NoPiece, Piece, Source};
use crate::chunk_store::{ReadChunk, ReadOptions};
use crate::error::ReadError;
use crate::link::Chunk;
use crate::lookup::lookup;
use crate::quorum_store::Parts;
use crate::tail::committed;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::READ_CHUNKS_MAX;
use quarry_protocol::record::{LogRecord, Segment};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Fetched = (Piece, Result<Vec<Chunk>, NoPiece>);

/// See the module.
pub(super) struct Reading {
    parts: Arc<Parts>,
    record: LogRecord,
    record_read: Instant,
    options: ReadOptions,
    /// One past the last seq wanted.
    to: Option<ChunkSeq>,
    /// The tail as it was found when the read got there; a read that does not follow ends here.
    until: Option<ChunkSeq>,
    /// The segment under way.
    source: Option<Arc<Source>>,
    chain: Chain,
    /// How far the segment under way is known to be committed, or where it ends.
    limit: ChunkSeq,
    /// The first seq that did not come yet.
    next: ChunkSeq,
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
    ) -> Self {
        Self {
            parts,
            record,
            record_read: Instant::now(),
            options,
            to,
            until: None,
            source: None,
            chain: Chain::default(),
            limit: from,
            next: from,
            unasked: from,
            pieces: FuturesOrdered::new(),
            piece_chunks: PIECE_CHUNKS_FIRST,
            turn: 0,
            ready: VecDeque::new(),
            pause: FOLLOW_PAUSE_MIN,
            failing: None,
        }
    }

    /// Fails if the read starts above the tail and does not follow.
    pub(super) async fn check_start(&mut self) -> Result<(), ReadError> {
        if self.options.follow || self.record.segment_of(self.next).is_some_and(Segment::is_sealed) {
            return Ok(());
        }
        let tail = loop {
            match committed(&self.parts, &self.record).await {
                Ok(tail) => break tail,
                Err(why) => self.forgive(self.unavailable(why)).await?,
            }
        };
        self.failing = None;
        if self.next > tail {
            return Err(self.above(self.next, tail));
        }
        self.enter();
        self.raise(tail);
        Ok(())
    }

    /// The next chunk; nothing at the end of the read.
    pub(super) async fn next(&mut self) -> Result<Option<ReadChunk>, ReadError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if self.to.is_some_and(|to| self.next >= to) {
                return Ok(None);
            }
            self.ask();
            if let Some((piece, result)) = self.pieces.next().await {
                self.take(piece, result).await?;
            } else if self.until.is_some_and(|until| self.next >= until) {
                return self.to.map_or(Ok(None), |to| Err(self.above(to, self.next)));
            } else {
                self.advance().await?;
            }
        }
    }

    /// Asks for what may be read and is not asked for, as much as may be in flight.
    fn ask(&mut self) {
        let Some(source) = &self.source else { return };
        let bound = [self.to, self.until].into_iter().flatten().fold(self.limit, ChunkSeq::min);
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
        assert!(piece.from == self.next, "piece {} came when {} was next", piece.from, self.next);
        let chunks = match result {
            Ok(chunks) => chunks,
            Err(NoPiece::Unavailable(why)) => return Err(self.unavailable(why)),
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
            let checked = self.chain.take(self.record.log, &source.segment, &header);
            checked.map_err(|why| self.unavailable(why))?;
            // P15: the watermark is the writer's word that everything below it, in this segment, is committed.
            let end = source.segment.end_seq().unwrap_or(header.watermark);
            self.limit = self.limit.max(header.watermark.min(end));
            bytes += payload.len() as u64;
            self.ready.push_back(ReadChunk { seq: header.seq, segment: header.segment, payload });
        }
        self.next = self.next.plus(u64::from(count));
        self.piece_chunks =
            (u64::from(PIECE_BYTES) * u64::from(count) / bytes.max(1)).clamp(1, READ_CHUNKS_MAX.into()) as u32;
        let missing = piece.count - count;
        if missing > 2 * self.piece_chunks {
            // Chunks are larger than they were: what is left of the piece is worth several. Start over from here.
            self.pieces = FuturesOrdered::new();
            self.unasked = self.next;
        } else if missing > 0 {
            let rest = Piece { from: self.next, count: missing, turn: piece.turn, believe_gone: true };
            self.pieces.push_front(fetch(&source, rest));
        }
        Ok(())
    }

    /// Finds out how the log goes on behind everything that was known to be readable.
    async fn advance(&mut self) -> Result<(), ReadError> {
        assert!(self.unasked == self.next, "{} is next, but {} is asked for", self.next, self.unasked);
        if self.enter() {
            return Ok(());
        }
        match self.look().await {
            Ok(()) => self.failing = None,
            Err(why) => return self.forgive(why).await,
        }
        if self.options.follow && self.next >= self.limit {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(FOLLOW_PAUSE_MAX);
        } else {
            self.pause = FOLLOW_PAUSE_MIN;
        }
        Ok(())
    }

    /// Goes on in the segment that owns the next seq, as the record has it. Whether something may be read there.
    fn enter(&mut self) -> bool {
        let Some(segment) = self.record.segment_of(self.next) else { return false };
        if self.source.as_ref().is_none_or(|source| source.segment != *segment) {
            if self.source.as_ref().is_none_or(|source| source.segment.id != segment.id) {
                self.chain = Chain::default();
            }
            let cluster = Arc::clone(&self.parts.cluster);
            self.source = Some(Arc::new(Source::new(cluster, self.record.log, segment.clone(), self.options.deadline)));
        }
        if segment.is_sealed() {
            self.limit = segment.end_seq().unwrap_or(self.limit);
        }
        self.next < self.limit
    }

    /// Looks how far the log is committed now.
    async fn look(&mut self) -> Result<(), ReadError> {
        let chain_ended = self.record.segment_of(self.next).is_none();
        if !self.options.follow || chain_ended || self.record_read.elapsed() >= RECORD_INTERVAL {
            self.read_record().await?;
        }
        let tail = committed(&self.parts, &self.record).await.map_err(|why| self.unavailable(why))?;
        if !self.options.follow && self.until.is_none() {
            self.until = Some(tail.max(self.next));
        }
        self.enter();
        self.raise(tail);
        Ok(())
    }

    /// The log is committed up to `tail`: so much of the segment under way may be read.
    fn raise(&mut self, tail: ChunkSeq) {
        if let Some(source) = &self.source {
            let end = source.segment.end_seq().unwrap_or(tail);
            self.limit = self.limit.max(tail.min(end));
        }
    }

    async fn read_record(&mut self) -> Result<(), ReadError> {
        let name = self.record.name.clone();
        let (_, record) = lookup(&self.parts, &name).await.map_err(|none| none.read_error(&name))?;
        if record.log != self.record.log {
            // Deleted and made again: another log (P1).
            return Err(ReadError::NotFound { name });
        }
        if self.next < record.floor {
            return Err(ReadError::Trimmed { name, seq: self.next, floor: record.floor });
        }
        self.record = record;
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
        ReadError::Unavailable { name: self.record.name.clone(), seq: self.next, why }
    }

    fn above(&self, seq: ChunkSeq, tail: ChunkSeq) -> ReadError {
        ReadError::AboveTail { name: self.record.name.clone(), seq, tail }
    }
}

fn fetch(source: &Arc<Source>, piece: Piece) -> BoxFuture<'static, Fetched> {
    let source = Arc::clone(source);
    Box::pin(async move { (piece, source.fetch(piece).await) })
}
