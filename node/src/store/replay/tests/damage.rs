//! One structure damaged at a time: what is lost is said, and nothing else is.

use super::image::{FRESH, Image, Put, Reader, replay};
use super::*;
use quarry_protocol::batch::BatchKind;
use quarry_protocol::snapshot::{LossRecord, Record};

fn data_batches(image: &Image, file: u32) -> Vec<image::Written> {
    let mut all = image.batches.clone();
    all.retain(|written| written.file == file && written.header.kind == BatchKind::Data && written.header.entries > 0);
    all
}

fn chunk_of(image: &Image, number: u64) -> ChunkRecord {
    image.chunks.iter().find(|(n, _)| *n == number).unwrap().1
}

/// Pitfall 25, D4: rot in a payload at or below a mark costs that chunk, which is *unknown* from then on, and no other.
#[test]
fn a_rotten_payload_is_a_specific_loss() {
    let mut image = three_files();
    let batch = data_batches(&image, 3)[7];
    let chunk = chunk_of(&image, batch.header.number);
    image.file(3).flip(payload_at(&chunk) + 9, 3);
    let mut replayed = replay(&image);
    let lost = LossRecord { log: chunk.log, segment: chunk.segment, from: chunk.seq, to: chunk.seq.next() };
    for _ in 0..2 {
        assert_eq!(says(&replayed, 1, chunk.seq.0), Says::Unknown);
        assert_eq!(replayed.losses, vec![lost]);
        assert_eq!(replayed.report.retired, None);
        whole(&replayed, 1, 0..chunk.seq.0);
        whole(&replayed, 1, chunk.seq.0 + 1..60);
        // D6: carried forward by the next start.
        image.restart(&replayed, 4);
        image.mark();
        replayed = replay(&image);
        assert_eq!(replayed.report.lost_chunks, 0, "it is not news any more");
    }
}

/// A loss ends when the chunk is stored again after it.
#[test]
fn a_chunk_stored_again_is_no_longer_lost() {
    let mut image = three_files();
    let chunk = chunk_of(&image, data_batches(&image, 1)[3].header.number);
    let loss = LossRecord { log: chunk.log, segment: chunk.segment, from: chunk.seq, to: chunk.seq.next() };
    image.data(&[Put::Control(Record::Loss(loss))]).mark();
    assert_eq!(says(&replay(&image), 1, 3), Says::Unknown, "recorded after a read found it");
    let mut together = image.clone();
    image.chunk(1, 3, 5000).mark();
    together.data(&[Put::Control(Record::Loss(loss)), Put::Chunk { log: 1, seq: 3, bytes: 5000 }]).mark();
    for image in [image, together] {
        let replayed = replay(&image);
        whole(&replayed, 1, 0..60);
        assert!(replayed.losses.is_empty());
    }
}

/// D4: padding is checked. Below the marks it costs nothing, since everything else verifies.
#[test]
fn rotten_padding_loses_nothing() {
    let mut image = three_files();
    for file in [2, 3] {
        let batch = data_batches(&image, file)[4];
        image.file(file).flip(padding_at(&batch.header), 0);
    }
    let replayed = replay(&image);
    assert_eq!(replayed.report.retired, None);
    whole(&replayed, 1, 0..60);
}

/// P8: where nobody can say which chunks a batch held, the identity is retired, and everything that is still there
/// stays.
#[test]
fn a_rotten_header_retires_the_identity() {
    for (file, what) in [(2, "batch header"), (3, "batch header"), (2, "chunk header"), (3, "chunk header")] {
        let mut image = three_files();
        let batch = data_batches(&image, file)[5];
        let chunk = chunk_of(&image, batch.header.number);
        let at = if what == "batch header" { batch.position + 50 } else { u64::from(chunk.position) + 42 };
        image.file(file).flip(at, 2);
        let replayed = replay(&image);
        assert_eq!(replayed.report.retired, Some(DISK), "{what} in file {file}");
        assert_eq!(replayed.identity().current, FRESH);
        assert_eq!(says(&replayed, 1, chunk.seq.0), Says::Unknown);
        whole(&replayed, 1, 0..chunk.seq.0);
        whole(&replayed, 1, chunk.seq.0 + 1..60);
        assert_eq!(replayed.next_batch, image.next, "below the marks nothing ends the line");
        // The next starts find the same damage and know that it was answered for.
        let mut image = image.clone();
        image.restart(&replayed, 4);
        image.chunk(1, 60, 100).mark();
        let again = replay(&image);
        assert_eq!((again.report.retired, again.identity().current), (None, FRESH), "{:?}", again.report);
        whole(&again, 1, chunk.seq.0 + 1..61);
    }
}

