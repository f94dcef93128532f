//! `quarry log move`: what is appended from now on lies on another tier, and what was appended before too, if that is wished.

use crate::args::MoveArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::progress;
use quarry_client::{ChunkStore, ConnectError, CreateMode, Gathered, OpenOptions, QuorumStore};
use serde_json::json;

pub(super) async fn run(store: &QuorumStore, args: &MoveArgs, output: Output) -> Result<Health, Failure> {
    let connected = store.on_tier(&args.to).await;
    let there = connected.map_err(|why| Failure::of(matches!(why, ConnectError::BadUrl { .. }), why))?;
    let options = OpenOptions { repair: false, ..OpenOptions::with_create(CreateMode::Never) };
    let opened = there.open(&args.log, options).await.map_err(Failure::new)?;
    let (report, writer) = (opened.report, opened.writer);
    let (sealed, replicas) = (report.sealed, report.replicas);
    writer.close().await.map_err(Failure::new)?;
    let copied = if args.copy { Some(copy(&there, args).await?) } else { None };
    let mut value = json!({
        "log": args.log,
        "epoch": report.epoch,
        "from": report.base,
        "next_seq": report.next_seq,
        "replicas": replicas,
        "sealed": sealed.iter().map(|(segment, at)| json!({ "segment": segment.to_string(), "at": at })).collect::<Vec<_>>(),
    });
    if let Some(Gathered { segments, chunks, bytes, left }) = &copied {
        let names: Vec<_> = segments.iter().map(ToString::to_string).collect();
        let left: Vec<_> =
            left.iter().map(|(segment, why)| json!({ "segment": segment.to_string(), "why": why })).collect();
        value["copied"] = json!({ "segments": names, "chunks": chunks, "bytes": bytes, "left": left });
    }
    output.print(&value, |_| {
        let before = copied.as_ref().map_or_else(|| "what came before stays where it is".to_owned(), told);
        let replicas = replicas.join(", ");
        format!("{:?} moved: what comes from seq {} on lies on {replicas}; {before}", args.log, report.base)
    });
    let is_short = copied.is_some_and(|copied| !copied.left.is_empty());
    Ok(if is_short { Health::Warning } else { Health::Good })
}

/// What became of the older segments.
fn told(copied: &Gathered) -> String {
    let Gathered { segments, chunks, bytes, left } = copied;
    let count = segments.len();
    let mut lines =
        vec![format!("{count} older segments were copied there ({chunks} copies of chunks, {bytes} bytes)")];
    lines.extend(left.iter().map(|(segment, why)| format!("- segment {segment} stays where it is: {why}")));
    lines.join("\n")
}

async fn copy(there: &QuorumStore, args: &MoveArgs) -> Result<Gathered, Failure> {
    let bar = progress::of_bytes(None, &args.log);
    let copied = there.gather(&args.log, args.budget << 20, &mut |done| bar.set_position(done.bytes)).await;
    bar.finish_and_clear();
    copied.map_err(Failure::new)
}
