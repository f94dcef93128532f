//! A storage node: the shipped shards, stores and replays, with this simulator as their `io`.

mod answers;
mod crash;
mod disk_work;
mod receive;
mod start;
mod turn;

use crate::core::{ConnId, Core, Event, ShardAt};
use crate::disk::{Disk, Write};
use bytes::Bytes;
use quarry_node::shard::{ReadOutcome, Shard};
use quarry_node::store::superblock::Superblock;
use quarry_node::store::{ChunkKey, Place};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, RecordNumber, SegmentId};
use quarry_protocol::limits::{FILE_BYTES_MIN, SUPERBLOCK_BYTES};
use quarry_protocol::message::{NodeInfo, Request};
use quarry_protocol::replica::{Identity, Slot};
use quarry_protocol::snapshot::LossRecord;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const CLUSTER: &str = "oak";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Down,
    /// Replaying.
    Starting,
    Up,
    /// It refused to start: an operator has to format it anew.
    Refused,
}

/// Something that waits for a shard's next turn: as `node/src/io/world.rs`, `Event`.
#[derive(Debug)]
pub(super) enum Arrived {
    Connected { conn: ConnId },
    Closed { conn: ConnId },
    Put { conn: ConnId, request_id: u64, disk: DiskId, header: ChunkHeader, slot: Slot, copy: bool },
    Request { conn: ConnId, request_id: u64, disk: DiskId, request: Request },
    Written { number: u64, result: Result<u32, String> },
    Prepared { file: u32, result: Result<(), String> },
    CopyRead { token: u64, result: Result<Vec<u8>, String> },
    ReadDone { token: u64, sent: u32, outcome: ReadOutcome },
    Stop,
}

/// What a disk is doing.
#[derive(Debug)]
pub(super) enum Operation {
    Write(Write),
    Create { file: u32 },
    Fill { file: u32 },
    Name { file: u32 },
    ReadForCopy { token: u64, file: u32, position: u64, bytes: u32 },
    ReadChunks { token: u64, conn: ConnId, request_id: u64, disk: DiskId, chunks: Vec<(ChunkKey, Place)> },
}

/// A request that a shard has not answered: what the oracle has to know of it.
#[derive(Debug)]
pub(super) enum Question {
    Put { log: LogId, segment: SegmentId, seq: ChunkSeq, copy: bool },
    Fence { log: LogId },
    Freeze { log: LogId, segment: SegmentId },
    Inspect { log: LogId },
    Trim { log: LogId },
    Delete { log: LogId },
    Pin { log: LogId },
    Inventory { log: LogId, segment: SegmentId },
    Free { log: LogId, segment: SegmentId, word: RecordNumber },
}

/// A shard, and the disk below it.
#[derive(Debug)]
pub(crate) struct ShardHost {
    pub(crate) disk: Disk,
    /// The identity that was in force last.
    pub(crate) identity: DiskId,
    names: Identity,
    pub(crate) shard: Option<Shard>,
    inbox: VecDeque<Arrived>,
    turn_at: Option<u64>,
    slots: Vec<Option<Bytes>>,
    vacant: Vec<u32>,
    operations: BTreeMap<u64, Operation>,
    next_operation: u64,
    conns: BTreeSet<ConnId>,
    /// Each with the disk that it names.
    questions: BTreeMap<(ConnId, u64), (DiskId, Question)>,
    /// What the last replay knew to be lost.
    losses: Vec<LossRecord>,
    /// Writes in progress that take longer than any store waits.
    stuck: BTreeSet<u64>,
    pub(crate) failed: bool,
    pub(crate) stopping: bool,
    pub(crate) settled: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) zone: String,
    pub(crate) state: State,
    pub(crate) life: u32,
    pub(crate) paused_until: u64,
    pub(crate) shards: Vec<ShardHost>,
    pub(crate) superblock: Vec<u8>,
    pub(crate) info: NodeInfo,
    pub(crate) files_max: u32,
    /// How much slower than usual its disks and turns are.
    pub(crate) slow: u64,
}

impl ShardHost {
    fn formatted(disk: DiskId) -> Self {
        Self {
            disk: Disk::formatted(disk),
            identity: disk,
            names: Identity { current: disk, retired: Vec::new() },
            losses: Vec::new(),
            shard: None,
            inbox: VecDeque::new(),
            turn_at: None,
            slots: Vec::new(),
            vacant: Vec::new(),
            operations: BTreeMap::new(),
            next_operation: 0,
            conns: BTreeSet::new(),
            questions: BTreeMap::new(),
            stuck: BTreeSet::new(),
            failed: false,
            stopping: false,
            settled: false,
        }
    }

