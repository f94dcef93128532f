//! D7, D6, P13: what lives in a nearly dead file is verified and stored again; what cannot be read is reported.

use super::*;
use crate::store::Place;
use crate::store::pace::COPY_SEARCH_PAGES;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FILE_BYTES_MIN};

const CHUNK: u32 = 1 << 20;

/// Log 9 has a few chunks in the first file, between those of log 1, which are trimmed as they come.
fn with_idle_log() -> Driver {
    let mut driver = Driver::started(6);
    for seq in 0..6 {
        driver.push_chunk(key(9, seq), 10_000);
        driver.push_chunk(key(1, seq), 100_000);
        driver.run();
    }
    driver
}

fn churn(driver: &mut Driver, from: u64, files: u64) {
    for seq in from..from + files * FILE_BYTES_MIN / u64::from(CHUNK) {
        driver.push_chunk(key(1, seq), CHUNK);
        driver.run();
        for _ in 0..20 {
            driver.tick();
        }
        assert_eq!(driver.confirmed, driver.order, "stuck at {seq}: {:?}", driver.store.statistics());
        driver.trim(1, seq);
    }
}

fn places(driver: &Driver) -> Vec<Place> {
    (0..6).map(|seq| driver.store.locate(&key(9, seq)).expect("a live chunk")).collect()
}

#[test]
fn live_chunks_move_and_their_file_comes_back() {
    let mut driver = with_idle_log();
    let before = places(&driver);
    churn(&mut driver, 6, 8);
    let after = places(&driver);
    assert!(before.iter().all(|old| after.iter().all(|new| new.file != old.file || new.position != old.position)));
    for seq in 0..6 {
        driver.read_back(&key(9, seq));
    }
    let opened = driver.headers.iter().filter(|header| header.file == before[0].file && header.position == 0);
    assert!(opened.count() > 0, "the emptied file was not reused");
    driver.finish();
}

/// DESIGN section 6, bit rot in payload: reported, never copied, never deleted; its neighbours are copied all the same.
#[test]
fn a_rotten_chunk_is_reported_lost_and_its_file_is_kept() {
    for byte in [0, 50, CHUNK_HEADER_BYTES + 5] {
        let mut driver = with_idle_log();
        let rotten = places(&driver)[2];
        let file = driver.files.get_mut(&rotten.file).expect("the first file");
        file[rotten.position as usize + byte] ^= 4;
        churn(&mut driver, 6, 8);
        assert_eq!(driver.lost, [ChunkSeq(2)]);
        assert_eq!(driver.store.locate(&key(9, 2)), Some(rotten), "quarantined, not deleted");
        for seq in [0, 1, 3, 4, 5] {
            assert_ne!(driver.store.locate(&key(9, seq)).map(|place| place.file), Some(rotten.file));
            driver.read_back(&key(9, seq));
        }
        let reused = driver.headers.iter().any(|header| header.file == rotten.file && header.position == 0);
        assert!(!reused, "the file with the lost chunk was overwritten");
        // Once the loss is trimmed, nothing keeps the file.
        driver.trim(9, 3);
        churn(&mut driver, 1000, 8);
        assert!(driver.headers.iter().any(|header| header.file == rotten.file && header.position == 0));
        driver.finish();
    }
}

/// A chunk that is another's copy, byte for byte, is still not the one that was asked for.
#[test]
fn a_misdirected_chunk_is_reported_lost() {
    let mut driver = with_idle_log();
    let places = places(&driver);
    let bytes = CHUNK_HEADER_BYTES + places[1].length as usize;
    let file = driver.files.get_mut(&places[1].file).expect("the first file");
    let (from, to) = (places[1].position as usize, places[4].position as usize);
    let other = file[from..from + bytes].to_vec();
    file[to..to + bytes].copy_from_slice(&other);
    churn(&mut driver, 6, 8);
    assert_eq!(driver.lost, [ChunkSeq(4)]);
    driver.finish();
}

