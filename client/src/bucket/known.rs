//! What the register says of logs, for the machines of buckets: floors, ends and windows stand there and nowhere else.

use crate::cluster::Cluster;
use crate::register::{Register, RegisterError, SwapError};
use async_trait::async_trait;
use quarry_protocol::bucket::KnownLog;
use quarry_protocol::ids::LogId;
use quarry_protocol::record::{LogRecord, Version};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Logs whose last record is kept. Every operation reads the record before it asks a replica, so only as many are needed as
/// operations are under way at once.
const LOGS_KNOWN_MAX: usize = 16_384;

/// The last record of each log that this client has read or written.
#[derive(Debug, Default)]
pub(crate) struct KnownLogs {
    logs: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_id: BTreeMap<LogId, (u64, Arc<KnownLog>)>,
    /// In the order in which they were first heard of.
    order: VecDeque<LogId>,
}

impl KnownLogs {
    pub(crate) fn learn(&self, record: &LogRecord) {
        let mut kept = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let number = record.number.0;
        match kept.by_id.get_mut(&record.log) {
            // Two reads may overtake each other.
            Some((known, log)) if *known <= number => {
                let said = KnownLog::of(record);
                *known = number;
                // Most reads bring nothing new, and then nobody has to take it in.
                if **log != said {
                    *log = Arc::new(said);
                }
            }
            Some(_) => {}
            None => {
                if kept.by_id.len() >= LOGS_KNOWN_MAX
                    && let Some(oldest) = kept.order.pop_front()
                {
                    kept.by_id.remove(&oldest);
                }
                kept.by_id.insert(record.log, (number, Arc::new(KnownLog::of(record))));
                kept.order.push_back(record.log);
            }
        }
    }

    /// What is known of a log: the same allocation until that changes.
    pub(crate) fn of(&self, log: LogId) -> Option<Arc<KnownLog>> {
        let kept = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_id.get(&log).map(|(_, log)| Arc::clone(log))
    }
}

/// A register that tells the cluster every record that is read from it or written to it.
pub(crate) struct TellingRegister {
    pub(crate) register: Arc<dyn Register>,
    pub(crate) cluster: Arc<dyn Cluster>,
}

#[async_trait]
impl Register for TellingRegister {
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        let found = self.register.read(name).await?;
        if let Some((_, record)) = &found {
            self.cluster.learn(record);
        }
        Ok(found)
    }

    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let version = self.register.compare_and_swap(expected, record).await?;
        self.cluster.learn(record);
        Ok(version)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        self.register.list(prefix).await
    }
}
