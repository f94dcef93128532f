//! Scrub: everything that lives is read again, at its rate and within its share, and what is damaged is found.

use super::*;
use crate::store::pace::{BACKGROUND_BURST_BYTES, BACKGROUND_BYTES_PER_SECOND, SCRUB_BYTES_PER_SECOND_MIN};
use crate::store::{Place, Replayed, StoreConfig, StoreEvent};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FILE_BYTES_MIN};
use quarry_protocol::snapshot::{LossRecord, Record};

const SECOND: u64 = 1_000_000;
const CHUNK: u32 = 1 << 20;
/// Chunks that fill two files and begin a third.
const CHUNKS: u64 = 33;

/// A started store that scrubs everything within `period_us`.
fn scrubbing(files_max: u32, period_us: u64) -> Driver {
    let plain = Driver::new(files_max);
    let config = StoreConfig { scrub_period_us: Some(period_us), ..plain.config };
    let mut driver = Driver::with_config(config, Replayed::fresh(driver::DISK));
    ticks(&mut driver, 100);
    driver.headers.clear();
    driver
}

fn ticks(driver: &mut Driver, ticks: u32) {
    driver.run();
    for _ in 0..ticks {
        driver.wait(1000);
    }
}

/// Chunks of log 1, a few seconds apart, and one of log 9 among them in each file.
fn fill(driver: &mut Driver, chunks: u64) {
    for seq in 0..chunks {
        if seq % 10 == 0 {
            driver.push_chunk(key(9, seq / 10), 5000);
        }
        driver.push_chunk(key(1, seq), CHUNK);
        driver.run();
        driver.wait(10_000);
    }
}

fn place(driver: &Driver, number: u8, seq: u64) -> Place {
    driver.store.locate(&key(number, seq)).expect("a chunk")
}

fn flip(driver: &mut Driver, place: Place, byte: usize) {
    driver.files.get_mut(&place.file).expect("its file")[place.position as usize + byte] ^= 4;
}

/// Until a whole pass has begun and ended.
fn pass(driver: &mut Driver) {
    let ended = |driver: &Driver| driver.store.statistics().scrub.ended_at_s;
    for _ in 0..2 {
        let (before, since) = (ended(driver), driver.now);
        while ended(driver) == before || driver.store.statistics().scrub.under_way {
            assert!(driver.now.since(since) < 10_000 * SECOND, "no pass ends: {:?}", driver.store.statistics());
            driver.tick();
        }
    }
}

/// DESIGN section 6, bit rot, wherever in a chunk and in whichever file, the open one included: found by the node alone.
#[test]
fn a_flipped_bit_is_found_within_a_pass() {
    for (seq, byte) in [(0, 1), (3, 40), (12, CHUNK_HEADER_BYTES), (20, CHUNK_HEADER_BYTES + 99_999), (32, 200)] {
        let mut driver = scrubbing(6, SECOND);
        fill(&mut driver, CHUNKS);
        pass(&mut driver);
        assert!(driver.lost.is_empty(), "nothing is damaged: {:?}", driver.lost);
        let damaged = place(&driver, 1, seq);
        flip(&mut driver, damaged, byte);
        pass(&mut driver);
        assert_eq!(driver.lost.first(), Some(&ChunkSeq(seq)), "a flipped bit in byte {byte}");
        assert!(driver.lost.iter().all(|lost| *lost == ChunkSeq(seq)), "{:?}", driver.lost);
        assert_eq!(driver.store.locate(&key(1, seq)), Some(damaged), "quarantined, not deleted");
        driver.store.audit();
    }
}

