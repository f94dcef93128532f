//! Reads: verified, hedged, along the chain of segments, as far as is known to be committed and no further. How far that is
//! decides [`quarry_protocol::reach`] (P15); here is what fetches, waits and asks again.
//!
//! ```text
//! record ──► segment that owns the next seq ──► how far it may be read ──► pieces, several in flight ──► stream
//!    ▲            sealed: to its end                                            │ each from the replica that
//!    │            unsealed: to its committed tail, raised by the watermarks     │ answers first (`fetch`)
//!    └──────────── read again when the chain ends or the tail stands still ◄────┘
//! ```

mod bounds;
mod fetch;
mod reading;
#[cfg(test)]
mod tests;

use crate::chunk_store::{ChunkStream, ReadOptions, ReadRange};
use crate::error::ReadError;
use crate::lookup::lookup;
use crate::quorum_store::Parts;
use futures::StreamExt;
use reading::Reading;
use std::sync::Arc;

/// A stream of the chunks in `range`. See [`crate::ChunkStore::read`].
pub(crate) async fn read(
    parts: &Arc<Parts>,
    name: &str,
    range: ReadRange,
    options: ReadOptions,
) -> Result<ChunkStream, ReadError> {
    if let ReadRange { from: Some(from), to: Some(to) } = range
        && from > to
    {
        return Err(ReadError::BadRange { name: name.to_owned(), from, to });
    }
    let (_, record) = lookup(parts, name).await.map_err(|none| none.read_error(name))?;
    let from = range.from.unwrap_or(record.floor);
    let mut reading = Reading::new(Arc::clone(parts), record, from, range.to, options)?;
    reading.check_start().await?;
    let stream = futures::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(reading))),
            Ok(None) => None,
            Err(why) => Some((Err(why), None)),
        }
    });
    Ok(stream.boxed())
}
