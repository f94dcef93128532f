//! What the register and the replicas say of every log.

use crate::store;
use futures::StreamExt;
use futures::stream;
use quarry_client::{ChunkStore, Inspection, connect};
use quarry_protocol::quorum::Quorum;
use serde::Serialize;
use std::sync::Arc;

/// How many logs are asked about at once.
const AT_ONCE: usize = 16;

/// All logs together.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LogsSeen {
    /// How many there are.
    pub(super) count: usize,
    /// How many of them the replicas were asked about.
    pub(super) asked: usize,
    /// Logs that can lose the fewest nodes, up to a few, with what they miss.
    pub(super) weakest: Vec<LogSeen>,
    /// Why logs could not be listed or asked about, if so.
    pub(super) error: Option<String>,
}

/// A log with something missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LogSeen {
    pub(super) log: String,
    /// How many more replicas it can lose and still be read and taken over; negative if it cannot be now.
    pub(super) margin: i64,
    /// How many replicas did not answer, of the segment that misses the most.
    pub(super) silent: usize,
}

/// How many weak logs are named.
const NAMED: usize = 10;

pub(super) async fn ask(url: &str, logs_max: usize) -> LogsSeen {
    let failed = |why: String| LogsSeen { error: Some(why), ..LogsSeen::default() };
    if let Err(why) = store::check_register(url) {
        return failed(why);
    }
    let store = match connect(url).await {
        Ok(store) => store,
        Err(why) => return failed(why.to_string()),
    };
    let names = match store.list("").await {
        Ok(names) => names,
        Err(why) => return failed(why.to_string()),
    };
    let mut seen = LogsSeen { count: names.len(), ..LogsSeen::default() };
    let asking = names.into_iter().take(logs_max).map(|name| inspect(store.clone(), name));
    let mut answers = stream::iter(asking).buffered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        seen.asked += 1;
        match answer {
            Ok(log) => seen.weakest.push(log),
            Err(why) => seen.error = Some(why),
        }
    }
    seen.weakest.sort_by_key(|log| log.margin);
    seen.weakest.truncate(NAMED);
    seen
}

async fn inspect(store: Arc<dyn ChunkStore>, name: String) -> Result<LogSeen, String> {
    match store.inspect(&name).await {
        Ok(inspection) => Ok(margin(&inspection)),
        Err(why) => Err(why.to_string()),
    }
}

/// An unsealed segment needs both quorums, for appends and for a takeover; a sealed one needs one copy.
fn margin(inspection: &Inspection) -> LogSeen {
    let mut log = LogSeen { log: inspection.record.name.clone(), margin: i64::MAX, silent: 0 };
    for inspected in &inspection.segments {
        let answering = inspected.replicas.iter().filter(|replica| replica.answer.is_ok()).count();
        let replicas = inspected.replicas.len();
        let ack = usize::from(inspected.segment.ack_quorum);
        let needed = match Quorum::new(replicas, ack) {
            Ok(quorum) if !inspected.segment.is_sealed() => quorum.ack().max(quorum.read()),
            _ => 1,
        };
        log.margin = log.margin.min(answering as i64 - needed as i64);
        log.silent = log.silent.max(replicas - answering);
    }
    log
}
