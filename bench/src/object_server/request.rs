//! A request taken apart, and the answers both dialects give in the same form.

use super::object::Object;
use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

/// An answer.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A request whose body has arrived.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) bucket: String,
    /// Empty if it is about the bucket.
    pub(super) key: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<Bytes>,
}

impl Received {
    /// Takes the head of a request apart: `/bucket/key?query`, or `/key?query` of a host that begins with a bucket's name,
    /// which is how sessions of directory buckets are asked for.
    pub(super) fn new(head: Parts, is_directory_bucket: impl Fn(&str) -> bool) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = head.uri.path().trim_start_matches('/');
        let host = head.headers.get("host").and_then(|host| host.to_str().ok()).or_else(|| head.uri.host());
        let of_host = host.and_then(|host| host.split('.').next()).filter(|name| is_directory_bucket(name));
        let (bucket, key) = match of_host {
            Some(bucket) => (bucket.to_owned(), path),
            None => path.split_once('/').map_or_else(|| (decoded(path), ""), |(bucket, key)| (decoded(bucket), key)),
        };
        let key = decoded(key);
        let pairs = head.uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        });
        Self { method: head.method, bucket, key, query: query.collect(), headers: head.headers, body: Vec::new() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bytes of an object that a `Range` header asks for: `None` without one, `Err` if none of them exist.
    pub(super) fn range(&self, length: u64) -> Result<Option<Range<u64>>, ()> {
        let Some(range) = self.header("range").and_then(|range| range.strip_prefix("bytes=")) else { return Ok(None) };
        let Some((from, to)) = range.split_once('-') else { return Ok(None) };
        let range = match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) => from..to.saturating_add(1).min(length),
            (Ok(from), Err(_)) => from..length,
            (Err(_), Ok(last)) => length.saturating_sub(last)..length,
            (Err(_), Err(_)) => return Ok(None),
        };
        if range.is_empty() { Err(()) } else { Ok(Some(range)) }
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Reply::new(Empty::new().boxed_unsync());
    *reply.status_mut() = status;
    reply
}

/// An answer with a body in XML.
pub(super) fn xml(status: StatusCode, body: String) -> Reply {
    let mut reply = Reply::new(Full::new(Bytes::from(body)).boxed_unsync());
    *reply.status_mut() = status;
    set(&mut reply, CONTENT_TYPE.as_str(), "application/xml");
    reply
}

/// Sets a header.
pub(super) fn set(reply: &mut Reply, name: &str, value: &str) {
    let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
    reply.headers_mut().insert(name, value.parse().expect("a header's value is printable"));
}

/// Sets what is told of an object wherever one is answered with.
pub(super) fn describe(reply: &mut Reply, object: &Object) {
    set(reply, ETAG.as_str(), &object.tag);
    set(reply, LAST_MODIFIED.as_str(), &object.modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
}

/// An object, or a range of it, or only what is known of it.
pub(super) fn content(object: &Object, range: Option<&Range<u64>>, head: bool) -> Reply {
    let wanted = range.cloned().unwrap_or(0..object.length);
    let mut reply = if head {
        empty(StatusCode::OK)
    } else {
        let frames = object.slice(wanted.clone()).into_iter().map(|part| Ok(Frame::data(part)));
        Reply::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())).boxed_unsync())
    };
    describe(&mut reply, object);
    set(&mut reply, ACCEPT_RANGES.as_str(), "bytes");
    set(&mut reply, CONTENT_LENGTH.as_str(), &(wanted.end - wanted.start).to_string());
    if range.is_some() {
        *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {}-{}/{}", wanted.start, wanted.end - 1, object.length);
        set(&mut reply, CONTENT_RANGE.as_str(), &range);
    }
    reply
}
