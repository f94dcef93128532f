//! A node is killed while a log on it is written: how long is nothing acknowledged, and when is the node replaced?

use super::PhaseError;
use crate::append::Appends;
use quarry_client::{AppendError, ChunkStore, LogWriter, OpenOptions};
use serde::Serialize;
use std::future::Future;
use std::time::{Duration, Instant};

/// How much longer than its detection time a replacement is waited for.
const REPLACEMENT_MAX: Duration = Duration::from_secs(20);

/// Somebody who can kill the node at an address, and start it again.
pub trait Killable {
    /// Kills it.
    fn kill(&mut self, address: &str) -> impl Future<Output = Result<(), String>>;
    /// Starts it again, and waits until it serves.
    fn restart(&mut self) -> impl Future<Output = Result<(), String>>;
}

/// What to measure.
pub struct Kills<'a> {
    /// The store.
    pub store: &'a dyn ChunkStore,
    /// The log.
    pub name: &'a str,
    /// How it is opened for each round; its `replica_patience` is the detection time.
    pub options: OpenOptions,
    /// The payloads.
    pub appends: Appends,
    /// Appends in flight.
    pub depth: usize,
    /// How long appends go on before the kill, and at least after it.
    pub part: Duration,
}

/// One round.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KillRound {
    /// The longest time between two acknowledgements before the kill, in microseconds.
    pub healthy_us: f64,
    /// The longest time between two acknowledgements from the kill on, in microseconds.
    pub stall_us: f64,
    /// From the kill until a segment without the dead node took appends, in microseconds.
    pub replaced_us: f64,
    /// Acknowledgements from the kill on.
    pub acknowledged: u64,
}

impl Kills<'_> {
    /// One round per kill: the log is opened, written, loses a node, and is written until that is replaced.
    pub async fn measure(
        &self,
        nodes: &mut impl Killable,
        rounds: usize,
        mut on_round: impl FnMut(usize, &KillRound),
    ) -> Result<Vec<KillRound>, PhaseError> {
        let mut measured = Vec::with_capacity(rounds);
        for number in 1..=rounds {
            let round = self.round(nodes).await?;
            on_round(number, &round);
            measured.push(round);
        }
        Ok(measured)
    }

    async fn round(&self, nodes: &mut impl Killable) -> Result<KillRound, PhaseError> {
        let writer = self.store.open(self.name, self.options.clone()).await?.writer;
        let begun = Instant::now();
        let (healthy, _) = self.gaps(&writer, |now| now - begun >= self.part).await?;
        let victim = writer.replicas().pop().expect("a segment has replicas");
        let killing = Instant::now();
        nodes.kill(&victim.address).await.map_err(PhaseError::Phase)?;
        let mut replaced = None;
        let (stall, acknowledged) = self
            .gaps(&writer, |now| {
                if replaced.is_none() && writer.replicas().iter().all(|replica| replica.disk != victim.disk) {
                    replaced = Some(now - killing);
                }
                let over = now - killing;
                let given_up = over > self.options.rotation.replica_patience + REPLACEMENT_MAX;
                (replaced.is_some() && over >= self.part) || given_up
            })
            .await?;
        let stall = stall.max(Duration::ZERO);
        drop(writer);
        nodes.restart().await.map_err(PhaseError::Phase)?;
        let replaced = replaced.ok_or_else(|| {
            PhaseError::Phase(format!(
                "{} was not replaced within {REPLACEMENT_MAX:?}: is there a spare zone?",
                victim.address
            ))
        })?;
        let us = |duration: Duration| duration.as_secs_f64() * 1e6;
        Ok(KillRound { healthy_us: us(healthy), stall_us: us(stall), replaced_us: us(replaced), acknowledged })
    }

    /// Appends until `over`; the longest time between two acknowledgements, and how many there were.
    async fn gaps(
        &self,
        writer: &LogWriter,
        mut over: impl FnMut(Instant) -> bool,
    ) -> Result<(Duration, u64), AppendError> {
        let mut in_flight = std::collections::VecDeque::with_capacity(self.depth);
        let (mut last, mut longest, mut begun, mut acknowledged) = (Instant::now(), Duration::ZERO, 0, 0);
        let mut ending = false;
        loop {
            while in_flight.len() < self.depth && !ending {
                in_flight.push_back(writer.append(self.appends.payload(begun)).await?);
                begun += 1;
            }
            let Some(pending) = in_flight.pop_front() else { return Ok((longest, acknowledged)) };
            pending.await?;
            let now = Instant::now();
            longest = longest.max(now - last);
            (last, acknowledged) = (now, acknowledged + 1);
            ending = ending || over(now);
        }
    }
}
