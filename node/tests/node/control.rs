//! The control plane.

use crate::client::{SEGMENT, log, payload};
use crate::running::Running;
use quarry_node::control::proto::admin_client::AdminClient;
use quarry_node::control::proto::{ListLogsRequest, LogStateRequest, StatisticsRequest, StatusRequest};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("the control plane listens")
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

fn http_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the control plane listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn admin_health_and_metrics_answer_on_one_port() {
    let running = Running::fresh();
    let mut client = running.client();
    for seq in 0..5 {
        client.store(log(1), SEGMENT, seq, &payload(seq, 1000));
    }
    client.store(log(2), SEGMENT, 0, b"another log");
    let control = running.node().addresses().control;
    block_on(async {
        let channel = channel(control).await;
        let mut admin = AdminClient::new(channel.clone());
        let status = admin.status(StatusRequest {}).await.expect("a status").into_inner();
        assert_eq!((status.cluster.as_str(), status.zone.as_str(), status.shards.len()), ("oak", "a", 1));
        assert_eq!(status.shards[0].disk, client.disk.to_string());
        assert_eq!(status.shards[0].port, u32::from(running.address().port()));

        let first =
            admin.list_logs(ListLogsRequest { from: String::new(), logs_max: 1 }).await.expect("logs").into_inner();
        assert_eq!((first.logs.len(), first.next.as_str()), (1, log(2).to_string().as_str()));
        let rest = admin.list_logs(ListLogsRequest { from: first.next, logs_max: 9 }).await.expect("logs").into_inner();
        assert_eq!((rest.logs.len(), rest.next.as_str()), (1, ""));

        let state = admin.log_state(LogStateRequest { log: log(1).to_string() }).await.expect("a log").into_inner();
        let segments = state.log.expect("a log").segments;
        assert_eq!((segments.len(), segments[0].chunks, segments[0].first, segments[0].last), (1, 5, 0, 4));
        let unknown = admin.log_state(LogStateRequest { log: log(9).to_string() }).await.expect_err("unknown");
        assert_eq!(unknown.code(), tonic::Code::NotFound);
        let nonsense = admin.log_state(LogStateRequest { log: "x".into() }).await.expect_err("not an id");
        assert_eq!(nonsense.code(), tonic::Code::InvalidArgument);

        let counted = admin.statistics(StatisticsRequest {}).await.expect("statistics").into_inner();
        assert_eq!((counted.shards[0].puts_stored, counted.shards[0].connections), (6, 1));

        let mut health = HealthClient::new(channel);
        for service in ["", "quarry.admin.v1.Admin"] {
            let request = HealthCheckRequest { service: service.into() };
            let status = health.check(request).await.expect("a status").into_inner().status();
            assert_eq!(status, ServingStatus::Serving, "{service:?}");
        }
    });
    let metrics = http_get(control, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("quarry_puts_stored_total{shard=\"0\"} 6"), "{metrics}");
    assert!(
        http_get(control, "/absent").starts_with("HTTP/1.1 404")
            || http_get(control, "/absent").contains("grpc-status")
    );
}
