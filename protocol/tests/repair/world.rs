//! The world of a repair.
//!
//! Fault model. What is asked and answered may arrive in any order, be lost, or arrive long after its sender was told that it
//! was lost. Nodes crash and keep what was confirmed and any part of what was not; one at a time is out of reach; chunks get
//! lost, or are replaced by others whose checksums are right; nodes are wiped. Changes of the register may be delayed, and what
//! became of them unknown. Repairs are cut short anywhere. Clients free by what they read long ago.

mod faults;

use crate::node::{Node, Said};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::message::{Answer, HoldingsCursor, HoldingsPage, Reply, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version, Window};
use quarry_protocol::recovery::{FetchFailure, RequestNo, SwapOutcome};
use quarry_protocol::repair::{
    CopyFailure, Repair, RepairConfig, RepairEffect, RepairEvent, RepairFailure, RepairReport, Unanswered,
    judge::may_free,
};
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const LOG: LogId = LogId([9; 16]);
const WINDOW: Window = Window { chunks: 8, bytes: 1 << 20 };

#[derive(Clone, Debug)]
pub(crate) enum Load {
    Call(RequestNo, Request),
    Fetch(RequestNo, Request),
    Copy(RequestNo, ChunkHeader, Bytes),
    Free(Request),
}

#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    ToNode { node: usize, disk: DiskId, client: u64, load: Load },
    ToClient { client: u64, event: RepairEvent },
    Read { client: u64, request: RequestNo },
    Swap { client: u64, request: RequestNo, expected: Version, record: Box<LogRecord> },
}

impl Parcel {
    const fn client(&self) -> u64 {
        match self {
            Self::ToNode { client, .. }
            | Self::ToClient { client, .. }
            | Self::Read { client, .. }
            | Self::Swap { client, .. } => *client,
        }
    }
}

pub(crate) type Outcome = Result<RepairReport, RepairFailure>;

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) nodes: Vec<Node>,
    pub(crate) away: Option<usize>,
    pub(crate) full: BTreeSet<DiskId>,
    pub(crate) version: u64,
    pub(crate) record: LogRecord,
    pub(crate) repairs: BTreeMap<u64, Repair>,
    pub(crate) ended: BTreeMap<u64, Outcome>,
    pub(crate) parcels: VecDeque<Parcel>,
    /// Every chunk as its writer made it.
    pub(crate) written: BTreeMap<(SegmentId, ChunkSeq), (ChunkHeader, Bytes)>,
    /// Copies that were hurt, by whom: what follows from that is no fault of a repair.
    pub(crate) hurt: BTreeSet<(DiskId, SegmentId)>,
    pub(crate) sealed: BTreeSet<SegmentId>,
    /// Chunks that nodes were asked to copy.
    pub(crate) copies: u64,
    clients: u64,
    tickets: u64,
    owed: BTreeMap<u64, (u64, Load)>,
    wipes: u8,
}

pub(crate) const fn id(epoch: u64) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index: 0 }
}

/// Who writes `base..end`, and what.
fn written(epoch: u64, base: u64, end: u64) -> Vec<(ChunkHeader, Bytes)> {
    let mut digest = Digest::start(LOG, id(epoch), ChunkSeq(base));
    let chunk = |seq: u64| {
        let payload = Bytes::from(vec![epoch as u8, seq as u8, 7]);
        let (payload_crc, length) = (crc32c(&payload), payload.len() as u32);
        digest = digest.chain(ChunkSeq(seq), length, payload_crc);
        let watermark = ChunkSeq(base);
        let header =
            ChunkHeader { log: LOG, segment: id(epoch), seq: ChunkSeq(seq), watermark, length, payload_crc, digest };
        (header, payload)
    };
    (base..end).map(chunk).collect()
}

/// A stand-in: machines compare checksums and do not compute them.
fn crc32c(payload: &[u8]) -> u32 {
    payload.iter().fold(17, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)))
}

