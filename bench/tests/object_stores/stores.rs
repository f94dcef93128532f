//! Store URLs of buckets on servers of the tests, with a register in a directory.

use super::servers::ours::EXPRESS_BUCKETS;
use super::servers::{REGION, azurite};
use tempfile::TempDir;
use url::form_urlencoded::byte_serialize;

/// A store, and the directories it needs.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) url: String,
    _dir: TempDir,
}

impl Store {
    /// A bucket of a server that speaks S3.
    pub(crate) fn s3(endpoint: &str, bucket: &str) -> Self {
        Self::remote(&format!("s3://{bucket}/logs"), endpoint, &format!("&region={REGION}"))
    }

    /// The same with a smaller window. The end of an unsealed segment is found by asking for every slot of the window, and a server
    /// written in Python or JavaScript answers some hundred requests a second.
    pub(crate) fn for_a_slow_server(self) -> Self {
        Self { url: format!("{}&window_chunks=16", self.url), ..self }
    }

    /// Three directory buckets.
    pub(crate) fn s3_express(endpoint: &str) -> Self {
        let buckets = EXPRESS_BUCKETS.join(",");
        Self::remote(&format!("s3express://{buckets}/logs"), endpoint, &format!("&region={REGION}"))
    }

    /// A container.
    pub(crate) fn azure(endpoint: &str, container: &str) -> Self {
        Self::remote(&format!("az://{container}/logs"), endpoint, &format!("&account={}", azurite::ACCOUNT))
    }

    /// A bucket of Google Cloud Storage.
    pub(crate) fn google(endpoint: &str, bucket: &str) -> Self {
        Self::remote(&format!("gs://{bucket}/logs"), endpoint, "")
    }

    fn remote(place: &str, endpoint: &str, more: &str) -> Self {
        let endpoint: String = byte_serialize(endpoint.as_bytes()).collect();
        Self::with_register(&format!("{place}?endpoint={endpoint}{more}&"), tempfile::tempdir().expect("a directory"))
    }

    fn with_register(place: &str, dir: TempDir) -> Self {
        let register = dir.path().join("register");
        std::fs::create_dir(&register).expect("a directory");
        Self { url: format!("{place}register=dir:{}", register.display()), _dir: dir }
    }

    /// The same store through another server: a proxy in front of it.
    pub(crate) fn through(&self, from: &str, to: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        assert!(self.url.contains(&encoded(from)), "{} is not at {from}", self.url);
        self.url.replace(&encoded(from), &encoded(to))
    }
}
