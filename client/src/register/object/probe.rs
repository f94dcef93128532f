//! Whether a bucket keeps the two conditions on which a register stands. One that ignores them loses changes without a word,
//! so it is tried out each time a register is opened, on an object that nobody else knows.

use super::super::RegisterError;
use super::requests::{ATTEMPTS_MAX, Refusal, Requests, pause};
use crate::random::random_id;
use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};

const PROBE_BYTES_MAX: usize = 64;
/// Where a store that fails is shown what it lacks.
const NEEDED: &str = "a register needs a bucket that honours If-None-Match and If-Match (or its vendor's equal of them); \
     name another one, or another kind of register";

/// What a conditional put of the probe came to.
enum Outcome {
    Stored,
    Refused,
}

/// Refuses a bucket that does not create only if absent, or does not compare before it swaps.
pub(super) async fn probe(requests: &Requests, root: &Path) -> Result<(), RegisterError> {
    let key = root.clone().join(format!("probe-{:032x}", u128::from_be_bytes(random_id())));
    let probed = conditions(requests, &key).await;
    let deleted = requests.delete(&key).await;
    probed?;
    if let Err(why) = deleted {
        tracing::warn!("a probe object stays behind: {why}");
    }
    Ok(())
}

async fn conditions(requests: &Requests, key: &Path) -> Result<(), RegisterError> {
    // Refused here only if an attempt before it was not.
    put(requests, key, b"first", PutMode::Create).await?;
    let first = version(requests, key, b"first").await?;
    if let Outcome::Stored = put(requests, key, b"second", PutMode::Create).await? {
        return Err(ignored(requests, "it created an object that was there already"));
    }
    put(requests, key, b"second", PutMode::Update(first.clone())).await?;
    let second = version(requests, key, b"second").await?;
    if first == second {
        return Err(ignored(requests, "two contents of one object had the same ETag"));
    }
    if let Outcome::Stored = put(requests, key, b"third", PutMode::Update(first)).await? {
        return Err(ignored(requests, "it replaced an object that was not the one named any more"));
    }
    version(requests, key, b"second").await?;
    Ok(())
}

async fn put(requests: &Requests, key: &Path, content: &[u8], mode: PutMode) -> Result<Outcome, RegisterError> {
    let mut last = String::new();
    for attempt in 0..ATTEMPTS_MAX {
        pause(attempt).await;
        match requests.put(key, content, mode.clone()).await {
            Ok(_) => return Ok(Outcome::Stored),
            Err(Refusal::Condition(_)) => return Ok(Outcome::Refused),
            Err(Refusal::Not(RegisterError::Unusable { why, .. })) => {
                return Err(requests.unusable(format!("{why}; {NEEDED}")));
            }
            Err(Refusal::Not(why)) => return Err(why),
            Err(Refusal::Unsent(why) | Refusal::Unknown(why)) => last = why,
        }
    }
    Err(requests.failed(format!("{last} ({ATTEMPTS_MAX} attempts)")))
}

/// The version of the probe, which must hold `content`.
async fn version(requests: &Requests, key: &Path, content: &[u8]) -> Result<UpdateVersion, RegisterError> {
    let Some(found) = requests.get(key, PROBE_BYTES_MAX).await? else {
        return Err(ignored(requests, "an object that was just stored is not there"));
    };
    if found.content != content {
        return Err(ignored(requests, "an object does not hold what was stored last"));
    }
    if found.version.e_tag.is_none() && found.version.version.is_none() {
        return Err(ignored(requests, "it gave an object no ETag and no version"));
    }
    Ok(found.version)
}

fn ignored(requests: &Requests, what: &str) -> RegisterError {
    requests.unusable(format!("it does not honour conditional writes: {what}; {NEEDED}"))
}