/// What is recorded as lost is neither read nor reported again, and counted for its pass.
#[test]
fn a_known_loss_is_not_news() {
    let mut driver = scrubbing(6, SECOND);
    fill(&mut driver, 3);
    let damaged = place(&driver, 1, 1);
    flip(&mut driver, damaged, 500);
    while driver.lost.is_empty() {
        driver.tick();
    }
    let (segment, from, to) = (key(1, 1).segment, ChunkSeq(1), ChunkSeq(2));
    driver.push_record(Record::Loss(LossRecord { log: log(1), segment, from, to }));
    driver.run();
    driver.read_log.clear();
    pass(&mut driver);
    let scrub = driver.store.statistics().scrub;
    assert_eq!((driver.lost.len(), scrub.damaged), (1, 1));
    assert_eq!((scrub.damaged_in_pass, scrub.damaged_before), (0, 1), "found by the pass before");
    assert!(!driver.read_log.is_empty());
}

/// P13: the file that holds what was found damaged is kept as it is, whatever becomes of the rest, until that is trimmed.
#[test]
fn a_damaged_chunk_keeps_its_file() {
    let mut driver = scrubbing(6, SECOND);
    fill(&mut driver, 4);
    let damaged = place(&driver, 9, 0);
    flip(&mut driver, damaged, 300);
    while driver.lost.is_empty() {
        driver.tick();
    }
    driver.headers.clear();
    churn(&mut driver, 100, 8);
    assert_eq!(driver.store.locate(&key(9, 0)), Some(damaged));
    assert!(!reused(&driver, damaged.file), "the file with the damaged chunk was overwritten");
    driver.trim(9, 10);
    churn(&mut driver, 1000, 8);
    assert!(reused(&driver, damaged.file), "nothing keeps the file any more");
}

fn reused(driver: &Driver, file: u32) -> bool {
    driver.headers.iter().any(|header| header.file == file && header.position == 0)
}

/// Log 1 goes on through `files` files, trimmed as it grows.
fn churn(driver: &mut Driver, from: u64, files: u64) {
    for seq in from..from + files * FILE_BYTES_MIN / u64::from(CHUNK) {
        driver.push_chunk(key(1, seq), CHUNK);
        ticks(driver, 20);
        driver.trim(1, seq);
    }
}

/// D6: a read error is tried once more, each chunk on its own.
#[test]
fn a_read_error_costs_the_chunk_it_hits_if_it_comes_back() {
    for for_good in [false, true] {
        let mut driver = scrubbing(6, SECOND);
        fill(&mut driver, 5);
        for _ in 0..10 {
            driver.push_chunk(key(2, driver.order), 2000);
        }
        driver.run();
        let hit = place(&driver, 1, 3);
        driver.unreadable.insert((hit.file, u64::from(hit.position) + 5000));
        driver.hold_reads = true;
        while !driver
            .reads
            .iter()
            .any(|(_, file, position, _)| (*file, *position) == (hit.file, u64::from(hit.position)))
        {
            if !driver.reads.is_empty() {
                driver.end_read(0);
            }
            driver.tick();
        }
        driver.end_read(0);
        if !for_good {
            driver.unreadable.clear();
        }
        driver.hold_reads = false;
        pass(&mut driver);
        let expected: &[ChunkSeq] = if for_good { &[ChunkSeq(3)] } else { &[] };
        assert_eq!(driver.lost.first(), expected.first(), "{:?}", driver.lost);
        assert!(driver.lost.iter().all(|lost| expected.contains(lost)), "{:?}", driver.lost);
    }
}

/// What is trimmed, or was copied elsewhere, may rot.
#[test]
fn nothing_that_does_not_live_is_reported() {
    let mut driver = scrubbing(6, SECOND);
    fill(&mut driver, 10);
    let dead: Vec<Place> = (0..5).map(|seq| place(&driver, 1, seq)).collect();
    driver.trim(1, 5);
    for place in dead {
        flip(&mut driver, place, 700);
    }
    pass(&mut driver);
    assert!(driver.lost.is_empty(), "{:?}", driver.lost);
    assert!(driver.store.statistics().scrub.chunks >= 6, "{:?}", driver.store.statistics().scrub);
}