/// D7: a file whose only live chunk is lost cannot be emptied. The next emptiest one is, and service goes on.
#[test]
fn a_file_that_cannot_be_emptied_does_not_keep_the_others() {
    let mut driver = Driver::started(5);
    // Every start opens a fresh file, and none of them gets to copying.
    for number in [7, 8, 9] {
        driver.hold_reads = true;
        driver.push_chunk(key(number, 0), 1000 * u32::from(number));
        driver.run();
        // A mark covers it.
        driver.wait(10_000);
        if number == 7 {
            let place = driver.store.locate(&key(7, 0)).expect("just stored");
            driver.files.get_mut(&place.file).expect("its file")[place.position as usize + CHUNK_HEADER_BYTES] ^= 1;
        }
        driver = driver.restarted();
    }
    driver.run();
    driver.push_chunk(key(1, 0), 1000);
    for _ in 0..100 {
        driver.run();
        driver.wait(100_000);
    }
    assert_eq!(driver.confirmed, driver.order, "a put waits for ever: {:?}", driver.store.statistics());
    assert_eq!(driver.store.statistics().files_set_aside, 1);
    driver.finish();
}

/// D6: a read error is tried once more, each chunk on its own, so that one bad sector costs one chunk.
#[test]
fn a_read_error_costs_the_chunk_it_hits() {
    let mut driver = with_idle_log();
    let bad = places(&driver)[3];
    driver.unreadable.insert((bad.file, u64::from(bad.position) + 5000));
    churn(&mut driver, 6, 8);
    assert_eq!(driver.lost, [ChunkSeq(3)]);
    driver.finish();
}

#[test]
fn a_read_error_that_goes_away_costs_nothing() {
    let mut driver = with_idle_log();
    let bad = places(&driver)[3];
    driver.unreadable.insert((bad.file, u64::from(bad.position) + 5000));
    driver.hold_reads = true;
    let mut seq = 6;
    while driver.reads.is_empty() {
        churn(&mut driver, seq, 1);
        seq += FILE_BYTES_MIN / u64::from(CHUNK);
    }
    driver.end_read(0);
    driver.unreadable.clear();
    driver.hold_reads = false;
    driver.run();
    churn(&mut driver, seq, 8);
    assert!(driver.lost.is_empty());
    driver.finish();
}

/// What is trimmed while its copy is on the way stays trimmed.
#[test]
fn a_chunk_trimmed_during_its_copy_does_not_come_back() {
    let mut driver = with_idle_log();
    driver.hold_reads = true;
    let mut seq = 6;
    while driver.reads.is_empty() {
        churn(&mut driver, seq, 1);
        seq += FILE_BYTES_MIN / u64::from(CHUNK);
    }
    driver.hold = true;
    driver.end_read(0);
    while let Some(effect) = driver.store.poll_effect() {
        // Only the copies are left to be written.
        driver.perform(effect);
    }
    assert!(!driver.writes.is_empty(), "the copies are on their way");
    driver.store.free(log(9), ChunkSeq(6));
    (driver.hold, driver.hold_reads) = (false, false);
    driver.finish();
    assert!((0..6).all(|seq| driver.store.locate(&key(9, seq)).is_none()));
    churn(&mut driver, seq, 8);
    driver.finish();
}

/// D2, D7: an index too large for one look, and a file with more to copy than the budget lets go at once. Chunks that were
/// found wait for the budget longer than the search does, and all that time nothing is due: [`Driver::wait`] checks it.
#[test]
fn a_paced_copy_of_many_small_chunks_waits_for_its_budget() {
    const SMALL: u64 = 1000;
    let mut driver = Driver::started(8);
    let (mut small, mut large) = (0, 0);
    let mut put_large = |driver: &mut Driver| {
        driver.push_chunk(key(1, large), 500_000);
        driver.wait(200);
        large += 1;
        driver.trim(1, large);
    };
    while small <= COPY_SEARCH_PAGES as u64 * 64 + SMALL {
        for seq in small..small + SMALL {
            driver.push_chunk(key(9, seq), 1);
        }
        small += SMALL;
        put_large(&mut driver);
    }
    let copied = driver.store.statistics().copied_files;
    let from = driver.now;
    while driver.store.statistics().copied_files < copied + 2 {
        assert!(driver.now.since(from) < 10_000_000, "nothing is copied: {:?}", driver.store.statistics());
        put_large(&mut driver);
    }
    driver.finish();
    assert!((0..small).all(|seq| driver.read_back(&key(9, seq)).is_some()));
}
