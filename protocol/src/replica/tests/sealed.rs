//! Copies, words and freeing: what repair does to segments that are sealed (P13, P16).

use super::*;
use crate::limits::{HOLDINGS_PER_ANSWER_MAX, RANGES_PER_ANSWER_MAX};
use crate::message::HoldingsCursor;
use crate::ranges::SeqRanges;
use crate::replica::RestoredSegment;
use crate::snapshot::LogRecord;

fn stale(asked: u64, known: u64) -> Refusal {
    Refusal::StaleWord { asked: RecordNumber(asked), known: RecordNumber(known) }
}

fn fenced_at_2() -> Driven {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    driven.fence(2, &[]);
    driven.store_all();
    driven
}

/// P16: a writer of the segment is refused for ever; a repair fills what is missing all the same.
#[test]
fn a_copy_passes_the_fence_and_a_put_does_not() {
    let mut driven = fenced_at_2();
    assert_eq!(refusal(&driven.put(1, 4)), Refusal::Fenced { by: Epoch(2) });
    assert!(has_store(&driven.copy(1, 4)));
    assert_eq!(stored_to(&driven.store_all()).len(), 1);
    assert_eq!(
        driven.inventory(1, 0, 6),
        Reply::Inventory { runs: [run(0, 5, Answer::Have), run(5, 6, Answer::Never)].to_vec(), next: ChunkSeq(6) }
    );
}

/// A copy is judged like a put in everything else: disk (P4, P14), deletion (pitfall 11), floor, fullness, content (P1).
#[test]
fn a_copy_is_judged_like_a_put_but_for_the_fence() {
    let mut driven = fenced_at_2();
    assert!(matches!(refusal(&driven.copy_as(STRANGER, header(1, 4))), Refusal::WrongDisk { .. }));
    assert!(matches!(refusal(&driven.copy_as(RETIRED, header(1, 4))), Refusal::Retired { .. }));
    driven.copy(1, 4);
    let other = ChunkHeader { payload_crc: 1, ..header(1, 4) };
    assert!(matches!(refusal(&driven.copy_as(DISK, other)), Refusal::Different { .. }));
    driven.store_all();
    driven.handle(ReplicaEvent::Fullness { full: Some((9, 10)) });
    assert!(matches!(refusal(&driven.copy(1, 5)), Refusal::Full { .. }));
    assert_eq!(stored_to(&driven.copy(1, 4)).len(), 1, "what is held takes no room");
    driven.handle(ReplicaEvent::Fullness { full: None });
    driven.trim(1, 3);
    driven.store_all();
    assert_eq!(stored_to(&driven.copy(1, 2)).len(), 1, "below the floor it counts as stored");
    driven.delete(5);
    assert!(matches!(refusal(&driven.copy(1, 5)), Refusal::LogDeleted { .. }));
    driven.store_all();
    assert!(matches!(refusal(&driven.copy(1, 5)), Refusal::LogDeleted { .. }));
}

/// D6: what was lost and is copied here again is held again.
#[test]
fn a_copy_heals_a_loss() {
    let mut driven = fenced_at_2();
    driven.handle(ReplicaEvent::Lost { log: LOG, segment: segment(1), from: ChunkSeq(1), to: ChunkSeq(3) });
    assert!(has_store(&driven.copy(1, 1)) && has_store(&driven.copy(1, 2)));
    driven.store_all();
    assert_eq!(driven.replica.losses().count(), 0);
    let runs = [run(0, 4, Answer::Have)].to_vec();
    assert_eq!(driven.inventory(1, 0, 4), Reply::Inventory { runs, next: ChunkSeq(4) });
}

/// P13: a word is confirmed once it is durable, and only rises.
#[test]
fn a_pin_waits_for_the_disk_and_refuses_older_words() {
    let mut driven = fenced_at_2();
    assert!(replies(&driven.pin(7)).is_empty());
    assert!(replies(&driven.pin(7)).is_empty(), "the second waits for the same record");
    let pinned = Reply::Pinned { word: RecordNumber(7) };
    assert_eq!(replies(&driven.store_all()), [pinned.clone(), pinned.clone()]);
    assert_eq!(only_reply(&driven.pin(7)), pinned);
    assert_eq!(refusal(&driven.pin(6)), stale(6, 7));
    assert!(matches!(
        refusal(&driven.ask_as(RETIRED, Request::Pin { log: LOG, word: RecordNumber(9) })),
        Refusal::Retired { .. }
    ));
}

/// P13, finding 1 of tla/MODULES.md: whoever read an older record frees nothing, also when its request was under way first.
#[test]
fn a_stale_word_frees_nothing() {
    let mut driven = fenced_at_2();
    driven.pin(7);
    driven.store_all();
    assert_eq!(refusal(&driven.free(6, 1)), stale(6, 7));
    // This one is overtaken by a pin while it waits for the disk.
    assert!(replies(&driven.free(7, 1)).is_empty() || replies(&driven.free(7, 1)) == [Reply::Freed]);
    let mut driven = fenced_at_2();
    assert!(replies(&driven.free(7, 1)).is_empty());
    driven.pin(8);
    let effects = driven.store_all();
    assert_eq!(replies(&effects), [Reply::Refused(stale(7, 8)), Reply::Pinned { word: RecordNumber(8) }]);
    let runs = [run(0, 4, Answer::Have)].to_vec();
    assert_eq!(driven.inventory(1, 0, 4), Reply::Inventory { runs, next: ChunkSeq(4) });
}

