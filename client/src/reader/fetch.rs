//! Getting one piece of a segment from whichever replica gives it first, verified.

use super::bounds::{HEDGE_AFTER, PIECE_BYTES, ROUND_PAUSE};
use crate::cluster::Cluster;
use crate::link::{Chunk, LinkError, ReadAnswer};
use crate::open::who;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::limits::REPLICAS_MAX;
use quarry_protocol::message::{Answer, Refusal};
use quarry_protocol::record::Segment;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Where pieces of one segment come from. Remembers which replicas failed, so that others are asked first.
pub(super) struct Source {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) log: LogId,
    pub(super) segment: Segment,
    /// How long a piece may be out of reach on every replica.
    pub(super) deadline: Duration,
    /// Told when a replica cannot give a chunk of a sealed segment that it should have.
    damaged: Damaged,
    /// How often each replica failed; only a hint for the order.
    failures: [AtomicU32; REPLICAS_MAX],
}

/// Who wants to know of damage.
pub(super) type Damaged = Box<dyn Fn() + Send + Sync>;

/// What is wanted: at least the first of these chunks, and as many more as one answer holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) from: ChunkSeq,
    pub(super) count: u32,
    /// Which replica is asked first, if none failed before.
    pub(super) turn: usize,
    /// Whether a replica is believed that says that the log is gone or trimmed.
    pub(super) believe_gone: bool,
}

/// Why there is no piece.
#[derive(Debug)]
pub(super) enum NoPiece {
    /// A replica says that the log is trimmed or deleted: the record must know.
    Gone,
    /// Every replica failed, until the deadline.
    Unavailable {
        /// What each one said last.
        why: String,
        /// Whether each one said that it does not have the chunk whole.
        lost: bool,
    },
}

/// Why one replica gave nothing.
enum Failure {
    Gone(String),
    Lacks(String),
    Other(String),
}

impl Source {
    pub(super) fn new(
        cluster: Arc<dyn Cluster>,
        log: LogId,
        segment: Segment,
        deadline: Duration,
        damaged: Damaged,
    ) -> Self {
        Self { cluster, log, segment, deadline, damaged, failures: Default::default() }
    }

    /// Chunks of `piece`, from its first on, at least one.
    pub(super) async fn fetch(&self, piece: Piece) -> Result<Vec<Chunk>, NoPiece> {
        let start = Instant::now();
        loop {
            let said = match self.ask_all(piece).await {
                Ok(chunks) => return Ok(chunks),
                Err(said) => said,
            };
            if piece.believe_gone && said.iter().any(|failure| matches!(failure, Failure::Gone(_))) {
                return Err(NoPiece::Gone);
            }
            if start.elapsed() >= self.deadline {
                let lost = said.iter().all(|failure| matches!(failure, Failure::Gone(_) | Failure::Lacks(_)));
                let said: Vec<String> = said
                    .into_iter()
                    .map(|(Failure::Gone(why) | Failure::Lacks(why) | Failure::Other(why))| why)
                    .collect();
                return Err(NoPiece::Unavailable { why: said.join("; "), lost });
            }
            sleep(ROUND_PAUSE).await;
        }
    }

    /// Asks one replica after the other: the next one when one fails, or is slow to answer. The first that gives
    /// something wins.
    async fn ask_all(&self, piece: Piece) -> Result<Vec<Chunk>, Vec<Failure>> {
        let mut waiting = self.order(piece.turn).into_iter();
        let mut asked = FuturesUnordered::new();
        let mut said = Vec::new();
        asked.extend(waiting.next().map(|index| self.ask(index, piece)));
        loop {
            let answer = if waiting.len() == 0 {
                asked.next().await
            } else {
                let Ok(answer) = timeout(HEDGE_AFTER, asked.next()).await else {
                    asked.extend(waiting.next().map(|index| self.ask(index, piece)));
                    continue;
                };
                answer
            };
            match answer {
                Some(Ok(chunks)) => return Ok(chunks),
                Some(Err(failure)) => {
                    said.push(failure);
                    asked.extend(waiting.next().map(|index| self.ask(index, piece)));
                }
                None => return Err(said),
            }
        }
    }

    async fn ask(&self, index: usize, piece: Piece) -> Result<Vec<Chunk>, Failure> {
        let replica = &self.segment.replicas[index];
        let link = self.cluster.link(replica);
        let answer = link.read(self.log, self.segment.id, piece.from, piece.count, PIECE_BYTES).await;
        let lacks =
            |answer: &ReadAnswer| answer.chunks.is_empty() && matches!(answer.answer, Answer::Never | Answer::Unknown);
        if self.segment.is_sealed()
            && answer.as_ref().map_or_else(|why| matches!(why, LinkError::Corrupt { .. }), lacks)
        {
            (self.damaged)();
        }
        let failure = match answer {
            Ok(ReadAnswer { chunks, .. }) if !chunks.is_empty() => {
                self.failures[index].store(0, Ordering::Relaxed);
                return Ok(chunks);
            }
            Ok(ReadAnswer { answer: Answer::Trimmed, .. }) => Failure::Gone("trimmed".to_owned()),
            Ok(ReadAnswer { answer: Answer::Have, .. }) => {
                Failure::Other("it has the chunk and did not send it".to_owned())
            }
            Ok(ReadAnswer { answer: Answer::Never, .. }) => Failure::Lacks("it never had the chunk".to_owned()),
            Ok(ReadAnswer { answer: Answer::Unknown, .. }) => {
                Failure::Lacks("it cannot say (lost or unreadable there)".to_owned())
            }
            Err(LinkError::Refused { refusal: why @ Refusal::LogDeleted { .. }, .. }) => Failure::Gone(why.to_string()),
            Err(why @ LinkError::Corrupt { .. }) => Failure::Lacks(why.to_string()),
            Err(why) => Failure::Other(why.to_string()),
        };
        self.failures[index].fetch_add(1, Ordering::Relaxed);
        let name = |why: String| format!("{}: {why}", who(replica));
        Err(match failure {
            Failure::Gone(why) => Failure::Gone(name(why)),
            Failure::Lacks(why) => Failure::Lacks(name(why)),
            Failure::Other(why) => Failure::Other(name(why)),
        })
    }

    /// Every replica once: those that failed least first, `turn` deciding among equals, so that pieces spread.
    fn order(&self, turn: usize) -> Vec<usize> {
        let count = self.segment.replicas.len();
        let mut order: Vec<usize> = (0..count).map(|i| (turn + i) % count).collect();
        order.sort_by_key(|index| self.failures[*index].load(Ordering::Relaxed));
        order
    }
}
