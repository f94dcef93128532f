//! Which logs there are.

use crate::error::ListError;
use crate::lookup::{NoRecord, lookup};
use crate::open::REGISTER_TIMEOUT;
use crate::quorum_store::Parts;
use futures::stream::{self, StreamExt};
use tokio::time::timeout;

/// Most records read at a time.
const RECORDS_AT_A_TIME: usize = 16;

/// The names of the logs that are not deleted. A log whose record cannot be used is there all the same.
pub(crate) async fn list(parts: &Parts, prefix: &str) -> Result<Vec<String>, ListError> {
    let failed = |why: String| ListError::Register { prefix: prefix.to_owned(), why };
    let names = timeout(REGISTER_TIMEOUT, parts.register.list(prefix))
        .await
        .map_err(|_| failed(format!("no answer within {REGISTER_TIMEOUT:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    let mut looked_up = stream::iter(names)
        .map(|name| async move {
            let found = lookup(parts, &name).await;
            (name, found)
        })
        .buffered(RECORDS_AT_A_TIME);
    let mut there = Vec::new();
    while let Some((name, found)) = looked_up.next().await {
        match found {
            Ok(_) | Err(NoRecord::Record(_)) => there.push(name),
            Err(NoRecord::NotFound | NoRecord::BadName(_)) => {}
            Err(NoRecord::Register(why)) => return Err(failed(why)),
        }
    }
    Ok(there)
}
