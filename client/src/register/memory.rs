//! A register in the process's memory: for tests and for `memory://` stores. Lost with the process.

use super::{Register, RegisterError, SwapError, encode, named};
use async_trait::async_trait;
use quarry_protocol::record::{LogRecord, Version};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records by name, as the bytes that a directory would hold.
#[derive(Debug, Default)]
pub struct MemoryRegister {
    records: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryRegister {
    /// An empty register.
    #[must_use]
    pub const fn new() -> Self {
        Self { records: Mutex::new(BTreeMap::new()) }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Register for MemoryRegister {
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        named(name)?;
        let Some(json) = self.records().get(name).cloned() else { return Ok(None) };
        let record = LogRecord::decode(name, &json)?;
        Ok(Some((Version(json), record)))
    }

    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let json = encode(record)?;
        let mut records = self.records();
        if records.get(&record.name) != expected.map(|version| &version.0) {
            return Err(SwapError::Conflict);
        }
        records.insert(record.name.clone(), json.clone());
        Ok(Version(json))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        Ok(self.records().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }
}