/// A read that was under way while its chunk was trimmed and the file overwritten says nothing.
#[test]
fn what_is_trimmed_while_it_is_read_is_not_reported() {
    let mut driver = scrubbing(6, SECOND);
    fill(&mut driver, 2);
    let damaged = place(&driver, 1, 0);
    flip(&mut driver, damaged, 700);
    driver.hold_reads = true;
    while driver.reads.is_empty() {
        driver.tick();
    }
    driver.trim(1, 2);
    driver.hold_reads = false;
    pass(&mut driver);
    assert!(driver.lost.is_empty(), "{:?}", driver.lost);
}

/// The bytes read until each moment never exceed the rate, and what lives is read within the period.
#[test]
fn everything_is_read_once_within_its_period_at_its_rate() {
    const PERIOD_S: u64 = 20;
    let mut driver = scrubbing(6, PERIOD_S * SECOND);
    fill(&mut driver, CHUNKS);
    pass(&mut driver);
    let live = driver.store.statistics().live_bytes;
    let rate = (live * 10 / 9 / PERIOD_S).max(SCRUB_BYTES_PER_SECOND_MIN);
    assert!(rate > SCRUB_BYTES_PER_SECOND_MIN, "the least rate is not what is tested");
    driver.read_log.clear();
    let began = driver.store.statistics().scrub.began_at_s;
    while driver.store.statistics().scrub.began_at_s == began || driver.store.statistics().scrub.under_way {
        driver.tick();
    }
    let (first, mut read) = (driver.read_log[0].0, 0);
    for &(now, bytes) in &driver.read_log {
        let allowed = rate * now.since(first) / SECOND + u64::from(CHUNK) + (64 << 10);
        assert!(read <= allowed, "{read} bytes were read by {now:?}, {allowed} are allowed since {first:?}");
        read += u64::from(bytes);
    }
    assert!(read >= live - CHUNKS * 200 && read <= live + live / 10, "{read} bytes were read of {live}");
    let took = driver.read_log.last().expect("reads").0.since(first);
    assert!(took <= PERIOD_S * SECOND, "a pass took {took} us");
}

/// D2: with catch-up reads beside it, and appends, all background work together stays within its budget.
#[test]
fn a_pass_yields_to_appends() {
    let mut driver = scrubbing(12, SECOND);
    fill(&mut driver, 120);
    driver.read_log.clear();
    let (from, mut taken, mut seq) = (driver.now, 0, 1000);
    while driver.now.since(from) < 3 * SECOND {
        driver.push_chunk(key(2, seq), 100);
        driver.run();
        assert_eq!(driver.confirmed, driver.order, "an append waits for scrub");
        if driver.store.take_background(driver.now, 500_000).is_ok() {
            taken += 500_000;
        }
        driver.wait(1000);
        seq += 1;
    }
    let scrubbed: u64 = driver.read_log.iter().map(|(_, bytes)| u64::from(*bytes)).sum();
    let allowed = 3 * BACKGROUND_BYTES_PER_SECOND + BACKGROUND_BURST_BYTES + 2 * u64::from(CHUNK);
    assert!(scrubbed > 0 && taken > 0 && scrubbed + taken <= allowed, "{scrubbed} + {taken} of {allowed}");
}

/// However little time there is, and however idle the shard, the background's budget is the ceiling.
#[test]
fn an_idle_shard_is_not_read_faster_than_the_background_may() {
    let mut driver = scrubbing(12, SECOND);
    fill(&mut driver, 120);
    let began = driver.store.statistics().scrub.began_at_s;
    while driver.store.statistics().scrub.began_at_s == began {
        driver.tick();
    }
    driver.read_log.clear();
    let from = driver.now;
    while driver.now.since(from) < SECOND * 8 / 10 {
        driver.tick();
    }
    let scrubbed: u64 = driver.read_log.iter().map(|(_, bytes)| u64::from(*bytes)).sum();
    let allowed =
        driver.now.since(from) * BACKGROUND_BYTES_PER_SECOND / SECOND + BACKGROUND_BURST_BYTES + 2 * u64::from(CHUNK);
    assert!(scrubbed > allowed / 4 && scrubbed <= allowed, "{scrubbed} of {allowed}");
}

