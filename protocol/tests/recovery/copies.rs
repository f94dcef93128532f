//! P7.4: what is copied, to whom, and what a copy has to be.

use crate::script::{LOG, Script, Shelf, Shelves, disk, id, open_from_10, shelves, version, written};
use bytes::Bytes;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::message::{Answer, Refusal};
use quarry_protocol::recovery::{FetchFailure, RecoveryError, RecoveryEvent, SwapOutcome};
use quarry_protocol::writer::{Writer, WriterConfig, WriterEffect, WriterEvent};

/// 10 and 11 are on both replicas that answer, 12 and 13 on the first one only.
fn two_to_copy() -> Shelves {
    shelves(id(3, 0), [(0, Shelf::with(10, 10..14)), (1, Shelf::with(10, 10..12))])
}

fn settled() -> Script {
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&two_to_copy(), &[0, 1]);
    script
}

/// Pitfalls 5 (Woodpecker #252) and 12 (`BookKeeper` #1591): a tail seen on one replica is stored on an ack quorum of the new
/// segment's replicas before the register names that segment, and nobody hears of it before the register does.
#[test]
fn a_tail_on_one_replica_is_copied_to_a_quorum_before_the_swap() {
    let mut script = settled();
    script.give_chunks(&written(id(3, 0), 10, 4));
    let new = script.attached().expect("two chunks to copy");
    assert_eq!(new, id(4, 0));
    assert!(script.copies().is_empty(), "no link is up yet");
    script.up(new, &[0, 2]);
    let copies = script.copies();
    let put: Vec<_> = copies.iter().map(|(replica, header, _)| (*replica, header.seq.0)).collect();
    assert_eq!(put, [(0, 12), (0, 13), (2, 12), (2, 13)]);
    let mut digest = Digest::start(LOG, new, ChunkSeq(12));
    for (_, header, payload) in &copies[..2] {
        assert_eq!((header.segment, header.verify_payload(payload)), (new, Ok(())));
        assert!(digest.continues_with(header), "the new segment has a chain of its own");
        digest = header.digest;
    }
    // Every proper part of what is needed: not enough.
    for (replica, seq) in [(0, 0), (0, 1), (2, 2)] {
        script.store(replica, &copies[seq].1);
        assert!(script.find_swap().is_none() && script.outcome.is_none(), "stored on one replica only");
    }
    // The same replica again is the same replica (pitfall 4).
    script.store(0, &copies[1].1);
    assert!(script.find_swap().is_none());
    script.store(2, &copies[3].1);
    let swap = script.swap();
    assert_eq!(swap.expected, Some(version(2)), "compares the record as claimed");
    assert!(script.outcome.is_none(), "pitfall 12: nothing before the swap is confirmed");
    script.swapped(swap.request, SwapOutcome::Done(version(3)));
    let report = script.report();
    assert_eq!((report.next_seq, report.digest), (ChunkSeq(14), digest));
    let segment = report.segment.clone().expect("opened to write");
    assert_eq!((segment.id, segment.base), (new, ChunkSeq(12)));
    assert_eq!(report.carried.iter().map(|c| c.header.seq.0).collect::<Vec<_>>(), [12, 13], "replica 1 lacks them");
    carried_reach_the_third_replica(&script);
}

