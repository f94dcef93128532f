//! Quorum arithmetic: any `N` from 1 to 7 with any valid ack quorum.

use crate::limits::REPLICAS_MAX;

/// How many replicas a segment has, and how many of them make a chunk committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    replicas: u8,
    ack: u8,
}

/// Why a quorum is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// No replica, or too many.
    #[error("{replicas} replicas: a segment has 1 to {REPLICAS_MAX}")]
    Replicas {
        /// Asked for.
        replicas: usize,
    },
    /// An ack quorum that is empty or larger than the replica set.
    #[error("ack quorum {ack} of {replicas} replicas: it must be 1 to {replicas}")]
    Ack {
        /// Asked for.
        ack: usize,
        /// Out of how many.
        replicas: usize,
    },
}

impl Quorum {
    /// `ack` of `replicas`.
    pub fn new(replicas: usize, ack: usize) -> Result<Self, QuorumError> {
        if !(1..=REPLICAS_MAX).contains(&replicas) {
            return Err(QuorumError::Replicas { replicas });
        }
        if !(1..=replicas).contains(&ack) {
            return Err(QuorumError::Ack { ack, replicas });
        }
        Ok(Self { replicas: replicas as u8, ack: ack as u8 })
    }

    /// The majority of `replicas`.
    pub fn majority(replicas: usize) -> Result<Self, QuorumError> {
        Self::new(replicas, replicas / 2 + 1)
    }

    /// `N`.
    pub const fn replicas(self) -> usize {
        self.replicas as usize
    }

    /// `Qa`: how many replicas must have stored a chunk.
    pub const fn ack(self) -> usize {
        self.ack as usize
    }

    /// `Qr = N - Qa + 1`: meets every ack quorum.
    pub const fn read(self) -> usize {
        self.replicas as usize - self.ack as usize + 1
    }
}

/// A set of replicas of one segment, by their index in its replica list. Counting in a set, never replies:
/// a replica that answers twice counts once (pitfall 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSet(u8);

impl ReplicaSet {
    /// Adds a replica; true if it was not in the set.
    ///
    /// # Panics
    /// If `index` is not below [`REPLICAS_MAX`].
    pub fn insert(&mut self, index: usize) -> bool {
        assert!(index < REPLICAS_MAX, "replica index {index} of at most {REPLICAS_MAX}");
        let before = self.0;
        self.0 |= 1 << index;
        self.0 != before
    }

    /// Removes a replica.
    pub fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }

    /// Whether a replica is in the set.
    pub const fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    /// How many replicas are in the set.
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The replicas in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..REPLICAS_MAX).filter(move |i| self.contains(*i))
    }
}
