//! Files that are missing, cut short, swapped, or turn up where they should not.

use super::super::{PROBE_BYTES_MAX, ReplayError};
use super::image::{FILE_BYTES, FRESH, Image, Reader, replay};
use super::*;

fn nothing_is_never(replayed: &Replayed, why: &str) {
    (0..60).for_each(|seq| assert_ne!(says(replayed, 1, seq), Says::Never, "{why}: seq {seq}, {:?}", replayed.report));
}

/// Pitfall 33: whichever file is taken away, even the newest, which no snapshot lists yet, nothing that was acknowledged
/// becomes *never*; and the shard starts (pitfall 30), this time and the next.
#[test]
fn a_missing_file_retires_the_identity() {
    for file in 0..=3 {
        let mut image = three_files();
        let taken = image.files.remove(&file).unwrap();
        let replayed = replay(&image);
        nothing_is_never(&replayed, "missing");
        assert_eq!(replayed.identity().current, FRESH, "file {file}: {:?}", replayed.report);
        assert!(replayed.quarantined.iter().any(|record| record.number == file));
        image.restart(&replayed, 4).chunk(2, 0, 100).mark();
        let again = replay(&image);
        assert_eq!(again.report.retired, None, "file {file}: {:?}", again.report);
        whole(&again, 2, 0..1);
        // It comes back, with its batches: they count for nothing they must not.
        image.files.insert(file, taken);
        let back = replay(&image);
        assert_eq!((back.report.retired, back.identity().current), (None, FRESH), "file {file}: {:?}", back.report);
        nothing_is_never(&back, "back");
        whole(&back, 2, 0..1);
    }
}

/// Pitfall 33: without any file, there is nothing to go by, and the shard does not start.
#[test]
fn without_files_there_is_no_start() {
    let mut image = three_files();
    image.files.clear();
    assert_eq!(Reader::default().replay(&image).unwrap_err(), ReplayError::NoSnapshot { files: 0 });
    image.make(0);
    let why = Reader::default().replay(&image).unwrap_err();
    assert_eq!(why, ReplayError::NoSnapshot { files: 1 });
    assert!(why.to_string().contains("format a new one"));
}

#[test]
fn a_file_cut_short_is_noticed() {
    for file in 0..=3 {
        for bytes in [0, 4096, 8192, 20480, 100_000, FILE_BYTES - 4096] {
            let mut image = three_files();
            image.file(file).cut(bytes);
            let replayed = replay(&image);
            nothing_is_never(&replayed, "cut short");
            image.restart(&replayed, 4).chunk(2, 0, 100).mark();
            let again = replay(&image);
            assert_eq!(again.report.retired, None, "file {file} cut to {bytes}: {:?}", again.report);
            nothing_is_never(&again, "cut short, and again");
        }
    }
}

/// D4: a batch names its file: swapped files are noticed.
#[test]
fn swapped_files_are_noticed() {
    for (one, other) in [(1, 2), (1, 3), (2, 3), (0, 1), (0, 3)] {
        let mut image = three_files();
        let (first, second) = (image.files[&one].clone(), image.files[&other].clone());
        image.files.insert(one, second);
        image.files.insert(other, first);
        match Reader::default().replay(&image) {
            Ok(replayed) => nothing_is_never(&replayed, "swapped"),
            Err(why) => assert!(matches!(why, ReplayError::NoSnapshot { .. })),
        }
    }
}

/// D4: the files of another disk are not this one's.
#[test]
fn another_disks_file_does_not_count() {
    let mut image = three_files();
    for batch in image.batches.clone().iter().filter(|written| written.file == 2) {
        let header = BatchHeader { disk: FRESH, ..batch.header };
        let file = image.file(2);
        let mut block = file.read(batch.position, 4096).unwrap();
        block[..128].copy_from_slice(&header.encode());
        file.write(batch.position, &block);
    }
    let replayed = replay(&image);
    nothing_is_never(&replayed, "another disk's");
    assert_eq!(says(&replayed, 1, 25), Says::Unknown);
}

/// A lost write of the newest file's head does not hide the file: what no snapshot lists is probed.
#[test]
fn the_newest_file_is_found_without_its_head() {
    for part_records in [4096, 1] {
        let mut image = three_files();
        let replayed = replay(&image);
        image.part_records = part_records;
        image.restart(&replayed, 0);
        for seq in 60..70 {
            image.chunk(1, seq, 100);
        }
        let head = image.batches.iter().rfind(|written| written.file == 0 && written.position == 0).unwrap().header;
        // File 0 was used before, so its head is stale rather than empty.
        for stale in [false, true] {
            let mut image = image.clone();
            let head_bytes = if stale { crate::store::first_file::first_batch(DISK) } else { vec![0; 4096] };
            image.file(0).write(0, &head_bytes);
            let replayed = replay(&image);
            assert_eq!(replayed.report.retired, None, "{:?}", replayed.report);
            assert!(u64::from(head.disk_bytes()) < PROBE_BYTES_MAX);
            whole(&replayed, 1, 0..70);
            assert_eq!(replayed.next_batch, image.next);
        }
    }
}

/// The time of a replay is that of files, not of bytes (D5): full files cost their index.
#[test]
fn full_files_are_not_scanned() {
    let mut image = Image::formatted();
    let mut seq = 0;
    for file in 1..=6 {
        image.open(file);
        for _ in 0..30 {
            image.chunk(1, seq, 300_000);
            seq += 1;
        }
        image.close();
    }
    image.open(7).mark();
    let mut reader = Reader::default();
    let replayed = reader.replay(&image).unwrap();
    whole(&replayed, 1, 0..seq);
    let beside_the_open_file = reader.bytes - FILE_BYTES;
    assert!(beside_the_open_file < 1 << 20, "{beside_the_open_file} bytes were read");
    assert_eq!(replayed.report.files_scanned, 1);
}
