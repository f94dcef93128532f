//! Starting a node: superblock, stock, replay, shards; as `node/src/start.rs` and `node/src/io/replay.rs`.

use super::disk_work::stumbles;
use super::{CLUSTER, Node, ShardHost, State};
use crate::core::{Core, Event};
use crate::disk::{Crash, Disk, FILE_BYTES};
use quarry_node::shard::{Shard, ShardConfig};
use quarry_node::store::replay::{Replay, ReplayConfig, ReplayEffect, ReplayEvent};
use quarry_node::store::superblock::{ReadSuperblock, Superblock};
use quarry_node::store::{ChunkKey, Place, Replayed, StoreConfig};
use quarry_protocol::action::Step;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, SUPERBLOCK_BYTES};
use quarry_protocol::message::ShardAddress;
use quarry_protocol::snapshot::LossRecord;
use std::collections::VecDeque;

/// Port of a node's first shard.
const PORT: u16 = 7000;

/// Why a replay did not end in a shard.
enum NoReplay {
    /// It was interrupted by another crash.
    Crashed,
    /// The shard must not start.
    Refused(String),
}

impl Node {
    /// The node starts, unless something else became of it meanwhile.
    pub(crate) fn start(&mut self, core: &mut Core, life: u32) {
        if self.life != life || self.state != State::Down {
            return;
        }
        core.step("start", [self.index as u64, u64::from(life), 0, 0]);
        self.state = State::Starting;
        if let Err(why) = self.read_superblock() {
            return self.refuse(core, &why);
        }
        let interrupted = !core.healed && core.numbers.percent(10);
        let mut steps = if interrupted { core.numbers.below(40) } else { u64::MAX };
        let mut replayed = Vec::new();
        for shard in 0..self.shards.len() {
            match self.replay(core, shard, &mut steps) {
                Ok(found) => replayed.push(found),
                Err(NoReplay::Refused(why)) => return self.refuse(core, &why),
                Err(NoReplay::Crashed) => {
                    core.faults.count("crash during a replay");
                    let crash = core.numbers.pick(&[Crash::Process, Crash::Power]);
                    return self.crash(core, crash);
                }
            }
        }
        self.serve(core, replayed);
    }

    /// D9: a damaged copy is mended from the other one.
    fn read_superblock(&mut self) -> Result<(), String> {
        let ReadSuperblock { superblock, mend } = Superblock::read(&self.superblock).map_err(|why| why.to_string())?;
        superblock
            .check_cluster(CLUSTER)
            .and_then(|()| superblock.check_place(12, 1))
            .map_err(|why| why.to_string())?;
        if let Some(copy) = mend {
            let whole = superblock.encode();
            let at = copy * SUPERBLOCK_BYTES;
            self.superblock[at..at + SUPERBLOCK_BYTES].copy_from_slice(&whole[at..at + SUPERBLOCK_BYTES]);
        }
        assert!(Superblock::read(&self.superblock).is_ok_and(|read| read.mend.is_none()), "D9: it was not mended");
        let disks: Vec<DiskId> = self.shards.iter().map(|shard| shard.disk.formatted).collect();
        assert!(superblock.disks == disks, "D9: the superblock names {:?}, not {disks:?}", superblock.disks);
        Ok(())
    }

    /// P8: what cannot be told, is not told: only a disk that was damaged keeps its node from starting.
    fn refuse(&mut self, core: &mut Core, why: &str) {
        let may = core.options.is_fallible(self.index);
        assert!(may, "node {} refuses to start although nothing was lost: {why}", self.index);
        core.effect("start refused", [self.index as u64, 0, 0, 0]);
        core.oracle.counts.starts_refused += 1;
        self.state = State::Refused;
        let delay = core.numbers.delay(500_000);
        core.after(delay, Event::Mend { node: self.index, life: self.life });
    }