/// In a file with an index, damage to headers is found when the chunk is read: the index knows what there was.
#[test]
fn a_rotten_header_under_an_index_is_left_to_readers() {
    let mut image = three_files();
    let batch = data_batches(&image, 1)[5];
    image.file(1).flip(batch.position + 50, 2);
    let replayed = replay(&image);
    assert_eq!(replayed.report.retired, None);
    whole(&replayed, 1, 0..60);
}

/// Pitfall 32: an index, a snapshot or a footer that does not verify is no loss; the batches say the same.
#[test]
fn redundant_structures_may_rot_one_at_a_time() {
    for part_records in [4096, 2] {
        let mut good = Image::formatted();
        good.part_records = part_records;
        good.open(1);
        for seq in 0..9 {
            good.chunk(1, seq, 5000);
        }
        good.close().open(2);
        for seq in 9..18 {
            good.chunk(1, seq, 100);
        }
        good.close().open(3);
        for seq in 18..27 {
            good.chunk(1, seq, 100);
        }
        good.mark();
        for written in good.batches.clone().iter().filter(|written| written.header.kind != BatchKind::Data) {
            for at in [written.position + 52, written.position + 140, padding_at(&written.header)] {
                let mut image = good.clone();
                image.file(written.file).flip(at, 5);
                let replayed = replay(&image);
                let report = &replayed.report;
                assert_eq!(report.retired, None, "{part_records} {written:?} at {at}: {report:?}");
                whole(&replayed, 1, 0..27);
                assert_eq!(replayed.next_batch, image.next);
            }
            let mut image = good.clone();
            image.wipe(written.header.number);
            let replayed = replay(&image);
            assert_eq!(replayed.report.retired, None, "{written:?} wiped: {:?}", replayed.report);
            whole(&replayed, 1, 0..27);
        }
    }
}

/// Pitfall 30: a file that is nothing but noise stops neither the start nor the others.
#[test]
fn one_file_of_noise_does_not_stop_the_start() {
    for file in 0..=3 {
        let mut image = three_files();
        for block in 0..300 {
            image.file(file).write(block * 4096, &[0x5a; 4096]);
        }
        let tail = image::FILE_BYTES - 4096;
        image.file(file).write(tail, &[0x5a; 4096]);
        let replayed = replay(&image);
        for (seqs, of) in [(0..20, 1), (20..40, 2), (40..60, 3)] {
            if of == file {
                seqs.for_each(|seq| assert_eq!(says(&replayed, 1, seq), Says::Unknown));
            } else {
                whole(&replayed, 1, seqs);
            }
        }
    }
}

/// D6: a read error is tried once more; a second one is a loss, of what the block held and nothing else.
#[test]
fn read_errors() {
    let image = three_files();
    let all: Vec<(u32, u64)> =
        image.files.iter().flat_map(|(number, file)| file.blocks.keys().map(move |at| (*number, *at))).collect();
    for block in all {
        let mut once = Reader { errors: [(block, 1)].into(), ..Reader::default() };
        let replayed = once.replay(&image).unwrap();
        assert_eq!(replayed.report.retired, None, "block {block:?}");
        whole(&replayed, 1, 0..60);
        let mut always = Reader { errors: [(block, u32::MAX)].into(), ..Reader::default() };
        let replayed = always.replay(&image).unwrap();
        (0..60).for_each(|seq| assert_ne!(says(&replayed, 1, seq), Says::Never, "block {block:?} seq {seq}"));
    }
}
