//! Tiers side by side: appends to several stores take turns, in one run, and with each bucket store the plain puts that its
//! appends are made of.

mod emulated;
mod raw;

pub use emulated::{Emulated, EmulatedError};
pub use raw::RawPuts;

use crate::append::{Appends, Load};
use crate::environment::Environment;
use crate::measured::{MeasuredSummary, Until};
use crate::ratios::Spread;
use crate::rounds::{RoundsError, Trimmed};
use quarry_client::{ChunkStore, LogWriter, OpenError, OpenOptions};
use serde::Serialize;
use std::time::Duration;

/// How long everything is left alone before each part: deletions go on in the background.
const SETTLE: Duration = Duration::from_millis(200);

/// One store of the table.
pub struct Target<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Whether latencies come from this program and not from the store.
    pub emulated: bool,
    /// What an acknowledgement promises.
    pub durability: &'static str,
    /// The store.
    pub store: &'a dyn ChunkStore,
    /// Bytes of each chunk.
    pub chunk_bytes: usize,
    /// The same puts without Quarry, for buckets.
    pub raw: Option<RawPuts>,
}

/// One turn of a target.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TierRound {
    /// Appends.
    pub append: MeasuredSummary,
    /// Plain puts.
    pub raw: Option<MeasuredSummary>,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct TierReport {
    /// What it is called.
    pub name: String,
    /// Whether latencies come from this program and not from the store.
    pub emulated: bool,
    /// What an acknowledgement promises.
    pub durability: &'static str,
    /// Bytes of each chunk.
    pub chunk_bytes: usize,
    /// Replicas of each chunk.
    pub replicas: usize,
    /// How many of them commit it.
    pub ack_quorum: usize,
    /// Median latency of appends beyond that of the k-th answer to plain puts, round by round, in microseconds.
    pub added_p50_us: Option<Spread>,
    /// Payload bandwidth of appends over that of plain puts, round by round.
    pub bandwidth_ratio: Option<Spread>,
    /// Every round that counts.
    pub rounds: Vec<TierRound>,
}

/// The table.
#[derive(Clone, Debug, Serialize)]
pub struct TiersReport {
    /// Always `tiers`.
    pub workload: &'static str,
    /// Appends in flight.
    pub depth: usize,
    /// Each part begins operations for so long.
    pub part_seconds: f64,
    /// The machine and the build.
    pub environment: Environment,
    /// The targets.
    pub targets: Vec<TierReport>,
}

/// Why a measurement ended early.
#[derive(Debug, thiserror::Error)]
pub enum TiersError {
    /// A log could not be opened.
    #[error("{target}: {source}")]
    Open {
        /// Which target.
        target: String,
        /// Why.
        source: OpenError,
    },
    /// Appends or trims failed.
    #[error("{target}: {source}")]
    Append {
        /// Which target.
        target: String,
        /// Why.
        source: RoundsError,
    },
    /// A plain put failed.
    #[error("{target}: plain puts: {source}")]
    Raw {
        /// Which target.
        target: String,
        /// Why.
        source: object_store::Error,
    },
}

struct Opened<'a> {
    target: Target<'a>,
    writer: LogWriter,
    appends: Appends,
    rounds: Vec<TierRound>,
}

/// Measures every target in turn, `rounds` times; one more round before them does not count. `on_round` is told after each.
pub async fn measure(
    targets: Vec<Target<'_>>,
    depth: usize,
    rounds: usize,
    part: Duration,
    mut on_round: impl FnMut(usize),
) -> Result<Vec<TierReport>, TiersError> {
    let log = format!("bench-tiers-{:016x}", getrandom::u64().expect("the system has random numbers"));
    let mut opened = Vec::new();
    for target in targets {
        let writer = target.store.open(&log, OpenOptions::default()).await;
        let writer = writer.map_err(|source| TiersError::Open { target: target.name.clone(), source })?.writer;
        let appends = Appends::new(target.chunk_bytes);
        opened.push(Opened { target, writer, appends, rounds: Vec::new() });
    }
    for number in 0..=rounds {
        for target in &mut opened {
            let round = target.turn(&log, depth, part).await?;
            if number > 0 {
                target.rounds.push(round);
            }
        }
        on_round(number);
    }
    for target in &opened {
        // Only what this run made; what is left behind does no harm.
        let _ = target.target.store.delete(&log).await;
    }
    Ok(opened.into_iter().map(Opened::report).collect())
}

