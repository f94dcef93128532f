//! What each fault does, seen from both sides.

use super::*;
use crate::object_server::{BucketSettings, Dialect, ObjectServer};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;

const BUCKET: &str = "b";

fn both() -> (ObjectServer, FaultProxy) {
    let server = ObjectServer::start(vec![BucketSettings::new(BUCKET, Dialect::S3)], 1).expect("a server");
    let proxy = FaultProxy::start(&server.address().to_string(), 7).expect("a proxy");
    (server, proxy)
}

/// Status and body, or `None` if the connection was closed.
async fn ask(proxy: &FaultProxy, method: Method, path: &str, condition: bool, body: &str) -> Option<(u16, String)> {
    // No pool: a client that finds an old connection closed would send again by itself.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let mut request = Request::builder().method(method).uri(format!("{}{path}", proxy.endpoint()));
    if condition {
        request = request.header("if-none-match", "*");
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
    let answer = client.request(request).await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((status, String::from_utf8(body.to_vec()).expect("text")))
}

async fn create(proxy: &FaultProxy, key: &str, fault: Fault) -> Option<u16> {
    let path = format!("/{BUCKET}/{key}");
    proxy.strike_next(Method::PUT, key, fault);
    let answer = ask(proxy, Method::PUT, &path, true, "0123456789").await;
    assert_eq!(proxy.strikes_left(), 0, "{fault:?} was met");
    answer.map(|(status, _)| status)
}

#[tokio::test]
async fn a_proxy_passes_everything_until_it_is_told_otherwise() {
    let (server, proxy) = both();
    assert_eq!(ask(&proxy, Method::PUT, "/b/a%20b", true, "content").await, Some((200, String::new())));
    assert_eq!(server.keys(BUCKET), ["a b"]);
    assert_eq!(ask(&proxy, Method::GET, "/b/a%20b", false, "").await, Some((200, "content".into())));
    assert_eq!(ask(&proxy, Method::HEAD, "/b/a%20b", false, "").await, Some((200, String::new())));
    assert_eq!(ask(&proxy, Method::GET, "/b/none", false, "").await.map(|(status, _)| status), Some(404));
    let counts = proxy.counts();
    assert_eq!((counts.requests, counts.sent, counts.faults()), (4, 4, 0));
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let (server, proxy) = both();
    let here = |key: &str| server.object(BUCKET, key).is_some();
    assert_eq!((create(&proxy, "1", Fault::LoseRequest).await, here("1")), (None, false));
    assert_eq!((create(&proxy, "2", Fault::LoseResponse).await, here("2")), (None, true));
    assert_eq!((create(&proxy, "3", Fault::DelayRequest).await, here("3")), (Some(200), true));
    assert_eq!((create(&proxy, "4", Fault::DelayResponse).await, here("4")), (Some(200), true));
    assert_eq!((create(&proxy, "5", Fault::SlowDown).await, here("5")), (Some(503), false));
    assert_eq!((create(&proxy, "6", Fault::InternalError).await, here("6")), (Some(500), false));
    assert_eq!((create(&proxy, "7", Fault::CutRequest).await, here("7")), (None, false), "half a body is no object");
    let before = proxy.counts().sent;
    let mut answers = Vec::new();
    for number in 0..20 {
        answers.push(create(&proxy, &format!("repeated-{number}"), Fault::RepeatAfter).await);
    }
    assert_eq!(proxy.counts().sent - before, 40);
    // A client that gets the second answer is told that its own object is somebody else's.
    assert!(answers.contains(&Some(200)) && answers.contains(&Some(412)), "{answers:?}");
    assert!(matches!(create(&proxy, "8", Fault::RepeatAtOnce).await, Some(200 | 412)));
    proxy.strike_next(Method::GET, "/b/8", Fault::CutResponse);
    assert_eq!(ask(&proxy, Method::GET, "/b/8", false, "").await, None, "the body ends early");
    assert_eq!(ask(&proxy, Method::GET, "/b/8", false, "").await, Some((200, "0123456789".into())));
}

#[tokio::test]
async fn a_late_request_arrives_after_its_client_has_moved_on() {
    let (server, proxy) = both();
    proxy.set_rates(Rates::NONE.delayed_by(Duration::from_millis(300)), 0);
    for number in 0..5 {
        assert_eq!(create(&proxy, &format!("late-{number}"), Fault::ArriveLate).await, None);
    }
    for _ in 0..500 {
        if server.keys(BUCKET).len() == 5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("only {:?} arrived", server.keys(BUCKET));
}

#[tokio::test]
async fn rates_follow_the_seed_and_end_at_the_bound() {
    let counts_of = || async {
        let (_server, proxy) = both();
        proxy.set_rates(Rates::all(50).delayed_by(Duration::ZERO), 40);
        for number in 0..200 {
            ask(&proxy, Method::PUT, &format!("/b/{number}"), true, "content").await;
        }
        proxy.counts()
    };
    let counts = counts_of().await;
    assert_eq!(counts.faults(), 40, "{counts:?}");
    let kinds = Fault::ALL.into_iter().filter(|fault| counts.of(*fault) > 0).count();
    assert!(kinds > 5, "{counts:?}");
    assert_eq!(counts, counts_of().await, "the same seed, the same faults");
}
