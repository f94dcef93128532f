//! D7: files come back, puts are refused only when live bytes say so, and service resumes by itself.

use super::*;
use crate::store::StoreEvent;
use crate::store::pace::{
    BACKGROUND_BURST_BYTES, BACKGROUND_BYTES_PER_SECOND, FILES_READY_AHEAD, FILL_BYTES, PREPARE_RETRY_US,
};
use quarry_protocol::limits::{FILE_BYTES_MIN, FILES_IN_RESERVE, FULL_PERCENT, FULL_RESUME_PERCENT};

const CHUNK: u32 = 256 << 10;

/// Puts one chunk and waits until it is confirmed, letting time pass for background work.
fn put_confirmed(driver: &mut Driver, number: u8, seq: u64, bytes: u32) {
    driver.put(key(number, seq), bytes);
    driver.run();
    for _ in 0..1000 {
        if driver.confirmed == driver.order {
            return;
        }
        driver.tick();
    }
    panic!("chunk {seq} of log {number} is stuck: {:?}", driver.store.statistics());
}

/// Pitfall 29, D7: one idle log must not pin the shard full while others turn over ten times its capacity.
#[test]
fn an_idle_log_survives_ten_times_the_capacity_and_no_put_is_refused() {
    for files in [5, 8] {
        let mut driver = Driver::started(files);
        put_confirmed(&mut driver, 9, 0, CHUNK);
        let total = 10 * u64::from(files) * FILE_BYTES_MIN / u64::from(CHUNK);
        for seq in 0..total {
            put_confirmed(&mut driver, 1, seq, CHUNK);
            if seq % 8 == 0 {
                // A second idle log, in every file.
                put_confirmed(&mut driver, 8, seq / 8, 100);
            }
            if seq >= 16 {
                driver.trim(1, seq - 16);
            }
        }
        assert_eq!(driver.refused, 0);
        assert!(driver.read_back(&key(9, 0)).is_some(), "the idle log's chunk is gone");
        assert!((0..total / 8).all(|seq| driver.read_back(&key(8, seq)).is_some()));
        assert!(driver.store.statistics().copied_files > 0, "nothing was copied: the test is too weak");
        driver.finish();
    }
}

/// The hardest case for copying: every file is as live as the bound allows, and stays so.
#[test]
fn a_shard_just_below_full_goes_on_for_ever() {
    for (files, bytes, logs) in [(5, 100_000, 7_u8), (6, 3 << 20, 3), (9, 1_000, 30)] {
        let mut driver = Driver::started(files);
        let mut next = vec![0_u64; usize::from(logs)];
        let mut floor = vec![0_u64; usize::from(logs)];
        let (mut step, mut written) = (0_u64, 0);
        let capacity = driver.store.capacity();
        while written < 4 * capacity {
            // Logs of very different pace, so that what is trimmed lies scattered.
            let slow = step % 11 == 0;
            let log = (step % if slow { u64::from(logs) } else { u64::from(logs.div_ceil(3)) }) as usize;
            let together = if bytes < 10_000 { 200 } else { 1 };
            for _ in 0..together {
                driver.put(key(log as u8, next[log]), bytes);
                next[log] += 1;
                written += u64::from(bytes) + 160;
            }
            put_confirmed(&mut driver, log as u8, next[log], bytes);
            next[log] += 1;
            while driver.store.live_bytes() * 100 > driver.store.capacity() * 82 {
                let longest = (0..next.len()).max_by_key(|log| next[*log] - floor[*log]).expect("a log");
                floor[longest] += together;
                driver.trim(longest as u8, floor[longest]);
            }
            step += 1;
        }
        assert_eq!(driver.refused, 0);
        assert!(driver.store.statistics().copied_files > 3, "{:?}", driver.store.statistics());
        driver.finish();
        for log in 0..next.len() {
            assert!((floor[log]..next[log]).all(|seq| driver.read_back(&key(log as u8, seq)).is_some()));
        }
    }
}

#[test]
fn puts_are_refused_above_85_percent_and_resume_at_80_by_themselves() {
    let mut driver = Driver::started(7);
    let mut seq = 0;
    while driver.store.fullness().is_none() {
        put_confirmed(&mut driver, 1, seq, CHUNK);
        seq += 1;
    }
    let (live, capacity) = driver.store.fullness().expect("full");
    let percent = |live: u64, capacity: u64| live * 100 / capacity;
    assert_eq!(percent(live, capacity), FULL_PERCENT);
    assert!(driver.read_back(&key(1, 0)).is_some(), "reads go on");
    let mut floor = 0;
    while driver.store.fullness().is_some() {
        floor += 1;
        driver.trim(1, floor);
    }
    let statistics = driver.store.statistics();
    assert_eq!(percent(statistics.live_bytes, statistics.capacity_bytes), FULL_RESUME_PERCENT - 1);
    assert_eq!(driver.refused, 0);
    put_confirmed(&mut driver, 1, seq, CHUNK);
    driver.finish();
}

/// Accepted is as good as stored, as far as room goes: a burst cannot overrun the bound while its writes are held.
#[test]
fn what_is_queued_counts_as_live() {
    let mut driver = Driver::started(5);
    driver.hold = true;
    let mut seq = 0;
    while driver.store.fullness().is_none() {
        driver.put(key(1, seq), CHUNK);
        seq += 1;
        assert!(u64::from(CHUNK) * seq < 5 * FILE_BYTES_MIN, "a burst overran the capacity");
    }
    driver.hold = false;
    driver.finish();
    assert_eq!(driver.confirmed, seq);
}

