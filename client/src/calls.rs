//! Requests to replicas on behalf of a machine that only asks: each becomes a reply, or a reason why there is none.

use crate::quorum_store::Parts;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::RequestNo;
use quarry_protocol::time::Micros;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What came of a request.
pub(crate) type Answered = (RequestNo, Result<Reply, String>);

/// The requests under way. Dropping them gives them up.
pub(crate) struct Calls<'a> {
    parts: &'a Parts,
    started: Instant,
    under_way: FuturesUnordered<BoxFuture<'a, Answered>>,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(parts: &'a Parts) -> Self {
        Self { parts, started: Instant::now(), under_way: FuturesUnordered::new() }
    }

    /// The time as the machine sees it.
    pub(crate) fn now(&self) -> Micros {
        Micros(self.started.elapsed().as_micros() as u64)
    }

    pub(crate) fn ask(&mut self, request: RequestNo, to: ReplicaRef, what: Request) {
        let parts = self.parts;
        self.under_way.push(Box::pin(async move { (request, call(parts, &to, what).await) }));
    }

    /// The next answer; nothing once it is `due`, or if nobody was asked.
    pub(crate) async fn next(&mut self, due: Option<Micros>) -> Option<Answered> {
        let Some(due) = due else { return self.under_way.next().await };
        let due = self.started + Duration::from_micros(due.0);
        if self.under_way.is_empty() {
            tokio::time::sleep_until(due).await;
            return None;
        }
        timeout_at(due, self.under_way.next()).await.ok().flatten()
    }
}

/// Asks one replica.
pub(crate) async fn call(parts: &Parts, to: &ReplicaRef, what: Request) -> Result<Reply, String> {
    parts.cluster.link(to).call(what).await.map_err(|error| error.to_string())
}
