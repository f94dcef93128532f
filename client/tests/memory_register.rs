//! What happens when the register is away, slow, or does not say whether it did what it was asked.

use async_trait::async_trait;
use futures::TryStreamExt;
use quarry_client::memory::MemoryStore;
use quarry_client::quorum_store::{QuorumStore, StoreDefaults};
use quarry_client::register::{Register, RegisterError, SwapError};
use quarry_client::{
    ChunkStore, DeleteError, ListError, OpenError, OpenOptions, ReadOptions, ReadRange, TailError, TrimError,
};
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::limits::SEGMENTS_PER_LOG_MAX;
use quarry_protocol::record::{LogRecord, Segment, SegmentEnd, Version};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LOG: &str = "log";

/// What becomes of one compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Swap {
    /// As asked.
    Works,
    /// It is done, and nobody says so.
    DoneUnsaid,
    /// It is not done, and nobody says so.
    NotDoneUnsaid,
    /// Somebody else changes the record first.
    Conflicts,
    /// It is refused for now.
    Fails,
}

/// A register whose next swaps, and reads, go as scripted; after the script everything works.
struct Scripted {
    inner: Arc<dyn Register>,
    swaps: Mutex<VecDeque<Swap>>,
    reads_fail: Mutex<u32>,
}

impl Scripted {
    fn failed() -> RegisterError {
        RegisterError::Failed { register: "scripted".to_owned(), why: "it was told to fail".to_owned() }
    }
}

#[async_trait]
impl Register for Scripted {
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        let fail = {
            let mut left = self.reads_fail.lock().unwrap();
            let fail = *left > 0;
            *left = left.saturating_sub(1);
            fail
        };
        if fail { Err(Self::failed()) } else { self.inner.read(name).await }
    }

    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let script = self.swaps.lock().unwrap().pop_front().unwrap_or(Swap::Works);
        let why = "it was told not to say".to_owned();
        match script {
            Swap::Works => self.inner.compare_and_swap(expected, record).await,
            Swap::DoneUnsaid => {
                let _ = self.inner.compare_and_swap(expected, record).await;
                Err(SwapError::Ambiguous { why })
            }
            Swap::NotDoneUnsaid => Err(SwapError::Ambiguous { why }),
            Swap::Conflicts => Err(SwapError::Conflict),
            Swap::Fails => Err(SwapError::Failed(Self::failed())),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        if *self.reads_fail.lock().unwrap() > 0 { Err(Self::failed()) } else { self.inner.list(prefix).await }
    }
}

struct Subject {
    register: Arc<Scripted>,
    store: QuorumStore,
}

fn subject() -> Subject {
    let memory = MemoryStore::new();
    let register =
        Arc::new(Scripted { inner: memory.register(), swaps: Mutex::default(), reads_fail: Mutex::default() });
    let store = memory.store_through(Arc::clone(&register) as _, StoreDefaults::for_replicas(3));
    Subject { register, store }
}

fn impatient() -> OpenOptions {
    OpenOptions { deadline: Duration::from_millis(300), ..OpenOptions::default() }
}

impl Subject {
    fn script(&self, swaps: impl IntoIterator<Item = Swap>) {
        *self.register.swaps.lock().unwrap() = swaps.into_iter().collect();
    }

    async fn append(&self, count: u64) {
        let writer = self.store.open(LOG, OpenOptions::default()).await.unwrap().writer;
        for _ in 0..count {
            writer.append("x".into()).await.unwrap().await.unwrap();
        }
    }

    async fn len(&self) -> usize {
        let stream = self.store.read(LOG, ReadRange::all(), ReadOptions::default()).await.unwrap();
        stream.try_collect::<Vec<_>>().await.unwrap().len()
    }
}

