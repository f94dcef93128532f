//! Appends to a log, measured from the moment each was due: the clock starts before the writer's window is asked for
//! room, never after (pitfall 43).

use crate::drive::{self, Lane};
use crate::measured::{Measured, Until};
use crate::noise::Noise;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use quarry_client::{AppendError, LogWriter};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

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
        let failure = Rc::default();
        let lane = AppendLane { appends: self, writer, next: Cell::new(0), failure: Rc::clone(&failure) };
        let part = drive::measure(&[lane], load, until, self.chunk_bytes as u64, None).await;
        if let Some(why) = failure.take() {
            return Err(why);
        }
        let (latencies, elapsed) = (part.from_due.latencies(), Duration::from_secs_f64(part.seconds));
        Ok(Measured { latencies, bytes: part.bytes, elapsed })
    }

    /// The payload of append `number`.
    #[must_use]
    pub fn payload(&self, number: u64) -> Bytes {
        self.payloads[number as usize % PAYLOADS].clone()
    }
}

/// Appends to one log. The first failure ends it.
struct AppendLane<'a> {
    appends: &'a Appends,
    writer: &'a LogWriter,
    next: Cell<u64>,
    failure: Rc<RefCell<Option<AppendError>>>,
}

impl Lane for AppendLane<'_> {
    type Pending = LocalBoxFuture<'static, bool>;

    async fn begin(&self) -> Option<Self::Pending> {
        let failure = Rc::clone(&self.failure);
        let note = move |outcome: Result<_, AppendError>| match outcome {
            Ok(_) => true,
            Err(why) => {
                failure.borrow_mut().get_or_insert(why);
                false
            }
        };
        match self.writer.append(self.appends.payload(self.next.get())).await {
            Ok(pending) => {
                self.next.set(self.next.get() + 1);
                Some(pending.map(note).boxed_local())
            }
            Err(why) => {
                self.failure.borrow_mut().get_or_insert(why);
                None
            }
        }
    }
}
