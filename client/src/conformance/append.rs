//! Appending: order, pipelining, bounds, sizes.

use super::subject::{Subject, append, append_all, chunk};
use crate::chunk_store::OpenOptions;
use crate::error::{AppendError, Fate};
use crate::log_writer::Receipt;
use bytes::Bytes;
use futures::future::join_all;
use quarry_protocol::ids::ChunkSeq;
use std::sync::Arc;
use std::time::{Duration, Instant};

super::list_cases![
    appends_come_back_in_order,
    appends_are_pipelined,
    a_receipt_says_where_the_time_went,
    chunks_of_every_size,
    empty_and_oversized_chunks_are_refused,
    a_chunk_above_the_window_is_refused,
    the_window_bounds_what_is_in_flight,
    try_append_never_waits,
    tasks_share_a_writer,
    a_dropped_append_is_still_made,
    a_dropped_writer_settles_its_appends,
    flush_and_close_wait_for_everything,
];

async fn appends_come_back_in_order(subject: Subject) {
    let opened = subject.open().await;
    assert!(opened.report.created, "the log is new");
    assert_eq!(opened.report.next_seq, ChunkSeq(0));
    let mut written = Vec::new();
    for number in 0..20 {
        assert_eq!(opened.writer.next_seq(), ChunkSeq(number));
        let receipt = append(&opened.writer, chunk("a", number)).await.unwrap();
        assert_eq!(receipt, Receipt { seq: ChunkSeq(number), epoch: opened.writer.epoch(), times: None });
        assert_eq!(opened.writer.tail(), ChunkSeq(number + 1));
        written.push(chunk("a", number));
    }
    subject.assert_holds(0, &written).await;
}

async fn appends_are_pipelined(subject: Subject) {
    let writer = subject.open().await.writer;
    let written = append_all(&writer, "a", 0..1000).await;
    subject.assert_holds(0, &written).await;
}

/// The stages of an append are its whole time, and no replica is told of that the log does not have.
async fn a_receipt_says_where_the_time_went(subject: Subject) {
    let writer = subject.open_with(OpenOptions { attribution: true, ..OpenOptions::default() }).await.writer;
    for depth in [1, 8] {
        let begun = Instant::now();
        let mut appends = Vec::new();
        for number in 0..depth {
            appends.push(writer.append(chunk("a", number)).await.unwrap());
        }
        for append in appends {
            let times = append.await.unwrap().times.expect("it was asked for");
            let passed = begun.elapsed();
            assert!(times.total() <= passed, "{times:?} of an append that took {passed:?} at most");
            assert!(times.network + times.device + times.node_queue + times.quorum > Duration::ZERO, "{times:?}");
            let zones: Vec<_> = times.replicas.iter().map(|replica| replica.zone.clone()).collect();
            let wanted: Vec<_> = writer.replicas().into_iter().map(|replica| replica.zone).collect();
            assert_eq!(zones, wanted);
            let deciders: Vec<_> = times.replicas.iter().filter(|replica| replica.decided).collect();
            assert!(deciders.len() == 1 && deciders[0].answered.is_some(), "{times:?}");
        }
    }
}

async fn chunks_of_every_size(subject: Subject) {
    let writer = subject.open().await.writer;
    let max = subject.store.capabilities().chunk_bytes_max as usize;
    let sizes = [1, 2, 95, 96, 4000, 4095, 4096, 4097, 65_535, 65_536, 1 << 20, max - 1, max];
    let written: Vec<_> = sizes.iter().map(|size| Bytes::from(vec![*size as u8; *size])).collect();
    for payload in &written {
        append(&writer, payload.clone()).await.unwrap();
    }
    subject.assert_holds(0, &written).await;
}

async fn empty_and_oversized_chunks_are_refused(subject: Subject) {
    let writer = subject.open().await.writer;
    let max = subject.store.capabilities().chunk_bytes_max as usize;
    for size in [0, max + 1] {
        let error = writer.append(Bytes::from(vec![1; size])).await.unwrap_err();
        assert!(matches!(error, AppendError::ChunkSize { got, .. } if got == size), "{error:?}");
        assert!(!error.may_retry() && !error.may_have_happened() && !error.is_final(), "{error:?}");
    }
    // The refusals took no seq, and the writer is as good as before.
    let receipt = append(&writer, chunk("a", 0)).await.unwrap();
    assert_eq!(receipt.seq, ChunkSeq(0));
}

async fn a_chunk_above_the_window_is_refused(subject: Subject) {
    let options = OpenOptions { window_bytes: Some(1000), ..OpenOptions::default() };
    let writer = subject.open_with(options).await.writer;
    let error = writer.append(Bytes::from(vec![1; 1001])).await.unwrap_err();
    assert!(matches!(error, AppendError::LargerThanWindow { got: 1001, window_bytes: 1000, .. }), "{error:?}");
    assert!(!error.may_retry() && !error.may_have_happened(), "{error:?}");
    append(&writer, Bytes::from(vec![1; 1000])).await.unwrap();
}

