//! Reads: their bounds, their turns, and what they say at the end.

use super::fake::{Fake, LOG, ONE, TWO, chunk, segment};
use crate::shard::{ReadOutcome, ShardEvent};
use crate::store::ChunkKey;
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::limits::{READS_PER_CONNECTION_MAX, READS_PER_SHARD_MAX, WINDOW_CHUNKS_MAX};
use quarry_protocol::message::{Answer, Reply, Request};

fn with_chunks(chunks: u64, length: u32) -> Fake {
    let mut fake = Fake::new(8);
    for seq in 0..chunks {
        fake.put_unchecked(ONE, seq, chunk(1, seq, length));
    }
    fake.settle();
    assert_eq!(fake.stored.len() as u64, chunks);
    fake
}

fn sent_to(fake: &Fake, request_id: u64) -> Vec<u64> {
    fake.sent.iter().filter(|(_, id, _)| *id == request_id).map(|(_, _, header)| header.seq.0).collect()
}

fn end(next: u64, answer: Answer) -> Reply {
    Reply::ReadEnd { next: ChunkSeq(next), answer }
}

#[test]
fn a_read_sends_chunks_in_order_and_says_why_it_ended() {
    let mut fake = with_chunks(10, 1000);
    fake.read(TWO, 100, 2, 1 << 20);
    fake.read(TWO, 101, 2, 3500);
    fake.settle();
    fake.read(TWO, 102, 2, 1);
    fake.read(TWO, 103, 10, 1);
    fake.settle();
    assert_eq!(sent_to(&fake, 100), [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(fake.reply(100), &end(10, Answer::Never));
    assert_eq!(sent_to(&fake, 101), [2, 3, 4], "as many as fit");
    assert_eq!(fake.reply(101), &end(5, Answer::Have));
    assert_eq!(sent_to(&fake, 102), [2], "the first one comes whatever its size");
    assert_eq!(fake.reply(102), &end(3, Answer::Have));
    assert_eq!(fake.reply(103), &end(10, Answer::Never));
}

/// D4: a chunk that is not confirmed is not read.
#[test]
fn chunks_on_their_way_are_not_read() {
    let mut fake = with_chunks(2, 100);
    fake.put(ONE, 2, chunk(1, 2, 100));
    fake.perform();
    fake.read(TWO, 100, 0, 1 << 20);
    fake.perform();
    fake.end_read(0);
    assert_eq!(sent_to(&fake, 100), [0, 1]);
    assert_eq!(fake.reply(100), &end(2, Answer::Never));
}

/// Pitfalls 3 and 24, D6: a flipped bit is unknown from then on, durably, and the other chunks are still served.
#[test]
fn a_rotten_chunk_is_unknown() {
    let mut fake = with_chunks(4, 1000);
    let key = ChunkKey { log: LOG, segment: segment(1), seq: ChunkSeq(2) };
    let place = fake.shard.store.locate(&key).expect("it is stored");
    fake.rot(place);
    for request_id in [100, 101] {
        fake.read(TWO, request_id, 0, 1 << 20);
        fake.settle();
        assert_eq!(sent_to(&fake, request_id), [0, 1]);
        assert_eq!(fake.reply(request_id), &end(2, Answer::Unknown));
    }
    assert_eq!(fake.warnings.len(), 1, "{:?}", fake.warnings);
    assert!(fake.warnings[0].contains("/2 cannot be read"));
    fake.read(TWO, 102, 3, 1 << 20);
    fake.settle();
    assert_eq!(sent_to(&fake, 102), [3]);
    assert_eq!(fake.shard.statistics().losses, 1);
    let lost = |record: &quarry_protocol::snapshot::Record| matches!(record, quarry_protocol::snapshot::Record::Loss(loss) if loss.from == ChunkSeq(2));
    assert!(fake.shard.store.small_state().iter().any(lost), "the next snapshot says so");
}

/// D6: who reads a place that the chunk has left says nothing about the chunk: it was put again meanwhile.
#[test]
fn a_read_that_ends_late_does_not_lose_what_was_put_again() {
    let mut fake = with_chunks(4, 1000);
    let key = ChunkKey { log: LOG, segment: segment(1), seq: ChunkSeq(2) };
    fake.rot(fake.shard.store.locate(&key).expect("it is stored"));
    for request_id in 100..104 {
        fake.read(if request_id % 2 == 0 { ONE } else { TWO }, request_id, 0, 1 << 20);
    }
    fake.perform();
    assert_eq!(fake.reading.len(), 4, "all of them planned to read it where it lies");
    fake.end_read(0);
    fake.end_read(0);
    assert_eq!(fake.shard.statistics().losses, 1);
    fake.put(ONE, 50, chunk(1, 2, 1000));
    fake.perform();
    fake.end_read(0);
    assert!(!fake.writing.is_empty(), "it is on its way");
    while !fake.writing.is_empty() {
        fake.end_write(0, None);
    }
    assert_eq!(fake.stored.last(), Some(&(ONE, 50)));
    fake.end_read(0);
    fake.settle();
    assert_eq!((fake.warnings.len(), fake.shard.statistics().losses), (1, 0), "{:?}", fake.warnings);
    fake.read(TWO, 110, 0, 1 << 20);
    fake.settle();
    assert_eq!(sent_to(&fake, 110), [0, 1, 2, 3]);
}

/// D6, P13: copying forward comes upon a loss that a reader has found, says nothing of it again, and moves the chunks
/// around it all the same.
#[test]
fn copying_says_nothing_of_a_loss_that_is_known() {
    const IDLE: LogId = LogId([8; 16]);
    let mut fake = Fake::new(6);
    for seq in 0..4 {
        let (mut header, payload) = chunk(1, seq, 1000);
        header.log = IDLE;
        fake.put(ONE, seq, (header, payload));
    }
    fake.settle();
    let key = |seq| ChunkKey { log: IDLE, segment: segment(1), seq: ChunkSeq(seq) };
    let places: Vec<_> = (0..4).map(|seq| fake.shard.store.locate(&key(seq)).expect("it is stored")).collect();
    fake.rot(places[2]);
    let read = Request::Read { log: IDLE, segment: segment(1), from: ChunkSeq(0), chunks_max: 10, bytes_max: 1 << 20 };
    fake.ask(TWO, 10, read);
    fake.settle();
    assert_eq!((fake.warnings.len(), fake.shard.statistics().losses), (1, 1), "{:?}", fake.warnings);
    for seq in 0..100 {
        fake.put_unchecked(ONE, 1000 + seq, chunk(1, seq, 2 << 20));
        fake.trim(2000 + seq, seq);
        fake.settle();
    }
    let statistics = fake.shard.statistics();
    assert_eq!((statistics.losses, statistics.store.lost_chunks), (1, 0));
    assert_eq!(fake.warnings.len(), 1, "{:?}", fake.warnings);
    for (seq, before) in (0..).zip(places) {
        let moved = fake.shard.store.locate(&key(seq)).expect("it is kept").file != before.file;
        assert_eq!(moved, seq != 2, "chunk {seq}");
    }
}

/// D8, pitfall 35: reads in progress are bounded per connection, and connections take turns.
#[test]
fn reads_wait_for_their_turn() {
    let mut fake = with_chunks(4, 1000);
    for request_id in 100..110 {
        fake.read(ONE, request_id, 0, 1 << 20);
    }
    fake.read(TWO, 200, 0, 1 << 20);
    fake.perform();
    let begun = |fake: &Fake| fake.reading.iter().map(|read| (read.connection, read.request_id)).collect::<Vec<_>>();
    assert_eq!(begun(&fake), [(ONE, 100), (ONE, 101), (TWO, 200)]);
    assert_eq!(fake.shard.statistics().reads_waiting, 8);
    fake.end_read(1);
    assert_eq!(begun(&fake), [(ONE, 100), (TWO, 200), (ONE, 102)]);
    fake.settle();
    assert_eq!(fake.replies.len(), 11);
}

/// D8: and bounded per shard.
#[test]
fn a_shard_reads_only_so_much_at_once() {
    let mut fake = with_chunks(4, 1000);
    for id in 0..20 {
        let connection = crate::shard::ConnectionId(100 + id);
        fake.handle(ShardEvent::Connected { connection });
        for read in 0..READS_PER_CONNECTION_MAX as u64 {
            fake.read(connection, 1000 + 10 * id + read, 0, 1 << 20);
        }
    }
    fake.perform();
    assert_eq!(fake.reading.len(), READS_PER_SHARD_MAX);
    fake.settle();
    assert_eq!(fake.replies.len(), 20 * READS_PER_CONNECTION_MAX);
}

/// A reader that goes away leaves nothing behind, whether its reads wait or are in progress.
#[test]
fn a_reader_that_goes_away_leaves_nothing_behind() {
    let mut fake = with_chunks(4, 1000);
    for request_id in 100..110 {
        fake.read(TWO, request_id, 0, 1 << 20);
    }
    fake.perform();
    fake.handle(ShardEvent::Closed { connection: TWO });
    let reading: Vec<_> = fake.reading.drain(..).collect();
    for (read, outcome) in reading.into_iter().zip([ReadOutcome::ConnectionGone, ReadOutcome::AllSent]) {
        let sent = if outcome == ReadOutcome::AllSent { read.chunks.len() as u32 } else { 1 };
        fake.handle(ShardEvent::ReadDone { token: read.token, sent, outcome });
    }
    fake.settle();
    let statistics = fake.shard.statistics();
    assert_eq!((statistics.reading, statistics.reads_waiting, fake.replies.len()), (0, 0, 0));
    assert_eq!(statistics.losses, 0, "a closed connection says nothing about the disk");
}

/// D7: a trim while a read is in progress does not pull its file away; the read ends as it began.
#[test]
fn a_read_in_progress_outlives_a_trim() {
    let mut fake = with_chunks(4, 1000);
    fake.read(TWO, 100, 0, 1 << 20);
    fake.perform();
    fake.trim(50, 4);
    fake.perform();
    while !fake.has_reply(50) {
        fake.end_write(0, None);
    }
    fake.end_read(0);
    assert_eq!(sent_to(&fake, 100), [0, 1, 2, 3]);
    fake.read(TWO, 101, 0, 1 << 20);
    fake.settle();
    assert_eq!(fake.reply(101), &end(0, Answer::Trimmed));
}

/// Pitfall 35, D2: reads far behind the newest chunk share the background's budget while appends go on; reads near
/// it do not.
#[test]
fn far_reads_yield_to_appends() {
    let behind = 2 * u64::from(WINDOW_CHUNKS_MAX);
    let mut fake = with_chunks(behind, 1000);
    let seq = (behind..).map(|seq| (seq, chunk(1, seq, 1000)));
    let mut begun = (0, 0);
    for (request_id, (seq, chunk)) in (100_000..100_040).step_by(2).zip(seq) {
        fake.put(ONE, seq, chunk);
        fake.read(TWO, request_id, 0, 1 << 20);
        fake.read(TWO, request_id + 1, behind - 100, 1 << 20);
        fake.perform();
        while !fake.reading.is_empty() {
            let near = fake.reading[0].request_id % 2;
            begun = (begun.0 + 1 - near, begun.1 + near);
            fake.end_read(0);
        }
    }
    assert!(begun.0 < 10, "{} far reads of about 1 MB at one moment", begun.0);
    assert!(fake.shard.poll_timeout().is_some(), "they go on by themselves");
    fake.settle();
    assert_eq!(fake.replies.len(), 40);
}

/// D7, pitfall 26: a file with a read in progress is not reused, however much is written meanwhile; afterwards it is.
#[test]
fn a_file_that_is_being_read_is_not_reused() {
    let mut fake = Fake::new(5);
    for seq in 0..4 {
        fake.put(ONE, seq, chunk(1, seq, 2 << 20));
    }
    fake.settle();
    fake.read(TWO, 100, 0, 4 << 20);
    fake.perform();
    let held_back = fake.reading.pop_front().expect("the read has begun");
    // Several times the capacity, while one read is in progress and others come and go.
    for seq in 4..200 {
        fake.put_unchecked(ONE, seq, chunk(1, seq, 2 << 20));
        fake.trim(1_000_000 + seq, seq - 4);
        fake.read(ONE, 2_000_000 + seq, seq - 2, 1);
        fake.settle();
        assert_eq!(fake.stored.len() as u64, seq + 1, "{:?}", fake.replies.last());
    }
    fake.reading.push_back(held_back);
    fake.end_read(0);
    assert_eq!(sent_to(&fake, 100), [0, 1]);
    assert_eq!(fake.reply(100), &end(2, Answer::Have));
    assert!(fake.warnings.is_empty(), "{:?}", fake.warnings);
}
