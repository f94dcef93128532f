//! Random worlds, each from one seed.

use crate::world::{Fault, Owed, Parcel, Role, World};
use quarry_protocol::ids::{ChunkSeq, RecordNumber};
use quarry_protocol::message::Request;
use quarry_protocol::recovery::{Purpose, RecoveryError};

/// Worlds of each shape.
const SEEDS: u64 = 600;
/// Most steps before everything works again.
const STEPS_MAX: u64 = 700;
const CLIENTS_MAX: usize = 5;

/// xorshift64*: enough to choose by.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}

/// Says which seed it was, if the run panics.
pub(crate) struct Named(pub(crate) u64, pub(crate) usize, pub(crate) usize);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, {} buckets, {} acknowledge", self.0, self.1, self.2);
        }
    }
}

struct Walker {
    world: World,
    chance: Chance,
    /// One in so many operations meets a fault; none if 0.
    fault_every: u64,
    trims: bool,
    wipes: bool,
    asleep: Option<usize>,
}

impl Walker {
    fn step(&mut self) {
        match self.chance.below(40) {
            0..20 => self.deliver(),
            20..27 => {
                let client = self.chance.index(self.world.clients.len());
                self.world.append(client);
            }
            27..31 => {
                self.world.now = self.world.now.plus(1_000 << self.chance.below(10));
                let client = self.chance.index(self.world.clients.len());
                self.world.tick(client);
            }
            31 | 32 => {
                let (client, bucket) =
                    (self.chance.index(self.world.clients.len()), self.chance.index(self.world.buckets.len()));
                let up = self.chance.below(2) == 0;
                self.world.link(client, bucket, up);
            }
            33 if !self.world.late.is_empty() => {
                let at = self.chance.index(self.world.late.len());
                let (bucket, what) = self.world.late.swap_remove(at);
                self.world.apply(bucket, &what);
            }
            34 if self.world.clients.len() < CLIENTS_MAX => {
                let purpose = self.world.to_write();
                self.world.open(purpose);
            }
            35 if self.trims => {
                let acknowledged = self.world.oracle.acknowledged.last_key_value().map_or(0, |(seq, _)| seq.0 + 1);
                let (client, floor) =
                    (self.chance.index(self.world.clients.len()), self.chance.below(acknowledged + 1));
                self.world.trim(client, ChunkSeq(floor));
            }
            36 => {
                let client = self.chance.index(self.world.clients.len());
                self.asleep = (self.chance.below(2) == 0).then_some(client);
            }
            37 if self.wipes && self.chance.below(20) == 0 => {
                self.wipes = false;
                let identity = self.chance.below(2) == 0;
                self.world.wipe(0, identity);
            }
            38 => self.leave_behind(),
            _ => {}
        }
    }

    /// One bucket is away while a writer goes on, for longer than what is kept for it, and lacks that run for good (P10).
    fn leave_behind(&mut self) {
        let (client, bucket) =
            (self.chance.index(self.world.clients.len()), self.chance.index(self.world.buckets.len()));
        self.world.link(client, bucket, false);
        for _ in 0..self.chance.below(12) {
            self.world.append(client);
            (0..12).for_each(|_| self.deliver());
        }
        self.world.link(client, bucket, true);
    }

    fn deliver(&mut self) {
        if self.world.parcels.is_empty() {
            return;
        }
        let at = self.chance.index(self.world.parcels.len());
        if self.asleep == Some(self.world.parcels[at].client())
            && !matches!(self.world.parcels[at], Parcel::Operation { .. })
        {
            return;
        }
        let parcel = self.world.parcels.swap_remove(at);
        let meets = self.fault_every > 0 && self.chance.below(self.fault_every) == 0;
        let fault = [Fault::Failed, Fault::Unheard, Fault::Lost, Fault::Late][self.chance.index(4)];
        self.world.deliver(parcel, if meets { fault } else { Fault::None });
    }
}

fn walk(seed: u64, buckets: usize, quorum: usize) -> World {
    let mut chance = Chance::of(seed);
    let fault_every = [0, 30, 8, 3][chance.index(4)];
    let (trims, wipes) = (chance.below(2) == 0, buckets > 1 && quorum > 1 && chance.below(4) == 0);
    let mut walker = Walker { world: World::new(buckets, quorum), chance, fault_every, trims, wipes, asleep: None };
    let purpose = walker.world.to_write();
    walker.world.open(purpose);
    for _ in 0..walker.chance.below(STEPS_MAX) {
        walker.step();
    }
    walker.world
}

fn run(seed: u64, buckets: usize, quorum: usize) -> usize {
    let _named = Named(seed, buckets, quorum);
    let mut world = walk(seed, buckets, quorum);
    finish(&mut world);
    world.oracle.acknowledged.len()
}

