//! The world.
//!
//! Fault model. An operation takes place at any time after it was asked for, and is heard of at any time after that; operations
//! overtake each other. A create may fail, or be given up: then it took place, or never does, or does at any later time. Reads
//! may fail. Clients sleep for any time and wake: what they are told waits. Their links to a bucket break, after which they put again.
//! Takeovers race; trims come at any moment, from any client. One bucket may be emptied and made anew under its old address.
//! Register changes are slow. Clocks only drive retries.

mod client;
pub(crate) mod oracle;

use crate::store::Store;
use bytes::Bytes;
pub(crate) use client::{Client, Role};
use oracle::Oracle;
use quarry_protocol::bucket::{Bucket, BucketEvent, KnownLog, Operation, OperationNo, Outcome, SlotName};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, OwnerId};
use quarry_protocol::message::{Request, SegmentView};
use quarry_protocol::record::{LogRecord, ReplicaRef, Version, Window};
use quarry_protocol::recovery::{OpenMode, Purpose, RecoveryConfig, RecoveryEvent, RequestNo, SwapOutcome};
use quarry_protocol::time::Micros;
use std::collections::BTreeMap;

pub(crate) const WINDOW: Window = Window { chunks: 4, bytes: 4000 };

/// Something on its way.
pub(crate) enum Parcel {
    Operation { client: usize, bucket: usize, operation: OperationNo, what: Operation },
    Outcome { client: usize, bucket: usize, operation: OperationNo, outcome: Outcome },
    Read { client: usize, request: RequestNo },
    Swap { client: usize, request: RequestNo, expected: Option<Version>, record: Box<LogRecord> },
    News { client: usize, event: RecoveryEvent },
}

impl Parcel {
    pub(crate) fn client(&self) -> usize {
        match self {
            Self::Operation { client, .. }
            | Self::Outcome { client, .. }
            | Self::Read { client, .. }
            | Self::Swap { client, .. }
            | Self::News { client, .. } => *client,
        }
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It fails, and that is said.
    Failed,
    /// It takes place, and nobody says so.
    Unheard,
    /// It is lost, and nobody says so.
    Lost,
    /// Nobody says so, and it takes place later.
    Late,
}

/// Whose answer a machine owes.
pub(crate) enum Owed {
    Put {
        replica: usize,
        header: ChunkHeader,
    },
    /// Asked when the bucket had been wiped, or not.
    Call {
        request: RequestNo,
        what: Request,
        wiped: bool,
    },
    Fetch {
        request: RequestNo,
    },
    /// A look at one segment, remembered in [`World::seen`].
    Look,
    Nobody,
}

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) buckets: Vec<ReplicaRef>,
    pub(crate) stores: Vec<Store>,
    pub(crate) clients: Vec<Client>,
    pub(crate) register: Option<(u64, LogRecord)>,
    pub(crate) parcels: Vec<Parcel>,
    /// Given up, and perhaps to take place yet.
    pub(crate) late: Vec<(usize, Operation)>,
    pub(crate) oracle: Oracle,
    pub(crate) owed: BTreeMap<u64, Owed>,
    pub(crate) tickets: u64,
    pub(crate) quorum: usize,
    /// The bucket that was emptied.
    pub(crate) wiped: Option<usize>,
    /// What the last look saw.
    pub(crate) seen: Option<SegmentView>,
    versions: u64,
}

impl World {
    pub(crate) fn new(buckets: usize, quorum: usize) -> Self {
        let disk = |i: usize| DiskId([i as u8 + 1; 16]);
        let bucket = |i| ReplicaRef { disk: disk(i), address: format!("s3://b{i}"), zone: format!("z{i}") };
        Self {
            now: Micros(0),
            buckets: (0..buckets).map(bucket).collect(),
            stores: (0..buckets).map(|i| Store::new(disk(i))).collect(),
            clients: Vec::new(),
            register: None,
            parcels: Vec::new(),
            late: Vec::new(),
            oracle: Oracle::default(),
            owed: BTreeMap::new(),
            tickets: 0,
            quorum,
            wiped: None,
            seen: None,
            versions: 0,
        }
    }

    /// A new client begins to take the log over.
    pub(crate) fn open(&mut self, purpose: Purpose) -> usize {
        let number = self.clients.len();
        let mode = OpenMode::CreateIfMissing { log: LogId([number as u8 + 100; 16]) };
        let owner = OwnerId([number as u8 + 1; 16]);
        let config = RecoveryConfig { name: "orders".into(), mode, owner, purpose, deadline_us: client::NEVER_US };
        self.clients.push(Client::new(config, self.now, self.buckets.len()));
        self.drain(number);
        number
    }

    pub(crate) fn to_write(&self) -> Purpose {
        Purpose::Write { replicas: self.buckets.len(), ack_quorum: self.quorum, window: WINDOW }
    }

    /// A client raises the floor and tells the buckets (P12).
    pub(crate) fn trim(&mut self, client: usize, floor: ChunkSeq) {
        let Some((version, record)) = &self.register else { return };
        let known = self.oracle.acknowledged.last_key_value().map_or(0, |(seq, _)| seq.0 + 1);
        let floor = floor.min(ChunkSeq(known));
        if floor <= record.floor || record.segments.is_empty() || record.deleted {
            return;
        }
        let (expected, mut record) = (version_of(*version), record.changed());
        record.floor = floor;
        assert!(self.change(Some(&expected), record.clone()).is_some(), "compared with what was just read");
        for bucket in 0..self.buckets.len() {
            // Whoever heard of a floor and not of its record must not guess what may go.
            if !floor.0.is_multiple_of(3) {
                self.tell(client, bucket, record.log, BucketEvent::Known(KnownLog::of(&record)));
            }
            let request = Request::Trim { log: record.log, word: record.number, floor };
            self.ask(client, bucket, request, Owed::Nobody);
        }
    }

