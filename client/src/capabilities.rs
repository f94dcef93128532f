//! What a store can do, so that a caller can size its chunks before it opens a log.

use crate::bucket::BucketKind;
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

/// What a kind of replica is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// How long a committed append typically takes.
    pub latency: LatencyClass,
    /// Chunk size, in bytes, from which larger ones gain little: of bandwidth on disks, of cost where each request has a price.
    pub chunk_bytes_preferred: u32,
}

impl Tier {
    /// Storage nodes.
    pub const LOCAL_DISK: Self = Self { latency: LatencyClass::LocalDisk, chunk_bytes_preferred: 64 << 10 };
    /// Process memory.
    pub const MEMORY: Self = Self { latency: LatencyClass::Memory, chunk_bytes_preferred: 64 << 10 };

    /// Buckets of a kind.
    #[must_use]
    pub const fn of_buckets(kind: BucketKind) -> Self {
        let (latency, chunk_bytes_preferred) = match kind {
            BucketKind::Directory => (LatencyClass::LocalDisk, 64 << 10),
            BucketKind::S3Express | BucketKind::Azure => (LatencyClass::FastObjectStore, 512 << 10),
            BucketKind::S3 | BucketKind::Google => (LatencyClass::ObjectStore, 4 << 20),
        };
        Self { latency, chunk_bytes_preferred }
    }
}

impl Capabilities {
    /// What the quorum code offers over replicas of a tier.
    pub(crate) fn of_quorum(zones: Vec<String>, replicas: usize, ack_quorum: usize, tier: Tier) -> Self {
        Self {
            chunk_bytes_max: CHUNK_PAYLOAD_BYTES_MAX,
            chunk_bytes_preferred: tier.chunk_bytes_preferred,
            zones,
            replicas,
            ack_quorum,
            latency: tier.latency,
        }
    }
}
