//! What is appended: bytes that follow from log and seq, so that whoever reads a chunk knows what it must look like to the
//! last byte without remembering it.
//!
//! A payload is a stretch of one piece of noise, made before any clock starts; where it begins follows from log and seq. So
//! making one copies nothing and takes no time from what is measured, no device can compress it, and the payloads of any
//! [`STARTS`] seqs of a log differ from each other.

use crate::noise::Noise;
use bytes::Bytes;

/// Places where a payload can begin: a prime, so that steps of any size visit all of them.
pub(super) const STARTS: u64 = 1_048_573;
/// How far apart payloads of neighbouring seqs begin, so that a chunk shifted by a few bytes is not its neighbour.
const SEQ_STEP: u64 = 514_229;
/// The same for neighbouring logs.
const LOG_STEP: u64 = 75_025;

/// The payloads of chunks of one size.
#[derive(Clone, Debug)]
pub struct Payloads {
    noise: Bytes,
    chunk_bytes: usize,
}

impl Payloads {
    /// Of `chunk_bytes` each; another seed gives others.
    #[must_use]
    pub fn new(seed: u64, chunk_bytes: usize) -> Self {
        Self { noise: Noise::new(seed).bytes(STARTS as usize + chunk_bytes).into(), chunk_bytes }
    }

    /// Bytes of each.
    #[must_use]
    pub const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// What chunk `seq` of log number `log` holds.
    #[must_use]
    pub fn of(&self, log: usize, seq: u64) -> Bytes {
        let steps = u128::from(seq) * u128::from(SEQ_STEP) + log as u128 * u128::from(LOG_STEP);
        let start = (steps % u128::from(STARTS)) as usize;
        self.noise.slice(start..start + self.chunk_bytes)
    }
}