    fn take_slot(&mut self, payload: Bytes) -> Slot {
        if let Some(index) = self.vacant.pop() {
            self.slots[index as usize] = Some(payload);
            return Slot(index);
        }
        self.slots.push(Some(payload));
        Slot(self.slots.len() as u32 - 1)
    }

    fn release(&mut self, slot: Slot) {
        let released = self.slots[slot.0 as usize].take();
        assert!(released.is_some(), "{slot:?} is released twice");
        self.vacant.push(slot.0);
    }

    /// Payload slots in use.
    pub(crate) fn slots_in_use(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Whether its disk works, and nothing is stuck in it.
    fn is_well(&self) -> bool {
        self.stuck.is_empty() && !self.failed
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        self.operations.is_empty() && self.inbox.is_empty() && self.slots_in_use() == 0 && self.questions.is_empty()
    }
}

impl Node {
    pub(crate) fn formatted(core: &mut Core, index: usize) -> Self {
        let options = &core.options;
        let (shards, files_max) = (options.shards, options.files_max);
        let zone = format!("zone{}", index % options.zones);
        let address = format!("node{index}:7000");
        let mut node = Self {
            index,
            zone: zone.clone(),
            state: State::Down,
            life: 0,
            paused_until: 0,
            shards: Vec::new(),
            superblock: Vec::new(),
            info: NodeInfo { cluster: CLUSTER.to_owned(), zone, advertise: address, shards: Vec::new(), shard: 0 },
            files_max,
            slow: 1,
        };
        node.format(core, shards);
        node
    }

    /// Fresh disks under a new identity.
    pub(crate) fn format(&mut self, core: &mut Core, shards: usize) {
        self.shards = (0..shards).map(|_| ShardHost::formatted(DiskId(core.numbers.id()))).collect();
        let superblock = Superblock {
            cluster: CLUSTER.to_owned(),
            zone: self.zone.clone(),
            node: core.numbers.id(),
            inode: 12,
            file_system: 1,
            file_bytes: FILE_BYTES_MIN,
            files_per_shard: self.files_max,
            disks: self.shards.iter().map(|shard| shard.disk.formatted).collect(),
        };
        self.superblock = superblock.encode();
    }

    pub(crate) fn at(&self, shard: usize) -> ShardAt {
        ShardAt { node: self.index, shard, life: self.life }
    }

    pub(crate) fn is_paused(&self, now: u64) -> bool {
        self.paused_until > now
    }

    /// Sees to it that the shard takes a turn at `when` or earlier.
    fn arm(&mut self, core: &mut Core, shard: usize, when: u64) {
        let (at, when) = (self.at(shard), when.max(self.paused_until).max(core.now));
        let host = &mut self.shards[shard];
        if host.turn_at.is_none_or(|armed| when < armed) {
            host.turn_at = Some(when);
            core.at(when, Event::Turn { at });
        }
    }

    /// Something arrived for a shard.
    fn arrive(&mut self, core: &mut Core, shard: usize, arrived: Arrived) {
        self.shards[shard].inbox.push_back(arrived);
        let delay = core.numbers.below(2 * core.options.turn_us) * self.slow;
        self.arm(core, shard, core.now + delay);
    }

    /// Whether it serves, and every disk of it works.
    pub(crate) fn is_well(&self) -> bool {
        self.state == State::Up && self.shards.iter().all(ShardHost::is_well)
    }

    /// Nothing keeps it from its turns any more.
    pub(crate) fn wake(&mut self, core: &mut Core) {
        if self.state == State::Up {
            let now = core.now;
            (0..self.shards.len()).for_each(|shard| self.arm(core, shard, now));
        }
    }

    /// Bits of the superblock flip: in one copy, or in both.
    pub(crate) fn rot_superblock(&mut self, core: &mut Core, both: bool) {
        // A copy that is damaged already stays the only one.
        let whole = Superblock::read(&self.superblock).is_ok_and(|read| read.mend.is_none());
        if !whole && !both {
            return;
        }
        let copies = if both { vec![0, 1] } else { vec![core.numbers.index(2)] };
        for copy in copies {
            let at = copy * SUPERBLOCK_BYTES + core.numbers.index(SUPERBLOCK_BYTES);
            self.superblock[at] ^= 1 << core.numbers.below(8);
        }
    }

    pub(crate) fn stop(&mut self, core: &mut Core) {
        if self.state != State::Up || self.shards.iter().any(|shard| shard.stopping) {
            return;
        }
        for shard in 0..self.shards.len() {
            self.shards[shard].stopping = true;
            self.arrive(core, shard, Arrived::Stop);
        }
    }
}
