//! Another writer takes a log over: from its call of open to its first acknowledged append.

use super::cut_off::{self, CutOff};
use super::{Figure, PhaseRound};
use crate::drive::Recorder;
use crate::engine::side::Side;
use crate::engine::target::Target;
use crate::engine::{CasePlan, EngineError};
use crate::latencies::Latencies;
use crate::measured::Until;
use quarry_client::{ChunkStore, Opened, QuorumStore};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Clients that take the log from each other.
const CLIENTS: usize = 2;
/// Takeovers between two trims: each adds a segment to the log's record, and a trim drops them.
const TAKEOVERS_PER_TRIM: usize = 64;
/// How long the log is left alone before each takeover.
const IDLE: Duration = Duration::from_millis(2);
/// How long nodes are left to write what they had received from a writer that was cut off. What is measured is the takeover,
/// not how much a node had still to write.
const RECEIVED: Duration = Duration::from_millis(300);

/// What the takeovers of a round found.
#[derive(Default)]
struct Found {
    opened: Latencies,
    kept: Vec<u64>,
    copied: Vec<u64>,
}

/// Takeovers, one after the other, for as long as a part takes; at least one.
pub(super) async fn round(
    plan: &CasePlan<'_>,
    target: &mut Target,
    side: &mut Side,
    full: bool,
) -> Result<PhaseRound, EngineError> {
    let begun_at = Instant::now();
    let until = Until::elapsed(plan.part);
    let mut recorder = Recorder::new(begun_at, until);
    let (mut found, mut done) = (Found::default(), 0);
    while done == 0 || until.allows(done as u64, begun_at.elapsed()) {
        side.logs[0].drop_writer();
        let store = target.client(done % CLIENTS).await?;
        if full {
            leave_a_window(target, side).await?;
            sleep(RECEIVED).await;
        } else {
            sleep(IDLE).await;
        }
        let asked_at = Instant::now();
        let opened = take_over(&store, side, asked_at, &mut found).await?;
        recorder.ended(asked_at, asked_at, Instant::now());
        side.logs[0].adopt(opened);
        done += 1;
        if full || done % TAKEOVERS_PER_TRIM == 0 {
            side.logs[0].read_back_and_trim(&mut side.verdict).await?;
        }
    }
    // Its time is mostly that of the pauses between takeovers: payload by time would mean nothing.
    let part = recorder.finish(0, None);
    let figures = figures(&part.from_due.latencies(), &found);
    Ok(PhaseRound { part, healthy: None, figures, note: None })
}

/// Opens the log and appends to it once.
async fn take_over(
    store: &QuorumStore,
    side: &Side,
    asked_at: Instant,
    found: &mut Found,
) -> Result<Opened, EngineError> {
    let log = &side.logs[0];
    let opened = store.open(&log.name, log.options()).await.map_err(|why| log.failed(&why.to_string()))?;
    found.opened.record(asked_at.elapsed());
    let seq = opened.report.next_seq.0;
    log.found_end(seq);
    let failed = |why: quarry_client::AppendError| log.failed(&why.to_string());
    let pending = opened.writer.append(log.payloads.of(log.number, seq)).await.map_err(failed)?;
    let receipt = pending.await.map_err(failed)?;
    found.kept.push(opened.report.kept);
    found.copied.push(opened.report.copied);
    log.note_acknowledged(receipt.seq.0);
    Ok(opened)
}

/// A writer fills its window and is cut off.
async fn leave_a_window(target: &Target, side: &Side) -> Result<(), EngineError> {
    let log = &side.logs[0];
    let url = target.url().ok_or_else(|| target.failed("no other client can reach it"))?;
    let plan = CutOff {
        url,
        name: log.name.clone(),
        options: log.options(),
        number: log.number,
        payloads: log.payloads.clone(),
    };
    let acknowledged = cut_off::run(plan).await.map_err(|why| log.failed(&why))?;
    acknowledged.for_each(|seq| log.note_acknowledged(seq));
    Ok(())
}

fn figures(taken: &Latencies, found: &Found) -> Vec<Figure> {
    let median =
        |figures: &[u64]| crate::ratios::Spread::of(figures.iter().map(|figure| *figure as f64).collect()).median;
    vec![
        Figure {
            name: "from the call of open to the first append acknowledged, median",
            unit: "us",
            value: taken.quantile_us(0.5),
        },
        Figure { name: "of that, open alone, median", unit: "us", value: found.opened.quantile_us(0.5) },
        Figure { name: "longest", unit: "us", value: taken.summary().max_us },
        Figure { name: "chunks of unknown fate kept, median", unit: "chunks", value: median(&found.kept) },
        Figure { name: "of those, copied, median", unit: "chunks", value: median(&found.copied) },
    ]
}
