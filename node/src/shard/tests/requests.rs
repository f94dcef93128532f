//! Puts and requests from a connection through replica, store and disk, and back.

use super::fake::{Fake, LOG, ONE, TWO, chunk, segment};
use crate::shard::{AdminAnswer, AdminRequest, ConnectionId, MemberList, ShardEffect, ShardEvent};
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, RecordNumber};
use quarry_protocol::limits::{CONNECTION_REQUESTS_MAX, CONNECTIONS_PER_SHARD_MAX};
use quarry_protocol::member::Member;
use quarry_protocol::message::{Answer, HoldingsCursor, Refusal, Reply, Request};
use std::sync::Arc;

/// P4, D4: acknowledged when durable, in order, whatever order the writes end in.
#[test]
fn puts_are_acknowledged_in_order_once_durable() {
    let mut fake = Fake::new(8);
    for seq in 0..4 {
        fake.put(ONE, seq, chunk(1, seq, 300 << 10));
        fake.perform();
    }
    assert!(fake.writing.len() > 1, "several batches are on their way");
    assert!(fake.stored.is_empty());
    while fake.writing.len() > 1 {
        fake.end_write(fake.writing.len() - 1, None);
        assert!(fake.stored.is_empty(), "the first batch is not durable: {:?}", fake.stored);
    }
    fake.settle();
    assert_eq!(fake.stored, [0, 1, 2, 3].map(|id| (ONE, id)));
    assert_eq!(fake.slots_held(), 0);
}

/// D1: what arrives in one turn of the loop shares a batch.
#[test]
fn puts_of_one_turn_share_a_write() {
    let mut fake = Fake::new(8);
    for seq in 0..20 {
        fake.put(ONE, seq, chunk(1, seq, 100));
    }
    fake.perform();
    assert_eq!(fake.writing.len(), 1);
    fake.settle();
    assert_eq!(fake.stored.len(), 20);
}

/// P3, pitfall 7: a fence is answered after the puts before it are durable, with them in its inventory.
#[test]
fn a_fence_drains_puts() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 300 << 10));
    fake.perform();
    fake.put(ONE, 1, chunk(1, 1, 300 << 10));
    fake.fence(TWO, 2, 2);
    fake.put(ONE, 3, chunk(1, 2, 100));
    fake.perform();
    assert_eq!(fake.reply(3), &Reply::Refused(Refusal::Fenced { by: quarry_protocol::ids::Epoch(2) }), "at once");
    assert!(!fake.has_reply(2));
    while fake.writing.len() > 1 {
        fake.end_write(fake.writing.len() - 1, None);
        assert!(!fake.has_reply(2) && fake.stored.is_empty());
    }
    fake.settle();
    assert_eq!(fake.stored, [(ONE, 0), (ONE, 1)]);
    let Reply::Fenced { segments, .. } = fake.reply(2) else { panic!("{:?}", fake.reply(2)) };
    assert_eq!(segments[0].newest, Some(ChunkSeq(1)));
}

/// Pitfall 10: the duplicate of a put on its way is acknowledged with it, not before; its payload is not kept.
#[test]
fn a_duplicate_put_waits_for_the_first() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 100));
    fake.perform();
    fake.put(TWO, 1, chunk(1, 0, 100));
    fake.perform();
    assert!(fake.stored.is_empty());
    assert_eq!(fake.slots_held(), 1, "the duplicate's slot is released at once");
    fake.settle();
    assert_eq!(fake.stored, [(ONE, 0), (TWO, 1)]);
    fake.put(TWO, 2, chunk(1, 0, 100));
    fake.perform();
    assert_eq!(fake.stored.last(), Some(&(TWO, 2)), "held: at once");
}

/// A hello is answered with the whole node, unless it means another cluster.
#[test]
fn a_hello_is_answered_here() {
    let mut fake = Fake::new(8);
    fake.ask(ONE, 1, Request::Hello { cluster: "here".into() });
    fake.ask(ONE, 2, Request::Hello { cluster: "there".into() });
    fake.perform();
    assert!(matches!(fake.reply(1), Reply::Hello(info) if info.zone == "a" && info.shards.len() == 1));
    let wrong = Refusal::WrongCluster { asked: "there".into(), here: "here".into() };
    assert_eq!(fake.reply(2), &Reply::Refused(wrong));
}

