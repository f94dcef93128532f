//! Copies that no record needs, as commands show them.

use quarry_client::{Orphan, OrphanFate, QuorumStore};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;

/// How long a command that only shows them looks for them. Ample for nodes that answer; what else it shows shall not wait.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// The orphans there are; frees none. Or why they are not known.
pub(crate) async fn look(store: &QuorumStore) -> Result<Vec<Orphan>, String> {
    let looked = timeout(LOOK_TIMEOUT, store.orphans(None)).await;
    looked.unwrap_or_else(|_| Err(format!("not all answers came within {LOOK_TIMEOUT:?}")))
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct OrphanLine {
    address: String,
    log: String,
    segment: String,
    chunks: u64,
    idle_s: u64,
    fate: &'static str,
    why: Option<String>,
}

impl OrphanLine {
    pub(crate) fn new(orphan: Orphan) -> Self {
        let (fate, why) = match orphan.fate {
            OrphanFate::Freed => ("freed", None),
            OrphanFate::Waits => ("waits", None),
            OrphanFate::Stays(why) => ("stays", Some(why)),
        };
        Self {
            address: orphan.replica.address,
            log: orphan.name.unwrap_or_else(|| orphan.log.to_string()),
            segment: orphan.segment.to_string(),
            chunks: orphan.chunks,
            idle_s: orphan.idle_s,
            fate,
            why,
        }
    }

    pub(crate) fn text(&self) -> String {
        let Self { address, log, segment, chunks, idle_s, fate, why } = self;
        let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        format!("orphan at {address}: {chunks} chunks of {log}/{segment}, idle {idle_s} s, {fate}{why}")
    }
}
