//! D6: a write that fails, is short or takes too long ends the shard's promises, once and for ever.

use super::*;
use crate::store::StoreEvent;
use crate::store::pace::WRITE_US_MAX;

/// A store with three batches in flight and one chunk queued.
fn loaded() -> (Driver, Vec<u64>) {
    let mut driver = Driver::started(8);
    driver.hold = true;
    for seq in 0..3 {
        driver.push_chunk(key(1, seq), 300 << 10);
        driver.run();
    }
    driver.push_chunk(key(1, 3), 10);
    driver.run();
    let numbers = driver.writes.keys().copied().collect();
    (driver, numbers)
}

/// Pitfall 21: the batch that failed and everything after it is never confirmed, whatever happens to later writes.
fn nothing_more(mut driver: Driver, confirmed: u64) {
    driver.run();
    assert!(driver.failed.is_some(), "the disk did not fail");
    assert_eq!(driver.confirmed, confirmed);
    driver.push_chunk(key(1, 4), 10);
    driver.run();
    for number in driver.writes.keys().copied().collect::<Vec<_>>() {
        driver.end(number, End::Done);
        driver.run();
    }
    assert_eq!(driver.confirmed, confirmed, "confirmed after a failure");
    assert_eq!(driver.store.poll_timeout(), None);
    assert!(driver.store.failed().is_some() && driver.store.is_settled());
    driver.finish();
}

#[test]
fn a_write_error_fails_the_disk() {
    let (mut driver, numbers) = loaded();
    driver.end(numbers[0], End::Done);
    driver.end(numbers[1], End::Error);
    nothing_more(driver, 1);
}

#[test]
fn a_short_write_fails_the_disk() {
    let (mut driver, numbers) = loaded();
    driver.end(numbers[2], End::Short);
    driver.run();
    assert!(driver.failed.as_deref().is_some_and(|why| why.contains("bytes were written")), "{:?}", driver.failed);
    nothing_more(driver, 0);
}

#[test]
fn a_write_that_takes_too_long_fails_the_disk() {
    let (mut driver, numbers) = loaded();
    driver.end(numbers[1], End::Done);
    driver.run();
    let from = driver.now;
    while driver.failed.is_none() {
        driver.tick();
        assert!(driver.now.since(from) <= WRITE_US_MAX, "a write may take for ever");
    }
    assert_eq!(driver.now.since(from), WRITE_US_MAX);
    nothing_more(driver, 0);
}

/// DESIGN section 6, paused node: the clock runs on, but the disk was not slow.
#[test]
fn a_pause_of_the_process_is_not_taken_for_a_slow_disk() {
    let (mut driver, _) = loaded();
    driver.now = driver.now.plus(100 * WRITE_US_MAX);
    driver.store.handle(driver.now, StoreEvent::Tick);
    driver.hold = false;
    driver.run();
    assert_eq!((driver.confirmed, driver.failed.as_deref()), (4, None));
    driver.finish();
}

#[test]
fn an_error_behind_an_unfinished_batch_fails_too() {
    let (mut driver, numbers) = loaded();
    driver.end(numbers[2], End::Error);
    driver.end(numbers[0], End::Done);
    nothing_more(driver, 0);
}

#[test]
fn writes_not_begun_are_withdrawn() {
    let mut driver = Driver::started(8);
    driver.hold = true;
    driver.push_chunk(key(1, 0), 300 << 10);
    driver.run();
    let number = *driver.writes.first_key_value().expect("a write").0;
    driver.push_chunk(key(1, 1), 300 << 10);
    // The second write is decided, but nobody has taken it yet.
    assert!(driver.store.write_next());
    driver.end(number, End::Error);
    nothing_more(driver, 0);
}

#[test]
fn what_was_confirmed_is_still_read() {
    let (mut driver, numbers) = loaded();
    driver.end(numbers[0], End::Done);
    driver.end(numbers[1], End::Error);
    driver.run();
    assert!(driver.read_back(&key(1, 0)).is_some());
    assert!(driver.read_back(&key(1, 2)).is_none());
}
