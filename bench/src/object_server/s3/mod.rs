//! The subset of S3 that the `object_store` crate uses: path style; puts of whole objects with `If-None-Match: *` or
//! `If-Match`, gets and heads with `Range`, deletions of one and of many, listings of version 2, the expiry rules, and for
//! directory buckets `CreateSession`. No uploads in parts, no copies, no versions, no tags.

mod errors;
mod session;

use super::access::{self, Refused};
use super::bucket::{Condition, Unwritten};
use super::listing::{Asked, page};
use super::request::{Received, Reply, content, describe, empty, xml};
use super::settings::{BucketSettings, Dialect};
use super::xml::document;
use super::{Shared, State};
use errors::{Problem, refuse};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// Most keys of one deletion, as S3 documents it.
const DELETED_KEYS_MAX: usize = 1000;

/// A request without a bucket of ours is answered by S3, unless it has a token of Google's.
pub(super) fn dialect_of_a_missing_bucket(request: &Received) -> Dialect {
    let google = request.header("authorization").is_some_and(|text| text.starts_with("Bearer"));
    if google { Dialect::Google } else { Dialect::S3 }
}

/// Answers a request to S3. `conflicts`: another conditional write of the same key is under way.
pub(super) fn answer(shared: &Shared, request: Received, conflicts: bool) -> Reply {
    let head = request.method == Method::HEAD;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let reply = admit(shared, &request).and_then(|settings| match (&request.method, key.is_empty()) {
        (&Method::GET, true) if request.query.contains_key("session") => session::create(shared, &request, &settings),
        (&Method::GET, true) if request.query.contains_key("lifecycle") => expiry(&settings),
        (&Method::GET, true) => list(shared, &request, settings.dialect),
        (&Method::POST, true) if request.query.contains_key("delete") => delete_many(shared, &request),
        (&Method::GET | &Method::HEAD, false) => get(&shared.state(), &request),
        (&Method::PUT, false) if request.query.is_empty() => put(shared, request, conflicts),
        (&Method::DELETE, false) => {
            shared.state().delete(&bucket, &key);
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Problem::NotImplemented),
    });
    reply.unwrap_or_else(|problem| refuse(&problem, &bucket, &key, head))
}

/// Lets a request in, and says what bucket it is for.
fn admit(shared: &Shared, request: &Received) -> Result<BucketSettings, Problem> {
    let settings = shared.state().buckets.get(&request.bucket).map(|bucket| bucket.settings.clone());
    let express = settings.as_ref().is_some_and(|settings| settings.dialect == Dialect::S3Express);
    // Neither the way into a session nor the rules of a bucket are asked for in one.
    let outside = request.query.contains_key("session") || request.query.contains_key("lifecycle");
    let in_session = express && !outside;
    access::check(&shared.switches, request, in_session)?;
    let settings = settings.ok_or(Problem::NoSuchBucket)?;
    if in_session {
        shared.state().sessions.check(request, access::now(&shared.switches))?;
    }
    if settings.denied {
        return Err(Refused::AccessDenied.into());
    }
    if let Some(region) = &settings.elsewhere {
        return Err(Problem::PermanentRedirect(region.clone()));
    }
    Ok(settings)
}

fn put(shared: &Shared, request: Received, conflicts: bool) -> Result<Reply, Problem> {
    let condition = match (request.header("if-none-match"), request.header("if-match")) {
        _ if shared.switches.ignore_conditions.load(Ordering::Relaxed) => Condition::Always,
        (None, None) => Condition::Always,
        (Some("*"), None) => Condition::Absent,
        (None, Some(tag)) => Condition::Tagged(tag.to_owned()),
        _ => return Err(Problem::NotImplemented),
    };
    if conflicts && condition != Condition::Always && shared.switches.conflict_when_concurrent.load(Ordering::Relaxed) {
        return Err(Problem::ConditionalRequestConflict);
    }
    let written = shared.state().put(&request.bucket, &request.key, request.body, &condition);
    let object = written.map_err(|why| match why {
        Unwritten::NoSuchBucket => Problem::NoSuchBucket,
        Unwritten::NoSuchKey => Problem::NoSuchKey,
        Unwritten::Precondition => Problem::PreconditionFailed,
        Unwritten::Full => Problem::Full,
    })?;
    let mut reply = empty(StatusCode::OK);
    describe(&mut reply, &object);
    Ok(reply)
}

fn get(state: &State, request: &Received) -> Result<Reply, Problem> {
    let object = state.buckets.get(&request.bucket).and_then(|bucket| bucket.get(&request.key));
    let object = object.ok_or(Problem::NoSuchKey)?;
    let range = request.range(object.length).map_err(|()| Problem::InvalidRange)?;
    Ok(content(object, range.as_ref(), request.method == Method::HEAD))
}

fn list(shared: &Shared, request: &Received, dialect: Dialect) -> Result<Reply, Problem> {
    let text = |name: &str| request.query.get(name).map(String::as_str);
    let (prefix, start_after) = (text("prefix").unwrap_or(""), text("start-after"));
    let directory = dialect == Dialect::S3Express;
    if text("list-type") != Some("2") || (directory && start_after.is_some()) {
        return Err(Problem::NotImplemented);
    }
    if directory && (!(prefix.is_empty() || prefix.ends_with('/')) || text("delimiter").is_some_and(|text| text != "/"))
    {
        return Err(Problem::InvalidArgument("a directory bucket lists by prefixes that end in its delimiter, /"));
    }
    let asked = Asked {
        prefix,
        delimiter: text("delimiter"),
        after: text("continuation-token").or(start_after),
        entries_max: text("max-keys").and_then(|text| text.parse().ok()),
    };
    let state = shared.state();
    let bucket = state.buckets.get(&request.bucket).ok_or(Problem::NoSuchBucket)?;
    Ok(xml(StatusCode::OK, document(&page(bucket, &asked))))
}

#[derive(Deserialize)]
#[serde(rename = "Delete", rename_all = "PascalCase")]
struct Deletion {
    #[serde(default)]
    object: Vec<Key>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    key: String,
}

#[derive(Serialize)]
#[serde(rename = "DeleteResult", rename_all = "PascalCase")]
struct DeleteResult {
    deleted: Vec<Key>,
}

fn delete_many(shared: &Shared, request: &Received) -> Result<Reply, Problem> {
    let body = request.body.concat();
    let deletion: Deletion = quick_xml::de::from_reader(body.as_slice()).map_err(|_| Problem::MalformedXml)?;
    if deletion.object.is_empty() || deletion.object.len() > DELETED_KEYS_MAX {
        return Err(Problem::MalformedXml);
    }
    let mut state = shared.state();
    for object in &deletion.object {
        state.delete(&request.bucket, &object.key);
    }
    Ok(xml(StatusCode::OK, document(&DeleteResult { deleted: deletion.object })))
}

/// The rules by which objects expire; a bucket has none unless it was given some.
fn expiry(settings: &BucketSettings) -> Result<Reply, Problem> {
    if settings.hides_expiry {
        return Err(Refused::AccessDenied.into());
    }
    let (prefix, days) = settings.expiry.as_ref().ok_or(Problem::NoSuchLifecycleConfiguration)?;
    let rule = format!(
        "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>expire</ID>\
         <Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status><Expiration><Days>{days}</Days></Expiration>\
         </Rule></LifecycleConfiguration>"
    );
    Ok(xml(StatusCode::OK, rule))
}