/// The new writer goes on where the recovery stood.
fn carried_reach_the_third_replica(script: &Script) {
    let report = script.report();
    let segment = report.segment.clone().expect("opened to write");
    let config = WriterConfig {
        log: LOG,
        segment: segment.id,
        quorum: segment.quorum().expect("valid"),
        window: segment.window,
        next_seq: report.next_seq,
        digest: report.digest,
        carried: report.carried.clone(),
        deadline_us: 1_000_000,
        straggler_chunks_max: 10,
        held: false,
        straggler_bytes_max: 1_000_000,
    };
    let mut writer = Writer::new(config, script.now);
    let payload = Bytes::from_static(b"next");
    let payload_crc = crc32c::crc32c(&payload);
    writer.handle(script.now, WriterEvent::Append { token: 0, payload, payload_crc });
    writer.handle(script.now, WriterEvent::Up { replica: 1 });
    let put: Vec<_> = std::iter::from_fn(|| writer.poll_effect())
        .map(|effect| match effect {
            WriterEffect::Put { replica, header, .. } => (replica, header.seq.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(put, [(1, 12), (1, 13), (1, 14)]);
}

/// P7.3, P8: a replica says that it has a chunk nobody else has, and dies. A read quorum never had it: the takeover ends
/// without that chunk, which cannot have been acknowledged, instead of waiting for the dead.
#[test]
fn a_chunk_whose_only_holder_died_does_not_hold_up_a_quorum() {
    let only_on_2 =
        shelves(id(3, 0), [(0, Shelf::with(10, [10])), (1, Shelf::with(10, [10])), (2, Shelf::with(10, [10, 11]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    // It speaks first: afterwards the others' word would be enough.
    for _ in 0..2 {
        for call in script.calls().into_iter().rev() {
            script.reply(&call, Script::truth(&call, &only_on_2));
        }
    }
    let chunks = written(id(3, 0), 10, 2);
    for _ in 0..40 {
        for (request, replica, _, seq) in script.fetches() {
            let result = match replica {
                2 => Err(FetchFailure::Unreachable("connection refused".to_owned())),
                _ => Ok(chunks[&seq.0].clone()),
            };
            script.handle(RecoveryEvent::Fetched { request, result });
        }
        for call in script.calls() {
            if call.to == 2 { script.lost(&call) } else { script.reply(&call, Script::truth(&call, &only_on_2)) }
        }
        if let Some(swap) = script.find_swap() {
            script.swapped(swap.request, SwapOutcome::Done(version(3)));
            assert_eq!(script.report().next_seq, ChunkSeq(11), "10 is on a quorum, 11 on the dead one only");
            return;
        }
        assert!(script.outcome.is_none(), "ended: {:?}", script.outcome);
        script.until_retry();
    }
    panic!("the takeover waits for a dead replica");
}

/// Pitfall 20: the connection breaks while copying; what was not stored is put again, with the same header.
#[test]
fn a_copy_that_was_lost_is_put_again() {
    let mut script = settled();
    script.give_chunks(&written(id(3, 0), 10, 4));
    let new = script.attached().expect("two chunks to copy");
    script.up(new, &[0]);
    let first = script.copies();
    script.store(0, &first[0].1);
    script.handle(RecoveryEvent::Down { replica: 0, segment: new, why: "reset".to_owned() });
    script.up(new, &[0]);
    assert_eq!(script.copies(), first[1..], "12 is stored, 13 is put again");
    // A full disk passes, a fence does not.
    let full = Refusal::Full { live_bytes: 9, capacity_bytes: 10 };
    script.handle(RecoveryEvent::CopyRefused { replica: 0, segment: new, seq: ChunkSeq(13), refusal: full });
    assert!(script.copies().is_empty());
    script.until_retry();
    assert_eq!(script.copies(), first[1..]);
    let fenced = Refusal::Fenced { by: Epoch(5) };
    script.handle(RecoveryEvent::CopyRefused { replica: 0, segment: new, seq: ChunkSeq(13), refusal: fenced });
    assert!(script.is_reading(), "somebody else is further: who?");
}

/// Pitfall 3, P8: a chunk that is there but cannot be read, or is damaged, or is another one, is neither dropped nor copied;
/// it is read from whoever else has it.
#[test]
fn a_chunk_that_does_not_verify_is_read_from_another_replica() {
    let good = written(id(3, 0), 10, 4);
    let damaged = {
        let (header, payload) = &good[&12];
        let mut bytes = payload.to_vec();
        bytes[0] ^= 1;
        Ok((*header, Bytes::from(bytes)))
    };
    let another_seq = Ok(good[&13].clone());
    let another_segment = Ok(written(id(2, 0), 10, 4)[&12].clone());
    // Verifies by itself, but is not what the writer chained.
    let forked = Ok(written(id(3, 0), 11, 4)[&12].clone());
    let unreadable = Err(FetchFailure::Answer(Answer::Unknown));
    let gone = Err(FetchFailure::Answer(Answer::Never));
    let away = Err(FetchFailure::Unreachable("timed out".to_owned()));
    for (case, bad) in [damaged, another_seq, another_segment, forked, unreadable, gone, away].into_iter().enumerate() {
        let mut script = Script::claimed(open_from_10(5, 3));
        // 12 is on two replicas of the three that answer; it takes three.
        let held = [(0, Shelf::with(10, 10..13)), (1, Shelf::with(10, 10..13)), (2, Shelf::with(10, 10..12))];
        let shelves = shelves(id(3, 0), held);
        script.answer(&shelves, &[0, 1, 2]);
        let mut asked_of = Vec::new();
        for round in 0..12 {
            for (request, from, _, seq) in script.fetches() {
                let result = if seq == ChunkSeq(12) && from == 0 { bad.clone() } else { Ok(good[&seq.0].clone()) };
                asked_of.push((seq.0, from));
                script.handle(RecoveryEvent::Fetched { request, result });
            }
            if round % 3 == 2 {
                script.pass(100_000);
                script.answer(&shelves, &[0, 1, 2]);
            }
        }
        assert!(asked_of.contains(&(12, 0)) && asked_of.contains(&(12, 1)), "case {case}: {asked_of:?}");
        let new = script.attached().expect("a chunk to copy");
        script.up(new, &[0, 1]);
        let copies = script.copies();
        assert_eq!(copies.len(), 2, "case {case}");
        assert!(copies.iter().all(|(_, header, payload)| header.seq.0 == 12 && *payload == good[&12].1), "case {case}");
        for (replica, header, _) in &copies {
            script.store(*replica, header);
        }
        assert_eq!(script.swap().record.segments.last().expect("a chain").base, ChunkSeq(12));
    }
}

/// P8: if nobody else has it the recovery waits, and fails at the deadline naming the chunk; it does not go on without it.
#[test]
fn an_unreadable_chunk_is_waited_for_and_named() {
    let mut script = settled();
    for _ in 0..400 {
        for (request, _, _, seq) in script.fetches() {
            let chunk = written(id(3, 0), 10, 4)[&seq.0].clone();
            let result = if seq == ChunkSeq(12) { Err(FetchFailure::Answer(Answer::Unknown)) } else { Ok(chunk) };
            script.handle(RecoveryEvent::Fetched { request, result });
        }
        script.answer(&two_to_copy(), &[0, 1]);
        assert!(script.find_swap().is_none() && script.copies().is_empty());
        if script.outcome.is_some() {
            break;
        }
        script.pass(50_000);
    }
    let RecoveryError::Replicas { segment, seq, missing, .. } = script.error() else { panic!("{:?}", script.error()) };
    assert_eq!((*segment, *seq), (Some(id(3, 0)), Some(ChunkSeq(12))));
    let disks: Vec<_> = missing.iter().map(|missing| missing.replica.disk).collect();
    assert!(disks.contains(&disk(0)) && disks.contains(&disk(2)), "{missing:?}");
}

/// P1, pitfall 16: another copy under a name that only this recovery can use.
#[test]
fn a_name_that_is_taken_ends_the_recovery() {
    let mut script = settled();
    script.give_chunks(&written(id(3, 0), 10, 4));
    let new = script.attached().expect("two chunks to copy");
    script.up(new, &[0]);
    let refusal = Refusal::Different { segment: new, seq: ChunkSeq(12) };
    script.handle(RecoveryEvent::CopyRefused { replica: 0, segment: new, seq: ChunkSeq(12), refusal });
    assert!(matches!(script.error(), RecoveryError::Broken { .. }));
}

/// A segment of many chunks: reads are bounded, and everything arrives in order.
#[test]
fn many_copies_are_read_within_bounds() {
    let mut record = open_from_10(3, 2);
    record.segments[0].window.chunks = 300;
    let shelves = shelves(id(3, 0), [(0, Shelf::with(10, 10..310)), (1, Shelf::default())]);
    let chunks = written(id(3, 0), 10, 300);
    let mut script = Script::claimed(record);
    script.answer(&shelves, &[0, 1]);
    let new = script.attached().expect("all to copy");
    script.up(new, &[0, 1]);
    let mut next = [10, 10];
    for _ in 0..400 {
        let mut fetches = script.fetches();
        assert!(fetches.len() <= 16, "{} reads under way", fetches.len());
        fetches.reverse();
        for (request, _, _, seq) in fetches {
            script.handle(RecoveryEvent::Fetched { request, result: Ok(chunks[&seq.0].clone()) });
        }
        for (replica, header, _) in script.copies() {
            assert_eq!(header.seq.0, next[replica], "in order");
            next[replica] += 1;
            script.store(replica, &header);
        }
    }
    assert_eq!(next, [310, 310]);
    assert_eq!(script.swap().record.segments[0].base, ChunkSeq(10));
}