impl World {
    /// Two sealed segments, `0..8` and `8..16`; one that ends at a planned boundary, 20; and an open one. Nodes 0, 1 and 2 hold
    /// them all; there are `nodes`, each in a zone of its own.
    pub(crate) fn new(nodes: usize) -> Self {
        let mut world = Self {
            now: Micros(1),
            nodes: (0..nodes).map(|number| Node::new(number as u8, 0)).collect(),
            away: None,
            full: BTreeSet::new(),
            version: 1,
            record: LogRecord::new("orders", LOG),
            repairs: BTreeMap::new(),
            ended: BTreeMap::new(),
            parcels: VecDeque::new(),
            written: BTreeMap::new(),
            hurt: BTreeSet::new(),
            sealed: [id(1), id(2)].into(),
            copies: 0,
            clients: 0,
            tickets: 0,
            owed: BTreeMap::new(),
            wipes: 0,
        };
        let replicas: Vec<ReplicaRef> = world.nodes[..3].iter().map(|node| node.at.clone()).collect();
        for (epoch, base, end) in [(1, 0, 8), (2, 8, 16), (3, 16, 20)] {
            let chunks = written(epoch, base, end);
            let digest = chunks.last().expect("some").0.digest;
            let at = ChunkSeq(end);
            let end = if epoch < 3 { SegmentEnd::Sealed { at, digest } } else { SegmentEnd::Boundary { at } };
            let (id, base, replicas) = (id(epoch), ChunkSeq(base), replicas.clone());
            world.record.segments.push(Segment { id, base, end, replicas, ack_quorum: 2, window: WINDOW });
            for (header, payload) in chunks {
                world.written.insert((header.segment, header.seq), (header, payload.clone()));
                for node in 0..3 {
                    let disk = world.nodes[node].at.disk;
                    world.tickets += 1;
                    world.nodes[node].put(world.tickets, disk, (header, false), payload.clone());
                    world.nodes[node].drain();
                    world.nodes[node].persist(1);
                    world.nodes[node].drain();
                }
            }
        }
        let next = SegmentId { epoch: Epoch(3), index: 1 };
        let open =
            Segment { id: next, base: ChunkSeq(20), end: SegmentEnd::Open, replicas, ack_quorum: 2, window: WINDOW };
        world.record.segments.push(open);
        (world.record.epoch, world.record.number) = (Epoch(3), RecordNumber(9));
        world.record.check(9).expect("a record");
        world
    }

    pub(crate) fn repair(&mut self, config: RepairConfig) -> u64 {
        self.clients += 1;
        self.repairs.insert(self.clients, Repair::new(config, self.now));
        self.drain_client(self.clients);
        self.clients
    }

    pub(crate) fn config() -> RepairConfig {
        RepairConfig { bytes_per_s: 1 << 30, ..RepairConfig::new("orders") }
    }

    /// A repair stops where it is: its process ended.
    pub(crate) fn cut_short(&mut self, client: u64) {
        self.repairs.remove(&client);
        self.parcels.retain(|parcel| !matches!(parcel, Parcel::ToClient { client: to, .. } if *to == client));
    }

