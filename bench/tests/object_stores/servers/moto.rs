//! moto's S3 server: a process of its own, from the Python package index.

use super::child::ServerProcess;
use super::{KEY_ID, REGION, SECRET};
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};

/// A running moto.
#[derive(Debug)]
pub(crate) struct Moto {
    process: ServerProcess,
}

impl Moto {
    /// Starts one with these buckets.
    pub(crate) async fn start(buckets: &[&str]) -> Self {
        let process = ServerProcess::start("moto/bin/moto_server", &["-H", "127.0.0.1", "-p", "0"], "Running on");
        let moto = Self { process };
        for bucket in buckets {
            super::smoke::make_bucket(&moto.endpoint(), bucket).await;
        }
        moto
    }

    /// Its URL.
    pub(crate) fn endpoint(&self) -> String {
        self.process.endpoint.clone()
    }
}

/// A client of any S3 server, as `object_store` makes it.
pub(crate) fn client(endpoint: &str, bucket: &str) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_region(REGION)
        .with_bucket_name(bucket)
        .with_access_key_id(KEY_ID)
        .with_secret_access_key(SECRET)
        .with_client_options(ClientOptions::new().with_allow_http(true))
}

#[tokio::test]
async fn moto_stores_objects() {
    let moto = Moto::start(&["smoke"]).await;
    let store: AmazonS3 = client(&moto.endpoint(), "smoke").build().expect("a client");
    super::smoke::check(&store).await;
    super::smoke::race(&store).await;
}
