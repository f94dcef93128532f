//! A chain that is as long as it may be (DESIGN 3.1): an open that has no room changes nothing.

use crate::script::{Script, Shelf, Shelves, config, id, record, segment, shelves, version, write, written};
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::limits::SEGMENTS_PER_LOG_MAX;
use quarry_protocol::record::{LogRecord, SegmentEnd};
use quarry_protocol::recovery::{OpenMode, Purpose, RecoveryError, SwapOutcome};

const MAX: u64 = SEGMENTS_PER_LOG_MAX as u64;

/// Sealed segments of one chunk each, and an open one: `segments` together.
fn chain(segments: u64) -> LogRecord {
    let sealed = |base: u64| {
        let end = SegmentEnd::Sealed { at: ChunkSeq(base + 1), digest: Digest([5; 16]) };
        segment(id(1, base as u32), base, end, 3, 2)
    };
    let open = segment(id(3, 0), segments - 1, SegmentEnd::Open, 3, 2);
    let record = record(3, (0..segments - 1).map(sealed).chain([open]).collect());
    record.check(SEGMENTS_PER_LOG_MAX).expect("a record that a register may hold");
    record
}

fn opened(record: LogRecord, mode: OpenMode) -> Script {
    let mut script = Script::new(config(write(3, 2), mode));
    script.record_is(1, record);
    script
}

/// How many segments there are after a takeover that finds one chunk in the open segment, or none.
fn segments_after(found: LogRecord, chunks: u64) -> usize {
    let open = found.segments.last().expect("a chain").clone();
    let end = open.base.0 + chunks;
    let mut script = Script::claimed(found);
    let shelf = || Shelf::with(end, open.base.0..end);
    script.answer(&shelves(open.id, [(0, shelf()), (1, shelf())]), &[0, 1]);
    script.give_chunks(&written(open.id, open.base.0, chunks));
    let swap = script.swap();
    swap.record.check(SEGMENTS_PER_LOG_MAX).expect("a record that a register may hold");
    script.swapped(swap.request, SwapOutcome::Done(version(3)));
    assert_eq!(script.report().next_seq, ChunkSeq(end));
    script.report().record.segments.len()
}

#[test]
fn an_open_without_room_fails_before_it_claims_anything() {
    for mode in [OpenMode::MustExist, OpenMode::CreateIfMissing { log: LogId([77; 16]) }] {
        let mut script = opened(chain(MAX), mode);
        assert!(script.find_swap().is_none() && script.calls().is_empty(), "the writer must not be fenced for nothing");
        let error = script.error();
        let RecoveryError::Full { segments: 512, max: 512, trim_to: ChunkSeq(1), .. } = error else {
            panic!("{error:?}")
        };
        assert!(!error.may_have_happened() && !error.may_retry());
        let message = error.to_string();
        for needed in ["\"orders\"", "512", "trim the log, to seq 1 at least", "nothing was changed"] {
            assert!(message.contains(needed), "{needed:?}: {message}");
        }
    }
    let exists = opened(chain(MAX), OpenMode::MustNotExist { log: LogId([77; 16]) });
    assert!(matches!(exists.error(), RecoveryError::Exists { .. }));
}

#[test]
fn the_last_segment_that_fits_is_opened() {
    assert_eq!(segments_after(chain(MAX - 1), 1), SEGMENTS_PER_LOG_MAX);
    assert_eq!(segments_after(chain(MAX - 1), 0), SEGMENTS_PER_LOG_MAX - 1, "the empty one left the chain");
}

/// As far as the message says, and not one seq less. Whether the trim dropped the segment itself does not matter.
#[test]
fn a_trim_makes_room() {
    let mut trimmed = chain(MAX);
    trimmed.floor = ChunkSeq(1);
    assert_eq!(segments_after(trimmed.clone(), 1), SEGMENTS_PER_LOG_MAX);
    trimmed.segments.remove(0);
    assert_eq!(segments_after(trimmed, 1), SEGMENTS_PER_LOG_MAX);
    let mut larger = chain(MAX);
    // One segment of two chunks: a floor in its middle leaves it where it is.
    larger.segments.remove(1);
    larger.segments[0].end = SegmentEnd::Sealed { at: ChunkSeq(2), digest: Digest([5; 16]) };
    let open = larger.segments.pop().expect("an open one");
    larger.segments.push(segment(
        id(2, 0),
        open.base.0,
        SegmentEnd::Sealed { at: open.base.plus(1), digest: Digest([5; 16]) },
        3,
        2,
    ));
    larger.segments.push(segment(open.id, open.base.0 + 1, SegmentEnd::Open, 3, 2));
    larger.floor = ChunkSeq(1);
    let script = opened(larger, OpenMode::MustExist);
    assert!(matches!(script.error(), RecoveryError::Full { trim_to: ChunkSeq(2), .. }), "{:?}", script.error());
}

/// What certainly leaves the chain takes no room: what is sealed and empty, and a planned segment below the floor.
#[test]
fn what_leaves_the_chain_takes_no_room() {
    let mut record = chain(MAX);
    // The first one is empty.
    record.segments[0].end = SegmentEnd::Sealed { at: ChunkSeq(0), digest: Digest::default() };
    record.segments[1].base = ChunkSeq(0);
    assert_eq!(segments_after(record, 1), SEGMENTS_PER_LOG_MAX);
}

/// A deletion needs no room.
#[test]
fn a_full_log_can_be_deleted() {
    let mut script = Script::claimed_for(chain(MAX), Purpose::Delete);
    script.answer(&Shelves::new(), &[0, 1]);
    assert!(script.swap().record.deleted);
}
