//! Deleting a log: a takeover that ends in a tombstone; then its replicas are told (P13).

use crate::chunk_store::Deleted;
use crate::error::DeleteError;
use crate::open::{delete_error, take_over, who};
use crate::quorum_store::Parts;
use crate::random::random_id;
use crate::told::tell;
use quarry_protocol::ids::OwnerId;
use quarry_protocol::message::Request;
use quarry_protocol::record::check_log_name;
use quarry_protocol::recovery::{OpenMode, Purpose, RecoveryConfig};
use std::time::Duration;

/// How long the takeover may take.
const DELETE_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn delete(parts: &Parts, name: &str) -> Result<Deleted, DeleteError> {
    check_log_name(name).map_err(|why| DeleteError::BadName { why })?;
    let config = RecoveryConfig {
        name: name.to_owned(),
        mode: OpenMode::MustExist,
        owner: OwnerId(random_id()),
        purpose: Purpose::Delete,
        deadline_us: DELETE_DEADLINE.as_micros() as u64,
    };
    let done = take_over(parts, config).await.map_err(|error| delete_error(name, DELETE_DEADLINE, &error))?;
    let what = Request::Delete { log: done.record.log, epoch: done.record.epoch };
    let told = tell(parts, what, done.before.iter().chain([&done.record])).await;
    let missed = told.into_iter().filter_map(|told| Some(format!("{}: {}", who(&told.replica), told.result.err()?)));
    Ok(Deleted { unreached: missed.collect() })
}
