//! Taking a log over: the recovery machine's shell, and what opens and deletions make of it.
//!
//! ```text
//!   open ──► takeover ──► Recovery ──► effects: register, placement, calls, copies
//!     │          ▲                        │
//!     ▼          └──────── events ◄───────┘
//!   LogWriter
//! ```

mod copies;
mod effects;
mod options;
mod refused;
mod takeover;

pub(crate) use effects::{REGISTER_TIMEOUT, fetch_chunk, placed_in_time, read_found, swap_record};
pub(crate) use refused::delete_error;
pub(crate) use takeover::take_over;

use crate::chunk_store::{OpenOptions, Opened, RecoveryReport};
use crate::error::OpenError;
use crate::log_writer::LogWriter;
use crate::quorum_store::Parts;
use crate::random::{random_id, random_share};
use crate::repair::Repairs;
use crate::trim;
use quarry_protocol::ids::OwnerId;
use quarry_protocol::limits::{STRAGGLER_BYTES_MAX, STRAGGLER_CHUNKS_MAX};
use quarry_protocol::record::{ReplicaRef, check_log_name};
use quarry_protocol::recovery::{Purpose, RecoveryConfig, RecoveryError, RecoveryReport as Recovered};
use quarry_protocol::rotation::{RotationConfig, SegmentShape};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longest pause after a lost race. Two callers that open the same log again and again would otherwise each take it from the
/// other before anybody has appended, where an open takes longer than an append; a pause of random length lets one go first.
const LOST_RACE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Takes the log over and starts its writer.
pub(crate) async fn open(parts: &Arc<Parts>, name: &str, options: &OpenOptions) -> Result<Opened, OpenError> {
    let begun = Instant::now();
    check_log_name(name).map_err(|why| OpenError::BadName { why })?;
    let purpose = options::purpose(name, options, &parts.defaults)?;
    let config = RecoveryConfig {
        name: name.to_owned(),
        mode: options::mode(options.create),
        owner: OwnerId(random_id()),
        purpose,
        deadline_us: options.deadline.as_micros() as u64,
    };
    let recovered = match take_over(parts, config).await {
        Ok(recovered) => recovered,
        Err(error) => {
            if matches!(error, RecoveryError::Superseded { .. }) {
                sleep(random_share(2 * begun.elapsed()).min(LOST_RACE_PAUSE_MAX)).await;
            }
            return Err(refused::open_error(name, options.deadline, error));
        }
    };
    let report = report(&recovered, &purpose, begun.elapsed());
    tracing::debug!(log = name, epoch = %report.epoch, next_seq = %report.next_seq, kept = report.kept, copied = report.copied,
        took = ?report.took, "opened");
    trim::tell_after_open(parts, &recovered);
    if options.repair {
        Repairs::after_open(parts, name);
    }
    let writer = start_writer(parts, options, &purpose, recovered);
    Ok(Opened { writer, report })
}

fn start_writer(parts: &Arc<Parts>, options: &OpenOptions, purpose: &Purpose, recovered: Recovered) -> LogWriter {
    let Purpose::Write { replicas, ack_quorum, window } = *purpose else { unreachable!("an open is for writing") };
    let config = RotationConfig {
        name: recovered.record.name.clone(),
        owner: recovered.record.owner,
        version: recovered.version,
        next_seq: recovered.next_seq,
        digest: recovered.digest,
        carried: recovered.carried,
        shape: SegmentShape { replicas, ack_quorum, window },
        deadline_us: options.append_deadline.as_micros() as u64,
        straggler_chunks_max: STRAGGLER_CHUNKS_MAX,
        straggler_bytes_max: STRAGGLER_BYTES_MAX,
        policy: options.rotation.policy(),
        record: recovered.record,
    };
    LogWriter::start(Arc::clone(parts), config, options.attribution)
}

/// A replica as people know it.
pub(crate) fn who(replica: &ReplicaRef) -> String {
    format!("{} ({})", replica.zone, replica.address)
}

fn report(recovered: &Recovered, purpose: &Purpose, took: Duration) -> RecoveryReport {
    let Purpose::Write { replicas: replicas_wanted, .. } = *purpose else {
        unreachable!("an open is for writing");
    };
    let segment = recovered.segment.as_ref().expect("a recovery that ends in writing has opened a segment");
    RecoveryReport {
        log: recovered.record.log,
        epoch: recovered.epoch,
        created: recovered.created,
        segment: segment.id,
        base: segment.base,
        next_seq: recovered.next_seq,
        floor: recovered.record.floor,
        kept: recovered.settled.iter().map(|settled| settled.end.0 - settled.start.0).sum(),
        copied: recovered.next_seq.0 - segment.base.0,
        sealed: recovered.settled.iter().map(|settled| (settled.segment, settled.sealed_at)).collect(),
        replicas: segment.replicas.iter().map(who).collect(),
        replicas_wanted,
        silent: recovered.silent.iter().map(|missing| format!("{}: {}", who(&missing.replica), missing.why)).collect(),
        took,
    }
}