    /// The register's own compare-and-swap.
    fn change(&mut self, expected: Option<&Version>, record: LogRecord) -> Option<Version> {
        let current = self.register.as_ref().map(|(version, _)| version_of(*version));
        if current.as_ref() != expected {
            return None;
        }
        self.versions += 1;
        self.oracle.registered(&record, &self.stores);
        self.register = Some((self.versions, record));
        Some(version_of(self.versions))
    }

    pub(crate) fn deliver(&mut self, parcel: Parcel, fault: Fault) {
        match parcel {
            Parcel::Operation { client, bucket, operation, what } => {
                let outcome = self.perform(bucket, what, fault);
                self.parcels.push(Parcel::Outcome { client, bucket, operation, outcome });
            }
            Parcel::Outcome { client, bucket, operation, outcome } => {
                let log = self.clients[client].machines[bucket].as_ref().expect("it asked").log();
                self.tell(client, bucket, log, BucketEvent::Done { operation, outcome });
            }
            Parcel::Read { client, request } => {
                let found = self.register.clone().map(|(version, record)| (version_of(version), record));
                let event = RecoveryEvent::RecordRead { request, result: Ok(found) };
                self.parcels.push(Parcel::News { client, event });
            }
            Parcel::Swap { client, request, expected, record } => {
                let outcome = self.change(expected.as_ref(), *record).map_or(SwapOutcome::Conflict, SwapOutcome::Done);
                let event = RecoveryEvent::Swapped { request, outcome };
                self.parcels.push(Parcel::News { client, event });
            }
            Parcel::News { client, event } => self.recover(client, event),
        }
    }

    fn perform(&mut self, bucket: usize, what: Operation, fault: Fault) -> Outcome {
        let reads = matches!(what, Operation::Get { .. });
        let ambiguous = || Outcome::Ambiguous { why: "timed out".into() };
        match fault {
            Fault::None => self.apply(bucket, &what),
            Fault::Failed => Outcome::Failed { why: "slow down".into() },
            _ if reads => Outcome::Failed { why: "connection reset".into() },
            Fault::Unheard => {
                self.apply(bucket, &what);
                ambiguous()
            }
            Fault::Lost => ambiguous(),
            Fault::Late => {
                self.late.push((bucket, what));
                ambiguous()
            }
        }
    }

    /// The operation takes place.
    pub(crate) fn apply(&mut self, bucket: usize, what: &Operation) -> Outcome {
        if let Operation::Delete { key } = what
            && let Some((_, record)) = &self.register
        {
            self.oracle.deleted(key, record);
        }
        self.stores[bucket].perform(what)
    }

    /// The bucket is emptied and made anew, under its old address (P14).
    pub(crate) fn wipe(&mut self, bucket: usize, identity: bool) {
        self.oracle.losses = true;
        self.wiped = Some(bucket);
        self.stores[bucket] = if identity { Store::new(DiskId([99; 16])) } else { Store::default() };
    }

    /// Hands an event to a client's machine, and what comes out of it back.
    pub(crate) fn tell(&mut self, client: usize, bucket: usize, log: LogId, event: BucketEvent) {
        let (now, disk) = (self.now, self.buckets[bucket].disk);
        let machine = self.clients[client].machines[bucket].get_or_insert_with(|| Bucket::new(log, disk));
        machine.handle(now, event);
        machine.invariants();
        self.drain_machine(client, bucket);
    }

    pub(crate) fn ask(&mut self, client: usize, bucket: usize, request: Request, owed: Owed) {
        self.tickets += 1;
        self.owed.insert(self.tickets, owed);
        let (from, disk, log) =
            (self.tickets, self.buckets[bucket].disk, request.log().expect("nobody greets a bucket"));
        self.tell(client, bucket, log, BucketEvent::Request { from, disk, request });
    }

    pub(crate) fn put(&mut self, client: usize, replica: usize, header: ChunkHeader, payload: Bytes) {
        self.oracle.put(&header, &payload);
        self.tickets += 1;
        self.owed.insert(self.tickets, Owed::Put { replica, header });
        let event = BucketEvent::Put { from: self.tickets, disk: self.buckets[replica].disk, header, payload };
        self.tell(client, replica, header.log, event);
    }

    pub(crate) fn tick(&mut self, client: usize) {
        for bucket in 0..self.buckets.len() {
            if let Some(log) = self.clients[client].machines[bucket].as_ref().map(Bucket::log) {
                self.tell(client, bucket, log, BucketEvent::Tick);
            }
        }
        self.tick_role(client);
    }

    /// Everything works, for all but those asleep, until `done` or `rounds` are over.
    pub(crate) fn run_until(&mut self, rounds: usize, asleep: &[usize], done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..rounds {
            if done(self) {
                return true;
            }
            for parcel in std::mem::take(&mut self.parcels) {
                if asleep.contains(&parcel.client()) {
                    self.parcels.push(parcel);
                } else {
                    self.deliver(parcel, Fault::None);
                }
            }
            self.now = self.now.plus(5_000);
            (0..self.clients.len()).filter(|client| !asleep.contains(client)).for_each(|client| self.tick(client));
        }
        done(self)
    }

    pub(crate) fn record(&self) -> &LogRecord {
        &self.register.as_ref().expect("a record").1
    }
}

fn version_of(version: u64) -> Version {
    Version(version.to_le_bytes().to_vec())
}

pub(crate) fn slot_of(header: &ChunkHeader) -> SlotName {
    SlotName { log: header.log, segment: header.segment, seq: header.seq }
}
