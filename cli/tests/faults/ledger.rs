//! What was acknowledged, kept apart from the system under test.

use bytes::Bytes;
use futures::TryStreamExt;
use quarry_client::{ChunkStore, LogWriter, OpenOptions, Opened, ReadOptions, ReadRange};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long an open is tried again while nodes come and go.
const OPEN_PATIENCE: Duration = Duration::from_mins(1);

/// Every acknowledged chunk, by seq.
#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: BTreeMap<u64, Bytes>,
    made: u64,
}

impl Ledger {
    /// A payload that no other call makes: who made it, a number, and bytes that follow from both.
    pub(crate) fn payload(&mut self, maker: &str, bytes: usize) -> Bytes {
        self.made += 1;
        let mut payload = format!("{maker}:{}:", self.made).into_bytes();
        let seed = self.made;
        payload.extend((payload.len()..bytes).map(|i| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 57)) as u8));
        payload.into()
    }

    /// Takes an acknowledgement down.
    pub(crate) fn acknowledge(&mut self, seq: u64, payload: Bytes) {
        let before = self.acknowledged.insert(seq, payload);
        assert!(before.is_none(), "seq {seq} was acknowledged twice");
    }

    /// What was acknowledged at `seq`.
    pub(crate) fn get(&self, seq: u64) -> Option<&Bytes> {
        self.acknowledged.get(&seq)
    }

    /// How many chunks were acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// Appends `count` chunks with `depth` in flight; takes down what is acknowledged. False if the writer stopped.
    pub(crate) async fn append(&mut self, writer: &LogWriter, maker: &str, count: usize, depth: usize) -> bool {
        let mut in_flight = VecDeque::new();
        for _ in 0..count {
            let payload = self.payload(maker, 3000);
            match writer.append(payload.clone()).await {
                Ok(pending) => in_flight.push_back((payload, pending)),
                Err(_) => {
                    return {
                        self.settle(in_flight).await;
                        false
                    };
                }
            }
            if in_flight.len() >= depth {
                let first = in_flight.drain(..1).collect();
                if !self.settle(first).await {
                    return {
                        self.settle(in_flight).await;
                        false
                    };
                }
            }
        }
        self.settle(in_flight).await
    }

    async fn settle(&mut self, in_flight: VecDeque<(Bytes, quarry_client::PendingAppend)>) -> bool {
        let mut all = true;
        for (payload, pending) in in_flight {
            match pending.await {
                Ok(receipt) => self.acknowledge(receipt.seq.0, payload),
                Err(_) => all = false,
            }
        }
        all
    }

    /// Reads the whole log and compares. Chunks of unknown fate may be there; acknowledged ones must be.
    pub(crate) async fn check(&self, store: &dyn ChunkStore, log: &str) {
        let chunks: Vec<_> = store
            .read(log, ReadRange::all(), ReadOptions::default())
            .await
            .expect("the log can be read")
            .try_collect()
            .await
            .expect("every chunk can be read");
        for (i, chunk) in chunks.iter().enumerate() {
            assert_eq!(chunk.seq.0, i as u64, "the log is dense");
        }
        for (seq, payload) in &self.acknowledged {
            let read = chunks
                .get(*seq as usize)
                .unwrap_or_else(|| panic!("acknowledged seq {seq} is gone, the log has {}", chunks.len()));
            assert_eq!(read.payload, payload, "acknowledged seq {seq} has other bytes");
        }
    }
}

/// Opens the log, again and again while it may be retried.
pub(crate) async fn open(store: &dyn ChunkStore, log: &str) -> Opened {
    open_with(store, log, OpenOptions::default()).await
}

/// The same with other options.
pub(crate) async fn open_with(store: &dyn ChunkStore, log: &str, options: OpenOptions) -> Opened {
    let since = Instant::now();
    loop {
        match store.open(log, options.clone()).await {
            Ok(opened) => return opened,
            Err(why) if why.may_retry() && since.elapsed() < OPEN_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(why) => panic!("open {log}: {why}"),
        }
    }
}
