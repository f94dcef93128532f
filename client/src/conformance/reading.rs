//! Reading: ranges, bounds, following, the tail.

use super::subject::{Subject, append, append_all, chunk};
use crate::chunk_store::{CreateMode, OpenOptions, ReadOptions, ReadRange};
use crate::error::{DeleteError, InspectError, OpenError, ReadError, TailError, TrimError};
use futures::StreamExt;
use futures::future::join_all;
use quarry_protocol::ids::ChunkSeq;
use std::sync::Arc;

super::list_cases![
    ranges_are_half_open,
    reads_outside_the_log_say_where_it_is,
    an_unknown_log_is_not_found,
    following_sees_what_is_appended,
    following_goes_on_across_takeovers,
    readers_share_a_log,
    the_tail_is_a_lower_bound,
    inspect_shows_every_replica,
];

async fn ranges_are_half_open(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..20).await;
    subject.await_tail(20).await;
    for (from, to) in [(0, 20), (0, 1), (5, 9), (19, 20), (7, 7), (20, 20)] {
        let chunks = subject.read(ReadRange::between(ChunkSeq(from), ChunkSeq(to))).await.unwrap();
        let seqs: Vec<_> = chunks.iter().map(|chunk| chunk.seq.0).collect();
        assert_eq!(seqs, (from..to).collect::<Vec<_>>(), "{from}..{to}");
        assert!(chunks.iter().all(|read| read.payload == chunk("a", read.seq.0)), "{from}..{to}");
    }
    let chunks = subject.read(ReadRange::starting_at(ChunkSeq(15))).await.unwrap();
    assert_eq!(chunks.len(), 5);
    assert_eq!(subject.read(ReadRange { from: None, to: Some(ChunkSeq(3)) }).await.unwrap().len(), 3);
}

async fn reads_outside_the_log_say_where_it_is(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..10).await;
    subject.await_tail(10).await;
    assert_eq!(subject.read(ReadRange::starting_at(ChunkSeq(10))).await.unwrap(), [], "the tail itself is no error");
    let error = subject.read(ReadRange::starting_at(ChunkSeq(11))).await.unwrap_err();
    assert!(matches!(error, ReadError::AboveTail { seq: ChunkSeq(11), tail: ChunkSeq(10), .. }), "{error:?}");
    assert!(error.may_retry() && !error.may_have_happened(), "{error:?}");
    // A range that reaches too far gives what there is, then says so.
    let range = ReadRange::between(ChunkSeq(8), ChunkSeq(12));
    let mut stream = subject.store.read(&subject.log, range, ReadOptions::default()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().seq, ChunkSeq(8));
    assert_eq!(stream.next().await.unwrap().unwrap().seq, ChunkSeq(9));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ReadError::AboveTail { tail: ChunkSeq(10), .. }), "{error:?}");
    assert!(stream.next().await.is_none(), "after an error the stream is over");
    let error = subject.read(ReadRange::between(ChunkSeq(5), ChunkSeq(4))).await.unwrap_err();
    assert!(matches!(error, ReadError::BadRange { .. }), "{error:?}");
    assert!(!error.may_retry() && !error.may_have_happened(), "{error:?}");
    assert_eq!(subject.store.trim(&subject.log, ChunkSeq(4)).await.unwrap(), ChunkSeq(4));
    let error = subject.read(ReadRange::starting_at(ChunkSeq(3))).await.unwrap_err();
    assert!(matches!(error, ReadError::Trimmed { seq: ChunkSeq(3), floor: ChunkSeq(4), .. }), "{error:?}");
    assert!(!error.may_retry() && !error.may_have_happened(), "{error:?}");
}

async fn an_unknown_log_is_not_found(subject: Subject) {
    let (store, log) = (&subject.store, &subject.log);
    let error = subject.read(ReadRange::all()).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound { .. }) && !error.may_retry(), "{error:?}");
    let error = store.tail(log).await.unwrap_err();
    assert!(matches!(error, TailError::NotFound { .. }) && !error.may_retry(), "{error:?}");
    let error = store.trim(log, ChunkSeq(0)).await.unwrap_err();
    assert!(matches!(error, TrimError::NotFound { .. }) && !error.may_retry(), "{error:?}");
    let error = store.delete(log).await.unwrap_err();
    assert!(matches!(error, DeleteError::NotFound { .. }) && !error.may_retry(), "{error:?}");
    let error = store.inspect(log).await.unwrap_err();
    assert!(matches!(error, InspectError::NotFound { .. }) && !error.may_retry(), "{error:?}");
    let error = store.open(log, OpenOptions::with_create(CreateMode::Never)).await.unwrap_err();
    assert!(matches!(error, OpenError::NotFound { .. }) && !error.may_retry(), "{error:?}");
    assert!(!store.list("").await.unwrap().contains(log), "asking makes no log");
}

