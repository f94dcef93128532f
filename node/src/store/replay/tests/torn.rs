//! The end of the line: what was never confirmed is dropped, what was confirmed is not.

use super::image::{Image, Put, Reader, log, replay};
use super::*;
use quarry_protocol::ids::Epoch;
use quarry_protocol::snapshot::{LogRecord, Record};

#[test]
fn a_formatted_shard_replays_to_nothing() {
    let replayed = replay(&Image::formatted());
    assert_eq!((replayed.next_batch, replayed.next_incarnation), (2, 2));
    assert_eq!(replayed.identity().current, DISK);
    assert!(replayed.logs.is_empty() && replayed.index.is_empty());
}

#[test]
fn everything_confirmed_is_found_again() {
    let image = three_files();
    let replayed = replay(&image);
    whole(&replayed, 1, 0..60);
    assert_eq!(replayed.report.retired, None);
    assert_eq!(replayed.next_batch, image.next);
    assert_eq!(replayed.report.files_scanned, 2);
    for (_, chunk) in &image.chunks {
        let place =
            replayed.index.get(&crate::store::ChunkKey { log: chunk.log, segment: chunk.segment, seq: chunk.seq });
        assert_eq!(place.map(|p| (p.position, p.length)), Some((chunk.position, chunk.length)));
    }
    assert_eq!(replayed.free_files, vec![0]);
    let segment = &replayed.logs[0].segments[0];
    assert_eq!(segment.watermark, ChunkSeq(58), "the highest watermark heard");
    assert_eq!(replayed.logs[0].record.fence, Epoch(3), "the epoch of a chunk is a fence");
}

/// Answers in another order change nothing, and everything that is believed is synced before it is shown (D5).
#[test]
fn the_order_of_reads_does_not_matter() {
    let image = three_files();
    let mut reader = Reader { newest_first: true, ..Reader::default() };
    let (one, other) = (replay(&image), reader.replay(&image).unwrap());
    assert_eq!(one.logs, other.logs);
    assert_eq!(one.files, other.files);
    assert!(one.index.iter().eq(other.index.iter()));
    assert_eq!(reader.synced.into_iter().collect::<Vec<_>>(), vec![1, 2, 3]);
}

/// D5: a file that is believed and cannot be synced keeps the shard from starting (pitfall 21).
#[test]
fn a_failed_sync_ends_the_replay() {
    let mut reader = Reader { sync_fails: Some(2), ..Reader::default() };
    assert!(matches!(reader.replay(&three_files()), Err(super::super::ReplayError::Sync { file: 2, .. })));
}

/// D4: every batch above the marks that is damaged in any 512-byte sector is torn: it and what follows it are gone, and
/// nothing before it is.
#[test]
fn a_torn_end_is_never() {
    let mut image = Image::formatted();
    image.open(1);
    for seq in 0..5 {
        image.chunk(1, seq, 9000);
    }
    image.lag = 4;
    for seq in 5..8 {
        image.chunk(1, seq, 9000);
    }
    let marked = image.batches.last().unwrap().header.confirmed;
    for torn in marked + 1..image.next {
        let written = image.batch_at(torn);
        for sector in 0..u64::from(written.header.disk_bytes()) / 512 {
            let mut image = image.clone();
            let at = written.position + 512 * sector;
            for byte in at..at + 512 {
                image.file(1).flip(byte, 0);
            }
            let replayed = replay(&image);
            assert_eq!(replayed.next_batch, torn, "sector {sector}");
            assert_eq!(replayed.report.retired, None);
            let kept = torn - 3;
            whole(&replayed, 1, 0..kept);
            (kept..8).for_each(|seq| assert_eq!(says(&replayed, 1, seq), Says::Never, "torn {torn} seq {seq}"));
        }
    }
}

/// D4: after a torn end numbers are used again. An intact batch behind the old gap must not join the new line, not even
/// when the new file's own batch of that number is torn: *never* would become *have*.
#[test]
fn a_batch_beyond_a_gap_never_comes_back() {
    let mut image = Image::formatted();
    image.open(1);
    image.chunk(1, 0, 100);
    image.lag = 3;
    image.chunk(1, 1, 100).chunk(1, 2, 100).chunk(1, 3, 100);
    let gap = image.next - 2;
    image.wipe(gap);
    let replayed = replay(&image);
    assert_eq!(replayed.next_batch, gap);
    assert_eq!(says(&replayed, 1, 3), Says::Never);
    // The next start opens a file with a snapshot of several parts, and crashes after the first of them.
    image.part_records = 1;
    image.lag = 1;
    image.restart(&replayed, 2);
    let parts = image.next - gap;
    assert!(parts > 1);
    (gap + 1..image.next).for_each(|number| image.wipe(number));
    let again = replay(&image);
    assert_eq!(says(&again, 1, 3), Says::Never, "{again:?}");
    whole(&again, 1, 0..2);
    // And once more, with the file whole: numbers go on where the believed line ended.
    let mut image = image.clone();
    image.restart(&again, 3);
    image.chunk(1, 2, 100).mark();
    let last = replay(&image);
    assert_eq!((says(&last, 1, 2), says(&last, 1, 3)), (Says::Have, Says::Never));
    assert_eq!(last.report.retired, None, "{:?}", last.report);
}

