//! Lost, late and repeated requests and answers between a client and each kind of bucket.

use super::own_process;
use super::servers::azurite::Azurite;
use super::servers::moto::Moto;
use super::servers::ours::{self, EXPRESS_BUCKETS};
use super::stores::Store;
use bytes::Bytes;
use futures::TryStreamExt;
use hyper::Method;
use quarry_bench::object_server::Dialect;
use quarry_bench::object_server::fault_proxy::{Fault, FaultProxy, Rates};
use quarry_client::{ChunkStore, LogWriter, OpenOptions, ReadOptions, ReadRange, connect};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What each of two racing writers wants acknowledged.
const ACKNOWLEDGED: usize = 25;
/// Turns after which a writer that makes no progress has hung.
const TURNS_MAX: u64 = 1000;
/// Of a thousand requests, how many meet each fault.
const PER_MILLE: u64 = 12;
/// Most faults of one race.
const FAULTS_MAX: u64 = 400;

/// The store at `endpoint` through a proxy that starts harmless.
async fn through_proxy(store: &Store, endpoint: &str, seed: u64) -> (Arc<dyn ChunkStore>, FaultProxy) {
    let address = endpoint.trim_start_matches("http://").split('/').next().expect("an address");
    let proxy = FaultProxy::start(address, seed).expect("a proxy");
    let url = store.through(&format!("http://{address}"), &proxy.endpoint());
    let connected = connect(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    (connected, proxy)
}

/// Each fault meets the create of a chunk; what was acknowledged is there once, in order, with its own bytes.
async fn ambiguous_creates(store: Store, endpoint: &str) {
    let (connected, proxy) = through_proxy(&store, endpoint, 1).await;
    proxy.set_rates(Rates::NONE.delayed_by(Duration::from_millis(100)), 0);
    let mut writer = connected.open("log", OpenOptions::default()).await.expect("opens").writer;
    let mut acknowledged = BTreeMap::new();
    for (number, fault) in Fault::ALL.into_iter().cycle().take(3 * Fault::ALL.len()).enumerate() {
        let payload = Bytes::from(format!("{number} {fault:?}").repeat(50));
        proxy.strike_next(Method::PUT, "logs", fault);
        match writer.append(payload.clone()).await.expect("taken").await {
            Ok(receipt) => assert!(acknowledged.insert(receipt.seq, payload).is_none(), "{fault:?}: a seq twice"),
            // Nobody took this log over: whatever is not known has to be found out, not given up.
            Err(error) => panic!("{fault:?} at the create of chunk {number}: {error}"),
        }
        assert_eq!(proxy.strikes_left(), 0, "{fault:?} met the create");
        if number % 5 == 4 {
            writer = connected.open("log", OpenOptions::default()).await.expect("opens").writer;
        }
    }
    drop(writer);
    assert_holds(&*connected, &acknowledged).await;
}

/// Two writers take one log from each other while everything goes wrong.
async fn takeover_races(store: Store, endpoint: &str) {
    let (connected, proxy) = through_proxy(&store, endpoint, 2).await;
    proxy.set_rates(Rates::all(PER_MILLE).delayed_by(Duration::from_millis(40)), FAULTS_MAX);
    let writers = ["left", "right"].map(|name| tokio::spawn(write_in_turns(Arc::clone(&connected), name)));
    let mut acknowledged = BTreeMap::new();
    for writer in writers {
        for (seq, payload) in writer.await.expect("a writer") {
            assert!(acknowledged.insert(seq, payload).is_none(), "seq {seq} was acknowledged to both");
        }
    }
    let counts = proxy.counts();
    assert!(counts.faults() > 20, "too little went wrong to mean anything: {counts:?}");
    proxy.set_rates(Rates::NONE, 0);
    assert_holds(&*connected, &acknowledged).await;
}

async fn write_in_turns(store: Arc<dyn ChunkStore>, name: &str) -> BTreeMap<quarry_protocol::ids::ChunkSeq, Bytes> {
    let (mut acknowledged, mut writer) = (BTreeMap::new(), None::<LogWriter>);
    for turn in 0..TURNS_MAX {
        if acknowledged.len() >= ACKNOWLEDGED {
            return acknowledged;
        }
        let Some(current) = &writer else {
            writer = store.open("log", OpenOptions::default()).await.ok().map(|opened| opened.writer);
            continue;
        };
        let payload = Bytes::from(format!("{name} {turn}"));
        let appended = match current.append(payload.clone()).await {
            Ok(pending) => pending.await,
            Err(error) => Err(error),
        };
        match appended {
            Ok(receipt) => _ = acknowledged.insert(receipt.seq, payload),
            Err(_) => writer = None,
        }
    }
    panic!("{name} was acknowledged {} appends in {TURNS_MAX} turns", acknowledged.len());
}

/// A new writer settles the log; then it is dense and holds everything that was acknowledged.
async fn assert_holds(store: &dyn ChunkStore, acknowledged: &BTreeMap<quarry_protocol::ids::ChunkSeq, Bytes>) {
    let settled = store.open("log", OpenOptions::default()).await.expect("opens once all is calm");
    let stream = store.read("log", ReadRange::all(), ReadOptions::default()).await.expect("a stream");
    let chunks: Vec<_> = stream.try_collect().await.expect("all of it");
    let held: BTreeMap<_, _> = chunks.into_iter().map(|chunk| (chunk.seq, chunk.payload)).collect();
    assert_eq!(held.len() as u64, settled.report.next_seq.0, "dense up to the tail");
    for (seq, payload) in acknowledged {
        assert!(held.get(seq) == Some(payload), "seq {seq} was acknowledged, and holds {:?}", held.get(seq));
    }
}

/// Both on a server that `start` makes.
macro_rules! both {
    ($kind:ident, $start:expr, $store:expr) => {
        mod $kind {
            use super::*;

            #[test]
            fn ambiguous_creates() {
                own_process::run(concat!("faults::", stringify!($kind), "::ambiguous_creates"), || async {
                    let server = $start;
                    super::ambiguous_creates($store(&server.endpoint()), &server.endpoint()).await;
                });
            }

            #[test]
            fn takeover_races() {
                own_process::run(concat!("faults::", stringify!($kind), "::takeover_races"), || async {
                    let server = $start;
                    super::takeover_races($store(&server.endpoint()), &server.endpoint()).await;
                });
            }
        }
    };
}

both!(s3, ours::start(&["faults"], Dialect::S3), |endpoint: &str| Store::s3(endpoint, "faults"));
both!(s3_of_moto, Moto::start(&["faults"]).await, |endpoint: &str| Store::s3(endpoint, "faults").for_a_slow_server());
both!(s3_express, ours::start(&EXPRESS_BUCKETS, Dialect::S3Express), Store::s3_express);
both!(azure, Azurite::start(&["faults"]).await, |endpoint: &str| {
    Store::azure(endpoint, "faults").for_a_slow_server()
});
both!(google, ours::start(&["faults"], Dialect::Google), |endpoint: &str| Store::google(endpoint, "faults"));
