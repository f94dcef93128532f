//! Bytes that no device can compress or deduplicate away. Not random for any purpose but that.

/// A xorshift64* stream.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// The stream of `seed`; equal seeds give equal streams.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The state must not be 0; the odd multiplier spreads small seeds over all bits.
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next eight bytes.
    pub fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Overwrites `bytes` with the stream's next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let next = self.next_u64().to_le_bytes();
            part.copy_from_slice(&next[..part.len()]);
        }
    }

    /// The stream's next `length` bytes.
    #[must_use]
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_bytes_and_others_differ() {
        assert_eq!(Noise::new(7).bytes(100), Noise::new(7).bytes(100));
        assert_ne!(Noise::new(7).bytes(100), Noise::new(8).bytes(100));
        let mut counts = [0u32; 256];
        Noise::new(0).bytes(1 << 16).iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        assert!(counts.iter().all(|count| (128..512).contains(count)), "{counts:?}");
    }
}
