//! After the outcome: every replica is told, and segments that nobody needs any more leave the record.

use crate::script::{LOG, Mood, Script, id, number, replica, segment, three_segments};
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::{LogRecord, SegmentEnd};
use quarry_protocol::recovery::SwapOutcome;
use quarry_protocol::telling::{TELLING_US_MAX, TELLINGS_MAX, Telling, TellingEffect, TellingEvent};
use quarry_protocol::time::Micros;

/// A trim whose floor has just been put on record.
fn landed(wanted: u64, moods: [Mood; 5]) -> Script {
    let (mut script, swap) = Script::raising(&[wanted]);
    script.moods = moods;
    script.land(&swap);
    assert_eq!(script.outcome(), Ok(ChunkSeq(wanted)));
    script
}

fn with(replica: usize, mood: Mood) -> [Mood; 5] {
    let mut moods = [Mood::Good; 5];
    moods[replica] = mood;
    moods
}

fn segments(record: &LogRecord) -> Vec<SegmentId> {
    record.segments.iter().map(|segment| segment.id).collect()
}

/// The telling, to its end; then the segments that leave.
fn told(script: &mut Script) -> Vec<SegmentId> {
    for _ in 0..50 {
        script.answer();
        if let Some(swap) = script.find_swap() {
            script.land(&swap);
        }
        if script.over.is_some() {
            return segments(script.register.record.as_ref().expect("a record"));
        }
        script.until_due();
    }
    panic!("not over: {:#?}", script.trim);
}

#[test]
fn segments_below_the_floor_leave_the_record_once_everybody_knows() {
    for (wanted, left) in [(9, &[1, 2, 3][..]), (10, &[2, 3]), (19, &[2, 3]), (20, &[3]), (30, &[3])] {
        let mut script = landed(wanted, [Mood::Good; 5]);
        assert_eq!(told(&mut script), left.iter().map(|epoch| id(*epoch)).collect::<Vec<_>>(), "{wanted}");
        assert_eq!(script.floor(), ChunkSeq(wanted));
        assert!(script.untold().is_empty());
        assert_eq!(script.told.len(), 4, "told once each: {:?}", script.told);
    }
}

/// Where a boundary is planned the segment may yet end earlier; only its seal says where it really ended (P11).
#[test]
fn a_segment_that_is_not_sealed_stays() {
    let mut record = three_segments();
    record.segments[2].end = SegmentEnd::Boundary { at: ChunkSeq(30) };
    record.segments.push(segment(4, 30, SegmentEnd::Open, &[0, 1, 2]));
    record.epoch = Epoch(4);
    record.number = quarry_protocol::ids::RecordNumber(4);
    let mut script = Script::new(record, &[30]);
    script.read();
    script.answer();
    let swap = script.swap();
    script.land(&swap);
    assert_eq!(told(&mut script), [id(3), id(4)]);
}

/// A segment stays for as long as it is the only way to a replica that does not know.
#[test]
fn a_segment_stays_while_it_is_needed_to_reach_a_replica() {
    let mut script = landed(25, with(3, Mood::Away));
    assert_eq!(told(&mut script), [id(2), id(3)], "replica 3 is in the second only");
    assert_eq!(script.untold(), [3]);
    // Replica 2 does not know either, but the open segment names it: a later trim or open reaches it.
    let mut script = landed(25, with(2, Mood::Away));
    assert_eq!((told(&mut script), script.untold()), (vec![id(3)], vec![2]));
}

#[test]
fn a_replica_that_does_not_answer_is_told_a_few_times() {
    let mut script = landed(15, with(1, Mood::Away));
    told(&mut script);
    let tellings = script.told.iter().filter(|(to, ..)| *to == 1).count();
    assert_eq!(tellings, TELLINGS_MAX as usize);
    assert_eq!(script.told.len(), 3 + tellings, "the others once");
    assert_eq!(script.over.as_ref().map(|(untold, _)| untold[0].why.clone()), Some("node1 is away".to_owned()));
    assert!(script.now.since(Micros(0)) > 0 && script.now.since(Micros(0)) < 1_000_000, "{:?}", script.now);
}

#[test]
fn a_replica_that_comes_back_is_told() {
    let mut script = landed(25, with(3, Mood::Away));
    script.answer();
    script.moods[3] = Mood::Good;
    assert_eq!((told(&mut script), script.untold()), (vec![id(3)], vec![]));
}

#[test]
fn a_refusal_is_an_answer() {
    let mut script = landed(25, with(3, Mood::Deleted));
    assert_eq!((told(&mut script), script.untold()), (vec![id(2), id(3)], vec![3]));
    assert_eq!(script.told.iter().filter(|(to, ..)| *to == 3).count(), 1);
}

/// Only a floor as high as the one told is a confirmation.
#[test]
fn an_older_floor_confirms_nothing() {
    let mut script = landed(25, with(3, Mood::Forgetful));
    assert_eq!((told(&mut script), script.untold()), (vec![id(2), id(3)], vec![3]));
}

