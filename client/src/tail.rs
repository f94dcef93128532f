//! What is committed, without fencing anybody (P15): the shell of [`TailSearch`].

use crate::calls::Calls;
use crate::chunk_store::Tail;
use crate::error::TailError;
use crate::lookup::lookup;
use crate::quorum_store::Parts;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::record::LogRecord;
use quarry_protocol::tail::{TailEffect, TailEvent, TailSearch};

pub(crate) async fn tail(parts: &Parts, name: &str) -> Result<Tail, TailError> {
    let (_, record) = lookup(parts, name).await.map_err(|none| none.tail_error(name))?;
    let tail = committed(parts, &record).await.map_err(|why| TailError::Unavailable { name: name.to_owned(), why })?;
    Ok(Tail { log: record.log, floor: record.floor, tail })
}

/// The first seq of the log that is not known to be committed; or which replicas are missing.
pub(crate) async fn committed(parts: &Parts, record: &LogRecord) -> Result<ChunkSeq, String> {
    let mut calls = Calls::new(parts);
    let mut search = TailSearch::new(record, 1);
    loop {
        while let Some(effect) = search.poll_effect() {
            match effect {
                TailEffect::Call { request, to, what } => calls.ask(request, to, what),
                TailEffect::Finished(found) => return found.map_err(|why| why.to_string()),
            }
        }
        let event = match calls.next(search.poll_timeout()).await {
            Some((request, result)) => TailEvent::Replied { request, result },
            None => TailEvent::Tick,
        };
        search.handle(calls.now(), event);
    }
}
