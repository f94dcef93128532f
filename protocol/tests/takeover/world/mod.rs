//! The world.
//!
//! Fault model. Parcels (requests, replies, puts, acknowledgements) may be delivered in any order, lost or delivered
//! twice, also long after their sender gave up. A lost put or acknowledgement breaks that link, as in life. Nodes crash at
//! any time and come back with what was confirmed and any prefix of what was not. A disk may lose chunks and say so, and one
//! node may be wiped and come back under its old address with a new identity. Register changes may be delayed, and
//! their outcome may be lost, whether they took place or not. Clients sleep for any time and wake. Clocks only drive retries.

pub(crate) mod client;
pub(crate) mod node;
pub(crate) mod oracle;
mod run;

use bytes::Bytes;
use client::{Client, NEVER_US, Role};
use node::{Node, Said};
use oracle::Oracle;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, OwnerId, SegmentId};
use quarry_protocol::message::{Answer, Refusal, Reply, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef, Version, Window};
use quarry_protocol::recovery::{
    FetchFailure, OpenMode, Purpose, RecoveryConfig, RecoveryEffect, RecoveryEvent, RequestNo, SwapOutcome,
};
use quarry_protocol::time::Micros;
use quarry_protocol::writer::{WriterEffect, WriterEvent};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const NAME: &str = "orders";
pub(crate) const WINDOW: Window = Window { chunks: 6, bytes: 4000 };

/// Something on its way.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// To the node that was at this address.
    ToNode {
        node: usize,
        disk: DiskId,
        client: usize,
        load: Load,
    },
    /// To a client, from a node or the register.
    ToClient {
        client: usize,
        news: News,
    },
    /// To the register.
    Read {
        client: usize,
        request: RequestNo,
    },
    Swap {
        client: usize,
        request: RequestNo,
        expected: Option<Version>,
        record: Box<LogRecord>,
    },
}

impl Parcel {
    /// Whether it comes from this client, or goes to it.
    pub(crate) fn is_for(&self, whom: usize) -> bool {
        match self {
            Self::ToNode { client, .. }
            | Self::ToClient { client, .. }
            | Self::Read { client, .. }
            | Self::Swap { client, .. } => *client == whom,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Load {
    Put { header: ChunkHeader, payload: Bytes },
    Call { request: RequestNo, what: Request },
    Fetch { request: RequestNo, what: Request },
    Trim { what: Request },
}

#[derive(Clone, Debug)]
pub(crate) enum News {
    Recovery(RecoveryEvent),
    Stored { disk: DiskId, segment: SegmentId, seq: ChunkSeq, connection: u64 },
    Refused { disk: DiskId, segment: SegmentId, seq: ChunkSeq, refusal: Refusal, connection: u64 },
}

/// Whose answer a node owes.
#[derive(Clone, Debug)]
enum Owed {
    Put { client: usize, disk: DiskId, segment: SegmentId, seq: ChunkSeq, connection: u64 },
    Call { client: usize, request: RequestNo },
    Fetch { client: usize, request: RequestNo },
    Nobody,
}

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) register: Option<(u64, LogRecord)>,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) oracle: Oracle,
    /// Links that are up, with the number of the connection.
    links: BTreeMap<(usize, DiskId), u64>,
    connections: u64,
    owed: BTreeMap<u64, Owed>,
    next_ticket: u64,
    /// The version counter of the register: a version is never used twice.
    versions: u64,
}

