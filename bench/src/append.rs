//! Appends to a log, measured from the moment each was due: the clock starts before the writer's window is asked for
//! room, never after (pitfall 43).

use crate::latencies::Latencies;
use crate::measured::{Measured, Until};
use crate::noise::Noise;
use crate::pacer::Pacer;
use bytes::Bytes;
use quarry_client::{AppendError, LogWriter, PendingAppend};
use std::collections::VecDeque;
use std::time::Instant;
use tokio::sync::mpsc;

/// Different payloads that are appended in turn: made before the clock starts.
const PAYLOADS: usize = 16;

/// Who decides when an append begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// A fixed number in flight: the next begins when one is acknowledged.
    Closed {
        /// How many are in flight.
        depth: usize,
    },
    /// A fixed rate, whatever the store does. Latency counts from when an append was due, so a store that stalls
    /// is charged for every append that waited.
    Open {
        /// Appends per second.
        per_second: f64,
    },
}

/// What is appended.
#[derive(Clone, Debug)]
pub struct Appends {
    payloads: Vec<Bytes>,
    chunk_bytes: usize,
}

impl Appends {
    /// Chunks of `chunk_bytes` of noise.
    #[must_use]
    pub fn new(chunk_bytes: usize) -> Self {
        let mut noise = Noise::new(3);
        Self { payloads: (0..PAYLOADS).map(|_| Bytes::from(noise.bytes(chunk_bytes))).collect(), chunk_bytes }
    }

    /// Bytes of each.
    #[must_use]
    pub const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Appends under `load` until `until`, and waits for every acknowledgement.
    pub async fn measure(&self, writer: &LogWriter, load: Load, until: Until) -> Result<Measured, AppendError> {
        match load {
            Load::Closed { depth } => self.closed(writer, depth.max(1), until).await,
            Load::Open { per_second } => self.open(writer, per_second, until).await,
        }
    }

    /// The payload of append `number`.
    #[must_use]
    pub fn payload(&self, number: u64) -> Bytes {
        self.payloads[number as usize % PAYLOADS].clone()
    }

    async fn closed(&self, writer: &LogWriter, depth: usize, until: Until) -> Result<Measured, AppendError> {
        let begun_at = Instant::now();
        let (mut begun, mut latencies) = (0, Latencies::new());
        let mut in_flight: VecDeque<(Instant, PendingAppend)> = VecDeque::with_capacity(depth);
        loop {
            while in_flight.len() < depth && until.allows(begun, begun_at.elapsed()) {
                let due_at = Instant::now();
                in_flight.push_back((due_at, writer.append(self.payload(begun)).await?));
                begun += 1;
            }
            // Acknowledgements come in order (P2), so the oldest is the next.
            let Some((due_at, pending)) = in_flight.pop_front() else { break };
            pending.await?;
            latencies.record(due_at.elapsed());
        }
        Ok(self.measured(latencies, begun_at))
    }

    async fn open(&self, writer: &LogWriter, per_second: f64, until: Until) -> Result<Measured, AppendError> {
        let mut pacer = Pacer::start(per_second, until);
        let begun_at = Instant::now();
        let (sent, mut acknowledged) = mpsc::unbounded_channel::<(Instant, PendingAppend)>();
        let sending = async {
            let mut number = 0;
            while let Some(due_at) = pacer.next().await {
                let pending = writer.append(self.payload(number)).await?;
                number += 1;
                if sent.send((due_at, pending)).is_err() {
                    break;
                }
            }
            drop(sent);
            Ok(())
        };
        let receiving = async {
            let mut latencies = Latencies::new();
            while let Some((due_at, pending)) = acknowledged.recv().await {
                pending.await?;
                latencies.record(due_at.elapsed());
            }
            Ok(latencies)
        };
        let ((), latencies) = futures::future::try_join(sending, receiving).await?;
        Ok(self.measured(latencies, begun_at))
    }

    fn measured(&self, latencies: Latencies, begun_at: Instant) -> Measured {
        let bytes = latencies.count() * self.chunk_bytes as u64;
        Measured { latencies, bytes, elapsed: begun_at.elapsed() }
    }
}