#[test]
fn a_replica_that_never_answers_is_given_up() {
    let mut script = landed(25, [Mood::Silent; 5]);
    let begun = script.now;
    // The ways to all of them but replica 3 stay with the open segment.
    assert_eq!((told(&mut script), script.untold()), (vec![id(2), id(3)], vec![0, 1, 2, 3]));
    assert_eq!(script.now.since(begun), TELLING_US_MAX);
}

/// Dropping segments is tried once: whoever comes next does it.
#[test]
fn segments_that_cannot_be_dropped_stay() {
    let outcomes = [
        SwapOutcome::Conflict,
        SwapOutcome::Ambiguous("timed out".to_owned()),
        SwapOutcome::Failed("connection refused".to_owned()),
    ];
    for outcome in outcomes {
        let mut script = landed(25, [Mood::Good; 5]);
        script.answer();
        let swap = script.swap();
        assert_eq!(
            swap.record,
            LogRecord {
                segments: swap.record.segments.clone(),
                ..script.register.record.as_ref().expect("a record").changed()
            }
        );
        assert_eq!(segments(&swap.record), [id(3)]);
        script.swapped(&swap, outcome);
        assert!(script.find_swap().is_none());
        assert!(script.over.as_ref().is_some_and(|(_, kept)| kept.is_some()), "{:?}", script.over);
        assert_eq!(script.outcome(), Ok(ChunkSeq(25)), "the outcome stays what it was");
    }
    let mut script = landed(25, [Mood::Good; 5]);
    script.answer();
    script.until_due();
    assert!(script.over.as_ref().is_some_and(|(_, kept)| kept.is_some()), "a register that does not answer");
}

/// A takeover between the floor and the dropping: the chain that it wrote is not touched.
#[test]
fn segments_are_dropped_only_from_the_record_that_was_told() {
    let mut script = landed(25, [Mood::Good; 5]);
    script.register.change(crate::script::taken_over);
    script.answer();
    let swap = script.swap();
    script.land(&swap);
    assert_eq!(segments(script.register.record.as_ref().expect("a record")), [1, 2, 3, 4].map(id));
    assert!(script.over.is_some());
}

/// What a telling asks for, and whom.
fn asked(telling: &mut Telling) -> Vec<(usize, String, Request)> {
    std::iter::from_fn(|| match telling.poll_effect()? {
        TellingEffect::Call { to, what, .. } => Some((number(&to), to.address, what)),
        TellingEffect::Finished(_) => None,
    })
    .collect()
}

#[test]
fn a_deletion_reaches_whoever_a_record_named_at_the_newest_address() {
    let before = three_segments();
    let mut record = three_segments();
    record.segments.drain(..2);
    record.segments[0].replicas[1].address = "moved:7000".to_owned();
    let other = LogRecord { log: LogId([8; 16]), ..crate::script::taken_over(three_segments()) };
    let what = Request::Delete { log: LOG, epoch: Epoch(9) };
    let mut telling = Telling::new(what.clone(), [&other, &before, &record], 1, Micros(0));
    let asked = asked(&mut telling);
    let addresses: Vec<_> = asked.iter().map(|(_, address, _)| address.as_str()).collect();
    assert_eq!(
        addresses,
        ["node0:7000", "moved:7000", "node2:7000", "node3:7000"],
        "not node4, which is another log's"
    );
    assert!(asked.iter().all(|(.., asked)| *asked == what));
}

#[test]
fn a_deletion_is_confirmed_by_nothing_else() {
    let what = Request::Delete { log: LOG, epoch: Epoch(9) };
    let mut telling = Telling::new(what, [&three_segments()], 1, Micros(0));
    let mut calls = Vec::new();
    while let Some(TellingEffect::Call { request, to, .. }) = telling.poll_effect() {
        calls.push((request, number(&to)));
    }
    assert_eq!(telling.next_request(), 5);
    for (request, to) in calls {
        let reply = if to == 2 { Reply::Trimmed { floor: ChunkSeq(99) } } else { Reply::Deleted };
        telling.handle(Micros(1), TellingEvent::Replied { request, result: Ok(reply) });
    }
    let Some(TellingEffect::Finished(told)) = telling.poll_effect() else { panic!("{telling:?}") };
    let knows: Vec<_> = told.iter().map(|told| (told.replica.clone(), told.result.is_ok())).collect();
    assert_eq!(knows, [(replica(0), true), (replica(1), true), (replica(2), false), (replica(3), true)]);
    assert_eq!(telling.poll_timeout(), None);
}

#[test]
fn without_replicas_there_is_nobody_to_tell() {
    let what = Request::Trim { log: LOG, word: RecordNumber(1), floor: ChunkSeq(0) };
    let mut telling = Telling::new(what, [&LogRecord::new("orders", LOG)], 1, Micros(0));
    assert_eq!(telling.poll_effect(), Some(TellingEffect::Finished(Vec::new())));
}
