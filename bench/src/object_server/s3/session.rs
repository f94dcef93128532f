//! `CreateSession` of a directory bucket: temporary credentials for that bucket, for some minutes.

use super::errors::Problem;
use crate::object_server::Shared;
use crate::object_server::access;
use crate::object_server::request::{Received, Reply, xml};
use crate::object_server::settings::{BucketSettings, Dialect};
use crate::object_server::xml::document;
use chrono::TimeDelta;
use hyper::StatusCode;
use serde::Serialize;
use std::sync::atomic::Ordering;

#[derive(Serialize)]
#[serde(rename = "CreateSessionResult", rename_all = "PascalCase")]
struct CreateSessionResult {
    credentials: Credentials,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    session_token: String,
    secret_access_key: String,
    access_key_id: String,
    expiration: String,
}

/// Opens a session.
pub(super) fn create(shared: &Shared, request: &Received, settings: &BucketSettings) -> Result<Reply, Problem> {
    if settings.dialect != Dialect::S3Express {
        return Err(Problem::InvalidArgument("only a directory bucket has sessions"));
    }
    let secs = shared.switches.session_secs.load(Ordering::Relaxed) as i64;
    let ends = access::now(&shared.switches) + TimeDelta::seconds(secs);
    let key_id = shared.switches.expected().map_or_else(|| "anybody".to_owned(), |expected| expected.key_id);
    let credentials = Credentials {
        session_token: shared.state().sessions.make(&request.bucket, ends),
        secret_access_key: "not-checked".to_owned(),
        access_key_id: access::key_of_session(&key_id),
        expiration: ends.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    Ok(xml(StatusCode::OK, document(&CreateSessionResult { credentials })))
}
