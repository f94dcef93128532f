//! One aligned allocation, cut into equal slots.

use crate::noise::Noise;
use quarry_protocol::limits::BLOCK_BYTES;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Aligned memory for writes with `O_DIRECT`. It has no way to borrow its bytes: the kernel reads them while
/// writes are in flight.
#[derive(Debug)]
pub(super) struct AlignedSlots {
    start: NonNull<u8>,
    layout: Layout,
    slot_bytes: usize,
    slots: usize,
}

impl AlignedSlots {
    /// `slots` slots of `slot_bytes` each, filled with noise.
    ///
    /// # Panics
    /// If `slot_bytes` is not a positive multiple of the block size, or there is no slot.
    pub(super) fn new(slots: usize, slot_bytes: usize) -> Self {
        let block = BLOCK_BYTES as usize;
        assert!(slots > 0 && slot_bytes > 0 && slot_bytes.is_multiple_of(block), "{slots} slots of {slot_bytes} bytes");
        let layout = Layout::from_size_align(slots * slot_bytes, block).expect("size and block alignment are valid");
        // SAFETY: the layout's size is not zero, asserted above.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: `start` is valid for `layout.size()` initialised bytes, and nobody else knows it yet.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), layout.size()) };
        Noise::new(0xdec0).fill(bytes);
        Self { start, layout, slot_bytes, slots }
    }

    /// Where a slot starts. Valid for `slot_bytes` as long as `self` lives.
    pub(super) fn slot(&self, slot: usize) -> *const u8 {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        // SAFETY: `slot < slots`, so the result lies inside the allocation.
        unsafe { self.start.as_ptr().add(slot * self.slot_bytes) }
    }
}

impl Drop for AlignedSlots {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout in `new`, freed once. The ring drops its slots only when nothing
        // is in flight, and otherwise forgets them.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}
