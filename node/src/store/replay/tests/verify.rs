//! Verification says what a start would do, and finds the rot that a start leaves to readers.

use super::super::ReplayConfig;
use super::super::verify::{FileUse, ShardReport, Verify, VerifyEffect};
use super::image::{DISK, FILE_BYTES, FRESH, Image};
use super::*;

fn verify(image: &Image) -> ShardReport {
    let files = image.files.iter().map(|(number, file)| (*number, file.bytes)).collect();
    let expected = image.expected.clone();
    let mut verify = Verify::new(ReplayConfig { disk: DISK, fresh: FRESH, file_bytes: FILE_BYTES, files, expected });
    loop {
        match verify.poll_effect().expect("every read is answered at once") {
            VerifyEffect::Read { token, file, position, bytes } => {
                let data = image.files[&file].read(position, bytes);
                verify.handle(token, data.as_deref().ok_or_else(|| "EIO".to_owned()));
            }
            VerifyEffect::Done(report) => return *report,
        }
    }
}

#[test]
fn a_sound_shard_has_no_problems() {
    let report = verify(&three_files());
    assert_eq!((report.problem_count, report.refused), (0, None));
    assert_eq!(report.logs[0].segments[0].held, vec![(ChunkSeq(0), ChunkSeq(60))]);
    let uses: Vec<_> =
        report.files.iter().map(|file| (file.number, file.used_as, file.live_chunks, file.indexed)).collect();
    let live = FileUse::Live;
    assert_eq!(
        uses,
        vec![(0, FileUse::Free, 0, false), (1, live, 20, true), (2, live, 20, false), (3, live, 20, false)]
    );
}

/// Pitfall 24: a start trusts an index; a verification reads every payload.
#[test]
fn rot_under_an_index_is_found() {
    let mut image = three_files();
    let chunk = image.chunks[4].1;
    image.file(1).flip(payload_at(&chunk), 0);
    let report = verify(&image);
    assert_eq!((report.lost_chunks, report.replay.lost_chunks), (1, 0));
    assert_eq!(report.logs[0].segments[0].lost, vec![(ChunkSeq(4), ChunkSeq(5))]);
    assert!(report.files[1].problems[0].contains("seq 4"), "{:?}", report.files[1].problems);
}

#[test]
fn every_flipped_bit_of_a_written_batch_is_a_problem() {
    let good = three_files();
    for written in good.batches.iter().step_by(3) {
        for at in [written.position, written.position + 60, written.position + 128, padding_at(&written.header)] {
            let mut image = good.clone();
            image.file(written.file).flip(at, 6);
            // Above every mark it is a torn write, which is nobody's loss.
            let unmarked = written.header.number == good.next - 1;
            let report = verify(&image);
            assert_eq!(report.problem_count > 0, !unmarked || written.header.entries > 0, "{written:?} at {at}");
        }
    }
}

#[test]
fn a_shard_that_would_not_start_says_why() {
    let mut image = three_files();
    image.files.clear();
    assert!(verify(&image).refused.unwrap().contains("snapshot"));
}

#[test]
fn a_missing_file_is_a_problem() {
    let mut image = three_files();
    image.files.remove(&2);
    let report = verify(&image);
    assert!(report.problem_count > 0 && report.replay.retired == Some(DISK));
    assert_eq!(report.files[2].used_as, FileUse::Quarantined);
}
