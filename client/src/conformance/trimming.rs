//! Trimming: the floor rises, never falls, and never passes the tail.

use super::subject::{Subject, append, append_all, chunk};
use crate::chunk_store::ReadRange;
use crate::error::{ReadError, TrimError};
use futures::future::join_all;
use quarry_protocol::ids::ChunkSeq;
use std::sync::Arc;

super::list_cases![
    a_trim_raises_the_floor,
    a_trim_never_lowers_the_floor,
    a_trim_above_the_tail_is_refused,
    a_trimmed_log_is_taken_over_where_it_was,
    trims_of_old_segments_shorten_the_chain,
    trims_at_once_settle_at_the_highest,
    trimming_and_appending_go_together,
];

async fn a_trim_raises_the_floor(subject: Subject) {
    let writer = subject.open().await.writer;
    let written = append_all(&writer, "a", 0..30).await;
    subject.await_tail(30).await;
    assert_eq!(subject.store.trim(&subject.log, ChunkSeq(12)).await.unwrap(), ChunkSeq(12));
    assert_eq!(subject.store.tail(&subject.log).await.unwrap().floor, ChunkSeq(12));
    subject.assert_holds(12, &written[12..]).await;
    for seq in [0, 11] {
        let error = subject.read(ReadRange::starting_at(ChunkSeq(seq))).await.unwrap_err();
        assert!(matches!(error, ReadError::Trimmed { floor: ChunkSeq(12), .. }), "{error:?}");
    }
    // The writer goes on without noticing.
    append(&writer, chunk("a", 30)).await.unwrap();
}

async fn a_trim_never_lowers_the_floor(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..10).await;
    subject.await_tail(10).await;
    assert_eq!(subject.store.trim(&subject.log, ChunkSeq(7)).await.unwrap(), ChunkSeq(7));
    for below in [0, 3, 7] {
        assert_eq!(subject.store.trim(&subject.log, ChunkSeq(below)).await.unwrap(), ChunkSeq(7), "trim to {below}");
    }
    assert_eq!(subject.store.tail(&subject.log).await.unwrap().floor, ChunkSeq(7));
}

async fn a_trim_above_the_tail_is_refused(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..10).await;
    subject.await_tail(10).await;
    let error = subject.store.trim(&subject.log, ChunkSeq(11)).await.unwrap_err();
    assert!(matches!(error, TrimError::AboveTail { below: ChunkSeq(11), tail: ChunkSeq(10), .. }), "{error:?}");
    assert!(error.may_retry() && !error.may_have_happened(), "{error:?}");
    assert_eq!(subject.store.tail(&subject.log).await.unwrap().floor, ChunkSeq(0), "a refused trim drops nothing");
    assert_eq!(subject.store.trim(&subject.log, ChunkSeq(10)).await.unwrap(), ChunkSeq(10), "everything may go");
    assert_eq!(subject.read(ReadRange::all()).await.unwrap(), []);
}

async fn a_trimmed_log_is_taken_over_where_it_was(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..10).await;
    subject.await_tail(10).await;
    subject.store.trim(&subject.log, ChunkSeq(10)).await.unwrap();
    // Pitfall 20a: trimmed is not "never", a takeover does not cut the log at its own trim point.
    for round in 0..3 {
        let opened = subject.take_over().await;
        assert_eq!(opened.report.next_seq, ChunkSeq(10 + round), "trimmed seqs are not used again");
        assert_eq!(opened.report.floor, ChunkSeq(10));
        append(&opened.writer, chunk("b", round)).await.unwrap();
    }
    let expected: Vec<_> = (0..3).map(|number| chunk("b", number)).collect();
    subject.assert_holds(10, &expected).await;
}

async fn trims_of_old_segments_shorten_the_chain(subject: Subject) {
    let mut written = Vec::new();
    for round in 0..8 {
        let writer = subject.open().await.writer;
        written.extend(append_all(&writer, &format!("round {round}"), 0..4).await);
    }
    let segments = subject.store.inspect(&subject.log).await.unwrap().record.segments.len();
    assert!(segments >= 2, "eight writers left {segments} segments");
    subject.await_tail(32).await;
    subject.store.trim(&subject.log, ChunkSeq(30)).await.unwrap();
    let opened = subject.take_over().await;
    assert_eq!(opened.report.next_seq, ChunkSeq(32));
    let inspection = subject.store.inspect(&subject.log).await.unwrap();
    let first = &inspection.record.segments[0];
    assert!(first.base <= ChunkSeq(30) && first.end_seq().is_none_or(|end| end > ChunkSeq(30)), "{first:?}");
    subject.assert_holds(30, &written[30..]).await;
}

async fn trims_at_once_settle_at_the_highest(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..50).await;
    subject.await_tail(50).await;
    let trims = (0..=50).map(|below| {
        let subject = subject.clone();
        tokio::spawn(async move { (below, subject.store.trim(&subject.log, ChunkSeq(below)).await) })
    });
    for trim in join_all(trims).await {
        let (below, floor) = trim.unwrap();
        let floor = floor.unwrap_or_else(|error| panic!("trim to {below}: {error}"));
        assert!(floor >= ChunkSeq(below), "trim to {below} left the floor at {floor}");
    }
    assert_eq!(subject.store.tail(&subject.log).await.unwrap().floor, ChunkSeq(50));
}

async fn trimming_and_appending_go_together(subject: Subject) {
    let writer = Arc::new(subject.open().await.writer);
    let writing = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { append_all(&writer, "a", 0..300).await }
    });
    let mut floor = ChunkSeq(0);
    for _ in 0..20 {
        let below = subject.store.tail(&subject.log).await.unwrap().tail.minus(5);
        let raised = subject.store.trim(&subject.log, below).await.unwrap();
        assert!(raised >= floor && raised >= below);
        floor = raised;
        tokio::task::yield_now().await;
    }
    let written = writing.await.unwrap();
    subject.assert_holds(floor.0, &written[floor.0 as usize..]).await;
}