/// A connection that closes with puts on their way gets nothing more, and its slots come back.
#[test]
fn a_connection_closed_midway_releases_its_slots() {
    let mut fake = Fake::new(8);
    for seq in 0..4 {
        fake.put(ONE, seq, chunk(1, seq, 300 << 10));
        fake.perform();
    }
    fake.put(TWO, 9, chunk(1, 0, 300 << 10));
    fake.fence(ONE, 5, 2);
    fake.handle(ShardEvent::Closed { connection: ONE });
    fake.settle();
    assert_eq!(fake.slots_held(), 0);
    assert_eq!(fake.stored, [(TWO, 9)], "the other connection waited for the same chunk");
    assert!(fake.replies.is_empty());
    fake.put(ONE, 6, chunk(2, 4, 100));
    fake.settle();
    assert_eq!(fake.slots_held(), 0, "a put that was decoded before the close was seen");
    assert_eq!(fake.stored, [(TWO, 9)]);
    assert_eq!(fake.shard.statistics().slots, 0);
}

/// D8: a connection has a bounded number of unanswered requests; past it the connection ends, not the shard.
#[test]
fn too_many_requests_end_the_connection() {
    let mut fake = Fake::new(8);
    for id in 0..CONNECTION_REQUESTS_MAX as u64 {
        fake.shard.handle(
            fake.now,
            ShardEvent::Request {
                connection: ONE,
                request_id: id,
                disk: super::fake::DISK,
                request: Request::Fence { log: LOG, epoch: quarry_protocol::ids::Epoch(1), segments: Vec::new() },
            },
        );
    }
    assert!(fake.closed.is_empty());
    fake.put(ONE, 1 << 20, chunk(1, 0, 100));
    fake.settle();
    assert_eq!(fake.closed, [ONE]);
    assert_eq!(fake.slots_held(), 0);
    fake.put(TWO, 1, chunk(1, 0, 100));
    fake.settle();
    assert_eq!(fake.stored, [(TWO, 1)]);
}

/// D8: a shard serves a bounded number of connections.
#[test]
fn too_many_connections_are_closed() {
    let mut fake = Fake::new(8);
    for id in 2..CONNECTIONS_PER_SHARD_MAX as u64 {
        fake.handle(ShardEvent::Connected { connection: ConnectionId(id + 1) });
    }
    fake.perform();
    assert!(fake.closed.is_empty());
    fake.handle(ShardEvent::Connected { connection: ConnectionId(1 << 40) });
    fake.perform();
    assert_eq!(fake.closed, [ConnectionId(1 << 40)]);
}

/// P12, D7: a trim frees places once it is durable, and says so.
#[test]
fn a_trim_is_durable_before_it_frees() {
    let mut fake = Fake::new(8);
    for seq in 0..4 {
        fake.put(ONE, seq, chunk(1, seq, 1000));
    }
    fake.settle();
    assert_eq!(fake.shard.statistics().store.chunks, 4);
    fake.trim(10, 3);
    fake.perform();
    assert!(!fake.has_reply(10));
    assert_eq!(fake.shard.statistics().store.chunks, 4);
    fake.settle();
    assert_eq!(fake.reply(10), &Reply::Trimmed { floor: ChunkSeq(3) });
    assert_eq!(fake.shard.statistics().store.chunks, 1);
    fake.ask(ONE, 11, Request::Delete { log: LOG, epoch: quarry_protocol::ids::Epoch(2) });
    fake.settle();
    assert_eq!(fake.reply(11), &Reply::Deleted);
    assert_eq!(fake.shard.statistics().store.chunks, 0);
}

/// D4: a clean stop ends with everything durable and marked.
#[test]
fn a_stop_settles_once_everything_is_durable() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 100));
    fake.handle(ShardEvent::Stop);
    fake.perform();
    assert!(!fake.settled);
    fake.settle();
    assert!(fake.settled);
    assert_eq!(fake.stored, [(ONE, 0)]);
}

/// The control plane sees sizes and logs.
#[test]
fn admin_questions_are_answered() {
    let mut fake = Fake::new(8);
    fake.put(ONE, 0, chunk(1, 0, 100));
    fake.settle();
    let mut ask = |request| {
        fake.handle(ShardEvent::Admin { ticket: 5, request });
        match fake.shard.poll_effect() {
            Some(ShardEffect::Admin { ticket: 5, answer }) => answer,
            effect => panic!("{effect:?}"),
        }
    };
    let AdminAnswer::Statistics(statistics) = ask(AdminRequest::Statistics) else { panic!("not statistics") };
    assert_eq!((statistics.connections, statistics.logs, statistics.counters.puts_stored), (2, 1, 1));
    let AdminAnswer::Logs(logs) = ask(AdminRequest::Logs { from: LogId::ZERO, logs_max: 10 }) else {
        panic!("not logs")
    };
    assert_eq!((logs.len(), logs[0].segments[0].segment, logs[0].segments[0].chunks), (1, segment(1), 1));
    let AdminAnswer::Logs(logs) = ask(AdminRequest::Logs { from: LogId([8; 16]), logs_max: 10 }) else {
        panic!("not logs")
    };
    assert!(logs.is_empty());
}

