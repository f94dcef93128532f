//! D1, D4: one write for everything that arrived, confirmed in order, marked when quiet.

use super::*;
use crate::store::pace::QUIET_US;
use crate::store::{StoreEffect, StoreEvent};
use quarry_protocol::batch::BatchKind;
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::limits::{BATCH_BYTES_SOFT_MAX, BATCH_ENTRIES_MAX, BATCHES_IN_FLIGHT_MAX};
use quarry_protocol::snapshot::{LogRecord, Record};

fn held() -> Driver {
    let mut driver = Driver::started(8);
    driver.hold = true;
    driver
}

#[test]
fn an_idle_shard_writes_at_once_and_a_busy_one_gathers() {
    let mut driver = held();
    driver.push_chunk(key(1, 0), 100);
    driver.run();
    let first = *driver.writes.first_key_value().expect("a write").0;
    for seq in 1..=10 {
        driver.push_chunk(key(1, seq), 100);
        driver.run();
    }
    assert_eq!(driver.writes.len(), 1, "small chunks wait while a batch is being written");
    driver.end(first, End::Done);
    driver.run();
    assert_eq!((driver.writes.len(), driver.confirmed), (1, 1));
    assert_eq!(driver.entries(first + 1).len(), 10, "all that waited is one batch");
    driver.hold = false;
    driver.finish();
}

#[test]
fn large_batches_are_written_side_by_side_up_to_a_bound() {
    let mut driver = held();
    for seq in 0..100 {
        driver.push_chunk(key(1, seq), 128 << 10);
        driver.run();
    }
    assert_eq!(driver.writes.len(), BATCHES_IN_FLIGHT_MAX);
    let large = driver.headers.iter().filter(|header| header.used > BATCH_BYTES_SOFT_MAX);
    assert_eq!(large.count(), 0, "no batch grows beyond the soft bound");
    driver.hold = false;
    driver.finish();
}

#[test]
fn a_batch_has_a_bounded_number_of_entries() {
    let mut driver = held();
    for seq in 0..=2 * BATCH_ENTRIES_MAX as u64 {
        driver.push_chunk(key(1, seq), 1);
    }
    driver.hold = false;
    driver.run();
    let entries: Vec<_> = driver.headers.iter().map(|header| header.entries as usize).collect();
    assert_eq!(entries, [BATCH_ENTRIES_MAX, BATCH_ENTRIES_MAX, 1]);
    driver.finish();
}

/// D4: confirmed, shown to readers, in the order of numbers only.
#[test]
fn batches_that_end_out_of_order_are_confirmed_in_order() {
    let mut driver = held();
    for seq in 0..3 {
        driver.push_chunk(key(1, seq), 300 << 10);
        driver.run();
    }
    let numbers: Vec<_> = driver.writes.keys().copied().collect();
    assert_eq!(numbers.len(), 3);
    for (at, confirmed) in [(2, 0), (1, 0), (0, 3)] {
        assert!(driver.read_back(&key(1, 2)).is_none(), "shown before it is confirmed");
        driver.end(numbers[at], End::Done);
        driver.run();
        assert_eq!(driver.confirmed, confirmed, "after batch {}", numbers[at]);
    }
    assert!((0..3).all(|seq| driver.read_back(&key(1, seq)).is_some()));
    driver.hold = false;
    driver.finish();
}

#[test]
fn control_entries_and_chunks_keep_their_order() {
    let mut driver = held();
    driver.push_chunk(key(1, 0), 10);
    driver.run();
    let record = Record::Log(LogRecord { log: log(2), floor: ChunkSeq(3), ..LogRecord::default() });
    driver.push_chunk(key(1, 1), 10);
    driver.push_record(record);
    driver.push_chunk(key(1, 2), 10);
    driver.hold = false;
    driver.run();
    assert_eq!(driver.confirmed, 4);
    driver.finish();
    let logs: Vec<LogId> = driver.store.small_state().iter().filter_map(of_log).map(|record| record.log).collect();
    assert_eq!(logs, [log(1), log(2)]);
}

fn of_log(record: &Record) -> Option<LogRecord> {
    match record {
        Record::Log(record) => Some(*record),
        _ => None,
    }
}

/// D4: without the mark, rot of the last batch would be taken for a torn write.
#[test]
fn a_quiet_shard_marks_its_last_batch_once() {
    let mut driver = Driver::started(8);
    driver.push_chunk(key(1, 0), 10);
    driver.run();
    let last = driver.headers.last().expect("a batch").number;
    driver.now = driver.now.plus(QUIET_US - 1);
    driver.store.handle(driver.now, StoreEvent::Tick);
    driver.run();
    assert_eq!(driver.headers.len(), 1, "not quiet yet");
    driver.tick();
    let mark = driver.headers.last().expect("a mark");
    assert_eq!((mark.kind, mark.entries, mark.confirmed), (BatchKind::Data, 0, last));
    driver.now = driver.now.plus(60_000_000);
    driver.settle();
    assert_eq!(driver.headers.len(), 2, "a mark is not marked again");
    driver.finish();
}

#[test]
fn a_mark_does_not_make_an_append_wait() {
    let mut driver = held();
    driver.push_chunk(key(1, 0), 10);
    driver.run();
    let number = *driver.writes.first_key_value().expect("a write").0;
    driver.end(number, End::Done);
    driver.tick();
    assert_eq!(driver.headers.last().expect("a mark").entries, 0);
    driver.push_chunk(key(1, 1), 10);
    driver.run();
    assert_eq!(driver.writes.len(), 2, "the append is written beside the mark");
    driver.hold = false;
    driver.finish();
}

#[test]
fn a_clean_stop_marks_without_waiting() {
    let mut driver = Driver::started(8);
    driver.push_chunk(key(1, 0), 10);
    driver.run();
    assert!(!driver.store.is_settled());
    driver.store.handle(driver.now, StoreEvent::Stop);
    driver.run();
    assert!(driver.store.is_settled());
    assert_eq!(driver.headers.last().expect("a mark").entries, 0);
}

#[test]
fn a_chunk_trimmed_on_its_way_is_dead_on_arrival() {
    let mut driver = held();
    driver.push_chunk(key(1, 0), 10);
    driver.run();
    driver.store.free(log(1), ChunkSeq(1));
    driver.hold = false;
    driver.run();
    assert_eq!((driver.confirmed, driver.store.locate(&key(1, 0))), (1, None));
    driver.finish();
    assert_eq!(driver.store.statistics().live_bytes, 0);
}

#[test]
fn nothing_is_due_in_the_past_once_all_is_done() {
    let mut driver = held();
    driver.push_chunk(key(1, 0), 10);
    driver.run();
    let at = driver.store.poll_timeout().expect("the bound of a slow write");
    assert!(at > driver.now, "a timeout that is due makes the loop spin");
    assert!(!matches!(driver.store.poll_effect(), Some(StoreEffect::Write { .. })));
}
