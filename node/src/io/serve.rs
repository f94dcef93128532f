//! Accepting connections and looking after them.

use super::connection::Connection;
use super::receive::Receiver;
use super::world::World;
use crate::shard::ConnectionId;
use futures::future::{Either, select};
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::sleep;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// How long to wait after an accept failed: most likely descriptors ran out, and trying at once would not help.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often stalled connections are looked for.
const STALL_CHECK: Duration = Duration::from_secs(1);

/// Takes over a socket that listens already. (glommio's own `bind` sets `SO_REUSEPORT`, with which two nodes could
/// listen on one port and share its connections.)
pub(super) fn adopt(listener: std::net::TcpListener) -> TcpListener {
    // SAFETY: the descriptor is a listening TCP socket that nobody else owns any more.
    #[allow(unsafe_code)]
    unsafe {
        TcpListener::from_raw_fd(listener.into_raw_fd())
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(world: Rc<World>, listener: TcpListener) {
    let mut connections = 0;
    loop {
        let accepted = listener.accept().await.map_err(|why| why.to_string());
        match accepted.and_then(|stream| introduce(&stream).map(|peer| (stream, peer))) {
            Ok((stream, peer)) => {
                connections += 1;
                let connection = Rc::new(Connection::new(ConnectionId(connections), peer, stream));
                glommio::spawn_local(serve(world.clone(), connection)).detach();
            }
            Err(why) => {
                tracing::warn!(%why, "could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn introduce(stream: &TcpStream) -> Result<SocketAddr, String> {
    stream.set_nodelay(true).map_err(|why| why.to_string())?;
    stream.peer_addr().map_err(|why| why.to_string())
}

async fn serve(world: Rc<World>, connection: Rc<Connection>) {
    world.add_connection(connection.clone());
    let why = {
        let sending = pin!(connection.send_when_blocked(|| world.now()));
        let receiving = pin!(Receiver::new(&world, &connection).run());
        // Sending comes first: it registers the task as the one to wake.
        match select(sending, receiving).await {
            Either::Left(((), _)) => None,
            Either::Right((Ok(()), _)) => Some(String::from("the client closed the connection")),
            Either::Right((Err(why), _)) => Some(why.to_string()),
        }
    };
    if let Some(why) = why {
        connection.end(why);
    }
    let why = connection.why().unwrap_or_default();
    tracing::info!(peer = %connection.peer, %why, "connection closed");
    connection.output().clear();
    world.remove_connection(connection.id);
}

/// Cuts off peers that keep us waiting, for ever.
pub(super) async fn watch_stalls(world: Rc<World>) {
    loop {
        sleep(STALL_CHECK).await;
        let now = world.now();
        for connection in world.connections() {
            connection.check_stall(now);
        }
    }
}
