//! The control plane's thread and its port.

use super::admin::Admin;
use super::draining::Draining;
use super::gossip::{ClusterKey, Counters, Gossip, GossipStart};
use super::health;
use super::metrics::{self, Measured};
use super::own;
use super::proto::admin_server::AdminServer;
use super::publishing::Publisher;
use super::shards::Shards;
use axum::Router;
use axum::routing::get;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tonic::service::Routes;

/// How long a node that stops takes to say so to others. If they do not hear it they find out.
const GOOD_BYE: Duration = Duration::from_millis(500);

/// Where a node gossips, and with what.
#[derive(Debug)]
pub(crate) struct GossipSocket {
    pub(crate) socket: UdpSocket,
    /// Where other nodes reach it.
    pub(crate) address: SocketAddr,
    pub(crate) seeds: Vec<String>,
    pub(crate) key: ClusterKey,
}

/// The thread, running.
#[derive(Debug)]
pub(crate) struct ControlThread {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl ControlThread {
    /// Serves the control plane on `listener`, and gossips if told where.
    pub(crate) fn spawn(listener: TcpListener, shards: Shards, gossip: Option<GossipSocket>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            if let Err(why) = runtime.block_on(serve(listener, shards, gossip, stopped)) {
                tracing::error!(%why, "the control plane ended");
            }
        })?;
        Ok(Self { thread, stop })
    }

    /// Stops serving and waits for the thread. Connections that are open are cut.
    pub(crate) fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the control plane panicked");
        }
    }
}

async fn serve(
    listener: TcpListener,
    shards: Shards,
    gossip: Option<GossipSocket>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let draining = Arc::new(Draining::new(shards.facts.data.clone()));
    let publisher = Arc::new(Publisher::new(shards.mailboxes.clone()));
    let members = publisher.subscribe();
    let address = gossip.as_ref().map(|gossip| gossip.address);
    let counters = Arc::new(Counters::default());
    let gossiping = Gossiping::start(&shards, &draining, publisher, Arc::clone(&counters), gossip)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<AdminServer<Admin>>().await;
    tokio::spawn(health::report(shards.failed.clone(), members.clone(), shards.facts.disk, reporter));
    let admin = Admin { shards: shards.clone(), draining, members: members.clone(), gossip: address };
    let grpc = Routes::new(AdminServer::new(admin)).add_service(health).into_axum_router();
    let measured = Measured { shards, members, counters };
    let metrics: Router = Router::new().route("/metrics", get(metrics::serve)).with_state(measured);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let serving = axum::serve(listener, grpc.merge(metrics));
    let served = tokio::select! {
        served = serving => served,
        _ = stopped => Ok(()),
    };
    gossiping.stop().await;
    served
}

/// The task that tells of the members: by gossip, or of this node alone.
struct Gossiping {
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Gossiping {
    fn start(
        shards: &Shards,
        draining: &Draining,
        publisher: Arc<Publisher>,
        counters: Arc<Counters>,
        gossip: Option<GossipSocket>,
    ) -> io::Result<Self> {
        let (own, follow_own) = watch::channel(own::at_start(&shards.facts, draining.is_set()));
        tokio::spawn(own::follow(shards.clone(), draining.subscribe(), own));
        let (stop, stopped) = oneshot::channel();
        let Some(GossipSocket { socket, address, seeds, key }) = gossip else {
            let ended = tokio::spawn(async move {
                tokio::select! {
                    () = own::publish_alone(follow_own, publisher) => {}
                    _ = stopped => {}
                }
            });
            return Ok(Self { stop, ended });
        };
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let cluster = shards.facts.info.cluster.clone();
        let start = GossipStart { socket, address, seeds, key, cluster, own: follow_own, publisher, counters };
        Ok(Self { stop, ended: tokio::spawn(Gossip::new(start).run(stopped)) })
    }

    async fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        if !matches!(tokio::time::timeout(GOOD_BYE, self.ended).await, Ok(Ok(()))) {
            tracing::warn!("gossip ended without a word to the others");
        }
    }
}
