//! Every bound of a read: what is in flight, how long it waits, how often it looks.

use std::time::Duration;

/// Most pieces of the log that are asked for at once.
pub(super) const PIECES_MAX: usize = 4;
/// Payload bytes that a piece aims at. What a stream holds is bounded by [`PIECES_MAX`] + 1 times this, or times the
/// largest chunk where chunks are larger.
pub(super) const PIECE_BYTES: u32 = 1 << 20;
/// Chunks of the first piece, before the size of chunks is known.
pub(super) const PIECE_CHUNKS_FIRST: u32 = 16;
/// How long one replica may take before another one is asked for the same piece.
pub(super) const HEDGE_AFTER: Duration = Duration::from_millis(50);
/// Pause after every replica failed to give a piece, before all of them are asked again.
pub(super) const ROUND_PAUSE: Duration = Duration::from_millis(100);
/// Shortest pause between two looks at the tail while following.
pub(super) const FOLLOW_PAUSE_MIN: Duration = Duration::from_millis(2);
/// Longest pause between two looks at the tail while following.
pub(super) const FOLLOW_PAUSE_MAX: Duration = Duration::from_millis(50);
/// How often the record is read again while following a tail that does not move.
pub(super) const RECORD_INTERVAL: Duration = Duration::from_millis(200);

const _: () = {
    assert!(FOLLOW_PAUSE_MIN.as_millis() > 0 && FOLLOW_PAUSE_MIN.as_millis() <= FOLLOW_PAUSE_MAX.as_millis());
    assert!(PIECE_BYTES <= quarry_protocol::limits::READ_BYTES_MAX);
    assert!(PIECE_CHUNKS_FIRST >= 1 && PIECE_CHUNKS_FIRST <= quarry_protocol::limits::READ_CHUNKS_MAX);
};
