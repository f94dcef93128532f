//! What a server is told: its buckets, whom it lets in, and what can be switched while it runs.

use super::latency::Shape;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

/// Seconds that a session of a directory bucket lasts, as documented for `CreateSession`.
const SESSION_SECS: u64 = 5 * 60;

/// Whose words a bucket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A general purpose bucket of S3.
    S3,
    /// A directory bucket of S3 Express One Zone; its name ends in `--ZONE--x-s3`.
    S3Express,
    /// A bucket of Google Cloud Storage, through its XML interface.
    Google,
}

/// A bucket that the server has from the start.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// Its name.
    pub name: String,
    /// Whose words it speaks.
    pub dialect: Dialect,
    /// How long its answers take.
    pub shape: Shape,
    /// It lies in another region than the server: requests are told so.
    pub elsewhere: Option<String>,
    /// Nobody may do anything with it.
    pub denied: bool,
    /// The prefix and days of a rule that lets objects expire, if it has one.
    pub expiry: Option<(String, u32)>,
    /// Nobody may see that rule, or that there is none.
    pub hides_expiry: bool,
}

impl BucketSettings {
    /// A bucket that answers at once.
    #[must_use]
    pub fn new(name: &str, dialect: Dialect) -> Self {
        Self {
            name: name.to_owned(),
            dialect,
            shape: Shape::IMMEDIATE,
            elsewhere: None,
            denied: false,
            expiry: None,
            hides_expiry: false,
        }
    }

    /// The same bucket with answers that take so long.
    #[must_use]
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }
}

/// Whom the server lets in. Signatures are not checked: it holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The access key id of S3, or the bearer token of Google.
    pub key_id: String,
    /// The region of the scope that S3 requests are signed for.
    pub region: String,
}

/// What can be changed while a server runs.
#[derive(Debug)]
pub struct Switches {
    /// Whom it lets in; `None` lets everybody in.
    pub expected: std::sync::Mutex<Option<Expected>>,
    /// Writes succeed whatever their condition says: a store that does not know conditional writes.
    pub ignore_conditions: AtomicBool,
    /// Two conditional writes of one key at a time: the second is refused as a conflict, as S3 may do.
    pub conflict_when_concurrent: AtomicBool,
    /// Seconds that the server's clock is ahead of this machine's.
    pub clock_ahead_secs: AtomicI64,
    /// Seconds that a new session of a directory bucket lasts.
    pub session_secs: AtomicU64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            expected: std::sync::Mutex::new(None),
            ignore_conditions: AtomicBool::new(false),
            conflict_when_concurrent: AtomicBool::new(false),
            clock_ahead_secs: AtomicI64::new(0),
            session_secs: AtomicU64::new(SESSION_SECS),
        }
    }
}

impl Switches {
    /// Lets nobody else in.
    pub fn expect(&self, key_id: &str, region: &str) {
        let expected = Expected { key_id: key_id.to_owned(), region: region.to_owned() };
        *self.expected.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(expected);
    }

    pub(super) fn expected(&self) -> Option<Expected> {
        self.expected.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