impl World {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            now: Micros(0),
            nodes: (0..nodes).map(|number| Node::new(number as u8, 0)).collect(),
            clients: Vec::new(),
            register: None,
            parcels: Vec::new(),
            oracle: Oracle::default(),
            links: BTreeMap::new(),
            connections: 0,
            owed: BTreeMap::new(),
            next_ticket: 0,
            versions: 0,
        }
    }

    /// A new client begins to take the log over.
    pub(crate) fn open(&mut self, replicas: usize, ack_quorum: usize) -> usize {
        self.open_for(Purpose::Write { replicas, ack_quorum, window: WINDOW })
    }

    pub(crate) fn open_for(&mut self, purpose: Purpose) -> usize {
        let number = self.clients.len() as u8;
        let mode = OpenMode::CreateIfMissing { log: LogId([number + 100; 16]) };
        let owner = OwnerId([number + 1; 16]);
        let config = RecoveryConfig { name: NAME.to_owned(), mode, owner, purpose, deadline_us: NEVER_US };
        self.clients.push(Client::new(config, self.now));
        self.drain_client(usize::from(number));
        usize::from(number)
    }

    pub(crate) fn append(&mut self, client: usize) -> bool {
        let count = self.clients[client].appended;
        let Role::Writing(writer) = &mut self.clients[client].role else { return false };
        let payload = payload_of(client, count);
        if writer.stopped().is_some() || !writer.would_fit(payload.len() as u64) || count == u8::MAX {
            return false;
        }
        let payload_crc = crc32c::crc32c(&payload);
        let token = u64::from(count);
        writer.handle(self.now, WriterEvent::Append { token, payload, payload_crc });
        self.clients[client].appended += 1;
        self.drain_client(client);
        true
    }

    /// The payload of a client's last append.
    pub(crate) fn last_payload(&self, client: usize) -> Bytes {
        payload_of(client, self.clients[client].appended - 1)
    }

    /// A client raises the floor and tells the nodes (P12).
    pub(crate) fn trim(&mut self, floor: ChunkSeq) {
        let Some((version, record)) = &self.register else { return };
        let known = self.oracle.acknowledged.last_key_value().map_or(0, |(seq, _)| seq.0 + 1);
        let floor = floor.min(ChunkSeq(known));
        if floor <= record.floor || record.segments.is_empty() {
            return;
        }
        let (expected, mut record) = (version_of(*version), record.changed());
        record.floor = floor;
        assert!(self.change(Some(&expected), record.changed()).is_some(), "compared with what was just read");
        let what = Request::Trim { log: record.log, word: record.number, floor };
        for node in 0..self.nodes.len() {
            let (disk, load) = (self.nodes[node].at.disk, Load::Trim { what: what.clone() });
            self.parcels.push(Parcel::ToNode { node, disk, client: usize::MAX, load });
        }
    }

    /// The register's own compare-and-swap.
    fn change(&mut self, expected: Option<&Version>, record: LogRecord) -> Option<Version> {
        let current = self.register.as_ref().map(|(version, _)| version_of(*version));
        if current.as_ref() != expected {
            return None;
        }
        if let Some((_, before)) = &self.register
            && before.log == record.log
        {
            assert!(
                record.epoch >= before.epoch && record.floor >= before.floor,
                "{before:?} moved back to {record:?}"
            );
        }
        self.versions += 1;
        self.oracle.registered(&record, &self.nodes);
        self.register = Some((self.versions, record));
        Some(version_of(self.versions))
    }

    pub(crate) fn deliver(&mut self, parcel: Parcel, swap: Swapping) {
        match parcel {
            Parcel::ToNode { node, disk, client, load } => self.arrive(node, disk, client, load),
            Parcel::ToClient { client, news } => self.hear(client, news),
            Parcel::Read { client, request } => {
                let found = self.register.clone().map(|(version, record)| (version_of(version), record));
                self.tell(client, RecoveryEvent::RecordRead { request, result: Ok(found) });
            }
            Parcel::Swap { client, request, expected, record } => {
                if swap == Swapping::Delayed {
                    self.parcels.push(Parcel::Swap { client, request, expected, record });
                    let outcome = SwapOutcome::Ambiguous("timed out".to_owned());
                    return self.tell(client, RecoveryEvent::Swapped { request, outcome });
                }
                let outcome = match swap {
                    Swapping::Lost => SwapOutcome::Ambiguous("connection reset".to_owned()),
                    Swapping::Failed => SwapOutcome::Failed("no leader".to_owned()),
                    _ => self.change(expected.as_ref(), *record).map_or(SwapOutcome::Conflict, SwapOutcome::Done),
                };
                let unheard = SwapOutcome::Ambiguous("the answer was lost".to_owned());
                let outcome = if swap == Swapping::Unheard { unheard } else { outcome };
                self.tell(client, RecoveryEvent::Swapped { request, outcome });
            }
        }
    }

    fn tell(&mut self, client: usize, event: RecoveryEvent) {
        self.parcels.push(Parcel::ToClient { client, news: News::Recovery(event) });
    }

    fn arrive(&mut self, node: usize, disk: DiskId, client: usize, load: Load) {
        if !self.nodes[node].running {
            return self.fail(client, &load);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let connection = self.links.get(&(client, disk)).copied().unwrap_or(0);
        match load {
            Load::Put { header, payload } => {
                let (segment, seq) = (header.segment, header.seq);
                self.owed.insert(ticket, Owed::Put { client, disk, segment, seq, connection });
                self.nodes[node].put(ticket, disk, (header, false), payload);
            }
            Load::Call { request, what } => {
                self.owed.insert(ticket, Owed::Call { client, request });
                self.nodes[node].request(ticket, disk, what);
            }
            Load::Fetch { request, what } => {
                self.owed.insert(ticket, Owed::Fetch { client, request });
                self.nodes[node].request(ticket, disk, what);
            }
            Load::Trim { what } => {
                self.owed.insert(ticket, Owed::Nobody);
                self.nodes[node].request(ticket, disk, what);
            }
        }
        self.drain_node(node);
    }

    pub(crate) fn drain_node(&mut self, node: usize) {
        for (ticket, said) in self.nodes[node].drain() {
            let news = match (self.owed.remove(&ticket), said) {
                (Some(Owed::Put { client, disk, segment, seq, connection }), Said::Stored) => {
                    Some((client, News::Stored { disk, segment, seq, connection }))
                }
                (Some(Owed::Put { client, disk, segment, seq, connection }), Said::Reply(Reply::Refused(refusal))) => {
                    Some((client, News::Refused { disk, segment, seq, refusal, connection }))
                }
                (Some(Owed::Call { client, request }), Said::Reply(reply)) => {
                    Some((client, News::Recovery(RecoveryEvent::Replied { request, result: Ok(reply) })))
                }
                (Some(Owed::Fetch { client, request }), said) => {
                    let result = match said {
                        Said::Chunk(header, payload) => Ok((header, payload)),
                        Said::Reply(Reply::ReadEnd { answer, .. }) => Err(FetchFailure::Answer(answer)),
                        _ => Err(FetchFailure::Answer(Answer::Unknown)),
                    };
                    Some((client, News::Recovery(RecoveryEvent::Fetched { request, result })))
                }
                _ => None,
            };
            if let Some((client, news)) = news {
                self.parcels.push(Parcel::ToClient { client, news });
            }
        }
    }

    /// A parcel is lost: its sender hears so in the end, or its link breaks.
    pub(crate) fn lose(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToNode { client, disk, load, .. } => match load {
                Load::Put { .. } => self.disconnect(client, disk),
                load => self.fail(client, &load),
            },
            Parcel::ToClient { client, news } => match news {
                News::Stored { disk, .. } | News::Refused { disk, .. } => self.disconnect(client, disk),
                News::Recovery(RecoveryEvent::Replied { request, .. }) => {
                    self.tell(client, RecoveryEvent::Replied { request, result: Err("timed out".to_owned()) });
                }
                // Everything else is the client's own and cannot get lost.
                news @ News::Recovery(_) => self.parcels.push(Parcel::ToClient { client, news }),
            },
            request => self.deliver(request, Swapping::Lost),
        }
    }

    fn fail(&mut self, client: usize, load: &Load) {
        let why = "connection refused".to_owned();
        match load {
            Load::Call { request, .. } => {
                self.tell(client, RecoveryEvent::Replied { request: *request, result: Err(why) });
            }
            Load::Fetch { request, .. } => {
                let result = Err(FetchFailure::Unreachable(why));
                self.tell(client, RecoveryEvent::Fetched { request: *request, result });
            }
            Load::Put { .. } | Load::Trim { .. } => {}
        }
    }
}

/// What becomes of a register change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swapping {
    Works,
    /// It is lost, and nobody says so.
    Lost,
    /// It takes place, and nobody says so.
    Unheard,
    /// Nobody says so, and it may take place later.
    Delayed,
    /// It does not take place, and the register says so.
    Failed,
}

fn payload_of(client: usize, count: u8) -> Bytes {
    Bytes::from(vec![client as u8, count, 7])
}

pub(crate) fn version_of(version: u64) -> Version {
    Version(version.to_le_bytes().to_vec())
}
