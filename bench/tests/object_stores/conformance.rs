//! The public conformance suite of `ChunkStore`, unchanged, on every kind of bucket that has a server; on directories it runs in
//! `client/tests/bucket_conformance.rs`.

use super::own_process;
use super::servers::azurite::Azurite;
use super::servers::moto::Moto;
use super::servers::ours::{self, EXPRESS_BUCKETS};
use super::stores::Store;
use quarry_bench::object_server::Dialect;
use quarry_client::{conformance, connect};
use std::sync::Arc;

async fn check(store: Store) {
    let connected = connect(&store.url).await.unwrap_or_else(|error| panic!("{}: {error}", store.url));
    conformance::run(connected).await;
}

/// Moto is one Python process, which takes minutes for all cases: those are for `make test-long`, which sets `TEST_LONG`. Each third
/// one meets everything that a server can do differently.
#[test]
fn s3_on_moto() {
    own_process::run("conformance::s3_on_moto", || async {
        let moto = Moto::start(&["conformance"]).await;
        let store = Store::s3(&moto.endpoint(), "conformance").for_a_slow_server();
        let connected = connect(&store.url).await.unwrap_or_else(|error| panic!("{}: {error}", store.url));
        let step = if std::env::var_os("TEST_LONG").is_some() { 1 } else { 3 };
        for case in conformance::cases().into_iter().step_by(step) {
            case.run(Arc::clone(&connected)).await;
        }
    });
}

#[test]
fn s3_on_our_server() {
    own_process::run("conformance::s3_on_our_server", || async {
        let server = ours::start(&["conformance"], Dialect::S3);
        check(Store::s3(&server.endpoint(), "conformance")).await;
    });
}

#[test]
fn s3_express_in_three_zones() {
    own_process::run("conformance::s3_express_in_three_zones", || async {
        let server = ours::start(&EXPRESS_BUCKETS, Dialect::S3Express);
        check(Store::s3_express(&server.endpoint())).await;
    });
}

#[test]
fn azure_on_azurite() {
    own_process::run("conformance::azure_on_azurite", || async {
        let azurite = Azurite::start(&["conformance"]).await;
        check(Store::azure(&azurite.endpoint(), "conformance").for_a_slow_server()).await;
    });
}

#[test]
fn google_cloud_storage() {
    own_process::run("conformance::google_cloud_storage", || async {
        let server = ours::start(&["conformance"], Dialect::Google);
        check(Store::google(&server.endpoint(), "conformance")).await;
    });
}
