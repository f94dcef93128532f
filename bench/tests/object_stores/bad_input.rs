//! What is wrong with a bucket, or with what is in it, is said in an error that names the bucket and the cause; nothing is lost
//! and nothing hangs.

use super::own_process;
use super::servers::ours::{self, EXPRESS_BUCKETS};
use super::servers::s3s::S3sFs;
use super::servers::{KEY_ID, REGION};
use super::stores::Store;
use bytes::Bytes;
use futures::TryStreamExt;
use quarry_bench::object_server::fault_proxy::{Fault, FaultProxy, Rates};
use quarry_bench::object_server::{Dialect, ObjectServer};
use quarry_client::{ChunkStore, OpenOptions, ReadOptions, ReadRange, connect};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What takes longer hangs.
const HANGS: Duration = Duration::from_mins(2);
/// Most connects until a store that is unfit is found out.
const CONNECTS_MAX: usize = 20;
/// The bucket of these tests.
const BUCKET: &str = "bad-input";

async fn ends<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS, future).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// That connecting fails, with these words.
async fn refused(url: &str, words: &[&str]) {
    let said = match ends("connecting", connect(url)).await {
        Ok(_) => panic!("{url} is taken"),
        Err(error) => error.to_string(),
    };
    for word in words {
        assert!(said.contains(word), "the error does not name {word:?}: {said}");
    }
}

fn server() -> (ObjectServer, Store) {
    let server = ours::start(&[BUCKET], Dialect::S3);
    let store = Store::s3(&server.endpoint(), BUCKET);
    (server, store)
}

#[test]
fn a_store_that_lets_nobody_in_says_why() {
    own_process::run("bad_input::a_store_that_lets_nobody_in_says_why", || async {
        let (server, store) = server();
        let bucket = format!("s3://{BUCKET}");
        server.switches().expect(KEY_ID, "eu-west-1");
        refused(&store.url, &[&bucket, "AuthorizationHeaderMalformed", "region"]).await;
        server.switches().expect("somebody else", REGION);
        refused(&store.url, &[&bucket, "InvalidAccessKeyId", "credentials"]).await;
        server.switches().expect(KEY_ID, REGION);
        server.switches().clock_ahead_secs.store(3600, Ordering::Relaxed);
        refused(&store.url, &[&bucket, "RequestTimeTooSkewed", "clock"]).await;
        server.switches().clock_ahead_secs.store(0, Ordering::Relaxed);
        server.change(BUCKET, |bucket| bucket.elsewhere = Some("eu-west-1".into()));
        refused(&store.url, &[&bucket, "correct the region"]).await;
        server.change(BUCKET, |bucket| (bucket.elsewhere, bucket.denied) = (None, true));
        refused(&store.url, &[&bucket, "AccessDenied", "identity"]).await;
        server.change(BUCKET, |bucket| bucket.denied = false);
        refused(&store.url.replace(BUCKET, "missing"), &["s3://missing", "NoSuchBucket"]).await;
        server.switches().ignore_conditions.store(true, Ordering::Relaxed);
        refused(&store.url, &[&bucket, "conditional creates"]).await;
        server.switches().ignore_conditions.store(false, Ordering::Relaxed);
        assert!(connect(&store.url).await.is_ok(), "everything is right again");
    });
}

#[test]
fn a_bucket_of_the_wrong_kind_is_told_apart_by_its_name() {
    own_process::run("bad_input::a_bucket_of_the_wrong_kind_is_told_apart_by_its_name", || async {
        let directory = EXPRESS_BUCKETS[0];
        refused(&format!("s3://{directory}?register=dir:/tmp"), &[directory, "s3express://"]).await;
        refused("s3express://plain?register=dir:/tmp", &["plain", "--x-s3"]).await;
        // A general purpose bucket under a directory bucket's name: it opens no sessions.
        let server = ours::start(&EXPRESS_BUCKETS, Dialect::S3);
        let store = Store::s3_express(&server.endpoint());
        refused(&store.url, &[directory, "InvalidArgument"]).await;
    });
}

async fn append_all(store: &dyn ChunkStore, chunks: std::ops::Range<u64>) {
    let writer = store.open("log", OpenOptions::default()).await.expect("opens").writer;
    for number in chunks {
        let pending = writer.append(Bytes::from(number.to_string())).await.expect("taken");
        pending.await.unwrap_or_else(|error| panic!("append {number}: {error}"));
    }
}

async fn read_all(store: &dyn ChunkStore) -> Result<Vec<Bytes>, String> {
    let stream = store.read("log", ReadRange::all(), ReadOptions::default()).await.map_err(|why| why.to_string())?;
    stream.map_ok(|chunk| chunk.payload).try_collect().await.map_err(|why| why.to_string())
}

fn numbers(chunks: std::ops::Range<u64>) -> Vec<Bytes> {
    chunks.map(|number| Bytes::from(number.to_string())).collect()
}

