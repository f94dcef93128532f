//! Data that is there before a phase begins.

use crate::append::Load;
use crate::drive::{self, Lane};
use crate::engine::EngineError;
use crate::engine::log::BenchLog;
use crate::measured::Until;

/// Appends in flight while older data is written.
const DEPTH: usize = 8;

/// Appends so many payload bytes to a log.
pub(super) async fn fill(log: &BenchLog, bytes: u64) -> Result<(), EngineError> {
    let chunk_bytes = log.payloads.chunk_bytes() as u64;
    let until = Until::operations(bytes.div_ceil(chunk_bytes));
    drive::measure(&[Filled(log)], Load::Closed { depth: DEPTH }, until, chunk_bytes, None).await;
    match log.failure() {
        None => Ok(()),
        Some(why) => Err(log.failed(&why.to_string())),
    }
}

/// A log that somebody else owns.
struct Filled<'a>(&'a BenchLog);

impl Lane for Filled<'_> {
    type Pending = <BenchLog as Lane>::Pending;

    async fn begin(&self) -> Option<Self::Pending> {
        self.0.begin().await
    }
}