/// Pitfalls 15 and 20e: whatever two swaps in a row do, an open ends with one writer that works, or with an error that
/// says whether to retry; never with two writers, and never with a lost or doubled chunk.
#[tokio::test]
async fn an_open_resolves_what_the_register_does_not_say() {
    use Swap::{Conflicts, DoneUnsaid, Fails, NotDoneUnsaid, Works};
    let all = [Works, DoneUnsaid, NotDoneUnsaid, Conflicts, Fails];
    for (first, second) in all.into_iter().flat_map(|first| all.map(|second| (first, second))) {
        let subject = subject();
        subject.append(3).await;
        subject.script([first, second]);
        let opened = subject.store.open(LOG, OpenOptions::default()).await;
        let opened = opened.unwrap_or_else(|error| panic!("{first:?}, {second:?}: {error}"));
        assert_eq!(opened.report.next_seq, ChunkSeq(3), "{first:?}, {second:?}");
        opened.writer.append("x".into()).await.unwrap().await.unwrap();
        assert_eq!(subject.len().await, 4, "{first:?}, {second:?}");
        let epochs = subject.store.inspect(LOG).await.unwrap().record.epoch;
        assert_eq!(epochs, opened.report.epoch, "{first:?}, {second:?}");
    }
}

#[tokio::test]
async fn creating_resolves_what_the_register_does_not_say() {
    for script in [Swap::DoneUnsaid, Swap::NotDoneUnsaid, Swap::Fails] {
        let subject = subject();
        subject.script([script, script]);
        let opened = subject.store.open(LOG, OpenOptions::default()).await.unwrap();
        assert!(opened.report.created, "{script:?}");
        opened.writer.append("x".into()).await.unwrap().await.unwrap();
        assert_eq!(subject.len().await, 1, "{script:?}");
    }
}

#[tokio::test]
async fn an_open_without_a_register_fails_and_may_be_retried() {
    let subject = subject();
    subject.append(1).await;
    *subject.register.reads_fail.lock().unwrap() = u32::MAX;
    let error = subject.store.open(LOG, impatient()).await.unwrap_err();
    assert!(matches!(error, OpenError::Register { may_have_happened: false, .. }) && error.may_retry(), "{error:?}");
    let error = subject.store.tail(LOG).await.unwrap_err();
    assert!(matches!(error, TailError::Register { .. }) && error.may_retry(), "{error:?}");
    let error = subject.store.list("").await.unwrap_err();
    assert!(matches!(error, ListError::Register { .. }) && error.may_retry(), "{error:?}");
    let error = subject.store.trim(LOG, ChunkSeq(0)).await.unwrap_err();
    assert!(matches!(error, TrimError::Register { may_have_happened: false, .. }) && error.may_retry(), "{error:?}");
    *subject.register.reads_fail.lock().unwrap() = 0;
    assert_eq!(subject.len().await, 1);
}

/// A register that stops answering in the middle: the epoch may be claimed.
#[tokio::test]
async fn a_swap_that_is_never_resolved_may_have_happened() {
    let subject = subject();
    subject.append(1).await;
    subject.script(vec![Swap::NotDoneUnsaid; 10_000]);
    let error = subject.store.open(LOG, impatient()).await.unwrap_err();
    assert!(matches!(error, OpenError::Register { may_have_happened: true, .. }), "{error:?}");
    assert!(error.may_retry() && error.may_have_happened());
    let writer = subject.store.trim(LOG, ChunkSeq(1)).await.unwrap_err();
    assert!(
        matches!(writer, TrimError::Register { may_have_happened: true, .. }) && writer.may_have_happened(),
        "{writer:?}"
    );
    subject.script([]);
    subject.append(1).await;
    assert_eq!(subject.len().await, 2);
}

/// The register is off the append path: appends go on while it is away.
#[tokio::test]
async fn appends_go_on_without_the_register() {
    let subject = subject();
    let writer = subject.store.open(LOG, OpenOptions::default()).await.unwrap().writer;
    *subject.register.reads_fail.lock().unwrap() = u32::MAX;
    subject.script(vec![Swap::Fails; 10_000]);
    for _ in 0..100 {
        writer.append("x".into()).await.unwrap().await.unwrap();
    }
    *subject.register.reads_fail.lock().unwrap() = 0;
    subject.script([]);
    assert_eq!(subject.len().await, 100);
}

