//! `quarry log trim`: drop a prefix.

use crate::args::TrimArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_client::{ChunkStore, TrimError};
use quarry_protocol::ids::ChunkSeq;
use serde_json::json;

pub(super) async fn run(store: &dyn ChunkStore, args: &TrimArgs, output: Output) -> Result<Health, Failure> {
    let floor = store
        .trim(&args.log, ChunkSeq(args.below))
        .await
        .map_err(|why| Failure::of(matches!(why, TrimError::BadName { .. }), why))?;
    output.print(&json!({ "log": args.log, "floor": floor }), |_| format!("{:?} now begins at seq {floor}", args.log));
    Ok(Health::Good)
}
