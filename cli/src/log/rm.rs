//! `quarry log rm`: delete a log.

use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_client::{ChunkStore, DeleteError};
use serde_json::json;

pub(super) async fn run(store: &dyn ChunkStore, log: &str, output: Output) -> Result<Health, Failure> {
    let deleted =
        store.delete(log).await.map_err(|why| Failure::of(matches!(why, DeleteError::BadName { .. }), why))?;
    output.print(&json!({ "log": log, "unreached": deleted.unreached }), |_| format!("{log:?} is deleted"));
    for replica in &deleted.unreached {
        eprintln!("warning: {replica} still holds bytes of the log: delete it again when the replica is back");
    }
    Ok(if deleted.unreached.is_empty() { Health::Good } else { Health::Warning })
}
