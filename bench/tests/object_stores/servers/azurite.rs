//! Azurite, the Azure storage emulator: a process of its own, from npm.

use super::child::ServerProcess;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request};
use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpConnector, HttpRequestBody, ReqwestConnector};

/// The account that every Azurite has.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
/// Its key, as Azurite's documentation gives it: the same everywhere, so no secret.
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running Azurite.
#[derive(Debug)]
pub(crate) struct Azurite {
    process: ServerProcess,
}

impl Azurite {
    /// Starts one with these containers. Nothing is kept on disk, and nothing is reported to anybody.
    pub(crate) async fn start(containers: &[&str]) -> Self {
        let arguments =
            ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--silent", "--disableTelemetry"];
        let program = "azurite/node_modules/.bin/azurite-blob";
        let arguments = [&arguments[..], &["--skipApiVersionCheck"]].concat();
        let azurite = Self { process: ServerProcess::start(program, &arguments, "successfully listens") };
        for container in containers {
            azurite.make_container(container).await;
        }
        azurite
    }

    /// Its URL, the account included.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.process.endpoint)
    }

    /// A client of it, as `object_store` makes it.
    pub(crate) fn client(&self, container: &str) -> MicrosoftAzure {
        MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(KEY)
            .with_container_name(container)
            .with_endpoint(self.endpoint())
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build()
            .expect("a client")
    }

    /// `object_store` makes no containers: the request is made by hand, and signed by it.
    async fn make_container(&self, container: &str) {
        let uri = format!("{}/{container}?restype=container", self.endpoint());
        let request = Request::builder().method(Method::PUT).uri(uri).header(CONTENT_LENGTH, 0);
        let mut request = request.body(HttpRequestBody::empty()).expect("a request");
        let key = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).expect("a key"));
        AzureAuthorizer::new(&key, ACCOUNT).try_authorize(&mut request).expect("signed");
        let options = ClientOptions::new().with_allow_http(true);
        let client = ReqwestConnector::default().connect(&options).expect("a client");
        let status = client.execute(request).await.expect("Azurite answers").status();
        assert_eq!(status, 201, "making container {container} of Azurite");
    }
}

#[tokio::test]
async fn azurite_stores_objects() {
    let azurite = Azurite::start(&["smoke"]).await;
    let store = azurite.client("smoke");
    super::smoke::check(&store).await;
    super::smoke::race(&store).await;
}
