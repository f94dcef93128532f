//! A log of a case: written by one writer at a time, and held to its ledger.

use super::EngineError;
use super::diary::Diary;
use super::stages::SharedNotes;
use crate::drive::Lane;
use crate::integrity::{Ledger, Payloads, ReadBack, read_back};
use crate::result::Verdict;
use quarry_client::{AppendError, ChunkStore, LogWriter, OpenOptions, Opened, PendingAppend, QuorumStore};
use quarry_protocol::ids::ChunkSeq;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A log of a case.
pub(super) struct BenchLog {
    pub(super) store: QuorumStore,
    pub(super) name: String,
    /// Its number among the logs of its case and target: payloads follow from it.
    pub(super) number: usize,
    pub(super) payloads: Payloads,
    options: OpenOptions,
    writer: Option<LogWriter>,
    /// What the next append gets.
    next: Cell<u64>,
    record: Rc<Record>,
    pub(super) diary: Diary,
}

/// What came of its appends.
#[derive(Debug)]
struct Record {
    ledger: RefCell<Ledger>,
    failure: RefCell<Option<AppendError>>,
    acknowledged_at: Cell<Instant>,
    longest_gap: Cell<Duration>,
    /// Acknowledged chunks that a takeover did not find.
    lost: Cell<u64>,
    /// Of all logs of the case and target together, if it is asked for.
    stages: Option<SharedNotes>,
}

impl BenchLog {
    /// Opens the log `name` for the first time.
    pub(super) async fn open(
        store: QuorumStore,
        name: String,
        number: usize,
        mut options: OpenOptions,
        payloads: Payloads,
        stages: Option<SharedNotes>,
        diary: Diary,
    ) -> Result<Self, EngineError> {
        options.attribution = stages.is_some();
        let record = Record {
            ledger: RefCell::default(),
            failure: RefCell::default(),
            acknowledged_at: Cell::new(Instant::now()),
            longest_gap: Cell::default(),
            lost: Cell::default(),
            stages,
        };
        let next = Cell::new(0);
        let record = Rc::new(record);
        let mut log = Self { store, name, number, payloads, options, writer: None, next, record, diary };
        log.take_over().await?;
        Ok(log)
    }

    /// Takes the log over from its own writer, if it has one: the new one has every replica that answers.
    pub(super) async fn take_over(&mut self) -> Result<(), EngineError> {
        self.writer = None;
        let opened = self.store.open(&self.name, self.options.clone()).await;
        let opened = opened.map_err(|why| EngineError::Log { log: self.name.clone(), why: why.to_string() })?;
        self.found_end(opened.report.next_seq.0);
        self.adopt(opened);
        Ok(())
    }

    /// A takeover found that the log ends before `next`. Acknowledged chunks from there on are gone: what the verdict is there to
    /// say.
    pub(super) fn found_end(&self, next: u64) {
        let lost = self.record.ledger.borrow_mut().cut(next);
        self.record.lost.set(self.record.lost.get() + lost);
        self.diary.lost(&self.name, 0, lost);
    }

    /// Makes a writer that was opened elsewhere its own.
    pub(super) fn adopt(&mut self, opened: Opened) {
        self.next.set(opened.report.next_seq.0);
        self.record.failure.take();
        self.writer = Some(opened.writer);
    }

    /// Its writer goes away.
    pub(super) fn drop_writer(&mut self) {
        self.writer = None;
    }

    /// Its writer.
    pub(super) fn writer(&self) -> Result<&LogWriter, EngineError> {
        self.writer.as_ref().ok_or_else(|| self.failed("nobody writes it"))
    }

    pub(super) fn options(&self) -> OpenOptions {
        self.options.clone()
    }

    /// The payload that the next append has.
    pub(super) fn next_payload(&self) -> bytes::Bytes {
        self.payloads.of(self.number, self.next.get())
    }

    /// Notes an acknowledgement of an append that was not made through [`Lane`].
    pub(super) fn note_acknowledged(&self, seq: u64) {
        self.record.acknowledged(seq);
        self.next.set(self.next.get().max(seq + 1));
    }

    /// Why an append failed, if one did since the writer is there.
    pub(super) fn failure(&self) -> Option<AppendError> {
        self.record.failure.borrow().clone()
    }

    /// Measures the time between acknowledgements anew.
    pub(super) fn restart_gap(&self) {
        self.record.acknowledged_at.set(Instant::now());
        self.record.longest_gap.set(Duration::ZERO);
    }

