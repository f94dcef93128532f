//! The way to a bucket. What a node's shard decides at its end is decided at this one, by the bucket's machine.

use super::driver::{LogDriver, verified};
use super::known::KnownLogs;
use super::store::BucketStore;
use crate::link::{LinkError, LinkEvent, LinkEvents, ReadAnswer, ReplicaLink, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::{READ_BYTES_MAX, READ_CHUNKS_MAX};
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::ReplicaRef;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long an answer may take. Each takes a few rounds, and the store may throttle.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Machines kept for logs that nobody uses just now.
const IDLE_LOGS_MAX: usize = 1024;

pub(super) struct BucketLink {
    replica: ReplicaRef,
    /// The bucket, or why there is no way to it.
    store: Result<BucketStore, String>,
    known: Arc<KnownLogs>,
    runtime: Handle,
    logs: Mutex<BTreeMap<LogId, Arc<LogDriver>>>,
}

impl BucketLink {
    /// Must be called inside a Tokio runtime.
    pub(super) fn new(replica: ReplicaRef, store: Result<BucketStore, String>, known: Arc<KnownLogs>) -> Self {
        Self { replica, store, known, runtime: Handle::current(), logs: Mutex::default() }
    }

    /// Whether nothing goes on there on behalf of anybody.
    pub(super) fn is_idle(&self) -> bool {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.values().all(|driver| driver.is_idle())
    }

    fn driver(&self, log: LogId) -> Result<Arc<LogDriver>, LinkError> {
        let down = |why: &String| LinkError::Down { address: self.replica.address.clone(), why: why.clone() };
        let store = self.store.as_ref().map_err(down)?;
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if logs.len() >= IDLE_LOGS_MAX && !logs.contains_key(&log) {
            logs.retain(|_, driver| !driver.is_idle() || Arc::strong_count(driver) > 1);
        }
        let new = || Arc::new(LogDriver::new(store.clone(), self.runtime.clone(), log, self.replica.disk));
        Ok(Arc::clone(logs.entry(log).or_insert_with(new)))
    }

    /// The machine, after it was told what the register says of the log.
    fn informed(&self, log: LogId) -> Result<Arc<LogDriver>, LinkError> {
        let driver = self.driver(log)?;
        if let Some(known) = self.known.of(log) {
            driver.know(&known);
        }
        Ok(driver)
    }

    async fn answer<T>(&self, request: &'static str, answer: oneshot::Receiver<T>) -> Result<T, LinkError> {
        let address = || self.replica.address.clone();
        match timeout(CALL_TIMEOUT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(LinkError::Lost { address: address(), why: "its runtime has ended".to_owned() }),
            Err(_) => {
                Err(LinkError::Timeout { address: address(), request, after_ms: CALL_TIMEOUT.as_millis() as u64 })
            }
        }
    }

    fn broken(&self, why: impl Into<String>) -> LinkError {
        LinkError::Protocol { address: self.replica.address.clone(), why: why.into() }
    }
}

#[async_trait]
impl ReplicaLink for BucketLink {
    fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    fn put(&self, header: ChunkHeader, payload: Bytes) {
        if let Ok(driver) = self.driver(header.log) {
            driver.put(self.replica.disk, header, payload);
        }
    }

    async fn call(&self, request: Request) -> Result<Reply, LinkError> {
        let Some(log) = request.log() else {
            return Err(self.broken("a bucket is asked about one log at a time"));
        };
        let name = request.name();
        let answer = self.informed(log)?.call(self.replica.disk, request);
        self.answer(name, answer).await
    }

    async fn copy(&self, header: ChunkHeader, payload: Bytes) -> Result<(), LinkError> {
        let answer = self.informed(header.log)?.copy(self.replica.disk, header, payload);
        let address = || self.replica.address.clone();
        self.answer("copy", answer).await?.map_err(|refusal| LinkError::Refused { address: address(), refusal })
    }

    async fn read(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        chunks_max: u32,
        bytes_max: u32,
    ) -> Result<ReadAnswer, LinkError> {
        let (chunks_max, bytes_max) = (chunks_max.clamp(1, READ_CHUNKS_MAX), bytes_max.clamp(1, READ_BYTES_MAX));
        let request = Request::Read { log, segment, from, chunks_max, bytes_max };
        let answer = self.informed(log)?.read(self.replica.disk, request);
        let address = || self.replica.address.clone();
        match self.answer("read", answer).await? {
            (_, Reply::Refused(refusal)) => Err(LinkError::Refused { address: address(), refusal }),
            (chunks, reply) => {
                verified(chunks, from, reply).map_err(|why| LinkError::Corrupt { address: address(), why })
            }
        }
    }

    fn subscribe(&self, log: LogId, segment: SegmentId, tag: usize, events: LinkEvents) -> Subscription {
        match self.driver(log) {
            Ok(driver) => {
                let number = driver.subscribe(segment, tag, events);
                Subscription::new(move || driver.unsubscribe(segment, number))
            }
            Err(why) => {
                let _ = events.send((tag, LinkEvent::Down(why.to_string())));
                Subscription::new(|| ())
            }
        }
    }
}
