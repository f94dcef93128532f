//! What a store can do, so that a caller can size its chunks before it opens a log.

use quarry_protocol::limits::CHUNK_PAYLOAD_BYTES_MAX;

/// What a store can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Largest chunk, in bytes.
    pub chunk_bytes_max: u32,
    /// Chunk size, in bytes, from which larger ones gain little bandwidth.
    pub chunk_bytes_preferred: u32,
    /// The failure domains known, in order; a segment has at most one replica in each.
    pub zones: Vec<String>,
    /// How many replicas a log opened with the defaults has.
    pub replicas: usize,
    /// How many of them commit a chunk.
    pub ack_quorum: usize,
    /// How long a committed append typically takes.
    pub latency: LatencyClass,
}

/// How long a committed append of a preferred chunk typically takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyClass {
    /// Microseconds: process memory, nothing durable.
    Memory,
    /// Below a millisecond or a few: local disks and one network round trip.
    LocalDisk,
    /// Single-digit milliseconds to tens: object stores made for latency.
    FastObjectStore,
    /// Tens of milliseconds and more.
    ObjectStore,
}

impl Capabilities {
    /// What the quorum code offers over local disks.
    pub(crate) fn of_quorum(zones: Vec<String>, replicas: usize, ack_quorum: usize, latency: LatencyClass) -> Self {
        Self {
            chunk_bytes_max: CHUNK_PAYLOAD_BYTES_MAX,
            chunk_bytes_preferred: 64 << 10,
            zones,
            replicas,
            ack_quorum,
            latency,
        }
    }
}
