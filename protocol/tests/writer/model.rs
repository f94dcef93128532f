//! A writer, the replicas it puts to, and an oracle that checks every effect.
//!
//! The model's links keep their order, lose what was on its way when they break, and may bring any acknowledgement at any
//! later time, or twice.

use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::message::Refusal;
use quarry_protocol::quorum::Quorum;
use quarry_protocol::record::Window;
use quarry_protocol::time::Micros;
use quarry_protocol::writer::{AppendToken, Fate, StopReason, Writer, WriterConfig, WriterEffect, WriterEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const LOG: LogId = LogId([7; 16]);
pub(crate) const SEGMENT: SegmentId = SegmentId { epoch: Epoch(5), index: 0 };
pub(crate) const BASE: ChunkSeq = ChunkSeq(100);
pub(crate) const DEADLINE_US: u64 = 10_000_000;

pub(crate) fn config(replicas: usize, ack: usize) -> WriterConfig {
    WriterConfig {
        log: LOG,
        segment: SEGMENT,
        quorum: Quorum::new(replicas, ack).expect("a valid quorum"),
        window: Window { chunks: 8, bytes: 1000 },
        next_seq: BASE,
        digest: Digest::start(LOG, SEGMENT, BASE),
        carried: Vec::new(),
        deadline_us: DEADLINE_US,
        straggler_chunks_max: 12,
        held: false,
        straggler_bytes_max: 1500,
    }
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed(ChunkSeq),
    Failed(Option<ChunkSeq>, Fate),
}

#[derive(Default)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// Put and not delivered yet.
    pub(crate) on_its_way: VecDeque<ChunkHeader>,
    /// Delivered and not acknowledged yet.
    pub(crate) unacknowledged: VecDeque<ChunkSeq>,
    /// Durable on the replica.
    pub(crate) durable: BTreeSet<ChunkSeq>,
    pub(crate) left_behind: bool,
}

pub(crate) struct Model {
    pub(crate) writer: Writer,
    pub(crate) now: Micros,
    pub(crate) links: Vec<Link>,
    pub(crate) outcomes: BTreeMap<AppendToken, Outcome>,
    pub(crate) stopped: Option<StopReason>,
    config: WriterConfig,
    headers: BTreeMap<ChunkSeq, ChunkHeader>,
    payloads: BTreeMap<ChunkSeq, Bytes>,
    tokens: BTreeMap<ChunkSeq, AppendToken>,
    handed: BTreeSet<ChunkSeq>,
    committed: ChunkSeq,
    digest: Digest,
    next_token: AppendToken,
}

impl Model {
    pub(crate) fn new(config: WriterConfig) -> Self {
        let links = (0..config.quorum.replicas()).map(|_| Link::default()).collect();
        let (committed, digest) = (config.next_seq, config.digest);
        let mut model = Self {
            writer: Writer::new(config.clone(), Micros(0)),
            now: Micros(0),
            links,
            outcomes: BTreeMap::new(),
            stopped: None,
            config,
            headers: BTreeMap::new(),
            payloads: BTreeMap::new(),
            tokens: BTreeMap::new(),
            handed: BTreeSet::new(),
            committed,
            digest,
            next_token: 0,
        };
        for carried in model.config.carried.clone() {
            model.headers.insert(carried.header.seq, carried.header);
            model.payloads.insert(carried.header.seq, carried.payload);
            for replica in carried.stored.iter() {
                model.links[replica].durable.insert(carried.header.seq);
            }
        }
        model.drain();
        model
    }

    pub(crate) fn handle(&mut self, event: WriterEvent) {
        self.writer.handle(self.now, event);
        self.drain();
    }

    /// Appends if there is room; the token.
    pub(crate) fn append(&mut self, bytes: usize) -> AppendToken {
        let token = self.next_token;
        self.next_token += 1;
        let payload = Bytes::from(vec![token as u8; bytes]);
        let seq = self.writer.next_seq();
        let fits = self.stopped.is_none() && (1..=1000).contains(&bytes) && self.writer.would_fit(bytes as u64);
        if fits {
            self.payloads.insert(seq, payload.clone());
            self.tokens.insert(seq, token);
        }
        let payload_crc = crc32c::crc32c(&payload);
        self.handle(WriterEvent::Append { token, payload, payload_crc });
        if fits && self.stopped.is_none() {
            assert_eq!(self.writer.next_seq(), seq.next(), "an append that fits takes the next seq");
        } else if !fits {
            assert!(matches!(self.outcomes[&token], Outcome::Failed(None, Fate::NeverStored)), "refused at once");
        }
        token
    }

    pub(crate) fn up(&mut self, replica: usize) {
        self.links[replica].up = true;
        self.handle(WriterEvent::Up { replica });
    }

    /// The link breaks: the first `delivered` chunks on their way arrive all the same, unanswered; the rest is lost.
    pub(crate) fn down(&mut self, replica: usize, delivered: usize) {
        for _ in 0..delivered {
            self.deliver(replica);
        }
        let link = &mut self.links[replica];
        link.up = false;
        link.on_its_way.clear();
        link.unacknowledged.clear();
        self.handle(WriterEvent::Down { replica, why: "connection reset".to_owned() });
    }

    /// One chunk arrives and is stored.
    pub(crate) fn deliver(&mut self, replica: usize) {
        let link = &mut self.links[replica];
        if let Some(header) = link.on_its_way.pop_front() {
            link.durable.insert(header.seq);
            link.unacknowledged.push_back(header.seq);
        }
    }

