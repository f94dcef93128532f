//! Random faults, takeovers, trims and writers that do not know they were replaced. Whatever happens: what was
//! acknowledged is there in the end, at its seq, and a seq never has two contents.
//!
//! The faults come from a seed, which a failure names; how the tasks interleave is the runtime's.

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use quarry_client::memory::MemoryStore;
use quarry_client::quorum_store::QuorumStore;
use quarry_client::{ChunkStore, Fate, LogWriter, OpenOptions, PendingAppend, ReadOptions, ReadRange};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use std::collections::BTreeMap;
use std::time::Duration;

const LOG: &str = "log";
const SEEDS: std::ops::Range<u64> = 1..81;
const STEPS: u64 = 120;

/// xorshift64*: enough to choose faults by.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

struct Chaos {
    seed: u64,
    dice: Dice,
    memory: MemoryStore,
    store: QuorumStore,
    /// Newest last; all but the last were taken over.
    writers: Vec<LogWriter>,
    in_flight: Vec<(Bytes, PendingAppend)>,
    /// What was acknowledged, by seq.
    acknowledged: BTreeMap<ChunkSeq, Bytes>,
    never: Vec<Bytes>,
    newest: Epoch,
    floor: ChunkSeq,
    wiped: bool,
    appended: u64,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let memory = MemoryStore::new();
        Self {
            seed,
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            store: memory.store(),
            memory,
            writers: Vec::new(),
            in_flight: Vec::new(),
            acknowledged: BTreeMap::new(),
            never: Vec::new(),
            newest: Epoch(0),
            floor: ChunkSeq(0),
            wiped: false,
            appended: 0,
        }
    }

    async fn step(&mut self) {
        match self.dice.below(20) {
            0 => self.memory.kill(self.dice.below(3) as usize),
            1 | 2 => self.memory.restart(self.dice.below(3) as usize),
            3 => self.memory.pause(self.dice.below(3) as usize),
            4 | 5 => self.memory.resume(self.dice.below(3) as usize),
            6 if !self.wiped && self.dice.below(10) == 0 => {
                self.memory.wipe(self.dice.below(3) as usize);
                self.wiped = true;
            }
            6 | 7 => self.open().await,
            8 => self.trim().await,
            9 => self.settle().await,
            _ => self.append().await,
        }
    }

    async fn open(&mut self) {
        let deadline = Duration::from_millis(50 + self.dice.below(100));
        let options = OpenOptions { deadline, append_deadline: Duration::from_millis(200), ..OpenOptions::default() };
        let Ok(opened) = self.store.open(LOG, options).await else { return };
        let (seed, next) = (self.seed, opened.report.next_seq);
        assert!(opened.report.epoch > self.newest, "seed {seed}: epochs rise");
        let after = self.acknowledged.last_key_value().map_or(ChunkSeq(0), |(seq, _)| seq.next());
        assert!(next >= after, "seed {seed}: opened at {next}, everything below {after} was acknowledged");
        self.newest = opened.report.epoch;
        self.writers.push(opened.writer);
    }

    /// Appends with any of the writers, most often the newest.
    async fn append(&mut self) {
        let old = self.dice.below(4) == 0;
        let Some(newest) = self.writers.len().checked_sub(1) else { return };
        let which = if old { self.dice.below(newest as u64 + 1) as usize } else { newest };
        for _ in 0..=self.dice.below(8) {
            self.appended += 1;
            let payload = Bytes::from(format!("seed {} number {}", self.seed, self.appended));
            match self.writers[which].try_append(payload.clone()) {
                Ok(append) => self.in_flight.push((payload, append)),
                Err(_) => self.never.push(payload),
            }
        }
        tokio::task::yield_now().await;
    }

    async fn trim(&mut self) {
        let Some(newest) = self.acknowledged.keys().next_back() else { return };
        let below = ChunkSeq(self.dice.below(newest.0 + 2));
        if let Ok(floor) = self.store.trim(LOG, below).await {
            self.floor = self.floor.max(floor);
        }
    }

    /// Waits until every append is settled one way or the other.
    async fn settle(&mut self) {
        for (payload, append) in std::mem::take(&mut self.in_flight) {
            match append.await {
                Ok(receipt) => {
                    let before = self.acknowledged.insert(receipt.seq, payload);
                    assert_eq!(before, None, "seed {}: seq {} was acknowledged twice", self.seed, receipt.seq);
                }
                Err(error) if error.fate() == Fate::NeverStored => self.never.push(payload),
                Err(_) => {}
            }
        }
    }

    async fn check(&mut self) {
        let seed = self.seed;
        for replica in 0..3 {
            self.memory.restart(replica);
            self.memory.resume(replica);
        }
        self.settle().await;
        let opened = self.store.open(LOG, OpenOptions::default()).await;
        let opened = opened.unwrap_or_else(|error| panic!("seed {seed}: every replica is back: {error}"));
        let last = opened.writer.append("the end".into()).await.unwrap().await.unwrap();
        self.acknowledged.insert(last.seq, "the end".into());
        let held: Vec<_> =
            self.store.read(LOG, ReadRange::all(), ReadOptions::default()).await.unwrap().try_collect().await.unwrap();
        let from = held[0].seq;
        assert!(from >= self.floor, "seed {seed}: read from {from}, trimmed to {}", self.floor);
        for (i, chunk) in held.iter().enumerate() {
            assert_eq!(chunk.seq, from.plus(i as u64), "seed {seed}: seqs are dense");
            assert!(!self.never.contains(&chunk.payload), "seed {seed}: seq {} was never to be stored", chunk.seq);
        }
        for (seq, payload) in self.acknowledged.range(from..) {
            let found = held.get((seq.0 - from.0) as usize).map(|chunk| &chunk.payload);
            assert_eq!(found, Some(payload), "seed {seed}: seq {seq} was acknowledged");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_whatever_happens() {
    // Most of a run is waiting for replicas that do not answer, so all seeds run at once.
    let runs = SEEDS.map(|seed| {
        tokio::spawn(async move {
            let mut chaos = Chaos::new(seed);
            chaos.open().await;
            for _ in 0..STEPS {
                chaos.step().await;
            }
            chaos.check().await;
            chaos.acknowledged.len()
        })
    });
    let acknowledged: usize = join_all(runs).await.into_iter().map(Result::unwrap).sum();
    // A run in which nothing is ever acknowledged shows nothing.
    assert!(acknowledged as u64 > SEEDS.end * 20, "{acknowledged} appends were acknowledged");
}
