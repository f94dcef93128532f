//! Sealed datagrams. Whoever does not have the key can neither read nor make one, and one of another cluster does not
//! open even under the same key.
//!
//! ```text
//! 0  version  1     1  nonce, random  24     25  sealed: what foca says, and a tag of 16
//! ```
//! A datagram that is sent again later opens again. That does no harm: what foca says names incarnations and what nodes say of
//! themselves has version numbers, so that old news are told from new ones.

use super::key::ClusterKey;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

/// Most bytes of what foca says in one datagram. One node's description always fits; a few shards with short names stay below what
/// networks carry in one piece.
pub(super) const PLAIN_BYTES_MAX: usize = 4096;
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;
/// Largest datagram.
pub(super) const DATAGRAM_BYTES_MAX: usize = PLAIN_BYTES_MAX + OVERHEAD_BYTES;

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Too short, or of another version.
    Malformed,
    /// Larger than any datagram.
    Oversize,
    /// Sealed with another key, for another cluster, or damaged.
    Seal,
}

/// Seals and opens.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    cluster: Vec<u8>,
}

impl Seal {
    pub(super) fn new(key: &ClusterKey, cluster: &str) -> Self {
        let cipher = XChaCha20Poly1305::new(&key.0.into());
        Self { cipher, cluster: [b"quarry gossip\0", cluster.as_bytes()].concat() }
    }

    /// A datagram that says `plain`.
    pub(super) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        assert!(plain.len() <= PLAIN_BYTES_MAX, "{} bytes in one datagram, at most {PLAIN_BYTES_MAX}", plain.len());
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        self.seal_with(nonce, plain)
    }

    fn seal_with(&self, nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: plain, aad: &self.cluster };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).expect("a datagram is short enough to seal");
        let mut datagram = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
        datagram.push(VERSION);
        datagram.extend_from_slice(&nonce);
        datagram.extend_from_slice(&sealed);
        datagram
    }

    /// What a datagram says.
    pub(super) fn open(&self, datagram: &[u8]) -> Result<Vec<u8>, Unopened> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(Unopened::Oversize);
        }
        if datagram.len() < OVERHEAD_BYTES || datagram[0] != VERSION {
            return Err(Unopened::Malformed);
        }
        let (nonce, sealed) = datagram[1..].split_at(NONCE_BYTES);
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().expect("split there");
        let payload = Payload { msg: sealed, aad: &self.cluster };
        self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| Unopened::Seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u8) -> ClusterKey {
        ClusterKey([number; 32])
    }

    #[test]
    fn only_the_same_key_and_cluster_open() {
        let oak = Seal::new(&key(1), "oak");
        let datagram = oak.seal(b"hello");
        assert_eq!(oak.open(&datagram), Ok(b"hello".to_vec()));
        assert_ne!(oak.seal(b"hello"), datagram, "nonces are random");
        assert_eq!(Seal::new(&key(2), "oak").open(&datagram), Err(Unopened::Seal));
        assert_eq!(Seal::new(&key(1), "elm").open(&datagram), Err(Unopened::Seal), "replayed from another cluster");
        assert_eq!(oak.open(&[0; DATAGRAM_BYTES_MAX + 1]), Err(Unopened::Oversize));
        assert_eq!(oak.open(&oak.seal(&[7; PLAIN_BYTES_MAX])).map(|plain| plain.len()), Ok(PLAIN_BYTES_MAX));
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_found() {
        let oak = Seal::new(&key(1), "oak");
        let datagram = oak.seal(b"what foca says");
        for length in 0..datagram.len() {
            assert!(oak.open(&datagram[..length]).is_err(), "{length} bytes");
        }
        for bit in 0..8 * datagram.len() {
            let mut damaged = datagram.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(oak.open(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_nonce_travels_in_front() {
        let seal = Seal::new(&key(7), "oak");
        let datagram = seal.seal_with([9; NONCE_BYTES], b"x");
        assert_eq!(datagram.len(), 1 + OVERHEAD_BYTES);
        assert_eq!(&datagram[..25], &[&[VERSION][..], &[9; NONCE_BYTES]].concat());
    }

    proptest! {
        #[test]
        fn random_datagrams_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Seal::new(&key(1), "oak").open(&bytes).is_err());
        }
    }
}
