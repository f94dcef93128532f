//! Where the time of a put went on its node: the body of a [`crate::frame::FrameKind::TimedStored`] frame.
//!
//! ```text
//!  0  queue us  4     4  device us  4     8  order us  4
//! ```
//! For measuring only: nothing is decided by it.

use crate::bytesio::{put, u32_at};

/// Bytes of [`PutTimes`] on the wire.
pub const PUT_TIMES_BYTES: usize = 12;

/// See the module. Microseconds by the node's clock; what does not fit counts as the most that does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutTimes {
    /// From the whole chunk's arrival until the write that holds it was handed to the kernel.
    pub queue_us: u32,
    /// Until that write was durable.
    pub device_us: u32,
    /// Until every write before it was durable too, and the answer was made (D4).
    pub order_us: u32,
}

impl PutTimes {
    /// All of it, in microseconds.
    #[must_use]
    pub fn total_us(&self) -> u64 {
        u64::from(self.queue_us) + u64::from(self.device_us) + u64::from(self.order_us)
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> [u8; PUT_TIMES_BYTES] {
        let mut bytes = [0; PUT_TIMES_BYTES];
        put(&mut bytes, 0, &self.queue_us.to_le_bytes());
        put(&mut bytes, 4, &self.device_us.to_le_bytes());
        put(&mut bytes, 8, &self.order_us.to_le_bytes());
        bytes
    }

    /// From the body of a frame, whose size the frame's header has settled.
    ///
    /// # Panics
    /// If there are fewer than [`PUT_TIMES_BYTES`] bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        Self { queue_us: u32_at(bytes, 0), device_us: u32_at(bytes, 4), order_us: u32_at(bytes, 8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_were_sent() {
        let times = PutTimes { queue_us: 1, device_us: 0x0203_0405, order_us: u32::MAX };
        assert_eq!(PutTimes::decode(&times.encode()), times);
        assert_eq!(times.encode(), [1, 0, 0, 0, 5, 4, 3, 2, 255, 255, 255, 255]);
        assert_eq!(times.total_us(), 1 + 0x0203_0405 + u64::from(u32::MAX));
    }
}
