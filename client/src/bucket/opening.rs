//! From a bucket's place to its store, with credentials from the environment.

use super::place::{BucketKind, BucketPlace};
use super::status::{WatchedConnector, ZonalEndpoint};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection to a store may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one HTTP request may take, credentials included.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections kept per server: as many as a machine has operations in flight, so that a full pipeline never waits for a
/// handshake.
const IDLE_CONNECTIONS_MAX: usize = 128;

impl BucketPlace {
    /// Opens the bucket: objects' names are below its prefix. Nothing is asked of the server yet. The error names what is
    /// wrong with the place or with the credentials in the environment.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, String> {
        let opened = match self.kind {
            BucketKind::Directory => return self.open_directory(),
            BucketKind::S3 | BucketKind::S3Express => self.open_s3(),
            BucketKind::Azure => self.open_azure(),
            BucketKind::Google => self.open_google(),
        };
        let store = opened.map_err(|why| format!("{self}: {why}"))?;
        if self.prefix.is_empty() { Ok(store) } else { Ok(Arc::new(PrefixStore::new(store, self.prefix.as_str()))) }
    }

    fn open_directory(&self) -> Result<Arc<dyn ObjectStore>, String> {
        let path = self.directory().expect("is one");
        if !path.is_dir() {
            return Err(format!(
                "{self}: there is no such directory: mount its disk, or make it with: mkdir -p {}",
                path.display()
            ));
        }
        let opened = LocalFileSystem::new_with_prefix(&path).map_err(|why| format!("{self}: {why}"))?;
        // Without it nothing would be durable (P4).
        Ok(Arc::new(opened.with_fsync(true)))
    }

    fn open_s3(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        let is_express = self.kind == BucketKind::S3Express;
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.bucket)
            .with_s3_express(is_express)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            // Over TLS nothing is changed on the way, and hashing each payload again costs more than the rest of a put.
            .with_unsigned_payload(!self.is_plain())
            .with_retry(no_retry());
        for (key, value) in connection_settings() {
            builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(self.is_plain());
        }
        let zonal = self.endpoint.as_ref().filter(|_| is_express);
        let bucket = self.bucket.clone();
        let zonal = zonal.map(|at| ZonalEndpoint { bucket, endpoint: at.trim_end_matches('/').to_owned() });
        Ok(Arc::new(builder.with_http_connector(WatchedConnector { zonal }).build()?))
    }

    fn open_azure(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(&self.bucket).with_retry(no_retry());
        for (key, value) in connection_settings() {
            builder = builder.with_config(AzureConfigKey::Client(key), value);
        }
        if let Some(account) = &self.account {
            builder = builder.with_account(account);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone()).with_allow_http(self.is_plain());
        }
        Ok(Arc::new(builder.with_http_connector(WatchedConnector::default()).build()?))
    }

    fn open_google(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.bucket).with_retry(no_retry());
        for (key, value) in connection_settings() {
            builder = builder.with_config(GoogleConfigKey::Client(key), value);
        }
        if let Some(endpoint) = &self.endpoint {
            let is_plain = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
            builder = builder.with_base_url(endpoint).with_config(is_plain, self.is_plain().to_string());
        }
        Ok(Arc::new(builder.with_http_connector(WatchedConnector::default()).build()?))
    }

    /// Whether its server is talked to without TLS.
    fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

/// Set one by one: what else the environment says of connections (a proxy, plain HTTP) stays.
fn connection_settings() -> [(ClientConfigKey, String); 3] {
    let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
    [
        (ClientConfigKey::ConnectTimeout, milliseconds(CONNECT_TIMEOUT)),
        (ClientConfigKey::Timeout, milliseconds(REQUEST_TIMEOUT)),
        (ClientConfigKey::PoolMaxIdlePerHost, IDLE_CONNECTIONS_MAX.to_string()),
    ]
}

/// One request for one operation. Ten attempts over three minutes, the library's own measure, would hide a dead bucket from a
/// quorum for that long; and whoever tries a create again has to read back what the first attempt left.
fn no_retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: REQUEST_TIMEOUT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_to_be_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("file://{}/missing", dir.path().display());
        let why = BucketPlace::parse(&url).expect("parses").open().expect_err("is not there");
        assert!(why.contains("mkdir -p") && why.contains("missing"), "{why}");
        let url = format!("file://{}", dir.path().display());
        assert!(BucketPlace::parse(&url).expect("parses").open().is_ok());
    }
}
