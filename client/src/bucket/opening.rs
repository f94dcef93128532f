//! From a bucket's place to its store, with credentials from the environment.

use super::expiry::{Asker, How};
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
/// The region of S3 if nobody names one, as `object_store` has it.
const S3_REGION_DEFAULT: &str = "us-east-1";
/// Google's own server.
const GOOGLE_SERVER: &str = "https://storage.googleapis.com";
/// Why requests that carry no credentials ask for no rules.
const UNSIGNED: &str = "requests to it are not signed, and rules are shown to known people only";

/// A store, and who asks for its expiry rules.
pub(crate) type Asking = (Arc<dyn ObjectStore>, Option<Asker>);

impl BucketPlace {
    /// Opens the bucket: objects' names are below its prefix. Nothing is asked of the server yet. The error names what is
    /// wrong with the place or with the credentials in the environment.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, String> {
        self.open_asking().map(|(store, _)| store)
    }

    /// The same, and who asks for its expiry rules. A directory has none.
    pub(crate) fn open_asking(&self) -> Result<Asking, String> {
        let opened = match self.kind {
            BucketKind::Directory => return Ok((self.open_directory()?, None)),
            BucketKind::S3 | BucketKind::S3Express => self.open_s3(),
            BucketKind::Azure => self.open_azure(),
            BucketKind::Google => self.open_google(),
        };
        let (store, asker) = opened.map_err(|why| format!("{self}: {why}"))?;
        if self.prefix.is_empty() {
            return Ok((store, asker));
        }
        Ok((Arc::new(PrefixStore::new(store, self.prefix.as_str())), asker))
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

    fn open_s3(&self) -> object_store::Result<Asking> {
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
        let setting = |key| builder.get_config_value(&key);
        let region = setting(AmazonS3ConfigKey::Region).unwrap_or_else(|| S3_REGION_DEFAULT.to_owned());
        let unsigned = setting(AmazonS3ConfigKey::SkipSignature).is_some_and(|skips| skips == "true");
        let connector = WatchedConnector::new(zonal);
        let store = builder.with_http_connector(connector.clone()).build()?;
        let (named, server) = (Box::new(store.clone()), self.endpoint.as_ref());
        let how = match server.map(|server| server.trim_end_matches('/').to_owned()) {
            _ if unsigned => How::Hidden(UNSIGNED),
            server if is_express => How::S3Express { store: named, region, server },
            _ => How::S3 { store: named, region },
        };
        Ok((Arc::new(store), Some(Asker { how, client: connector.client() })))
    }

    fn open_azure(&self) -> object_store::Result<Asking> {
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
        let connector = WatchedConnector::default();
        let store = builder.with_http_connector(connector.clone()).build()?;
        let how = How::Hidden("Azure shows a storage account's rules to those who manage it only");
        Ok((Arc::new(store), Some(Asker { how, client: connector.client() })))
    }

    fn open_google(&self) -> object_store::Result<Asking> {
        let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.bucket).with_retry(no_retry());
        for (key, value) in connection_settings() {
            builder = builder.with_config(GoogleConfigKey::Client(key), value);
        }
        if let Some(endpoint) = &self.endpoint {
            let is_plain = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
            builder = builder.with_base_url(endpoint).with_config(is_plain, self.is_plain().to_string());
        }
        let unsigned = builder.get_config_value(&GoogleConfigKey::SkipSignature).is_some_and(|skips| skips == "true");
        let connector = WatchedConnector::default();
        let store = builder.with_http_connector(connector.clone()).build()?;
        let server = self.endpoint.as_deref().unwrap_or(GOOGLE_SERVER).trim_end_matches('/').to_owned();
        let how = if unsigned { How::Hidden(UNSIGNED) } else { How::Google { store: Box::new(store.clone()), server } };
        Ok((Arc::new(store), Some(Asker { how, client: connector.client() })))
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
