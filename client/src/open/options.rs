//! From what the caller asked for to what the recovery is told.

use crate::chunk_store::{CreateMode, OpenOptions};
use crate::error::OpenError;
use crate::quorum_store::StoreDefaults;
use crate::random::random_id;
use quarry_protocol::ids::LogId;
use quarry_protocol::limits::{WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use quarry_protocol::quorum::Quorum;
use quarry_protocol::record::Window;
use quarry_protocol::recovery::{OpenMode, Purpose};
use std::time::Duration;

/// Less than this is within what a healthy replica needs now and then.
const PATIENCE_MIN: Duration = Duration::from_millis(10);

/// The log's id is drawn anew for every open; it is used only if the log is made.
pub(super) fn mode(create: CreateMode) -> OpenMode {
    match create {
        CreateMode::IfMissing => OpenMode::CreateIfMissing { log: LogId(random_id()) },
        CreateMode::Never => OpenMode::MustExist,
        CreateMode::MustBeNew => OpenMode::MustNotExist { log: LogId(random_id()) },
    }
}

pub(super) fn purpose(name: &str, options: &OpenOptions, defaults: &StoreDefaults) -> Result<Purpose, OpenError> {
    let bad = |why: String| OpenError::BadOptions { name: name.to_owned(), why };
    let replicas = options.replicas.unwrap_or(defaults.replicas);
    let ack_quorum = match (options.ack_quorum, options.replicas) {
        (Some(ack), _) => ack,
        // Another number of replicas without a word on the quorum: the majority of that number.
        (None, Some(replicas)) if replicas != defaults.replicas => replicas / 2 + 1,
        (None, _) => defaults.ack_quorum,
    };
    Quorum::new(replicas, ack_quorum).map_err(|why| bad(why.to_string()))?;
    let window = Window {
        chunks: options.window_chunks.unwrap_or(defaults.window.chunks),
        bytes: options.window_bytes.unwrap_or(defaults.window.bytes),
    };
    if !(1..=WINDOW_CHUNKS_MAX).contains(&window.chunks) {
        return Err(bad(format!("a window of {} chunks: it must be 1 to {WINDOW_CHUNKS_MAX}", window.chunks)));
    }
    if !(1..=WINDOW_BYTES_MAX).contains(&window.bytes) {
        return Err(bad(format!("a window of {} bytes: it must be 1 to {WINDOW_BYTES_MAX}", window.bytes)));
    }
    if options.deadline.is_zero() || options.append_deadline.is_zero() {
        return Err(bad("a deadline of zero leaves no time for anything: give it at least a millisecond".to_owned()));
    }
    let rotation = options.rotation;
    if rotation.segment_bytes == 0 || rotation.segment_age.is_zero() || rotation.replica_patience < PATIENCE_MIN {
        let why = format!(
            "a segment holds at least a byte and lasts at least a microsecond, and a replica is borne with for at least {PATIENCE_MIN:?}"
        );
        return Err(bad(format!("{why}: got {rotation:?}")));
    }
    Ok(Purpose::Write { replicas, ack_quorum, window })
}