    fn drain_client(&mut self, client: u64) {
        let Some(repair) = self.repairs.get_mut(&client) else { return };
        let effects: Vec<_> = std::iter::from_fn(|| repair.poll_effect()).collect();
        for effect in effects {
            match effect {
                RepairEffect::ReadRecord { request, .. } => self.parcels.push_back(Parcel::Read { client, request }),
                RepairEffect::Swap { request, expected, record } => {
                    self.parcels.push_back(Parcel::Swap { client, request, expected, record });
                }
                RepairEffect::Place { request, replicas, keep, avoid, .. } => {
                    let result = Ok(self.place(replicas, &keep, &avoid));
                    let event = RepairEvent::Placed { request, result };
                    self.parcels.push_back(Parcel::ToClient { client, event });
                }
                RepairEffect::Call { request, to, what } => self.send(client, &to, Load::Call(request, what)),
                RepairEffect::Fetch { request, from, log, segment, seq } => {
                    let what = Request::Read { log, segment, from: seq, chunks_max: 1, bytes_max: 1 << 20 };
                    self.send(client, &from, Load::Fetch(request, what));
                }
                RepairEffect::Copy { request, to, header, payload } => {
                    self.copies += 1;
                    let sealed = self.sealed.contains(&header.segment);
                    assert!(sealed, "P1: a copy into segment {}, which is not sealed", header.segment);
                    self.send(client, &to, Load::Copy(request, header, payload));
                }
                RepairEffect::Finished(outcome) => {
                    self.repairs.remove(&client);
                    self.ended.insert(client, *outcome);
                    return;
                }
            }
        }
        let waits = self.parcels.iter().any(|parcel| parcel.client() == client)
            || self.owed.values().any(|(whom, _)| *whom == client);
        let due = self.repairs[&client].poll_timeout();
        assert!(waits || due.is_some(), "pitfall 14: a repair waits for nothing: {:?}", self.repairs[&client]);
    }

    fn place(&self, replicas: usize, keep: &[ReplicaRef], avoid: &[DiskId]) -> Vec<ReplicaRef> {
        let fit = |(number, node): &(usize, &Node)| {
            let taken = keep.iter().any(|kept| kept.zone == node.at.zone);
            !taken && !avoid.contains(&node.at.disk) && self.away != Some(*number) && !self.full.contains(&node.at.disk)
        };
        self.nodes.iter().enumerate().filter(fit).map(|(_, node)| node.at.clone()).take(replicas).collect()
    }

    fn send(&mut self, client: u64, to: &ReplicaRef, load: Load) {
        let node = self.nodes.iter().position(|node| node.at.address == to.address).expect("an address");
        self.parcels.push_back(Parcel::ToNode { node, disk: to.disk, client, load });
    }

