//! The request for a bucket's rules, which `object_store` has no call for: signed with its credentials, sent over its connections.

use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpRequest};
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path;
use object_store::signer::Signer;
use std::fmt::Display;
use std::time::Duration;

/// Bytes of rules that are read at most: S3 allows a thousand of them.
const RULES_BYTES_MAX: usize = 4 << 20;

/// Who asks.
pub(crate) struct Asker {
    pub(in crate::bucket) how: How,
    /// `object_store`'s own way to the server.
    pub(in crate::bucket) client: HttpClient,
}

/// In whose language.
pub(crate) enum How {
    S3 {
        store: Box<AmazonS3>,
        region: String,
    },
    /// Rules of directory buckets are asked for at the region's control server, not in a session.
    S3Express {
        store: Box<AmazonS3>,
        region: String,
        server: Option<String>,
    },
    Google {
        store: Box<GoogleCloudStorage>,
        server: String,
    },
    /// Whoever reads and writes objects there cannot see rules.
    Hidden(&'static str),
}

impl Asker {
    /// The rules as the server words them; none if it says that there are none. The error says why they are not known.
    pub(super) async fn ask(&self, bucket: &str) -> Result<Option<String>, String> {
        let mut request = HttpRequest::new(Vec::new().into());
        let url = self.url(bucket).await?;
        *request.uri_mut() = url.parse().map_err(|why| format!("{url}: {why}"))?;
        self.sign(&mut request).await?;
        let response = self.client.execute(request).await.map_err(text)?;
        let status = response.status().as_u16();
        let body = response.into_body().bytes().await.map_err(text)?;
        if body.len() > RULES_BYTES_MAX {
            return Err(format!("{} bytes of rules, {RULES_BYTES_MAX} is the most that is read", body.len()));
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        match status {
            200 => Ok(Some(body)),
            404 if body.contains("NoSuchLifecycleConfiguration") => Ok(None),
            _ => Err(format!(
                "status {status}{}",
                super::rules::code(&body).map_or_else(String::new, |c| format!(", {c}"))
            )),
        }
    }

    async fn url(&self, bucket: &str) -> Result<String, String> {
        match &self.how {
            How::S3 { store, .. } => {
                // It knows where the bucket is; what it signs is another request.
                let get = HttpRequest::new(Vec::new().into()).method().clone();
                let mut url = store.signed_url(get, &Path::default(), Duration::from_mins(1)).await.map_err(text)?;
                url.set_query(Some("lifecycle"));
                Ok(url.into())
            }
            How::S3Express { region, server, .. } => {
                let vendor = || format!("https://s3express-control.{region}.amazonaws.com");
                Ok(format!("{}/{bucket}?lifecycle", server.clone().unwrap_or_else(vendor)))
            }
            How::Google { server, .. } => Ok(format!("{server}/{bucket}?lifecycle")),
            How::Hidden(why) => Err((*why).to_owned()),
        }
    }

    async fn sign(&self, request: &mut HttpRequest) -> Result<(), String> {
        let (store, service, region) = match &self.how {
            How::S3 { store, region } => (store, "s3", region),
            How::S3Express { store, region, .. } => (store, "s3express", region),
            How::Google { store, .. } => {
                let credential = store.credentials().get_credential().await.map_err(text)?;
                let bearer = format!("Bearer {}", credential.bearer).parse().map_err(text)?;
                request.headers_mut().insert("authorization", bearer);
                return Ok(());
            }
            How::Hidden(why) => return Err((*why).to_owned()),
        };
        let credential = store.credentials().get_credential().await.map_err(text)?;
        AwsAuthorizer::new(&credential, service, region).try_authorize(request, None).map_err(text)
    }
}

fn text(why: impl Display) -> String {
    why.to_string()
}