#[test]
fn an_expired_session_stops_a_writer_and_loses_nothing() {
    own_process::run("bad_input::an_expired_session_stops_a_writer_and_loses_nothing", || async {
        let server = ours::start(&EXPRESS_BUCKETS, Dialect::S3Express);
        let store = Store::s3_express(&server.endpoint());
        let connected = connect(&store.url).await.expect("connects");
        append_all(&*connected, 0..10).await;
        let writer = connected.open("log", OpenOptions::default()).await.expect("opens").writer;
        server.expire_sessions();
        let said = match ends("an append", async { writer.append(Bytes::from_static(b"late")).await?.await }).await {
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        // Either the client opened a new session by itself, or it says what is wrong.
        assert!(said.as_ref().is_none_or(|said| said.contains("ExpiredToken")), "{said:?}");
        let again = connect(&store.url).await.expect("a new session");
        append_all(&*again, 10..12).await;
        let held = read_all(&*again).await.expect("reads");
        assert_eq!(held[..10], numbers(0..10), "nothing that was acknowledged is lost");
    });
}

#[test]
fn throttling_is_waited_out_and_reported_when_it_does_not_end() {
    own_process::run("bad_input::throttling_is_waited_out_and_reported_when_it_does_not_end", || async {
        let (server, store) = server();
        let proxy = FaultProxy::start(&server.address().to_string(), 3).expect("a proxy");
        let url = store.through(&server.endpoint(), &proxy.endpoint());
        let connected = connect(&url).await.expect("connects");
        append_all(&*connected, 0..5).await;
        proxy.set_rates(Rates::NONE.with(Fault::SlowDown, 400), 60);
        ends("appends to a throttling store", append_all(&*connected, 5..25)).await;
        assert!(proxy.counts().of(Fault::SlowDown) > 5, "{:?}", proxy.counts());
        proxy.set_rates(Rates::NONE, 0);
        let writer = connected.open("log", OpenOptions::default()).await.expect("opens").writer;
        proxy.set_rates(Rates::NONE.with(Fault::SlowDown, 1000), u64::MAX);
        let failed = ends("an append that is never let through", async {
            writer.append(Bytes::from_static(b"never")).await?.await.map(drop)
        });
        let said = failed.await.expect_err("it cannot be stored").to_string();
        assert!(said.contains("SlowDown") && said.contains(BUCKET), "{said}");
        proxy.set_rates(Rates::NONE, 0);
        drop(writer);
        append_all(&*connected, 25..26).await;
        assert_eq!(read_all(&*connected).await.expect("reads")[..25], numbers(0..25));
    });
}

/// The key of the slot that follows the newest.
fn next_slot(server: &ObjectServer) -> String {
    let slots = server.keys(BUCKET).into_iter().filter(|key| key.matches('/').count() >= 3 && !key.contains("probe"));
    let newest = slots.max().expect("a slot");
    let (dir, seq) = newest.rsplit_once('/').expect("a path");
    let next = seq.parse::<u64>().unwrap_or_else(|_| panic!("{newest}: its last part is a seq")) + 1;
    format!("{dir}/{next:0width$}", width = seq.len())
}

#[test]
fn somebody_elses_object_at_a_slot_is_named_and_left_alone() {
    own_process::run("bad_input::somebody_elses_object_at_a_slot_is_named_and_left_alone", || async {
        let (server, store) = server();
        let connected = connect(&store.url).await.expect("connects");
        let writer = connected.open("log", OpenOptions::default()).await.expect("opens").writer;
        for number in 0..5 {
            writer.append(Bytes::from(format!("{number}"))).await.expect("taken").await.expect("committed");
        }
        let slot = next_slot(&server);
        server.put_object(BUCKET, &slot, b"holiday.jpg");
        let appended =
            ends("an append to a taken slot", async { writer.append(Bytes::from_static(b"5")).await?.await.map(drop) });
        let said = appended.await.expect_err("the slot is taken").to_string();
        let key = slot.trim_start_matches("logs/");
        assert!(said.contains(BUCKET) && said.contains(key), "the error names {slot}: {said}");
        assert_eq!(server.object(BUCKET, &slot).as_deref(), Some(b"holiday.jpg".as_slice()), "not overwritten");
        drop(writer);
        assert!(server.remove_object(BUCKET, &slot));
        append_all(&*connected, 5..6).await;
        assert_eq!(read_all(&*connected).await.expect("reads")[..5], numbers(0..5));
    });
}

#[test]
fn a_half_deleted_log_says_so() {
    own_process::run("bad_input::a_half_deleted_log_says_so", || async {
        let (server, store) = server();
        let connected: Arc<dyn ChunkStore> = connect(&store.url).await.expect("connects");
        append_all(&*connected, 0..10).await;
        drop(connected.open("log", OpenOptions::default()).await.expect("opens"));
        let gone: Vec<_> = server.keys(BUCKET).into_iter().filter(|key| key.ends_with('4')).collect();
        assert!(!gone.is_empty(), "{:?}", server.keys(BUCKET));
        for key in gone {
            server.remove_object(BUCKET, &key);
        }
        let said = ends("reading a log with a hole", read_all(&*connected)).await.expect_err("chunk 4 is gone");
        assert!(said.contains('4') && said.contains(BUCKET), "{said}");
    });
}

/// A store whose conditional creates are not atomic is found out: of creates at the same moment several win there, nearly always.
#[test]
fn a_store_that_lets_several_creators_win_is_refused() {
    own_process::run("bad_input::a_store_that_lets_several_creators_win_is_refused", || async {
        let server = S3sFs::start(&[BUCKET]).await;
        let store = Store::s3(server.endpoint(), BUCKET);
        for _ in 0..CONNECTS_MAX {
            if let Err(error) = ends("connecting", connect(&store.url)).await {
                let said = error.to_string();
                assert!(said.contains(BUCKET) && said.contains("several clients create the same object"), "{said}");
                return;
            }
        }
        panic!("it was taken {CONNECTS_MAX} times");
    });
}
