//! Whom the server lets in: the key, the region, the clock and the session of a request, as its headers tell them.
//! Signatures are not checked, because the server holds no secrets.

use super::request::Received;
use super::settings::Switches;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// How far a request's date may be from the server's, as S3 documents it.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::minutes(15);

/// Why a request of S3 is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No credentials, or no session where one is needed.
    AccessDenied,
    InvalidAccessKeyId,
    /// It was signed for another region than this.
    WrongRegion(String),
    RequestTimeTooSkewed,
    ExpiredToken,
}

/// Sessions of directory buckets.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Token to bucket and end.
    open: BTreeMap<String, (String, DateTime<Utc>)>,
    made: u64,
}

impl Sessions {
    /// A new one; its token is good for one bucket.
    pub(super) fn make(&mut self, bucket: &str, ends: DateTime<Utc>) -> String {
        self.open.retain(|_, (_, ends)| *ends > Utc::now());
        self.made += 1;
        let token = format!("session-{}", self.made);
        self.open.insert(token.clone(), (bucket.to_owned(), ends));
        token
    }

    pub(super) fn expire(&mut self) {
        self.open.clear();
    }

    /// Checks the token of a request about an object of a directory bucket.
    pub(super) fn check(&self, request: &Received, now: DateTime<Utc>) -> Result<(), Refused> {
        let token = request.header("x-amz-s3session-token").ok_or(Refused::AccessDenied)?;
        match self.open.get(token) {
            Some((bucket, ends)) if *bucket == request.bucket && *ends > now => Ok(()),
            Some((bucket, _)) if *bucket != request.bucket => Err(Refused::AccessDenied),
            _ => Err(Refused::ExpiredToken),
        }
    }
}

/// The key that a session's requests are signed with, made from that of its maker, so that it is told apart.
pub(super) fn key_of_session(key_id: &str) -> String {
    format!("{key_id}.session")
}

/// The server's time.
pub(super) fn now(switches: &Switches) -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(switches.clock_ahead_secs.load(Ordering::Relaxed))
}

/// Checks what S3 requests are signed with. `in_session`: with the temporary key of a session.
pub(super) fn check(switches: &Switches, request: &Received, in_session: bool) -> Result<(), Refused> {
    let Some(expected) = switches.expected() else { return Ok(()) };
    let scope = request.header("authorization").and_then(|text| text.split("Credential=").nth(1));
    let scope = scope.and_then(|text| text.split(',').next()).ok_or(Refused::AccessDenied)?;
    let mut words = scope.split('/');
    let (key_id, _date, region) = (words.next().unwrap_or(""), words.next(), words.next().unwrap_or(""));
    let known = if in_session { key_of_session(&expected.key_id) } else { expected.key_id };
    if key_id != known {
        return Err(Refused::InvalidAccessKeyId);
    }
    if region != expected.region {
        return Err(Refused::WrongRegion(expected.region));
    }
    let date = request.header("x-amz-date").and_then(|date| NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").ok());
    let skew = now(switches) - date.ok_or(Refused::AccessDenied)?.and_utc();
    if skew.abs() > CLOCK_SKEW_MAX { Err(Refused::RequestTimeTooSkewed) } else { Ok(()) }
}
