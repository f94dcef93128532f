//! `quarry log ls`: names of logs.

use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_client::ChunkStore;
use serde_json::json;

pub(super) async fn run(store: &dyn ChunkStore, prefix: &str, output: Output) -> Result<Health, Failure> {
    let names = store.list(prefix).await?;
    if output.json {
        output.print(&json!({ "logs": names }), |_| String::new());
    } else {
        for name in &names {
            output.line(name);
        }
    }
    Ok(Health::Good)
}