    /// The `at`-th acknowledgement on its way arrives, before others that were sent earlier; again if `twice`.
    pub(crate) fn acknowledge(&mut self, replica: usize, at: usize, twice: bool) {
        let waiting = &mut self.links[replica].unacknowledged;
        if waiting.is_empty() {
            return;
        }
        let at = at % waiting.len();
        let seq = waiting.remove(at).expect("inside");
        for _ in 0..=usize::from(twice) {
            self.handle(WriterEvent::Stored { replica, seq });
        }
    }

    /// The next chunk on its way is refused.
    pub(crate) fn refuse(&mut self, replica: usize, refusal: Refusal) {
        if let Some(header) = self.links[replica].on_its_way.pop_front() {
            self.handle(WriterEvent::Refused { replica, seq: header.seq, refusal });
        }
    }

    pub(crate) fn pass(&mut self, micros: u64) {
        self.now = self.now.plus(micros);
        self.handle(WriterEvent::Tick);
    }

    /// Every link comes up and answers; true if all that is in flight gets committed.
    pub(crate) fn heal(&mut self) -> bool {
        for replica in 0..self.links.len() {
            if !self.links[replica].up {
                self.up(replica);
            }
        }
        for _ in 0..200 {
            for replica in 0..self.links.len() {
                self.deliver(replica);
                self.acknowledge(replica, 0, false);
            }
            self.pass(20_000);
            if self.writer.in_flight() == (0, 0) {
                break;
            }
        }
        self.writer.in_flight() == (0, 0)
    }

    fn drain(&mut self) {
        while let Some(effect) = self.writer.poll_effect() {
            match effect {
                WriterEffect::Put { replica, header, payload } => self.check_put(replica, header, &payload),
                WriterEffect::Committed { token, seq } => self.check_commit(token, seq),
                WriterEffect::Failed { token, seq, fate, .. } => self.check_failure(token, seq, fate),
                WriterEffect::Stopped { why } => {
                    assert!(self.stopped.is_none(), "stopped twice: {:?}, then {why:?}", self.stopped);
                    self.stopped = Some(why);
                }
                WriterEffect::LeftBehind { replica, why } => {
                    assert!(!self.links[replica].left_behind, "replica {replica} left behind twice: {why}");
                    self.links[replica].left_behind = true;
                }
                WriterEffect::Rejoined { replica, lacks_from, lacks_to } => {
                    let link = &mut self.links[replica];
                    assert!(link.left_behind && lacks_from < lacks_to, "{lacks_from} to {lacks_to}");
                    link.left_behind = false;
                }
            }
        }
        self.check_bounds();
    }

    fn check_put(&mut self, replica: usize, header: ChunkHeader, payload: &Bytes) {
        assert!(self.links[replica].up, "put to replica {replica}, which is down");
        assert!(self.stopped.is_none(), "put after the writer stopped");
        assert_eq!((header.log, header.segment), (LOG, SEGMENT));
        assert_eq!(self.payloads.get(&header.seq), Some(payload), "a seq has one content (P1)");
        assert!(header.watermark <= self.committed, "watermark {} of {}", header.watermark, self.committed);
        if let Some(first) = self.headers.get(&header.seq) {
            assert_eq!(*first, header, "a chunk is put with the same header every time");
        } else {
            assert!(self.digest.continues_with(&header), "chunk {} does not continue the chain", header.seq);
            self.digest = header.digest;
            self.headers.insert(header.seq, header);
        }
        self.handed.insert(header.seq);
        self.links[replica].on_its_way.push_back(header);
    }

    /// P2: stored on an ack quorum, and so is everything before it; acknowledged in order.
    fn check_commit(&mut self, token: AppendToken, seq: ChunkSeq) {
        assert!(self.stopped.is_none(), "committed {seq} after the writer stopped");
        assert_eq!(seq, self.committed, "acknowledged out of order");
        let holders = self.links.iter().filter(|link| link.durable.contains(&seq)).count();
        assert!(
            holders >= self.config.quorum.ack(),
            "{seq} acknowledged, stored on {holders}: {:?}",
            self.config.quorum
        );
        assert_eq!(self.tokens.get(&seq), Some(&token));
        self.committed = seq.next();
        let before = self.outcomes.insert(token, Outcome::Committed(seq));
        assert_eq!(before, None, "two outcomes of append {token}");
    }

    /// P9: "never stored" only if no connection ever got it.
    fn check_failure(&mut self, token: AppendToken, seq: Option<ChunkSeq>, fate: Fate) {
        let handed = seq.is_some_and(|seq| self.handed.contains(&seq));
        assert_eq!(fate, if handed { Fate::Unknown } else { Fate::NeverStored }, "fate of append {token}, seq {seq:?}");
        assert!(seq.is_none() || self.stopped.is_some(), "an append in flight fails only when the writer stops");
        let before = self.outcomes.insert(token, Outcome::Failed(seq, fate));
        assert_eq!(before, None, "two outcomes of append {token}");
    }

    /// P6 and P10, computed here from what was appended and committed.
    fn check_bounds(&self) {
        if self.stopped.is_some() {
            return;
        }
        let bytes = |from: ChunkSeq, to: ChunkSeq| -> u64 {
            self.payloads.range(from..to).map(|(_, payload)| payload.len() as u64).sum()
        };
        let next = self.writer.next_seq();
        let in_flight = (next.0 - self.committed.0, bytes(self.committed, next));
        assert_eq!(self.writer.in_flight(), in_flight);
        let window = self.config.window;
        assert!(in_flight.0 <= u64::from(window.chunks) && in_flight.1 <= window.bytes, "window: {in_flight:?}");
        let (chunks, kept) = self.writer.kept_for_stragglers();
        assert_eq!(kept, bytes(self.committed.minus(chunks), self.committed));
        assert!(chunks <= u64::from(self.config.straggler_chunks_max) && kept <= self.config.straggler_bytes_max);
    }
}
