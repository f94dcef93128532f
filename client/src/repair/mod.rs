//! Making copies whole again, and freeing those that nobody needs: the shells of [`quarry_protocol::repair`].
//!
//! ```text
//!   quarry repair ─┐
//!   open, later ───┼─► Running ──► Repair ──► effects: register, placement, calls, chunks
//!   a bad read ────┘      ▲                      │
//!                         └───── events ◄────────┘
//! ```

mod background;
mod bucket_orphans;
mod effects;
mod impact;
mod orphans;
mod running;

pub use impact::LogImpact;
pub use orphans::{Orphan, OrphanFate};

pub(crate) use background::Repairs;
pub(crate) use impact::{naming, without};
pub(crate) use orphans::orphans;

use crate::bucket::BucketPlace;
use crate::open::read_found;
use crate::quorum_store::Parts;
use quarry_protocol::ids::{DiskId, SegmentId};
use quarry_protocol::record::Segment;
use quarry_protocol::repair::{
    REPAIR_BYTES_PER_S_DEFAULT, REPAIR_PATIENCE_US_DEFAULT, RepairConfig, RepairFailure, RepairProgress, RepairReport,
};
use running::Running;
use std::collections::BTreeSet;
use std::time::Duration;

/// How to repair a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairOptions {
    /// Bytes to copy in a second, at most.
    pub bytes_per_s: u64,
    /// How long a holder may not answer before another one is made in its place.
    pub patience: Duration,
    /// Disks that are not to hold anything any more.
    pub leaving: BTreeSet<DiskId>,
    /// The segments to look at; none for all.
    pub only: Option<BTreeSet<SegmentId>>,
}

impl Default for RepairOptions {
    fn default() -> Self {
        Self {
            bytes_per_s: REPAIR_BYTES_PER_S_DEFAULT,
            patience: Duration::from_micros(REPAIR_PATIENCE_US_DEFAULT),
            leaving: BTreeSet::new(),
            only: None,
        }
    }
}

/// Repairs the sealed segments of a log; `progress` is told how far it is.
pub(crate) async fn repair(
    parts: &Parts,
    name: &str,
    options: &RepairOptions,
    progress: &mut (dyn FnMut(RepairProgress) + Send),
) -> Result<RepairReport, RepairFailure> {
    let config = RepairConfig {
        name: name.to_owned(),
        bytes_per_s: options.bytes_per_s,
        patience_us: u64::try_from(options.patience.as_micros()).unwrap_or(u64::MAX),
        leaving: options.leaving.clone(),
        only: on_nodes(parts, name).await.map_or_else(
            || options.only.clone(),
            |on_nodes| match &options.only {
                None => Some(on_nodes),
                Some(only) => Some(only.intersection(&on_nodes).copied().collect()),
            },
        ),
    };
    Running::new(parts, config).run(progress).await
}

/// The segments on nodes, if any others there are: what is in buckets is their store's to keep, and nobody there would answer.
async fn on_nodes(parts: &Parts, name: &str) -> Option<BTreeSet<SegmentId>> {
    // A register that does not answer is told of by the repair itself.
    let (_, record) = read_found(parts, name).await.ok()??;
    let in_buckets = |segment: &&Segment| segment.replicas.iter().any(|at| BucketPlace::is_address(&at.address));
    let (others, on_nodes): (Vec<_>, Vec<_>) = record.segments.iter().partition(in_buckets);
    (!others.is_empty()).then(|| on_nodes.iter().map(|segment| segment.id).collect())
}
