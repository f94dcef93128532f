//! What happens to a writer.

use crate::ids::ChunkSeq;
use crate::message::Refusal;
use alloc::string::String;
use bytes::Bytes;

/// Names an append for its caller; the writer only hands it back.
pub type AppendToken = u64;

/// Something that happened. Replicas are named by their index in the segment's replica list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterEvent {
    /// Append a chunk. It gets the seq that [`super::Writer::next_seq`] says, unless it is refused at once with
    /// [`super::WriterEffect::Failed`]; ask [`super::Writer::would_fit`] first.
    Append {
        /// Comes back with the outcome.
        token: AppendToken,
        /// The chunk's bytes.
        payload: Bytes,
        /// crc32c of `payload`: checksummed once, by whoever made it (D3).
        payload_crc: u32,
    },
    /// A replica has stored a chunk of this segment. May be late, or come twice.
    Stored {
        /// Which replica.
        replica: usize,
        /// Which chunk.
        seq: ChunkSeq,
    },
    /// A replica refused a chunk of this segment.
    Refused {
        /// Which replica.
        replica: usize,
        /// Which chunk.
        seq: ChunkSeq,
        /// Why.
        refusal: Refusal,
    },
    /// A connection to the replica stands: the first one, too. Nothing is put to a replica before. What was put on an
    /// earlier connection and not stored is put again.
    Up {
        /// Which replica.
        replica: usize,
    },
    /// The connection is gone.
    Down {
        /// Which replica.
        replica: usize,
        /// Why, for the message that may have to name it.
        why: String,
    },
    /// Time passed ([`super::Writer::poll_timeout`]).
    Tick,
}
