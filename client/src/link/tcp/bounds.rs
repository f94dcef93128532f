//! Every bound of a TCP link: how long it waits, how much it holds.

use quarry_protocol::limits::{STRAGGLER_BYTES_MAX, WINDOW_BYTES_MAX};
use std::time::Duration;

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a node may take to answer a hello.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a call or a read may take, waiting for the first connection included.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node may say nothing at all while requests wait for it. Below [`CALL_TIMEOUT`], or calls that time out would
/// hide a peer that is gone.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(4);
/// How long one put may go unanswered while others are answered: its answer was lost, so everything is put again.
pub(super) const PUT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often silence and unanswered puts are looked for.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// First pause before another attempt to connect; doubles with every failure.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest pause before another attempt to connect.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Bytes queued to be sent at which a put sends them without waiting for a flush.
pub(super) const FLUSH_BYTES: usize = 256 << 10;
/// Most bytes queued to be sent; past it the connection is given up. Their payloads are the writers' own, so this
/// bounds what is left of writers that went on without this replica.
pub(super) const OUTBOUND_BYTES_MAX: usize = 2 * (WINDOW_BYTES_MAX + STRAGGLER_BYTES_MAX) as usize;
/// Most parts of frames that one system call sends.
pub(super) const SLICES_MAX: usize = 64;
/// Room made for one receive, in bytes. A frame larger than this gets what it needs.
pub(super) const RECEIVE_BYTES: usize = 256 << 10;
/// Room left below which a receive makes new room, in bytes.
pub(super) const RECEIVE_BYTES_MIN: usize = 16 << 10;

const _: () = {
    assert!(SILENCE_MAX.as_millis() < CALL_TIMEOUT.as_millis());
    assert!(WATCH_INTERVAL.as_millis() * 4 < SILENCE_MAX.as_millis());
    assert!(CONNECT_TIMEOUT.as_millis() + HELLO_TIMEOUT.as_millis() < CALL_TIMEOUT.as_millis());
    assert!(BACKOFF_MIN.as_millis() <= BACKOFF_MAX.as_millis());
    assert!(FLUSH_BYTES < OUTBOUND_BYTES_MAX && RECEIVE_BYTES_MIN < RECEIVE_BYTES);
};