/// D5: a snapshot beyond a torn batch is not believed either; the one before it is, with the files it lists.
#[test]
fn a_snapshot_beyond_a_gap_gives_way() {
    let mut image = Image::formatted();
    image.open(1);
    for seq in 0..4 {
        image.chunk(1, seq, 100);
    }
    image.lag = 6;
    image.chunk(1, 4, 100);
    let torn = image.next;
    image.chunk(1, 5, 100);
    image.close().open(2);
    image.wipe(torn);
    let replayed = replay(&image);
    assert_eq!(replayed.next_batch, torn);
    whole(&replayed, 1, 0..5);
    assert_eq!(says(&replayed, 1, 5), Says::Never);
    assert_eq!(replayed.report.retired, None, "{:?}", replayed.report);
    assert!(replayed.next_incarnation > 3, "above every incarnation in use: {}", replayed.next_incarnation);
    assert!(replayed.free_files.contains(&2), "opened beyond the end, so it is free: {:?}", replayed.free_files);
}

/// Pitfall 26, D4: a recycled file still holds whole batches of its earlier use; none of them counts.
#[test]
fn stale_batches_of_a_recycled_file_do_not_count() {
    let mut image = Image::formatted();
    image.open(1);
    for seq in 0..20 {
        image.chunk(1, seq, 100);
    }
    image.close();
    let floor = LogRecord { log: log(1), floor: ChunkSeq(20), ..LogRecord::default() };
    image.open(2).data(&[Put::Control(Record::Log(floor))]).close();
    image.free(1).open(3).chunk(2, 0, 100).close().open(1).chunk(2, 1, 100);
    let replayed = replay(&image);
    assert_eq!(replayed.report.retired, None, "{:?}", replayed.report);
    assert_eq!(says(&replayed, 1, 7), Says::Never, "below the floor nothing is held");
    assert_eq!(replayed.logs.iter().find(|l| l.record.log == log(1)).unwrap().record.floor, ChunkSeq(20));
    whole(&replayed, 2, 0..2);
    assert_eq!(replayed.index.len(), 2);
    // The new batch is torn so that the old one at its place shows: still never.
    let last = image.batches.last().copied().unwrap();
    image.lag = 3;
    image.file(1).write(last.position, &[0xff; 4096]);
    assert_eq!(says(&replay(&image), 2, 1), Says::Never);
}

/// Pitfalls 8 and 17, D5: floors, fences and deletions merge by maximum; chunks of a deleted log are not indexed, and
/// chunks below a fence are: they were let in before it.
#[test]
fn control_entries_merge_by_maximum_and_chunks_pass_no_fence() {
    let mut image = Image::formatted();
    image.open(1);
    for seq in 0..10 {
        image.chunk(1, seq, 100).chunk(2, seq, 100);
    }
    let control = |n: u8, fence, floor, deleted| {
        let word = quarry_protocol::ids::RecordNumber(0);
        let record =
            LogRecord { log: log(n), fence: Epoch(fence), floor: ChunkSeq(floor), deleted: Epoch(deleted), word };
        Put::Control(Record::Log(record))
    };
    image.data(&[control(1, 9, 4, 0)]).data(&[control(1, 5, 2, 0)]).data(&[control(2, 9, 0, 9)]);
    for image in [&image, image.clone().close(), image.clone().close().open(2)] {
        let replayed = replay(image);
        let record = replayed.logs.iter().find(|l| l.record.log == log(1)).unwrap().record;
        assert_eq!((record.fence, record.floor), (Epoch(9), ChunkSeq(4)));
        assert_eq!(says(&replayed, 1, 3), Says::Never);
        whole(&replayed, 1, 4..10);
        assert!((0..10).all(|seq| says(&replayed, 2, seq) == Says::Never));
        assert_eq!(replayed.index.len(), 6);
    }
}
