//! Names of logs, and what the store says of itself.

use super::subject::{Subject, append_all};
use crate::chunk_store::{OpenOptions, ReadOptions, ReadRange};
use crate::error::{DeleteError, InspectError, OpenError, ReadError, TailError, TrimError};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::LOG_NAME_BYTES_MAX;

super::list_cases![bad_names_are_refused, odd_names_are_names, capabilities_are_consistent];

async fn bad_names_are_refused(subject: Subject) {
    let store = &subject.store;
    let long = "x".repeat(LOG_NAME_BYTES_MAX + 1);
    for name in ["", ".", "..", "a\nb", "a\0", &long] {
        let error = store.open(name, OpenOptions::default()).await.unwrap_err();
        assert!(matches!(error, OpenError::BadName { .. }) && !error.may_retry(), "{name:?}: {error:?}");
        let error = store.read(name, ReadRange::all(), ReadOptions::default()).await.err().unwrap();
        assert!(matches!(error, ReadError::BadName { .. }) && !error.may_retry(), "{name:?}: {error:?}");
        let error = store.tail(name).await.unwrap_err();
        assert!(matches!(error, TailError::BadName { .. }) && !error.may_retry(), "{name:?}: {error:?}");
        let error = store.trim(name, ChunkSeq(0)).await.unwrap_err();
        assert!(matches!(error, TrimError::BadName { .. }) && !error.may_retry(), "{name:?}: {error:?}");
        let error = store.delete(name).await.unwrap_err();
        assert!(matches!(error, DeleteError::BadName { .. }) && !error.may_retry(), "{name:?}: {error:?}");
        let error = store.inspect(name).await.unwrap_err();
        assert!(matches!(error, InspectError::BadName { .. }) && !error.may_retry(), "{name:?}: {error:?}");
    }
}

async fn odd_names_are_names(subject: Subject) {
    let tag = &subject.log[subject.log.len() - 32..];
    let longest = format!("{tag}{}", "y".repeat(LOG_NAME_BYTES_MAX - tag.len()));
    for name in ["a/b", "a b", "../x", "é", "%2F", "CON", "a.tmp", "-", "A"].map(|odd| format!("{tag}{odd}")) {
        check_name(&subject, &name).await;
    }
    check_name(&subject, &longest).await;
    // Names that differ only in case are two names.
    let lower = Subject { store: subject.store.clone(), log: format!("{tag}a") };
    assert!(lower.open().await.report.created);
}

async fn check_name(subject: &Subject, name: &str) {
    let named = Subject { store: subject.store.clone(), log: name.to_owned() };
    let opened = named.open().await;
    assert!(opened.report.created, "{name:?} is a new log");
    assert_eq!(opened.writer.name(), name);
    let written = append_all(&opened.writer, name, 0..2).await;
    named.assert_holds(0, &written).await;
}

async fn capabilities_are_consistent(subject: Subject) {
    let can = subject.store.capabilities();
    assert!(can.chunk_bytes_preferred > 0 && can.chunk_bytes_preferred <= can.chunk_bytes_max, "{can:?}");
    assert!(can.ack_quorum >= 1 && can.ack_quorum <= can.replicas, "{can:?}");
    assert!(can.zones.is_empty() || can.zones.len() >= can.replicas, "a zone holds at most one replica: {can:?}");
}
