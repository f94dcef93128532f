//! `quarry log rm`: delete a log.

use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use quarry_client::{ChunkStore, DeleteError};
use serde_json::json;

pub(super) async fn run(store: &dyn ChunkStore, log: &str, output: Output) -> Result<Health, Failure> {
    let deleted =
        store.delete(log).await.map_err(|why| Failure::of(matches!(why, DeleteError::BadName { .. }), why))?;
    output.print(&json!({ "log": log, "unreached": deleted.unreached }), |_| format!("{log:?} is deleted"));
    for replica in &deleted.unreached {
        say(&format!(
            "warning: a replica was not told, and keeps its bytes of {log:?}: {replica}; when it is back, run `quarry log rm` again"
        ));
    }
    Ok(if deleted.unreached.is_empty() { Health::Good } else { Health::Warning })
}
