//! What every register must do, as cases that run against any of them. Each panics where the register fails; names
//! are made from `prefix`, so that a shared register can be tested.

use super::{Register, RegisterError, SwapError};
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, OwnerId, SegmentId};
use quarry_protocol::limits::{LOG_NAME_BYTES_MAX, WINDOW_BYTES_DEFAULT, WINDOW_CHUNKS_DEFAULT};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version, Window};
use std::sync::Arc;

/// Runs every case.
pub async fn run(register: Arc<dyn Register>, prefix: &str) {
    what_was_stored_is_read_back(&*register, prefix).await;
    a_change_needs_the_record_as_read(&*register, prefix).await;
    names_do_not_touch_each_other(&*register, prefix).await;
    bad_names_and_records_are_refused(&*register, prefix).await;
    listing_finds_every_name(&*register, prefix).await;
    racing_writers_lose_no_change(register, prefix).await;
}

/// A record of `name` at `epoch`, with a segment, so that it looks like one in use.
#[must_use]
pub fn sample(name: &str, epoch: u64) -> LogRecord {
    let mut record = LogRecord::new(name, LogId([7; 16]));
    record.epoch = Epoch(epoch);
    record.number = quarry_protocol::ids::RecordNumber(epoch);
    record.owner = OwnerId([9; 16]);
    record.segments.push(Segment {
        id: SegmentId { epoch: Epoch(1), index: 0 },
        base: ChunkSeq(0),
        end: SegmentEnd::Open,
        replicas: vec![ReplicaRef { disk: DiskId([1; 16]), address: "127.0.0.1:1".into(), zone: "a".into() }],
        ack_quorum: 1,
        window: Window { chunks: WINDOW_CHUNKS_DEFAULT, bytes: WINDOW_BYTES_DEFAULT },
    });
    record
}

/// Adds one to the epoch of `name`'s record, which must be there, however many others do the same. Returns how many
/// conflicts it met.
pub async fn raise_epoch(register: &dyn Register, name: &str) -> u32 {
    // Everybody who conflicts lost to somebody who got on, so this ends.
    for conflicts in 0..100_000 {
        let (version, mut record) = register.read(name).await.expect("reads").expect("is there");
        record.epoch = record.epoch.next();
        record.number = record.number.next();
        match register.compare_and_swap(Some(&version), &record).await {
            Ok(_) => return conflicts,
            Err(SwapError::Conflict) => tokio::task::yield_now().await,
            Err(why) => panic!("{name}: {why}"),
        }
    }
    panic!("{name}: 100000 conflicts in a row");
}

async fn what_was_stored_is_read_back(register: &dyn Register, prefix: &str) {
    let name = format!("{prefix}stored");
    assert_eq!(register.read(&name).await, Ok(None), "nothing is stored yet");
    let record = sample(&name, 1);
    let created = register.compare_and_swap(None, &record).await.expect("creates");
    assert_eq!(register.read(&name).await, Ok(Some((created.clone(), record))));
    let record = sample(&name, 2);
    let changed = register.compare_and_swap(Some(&created), &record).await.expect("changes");
    assert_ne!(created, changed, "another record has another version");
    assert_eq!(register.read(&name).await, Ok(Some((changed, record))));
}

async fn a_change_needs_the_record_as_read(register: &dyn Register, prefix: &str) {
    let name = format!("{prefix}compared");
    let never = Version(b"never".to_vec());
    let absent = register.compare_and_swap(Some(&never), &sample(&name, 1)).await;
    assert_eq!(absent, Err(SwapError::Conflict), "a change of what is not there");
    let first = register.compare_and_swap(None, &sample(&name, 1)).await.expect("creates");
    let again = register.compare_and_swap(None, &sample(&name, 3)).await;
    assert_eq!(again, Err(SwapError::Conflict), "a second creation");
    let second = register.compare_and_swap(Some(&first), &sample(&name, 2)).await.expect("changes");
    for stale in [&first, &never] {
        let swapped = register.compare_and_swap(Some(stale), &sample(&name, 3)).await;
        assert_eq!(swapped, Err(SwapError::Conflict), "a change of what is no longer there");
    }
    assert_eq!(register.read(&name).await, Ok(Some((second, sample(&name, 2)))), "a conflict changes nothing");
}

