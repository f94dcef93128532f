mod damage;
mod files_in_use;
mod flips;
mod image;
mod torn;
mod verify;

use crate::store::Replayed;
use image::{DISK, Image, SEGMENT};
use quarry_protocol::batch::BatchHeader;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::snapshot::ChunkRecord;

/// What a replica that starts from `replayed` says of a seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Have,
    Unknown,
    Never,
}

/// What is said of a chunk under the identity that was formatted.
fn says(replayed: &Replayed, log: u8, seq: u64) -> Says {
    let retired = replayed.identity().current != DISK;
    let log = replayed.logs.iter().find(|l| l.record.log == image::log(log));
    let segment = log.and_then(|l| l.segments.iter().find(|s| s.segment == SEGMENT));
    match segment {
        Some(segment) if segment.lost.contains(ChunkSeq(seq)) => Says::Unknown,
        Some(segment) if segment.held.contains(ChunkSeq(seq)) => Says::Have,
        _ if retired => Says::Unknown,
        _ => Says::Never,
    }
}

fn whole(replayed: &Replayed, log: u8, seqs: std::ops::Range<u64>) {
    for seq in seqs {
        assert_eq!(says(replayed, log, seq), Says::Have, "log {log} seq {seq}: {:?}", replayed.report);
    }
}

/// The batch header that lies right before nothing else of its own: where a chunk's payload begins.
fn payload_at(chunk: &ChunkRecord) -> u64 {
    u64::from(chunk.position) + quarry_protocol::limits::CHUNK_HEADER_BYTES as u64
}

/// The end of a batch's padding.
fn padding_at(header: &BatchHeader) -> u64 {
    header.position + u64::from(header.disk_bytes()) - 1
}

/// Three files: one full, one left behind by an unclean stop, one open; 60 chunks of log 1.
fn three_files() -> Image {
    let mut image = Image::formatted();
    image.open(1);
    for seq in 0..20 {
        image.chunk(1, seq, 5000);
    }
    image.close().open(2);
    for seq in 20..40 {
        image.chunk(1, seq, 100);
    }
    let replayed = image::replay(&image);
    image.restart(&replayed, 3);
    for seq in 40..60 {
        image.chunk(1, seq, 5000);
    }
    image.mark();
    image
}
