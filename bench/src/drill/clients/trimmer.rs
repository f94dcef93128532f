//! A client that drops what is old, never more than what was acknowledged.

use super::Client;
use quarry_client::TrimError;
use quarry_protocol::ids::ChunkSeq;

/// Acknowledged chunks that are kept.
const KEEP_CHUNKS_MIN: u64 = 200;
const KEEP_CHUNKS_MAX: u64 = 1200;

pub(super) async fn run(mut client: Client) {
    while !client.stopped() {
        let pause = client.random.millis(300, 2500);
        client.pause(pause).await;
        let keep = client.random.between(KEEP_CHUNKS_MIN, KEEP_CHUNKS_MAX);
        let end = client.checker.ledger(client.log).acknowledged_end();
        if let Some(below) = end.checked_sub(keep) {
            trim(&client, below).await;
        }
    }
}

/// Asks for a floor. True if it was confirmed.
pub(super) async fn trim(client: &Client, below: u64) -> bool {
    client.checker.ledger(client.log).trim_asked(below);
    match client.store.trim(&client.name(), ChunkSeq(below)).await {
        Ok(floor) => {
            client.checker.count(|counts| counts.trims += 1);
            let checked = client.checker.ledger(client.log).trimmed(below, floor.0);
            client.checker.check(client.log, "trim", checked)
        }
        Err(why) => {
            if !why.may_retry() || matches!(why, TrimError::NotFound { .. }) {
                client.checker.violated(format!("trim: {why}"));
            }
            client.checker.count(|counts| counts.trims_failed += 1);
            false
        }
    }
}
