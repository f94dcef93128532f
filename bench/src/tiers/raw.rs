//! What a bucket client cannot beat: plain conditional puts to the same buckets, of which the k-th answer counts.

use crate::latencies::Latencies;
use crate::measured::{Measured, Until};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Deletions at once, when a part is over.
const DELETES_AT_ONCE: usize = 32;

/// Plain puts to every one of some buckets.
#[derive(Debug)]
pub struct RawPuts {
    buckets: Vec<Arc<dyn ObjectStore>>,
    ack_quorum: usize,
    /// Objects of this run and no other.
    prefix: String,
    next: u64,
}

impl RawPuts {
    /// Puts to all of `buckets`, done when `ack_quorum` have answered. Objects lie below `raw/<prefix>` until the end of their part.
    #[must_use]
    pub fn new(buckets: Vec<Arc<dyn ObjectStore>>, ack_quorum: usize, prefix: &str) -> Self {
        Self { buckets, ack_quorum, prefix: format!("raw/{prefix}"), next: 0 }
    }

    /// As many puts in flight as `depth` until `until`; then deletes what was put.
    pub async fn measure(&mut self, payload: &Bytes, depth: usize, until: Until) -> object_store::Result<Measured> {
        let (begun_at, first) = (Instant::now(), self.next);
        let (mut latencies, mut in_flight, mut stragglers) =
            (Latencies::new(), FuturesUnordered::new(), JoinSet::new());
        loop {
            while in_flight.len() < depth && until.allows(self.next - first, begun_at.elapsed()) {
                in_flight.push(self.put(payload, &mut stragglers));
                self.next += 1;
            }
            let Some(latency) = in_flight.next().await else { break };
            latencies.record(latency?);
        }
        let elapsed = begun_at.elapsed();
        while stragglers.join_next().await.is_some() {}
        let bytes = latencies.count() * payload.len() as u64;
        self.delete(first..self.next).await?;
        Ok(Measured { latencies, bytes, elapsed })
    }

    /// One put to every bucket; how long the k-th answer took. The others are not waited for.
    fn put(
        &self,
        payload: &Bytes,
        stragglers: &mut JoinSet<()>,
    ) -> impl Future<Output = object_store::Result<std::time::Duration>> + use<> {
        let (begun_at, path) = (Instant::now(), self.path(self.next));
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        for bucket in &self.buckets {
            let (bucket, path, payload) = (Arc::clone(bucket), path.clone(), PutPayload::from(payload.clone()));
            let sender = sender.clone();
            stragglers.spawn(async move {
                let put = bucket.put_opts(&path, payload, PutOptions::from(PutMode::Create)).await;
                // Whoever has its quorum listens no more.
                let _ = sender.send(put.map(|_| ()));
            });
        }
        let needed = self.ack_quorum;
        async move {
            for _ in 0..needed {
                answers.recv().await.expect("every bucket answers or fails")?;
            }
            Ok(begun_at.elapsed())
        }
    }

    fn path(&self, number: u64) -> Path {
        Path::from(format!("{}/{number:012}", self.prefix))
    }

    async fn delete(&self, numbers: std::ops::Range<u64>) -> object_store::Result<()> {
        let all = numbers.flat_map(|number| self.buckets.iter().map(move |bucket| (bucket, number)));
        let deletes =
            futures::stream::iter(all.map(|(bucket, number)| async move { bucket.delete(&self.path(number)).await }));
        let mut deletes = deletes.buffer_unordered(DELETES_AT_ONCE);
        while let Some(deleted) = deletes.next().await {
            deleted?;
        }
        Ok(())
    }
}
