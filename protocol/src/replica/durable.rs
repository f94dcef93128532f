//! The token without which nobody can say "stored" (P4). Every way to make one looks at the evidence.

use crate::ids::ChunkSeq;
use crate::ranges::SeqRanges;

/// Evidence that a put counts as stored. Only this module makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Durable(());

impl Durable {
    /// The chunk was handed out for storing as number `order`, and everything through `stored` is durable.
    pub(super) fn by_order(order: u64, stored: u64) -> Self {
        assert!(order <= stored, "acknowledging order {order}, durable only through {stored}");
        Self(())
    }

    /// The chunk is in the inventory, which holds only what is durable.
    pub(super) fn by_inventory(held: &SeqRanges, seq: ChunkSeq) -> Self {
        assert!(held.contains(seq), "acknowledging {seq}, which is not held");
        Self(())
    }

    /// The chunk lies below a durable floor: it was committed, and is not needed any more (P4).
    pub(super) fn by_floor(seq: ChunkSeq, floor: ChunkSeq) -> Self {
        assert!(seq < floor, "acknowledging {seq} as trimmed, the durable floor is {floor}");
        Self(())
    }
}