async fn the_window_bounds_what_is_in_flight(subject: Subject) {
    let options = OpenOptions { window_chunks: Some(4), window_bytes: Some(1000), ..OpenOptions::default() };
    let writer = subject.open_with(options).await.writer;
    let mut pending = Vec::new();
    for number in 0..200 {
        pending.push(writer.append(Bytes::from(vec![1; 300])).await.unwrap());
        // The tail is asked first: it only rises, so this never sees more in flight than there was.
        let (tail, next) = (writer.tail(), number + 1);
        assert!(next - tail.0 <= 3, "{next} appends with tail {tail}: 1000 bytes hold three chunks of 300");
    }
    for append in join_all(pending).await {
        append.unwrap();
    }
    let mut pending = Vec::new();
    for number in 200..400 {
        pending.push(writer.append(Bytes::from(vec![1; 1])).await.unwrap());
        let (tail, next) = (writer.tail(), number + 1);
        assert!(next - tail.0 <= 4, "{next} appends with tail {tail}: the window is four chunks");
    }
    for append in join_all(pending).await {
        append.unwrap();
    }
}

async fn try_append_never_waits(subject: Subject) {
    let options = OpenOptions { window_chunks: Some(2), ..OpenOptions::default() };
    let writer = subject.open_with(options).await.writer;
    let (mut written, mut pending) = (Vec::new(), Vec::new());
    for number in 0..100 {
        match writer.try_append(chunk("a", number)) {
            Ok(append) => {
                assert_eq!(append.seq().0, written.len() as u64, "a refused try_append takes no seq");
                written.push(chunk("a", number));
                pending.push(append);
            }
            Err(error) => {
                assert!(matches!(error, AppendError::NoRoom { window_chunks: 2, .. }), "{error:?}");
                assert!(error.may_retry() && !error.may_have_happened() && !error.is_final(), "{error:?}");
                writer.flush().await.unwrap();
            }
        }
    }
    for append in join_all(pending).await {
        append.unwrap();
    }
    subject.assert_holds(0, &written).await;
}

async fn tasks_share_a_writer(subject: Subject) {
    let options = OpenOptions { window_chunks: Some(5), ..OpenOptions::default() };
    let writer = Arc::new(subject.open_with(options).await.writer);
    let tasks = (0..8).map(|task| {
        let writer = Arc::clone(&writer);
        tokio::spawn(async move {
            let mut receipts = Vec::new();
            for number in 0..50 {
                let payload = chunk(&format!("task {task}"), number);
                receipts.push((append(&writer, payload.clone()).await.unwrap().seq, payload));
            }
            assert!(receipts.is_sorted_by_key(|(seq, _)| *seq), "one task's appends keep their order");
            receipts
        })
    });
    let mut receipts: Vec<_> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    receipts.sort_by_key(|(seq, _)| *seq);
    let written: Vec<_> = receipts.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(written.len(), 400);
    subject.assert_holds(0, &written).await;
}

async fn a_dropped_append_is_still_made(subject: Subject) {
    let writer = subject.open().await.writer;
    for number in 0..10 {
        drop(writer.append(chunk("a", number)).await.unwrap());
    }
    assert_eq!(writer.flush().await.unwrap(), ChunkSeq(10));
    let written: Vec<_> = (0..10).map(|number| chunk("a", number)).collect();
    subject.assert_holds(0, &written).await;
}

async fn a_dropped_writer_settles_its_appends(subject: Subject) {
    let writer = subject.open().await.writer;
    let mut pending = Vec::new();
    for number in 0..20 {
        pending.push(writer.append(chunk("a", number)).await.unwrap());
    }
    drop(writer);
    for (number, append) in join_all(pending).await.into_iter().enumerate() {
        assert_eq!(append.unwrap().seq, ChunkSeq(number as u64));
    }
    let reopened = subject.take_over().await;
    assert_eq!(reopened.report.next_seq, ChunkSeq(20));
}

async fn flush_and_close_wait_for_everything(subject: Subject) {
    let writer = subject.open().await.writer;
    assert_eq!(writer.flush().await.unwrap(), ChunkSeq(0), "nothing to wait for");
    let mut pending = Vec::new();
    for number in 0..50 {
        pending.push(writer.append(chunk("a", number)).await.unwrap());
    }
    assert_eq!(writer.flush().await.unwrap(), ChunkSeq(50));
    assert_eq!(writer.tail(), ChunkSeq(50));
    pending.push(writer.append(chunk("a", 50)).await.unwrap());
    assert_eq!(writer.close().await.unwrap(), ChunkSeq(51));
    for append in join_all(pending).await {
        append.unwrap();
    }
    let error = AppendError::NoRoom { log: String::new(), window_chunks: 1, window_bytes: 1 };
    assert_eq!(error.fate(), Fate::NeverStored);
}