async fn following_sees_what_is_appended(subject: Subject) {
    let writer = subject.open().await.writer;
    let following = ReadOptions::following();
    let mut stream = subject.store.read(&subject.log, ReadRange::all(), following.clone()).await.unwrap();
    for number in 0..10 {
        append(&writer, chunk("a", number)).await.unwrap();
        let read = stream.next().await.unwrap().unwrap();
        assert_eq!((read.seq, read.payload), (ChunkSeq(number), chunk("a", number)));
    }
    // A follower with an end stops there, also if it starts above the tail.
    let range = ReadRange::between(ChunkSeq(12), ChunkSeq(14));
    let bounded = subject.store.read(&subject.log, range, following).await.unwrap();
    append_all(&writer, "a", 10..20).await;
    let seqs: Vec<_> = bounded.map(|read| read.unwrap().seq.0).collect().await;
    assert_eq!(seqs, [12, 13]);
}

async fn following_goes_on_across_takeovers(subject: Subject) {
    let first = subject.open().await.writer;
    let following = ReadOptions::following();
    let mut stream = subject.store.read(&subject.log, ReadRange::all(), following).await.unwrap();
    append_all(&first, "first", 0..5).await;
    for number in 0..5 {
        assert_eq!(stream.next().await.unwrap().unwrap().payload, chunk("first", number));
    }
    for round in 0..3 {
        let next = subject.take_over().await.writer;
        let name = format!("round {round}");
        append_all(&next, &name, 0..5).await;
        for number in 0..5 {
            let read = stream.next().await.unwrap().unwrap();
            assert_eq!((read.seq.0, read.payload), (5 + 5 * round + number, chunk(&name, number)));
        }
    }
}

async fn readers_share_a_log(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..300).await;
    subject.await_tail(300).await;
    let readers = (0..8).map(|reader| {
        let subject = subject.clone();
        tokio::spawn(async move {
            let chunks = subject.read(ReadRange::starting_at(ChunkSeq(reader * 30))).await.unwrap();
            assert_eq!(chunks.len() as u64, 300 - reader * 30);
            assert!(chunks.iter().all(|read| read.payload == chunk("a", read.seq.0)));
        })
    });
    for reader in join_all(readers).await {
        reader.unwrap();
    }
}

async fn the_tail_is_a_lower_bound(subject: Subject) {
    let opened = subject.open().await;
    let tail = subject.store.tail(&subject.log).await.unwrap();
    assert_eq!((tail.log, tail.floor, tail.tail), (opened.report.log, ChunkSeq(0), ChunkSeq(0)));
    let writer = Arc::new(opened.writer);
    let writing = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { append_all(&writer, "a", 0..500).await }
    });
    let mut last = ChunkSeq(0);
    for _ in 0..50 {
        let tail = subject.store.tail(&subject.log).await.unwrap().tail;
        // Every chunk below the tail can be read, whatever the writer knows by now.
        assert!(tail <= writer.next_seq(), "tail {tail} above what was appended");
        if tail > last {
            let newest = subject.read(ReadRange::between(tail.minus(1), tail)).await.unwrap();
            assert_eq!(newest[0].payload, chunk("a", tail.0 - 1));
        }
        last = last.max(tail);
        tokio::task::yield_now().await;
    }
    let written = writing.await.unwrap();
    // Asking for the tail fenced nobody.
    append(&writer, chunk("a", 500)).await.unwrap();
    subject.await_tail(written.len() as u64 + 1).await;
}

async fn inspect_shows_every_replica(subject: Subject) {
    let opened = subject.open().await;
    append_all(&opened.writer, "a", 0..10).await;
    subject.await_tail(10).await;
    let inspection = subject.store.inspect(&subject.log).await.unwrap();
    assert_eq!(inspection.record.log, opened.report.log);
    assert_eq!(inspection.record.epoch, opened.report.epoch);
    assert_eq!(inspection.tail, Some(ChunkSeq(10)));
    let segment = inspection.segments.last().unwrap();
    assert_eq!(segment.segment.id, opened.report.segment);
    assert_eq!(segment.replicas.len(), subject.store.capabilities().replicas);
    let answered = segment.replicas.iter().filter(|replica| replica.answer.is_ok()).count();
    assert!(answered >= subject.store.capabilities().ack_quorum, "{:?}", segment.replicas);
}