#[test]
fn a_freed_segment_is_gone_and_its_log_stays_fenced() {
    let mut driven = fenced_at_2();
    driven.free(3, 1);
    let effects = driven.store_all();
    let mut seqs = SeqRanges::new();
    seqs.insert(ChunkSeq(0), ChunkSeq(4));
    assert_eq!(effects[0], ReplicaEffect::FreeSegment { log: LOG, segment: segment(1), seqs });
    assert_eq!(replies(&effects), [Reply::Freed]);
    let runs = [run(0, 4, Answer::Never)].to_vec();
    assert_eq!(driven.inventory(1, 0, 4), Reply::Inventory { runs, next: ChunkSeq(4) });
    assert_eq!(refusal(&driven.put(1, 0)), Refusal::Fenced { by: Epoch(2) });
    assert_eq!(only_reply(&driven.free(3, 1)), Reply::Freed, "again it does no harm");
}

/// What is copied here while the freeing waits for the disk stays, in the inventory and in the store.
#[test]
fn a_copy_behind_a_free_stays() {
    let mut driven = fenced_at_2();
    driven.handle(ReplicaEvent::Lost { log: LOG, segment: segment(1), from: ChunkSeq(3), to: ChunkSeq(4) });
    driven.store_all();
    driven.free(3, 1);
    driven.copy(1, 3);
    let effects = driven.store_all();
    let mut seqs = SeqRanges::new();
    seqs.insert(ChunkSeq(0), ChunkSeq(3));
    assert!(effects.contains(&ReplicaEffect::FreeSegment { log: LOG, segment: segment(1), seqs }), "{effects:?}");
    let runs = [run(0, 3, Answer::Never), run(3, 4, Answer::Have)].to_vec();
    assert_eq!(driven.inventory(1, 0, 4), Reply::Inventory { runs, next: ChunkSeq(4) });
}

/// D6: a file may hold freed rot still; only a floor or a deletion ends its loss.
#[test]
fn a_loss_outlives_the_freeing_of_its_segment() {
    let mut driven = fenced_at_2();
    driven.handle(ReplicaEvent::Lost { log: LOG, segment: segment(1), from: ChunkSeq(1), to: ChunkSeq(2) });
    driven.free(3, 1);
    driven.store_all();
    let runs = [run(0, 1, Answer::Never), run(1, 2, Answer::Unknown), run(2, 4, Answer::Never)].to_vec();
    assert_eq!(driven.inventory(1, 0, 4), Reply::Inventory { runs, next: ChunkSeq(4) });
}

/// A segment with more runs than an answer may have is told in pages.
#[test]
fn an_inventory_goes_on_where_it_ended() {
    let mut held = SeqRanges::new();
    for seq in 0..RANGES_PER_ANSWER_MAX as u64 {
        held.insert(ChunkSeq(2 * seq), ChunkSeq(2 * seq + 1));
    }
    let segments = [RestoredSegment { segment: segment(1), held, ..RestoredSegment::default() }].to_vec();
    let mut driven =
        Driven::restored([RestoredLog { record: LogRecord { log: LOG, ..LogRecord::default() }, segments }].to_vec());
    let end = 2 * RANGES_PER_ANSWER_MAX as u64;
    let Reply::Inventory { runs, next } = driven.inventory(1, 0, end) else { panic!("no inventory") };
    assert_eq!((runs.len(), next.0), (RANGES_PER_ANSWER_MAX, end / 2));
    let Reply::Inventory { runs, next } = driven.inventory(1, next.0, end) else { panic!("no inventory") };
    assert_eq!((runs.len(), next.0), (RANGES_PER_ANSWER_MAX, end));
    assert!(matches!(driven.inventory(1, 2, 1), Reply::Refused(Refusal::BadRequest { .. })));
}

/// Every log and every segment is listed once, however the pages fall.
#[test]
fn holdings_come_in_pages() {
    let of = |log: u8| {
        let segments = (1..=700).map(|epoch| {
            let mut held = SeqRanges::new();
            held.insert(ChunkSeq(5), ChunkSeq(8));
            RestoredSegment { segment: segment(epoch), held, ..RestoredSegment::default() }
        });
        let record = LogRecord { log: LogId([log; 16]), floor: ChunkSeq(1), ..LogRecord::default() };
        RestoredLog { record, segments: segments.collect() }
    };
    let mut driven = Driven::restored((1..=5).map(of).collect());
    let (mut cursor, mut seen, mut pages) = (Some(HoldingsCursor::default()), Vec::new(), 0);
    while let Some(from) = cursor {
        let Reply::Holdings(page) = only_reply(&driven.ask(Request::Holdings { from })) else { panic!("no holdings") };
        assert_eq!(page.identities, [DISK, RETIRED]);
        let (logs, next) = (page.logs, page.next);
        let entries: usize = logs.iter().map(|log| 1 + log.segments.len()).sum();
        assert!(entries <= HOLDINGS_PER_ANSWER_MAX, "{entries}");
        for log in logs {
            seen.extend(log.segments.iter().map(|found| (log.log, found.segment, found.chunks)));
        }
        (cursor, pages) = (next, pages + 1);
    }
    let all = (1..=5).flat_map(|log| (1..=700).map(move |epoch| (LogId([log; 16]), segment(epoch), 3)));
    assert!(seen.into_iter().eq(all));
    assert_eq!(pages, 2);
}
