//! The control plane's thread and its port.

use super::admin::Admin;
use super::metrics;
use super::proto::admin_server::AdminServer;
use super::shards::Shards;
use axum::Router;
use axum::routing::get;
use std::io;
use std::net::TcpListener;
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The thread, running.
#[derive(Debug)]
pub(crate) struct ControlThread {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl ControlThread {
    /// Serves the control plane on `listener`.
    pub(crate) fn spawn(listener: TcpListener, shards: Shards) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            if let Err(why) = runtime.block_on(serve(listener, shards, stopped)) {
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

async fn serve(listener: TcpListener, shards: Shards, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::Serving).await;
    reporter.set_serving::<AdminServer<Admin>>().await;
    for failed in shards.failed.clone() {
        tokio::spawn(watch_disk(failed, reporter.clone()));
    }
    let admin = AdminServer::new(Admin { shards: shards.clone() });
    let grpc = Routes::new(admin).add_service(health).into_axum_router();
    let metrics: Router = Router::new().route("/metrics", get(metrics::serve)).with_state(shards);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let serving = axum::serve(listener, grpc.merge(metrics));
    tokio::select! {
        served = serving => served,
        _ = stopped => Ok(()),
    }
}

/// The node as a whole does not serve once a shard's disk has failed.
async fn watch_disk(mut failed: watch::Receiver<Option<String>>, reporter: HealthReporter) {
    if failed.wait_for(Option::is_some).await.is_ok() {
        reporter.set_service_status("", ServingStatus::NotServing).await;
    }
}