/// A restart goes on behind the last file that was done, keeps what is known of those before, and ends the pass on time.
#[test]
fn a_pass_survives_a_restart() {
    const PERIOD: u64 = 1000 * SECOND;
    let mut driver = scrubbing(8, PERIOD);
    // The first pass, of nothing, is over.
    fill(&mut driver, 60);
    while !driver.store.statistics().scrub.under_way {
        driver.tick();
    }
    let began = driver.store.statistics().scrub.began_at_s;
    while driver.store.statistics().scrub.done_bytes < 20 << 20 {
        driver.tick();
    }
    // The note, and the mark that covers it.
    driver.wait(10_000);
    let done = driver.store.statistics().scrub.done_bytes;
    driver = driver.restarted();
    ticks(&mut driver, 10);
    let scrub = driver.store.statistics().scrub;
    assert_eq!((scrub.began_at_s, scrub.under_way, scrub.done_bytes), (began, true, done));
    let verified = |driver: &Driver| {
        let runs = driver.store.provenance(log(1), key(1, 0).segment, ChunkSeq(0), ChunkSeq(60)).0;
        runs.iter().filter(|run| run.verified_at_s.is_some()).map(|run| run.to.0 - run.from.0).sum::<u64>()
    };
    let before = verified(&driver);
    assert!(before >= 10, "{before} chunks are known to be verified");
    let first = place(&driver, 1, 0).file;
    driver.read_files.clear();
    while driver.store.statistics().scrub.under_way {
        driver.tick();
    }
    assert!(!driver.read_files.contains(&first), "file {first} was read before the restart");
    assert!(verified(&driver) > before && !driver.read_files.is_empty());
    let scrub = driver.store.statistics().scrub;
    assert!(scrub.began_at_s == began && scrub.ended_at_s < began + PERIOD / SECOND, "{scrub:?}");
    // It rests until a period is over, over another restart, too.
    driver.wait(10_000);
    driver = driver.restarted();
    ticks(&mut driver, 10);
    assert_eq!(driver.store.statistics().scrub.began_at_s, began);
    while driver.store.statistics().scrub.began_at_s == began {
        driver.tick();
    }
    let again = driver.store.statistics().scrub.began_at_s;
    assert!((began + PERIOD / SECOND..=began + PERIOD / SECOND + 2).contains(&again), "{began}, then {again}");
}

/// No clock is used for safety: one that jumps back by years costs one period at most.
#[test]
fn a_clock_that_jumped_back_delays_a_pass_by_a_period_at_most() {
    let mut driver = scrubbing(6, 100 * SECOND);
    fill(&mut driver, 3);
    pass(&mut driver);
    driver.wait(10_000);
    let config = StoreConfig { wall_clock_at_zero_s: WALL_CLOCK_S / 2, ..driver.config };
    let mut next = Driver::with_config(config, driver.replay());
    next.files.clone_from(&driver.files);
    ticks(&mut next, 10);
    let since = next.now;
    while next.read_log.is_empty() {
        next.tick();
    }
    assert!(next.now.since(since) <= 101 * SECOND, "{:?}", next.store.statistics().scrub);
}

#[test]
fn a_failed_disk_is_not_scrubbed() {
    let mut driver = scrubbing(6, SECOND);
    fill(&mut driver, 3);
    driver.hold_reads = true;
    while driver.reads.is_empty() {
        driver.tick();
    }
    driver.hold = true;
    driver.push_chunk(key(1, 100), 10);
    driver.run();
    let number = *driver.writes.keys().next().expect("a write");
    driver.end(number, End::Error);
    driver.end_read(0);
    driver.run();
    assert_eq!(driver.store.poll_timeout(), None);
    driver.store.handle(driver.now.plus(100 * SECOND), StoreEvent::Tick);
    driver.run();
    assert!(driver.reads.is_empty() && driver.lost.is_empty());
}
