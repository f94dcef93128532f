//! s3s-fs, an S3 server over a directory: a crate, in this process. It checks signatures. Its conditional creates are not
//! atomic (0.14.1): it looks whether the object is there, then writes it, so of creators at the same moment several win.

use super::moto::client;
use super::{KEY_ID, SECRET};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::net::Ipv4Addr;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Most rounds of races until one slot has two winners; seen in six or more of eight slots of every round.
const RACES_MAX: usize = 100;

/// A running s3s-fs.
#[derive(Debug)]
pub(crate) struct S3sFs {
    endpoint: String,
    serving: JoinHandle<()>,
    _dir: TempDir,
}

impl S3sFs {
    /// Starts one with these buckets, which are directories.
    pub(crate) async fn start(buckets: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for bucket in buckets {
            std::fs::create_dir(dir.path().join(bucket)).expect("a bucket");
        }
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).expect("a file system"));
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
            }
        });
        Self { endpoint, serving, _dir: dir }
    }

    /// Its URL.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for S3sFs {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3s_fs_stores_objects() {
    let server = S3sFs::start(&["smoke"]).await;
    let store = client(server.endpoint(), "smoke").build().expect("a client");
    super::smoke::check(&store).await;
}

/// If this fails, s3s-fs has become fit for logs: then run everything on it that runs on moto, and remove this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3s_fs_lets_several_creators_of_one_slot_win() {
    let server = S3sFs::start(&["smoke"]).await;
    let store = client(server.endpoint(), "smoke").build().expect("a client");
    for _ in 0..RACES_MAX {
        if super::smoke::slots_won_twice(&store).await > 0 {
            return;
        }
    }
    panic!("one winner per slot in {RACES_MAX} rounds of races");
}
