//! The subset of Google Cloud Storage's XML interface that the `object_store` crate uses: puts of whole objects with
//! `x-goog-if-generation-match` (0: nothing may be there), gets and heads with `Range`, deletions, listings of version 2,
//! the expiry rules.

use super::Shared;
use super::bucket::{Condition, Unwritten};
use super::listing::{Asked, page};
use super::object::Object;
use super::request::{Received, Reply, content, describe, empty, set, xml};
use super::settings::BucketSettings;
use super::xml::document;
use hyper::{Method, StatusCode};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Status, code and words of a refusal.
type Problem = (StatusCode, &'static str, &'static str);

const NO_SUCH_BUCKET: Problem = (StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist.");
const NO_SUCH_KEY: Problem = (StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
const PRECONDITION_FAILED: Problem =
    (StatusCode::PRECONDITION_FAILED, "PreconditionFailed", "At least one of the pre-conditions does not hold.");
const ACCESS_DENIED: Problem = (StatusCode::FORBIDDEN, "AccessDenied", "Access denied.");
const UNAUTHORIZED: Problem =
    (StatusCode::UNAUTHORIZED, "AuthenticationRequired", "The token is missing or not valid.");
const INVALID_RANGE: Problem = (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", "The object has no such range.");
const INVALID_ARGUMENT: Problem = (StatusCode::BAD_REQUEST, "InvalidArgument", "A header's value is not a number.");
const FULL: Problem =
    (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", "This server for tests keeps no more bytes in memory.");
const NOT_IMPLEMENTED: Problem =
    (StatusCode::NOT_IMPLEMENTED, "NotImplemented", "This server for tests does not know that request.");

/// Answers a request to Google Cloud Storage.
pub(super) fn answer(shared: &Shared, request: Received) -> Reply {
    let head = request.method == Method::HEAD;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let reply = admit(shared, &request).and_then(|settings| match (&request.method, key.is_empty()) {
        (&Method::GET, true) if request.query.contains_key("lifecycle") => expiry(&settings),
        (&Method::GET, true) => list(shared, &request),
        (&Method::GET | &Method::HEAD, false) => get(shared, &request),
        (&Method::PUT, false) if request.query.is_empty() => put(shared, request),
        (&Method::DELETE, false) => {
            let found = shared.state().delete(&bucket, &key);
            if found { Ok(empty(StatusCode::NO_CONTENT)) } else { Err(NO_SUCH_KEY) }
        }
        _ => Err(NOT_IMPLEMENTED),
    });
    reply.unwrap_or_else(|problem| refuse(problem, &bucket, &key, head))
}

fn admit(shared: &Shared, request: &Received) -> Result<BucketSettings, Problem> {
    if let Some(expected) = shared.switches.expected() {
        let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        if token != Some(expected.key_id.as_str()) {
            return Err(UNAUTHORIZED);
        }
    }
    let settings = shared.state().buckets.get(&request.bucket).map(|bucket| bucket.settings.clone());
    let settings = settings.ok_or(NO_SUCH_BUCKET)?;
    if settings.denied { Err(ACCESS_DENIED) } else { Ok(settings) }
}

fn put(shared: &Shared, request: Received) -> Result<Reply, Problem> {
    let condition = match request.header("x-goog-if-generation-match") {
        _ if shared.switches.ignore_conditions.load(Ordering::Relaxed) => Condition::Always,
        None => Condition::Always,
        Some("0") => Condition::Absent,
        Some(version) => Condition::Version(version.parse().map_err(|_| INVALID_ARGUMENT)?),
    };
    let written = shared.state().put(&request.bucket, &request.key, request.body, &condition);
    let object = written.map_err(|why| match why {
        Unwritten::NoSuchBucket => NO_SUCH_BUCKET,
        // Unlike S3, a version that was asked for and a missing object are a failed condition.
        Unwritten::NoSuchKey | Unwritten::Precondition => PRECONDITION_FAILED,
        Unwritten::Full => FULL,
    })?;
    let mut reply = empty(StatusCode::OK);
    describe(&mut reply, &object);
    version(&mut reply, &object);
    Ok(reply)
}

fn get(shared: &Shared, request: &Received) -> Result<Reply, Problem> {
    let state = shared.state();
    let object = state.buckets.get(&request.bucket).and_then(|bucket| bucket.get(&request.key));
    let object = object.ok_or(NO_SUCH_KEY)?;
    let range = request.range(object.length).map_err(|()| INVALID_RANGE)?;
    let mut reply = content(object, range.as_ref(), request.method == Method::HEAD);
    version(&mut reply, object);
    Ok(reply)
}

fn version(reply: &mut Reply, object: &Object) {
    set(reply, "x-goog-generation", &object.version.to_string());
}

fn list(shared: &Shared, request: &Received) -> Result<Reply, Problem> {
    let text = |name: &str| request.query.get(name).map(String::as_str);
    if text("list-type") != Some("2") {
        return Err(NOT_IMPLEMENTED);
    }
    let asked = Asked {
        prefix: text("prefix").unwrap_or(""),
        delimiter: text("delimiter"),
        after: text("continuation-token").or(text("start-after")),
        entries_max: text("max-keys").and_then(|text| text.parse().ok()),
    };
    let state = shared.state();
    let bucket = state.buckets.get(&request.bucket).ok_or(NO_SUCH_BUCKET)?;
    Ok(xml(StatusCode::OK, document(&page(bucket, &asked))))
}

/// The rules by which objects expire; without any, the answer is an empty list of rules.
fn expiry(settings: &BucketSettings) -> Result<Reply, Problem> {
    if settings.hides_expiry {
        return Err(ACCESS_DENIED);
    }
    let rule = settings.expiry.as_ref().map_or_else(String::new, |(prefix, days)| {
        format!(
            "<Rule><Action><Delete/></Action><Condition><Age>{days}</Age><MatchesPrefix>{prefix}</MatchesPrefix>\
             </Condition></Rule>"
        )
    });
    Ok(xml(StatusCode::OK, format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>")))
}

#[derive(Serialize)]
#[serde(rename = "Error", rename_all = "PascalCase")]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    details: String,
}

fn refuse((status, code, message): Problem, bucket: &str, key: &str, head: bool) -> Reply {
    let details = format!("{bucket}/{key}");
    if head { empty(status) } else { xml(status, document(&Body { code, message, details })) }
}