fn odd_names(prefix: &str) -> Vec<String> {
    let longest = LOG_NAME_BYTES_MAX - prefix.len();
    let mut names: Vec<String> = [
        "a", "A", "a/b", "a%2fb", "a\\b", "../up", "a.log", "a.d", ".hidden", "a ", "\u{e9}", "e\u{301}", "日本",
        "*?\"<>|:",
    ]
    .iter()
    .map(|name| format!("{prefix}{name}"))
    .collect();
    names.push(format!("{prefix}{}", "x".repeat(longest)));
    names.push(format!("{prefix}{}", "X".repeat(longest)));
    names.push(format!("{prefix}{}y", "X".repeat(longest - 1)));
    names.push(format!("{prefix}{}", "/".repeat(longest)));
    names
}

async fn names_do_not_touch_each_other(register: &dyn Register, prefix: &str) {
    let names = odd_names(prefix);
    for (name, epoch) in names.iter().zip(1..) {
        register.compare_and_swap(None, &sample(name, epoch)).await.unwrap_or_else(|why| panic!("{name:?}: {why}"));
    }
    for (name, epoch) in names.iter().zip(1..) {
        let (_, record) = register.read(name).await.unwrap_or_else(|why| panic!("{name:?}: {why}")).expect("is there");
        assert_eq!((record.name.as_str(), record.epoch), (name.as_str(), Epoch(epoch)));
    }
}

async fn bad_names_and_records_are_refused(register: &dyn Register, prefix: &str) {
    let too_long = "x".repeat(LOG_NAME_BYTES_MAX + 1);
    for name in ["", ".", "..", "a\nb", "a\0b", &too_long] {
        assert!(matches!(register.read(name).await, Err(RegisterError::Name { .. })), "read of {name:?}");
        let swapped = register.compare_and_swap(None, &sample(name, 1)).await;
        assert!(matches!(swapped, Err(SwapError::Failed(_))), "swap of {name:?}: {swapped:?}");
    }
    let name = format!("{prefix}contradiction");
    let mut record = sample(&name, 1);
    record.segments[0].ack_quorum = 2;
    let swapped = register.compare_and_swap(None, &record).await;
    assert!(matches!(swapped, Err(SwapError::Failed(RegisterError::Record(_)))), "{swapped:?}");
    assert_eq!(register.read(&name).await, Ok(None), "what is refused is not stored");
}

async fn listing_finds_every_name(register: &dyn Register, prefix: &str) {
    let under = format!("{prefix}list/");
    let mut expected: Vec<String> = odd_names(&under);
    for name in &expected {
        let mut record = sample(name, 1);
        // A tombstone is listed like everything else: what it means is not the register's business.
        record.deleted = name.ends_with('a');
        register.compare_and_swap(None, &record).await.unwrap_or_else(|why| panic!("{name:?}: {why}"));
    }
    register.compare_and_swap(None, &sample(&format!("{prefix}lis"), 1)).await.expect("creates");
    expected.sort_unstable();
    assert_eq!(register.list(&under).await.expect("lists"), expected);
    assert_eq!(register.list(&format!("{under}nothing begins like this")).await, Ok(Vec::new()));
}

/// Pitfall 15's foundation: every change compares the whole record, so none is lost.
async fn racing_writers_lose_no_change(register: Arc<dyn Register>, prefix: &str) {
    const WRITERS: u64 = 4;
    const CHANGES: u64 = 25;
    let name = format!("{prefix}raced");
    register.compare_and_swap(None, &sample(&name, 1)).await.expect("creates");
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (register, name) = (Arc::clone(&register), name.clone());
            tokio::spawn(async move {
                for _ in 0..CHANGES {
                    raise_epoch(&*register, &name).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer failed");
    }
    let (_, record) = register.read(&name).await.expect("reads").expect("is there");
    assert_eq!(record.epoch, Epoch(1 + WRITERS * CHANGES), "every change counts once");
}
