//! Taking over: what was acknowledged stays, what was in flight is settled, and the writer before is told.

use super::subject::{Expected, Subject, append, append_all, chunk};
use crate::chunk_store::{CreateMode, OpenOptions, ReadRange};
use crate::error::{AppendError, Fate, OpenError};
use crate::log_writer::LogWriter;
use futures::future::join_all;
use quarry_protocol::ids::{ChunkSeq, Epoch};
use std::collections::BTreeSet;
use std::sync::Arc;

super::list_cases![
    a_takeover_keeps_what_was_acknowledged,
    a_takeover_fences_the_writer_before,
    appends_in_flight_are_settled_by_a_takeover,
    a_hundred_takeovers,
    openers_race,
    writers_race,
    open_obeys_its_create_mode,
    open_refuses_bad_options,
];

async fn a_takeover_keeps_what_was_acknowledged(subject: Subject) {
    let first = subject.open().await;
    let mut written = append_all(&first.writer, "first", 0..37).await;
    drop(first.writer);
    let second = subject.take_over().await;
    assert_eq!(second.report.log, first.report.log, "the same log");
    assert!(!second.report.created);
    assert!(second.report.epoch > first.report.epoch, "epochs rise");
    assert_eq!(second.report.next_seq, ChunkSeq(37));
    assert_eq!(second.writer.next_seq(), ChunkSeq(37));
    subject.assert_holds(0, &written).await;
    written.extend(append_all(&second.writer, "second", 0..5).await);
    subject.assert_holds(0, &written).await;
}

async fn a_takeover_fences_the_writer_before(subject: Subject) {
    let old = subject.open().await.writer;
    let mut written = append_all(&old, "old", 0..3).await;
    let new = subject.take_over().await.writer;
    let error = append(&old, chunk("old", 3)).await.unwrap_err();
    let AppendError::Fenced { epoch, by, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*epoch, *by), (old.epoch(), new.epoch()));
    assert!(error.is_fenced() && error.is_final() && !error.may_retry(), "{error:?}");
    // Once and for ever: later appends are refused at once, and nothing of them is ever stored.
    for _ in 0..3 {
        let again = append(&old, chunk("old", 4)).await.unwrap_err();
        assert!(again.is_fenced() && again.fate() == Fate::NeverStored, "{again:?}");
        assert!(old.try_append(chunk("old", 4)).unwrap_err().is_fenced());
    }
    assert!(old.stopped().await.is_fenced());
    assert!(old.flush().await.unwrap_err().is_fenced());
    written.extend(append_all(&new, "new", 0..3).await);
    subject.assert_holds(0, &written).await;
}

async fn appends_in_flight_are_settled_by_a_takeover(subject: Subject) {
    let old = subject.open().await.writer;
    let mut pending = Vec::new();
    for number in 0..100 {
        pending.push(old.append(chunk("old", number)).await.unwrap());
    }
    let new = subject.take_over().await;
    let settled = new.report.next_seq;
    for (number, outcome) in join_all(pending).await.into_iter().enumerate() {
        let seq = ChunkSeq(number as u64);
        match outcome {
            Ok(receipt) => {
                assert!(receipt.seq == seq && seq < settled, "seq {seq} was acknowledged, the log ends at {settled}");
            }
            Err(error) if error.fate() == Fate::NeverStored => {
                assert!(seq >= settled, "seq {seq} was never stored and is in the log, which ends at {settled}");
            }
            Err(_) => {}
        }
    }
    // What was kept is a prefix of what the old writer wrote; what follows is the new writer's.
    let mut written: Vec<_> = (0..settled.0).map(|number| chunk("old", number)).collect();
    written.extend(append_all(&new.writer, "new", 0..5).await);
    subject.assert_holds(0, &written).await;
}

async fn a_hundred_takeovers(subject: Subject) {
    let (mut written, mut last) = (Vec::new(), Epoch(0));
    for round in 0..100 {
        let opened = subject.open().await;
        assert!(opened.report.epoch > last, "round {round}: epochs rise");
        assert_eq!(opened.report.next_seq, ChunkSeq(written.len() as u64), "round {round}: nothing is lost");
        last = opened.report.epoch;
        // Some writers write nothing: their segments are empty.
        written.extend(append_all(&opened.writer, &format!("round {round}"), 0..round % 3).await);
    }
    subject.assert_holds(0, &written).await;
}

