//! Ports for nodes of a local cluster. Not left to the system: a node must get its port again after it was killed, and a
//! port from the system's own range may be some connection's by then.

use quarry_protocol::limits::SHARDS_MAX;
use std::net::{Ipv4Addr, TcpListener};

/// First port considered; the last one lies below where Linux takes ports for connections from (32768).
const FIRST: usize = 10_240;
/// Ports from one candidate to the next: shards take the first half, the control plane the first of the second half.
const STEP: usize = 2 * SHARDS_MAX;
/// How many candidates there are.
const CANDIDATES: usize = (32_768 - FIRST) / STEP;
/// Nodes of one cluster that never consider the same candidate: all ports are chosen before any is taken.
const NODES: usize = 8;
const _: () = assert!(CANDIDATES.is_multiple_of(NODES));

/// An address with free ports for a node's shards and its control plane. Nodes of one cluster, and clusters of several
/// processes, look in different places first.
pub(super) fn choose(node: usize) -> String {
    let start = std::process::id() as usize * 11;
    let candidates = (0..CANDIDATES / NODES).map(|i| FIRST + ((start + i) * NODES + node % NODES) % CANDIDATES * STEP);
    let free = |port: usize| TcpListener::bind((Ipv4Addr::LOCALHOST, port as u16)).is_ok();
    let port = candidates.into_iter().find(|port| free(*port) && free(*port + 1) && free(*port + SHARDS_MAX));
    // Without any, the system chooses: the node serves, though perhaps not at the same address again.
    format!("127.0.0.1:{}", port.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gets_a_port_that_is_free_and_not_its_neighbours() {
        let first = choose(1);
        let port: usize = first.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        assert!((FIRST..32_768 - SHARDS_MAX).contains(&port), "{first}");
        assert_ne!(first, choose(2));
        let _taken = TcpListener::bind(&first).expect("is free");
        let second = choose(1);
        assert_ne!(first, second);
        assert_ne!(second, choose(2), "not even when the first choice is taken");
    }
}