    fn replay(&mut self, core: &mut Core, shard: usize, steps: &mut u64) -> Result<Replayed, NoReplay> {
        let fresh = DiskId(core.numbers.id());
        let (index, host) = (self.index, &mut self.shards[shard]);
        let (files, expected) = host.disk.take_stock();
        let disk = host.disk.formatted;
        let mut machine = Replay::new(ReplayConfig { disk, fresh, file_bytes: FILE_BYTES, files, expected });
        let mut reads = VecDeque::new();
        let mut buffer = Vec::new();
        loop {
            if *steps == 0 {
                return Err(NoReplay::Crashed);
            }
            *steps = steps.saturating_sub(1);
            match machine.poll_effect() {
                Some(ReplayEffect::Read { token, file, position, bytes }) => {
                    reads.push_back((token, file, position, bytes));
                }
                Some(ReplayEffect::Sync { file }) => {
                    host.disk.sync(file);
                    machine.handle(ReplayEvent::Synced { file, result: Ok(()) });
                }
                Some(ReplayEffect::Done(replayed)) => {
                    host.disk.begin_ledger(&replayed);
                    check(core, host, &replayed);
                    host.losses.clone_from(&replayed.losses);
                    return Ok(*replayed);
                }
                Some(ReplayEffect::Failed(why)) => return Err(NoReplay::Refused(why.to_string())),
                None => {
                    let at = core.numbers.index(reads.len().max(1));
                    let (token, file, position, bytes) = reads.remove(at).expect("a replay waits for something");
                    buffer.resize(bytes as usize, 0);
                    let rate = core.options.operations.read_error_once / 4;
                    let fails = stumbles(core, &mut host.disk, rate, (file, position, bytes));
                    let read = if fails {
                        Err("input/output error".to_owned())
                    } else {
                        host.disk.read(file, position, &mut buffer)
                    };
                    core.effect("replay reads", [index as u64, u64::from(file), position, u64::from(bytes)]);
                    machine.handle(ReplayEvent::Read { token, result: read.map(|()| &buffer[..]) });
                }
            }
        }
    }

    fn serve(&mut self, core: &mut Core, replayed: Vec<Replayed>) {
        let addresses = replayed.iter().zip(PORT..).map(|(found, port)| {
            let identity = found.identity();
            ShardAddress { disk: identity.current, retired: identity.retired, port }
        });
        self.info.shards = addresses.collect();
        self.state = State::Up;
        core.directory.0[self.index] = Some(self.info.clone());
        for (index, found) in replayed.into_iter().enumerate() {
            let mut info = self.info.clone();
            info.shard = index as u16;
            let host = &mut self.shards[index];
            let (replica, new) = (host.identity, found.identity().current);
            if new != replica {
                core.note_of_every_log(|| Step::Retire { replica, new });
            }
            (host.identity, host.names) = (new, found.identity());
            let store = StoreConfig {
                disk: host.disk.formatted,
                file_bytes: FILE_BYTES,
                files_max: self.files_max,
                wall_clock_at_zero_s: 1_700_000_000,
                scrub_period_us: core.options.scrub_us,
            };
            let mut shard = Shard::new(ShardConfig { node: info, store }, found);
            if core.trace.wanted {
                shard.record_actions();
                core.trace.take(|| shard.poll_action());
            }
            host.shard = Some(shard);
            let now = core.now;
            self.arm(core, index, now);
        }
    }
}

fn check(core: &mut Core, host: &ShardHost, replayed: &Replayed) {
    let read = |disk: &Disk, place: Place| {
        let mut head = [0; CHUNK_HEADER_BYTES];
        disk.read(place.file, u64::from(place.position), &mut head).ok()?;
        ChunkHeader::decode(&head).ok()
    };
    core.effect(
        "replayed",
        [replayed.index.len(), replayed.next_batch, replayed.report.torn_batches, replayed.report.lost_chunks],
    );
    check_losses(host, replayed);
    core.oracle.replayed(host.identity, host.disk.damaged, replayed, |place| read(&host.disk, place));
}

/// D6: what is lost stays lost until it is trimmed, its log deleted, or a good copy of it turns up.
fn check_losses(host: &ShardHost, replayed: &Replayed) {
    for loss in &host.losses {
        let log = replayed.logs.iter().find(|restored| restored.record.log == loss.log);
        let deleted = log.is_some_and(|restored| restored.record.deleted.0 > 0);
        let floor = log.map_or(ChunkSeq(0), |restored| restored.record.floor);
        for seq in (loss.from.max(floor).0..loss.to.0).map(ChunkSeq) {
            let same = |known: &LossRecord| (known.log, known.segment) == (loss.log, loss.segment);
            let known = replayed.losses.iter().any(|known| same(known) && (known.from..known.to).contains(&seq));
            let key = ChunkKey { log: loss.log, segment: loss.segment, seq };
            let found =
                deleted || known || replayed.index.get(&key).is_some_and(|place| is_good(&host.disk, &key, place));
            assert!(found, "D6: the loss of {}/{seq} of log {} is forgotten", loss.segment, loss.log);
        }
    }
}

/// Whether what lies here is this very chunk.
pub(super) fn is_good(disk: &Disk, key: &ChunkKey, place: Place) -> bool {
    let mut stored = vec![0; CHUNK_HEADER_BYTES + place.length as usize];
    let read = disk.read(place.file, u64::from(place.position), &mut stored).is_ok();
    let header = ChunkHeader::decode(&stored);
    let named = |header: &ChunkHeader| (header.log, header.segment, header.seq) == (key.log, key.segment, key.seq);
    let whole = |header: ChunkHeader| named(&header) && header.verify_payload(&stored[CHUNK_HEADER_BYTES..]).is_ok();
    read && header.is_ok_and(whole)
}
