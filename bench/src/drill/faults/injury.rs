//! Doing a fault to a node, and undoing it.

use super::schedule::Fault;
use super::{FaultKind, rot};
use crate::drill::clients::Hog;
use crate::drill::proxy::{Proxy, Way, Ways};
use crate::local_cluster::{LocalCluster, NodeError};
use crate::random::Random;
use std::io;

/// Everything that can be hurt.
pub(in crate::drill) struct Victims {
    pub(in crate::drill) cluster: LocalCluster,
    pub(in crate::drill) proxies: Vec<Proxy>,
    pub(in crate::drill) hog: Option<Hog>,
    pub(in crate::drill) random: Random,
    /// Bits flipped so far.
    pub(in crate::drill) bits_flipped: usize,
    /// How often the disks were really full.
    pub(in crate::drill) disks_filled: usize,
}

/// Why the drill itself could not go on.
#[derive(Debug, thiserror::Error)]
pub(in crate::drill) enum InjuryError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("flipping bits of node {node}: {why}")]
    Flip { node: usize, why: io::Error },
}

impl Victims {
    /// Begins a fault.
    pub(in crate::drill) async fn hurt(&mut self, fault: Fault) -> Result<(), InjuryError> {
        let Fault { kind, node, .. } = fault;
        match kind {
            FaultKind::Kill | FaultKind::Wipe => {
                self.cluster.kill(node).await?;
            }
            FaultKind::Pause => self.cluster.pause(node)?,
            FaultKind::Restart => self.cluster.stop_node(node).await?,
            FaultKind::RotStopped => {
                self.cluster.stop_node(node).await?;
                self.flip(node, false)?;
            }
            FaultKind::RotRunning => self.flip(node, true)?,
            FaultKind::Cut => self.proxies[node].set(Ways { to_node: Way::Cut, to_client: Way::Cut }),
            FaultKind::CutToNode => self.proxies[node].set(Ways { to_node: Way::Cut, to_client: Way::Open }),
            FaultKind::CutToClients => self.proxies[node].set(Ways { to_node: Way::Open, to_client: Way::Cut }),
            FaultKind::SlowLink => self.proxies[node].set(Ways { to_node: Way::Slow, to_client: Way::Slow }),
            FaultKind::FullDisk => {
                if let Some(hog) = self.hog.as_mut() {
                    self.disks_filled += usize::from(hog.fill().await);
                }
            }
        }
        Ok(())
    }

    /// Ends it.
    pub(in crate::drill) async fn heal(&mut self, fault: Fault) -> Result<(), InjuryError> {
        let Fault { kind, node, .. } = fault;
        match kind {
            FaultKind::Kill | FaultKind::Restart | FaultKind::RotStopped => self.cluster.restart(node).await?,
            FaultKind::Wipe => {
                self.cluster.wipe(node).await?;
                self.cluster.restart(node).await?;
            }
            FaultKind::Pause => self.cluster.resume(node)?,
            FaultKind::RotRunning => {}
            FaultKind::Cut | FaultKind::CutToNode | FaultKind::CutToClients | FaultKind::SlowLink => {
                self.proxies[node].set(Ways::default());
            }
            FaultKind::FullDisk => {
                if let Some(hog) = self.hog.as_mut() {
                    hog.drain().await;
                }
            }
        }
        Ok(())
    }

    fn flip(&mut self, node: usize, is_running: bool) -> Result<(), InjuryError> {
        let data = self.cluster.nodes()[node].data();
        let flipped = rot::flip(data, is_running, &mut self.random);
        self.bits_flipped += flipped.map_err(|why| InjuryError::Flip { node: node + 1, why })?;
        Ok(())
    }
}