/// An unknown log is no error to a reader: it was never here.
#[test]
fn reading_an_unknown_log_ends_at_once() {
    let mut fake = Fake::new(8);
    fake.read(ONE, 1, 5, 100);
    fake.perform();
    assert_eq!(fake.reply(1), &Reply::ReadEnd { next: ChunkSeq(5), answer: Answer::Never });
}

/// P4: what is held is told to whoever names this disk, without a fence; it is nothing before it is durable.
#[test]
fn the_provenance_of_what_is_held_is_told() {
    let mut fake = Fake::new(8);
    for seq in 0..3 {
        fake.put(ONE, seq, chunk(1, seq, 100));
    }
    let request = Request::Provenance { log: LOG, segment: segment(1), from: ChunkSeq(1), to: ChunkSeq(9) };
    fake.ask(TWO, 10, request.clone());
    fake.settle();
    fake.ask(TWO, 11, request.clone());
    let (connection, disk) = (TWO, DiskId([9; 16]));
    fake.handle(ShardEvent::Request { connection, request_id: 12, disk, request });
    fake.settle();
    assert_eq!(fake.reply(10), &Reply::Provenance { runs: Vec::new(), next: ChunkSeq(9) });
    let Reply::Provenance { runs, next: ChunkSeq(9) } = fake.reply(11) else { panic!("{:?}", fake.reply(11)) };
    assert_eq!(runs.iter().map(|run| (run.from.0, run.to.0)).collect::<Vec<_>>(), [(1, 3)]);
    assert!(matches!(fake.reply(12), Reply::Refused(Refusal::WrongDisk { .. })), "{:?}", fake.reply(12));
}

/// A node that gossips with nobody names itself; later, whatever the control plane heard last.
#[test]
fn clients_learn_the_members_from_any_shard() {
    let mut fake = Fake::new(8);
    fake.ask(ONE, 1, Request::Members { after: None });
    fake.perform();
    let Reply::Members { members, more: false, .. } = fake.reply(1) else { panic!("{:?}", fake.reply(1)) };
    let [alone] = &members[..] else { panic!("{members:?}") };
    assert_eq!((alone.advertise.as_str(), alone.zone.as_str(), alone.shards.len()), ("localhost:1", "a", 1));
    let other = Member { node: DiskId([0xff; 16]), ..Member::default() };
    let list = MemberList { version: 9, members: vec![alone.clone(), other.clone()] };
    let after = Some(alone.node);
    fake.handle(ShardEvent::Members { list: Arc::new(list) });
    fake.ask(TWO, 2, Request::Members { after });
    fake.perform();
    assert_eq!(fake.reply(2), &Reply::Members { members: vec![other], version: 9, more: false });
}

/// P13, P16: a copy passes the fence that sealed its segment; what a record does not need is freed here and in the store.
#[test]
fn a_sealed_segment_is_copied_here_and_freed_again() {
    let mut fake = Fake::new(8);
    fake.fence(ONE, 1, 2);
    for seq in 0..3 {
        fake.put(ONE, 10 + seq, chunk(1, seq, 100));
        fake.copy(ONE, 20 + seq, chunk(1, seq, 100));
    }
    fake.settle();
    assert!(matches!(fake.reply(10), Reply::Refused(Refusal::Fenced { .. })));
    assert_eq!(fake.stored, [(ONE, 20), (ONE, 21), (ONE, 22)]);
    let free = |word| Request::Free { log: LOG, segment: segment(1), word: RecordNumber(word) };
    fake.ask(TWO, 30, Request::Pin { log: LOG, word: RecordNumber(7) });
    fake.ask(TWO, 31, free(6));
    fake.settle();
    let (asked, known) = (RecordNumber(6), RecordNumber(7));
    assert_eq!(fake.reply(31), &Reply::Refused(Refusal::StaleWord { asked, known }));
    fake.read(ONE, 32, 0, 1000);
    fake.settle();
    fake.ask(TWO, 33, free(7));
    fake.ask(TWO, 34, Request::Holdings { from: HoldingsCursor::default() });
    fake.settle();
    assert_eq!(fake.reply(33), &Reply::Freed);
    let Reply::Holdings(page) = fake.reply(34) else { panic!("{:?}", fake.reply(34)) };
    assert_eq!((page.logs[0].word, page.logs[0].segments.len()), (known, 0));
    fake.handle(ShardEvent::Admin { ticket: 5, request: AdminRequest::Statistics });
    let Some(ShardEffect::Admin { answer: AdminAnswer::Statistics(statistics), .. }) = fake.shard.poll_effect() else {
        panic!("not statistics")
    };
    assert_eq!(statistics.store.chunks, 0);
}
