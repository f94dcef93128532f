//! Something between a client and etcd that can swallow what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Default)]
struct Shared {
    losing: AtomicBool,
    connections: AtomicU64,
}

/// One proxy, gone with this.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let (server, passed) = (server.to_owned(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let mut pairs = tokio::task::JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                passed.connections.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(&server).await.unwrap();
                pairs.spawn(pass(client, server, Arc::clone(&passed)));
            }
        });
        Self { endpoint, shared, task: Some(task) }
    }

    /// From now on the first byte that comes back ends the connection instead of passing.
    pub(crate) fn lose_answers(&self, lose: bool) {
        self.shared.losing.store(lose, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Ends every connection and takes no more.
    pub(crate) fn stop(&mut self) {
        self.task.take().unwrap().abort();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn pass(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let onward = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let back = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_server.read(&mut buffer).await?;
            // What etcd says before it has answered (settings, windows) is short; an answer with its header is not.
            let is_answer = read > 60;
            if read == 0 || (is_answer && shared.losing.load(Ordering::Relaxed)) {
                return std::io::Result::Ok(());
            }
            to_client.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        _ = onward => (),
        _ = back => (),
    }
}
