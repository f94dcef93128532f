//! Accepting connections and looking after them.

use super::connection::Connection;
use super::receive::Receiver;
use super::world::World;
use crate::shard::ConnectionId;
use futures::future::{Either, select};
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::sleep;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// How long to wait after an accept failed: most likely descriptors ran out, and trying at once would not help.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often stalled connections are looked for.
const STALL_CHECK: Duration = Duration::from_secs(1);

/// How long a connection is silent before its peer is asked whether it is there, how often it is asked again, and how
/// many of these may go unanswered. A client that vanished, its machine with it, never closes its connection.
const KEEPALIVE_IDLE_SECONDS: libc::c_int = 30;
const KEEPALIVE_INTERVAL_SECONDS: libc::c_int = 10;
const KEEPALIVE_PROBES: libc::c_int = 3;

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
    keep_alive(stream).map_err(|why| format!("setting keepalive: {why}"))?;
    stream.peer_addr().map_err(|why| why.to_string())
}

/// Has the kernel find out that the peer is gone: otherwise its connection would count against the shard's for ever (D8).
fn keep_alive(socket: &impl AsRawFd) -> io::Result<()> {
    let options = [
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, KEEPALIVE_PROBES),
    ];
    for (level, option, value) in options {
        let bytes = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: `value` is an int of that many bytes, which the call only reads; the descriptor is open for as long as
        // `socket` is borrowed.
        #[allow(unsafe_code)]
        let answer = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), bytes) };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutorBuilder;

    fn option(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int) -> libc::c_int {
        let mut value: libc::c_int = -1;
        let mut bytes = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: `value` is an int of that many bytes for the call to fill, and outlives it.
        #[allow(unsafe_code)]
        let answer =
            unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut bytes) };
        assert_eq!(answer, 0, "{}", io::Error::last_os_error());
        value
    }

    /// D8: a client that vanished does not take up a connection for ever.
    #[test]
    fn an_accepted_connection_is_kept_alive() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let executor = LocalExecutorBuilder::default().make().expect("an executor");
        let found = executor.run(async move {
            let stream = adopt(listener).accept().await.expect("accepted");
            introduce(&stream).expect("introduced");
            let tcp = [libc::TCP_KEEPIDLE, libc::TCP_KEEPINTVL, libc::TCP_KEEPCNT];
            (
                option(&stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE),
                tcp.map(|name| option(&stream, libc::IPPROTO_TCP, name)),
            )
        });
        drop(client);
        assert_eq!(found, (1, [30, 10, 3]));
    }
}
