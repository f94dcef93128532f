//! What is appended: bytes that say which attempt they are, and that nobody else would write.
//!
//! ```text
//!  0        8        16        24        32
//!  ├────────┼────────┼─────────┼─────────┼──────────────┐
//!  │ mark   │ seed   │ log     │ attempt │ filling ...  │   numbers little-endian
//!  └────────┴────────┴─────────┴─────────┴──────────────┘
//! ```
//! A retry is another attempt. So whoever reads a chunk can say which call made it, and what it must look like to the last
//! byte, without remembering it.

use crate::random::Random;
use bytes::Bytes;
use std::hash::{DefaultHasher, Hasher};

const MARK: &[u8; 8] = b"drilled:";
const HEADER_BYTES: usize = 32;

/// How large an attempt is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) min: u64,
    pub(super) max: u64,
}

/// The bytes of one attempt.
pub(super) fn make(seed: u64, log: usize, attempt: u64, sizes: Sizes) -> Bytes {
    let mut filling = Random::new(seed ^ attempt.rotate_left(32), log as u64);
    let bytes = filling.between(sizes.min.max(HEADER_BYTES as u64), sizes.max) as usize;
    let mut payload = Vec::with_capacity(bytes + size_of::<u64>());
    payload.extend_from_slice(MARK);
    for number in [seed, log as u64, attempt] {
        payload.extend_from_slice(&number.to_le_bytes());
    }
    while payload.len() < bytes {
        payload.extend_from_slice(&filling.next().to_le_bytes());
    }
    payload.truncate(bytes);
    payload.into()
}

/// Which log and attempt of this drill's a payload says it is.
pub(super) fn read(seed: u64, payload: &[u8]) -> Option<(usize, u64)> {
    let header = payload.get(..HEADER_BYTES)?;
    let (mark, numbers) = header.split_at(MARK.len());
    let number = |at: usize| u64::from_le_bytes(numbers[8 * at..][..8].try_into().expect("eight bytes"));
    (mark == MARK && number(0) == seed).then(|| (number(1) as usize, number(2)))
}

/// A checksum that has nothing in common with Quarry's.
pub(super) fn checksum(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(payload);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { min: 40, max: 4000 };

    #[test]
    fn a_payload_says_which_attempt_it_is() {
        let one = make(7, 2, 11, SIZES);
        assert_eq!(read(7, &one), Some((2, 11)));
        assert_eq!(read(8, &one), None, "another drill's");
        assert_eq!(read(7, &one[..31]), None);
        assert_eq!(one, make(7, 2, 11, SIZES));
        for other in [make(7, 2, 12, SIZES), make(7, 3, 11, SIZES), make(8, 2, 11, SIZES)] {
            assert_ne!(checksum(&one), checksum(&other));
        }
        let sizes: Vec<usize> = (0..50).map(|attempt| make(1, 0, attempt, SIZES).len()).collect();
        assert!(sizes.iter().all(|size| (40..=4000).contains(size)) && sizes.iter().any(|size| *size > 2000));
    }
}
