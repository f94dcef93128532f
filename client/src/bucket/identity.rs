//! Which bucket this is: its identity object, made when the bucket is used for the first time, and whether its store can be
//! relied on.

use super::outcome::TroubleKind;
use super::store::BucketStore;
use crate::random::random_id;
use bytes::Bytes;
use futures::future::join_all;
use quarry_protocol::bucket::{ObjectKey, decode_identity, encode_identity};
use quarry_protocol::ids::DiskId;

/// Clients that create the same object at once, to see whether one of them wins.
const PROBE_CONTENDERS: usize = 8;

/// Why a bucket cannot be used now, or ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// Names the bucket and the fix.
    pub(crate) why: String,
    /// Whether it may be usable later by itself.
    pub(crate) may_pass: bool,
}

impl Unusable {
    pub(super) fn never(why: String) -> Self {
        Self { why, may_pass: false }
    }
}

impl From<super::outcome::Trouble> for Unusable {
    fn from(trouble: super::outcome::Trouble) -> Self {
        let may_pass = matches!(trouble.kind, TroubleKind::Throttled | TroubleKind::Unanswered);
        Self { why: trouble.why, may_pass }
    }
}

impl BucketStore {
    /// The bucket's identity; given to it, if it has none and holds no logs.
    pub(crate) async fn identify(&self) -> Result<DiskId, Unusable> {
        if let Some(disk) = self.named().await? {
            return Ok(disk);
        }
        // The next create would make it, on whatever lies beneath a disk that is not mounted.
        if let Some(path) = self.place().directory().filter(|path| !path.is_dir()) {
            return Err(Unusable { why: format!("{}: {} is not there", self.place(), path.display()), may_pass: true });
        }
        // What Quarry put here once went by a name that is gone: a new one would not bring it back (P14), and would hide that.
        if let Some(log) = self.first_parts().await?.into_iter().find(|part| is_log(part)) {
            return Err(Unusable::never(format!(
                "{} holds chunks (below {log}/) and has lost its identity object: put `identity` back, or use another prefix",
                self.place()
            )));
        }
        let mine = Bytes::copy_from_slice(&encode_identity(DiskId(random_id())));
        let made = self.create(&ObjectKey::Identity.to_string(), [mine, Bytes::new()]).await;
        if let Err(trouble) = made
            && trouble.kind != TroubleKind::Conflict
        {
            return Err(trouble.into());
        }
        // Somebody else may have been first.
        let none = || Unusable::never(format!("{} does not show an object that was just created", self.place()));
        self.named().await?.ok_or_else(none)
    }

    /// The identity of a bucket that had one before: another one would be another bucket.
    pub(crate) async fn recognise(&self) -> Result<DiskId, Unusable> {
        let lost = || Unusable { why: format!("{} has no identity object any more", self.place()), may_pass: true };
        self.named().await?.ok_or_else(lost)
    }

    /// What its identity object says, if it has one.
    async fn named(&self) -> Result<Option<DiskId>, Unusable> {
        match self.get(&ObjectKey::Identity.to_string(), None).await {
            Ok((_, bytes)) => decode_identity(&bytes).map(Some).map_err(|why| {
                Unusable::never(format!(
                    "{}: object identity is not one of Quarry's: {why}; use another prefix",
                    self.place()
                ))
            }),
            Err(trouble) if trouble.kind == TroubleKind::NotFound => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Whether the store creates an object only if there is none, and shows it to the next read. Without that, a writer that was
    /// taken over could overwrite what recovery had counted.
    pub(crate) async fn probe(&self) -> Result<(), Unusable> {
        let key = format!("probe/{}", DiskId(random_id()));
        let checked = self.probe_at(&key).await;
        // It is in nobody's way if this fails.
        let _ = self.delete(&key).await;
        checked
    }

    async fn probe_at(&self, key: &str) -> Result<(), Unusable> {
        let broken = |what: &str| {
            Unusable::never(format!(
                "{} {what}: Quarry's buckets rest on conditional creates (If-None-Match: *); use a store that honours them",
                self.place()
            ))
        };
        let contents: Vec<Bytes> = (0..PROBE_CONTENDERS).map(|number| format!("contender {number}").into()).collect();
        let create = |content: &Bytes| self.create(key, [content.clone(), Bytes::new()]);
        // Some look first and write then: of creates at the same moment, several win.
        let created = join_all(contents.iter().map(create)).await;
        let mut winners =
            contents.iter().zip(&created).filter(|(_, created)| created.is_ok()).map(|(content, _)| content);
        let winner = winners.next();
        if winners.next().is_some() {
            return Err(broken("let several clients create the same object"));
        }
        if winner.is_none() {
            // Nobody else draws this name: if all were refused, an attempt that seemed to be throttled took place.
            let failed = created.into_iter().filter_map(Result::err).find(|why| why.kind != TroubleKind::Conflict);
            failed.map_or(Ok(()), |why| Err(Unusable::from(why)))?;
        }
        match self.create(key, [Bytes::from_static(b"late"), Bytes::new()]).await {
            Ok(()) => return Err(broken("created an object that was there already")),
            Err(trouble) if trouble.kind == TroubleKind::Conflict => {}
            Err(trouble) => return Err(trouble.into()),
        }
        let (_, found) = self.get(key, None).await?;
        let is_first = winner.map_or_else(|| contents.contains(&found), |winner| *winner == found);
        if is_first {
            return Ok(());
        }
        Err(broken("refused to create an object that was there already, and changed it all the same"))
    }
}

/// Whether the first part of an object's name is a log's id.
fn is_log(part: &str) -> bool {
    part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}
