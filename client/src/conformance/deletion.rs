//! Deleting and listing: what is gone is gone, and its name may be used again for another log.

use super::subject::{Subject, append, append_all, chunk};
use crate::chunk_store::{CreateMode, OpenOptions, ReadRange};
use crate::error::{AppendError, Fate, OpenError, ReadError};
use quarry_protocol::ids::ChunkSeq;

super::list_cases![
    a_deleted_log_is_gone,
    a_deletion_ends_the_writer,
    a_log_made_again_is_another_log,
    deleting_twice_succeeds,
    listing_goes_by_prefix,
];

async fn a_deleted_log_is_gone(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..10).await;
    drop(writer);
    let deleted = subject.store.delete(&subject.log).await.unwrap();
    assert!(deleted.unreached.is_empty(), "{deleted:?}");
    let error = subject.read(ReadRange::all()).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound { .. }), "{error:?}");
    assert!(subject.store.tail(&subject.log).await.is_err());
    assert!(subject.store.inspect(&subject.log).await.is_err());
    assert!(subject.store.trim(&subject.log, ChunkSeq(0)).await.is_err());
    assert_eq!(subject.store.list(&subject.log).await.unwrap(), [] as [&str; 0]);
    let error = subject.store.open(&subject.log, OpenOptions::with_create(CreateMode::Never)).await.unwrap_err();
    assert!(matches!(error, OpenError::NotFound { .. }), "{error:?}");
}

async fn a_deletion_ends_the_writer(subject: Subject) {
    let writer = subject.open().await.writer;
    append_all(&writer, "a", 0..10).await;
    subject.store.delete(&subject.log).await.unwrap();
    // Pitfall 11: a write after a deletion does not bring the log back.
    for _ in 0..3 {
        let error = append(&writer, chunk("a", 10)).await.unwrap_err();
        let told = matches!(error, AppendError::LogDeleted { .. } | AppendError::Fenced { .. });
        assert!(told && error.is_final() && !error.may_retry(), "{error:?}");
    }
    assert_eq!(append(&writer, chunk("a", 10)).await.unwrap_err().fate(), Fate::NeverStored);
    assert_eq!(subject.store.list(&subject.log).await.unwrap(), [] as [&str; 0]);
}

async fn a_log_made_again_is_another_log(subject: Subject) {
    let mut ids = std::collections::BTreeSet::new();
    for round in 0..4 {
        let opened = subject.open_with(OpenOptions::with_create(CreateMode::MustBeNew)).await;
        assert!(opened.report.created);
        assert!(ids.insert(opened.report.log), "round {round}: an identity is never used twice");
        assert_eq!((opened.report.next_seq, opened.report.floor), (ChunkSeq(0), ChunkSeq(0)), "round {round}");
        let written = append_all(&opened.writer, &format!("round {round}"), 0..5 + round).await;
        subject.assert_holds(0, &written).await;
        subject.store.delete(&subject.log).await.unwrap();
        assert!(append(&opened.writer, chunk("late", 0)).await.is_err());
    }
}

async fn deleting_twice_succeeds(subject: Subject) {
    drop(subject.open().await);
    for _ in 0..2 {
        let deleted = subject.store.delete(&subject.log).await.unwrap();
        assert!(deleted.unreached.is_empty(), "{deleted:?}");
    }
    assert!(subject.open().await.report.created);
}

async fn listing_goes_by_prefix(subject: Subject) {
    let prefix = format!("{}/", subject.log);
    let names = ["b", "a/1", "a/2", "a b ? # % é"].map(|name| format!("{prefix}{name}"));
    for name in &names {
        subject.store.open(name, OpenOptions::default()).await.unwrap();
    }
    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(subject.store.list(&prefix).await.unwrap(), sorted);
    assert_eq!(subject.store.list(&format!("{prefix}a/")).await.unwrap(), [names[1].clone(), names[2].clone()]);
    assert_eq!(subject.store.list(&format!("{prefix}none")).await.unwrap(), [] as [&str; 0]);
    subject.store.delete(&names[1]).await.unwrap();
    assert_eq!(subject.store.list(&format!("{prefix}a/")).await.unwrap(), [names[2].clone()]);
}
