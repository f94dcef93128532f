//! The shards as the control plane sees them.

use crate::io::{Mailbox, MailboxError};
use crate::shard::{AdminAnswer, AdminRequest, ShardStatistics};
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::message::NodeInfo;
use quarry_protocol::replica::LogState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The node as it introduces itself.
    pub(crate) info: NodeInfo,
    /// Its random id.
    pub(crate) node: [u8; 16],
    /// Its first shard's disk as formatted: its name among nodes.
    pub(crate) disk: DiskId,
    /// Which start this is.
    pub(crate) incarnation: u64,
    /// The rack it stands in; empty if none.
    pub(crate) rack: String,
    /// `host:port` at which others reach the control plane.
    pub(crate) control: String,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// When it began to serve.
    pub(crate) started: Instant,
}

/// All shards of the node, in order.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    pub(crate) facts: Arc<Facts>,
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    /// Why a shard's disk failed, once it did.
    pub(crate) failed: Vec<watch::Receiver<Option<String>>>,
}

impl Shards {
    /// What every shard counts. Asked at once, not one after the other.
    pub(super) async fn statistics(&self) -> Result<Vec<ShardStatistics>, MailboxError> {
        let asked = self.mailboxes.iter().map(|mailbox| mailbox.ask(AdminRequest::Statistics));
        let answers = futures::future::try_join_all(asked).await?;
        let statistics = answers.into_iter().map(|answer| match answer {
            AdminAnswer::Statistics(statistics) => *statistics,
            AdminAnswer::Logs(_) => unreachable!("a question for statistics is answered with statistics"),
        });
        Ok(statistics.collect())
    }

    /// At most `logs_max` logs of all shards from `from` upward, in order of id, each with its shard.
    pub(super) async fn logs(&self, from: LogId, logs_max: u32) -> Result<Vec<(u32, LogState)>, MailboxError> {
        let asked = self.mailboxes.iter().map(|mailbox| mailbox.ask(AdminRequest::Logs { from, logs_max }));
        let answers = futures::future::try_join_all(asked).await?;
        let mut logs = Vec::new();
        for (shard, answer) in answers.into_iter().enumerate() {
            match answer {
                AdminAnswer::Logs(found) => logs.extend(found.into_iter().map(|log| (shard as u32, log))),
                AdminAnswer::Statistics(_) => unreachable!("a question for logs is answered with logs"),
            }
        }
        logs.sort_by_key(|(_, log)| log.record.log);
        logs.truncate(logs_max as usize);
        Ok(logs)
    }
}
