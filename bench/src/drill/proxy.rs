//! A connection that can be cut: a TCP proxy in front of a node, which is what the node tells its clients to use.
//!
//! A direction that is cut holds what it has, as a network does that loses every packet and has it sent again: nothing
//! arrives, and nothing says so. When it is whole again everything arrives, late and in order, unless an end has given up
//! meanwhile. The proxy never loses or changes a byte of a connection that lives, because TCP does not either.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Most bytes that a direction holds.
const HELD_BYTES_MAX: usize = 64 << 10;
/// How much later everything arrives on a slow link.
const SLOW: Duration = Duration::from_millis(150);
/// Most connections through one proxy.
const CONNECTIONS_MAX: usize = 1024;

/// What one direction does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    #[default]
    Open,
    Slow,
    Cut,
}

/// What both directions do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) to_node: Way,
    pub(super) to_client: Way,
}

/// See the module. Ends with its last connection when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    ways: watch::Sender<Ways>,
    target: watch::Sender<Option<String>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on loopback, for a node whose address will be known later.
    pub(super) async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (ways, target) = (watch::Sender::new(Ways::default()), watch::Sender::new(None));
        let task = tokio::spawn(serve(listener, ways.subscribe(), target.subscribe()));
        Ok(Self { address, ways, target, task })
    }

    /// `host:port` for clients.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Whom it stands for.
    pub(super) fn stand_for(&self, node: &str) {
        self.target.send_replace(Some(node.to_owned()));
    }

    /// Changes what its directions do, for every connection.
    pub(super) fn set(&self, ways: Ways) {
        self.ways.send_replace(ways);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, ways: watch::Receiver<Ways>, target: watch::Receiver<Option<String>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let node = target.borrow().clone();
                if let Some(node) = node.filter(|_| connections.len() < CONNECTIONS_MAX) {
                    connections.spawn(connect(client, node, ways.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries bytes both ways until either end closes or fails.
async fn connect(client: TcpStream, node: String, ways: watch::Receiver<Ways>) {
    let Ok(node) = TcpStream::connect(node).await else { return };
    let _ = (client.set_nodelay(true), node.set_nodelay(true));
    let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
    // An error of either end is the end of both: dropping the streams says so.
    tokio::select! {
        _ = carry(from_client, to_node, ways.clone(), |ways| ways.to_node) => {}
        _ = carry(from_node, to_client, ways, |ways| ways.to_client) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut ways: watch::Receiver<Ways>,
    way: impl Fn(&Ways) -> Way,
) -> io::Result<()> {
    let mut held = vec![0; HELD_BYTES_MAX];
    loop {
        let bytes = from.read(&mut held).await?;
        if bytes == 0 {
            return Ok(());
        }
        let now = ways.wait_for(|ways| way(ways) != Way::Cut).await.map(|ways| way(&ways)).map_err(io::Error::other)?;
        if now == Way::Slow {
            sleep(SLOW).await;
        }
        to.write_all(&held[..bytes]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, timeout};

    /// A node that sends back what it gets.
    async fn echo(listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.into_split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    }

    async fn says(stream: &mut TcpStream, word: &[u8; 4]) {
        stream.write_all(word).await.unwrap();
    }

    async fn hears<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
        let mut word = [0; N];
        stream.read_exact(&mut word).await.unwrap();
        word
    }

    #[tokio::test]
    async fn a_cut_direction_holds_and_then_gives_everything_in_order() {
        let node = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::listen().await.unwrap();
        proxy.stand_for(&node.local_addr().unwrap().to_string());
        tokio::spawn(echo(node));
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        says(&mut client, b"one ").await;
        assert_eq!(&hears::<4>(&mut client).await, b"one ");
        for cut in [Ways { to_node: Way::Cut, ..Ways::default() }, Ways { to_client: Way::Cut, ..Ways::default() }] {
            proxy.set(cut);
            says(&mut client, b"two ").await;
            assert!(timeout(Duration::from_millis(60), hears::<1>(&mut client)).await.is_err(), "{cut:?}");
            says(&mut client, b"more").await;
            proxy.set(Ways::default());
            assert_eq!(&hears::<8>(&mut client).await, b"two more");
        }
        proxy.set(Ways { to_node: Way::Slow, ..Ways::default() });
        let said_at = Instant::now();
        says(&mut client, b"slow").await;
        assert_eq!(&hears::<4>(&mut client).await, b"slow");
        assert!(said_at.elapsed() >= SLOW);
    }

    #[tokio::test]
    async fn without_a_node_a_connection_is_closed() {
        let proxy = Proxy::listen().await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
