//! The register in a bucket, against every server whose creates and overwrites are one step: its whole conformance suite. s3s-fs
//! is not among them, since it lets several creators of one object win.

use crate::servers::azurite::Azurite;
use crate::servers::moto::{self, Moto};
use crate::servers::ours;
use crate::servers::{KEY_ID, REGION};
use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};
use quarry_bench::object_server::Dialect;
use quarry_client::register::{ObjectRegister, RegisterError, conformance};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Under a prefix, as a store's URL may name one.
async fn conforms(store: impl ObjectStore) {
    let store = Arc::new(PrefixStore::new(store, "a/b"));
    let register = ObjectRegister::open(store, "the bucket").await.expect("opens");
    conformance::run(Arc::new(register), "conformance/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_in_moto_conforms() {
    let moto = Moto::start(&["register"]).await;
    conforms(moto::client(&moto.endpoint(), "register").with_retry(once()).build().expect("a client")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_in_azurite_conforms() {
    let azurite = Azurite::start(&["register"]).await;
    conforms(azurite.client("register")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_in_our_servers_conforms() {
    let s3 = ours::start(&["register"], Dialect::S3);
    conforms(moto::client(&s3.endpoint(), "register").with_retry(once()).build().expect("a client")).await;
    let express = ours::start(&["register--use1-az1--x-s3"], Dialect::S3Express);
    conforms(ours::express(&express.endpoint(), "register--use1-az1--x-s3")).await;
    let google = ours::start(&["register"], Dialect::Google);
    conforms(ours::google(&google.endpoint(), "register")).await;
}

/// S3 refuses one of two conditional writes that meet, without looking at its condition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_conforms_where_writes_that_meet_are_refused() {
    let s3 = ours::start(&["register"], Dialect::S3);
    s3.switches().conflict_when_concurrent.store(true, Ordering::Relaxed);
    conforms(moto::client(&s3.endpoint(), "register").with_retry(once()).build().expect("a client")).await;
}

async fn refused(client: AmazonS3Builder) -> String {
    let store = Arc::new(client.with_retry(once()).build().expect("a client"));
    match ObjectRegister::open(store, "s3://register").await {
        Err(RegisterError::Unusable { register, why } | RegisterError::Failed { register, why }) => {
            assert_eq!(register, "s3://register");
            why
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_place_for_a_register_is_refused() {
    let s3 = ours::start(&["register"], Dialect::S3);
    s3.switches().expect(KEY_ID, REGION);
    let client = |bucket| moto::client(&s3.endpoint(), bucket);
    for (client, words) in [
        (client("nowhere"), ["make the bucket", "register/"]),
        (client("register").with_access_key_id("AKIASOMEBODY"), ["credentials", "register/"]),
        (client("register").with_region("elsewhere-1"), ["region", "register/"]),
    ] {
        let why = refused(client).await;
        assert!(words.iter().all(|word| why.contains(word)), "{why}");
    }
    s3.switches().ignore_conditions.store(true, Ordering::Relaxed);
    let why = refused(client("register")).await;
    assert!(why.contains("conditional writes"), "{why}");
    s3.switches().ignore_conditions.store(false, Ordering::Relaxed);
    let store = client("register").with_retry(once()).build().expect("a client");
    ObjectRegister::open(Arc::new(store), "s3://register").await.expect("opens");
}

/// As the bucket's own opening asks for.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}