impl Opened<'_> {
    async fn turn(&mut self, log: &str, depth: usize, part: Duration) -> Result<TierRound, TiersError> {
        let (name, store, writer) = (self.target.name.clone(), self.target.store, &self.writer);
        let failed = |source| TiersError::Append { target: name.clone(), source };
        let payload = self.appends.payload(0);
        let raw = match &mut self.target.raw {
            None => None,
            Some(raw) => {
                let measured = raw.measure(&payload, depth, Until::elapsed(part)).await;
                Some(measured.map_err(|source| TiersError::Raw { target: name.clone(), source })?.summary())
            }
        };
        tokio::time::sleep(SETTLE).await;
        let measured = self.appends.measure(writer, Load::Closed { depth }, Until::elapsed(part)).await;
        let append = measured.map_err(|why| failed(why.into()))?.summary();
        Trimmed { store, name: log, writer }.trim().await.map_err(failed)?;
        tokio::time::sleep(SETTLE).await;
        Ok(TierRound { append, raw })
    }

    fn report(self) -> TierReport {
        let capabilities = self.target.store.capabilities();
        let compare = |with: fn(&MeasuredSummary, &MeasuredSummary) -> f64| {
            let compared = self.rounds.iter().filter_map(|round| round.raw.map(|raw| with(&round.append, &raw)));
            let compared: Vec<f64> = compared.collect();
            (!compared.is_empty()).then(|| Spread::of(compared))
        };
        let added_p50_us = compare(|append, raw| append.latency.p50_us - raw.latency.p50_us);
        let bandwidth_ratio = compare(|append, raw| append.mib_per_second / raw.mib_per_second);
        TierReport {
            name: self.target.name,
            emulated: self.target.emulated,
            durability: self.target.durability,
            chunk_bytes: self.target.chunk_bytes,
            replicas: capabilities.replicas,
            ack_quorum: capabilities.ack_quorum,
            added_p50_us,
            bandwidth_ratio,
            rounds: self.rounds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both emulated stores take as long as they say, and the raw puts leave nothing behind.
    #[tokio::test]
    async fn emulated_stores_are_measured_beside_their_plain_puts() {
        let emulated = Emulated::s3_express(7).await.expect("starts");
        let raw = RawPuts::new(emulated.buckets.clone(), emulated.defaults.ack_quorum, "test");
        let target = Target {
            name: emulated.shape.name.to_owned(),
            emulated: true,
            durability: "none",
            store: &emulated.store,
            chunk_bytes: 1000,
            raw: Some(raw),
        };
        let reports = measure(vec![target], 2, 1, Duration::from_millis(300), |_| ()).await.expect("measures");
        let [report] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((report.replicas, report.ack_quorum, report.rounds.len()), (3, 2, 1));
        let round = report.rounds[0];
        let raw = round.raw.expect("buckets have plain puts");
        // No answer comes faster than the emulated store's fastest.
        assert!(raw.latency.min_us >= 2_500.0 && round.append.latency.min_us >= 2_500.0, "{round:?}");
        assert!(raw.latency.count > 0 && round.append.latency.count > 0, "{round:?}");
        assert!(report.added_p50_us.is_some() && report.bandwidth_ratio.is_some());
        let listed = emulated.buckets[0].list_with_delimiter(None).await.expect("lists");
        assert!(listed.common_prefixes.iter().all(|prefix| prefix.as_ref() != "raw"), "{listed:?}");
    }
}
