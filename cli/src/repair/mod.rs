//! `quarry repair`: sealed segments get their copies back, and what no record needs is freed.

mod report;

use crate::args::RepairArgs;
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use crate::{progress, store};
use quarry_client::{ChunkStore, QuorumStore, RepairOptions};
use quarry_protocol::repair::RepairProgress;
use report::{LogLine, Report};
use std::time::Duration;

/// How often `--watch` looks again.
const WATCH_PAUSE: Duration = Duration::from_mins(1);

pub(crate) async fn run(args: &RepairArgs, store: Option<String>, output: Output) -> Result<Health, Failure> {
    let store = store::open_quorum(store).await?;
    loop {
        let health = round(args, &store, output).await;
        if !args.watch {
            return health;
        }
        // A register or a node that is away now does not end the watch.
        if let Err(failure) = health {
            say(&format!("error: {}", failure.message()));
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

async fn round(args: &RepairArgs, store: &QuorumStore, output: Output) -> Result<Health, Failure> {
    let logs = if args.logs.is_empty() { store.list("").await? } else { args.logs.clone() };
    let options = RepairOptions {
        bytes_per_s: args.budget << 20,
        patience: Duration::from_secs(args.patience),
        ..RepairOptions::default()
    };
    let mut report = Report::default();
    for name in logs {
        report.logs.push(repair(store, name, &options).await);
    }
    let grace = (!args.keep_orphans).then(|| Duration::from_secs(args.grace));
    report.hear_orphans(store.orphans(grace).await);
    output.print(&report, Report::text);
    Ok(report.health())
}

async fn repair(store: &QuorumStore, name: String, options: &RepairOptions) -> LogLine {
    let bar = progress::of_bytes(Some(0), &name);
    let mut show = |progress: RepairProgress| {
        bar.set_length(progress.bytes_total.max(progress.bytes));
        bar.set_position(progress.bytes);
        let RepairProgress { segments_done, segments, .. } = progress;
        bar.set_message(format!("{name:.12} {segments_done}/{segments}, {} s left", progress.left_s()));
    };
    let outcome = store.repair(&name, options, &mut show).await;
    bar.finish_and_clear();
    LogLine::new(name, outcome)
}
