//! `quarry log move`: what is appended from now on lies on another tier.

use crate::args::MoveArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_client::{ChunkStore, ConnectError, CreateMode, OpenOptions, QuorumStore};
use serde_json::json;

pub(super) async fn run(store: &QuorumStore, args: &MoveArgs, output: Output) -> Result<Health, Failure> {
    let connected = store.on_tier(&args.to).await;
    let there = connected.map_err(|why| Failure::of(matches!(why, ConnectError::BadUrl { .. }), why))?;
    let options = OpenOptions { repair: false, ..OpenOptions::with_create(CreateMode::Never) };
    let opened = there.open(&args.log, options).await.map_err(Failure::new)?;
    let (report, writer) = (opened.report, opened.writer);
    let (sealed, replicas) = (report.sealed, report.replicas);
    writer.close().await.map_err(Failure::new)?;
    let value = json!({
        "log": args.log,
        "epoch": report.epoch,
        "from": report.base,
        "next_seq": report.next_seq,
        "replicas": replicas,
        "sealed": sealed.iter().map(|(segment, at)| json!({ "segment": segment.to_string(), "at": at })).collect::<Vec<_>>(),
    });
    output.print(&value, |_| {
        format!(
            "{:?} moved: what comes from seq {} on lies on {}; what came before stays where it is",
            args.log,
            report.base,
            replicas.join(", ")
        )
    });
    Ok(Health::Good)
}
