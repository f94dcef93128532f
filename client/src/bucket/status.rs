//! What a store's server answered, beneath the store's own words for it: the HTTP status of an operation's last response.
//!
//! `object_store` folds most failures into one kind of error. Whether a bucket is throttling, and whether a request was answered at
//! all, decides what happens next, so it is noted where the responses pass.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

tokio::task_local! {
    static STATUS: Cell<Option<u16>>;
}

/// Runs an operation and says with which status its last response came, if one came.
pub(crate) async fn watched<T>(operation: impl Future<Output = T>) -> (T, Option<u16>) {
    STATUS
        .scope(Cell::new(None), async {
            let done = operation.await;
            (done, STATUS.with(Cell::get))
        })
        .await
}

/// Connections that note each response's status; to another server, if one is named.
#[derive(Clone, Debug, Default)]
pub(super) struct WatchedConnector {
    /// S3 Express only: the server that stands in for the vendor's own. `object_store` takes the address of a directory bucket's
    /// session server from the bucket's name, whatever the endpoint is.
    pub(super) zonal: Option<ZonalEndpoint>,
    /// The connections that were made last: the store's own, after those for credentials.
    made: Arc<Mutex<Option<HttpClient>>>,
}

impl WatchedConnector {
    pub(super) fn new(zonal: Option<ZonalEndpoint>) -> Self {
        Self { zonal, made: Arc::default() }
    }

    /// The connections of the store that was built with this.
    pub(super) fn client(&self) -> HttpClient {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("a store was built with it")
    }
}

/// A server that stands in for a directory bucket's own, with the bucket in the path.
#[derive(Clone, Debug)]
pub(super) struct ZonalEndpoint {
    /// The bucket.
    pub(super) bucket: String,
    /// The server's URL, without a slash at its end.
    pub(super) endpoint: String,
}

impl HttpConnector for WatchedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let through = ReqwestConnector::default().connect(options)?;
        let client = HttpClient::new(Watched { through, zonal: self.zonal.clone() });
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }
}

#[derive(Debug)]
struct Watched {
    through: HttpClient,
    zonal: Option<ZonalEndpoint>,
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // What an earlier response said (of a session, or of credentials) is not this one's answer.
        let _ = STATUS.try_with(|status| status.set(None));
        if let Some(zonal) = &self.zonal {
            zonal.redirect(&mut request);
        }
        let response = self.through.execute(request).await?;
        let _ = STATUS.try_with(|status| status.set(Some(response.status().as_u16())));
        Ok(response)
    }
}

impl ZonalEndpoint {
    /// Sends what is meant for `https://BUCKET.s3express-ZONE.REGION.amazonaws.com/KEY` to `ENDPOINT/BUCKET/KEY`.
    fn redirect(&self, request: &mut HttpRequest) {
        let uri = request.uri();
        let is_own = uri.host().is_some_and(|host| host.starts_with(&format!("{}.s3express-", self.bucket)));
        if is_own {
            let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
            let there = format!("{}/{}{rest}", self.endpoint, self.bucket);
            *request.uri_mut() = there.parse().expect("an endpoint that was checked, and a path that was one");
        }
    }
}