    pub(crate) fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToClient { client, event } => {
                if let Some(repair) = self.repairs.get_mut(&client) {
                    repair.handle(self.now, event);
                    self.drain_client(client);
                }
            }
            Parcel::Read { client, request } => {
                let found = (self.version(), self.record.clone());
                let event = RepairEvent::RecordRead { request, result: Ok(Some(found)) };
                self.parcels.push_back(Parcel::ToClient { client, event });
            }
            Parcel::Swap { client, request, expected, record } => {
                let took_place = expected == self.version();
                if took_place {
                    self.change(*record);
                }
                let outcome = if took_place { SwapOutcome::Done(self.version()) } else { SwapOutcome::Conflict };
                let event = RepairEvent::Swapped { request, outcome };
                self.parcels.push_back(Parcel::ToClient { client, event });
            }
            Parcel::ToNode { node, client, ref load, .. } if self.away == Some(node) => {
                let load = load.clone();
                self.fail(client, &load);
            }
            Parcel::ToNode { node, disk, client, load } => self.arrive(node, disk, client, load),
        }
    }

    fn arrive(&mut self, node: usize, disk: DiskId, client: u64, load: Load) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.owed.insert(ticket, (client, load.clone()));
        match load {
            Load::Call(_, what) | Load::Fetch(_, what) | Load::Free(what) => {
                self.nodes[node].request(ticket, disk, what);
            }
            Load::Copy(_, header, payload) => {
                let is_full = self.full.contains(&disk);
                self.nodes[node].set_full(is_full);
                self.nodes[node].put(ticket, disk, (header, true), payload);
            }
        }
        self.drain_node(node);
    }

    pub(crate) fn drain_node(&mut self, node: usize) {
        for (ticket, said) in self.nodes[node].drain() {
            let Some((client, load)) = self.owed.remove(&ticket) else { continue };
            let event = match (load, said) {
                (Load::Call(request, _), Said::Reply(reply)) => RepairEvent::Replied { request, result: Ok(reply) },
                (Load::Fetch(request, _), said) => {
                    let result = match said {
                        Said::Chunk(header, payload) => Ok((header, payload)),
                        Said::Reply(Reply::ReadEnd { answer, .. }) => Err(FetchFailure::Answer(answer)),
                        _ => Err(FetchFailure::Answer(Answer::Unknown)),
                    };
                    RepairEvent::Fetched { request, result }
                }
                (Load::Copy(request, ..), Said::Stored) => RepairEvent::Copied { request, result: Ok(()) },
                (Load::Copy(request, ..), Said::Reply(Reply::Refused(why))) => {
                    RepairEvent::Copied { request, result: Err(CopyFailure::Refused(why)) }
                }
                _ => continue,
            };
            self.parcels.push_back(Parcel::ToClient { client, event });
        }
    }

    /// What is owed by a node that stopped will not come.
    pub(crate) fn crash(&mut self, node: usize, survive: usize) {
        self.nodes[node].crash(survive);
        let owed = std::mem::take(&mut self.owed);
        for (client, load) in owed.into_values() {
            self.fail(client, &load);
        }
    }

    /// A parcel is lost: whoever sent it hears so.
    pub(crate) fn lose(&mut self, parcel: &Parcel) {
        let unavailable = || "timed out".to_owned();
        let event = match parcel {
            Parcel::ToNode { client, load, .. } => return self.fail(*client, load),
            Parcel::Read { request, .. } => {
                let result = Err(quarry_protocol::recovery::RegisterFailure::Unavailable(unavailable()));
                RepairEvent::RecordRead { request: *request, result }
            }
            Parcel::Swap { request, .. } => {
                RepairEvent::Swapped { request: *request, outcome: SwapOutcome::Ambiguous(unavailable()) }
            }
            Parcel::ToClient { event, .. } => match event {
                RepairEvent::Replied { request, .. } => {
                    RepairEvent::Replied { request: *request, result: Err(Unanswered::Silent(unavailable())) }
                }
                RepairEvent::Copied { request, .. } => {
                    let result = Err(CopyFailure::Unreachable(unavailable()));
                    RepairEvent::Copied { request: *request, result }
                }
                RepairEvent::Swapped { request, .. } => {
                    RepairEvent::Swapped { request: *request, outcome: SwapOutcome::Ambiguous(unavailable()) }
                }
                other => other.clone(),
            },
        };
        self.parcels.push_back(Parcel::ToClient { client: parcel.client(), event });
    }

    fn fail(&mut self, client: u64, load: &Load) {
        let why = "connection refused".to_owned();
        let event = match load {
            Load::Call(request, _) => RepairEvent::Replied { request: *request, result: Err(Unanswered::Silent(why)) },
            Load::Fetch(request, _) => {
                RepairEvent::Fetched { request: *request, result: Err(FetchFailure::Unreachable(why)) }
            }
            Load::Copy(request, ..) => {
                RepairEvent::Copied { request: *request, result: Err(CopyFailure::Unreachable(why)) }
            }
            Load::Free(_) => return,
        };
        self.parcels.push_back(Parcel::ToClient { client, event });
    }

    pub(crate) fn version(&self) -> Version {
        Version(self.version.to_le_bytes().to_vec())
    }

    pub(crate) fn change(&mut self, record: LogRecord) {
        record.check(99).expect("a record that may be");
        assert_eq!(record.number, self.record.number.next(), "every change is one number further");
        self.version += 1;
        self.sealed.extend(record.segments.iter().filter(|segment| segment.is_sealed()).map(|segment| segment.id));
        self.record = record;
    }

    /// Somebody who read `record`, or none, frees what it does not need of a node's holdings.
    pub(crate) fn free(&mut self, record: Option<&LogRecord>, node: usize) {
        let word = record.unwrap_or(&self.record).number;
        let page = self.holdings(node);
        for holding in page.logs.iter().filter(|holding| holding.log == LOG).flat_map(|holding| &holding.segments) {
            if may_free(record, LOG, holding.segment, &page.identities).is_ok() {
                let what = Request::Free { log: LOG, segment: holding.segment, word };
                let disk = self.nodes[node].at.disk;
                self.parcels.push_back(Parcel::ToNode { node, disk, client: 0, load: Load::Free(what) });
            }
        }
    }

    fn holdings(&mut self, node: usize) -> HoldingsPage {
        let disk = self.nodes[node].at.disk;
        self.nodes[node].request(u64::MAX, disk, Request::Holdings { from: HoldingsCursor::default() });
        for (ticket, said) in self.nodes[node].drain() {
            if let (u64::MAX, Said::Reply(Reply::Holdings(page))) = (ticket, said) {
                return *page;
            }
        }
        panic!("no holdings")
    }

    /// Whether a holder has all of a segment, as it was written.
    pub(crate) fn is_good(&self, segment: &Segment, disk: DiskId) -> bool {
        let Some(node) = self.nodes.iter().find(|node| node.at.disk == disk) else { return false };
        let end = segment.end_seq().expect("sealed");
        (segment.base.max(self.record.floor).0..end.0).all(|seq| {
            let (header, payload) = &self.written[&(segment.id, ChunkSeq(seq))];
            let found = node.chunks.get(&(LOG, segment.id, ChunkSeq(seq)));
            found.is_some_and(|(h, p)| (h.payload_crc, p) == (header.payload_crc, payload))
        })
    }

    /// `NeverFewerCopies`, `NothingFreedThatTheRecordNames` and `NothingBadWithoutALoss` of the model in one: whoever the record
    /// names has all of it, unless it was hurt itself.
    pub(crate) fn check(&self) {
        for node in &self.nodes {
            let kept = node.chunks.keys().any(|(log, ..)| *log == LOG);
            assert!(!kept || !node.has_deleted(LOG), "pitfall 11: {} has chunks of a log it deleted", node.at.address);
        }
        if self.record.deleted {
            return;
        }
        for segment in self.record.segments.iter().filter(|segment| segment.is_sealed()) {
            assert_eq!(segment.replicas.len(), 3, "a repair keeps the number of holders");
            for holder in &segment.replicas {
                let fine = self.is_good(segment, holder.disk) || self.hurt.contains(&(holder.disk, segment.id));
                assert!(fine, "{} is named by {} and lacks it, unhurt", holder.address, segment.id);
            }
        }
    }

    /// Time passes until the next repair wants to be woken, or by `us`.
    pub(crate) fn pass(&mut self, us: u64) {
        self.now = self.now.plus(us);
        let clients: Vec<u64> = self.repairs.keys().copied().collect();
        for client in clients {
            let repair = self.repairs.get_mut(&client).expect("listed");
            if repair.poll_timeout().is_some_and(|at| at <= self.now) {
                repair.handle(self.now, RepairEvent::Tick);
                self.drain_client(client);
            }
        }
    }

    /// Delivers everything in order until the repair ends.
    pub(crate) fn run(&mut self, client: u64) -> Outcome {
        for _ in 0..100_000 {
            if let Some(outcome) = self.ended.remove(&client) {
                return outcome;
            }
            for node in 0..self.nodes.len() {
                self.nodes[node].persist(usize::MAX);
                self.drain_node(node);
            }
            match self.parcels.pop_front() {
                Some(parcel) => self.deliver(parcel),
                None => self.pass(100_000),
            }
            self.check();
        }
        panic!("a repair without end: {:?}", self.repairs[&client]);
    }

    /// Nodes write down some of what they were given.
    pub(crate) fn persist(&mut self, node: usize, count: usize) {
        self.nodes[node].persist(count);
        self.drain_node(node);
    }
}