async fn openers_race(subject: Subject) {
    let openers = (0..8).map(|_| {
        let subject = subject.clone();
        tokio::spawn(async move { subject.store.open(&subject.log, OpenOptions::default()).await })
    });
    let (mut won, mut epochs) = (Vec::new(), BTreeSet::new());
    for opened in join_all(openers).await {
        match opened.unwrap() {
            Ok(opened) => {
                assert!(epochs.insert(opened.report.epoch), "two writers got epoch {}", opened.report.epoch);
                won.push(opened);
            }
            Err(error) => {
                assert!(matches!(error, OpenError::LostRace { .. }), "{error}");
                assert!(error.may_retry() && error.may_have_happened(), "{error:?}");
            }
        }
    }
    assert!(!won.is_empty(), "at least one open wins");
    let newest = epochs.last().copied();
    let mut written = Vec::new();
    for opened in won {
        match append(&opened.writer, chunk("a", 0)).await {
            Ok(_) => written.push(chunk("a", 0)),
            Err(error) => {
                assert!(error.is_fenced(), "{error}");
                assert_ne!(Some(opened.report.epoch), newest, "the newest writer is not fenced by an older one");
            }
        }
    }
    let last = subject.take_over().await;
    assert!(last.report.next_seq.0 >= written.len() as u64);
    append_all(&last.writer, "last", 0..1).await;
}

async fn writers_race(subject: Subject) {
    let writers = ["left", "right"].map(|name| {
        let subject = subject.clone();
        tokio::spawn(async move { write_in_turns(&subject, name).await })
    });
    let mut acknowledged = Expected::new();
    for writer in writers {
        for (seq, payload) in writer.await.unwrap() {
            assert!(acknowledged.insert(seq, payload).is_none(), "seq {seq} was acknowledged to both writers");
        }
    }
    drop(subject.take_over().await);
    let held: Expected =
        subject.read(ReadRange::all()).await.unwrap().into_iter().map(|chunk| (chunk.seq, chunk.payload)).collect();
    for (seq, payload) in &acknowledged {
        assert!(held.get(seq) == Some(payload), "seq {seq} was acknowledged and holds something else or nothing");
    }
}

/// Takes the log over whenever it is lost, until thirty appends were acknowledged.
async fn write_in_turns(subject: &Subject, name: &str) -> Expected {
    let mut acknowledged = Expected::new();
    let mut writer: Option<LogWriter> = None;
    for number in 0..2000 {
        if acknowledged.len() == 30 {
            return acknowledged;
        }
        let Some(current) = &writer else {
            writer = subject.store.open(&subject.log, OpenOptions::default()).await.ok().map(|opened| opened.writer);
            continue;
        };
        let payload = chunk(name, number);
        match append(current, payload.clone()).await {
            Ok(receipt) => {
                acknowledged.insert(receipt.seq, payload);
            }
            Err(error) => {
                assert!(error.is_fenced(), "{error}");
                writer = None;
            }
        }
        tokio::task::yield_now().await;
    }
    panic!("{name} was acknowledged {} appends in 2000 turns", acknowledged.len());
}

async fn open_obeys_its_create_mode(subject: Subject) {
    let open = |create| subject.store.open(&subject.log, OpenOptions::with_create(create));
    let error = open(CreateMode::Never).await.unwrap_err();
    assert!(matches!(error, OpenError::NotFound { .. }), "{error:?}");
    assert!(!error.may_retry() && !error.may_have_happened(), "{error:?}");
    assert!(open(CreateMode::MustBeNew).await.unwrap().report.created);
    let error = open(CreateMode::MustBeNew).await.unwrap_err();
    assert!(matches!(error, OpenError::AlreadyExists { .. }), "{error:?}");
    assert!(!error.may_retry() && !error.may_have_happened(), "{error:?}");
    assert!(!open(CreateMode::Never).await.unwrap().report.created);
    assert!(!open(CreateMode::IfMissing).await.unwrap().report.created);
}

async fn open_refuses_bad_options(subject: Subject) {
    let good = OpenOptions::default;
    let bad = [
        OpenOptions { replicas: Some(0), ..good() },
        OpenOptions { replicas: Some(8), ..good() },
        OpenOptions { ack_quorum: Some(0), ..good() },
        OpenOptions { replicas: Some(1), ack_quorum: Some(2), ..good() },
        OpenOptions { window_chunks: Some(0), ..good() },
        OpenOptions { window_chunks: Some(u32::MAX), ..good() },
        OpenOptions { window_bytes: Some(0), ..good() },
        OpenOptions { window_bytes: Some(u64::MAX), ..good() },
        OpenOptions { deadline: std::time::Duration::ZERO, ..good() },
    ];
    for options in bad {
        let error = subject.store.open(&subject.log, options.clone()).await.err();
        let Some(error) = error else { panic!("opened with {options:?}") };
        assert!(matches!(error, OpenError::BadOptions { .. }), "{options:?}: {error:?}");
        assert!(!error.may_retry() && !error.may_have_happened(), "{error:?}");
    }
    let store = Arc::clone(&subject.store);
    assert!(store.tail(&subject.log).await.is_err(), "a refused open makes no log");
}
