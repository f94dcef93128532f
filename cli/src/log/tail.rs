//! `quarry log tail`: where a log begins and ends.

use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_client::{ChunkStore, TailError};
use serde_json::json;

pub(super) async fn run(store: &dyn ChunkStore, log: &str, output: Output) -> Result<Health, Failure> {
    let tail = store.tail(log).await.map_err(|why| Failure::of(matches!(why, TailError::BadName { .. }), why))?;
    let value = json!({ "log": log, "id": tail.log, "floor": tail.floor, "tail": tail.tail });
    output.print(&value, |_| format!("{}", tail.tail));
    Ok(Health::Good)
}
