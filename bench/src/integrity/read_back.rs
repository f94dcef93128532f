//! Reading back what was acknowledged.

use super::{Ledger, Payloads};
use crate::result::Verdict;
use futures::TryStreamExt;
use quarry_client::{ChunkStore, ReadError, ReadOptions, ReadRange};
use quarry_protocol::ids::ChunkSeq;
use std::ops::Range;
use std::time::Duration;

/// How often a stream that broke is taken up again where it broke, for each range.
const RESUMES_MAX: usize = 5;
/// How long after it broke.
const RESUME_AFTER: Duration = Duration::from_millis(100);

/// Why it cannot be said what is there.
#[derive(Debug, thiserror::Error)]
#[error("log {log:?} could not be read back from seq {from}: {source}")]
pub struct ReadBackError {
    log: String,
    from: u64,
    source: ReadError,
    /// What was found before that, and the chunk itself if no replica has it any more.
    pub found: ReadBack,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// As they should be.
    pub equal: u64,
    /// With other bytes.
    pub different: u64,
    /// Not there, though the stream went past them or the log ends before them.
    pub missing: u64,
}

impl ReadBack {
    /// Whether every chunk was as it should be.
    #[must_use]
    pub const fn good(&self) -> bool {
        self.different == 0 && self.missing == 0
    }

    /// Adds it to a verdict on chunks that stay.
    pub fn count_in(&self, verdict: &mut Verdict) {
        verdict.acknowledged += self.equal + self.different + self.missing;
        verdict.equal += self.equal;
        verdict.different += self.different;
        verdict.missing += self.missing;
    }

    /// Adds it to a verdict on chunks that are trimmed now: those that were equal count as trimmed, the others for ever as
    /// what they are.
    pub fn count_trimmed_in(&self, verdict: &mut Verdict) {
        verdict.trimmed += self.equal;
        Self { equal: 0, ..*self }.count_in(verdict);
    }
}

/// Reads every acknowledged chunk of the log `name`, number `log` among its like, and compares it. A store that cannot be
/// read is an error, not a loss; the error says what was lost all the same.
pub async fn read_back(
    store: &dyn ChunkStore,
    name: &str,
    log: usize,
    ledger: &Ledger,
    payloads: &Payloads,
) -> Result<ReadBack, ReadBackError> {
    let mut found = ReadBack::default();
    for range in ledger.ranges() {
        let mut reading = Reading { log, payloads, next: range.start, found: &mut found };
        let mut resumes = 0;
        while let Err(source) = reading.read(store, name, range).await {
            match source {
                ReadError::NotFound { .. } => break,
                ReadError::Trimmed { floor, .. } => reading.skip_to(floor.0.clamp(reading.next + 1, range.end)),
                // A reader may hear of the last acknowledgements a little later than the writer.
                ReadError::AboveTail { .. } if resumes == RESUMES_MAX => break,
                source if resumes == RESUMES_MAX || !source.may_retry() => {
                    let from = reading.next;
                    // Not read on: each further one would take as long, and one is enough.
                    if let ReadError::Unavailable { seq, lost: true, .. } = source {
                        reading.skip_to(seq.0.clamp(from, range.end - 1) + 1);
                    }
                    return Err(ReadBackError { log: name.to_owned(), from, source, found });
                }
                _ => {
                    resumes += 1;
                    tokio::time::sleep(RESUME_AFTER).await;
                }
            }
        }
        reading.skip_to(range.end);
    }
    Ok(found)
}

/// How far a range is read.
struct Reading<'a> {
    log: usize,
    payloads: &'a Payloads,
    next: u64,
    found: &'a mut ReadBack,
}

impl Reading<'_> {
    async fn read(&mut self, store: &dyn ChunkStore, name: &str, range: &Range<u64>) -> Result<(), ReadError> {
        if self.next == range.end {
            return Ok(());
        }
        let wanted = ReadRange::between(ChunkSeq(self.next), ChunkSeq(range.end));
        let mut chunks = store.read(name, wanted, ReadOptions::default()).await?;
        while let Some(chunk) = chunks.try_next().await? {
            self.take(chunk.seq.0, &chunk.payload);
        }
        Ok(())
    }

    /// Takes a chunk in. Streams give chunks in order; what one leaves out is missing.
    fn take(&mut self, seq: u64, payload: &[u8]) {
        assert!(seq >= self.next, "the stream gives seq {seq} after seq {}", self.next);
        self.skip_to(seq);
        if payload == self.payloads.of(self.log, seq) {
            self.found.equal += 1;
        } else {
            self.found.different += 1;
        }
        self.next = seq + 1;
    }

    fn skip_to(&mut self, seq: u64) {
        self.found.missing += seq - self.next;
        self.next = seq;
    }
}
