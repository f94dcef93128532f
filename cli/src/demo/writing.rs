//! A writer that appends the file from a given chunk on, and says how far it got.

use super::CHUNK_BYTES;
use super::input::Input;
use crate::chunked_input::ChunkedInput;
use crate::exit::Failure;
use quarry_bench::latencies::Latencies;
use quarry_client::{AppendError, LogWriter, PendingAppend};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::time::Instant;
use tokio::sync::watch;

/// Appends in flight.
const DEPTH: usize = 32;

/// How far a writer got, and why it ended.
#[derive(Debug)]
pub(super) struct Written {
    /// One past the last chunk of the file whose append was acknowledged.
    pub(super) acknowledged: u64,
    /// Why it ended before the end of the file, if it did.
    pub(super) ended: Option<AppendError>,
    /// Of every acknowledged append.
    pub(super) latencies: Latencies,
}

/// Appends chunks `from..` of the file, whose seqs are their numbers in it. `progress` is told of every
/// acknowledgement.
pub(super) async fn write(
    writer: &LogWriter,
    input: &Input,
    from: u64,
    progress: &watch::Sender<u64>,
) -> Result<Written, Failure> {
    let mut file = File::open(&input.path)?;
    file.seek(SeekFrom::Start(from * CHUNK_BYTES as u64))?;
    let mut chunks = ChunkedInput::new(file, CHUNK_BYTES);
    let mut in_flight: VecDeque<(Instant, PendingAppend)> = VecDeque::with_capacity(DEPTH);
    let mut written = Written { acknowledged: from, ended: None, latencies: Latencies::new() };
    let mut more = true;
    while more || !in_flight.is_empty() {
        while more && in_flight.len() < DEPTH {
            let Some(chunk) = chunks.next().await else {
                more = false;
                break;
            };
            let begun_at = Instant::now();
            match writer.append(chunk?).await {
                Ok(pending) => in_flight.push_back((begun_at, pending)),
                Err(why) => {
                    written.ended.get_or_insert(why);
                    more = false;
                }
            }
        }
        let Some((begun_at, pending)) = in_flight.pop_front() else { continue };
        match pending.await {
            Ok(receipt) if receipt.seq.0 == written.acknowledged => {
                written.latencies.record(begun_at.elapsed());
                written.acknowledged += 1;
                progress.send_replace(written.acknowledged);
            }
            Ok(receipt) => {
                let expected = written.acknowledged;
                return Err(Failure::new(format!("seq {} was acknowledged where {expected} was next", receipt.seq)));
            }
            Err(why) => {
                written.ended.get_or_insert(why);
                more = false;
            }
        }
    }
    Ok(written)
}
