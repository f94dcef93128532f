//! What a shard wants of its disk: begun here, ended here, as `node/src/io/disk.rs`, `prepare.rs` and `reads.rs`.

use super::{Arrived, Node, Operation, State};
use crate::core::{ConnId, Core, Event, ShardAt};
use crate::disk::{Disk, Fate, Write};
use crate::network::Frame;
use bytes::Bytes;
use quarry_node::shard::ReadOutcome;
use quarry_node::store::{ChunkKey, Part, Place};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::CHUNK_HEADER_BYTES;

/// How long a stuck write takes, in microseconds: longer than any store waits (D6).
const STUCK_US: u64 = 40_000_000;
const SECTOR: u32 = 512;

impl Node {
    pub(super) fn begin(&mut self, core: &mut Core, shard: usize, operation: Operation) {
        let delay = core.numbers.delay(core.options.disk_us) * self.slow;
        self.begin_for(core, shard, operation, delay);
    }

    fn begin_for(&mut self, core: &mut Core, shard: usize, operation: Operation, delay: u64) {
        let (at, host) = (self.at(shard), &mut self.shards[shard]);
        host.next_operation += 1;
        let number = host.next_operation;
        host.operations.insert(number, operation);
        core.after(delay, Event::Disk { at, operation: number });
    }

    pub(super) fn write(
        &mut self,
        core: &mut Core,
        shard: usize,
        (number, file, position): (u64, u32, u64),
        parts: &[Part],
        bytes: u32,
    ) {
        let buffer = self.gather(shard, parts, bytes);
        core.effect("write", [self.index as u64, number, u64::from(file), position]);
        if position == 0 {
            self.shards[shard].disk.check_reuse(file);
        }
        let fate = self.fate(core, shard, (file, position), bytes);
        let stuck = core.happens(core.options.operations.stuck_write, "stuck write");
        if stuck {
            let host = &mut self.shards[shard];
            host.stuck.insert(host.next_operation + 1);
        }
        let delay = if stuck { STUCK_US } else { core.numbers.delay(core.options.disk_us) * self.slow };
        self.begin_for(core, shard, Operation::Write(Write { number, file, position, bytes: buffer, fate }), delay);
    }