/// The log is deleted while all others sleep, and every chunk is. Then they wake, and go on.
fn run_deleted(seed: u64, buckets: usize, quorum: usize) -> usize {
    let _named = Named(seed, buckets, quorum);
    let mut world = walk(seed, buckets, quorum);
    let asleep: Vec<usize> = (0..world.clients.len()).collect();
    let last = world.open(Purpose::Delete);
    let over = world.run_until(2_000, &asleep, |world| world.clients[last].is_over());
    if !over || world.oracle.losses || world.clients[last].report.is_none() {
        return 0;
    }
    world.run_until(50, &asleep, |_| false);
    // Who had not taken over yet would make a new log under the old name.
    for client in world.clients.iter_mut().filter(|client| client.writer().is_none()) {
        client.role = Role::Over(None);
    }
    let appended = asleep.iter().filter(|client| world.append(**client)).count();
    world.run_until(300, &[], |_| false);
    for client in asleep {
        world.append(client);
    }
    world.run_until(300, &[], |_| false);
    appended
}

/// A last takeover in a world that works sees the whole history, and goes on with it. With a bucket emptied it may have to wait for
/// ever instead, but never decides otherwise.
pub(crate) fn finish(world: &mut World) {
    let Some(last) = take_over(world) else { return };
    let writer = world.clients[last].writer().expect("it took over");
    let acknowledged = world.oracle.acknowledged.last_key_value().map_or(ChunkSeq(0), |(seq, _)| seq.next());
    let tail = writer.next_seq();
    assert!(tail >= acknowledged, "the last takeover ends at {tail}, acknowledged to {acknowledged}");
    assert!(world.oracle.decided_through().is_none_or(|seq| seq < tail), "a longer history was seen before");
    let goal = tail.plus(3);
    (0..3).for_each(|_| assert!(world.append(last), "room for three"));
    let committed = world
        .run_until(400, &[], |world| world.clients[last].writer().is_some_and(|writer| writer.committed() >= goal));
    assert!(committed || world.oracle.losses, "not committed");
    // All is trimmed, and those who slept through everything hear of the floor and nothing else.
    world.trim(last, ChunkSeq(u64::MAX));
    let (log, floor) = (world.record().log, world.record().floor);
    let of_log: Vec<usize> = (0..world.clients.len()).filter(|client| world.clients[*client].is_of(log)).collect();
    for client in of_log {
        for bucket in 0..world.buckets.len() {
            world.ask(client, bucket, Request::Trim { log, word: RecordNumber(0), floor }, Owed::Nobody);
        }
    }
    world.run_until(100, &[], |_| false);
    // What lies below that floor was another writer's, if they were taken over: going on there, they are acknowledged nothing.
    (0..world.clients.len()).for_each(|client| _ = world.append(client));
    world.run_until(100, &[], |_| false);
}

/// A client that took over; none if that cannot be done without the bucket that was emptied.
fn take_over(world: &mut World) -> Option<usize> {
    for _ in 0..=CLIENTS_MAX {
        let purpose = world.to_write();
        let last = world.open(purpose);
        world.run_until(2_000, &[], |world| world.clients[last].writer().is_some() || world.clients[last].is_over());
        match &world.clients[last].role {
            Role::Writing(_) => return Some(last),
            // One that began before it claimed later.
            Role::Over(Some(why)) if matches!(**why, RecoveryError::Superseded { .. }) => {}
            Role::Over(why) => panic!("the last takeover failed: {why:?}"),
            Role::Recovering(recovery) => {
                assert!(world.oracle.losses, "the last takeover hangs: {recovery:#?}");
                return None;
            }
        }
    }
    panic!("one takeover too many");
}

fn run_all(buckets: usize, quorum: usize) {
    let acknowledged: usize = (0..SEEDS).map(|seed| run(seed, buckets, quorum)).sum();
    assert!(acknowledged > SEEDS as usize * 5, "only {acknowledged} appends were ever acknowledged");
}

/// Pitfalls 11 and 17: a writer that sleeps through the deletion of its log is acknowledged nothing more.
#[test]
fn a_deleted_log_acknowledges_nothing_more() {
    for (buckets, quorum) in [(1, 1), (3, 2), (3, 1)] {
        let appended: usize = (0..SEEDS / 4).map(|seed| run_deleted(seed, buckets, quorum)).sum();
        assert!(appended > 20, "only {appended} appends were tried after a deletion");
    }
}

#[test]
fn one_bucket_loses_nothing() {
    run_all(1, 1);
}

#[test]
fn two_of_three_buckets_lose_nothing() {
    run_all(3, 2);
}

#[test]
fn one_of_three_buckets_loses_nothing() {
    run_all(3, 1);
}

#[test]
fn three_of_three_buckets_lose_nothing() {
    run_all(3, 3);
}
