//! Every subset of replies, with every one of them lost.

use crate::script::{LOG, Script, Shelf, Shelves, id, open_from_10, shelves, write, written};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::Request;
use quarry_protocol::quorum::Quorum;

fn all_quorums() -> impl Iterator<Item = (usize, usize)> {
    (1..=7).flat_map(|replicas| (1..=replicas).map(move |ack| (replicas, ack)))
}

fn members(set: usize, replicas: usize) -> Vec<usize> {
    (0..replicas).filter(|i| set & (1 << i) != 0).collect()
}

/// Pitfall 4: replicas are counted, not replies. An empty segment is settled if, and only if, `Qr` replicas answered; it does
/// not matter which, how often each of them answered, nor how many requests failed.
#[test]
fn every_subset_of_replies_settles_an_empty_segment_only_with_a_read_quorum() {
    for (replicas, ack) in all_quorums() {
        let read = Quorum::new(replicas, ack).expect("valid").read();
        for set in 0..1_usize << replicas {
            let answering = members(set, replicas);
            let mut script = Script::claimed_for(open_from_10(replicas, ack), write(1, 1));
            for _ in 0..4 {
                for call in script.calls() {
                    if answering.contains(&call.to) {
                        let reply = Script::truth(&call, &Shelves::new());
                        script.reply(&call, reply.clone());
                        // Again, and as the answer to nothing that was ever asked.
                        script.reply(&call, reply);
                    } else {
                        // Lost twice over.
                        script.lost(&call);
                        script.lost(&call);
                    }
                }
            }
            let settled = script.find_swap().is_some();
            assert_eq!(settled, answering.len() >= read, "{answering:?} of {replicas}, {ack} acknowledge");
            assert_eq!(script.outcome, None);
        }
    }
}

/// P6, P7: a chunk that an ack quorum stored is found by every read quorum, whichever replicas are lost. `Qa` is any set.
#[test]
fn an_acknowledged_chunk_is_kept_by_every_read_quorum() {
    let chunks = written(id(3, 0), 10, 1);
    for (replicas, ack) in all_quorums().filter(|(replicas, _)| *replicas <= 5) {
        let read = Quorum::new(replicas, ack).expect("valid").read();
        for holders in (0..1_usize << replicas).filter(|set| set.count_ones() as usize == ack) {
            let holders = members(holders, replicas);
            let shelves = shelves(id(3, 0), holders.iter().map(|i| (*i, Shelf::with(10, [10]))));
            for set in (0..1_usize << replicas).filter(|set| set.count_ones() as usize == read) {
                let answering = members(set, replicas);
                let mut script = Script::claimed_for(open_from_10(replicas, ack), write(1, 1));
                script.answer(&shelves, &answering);
                script.give_chunks(&chunks);
                if let Some(segment) = script.attached() {
                    script.up(segment, &[0]);
                    let copies = script.copies();
                    assert_eq!(copies.iter().map(|(_, header, _)| header.seq.0).collect::<Vec<_>>(), [10]);
                    script.store(0, &copies[0].1);
                }
                let swap = script.swap();
                script.swapped(swap.request, quarry_protocol::recovery::SwapOutcome::Done(crate::script::version(3)));
                assert_eq!(script.report().next_seq, ChunkSeq(11), "{holders:?} hold it, {answering:?} answer");
            }
        }
    }
}

/// The fence names the log, the new epoch and the segments, and goes to every replica at once (pitfall 37).
#[test]
fn every_replica_is_fenced_at_once() {
    let mut script = Script::claimed(open_from_10(5, 3));
    let calls = script.calls();
    assert_eq!(calls.iter().map(|call| call.to).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for call in calls {
        let segments = vec![id(3, 0)];
        assert_eq!(call.what, Request::Fence { log: LOG, epoch: quarry_protocol::ids::Epoch(4), segments });
    }
}