/// Pitfall 26, D7.
#[test]
fn a_file_is_not_reused_while_it_is_read() {
    let mut driver = Driver::started(6);
    put_confirmed(&mut driver, 1, 0, CHUNK);
    let pinned = driver.store.locate(&key(1, 0)).expect("confirmed").file;
    driver.store.pin(pinned);
    driver.store.pin(pinned);
    driver.pins.insert(pinned, 2);
    let mut seq = 1;
    let mut churn = |driver: &mut Driver, files: u64| {
        for _ in 0..files * FILE_BYTES_MIN / u64::from(CHUNK) {
            put_confirmed(driver, 1, seq, CHUNK);
            seq += 1;
            driver.trim(1, seq.saturating_sub(8));
        }
    };
    churn(&mut driver, 12);
    driver.store.unpin(pinned);
    driver.pins.insert(pinned, 1);
    churn(&mut driver, 12);
    assert!(!driver.headers.iter().skip(1).any(|header| header.file == pinned && header.position == 0));
    driver.store.unpin(pinned);
    driver.pins.remove(&pinned);
    churn(&mut driver, 12);
    let again = driver.headers.iter().filter(|header| header.file == pinned && header.position == 0).count();
    assert!(again > 0, "the file never came back");
    driver.finish();
}

/// D5: the driver checks every reuse against the newest confirmed snapshot; here those confirmations are held back.
#[test]
fn a_freed_file_waits_for_a_confirmed_snapshot_without_it() {
    let mut driver = Driver::started(5);
    let mut seq = 0;
    while driver.headers.iter().filter(|header| header.position == 0).count() < 12 {
        driver.hold = seq % 3 != 0;
        for _ in 0..6 {
            driver.push_chunk(key(1, seq), 2 << 20);
            seq += 1;
        }
        driver.run();
        // All but the oldest write end; nothing behind it is confirmed.
        for number in driver.writes.keys().copied().skip(1).collect::<Vec<_>>() {
            driver.end(number, End::Done);
            driver.run();
        }
        driver.hold = false;
        driver.run();
        driver.trim(1, seq - 1);
    }
    driver.finish();
}

#[test]
fn files_are_prepared_ahead_and_no_further() {
    let mut driver = Driver::started(50);
    let statistics = driver.store.statistics();
    let ahead = FILES_IN_RESERVE + FILES_READY_AHEAD as u64;
    assert_eq!((statistics.files, statistics.files_ready), (ahead + 1, ahead));
    assert_eq!(driver.fills.len() as u64 * u64::from(FILL_BYTES), (ahead + 1) * FILE_BYTES_MIN);
    driver.finish();
}

/// D2, pitfall 35: while appends go on, zeros are written at the budget's pace.
#[test]
fn preparation_yields_to_appends() {
    let mut driver = Driver::started(50);
    driver.fills.clear();
    let from = driver.now;
    for seq in 0..5_000 {
        driver.now = driver.now.plus(200);
        driver.push_chunk(key(1, seq), 16 << 10);
        driver.store.handle(driver.now, StoreEvent::Tick);
        driver.run();
    }
    let fills = driver.fills.len() as u64 * u64::from(FILL_BYTES);
    assert!(fills > 2 * FILE_BYTES_MIN, "{fills} bytes of zeros: the test is too weak");
    // In any 50 ms at most what 50 ms allow, and what may come at once.
    let allowed = (BACKGROUND_BYTES_PER_SECOND / 20 + BACKGROUND_BURST_BYTES).div_ceil(u64::from(FILL_BYTES)) + 1;
    for first in &driver.fills {
        let near = driver.fills.iter().filter(|at| *at >= first && at.since(*first) < 50_000).count() as u64;
        assert!(near <= allowed, "{near} steps in 50 ms, {allowed} allowed, {} us in", first.since(from));
    }
    driver.finish();
}

/// Pitfall 29: a file system that fills before the capacity is reached refuses puts, and heals by itself.
#[test]
fn a_file_system_that_is_full_refuses_puts_until_there_is_room() {
    let mut driver = Driver::new(20);
    driver.files_fit = 6;
    driver.run();
    let mut seq = 0;
    while driver.store.fullness().is_none() {
        put_confirmed(&mut driver, 1, seq, CHUNK);
        seq += 1;
    }
    let live = driver.store.live_bytes();
    assert!(live < 3 * FILE_BYTES_MIN, "{live} live bytes in 6 files, of which 3 are kept");
    assert!(driver.store.preparation_error().is_some_and(|why| why.contains("No space")));
    driver.trim(1, seq / 2);
    assert_eq!(driver.store.fullness(), None);
    for _ in 0..200 {
        put_confirmed(&mut driver, 1, seq, CHUNK);
        seq += 1;
        driver.trim(1, seq - 8);
    }
    assert_eq!(driver.refused, 0);
    driver.files_fit = 20;
    driver.now = driver.now.plus(PREPARE_RETRY_US);
    for _ in 0..400 {
        put_confirmed(&mut driver, 1, seq, CHUNK);
        seq += 1;
    }
    assert_eq!((driver.refused, driver.store.preparation_error()), (0, None));
    driver.finish();
}

#[test]
fn a_file_system_without_room_for_the_reserve_refuses_at_once() {
    let mut driver = Driver::new(20);
    driver.files_fit = 2;
    driver.run();
    assert!(driver.store.fullness().is_some());
    driver.trim(1, 5);
}
