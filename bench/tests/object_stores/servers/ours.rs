//! Our own server for tests, where no installable one speaks the dialect: S3 Express, Google Cloud Storage, and S3 with
//! everything that can go wrong.

use super::moto::client;
use super::{KEY_ID, REGION, SECRET};
use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ClientOptions};
use quarry_bench::object_server::{BucketSettings, Dialect, ObjectServer};

/// Directory buckets, one per zone.
pub(crate) const EXPRESS_BUCKETS: [&str; 3] = ["logs--use1-az1--x-s3", "logs--use1-az2--x-s3", "logs--use1-az3--x-s3"];
/// A service account whose tokens are empty, as `object_store` takes it for servers that ask for none.
pub(crate) const SERVICE_ACCOUNT: &str =
    r#"{"private_key": "none", "private_key_id": "none", "client_email": "nobody", "disable_oauth": true}"#;

/// Starts a server with these buckets of one dialect.
pub(crate) fn start(buckets: &[&str], dialect: Dialect) -> ObjectServer {
    let buckets = buckets.iter().map(|name| BucketSettings::new(name, dialect)).collect();
    ObjectServer::start(buckets, 1).expect("a server")
}

/// `object_store` takes the host of a session's request from the bucket's name; it is sent to our server instead.
#[derive(Debug)]
struct ToOurs {
    endpoint: String,
}

#[derive(Debug)]
struct ThroughToOurs {
    endpoint: String,
    through: HttpClient,
}

impl HttpConnector for ToOurs {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let through = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(ThroughToOurs { endpoint: self.endpoint.clone(), through }))
    }
}

#[async_trait]
impl HttpService for ThroughToOurs {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or("").to_owned();
        if host.ends_with(".amazonaws.com") {
            let path = request.uri().path_and_query().expect("a path").clone();
            request.headers_mut().insert("host", host.parse().expect("a host"));
            *request.uri_mut() = format!("{}{path}", self.endpoint).parse().expect("a URI");
        }
        self.through.execute(request).await
    }
}

pub(crate) fn express(endpoint: &str, bucket: &str) -> AmazonS3 {
    let connector = ToOurs { endpoint: endpoint.to_owned() };
    let builder = AmazonS3Builder::new().with_region(REGION).with_access_key_id(KEY_ID).with_secret_access_key(SECRET);
    let builder = builder.with_bucket_name(bucket).with_endpoint(endpoint).with_s3_express(true);
    let options = ClientOptions::new().with_allow_http(true);
    builder.with_client_options(options).with_http_connector(connector).build().expect("a client")
}

pub(crate) fn google(endpoint: &str, bucket: &str) -> GoogleCloudStorage {
    let builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_base_url(endpoint);
    let is_plain = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
    let builder = builder.with_service_account_key(SERVICE_ACCOUNT).with_config(is_plain, "true");
    builder.build().expect("a client")
}

#[tokio::test]
async fn our_s3_stores_objects() {
    let server = start(&["smoke"], Dialect::S3);
    server.switches().expect(KEY_ID, REGION);
    let store = client(&server.endpoint(), "smoke").build().expect("a client");
    super::smoke::check(&store).await;
    super::smoke::race(&store).await;
}

#[tokio::test]
async fn our_s3_express_stores_objects() {
    let server = start(&EXPRESS_BUCKETS, Dialect::S3Express);
    server.switches().expect(KEY_ID, REGION);
    for bucket in EXPRESS_BUCKETS {
        let store = express(&server.endpoint(), bucket);
        super::smoke::check(&store).await;
        super::smoke::race(&store).await;
    }
}

#[tokio::test]
async fn our_google_cloud_storage_stores_objects() {
    let server = start(&["smoke"], Dialect::Google);
    let store = google(&server.endpoint(), "smoke");
    super::smoke::check(&store).await;
    super::smoke::race(&store).await;
}

/// The check of racing creators can fail: it does where conditions are ignored.
#[tokio::test]
async fn a_store_without_conditions_is_found_out() {
    let server = start(&["smoke"], Dialect::S3);
    server.switches().ignore_conditions.store(true, std::sync::atomic::Ordering::Relaxed);
    let store = client(&server.endpoint(), "smoke").build().expect("a client");
    assert!(super::smoke::slots_won_twice(&store).await > 0);
}
