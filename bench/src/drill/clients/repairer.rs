//! A client that makes copies whole again beside everything else, and frees what no record needs.

use super::{Client, PAUSE};
use crate::drill::checker::log_name;
use quarry_client::{OrphanFate, QuorumStore, RepairOptions};
use quarry_protocol::repair::RepairFailure;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes to copy in a second: what a drill stores in one, and some.
const BYTES_PER_S: u64 = 16 << 20;
/// How long a holder may not answer before another one is made in its place: less than an outage may last.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing must have been stored in a copy that no record needs before it is freed.
const GRACE: Duration = Duration::from_secs(3);
/// Rounds that also look for such copies, in percent.
const ROUNDS_WITH_ORPHANS_PERCENT: u64 = 30;
/// How long one repair may take before it is broken off: another one goes on from there.
const REPAIR_TIME_MAX: Duration = Duration::from_secs(10);

pub(in crate::drill) fn options() -> RepairOptions {
    RepairOptions { bytes_per_s: BYTES_PER_S, patience: PATIENCE, ..RepairOptions::default() }
}

/// Repairs every log, again and again.
pub(super) async fn run(mut client: Client, store: QuorumStore) {
    while !client.stopped() {
        for log in 0..client.checker.logs() {
            repair(&mut client, &store, log).await;
        }
        if client.random.percent(ROUNDS_WITH_ORPHANS_PERCENT) {
            free_orphans(&client, &store).await;
        }
        let pause = client.random.millis(500, 3000);
        client.pause(pause).await;
    }
}

async fn repair(client: &mut Client, store: &QuorumStore, log: usize) {
    let exists = client.checker.ledger(log).exists();
    // Interrupted at any point now and then: what was copied stays copied.
    let limit = if client.random.percent(20) { client.random.millis(0, 500) } else { REPAIR_TIME_MAX };
    match timeout(limit, store.repair(&log_name(log), &options(), &mut |_| {})).await {
        Ok(Ok(report)) => client.checker.count(|counts| {
            counts.repairs += 1;
            counts.chunks_repaired += report.chunks;
        }),
        Ok(Err(why)) => {
            let may = match &why {
                RepairFailure::NotFound { .. } => !exists,
                RepairFailure::Register { .. } => true,
                RepairFailure::Record { .. } => false,
            };
            if !may {
                client.checker.violated(format!("repair: {why}"));
            }
            client.pause(PAUSE).await;
        }
        Err(_) => client.checker.count(|counts| counts.repairs_interrupted += 1),
    }
}

async fn free_orphans(client: &Client, store: &QuorumStore) {
    // A register that is away is no violation; none is, in a drill.
    if let Ok(orphans) = store.orphans(Some(GRACE)).await {
        let freed = orphans.iter().filter(|orphan| orphan.fate == OrphanFate::Freed).count();
        client.checker.count(|counts| counts.orphans_freed += freed as u64);
    }
}