#[tokio::test]
async fn a_trim_resolves_what_the_register_does_not_say() {
    for script in [
        vec![Swap::DoneUnsaid],
        vec![Swap::NotDoneUnsaid],
        vec![Swap::NotDoneUnsaid, Swap::DoneUnsaid],
        vec![Swap::Conflicts; 5],
        vec![Swap::DoneUnsaid, Swap::NotDoneUnsaid],
    ] {
        let subject = subject();
        subject.append(10).await;
        subject.script(script.clone());
        assert_eq!(subject.store.trim(LOG, ChunkSeq(4)).await.unwrap(), ChunkSeq(4), "{script:?}");
        assert_eq!(subject.len().await, 6, "{script:?}");
    }
    let subject = subject();
    subject.append(10).await;
    subject.script(vec![Swap::Conflicts; 10_000]);
    let error = subject.store.trim(LOG, ChunkSeq(4)).await.unwrap_err();
    assert!(
        matches!(error, TrimError::Contended { .. }) && error.may_retry() && !error.may_have_happened(),
        "{error:?}"
    );
    subject.script([Swap::Fails]);
    let error = subject.store.trim(LOG, ChunkSeq(4)).await.unwrap_err();
    assert!(matches!(error, TrimError::Register { may_have_happened: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_deletion_resolves_what_the_register_does_not_say() {
    for script in [Swap::DoneUnsaid, Swap::NotDoneUnsaid, Swap::Conflicts] {
        let subject = subject();
        subject.append(3).await;
        subject.script([script, script]);
        assert!(subject.store.delete(LOG).await.unwrap().unreached.is_empty(), "{script:?}");
        assert!(subject.store.tail(LOG).await.is_err(), "{script:?}");
        let again = subject.store.open(LOG, OpenOptions::default()).await.unwrap();
        assert!(again.report.created && again.report.next_seq == ChunkSeq(0), "{script:?}");
    }
    let error = subject().store.delete(LOG).await.unwrap_err();
    assert!(matches!(error, DeleteError::NotFound { .. }));
}

/// The log's writer goes on when an open finds no room for another segment; a trim makes room.
#[tokio::test]
async fn an_open_of_a_full_log_fences_nobody_and_works_after_a_trim() {
    let subject = subject();
    subject.store.open("other", OpenOptions::default()).await.unwrap();
    let (_, other) = subject.register.read("other").await.unwrap().unwrap();
    let sealed = |base: u64| Segment {
        id: SegmentId { epoch: Epoch(1), index: base as u32 },
        base: ChunkSeq(base),
        end: SegmentEnd::Sealed { at: ChunkSeq(base + 1), digest: Digest::default() },
        ..other.segments[0].clone()
    };
    let segments: Vec<_> = (0..SEGMENTS_PER_LOG_MAX as u64 - 1).map(sealed).collect();
    let tail = segments.len() as u64;
    let record = LogRecord {
        number: quarry_protocol::ids::RecordNumber(1),
        epoch: Epoch(1),
        segments,
        ..LogRecord::new(LOG, LogId([3; 16]))
    };
    subject.register.compare_and_swap(None, &record).await.unwrap();
    let first = subject.store.open(LOG, OpenOptions::default()).await.unwrap().writer;
    first.append("x".into()).await.unwrap().await.unwrap();
    let before = subject.register.read(LOG).await.unwrap();
    let error = subject.store.open(LOG, OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Full { .. }) && error.to_string().contains("to seq 1 at least"), "{error:?}");
    assert!(!error.may_retry() && !error.may_have_happened());
    assert_eq!(subject.register.read(LOG).await.unwrap(), before, "nothing was changed");
    first.append("x".into()).await.unwrap().await.unwrap();
    subject.store.trim(LOG, ChunkSeq(1)).await.unwrap();
    let second = subject.store.open(LOG, OpenOptions::default()).await.unwrap();
    assert_eq!(second.report.next_seq, ChunkSeq(tail + 2));
    second.writer.append("x".into()).await.unwrap().await.unwrap();
    assert!(first.append("x".into()).await.unwrap().await.unwrap_err().is_fenced());
}