    /// The longest time without an acknowledgement since then.
    pub(super) fn longest_gap(&self) -> Duration {
        self.record.longest_gap.get()
    }

    /// The same, with what goes on without an acknowledgement at this moment.
    pub(super) fn longest_gap_until_now(&self) -> Duration {
        self.longest_gap().max(self.record.acknowledged_at.get().elapsed())
    }

    /// Payload bytes that it holds, as far as they were acknowledged.
    pub(super) fn bytes(&self) -> u64 {
        self.record.ledger.borrow().count() * self.payloads.chunk_bytes() as u64
    }

    /// One past the last seq that was acknowledged, if there is one.
    pub(super) fn end(&self) -> Option<u64> {
        self.record.ledger.borrow().end()
    }

    /// Drops everything below `below` unread.
    pub(super) async fn trim(&self, below: u64) -> Result<u64, EngineError> {
        self.store.trim(&self.name, ChunkSeq(below)).await.map_err(|why| self.failed(&why.to_string()))?;
        Ok(self.record.ledger.borrow_mut().trim(below))
    }

    /// Reads back everything that was acknowledged.
    pub(super) async fn read_back(&self) -> Result<ReadBack, EngineError> {
        let ledger = self.record.ledger.borrow().clone();
        let read = read_back(&self.store, &self.name, self.number, &ledger, &self.payloads).await;
        self.diary.read_back(&self.name, read.as_ref().unwrap_or_else(|why| &why.found));
        Ok(read?)
    }

    /// Reads everything back and drops it.
    pub(super) async fn read_back_and_trim(&self, verdict: &mut Verdict) -> Result<(), EngineError> {
        let Some(end) = self.end() else { return Ok(()) };
        self.read_back().await?.count_trimmed_in(verdict);
        self.trim(end).await?;
        Ok(())
    }

    /// The last look: takes the log over once more, appends to it, reads everything back, and deletes it.
    pub(super) async fn finish(mut self, verdict: &mut Verdict) -> Result<(), EngineError> {
        self.take_over().await?;
        let appended = match self.begin().await {
            Some(pending) => pending.await,
            None => false,
        };
        if let (false, Some(why)) = (appended, self.failure()) {
            return Err(self.failed(&why.to_string()));
        }
        self.read_back().await?.count_in(verdict);
        let lost = self.record.lost.take();
        (verdict.acknowledged, verdict.missing) = (verdict.acknowledged + lost, verdict.missing + lost);
        self.writer = None;
        self.store.delete(&self.name).await.map_err(|why| self.failed(&why.to_string()))?;
        self.diary.deleted(&self.name);
        Ok(())
    }

    pub(super) fn failed(&self, why: &str) -> EngineError {
        EngineError::Log { log: self.name.clone(), why: why.to_owned() }
    }
}

impl Record {
    fn acknowledged(&self, seq: u64) {
        self.ledger.borrow_mut().acknowledged(seq);
        let now = Instant::now();
        let gap = now - self.acknowledged_at.replace(now);
        self.longest_gap.set(self.longest_gap.get().max(gap));
    }

    fn failed(&self, why: AppendError) {
        self.failure.borrow_mut().get_or_insert(why);
    }
}

/// An append on its way to the ledger.
pub(super) struct Acknowledging {
    pending: PendingAppend,
    record: Rc<Record>,
}

impl Future for Acknowledging {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(match ready!(Pin::new(&mut self.pending).poll(cx)) {
            Ok(receipt) => {
                self.record.acknowledged(receipt.seq.0);
                if let (Some(times), Some(stages)) = (receipt.times, &self.record.stages) {
                    stages.borrow_mut().note(&times);
                }
                true
            }
            Err(why) => {
                self.record.failed(why);
                false
            }
        })
    }
}

impl Lane for BenchLog {
    type Pending = Acknowledging;

    async fn begin(&self) -> Option<Acknowledging> {
        let writer = self.writer.as_ref()?;
        match writer.append(self.next_payload()).await {
            Ok(pending) => {
                let seq = pending.seq().0;
                assert_eq!(seq, self.next.get(), "log {:?} is written by nobody else", self.name);
                self.next.set(seq + 1);
                Some(Acknowledging { pending, record: Rc::clone(&self.record) })
            }
            Err(why) => {
                self.record.failed(why);
                None
            }
        }
    }
}
