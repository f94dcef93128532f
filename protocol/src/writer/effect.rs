//! What a writer wants done.

use super::error::{AppendFailure, Fate, LeftBehindReason, StopReason};
use super::event::AppendToken;
use crate::chunk::ChunkHeader;
use crate::ids::ChunkSeq;
use bytes::Bytes;

/// Something to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterEffect {
    /// Put a chunk to one replica, on the connection that is up. Puts of one replica keep their order.
    Put {
        /// Which replica.
        replica: usize,
        /// The chunk.
        header: ChunkHeader,
        /// Its bytes.
        payload: Bytes,
    },
    /// The append is committed: stored on an ack quorum, and so is everything before it. Comes in seq order.
    Committed {
        /// Whose append.
        token: AppendToken,
        /// Its seq.
        seq: ChunkSeq,
    },
    /// The append failed. After the first failure that has a seq, every later append fails too.
    Failed {
        /// Whose append.
        token: AppendToken,
        /// Its seq; `None` if it was refused before it got one.
        seq: Option<ChunkSeq>,
        /// Whether it may turn up in the log all the same.
        fate: Fate,
        /// Why.
        why: AppendFailure,
    },
    /// The replica lags past the bound (or took no puts) and gets no more of what is committed (P10). Writes go on at
    /// quorum.
    LeftBehind {
        /// Which replica.
        replica: usize,
        /// Why.
        why: LeftBehindReason,
    },
    /// A replica that was left behind takes part again. It lacks what the log committed in between.
    Rejoined {
        /// Which replica.
        replica: usize,
        /// The first seq it may lack.
        lacks_from: ChunkSeq,
        /// One past the last seq it may lack: where it takes part again.
        lacks_to: ChunkSeq,
    },
    /// The writer stopped, for good. Comes once, before the failures of the appends it had.
    Stopped {
        /// Why.
        why: StopReason,
    },
}
