//! A disk that fails, and a disk that fills.

use super::fake::{Fake, LOG, ONE, TWO, chunk, segment};
use crate::shard::ShardEvent;
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::message::{Answer, Refusal, Reply, Request};

fn is_disk_failed(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(Refusal::DiskFailed { why }) if why.contains("no more"))
}

/// D6, pitfall 21: after a write error nothing is acknowledged, not even what another write in progress held, and
/// whoever waits is told. What is held is still served.
#[test]
fn a_write_error_fails_the_disk() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 1000));
    fake.settle();
    fake.stored.clear();
    for seq in 1..4 {
        fake.put(ONE, seq, chunk(1, seq, 300 << 10));
        fake.perform();
    }
    fake.fence(TWO, 10, 2);
    fake.put(TWO, 11, chunk(2, 4, 1000));
    fake.perform();
    assert!(fake.writing.len() > 1);
    fake.end_write(0, Some("no more"));
    while !fake.writing.is_empty() {
        fake.end_write(0, None);
    }
    fake.settle();
    assert!(fake.stored.is_empty(), "{:?}", fake.stored);
    assert!([1, 2, 3, 10, 11].into_iter().all(|id| is_disk_failed(fake.reply(id))), "{:?}", fake.replies);
    assert_eq!(fake.slots_held(), 0);
    assert!(fake.failed.as_ref().is_some_and(|why| why.contains("no more")));

    fake.put(ONE, 20, chunk(3, 5, 1000));
    fake.fence(ONE, 21, 3);
    fake.trim(22, 1);
    fake.ask(ONE, 23, Request::Delete { log: LOG, epoch: Epoch(3) });
    fake.read(ONE, 24, 0, 1 << 20);
    fake.settle();
    assert!((20..24).all(|id| is_disk_failed(fake.reply(id))), "{:?}", fake.replies);
    assert_eq!(fake.slots_held(), 0);
    assert_eq!(fake.sent.len(), 1, "what was stored before is still read");
    let end = Reply::ReadEnd { next: ChunkSeq(1), answer: Answer::Unknown };
    assert_eq!(fake.reply(24), &end, "P8: a failed disk cannot say never");
    let statistics = fake.shard.statistics();
    assert!(statistics.failed.is_some());
    assert_eq!(statistics.slots, 0);
}

/// D6: a short write is a failed write.
#[test]
fn a_short_write_fails_the_disk() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 1000));
    fake.perform();
    // Batches are numbered densely: the next one after the last confirmed is the one being written.
    let number = fake.shard.statistics().store.confirmed_batch + 1;
    fake.handle(ShardEvent::Written { number, result: Ok(512) });
    fake.writing.clear();
    fake.settle();
    assert!(fake.stored.is_empty() && fake.failed.is_some());
    assert_eq!(fake.slots_held(), 0);
}

/// D6: a write that never ends is a failed write, and its puts are told.
#[test]
fn a_write_that_outlasts_the_bound_fails_the_disk() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 1000));
    fake.perform();
    for _ in 0..1000 {
        if fake.failed.is_none() {
            fake.tick();
        }
    }
    assert!(fake.failed.is_some());
    assert!(matches!(fake.reply(0), Reply::Refused(Refusal::DiskFailed { .. })));
    assert_eq!(fake.slots_held(), 1, "the write still reads from the slot");
    fake.end_write(0, None);
    assert_eq!(fake.slots_held(), 0);
    assert!(fake.stored.is_empty(), "late success is no success");
}

/// A clean stop of a failed shard does not wait for ever.
#[test]
fn a_failed_shard_stops() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 1000));
    fake.perform();
    fake.end_write(0, Some("no more"));
    fake.handle(ShardEvent::Stop);
    fake.settle();
    assert!(fake.settled);
}

/// Pitfall 29, D7: a full shard refuses new chunks, goes on with everything else, and takes chunks again by itself.
#[test]
fn a_full_shard_refuses_puts_and_resumes_by_itself() {
    let mut fake = Fake::new(6);
    let mut full_at = None;
    for seq in 0..100 {
        fake.put(ONE, seq, chunk(1, seq, 2 << 20));
        fake.settle();
        if fake.has_reply(seq) {
            full_at = Some(seq);
            break;
        }
    }
    let full_at = full_at.expect("six files of 16 MiB are full by then");
    let Reply::Refused(Refusal::Full { live_bytes, capacity_bytes }) = fake.reply(full_at) else {
        panic!("{:?}", fake.reply(full_at))
    };
    assert!(live_bytes * 100 > capacity_bytes * 70, "{live_bytes} of {capacity_bytes} bytes are live");
    assert_eq!(fake.stored.len() as u64, full_at, "everything else was stored");
    assert!(fake.shard.statistics().full.is_some());

    fake.read(TWO, 1000, 0, 1);
    fake.put(ONE, 1001, chunk(1, 0, 2 << 20));
    fake.fence(TWO, 1002, 2);
    fake.settle();
    assert!(matches!(fake.reply(1000), Reply::ReadEnd { answer: Answer::Have, .. }), "reads go on");
    assert_eq!(fake.stored.last(), Some(&(ONE, 1001)), "a held chunk is acknowledged");
    assert!(matches!(fake.reply(1002), Reply::Fenced { .. }), "fences go on");

    for round in 0..3 {
        fake.put(TWO, 2000 + round, chunk(2, full_at + round, 2 << 20));
        fake.trim(3000 + round, full_at / 3 * (round + 1));
        fake.settle();
        assert!(matches!(fake.reply(3000 + round), Reply::Trimmed { .. }), "trims go on");
    }
    assert!(fake.has_reply(2000), "nothing was trimmed yet");
    assert_eq!(fake.shard.statistics().full, None);
    fake.put(TWO, 4000, chunk(2, full_at + 10, 2 << 20));
    fake.settle();
    assert_eq!(fake.stored.last(), Some(&(TWO, 4000)));
    assert_eq!(fake.slots_held(), 0);
}

/// D7: fullness counts what is still on its way, so that one turn full of puts cannot overrun the reserve.
#[test]
fn a_burst_of_puts_is_refused_before_it_is_written() {
    let mut fake = Fake::new(5);
    for seq in 0..40 {
        fake.put(ONE, seq, chunk(1, seq, 2 << 20));
    }
    fake.settle();
    let refused = fake.replies.iter().filter(|(_, _, reply)| matches!(reply, Reply::Refused(Refusal::Full { .. })));
    assert_eq!(refused.count() + fake.stored.len(), 40);
    assert!(fake.stored.len() < 24, "{} chunks of 2 MiB in five files of 16", fake.stored.len());
    assert_eq!(fake.failed, None);
    let request = Request::Inspect { log: LOG, segments: vec![segment(1)] };
    fake.ask(ONE, 100, request);
    fake.trim(101, 40);
    fake.settle();
    assert_eq!(fake.reply(101), &Reply::Trimmed { floor: ChunkSeq(40) });
}