    fn gather(&self, shard: usize, parts: &[Part], bytes: u32) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(bytes as usize);
        for part in parts {
            match part {
                Part::Bytes(piece) => buffer.extend_from_slice(piece),
                Part::Head(head) => buffer.extend_from_slice(head),
                Part::Slot { slot, len } => {
                    let payload = self.shards[shard].slots[slot.0 as usize].as_ref().expect("a slot in use");
                    buffer.extend_from_slice(&payload[..*len as usize]);
                }
            }
        }
        assert!(buffer.len() <= bytes as usize, "{} bytes in a write of {bytes}", buffer.len());
        buffer.resize(bytes as usize, 0);
        buffer
    }

    fn fate(&self, core: &mut Core, shard: usize, (file, position): (u32, u64), bytes: u32) -> Fate {
        let faults = core.options.operations;
        if core.happens(faults.write_error, "write error") {
            return Fate::Error { chance: core.numbers.pick(&[0, 30, 100]) };
        }
        if core.happens(faults.short_write, "short write") {
            return Fate::Short { bytes: core.numbers.below(u64::from(bytes / SECTOR)) as u32 * SECTOR };
        }
        if !core.options.is_fallible(self.index) || self.shards[shard].disk.is_lying() {
            return Fate::Whole;
        }
        if core.happens(faults.lost_write, "lost write") {
            return Fate::Lost;
        }
        if core.happens(faults.misdirected_write, "misdirected write") {
            let disk = &self.shards[shard].disk;
            let (file, position) = disk.elsewhere(file, position, u64::from(bytes), &mut core.numbers);
            return Fate::Misdirected { file, position };
        }
        Fate::Whole
    }

    /// An operation ends.
    pub(crate) fn disk_done(&mut self, core: &mut Core, at: ShardAt, operation: u64) {
        if at.life != self.life || self.state != State::Up {
            return;
        }
        let host = &mut self.shards[at.shard];
        host.stuck.remove(&operation);
        let operation = host.operations.remove(&operation).expect("it was begun");
        let faults = core.options.operations;
        let arrived = match operation {
            Operation::Write(write) => {
                let number = write.number;
                core.step("written", [self.index as u64, number, u64::from(write.file), write.position]);
                Arrived::Written { number, result: host.disk.end_write(write, &mut core.numbers) }
            }
            Operation::Create { file } => {
                core.step("created", [self.index as u64, u64::from(file), 0, 0]);
                let fails = core.happens(faults.prepare_error, "file not made");
                Arrived::Prepared { file, result: if fails { Err("no".to_owned()) } else { host.disk.create(file) } }
            }
            Operation::Fill { file } => {
                core.step("filled", [self.index as u64, u64::from(file), 0, 0]);
                let fails = core.happens(faults.prepare_error, "file not filled");
                if fails {
                    host.disk.take_back(file);
                }
                Arrived::Prepared { file, result: if fails { Err("no".to_owned()) } else { Ok(()) } }
            }
            Operation::Name { file } => {
                core.step("named", [self.index as u64, u64::from(file), 0, 0]);
                let fails = core.happens(faults.prepare_error, "file not named");
                if fails {
                    host.disk.take_back(file);
                }
                Arrived::Prepared { file, result: if fails { Err("no".to_owned()) } else { host.disk.name(file) } }
            }
            Operation::ReadForCopy { token, file, position, bytes } => {
                core.step("read for copying", [self.index as u64, u64::from(file), position, u64::from(bytes)]);
                let result = self.read(core, at.shard, file, position, bytes);
                Arrived::CopyRead { token, result }
            }
            Operation::ReadChunks { token, conn, request_id, disk, chunks } => {
                core.step("read for a client", [self.index as u64, u64::from(conn), request_id, chunks.len() as u64]);
                let (sent, outcome) = self.read_chunks(core, at.shard, (conn, request_id, disk), &chunks);
                Arrived::ReadDone { token, sent, outcome }
            }
        };
        self.arrive(core, at.shard, arrived);
    }

    fn read(&mut self, core: &mut Core, shard: usize, file: u32, position: u64, bytes: u32) -> Result<Vec<u8>, String> {
        let disk = &mut self.shards[shard].disk;
        if stumbles(core, disk, core.options.operations.read_error_once, (file, position, bytes)) {
            return Err("input/output error".to_owned());
        }
        if core.options.is_fallible(self.index)
            && core.happens(core.options.operations.read_error_for_good, "read error, for good")
        {
            disk.go_bad(&mut core.numbers);
        }
        let mut into = vec![0; bytes as usize];
        disk.read(file, position, &mut into)?;
        Ok(into)
    }

    fn read_chunks(
        &mut self,
        core: &mut Core,
        shard: usize,
        (conn, request_id, disk): (ConnId, u64, DiskId),
        chunks: &[(ChunkKey, Place)],
    ) -> (u32, ReadOutcome) {
        for (sent, (key, place)) in chunks.iter().enumerate() {
            if core.net.conn(conn).node_open != Some(self.life) {
                return (sent as u32, ReadOutcome::ConnectionGone);
            }
            let bytes = CHUNK_HEADER_BYTES as u32 + place.length;
            let mut read = || {
                self.read(core, shard, place.file, u64::from(place.position), bytes)
                    .and_then(|stored| check(key, stored))
            };
            // D6: once more.
            match read().or_else(|_| read()) {
                Ok(stored) => self.send(core, conn, Frame::chunk(request_id, disk, &stored)),
                Err(why) => return (sent as u32, ReadOutcome::Unreadable { why }),
            }
        }
        (chunks.len() as u32, ReadOutcome::AllSent)
    }
}

/// Whether this read fails, this once.
pub(super) fn stumbles(core: &mut Core, disk: &mut Disk, rate: u64, (file, position, bytes): (u32, u64, u32)) -> bool {
    let may = !core.healed && core.numbers.per_mille(rate) && disk.stumble(file, position, u64::from(bytes));
    if may {
        core.faults.count("read error, once");
    }
    may
}

/// Whether these bytes are the chunk that the index says they are.
fn check(key: &ChunkKey, stored: Vec<u8>) -> Result<Bytes, String> {
    let header = ChunkHeader::decode(&stored).map_err(|why| why.to_string())?;
    let found = ChunkKey { log: header.log, segment: header.segment, seq: header.seq };
    if found != *key {
        return Err(format!("another chunk lies there: {found:?}"));
    }
    header.verify_payload(&stored[CHUNK_HEADER_BYTES..]).map_err(|why| why.to_string())?;
    Ok(Bytes::from(stored))
}
