//! Whether a bucket's own rules would delete what is below its prefix. A store that does is no store: chunks that were
//! acknowledged, and markers that keep an old writer out, would go without anybody's word.
//!
//! The rules are asked for once per connect. Where these credentials may not see them, or the server does not know the
//! question, that is said, and the bucket is used all the same: the right to change rules is rarely given to a writer of chunks.

mod ask;
mod rules;

pub(crate) use ask::Asker;
pub(super) use ask::How;

use super::identity::Unusable;
use super::place::BucketPlace;

/// How long the rules may take to come. They are looked at beside the bucket's name, which decides whether it answers at all.
const RULES_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

/// That the rules expire nothing of Quarry's below the place's prefix: refused if one does, and why that is not known, if it is not.
pub(super) async fn check(asker: &Asker, place: &BucketPlace) -> Result<Option<String>, Unusable> {
    let answer = tokio::time::timeout(RULES_TIMEOUT, asker.ask(&place.bucket)).await;
    let found = answer.unwrap_or_else(|_| Err(format!("no answer within {RULES_TIMEOUT:?}")));
    let rules = match found {
        Ok(Some(rules)) => rules::expiring(&rules, &place.prefix),
        Ok(None) => Ok(None),
        Err(why) => Err(why),
    };
    match rules {
        Ok(None) => Ok(None),
        Ok(Some(rule)) => Err(Unusable::never(format!(
            "{place}: {rule} of bucket {} deletes objects below {:?} by itself: turn that rule off, or limit it to prefixes \
             outside, or use another prefix",
            place.bucket, place.prefix
        ))),
        Err(why) => {
            Ok(Some(format!("{place}: its expiry rules cannot be seen: {why}; see that none applies to its prefix")))
        }
    }
}
