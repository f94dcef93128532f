//! How eager the store is: what trades latency against throughput, or foreground against background work. Nothing
//! here protects anything; the bounds that do are in `quarry_protocol::limits`.

use quarry_protocol::limits::{BATCH_BYTES_SOFT_MAX, BLOCK_BYTES, FILES_IN_RESERVE, FILES_PER_SHARD_MIN};

/// While a batch is being written the next one waits until it has this many bytes, or until the write ends (D1).
pub(super) const BATCH_BYTES_EAGER: u64 = 256 << 10;
/// How long nothing is confirmed before a shard counts as quiet and writes a bare mark (D4), in microseconds.
pub(super) const QUIET_US: u64 = 2_000;
/// A write that takes longer than this counts as failed (D6), in microseconds.
pub(super) const WRITE_US_MAX: u64 = 15_000_000;
/// How much of that any one look at the clock may count, in microseconds: a process that was paused, or a loop that was
/// starved, does not take its own absence for a slow disk.
pub(super) const WRITE_LOOK_US_MAX: u64 = 1_000_000;
/// Files prepared beyond the reserve, so that appends never wait for one (D2).
pub(super) const FILES_READY_AHEAD: usize = 2;
/// Bytes of one step of writing a file full of zeros: what an append may have to wait for.
pub(super) const FILL_BYTES: u32 = 1 << 20;
/// How long to wait before trying again to make a file when that failed, in microseconds.
pub(super) const PREPARE_RETRY_US: u64 = 1_000_000;
/// What preparation, copying and catch-up reads may take together while appends go on, in bytes a second (D2).
pub(super) const BACKGROUND_BYTES_PER_SECOND: u64 = 100 << 20;
/// What of that may come at once, in bytes.
pub(super) const BACKGROUND_BURST_BYTES: u64 = 2 << 20;
/// How long after the last push a shard counts as idle, in microseconds: background work then runs at full speed.
pub(super) const IDLE_US: u64 = 100_000;
/// Copying forward begins when this many free files are left beyond the reserve, with files that are mostly dead.
pub(super) const FILES_COPY_AHEAD: usize = 1;
/// What "mostly dead" means: live bytes as a percentage of what a file can hold.
pub(super) const COPY_EARLY_PERCENT: u64 = 50;
/// Once only the reserve is left, files up to this percentage of live bytes are copied: any gain counts.
pub(super) const COPY_LATE_PERCENT: u64 = 95;
/// Most bytes that are being read, wait to be written, or are being written, in copying forward.
pub(super) const COPY_BYTES_IN_HAND_MAX: u64 = 8 << 20;
/// Most bytes of one read of copying forward, unless one chunk alone is larger.
pub(super) const COPY_READ_BYTES: u32 = 1 << 20;
/// Dead bytes between two live chunks that are read along rather than skipped.
pub(super) const COPY_GAP_BYTES: u32 = 64 << 10;
/// Copied bytes that may ride in a batch with appended ones, after the first copied chunk.
pub(super) const COPY_BYTES_BESIDE_APPENDS: u32 = 128 << 10;
/// How long until the files are looked through again for one worth copying, in microseconds.
pub(super) const COPY_LOOK_US: u64 = 5_000;
/// Pages of the index looked through at a time for chunks of the file that is copied.
pub(super) const COPY_SEARCH_PAGES: usize = 1024;
/// How long until the next such look, in microseconds.
pub(super) const COPY_SEARCH_US: u64 = 500;
/// The least that scrub reads, in live bytes a second: a small shard's pass is over soon, and then it rests.
pub(super) const SCRUB_BYTES_PER_SECOND_MIN: u64 = 1 << 20;
/// In what part of its period a pass is done if nothing holds it up, as a percentage.
pub(super) const SCRUB_PERIOD_PERCENT: u64 = 90;
/// Most bytes of one read of scrub, unless one chunk alone is larger.
pub(super) const SCRUB_READ_BYTES: u32 = 1 << 20;
/// Dead bytes between two live chunks that scrub reads along: a batch header and padding, but no more.
pub(super) const SCRUB_GAP_BYTES: u32 = 8 << 10;
/// Pages of the index looked through at a time for chunks of the file that is scrubbed.
pub(super) const SCRUB_SEARCH_PAGES: usize = 128;
/// How long until the next such look, in microseconds.
pub(super) const SCRUB_SEARCH_US: u64 = 1_000;

const _: () = {
    assert!(BATCH_BYTES_EAGER <= BATCH_BYTES_SOFT_MAX as u64);
    assert!(QUIET_US < WRITE_LOOK_US_MAX && WRITE_LOOK_US_MAX < WRITE_US_MAX);
    assert!(FILL_BYTES.is_multiple_of(BLOCK_BYTES));
    // The fewest files that may be formatted are enough for the reserve, what is kept ready, and an open one.
    assert!(FILES_READY_AHEAD + 1 + FILES_IN_RESERVE as usize <= FILES_PER_SHARD_MIN as usize);
    assert!(SCRUB_PERIOD_PERCENT <= 100 && SCRUB_BYTES_PER_SECOND_MIN < BACKGROUND_BYTES_PER_SECOND);
    assert!(COPY_EARLY_PERCENT < COPY_LATE_PERCENT && COPY_LATE_PERCENT < 100);
    assert!(BACKGROUND_BURST_BYTES >= FILL_BYTES as u64);
};
