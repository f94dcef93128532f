//! The server through plain HTTP: what each dialect answers, good and bad. Through `object_store`, see `tests/object_stores`.

use super::*;
use chrono::{TimeDelta, Utc};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const EXPRESS: &str = "logs--use1-az4--x-s3";
const KEY: &str = "AKIATEST";
const REGION: &str = "us-east-1";

fn server() -> ObjectServer {
    let buckets = [("plain", Dialect::S3), (EXPRESS, Dialect::S3Express), ("google", Dialect::Google)];
    let buckets = buckets.map(|(name, dialect)| BucketSettings::new(name, dialect));
    ObjectServer::start(buckets.to_vec(), 1).expect("a server")
}

/// An answer: status, some header, body.
struct Answer {
    status: u16,
    tag: String,
    version: String,
    region: String,
    body: String,
}

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn ask(server: &ObjectServer, method: &str, path: &str, headers: Headers<'_>, body: &str) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("{}{path}", server.endpoint());
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method")).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    let (tag, version, region) = (header("etag"), header("x-goog-generation"), header("x-amz-bucket-region"));
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    Answer { status, tag, version, region, body: String::from_utf8(body.to_vec()).expect("text") }
}

/// What a request of S3 is signed with.
fn signed(key: &str, region: &str, minutes_ago: i64) -> [(&'static str, String); 2] {
    let date = Utc::now() - TimeDelta::minutes(minutes_ago);
    let day = date.format("%Y%m%d");
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={key}/{day}/{region}/s3/aws4_request, SignedHeaders=host, Signature=00");
    [("authorization", authorization), ("x-amz-date", date.format("%Y%m%dT%H%M%SZ").to_string())]
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn conditions_are_kept_in_every_dialect() {
    let server = server();
    let session = open_session(&server).await;
    let session = [("x-amz-s3session-token", session.as_str())];
    for (path, headers) in [("/plain/a/b%20c", &[] as Headers<'_>), (&format!("/{EXPRESS}/a/b"), &session)] {
        let put = |condition: [(&'static str, String); 1], body: &'static str| {
            let server = &server;
            async move { ask(server, "PUT", path, &[headers, &borrowed(&condition)].concat(), body).await }
        };
        let absent = || [("if-none-match", "*".to_owned())];
        assert_eq!(put([("if-match", "\"x\"".to_owned())], "").await.status, 404, "nothing is there to match");
        let first = put(absent(), "one").await;
        assert_eq!(first.status, 200);
        let again = put(absent(), "two").await;
        assert!(again.status == 412 && again.body.contains("PreconditionFailed"), "{}", again.body);
        let second = put([("if-match", first.tag.clone())], "two").await;
        assert_eq!(second.status, 200);
        assert_eq!(put([("if-match", first.tag)], "three").await.status, 412, "a stale version");
        assert_eq!(ask(&server, "GET", path, headers, "").await.body, "two");
        assert_eq!(ask(&server, "DELETE", path, headers, "").await.status, 204);
        assert_eq!(ask(&server, "GET", path, headers, "").await.status, 404);
        assert_eq!(put(absent(), "four").await.status, 200, "a deleted object is absent");
    }
    assert_eq!(server.keys("plain"), ["a/b c"], "keys are decoded");
    assert_eq!(server.object("plain", "a/b c").as_deref(), Some(b"four".as_slice()));
}

#[tokio::test]
async fn google_compares_versions() {
    let server = server();
    let put = |version: String, body: &'static str| {
        let server = &server;
        async move { ask(server, "PUT", "/google/a", &[("x-goog-if-generation-match", &version)], body).await }
    };
    assert_eq!(put("7".into(), "").await.status, 412, "unlike S3, a missing object is a failed condition");
    let first = put("0".into(), "one").await;
    assert_eq!(first.status, 200);
    assert_eq!(put("0".into(), "two").await.status, 412);
    let second = put(first.version.clone(), "two").await;
    assert_eq!(second.status, 200);
    assert_eq!(put(first.version, "three").await.status, 412);
    let read = ask(&server, "GET", "/google/a", &[], "").await;
    assert_eq!((read.body.as_str(), read.version), ("two", second.version));
    assert_eq!(
        ask(&server, "GET", "/google?lifecycle", &[], "").await.body,
        "<LifecycleConfiguration></LifecycleConfiguration>"
    );
}

#[tokio::test]
async fn a_store_without_conditions_takes_everything() {
    let server = server();
    server.switches().ignore_conditions.store(true, Ordering::Relaxed);
    for body in ["one", "two"] {
        assert_eq!(ask(&server, "PUT", "/plain/a", &[("if-none-match", "*")], body).await.status, 200);
        assert_eq!(ask(&server, "PUT", "/google/a", &[("x-goog-if-generation-match", "0")], body).await.status, 200);
    }
    assert_eq!(ask(&server, "GET", "/plain/a", &[], "").await.body, "two");
}

#[tokio::test]
async fn ranges_and_listings() {
    let server = server();
    for key in ["a/1", "a/2", "a/b/3", "a/b/4", "c"] {
        server.put_object("plain", key, b"0123456789");
        server.put_object(EXPRESS, key, b"0123456789");
    }
    let range = |range: &'static str| {
        let server = &server;
        async move { ask(server, "GET", "/plain/a/1", &[("range", range)], "").await }
    };
    let (middle, end, beyond) = (range("bytes=2-4").await, range("bytes=8-").await, range("bytes=10-12").await);
    assert_eq!((middle.status, middle.body.as_str(), end.body.as_str(), beyond.status), (206, "234", "89", 416));
    assert_eq!(range("bytes=-3").await.body, "789");
    assert_eq!(keys_of(&list_all(&server, "plain", "prefix=a/", &[]).await), ["a/1", "a/2", "a/b/3", "a/b/4"]);
    let session = open_session(&server).await;
    let headers = [("x-amz-s3session-token", session.as_str())];
    let mut backwards = keys_of(&list_all(&server, EXPRESS, "prefix=a/", &headers).await);
    assert_ne!(backwards, ["a/1", "a/2", "a/b/3", "a/b/4"], "a directory bucket promises no order");
    backwards.sort();
    assert_eq!(backwards, ["a/1", "a/2", "a/b/3", "a/b/4"]);
    for (bucket, headers) in [("plain", &[] as Headers<'_>), (EXPRESS, &headers)] {
        let pages = list_all(&server, bucket, "prefix=a/&delimiter=/", headers).await.concat();
        assert_eq!(pages.matches("<Prefix>a/b/</Prefix>").count(), 1, "{pages}");
        assert_eq!(pages.matches("<Contents>").count(), 2, "{pages}");
    }
    let path = format!("/{EXPRESS}?list-type=2&prefix=a/&start-after=a/1");
    assert_eq!(ask(&server, "GET", &path, &headers, "").await.status, 501, "a directory bucket has no start-after");
    let path = format!("/{EXPRESS}?list-type=2&prefix=a");
    assert_eq!(ask(&server, "GET", &path, &headers, "").await.status, 400);
}

/// Every page of a listing, one entry each.
async fn list_all(server: &ObjectServer, bucket: &str, query: &str, headers: Headers<'_>) -> Vec<String> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/{bucket}?list-type=2&max-keys=1&{query}{token}");
        let page = ask(server, "GET", &path, headers, "").await;
        assert_eq!(page.status, 200, "{}", page.body);
        let next = page.body.split("<NextContinuationToken>").nth(1).and_then(|rest| rest.split('<').next());
        let encoded =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let next = next.map(|next| format!("&continuation-token={}", encoded(next)));
        pages.push(page.body.clone());
        match next {
            Some(next) => token = next,
            None => return pages,
        }
    }
}

fn keys_of(pages: &[String]) -> Vec<String> {
    let key = |page: &String| page.split("<Key>").nth(1).and_then(|rest| rest.split('<').next()).map(str::to_owned);
    pages.iter().filter_map(key).collect()
}

#[tokio::test]
async fn many_objects_are_deleted_at_once() {
    let server = server();
    for key in ["a", "b&c", "d"] {
        server.put_object("plain", key, b"x");
    }
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object></Delete>";
    let deleted = ask(&server, "POST", "/plain?delete", &[], body).await;
    assert!(deleted.status == 200 && deleted.body.matches("<Deleted>").count() == 2, "{}", deleted.body);
    assert_eq!(server.keys("plain"), ["d"]);
    assert_eq!(ask(&server, "POST", "/plain?delete", &[], "<Delete/>").await.status, 400);
}

#[tokio::test]
async fn strangers_are_told_why() {
    let server = server();
    server.switches().expect(KEY, REGION);
    server.change("plain", |bucket| bucket.expiry = Some(("logs/".into(), 30)));
    let ask_signed = |path: &'static str, key: &str, region: &str, minutes_ago: i64| {
        let (server, headers) = (&server, signed(key, region, minutes_ago));
        async move { ask(server, "GET", path, &borrowed(&headers), "").await }
    };
    let good = ask_signed("/plain?lifecycle", KEY, REGION, 14).await;
    assert!(good.status == 200 && good.body.contains("<Days>30</Days>"), "{}", good.body);
    assert_eq!(ask_signed("/plain?lifecycle", KEY, REGION, 16).await.body.matches("RequestTimeTooSkewed").count(), 1);
    let stranger = ask_signed("/plain?lifecycle", "AKIAOTHER", REGION, 0).await;
    assert!(stranger.status == 403 && stranger.body.contains("InvalidAccessKeyId"), "{}", stranger.body);
    let elsewhere = ask_signed("/plain?lifecycle", KEY, "eu-west-1", 0).await;
    assert!(elsewhere.status == 400 && elsewhere.body.contains("AuthorizationHeaderMalformed"), "{}", elsewhere.body);
    assert_eq!(elsewhere.region, REGION);
    let missing = ask_signed("/nothing/key", KEY, REGION, 0).await;
    assert!(missing.status == 404 && missing.body.contains("<BucketName>nothing</BucketName>"), "{}", missing.body);
    assert_eq!(ask(&server, "GET", "/plain/a", &[], "").await.status, 403, "nobody");
    server.switches().clock_ahead_secs.store(3600, Ordering::Relaxed);
    assert_eq!(ask_signed("/plain?lifecycle", KEY, REGION, 0).await.status, 403, "the server's clock");
    server.switches().clock_ahead_secs.store(0, Ordering::Relaxed);
    server.change("plain", |bucket| bucket.elsewhere = Some("eu-west-1".into()));
    let moved = ask_signed("/plain/a", KEY, REGION, 0).await;
    assert!(moved.status == 301 && moved.region == "eu-west-1" && moved.body.contains("PermanentRedirect"));
    server.change("plain", |bucket| bucket.denied = true);
    assert!(ask_signed("/plain/a", KEY, REGION, 0).await.body.contains("AccessDenied"));
    assert_eq!(ask(&server, "GET", "/google/a", &[("authorization", "Bearer wrong")], "").await.status, 401);
    assert_eq!(ask(&server, "GET", "/google/a", &[("authorization", &format!("Bearer {KEY}"))], "").await.status, 404);
}

async fn open_session(server: &ObjectServer) -> String {
    let answer = ask(server, "GET", &format!("/{EXPRESS}/?session"), &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.body.split("<SessionToken>").nth(1).and_then(|rest| rest.split('<').next());
    token.expect("a token").to_owned()
}

#[tokio::test]
async fn a_directory_bucket_wants_a_session_that_lasts() {
    let server = server();
    let path = format!("/{EXPRESS}/a");
    let put = |token: &str| {
        let (server, path, token) = (&server, &path, token.to_owned());
        async move { ask(server, "PUT", path, &[("x-amz-s3session-token", &token)], "x").await }
    };
    assert!(ask(&server, "PUT", &path, &[], "x").await.body.contains("AccessDenied"), "without a session");
    let token = open_session(&server).await;
    assert_eq!(put(&token).await.status, 200);
    server.expire_sessions();
    let expired = put(&token).await;
    assert!(expired.status == 400 && expired.body.contains("ExpiredToken"), "{}", expired.body);
    let token = open_session(&server).await;
    server.switches().clock_ahead_secs.store(301, Ordering::Relaxed);
    assert!(put(&token).await.body.contains("ExpiredToken"), "after five minutes");
    assert!(ask(&server, "GET", "/plain/?session", &[], "").await.body.contains("InvalidArgument"));
    // As the vendor's own host names have it.
    let host = format!("{EXPRESS}.s3express-use1-az4.us-east-1.amazonaws.com");
    assert_eq!(ask(&server, "GET", "/?session", &[("host", &host)], "").await.status, 200);
}

#[tokio::test]
async fn answers_are_delayed_each_on_its_own_and_conflicts_can_be_told() {
    const SLOW: Latency = Latency { quantiles: &[(0.0, 150_000), (1.0, 200_000)] };
    let server = server();
    server.change("plain", |bucket| bucket.shape.put = SLOW);
    server.switches().conflict_when_concurrent.store(true, Ordering::Relaxed);
    let begun_at = Instant::now();
    let puts = (0..20).map(|number| {
        let server = &server;
        let path = format!("/plain/{}", number / 2);
        async move { ask(server, "PUT", &path, &[("if-none-match", "*")], "x").await }
    });
    let answers = futures::future::join_all(puts).await;
    assert!(begun_at.elapsed() >= Duration::from_millis(150), "no answer comes before its time");
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(409)), (10, 10), "one of two at a time is a conflict");
    let conflict = answers.iter().find(|answer| answer.status == 409).expect("one");
    assert!(conflict.body.contains("ConditionalRequestConflict"), "{}", conflict.body);
    // Later, the slot is simply taken; the mark of a write does not stay.
    assert_eq!(ask(&server, "PUT", "/plain/0", &[("if-none-match", "*")], "x").await.status, 412);
}
