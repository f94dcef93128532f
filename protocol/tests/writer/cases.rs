//! One rule each.

use crate::model::{BASE, DEADLINE_US, LOG, Model, Outcome, SEGMENT, config};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch};
use quarry_protocol::limits::CHUNK_PAYLOAD_BYTES_MAX;
use quarry_protocol::message::Refusal;
use quarry_protocol::quorum::ReplicaSet;
use quarry_protocol::time::Micros;
use quarry_protocol::writer::{
    AppendFailure, Carried, Fate, StopReason, Writer, WriterConfig, WriterEffect, WriterEvent,
};

fn up(replicas: usize, ack: usize) -> Model {
    let mut model = Model::new(config(replicas, ack));
    (0..replicas).for_each(|replica| model.up(replica));
    model
}

fn store(model: &mut Model, replica: usize, chunks: usize) {
    for _ in 0..chunks {
        model.deliver(replica);
        model.acknowledge(replica, 0, false);
    }
}

fn append_event(token: u64, payload: &'static [u8]) -> WriterEvent {
    WriterEvent::Append { token, payload: Bytes::from_static(payload), payload_crc: crc32c::crc32c(payload) }
}

#[test]
fn a_chunk_goes_to_all_replicas_at_once_and_carries_the_watermark() {
    let mut writer = Writer::new(config(3, 2), Micros(0));
    (0..3).for_each(|replica| writer.handle(Micros(0), WriterEvent::Up { replica }));
    writer.handle(Micros(0), append_event(1, b"one"));
    let puts: Vec<_> = std::iter::from_fn(|| writer.poll_effect()).collect();
    assert!(matches!(
        puts[..],
        [
            WriterEffect::Put { replica: 0, .. },
            WriterEffect::Put { replica: 1, .. },
            WriterEffect::Put { replica: 2, .. }
        ]
    ));
    (0..2).for_each(|replica| writer.handle(Micros(1), WriterEvent::Stored { replica, seq: BASE }));
    writer.handle(Micros(2), append_event(2, b"two"));
    let WriterEffect::Put { header, .. } = std::iter::from_fn(|| writer.poll_effect()).last().expect("effects") else {
        panic!("not a put")
    };
    assert_eq!((header.seq, header.watermark), (BASE.next(), BASE.next()));
    assert_eq!(header.digest, writer.digest());
}

/// P6: the window in chunks, in bytes, and for one chunk larger than all of it.
#[test]
fn an_append_beyond_the_window_is_refused_at_once() {
    let mut model = up(3, 2);
    for _ in 0..8 {
        assert!(model.writer.would_fit(1));
        model.append(1);
    }
    assert!(!model.writer.would_fit(1));
    let refused = model.append(1);
    assert_eq!(model.outcomes[&refused], Outcome::Failed(None, Fate::NeverStored));
    let mut model = up(3, 2);
    model.append(900);
    assert!(model.writer.would_fit(100) && !model.writer.would_fit(101));
    store(&mut model, 0, 1);
    assert!(!model.writer.would_fit(101), "one replica of two is no quorum");
    store(&mut model, 1, 1);
    assert!(model.writer.would_fit(1000), "room is back with the quorum");
}

#[test]
fn a_payload_that_no_chunk_can_hold_is_refused() {
    let mut writer = Writer::new(config(1, 1), Micros(0));
    let too_large = Bytes::from(vec![0; CHUNK_PAYLOAD_BYTES_MAX as usize + 1]);
    for (token, payload) in [(1, Bytes::new()), (2, too_large), (3, Bytes::from(vec![0; 1001]))] {
        writer.handle(Micros(0), WriterEvent::Append { token, payload, payload_crc: 0 });
        let Some(WriterEffect::Failed { seq: None, fate: Fate::NeverStored, why, .. }) = writer.poll_effect() else {
            panic!("append {token} was not refused")
        };
        assert_eq!(matches!(why, AppendFailure::LargerThanWindow { .. }), token == 3, "{why}");
        assert_eq!(writer.next_seq(), BASE, "a refused append takes no seq");
    }
}

/// Pitfall 34: a replica that is away costs bounded memory, and then takes part again from where the log stands.
#[test]
fn a_straggler_is_left_behind_at_the_bound_and_rejoins_when_it_comes_back() {
    let mut model = up(3, 2);
    model.down(2, 0);
    for _ in 0..12 {
        model.append(1);
        (0..2).for_each(|replica| store(&mut model, replica, 1));
    }
    assert_eq!(model.writer.kept_for_stragglers(), (12, 12));
    assert!(!model.links[2].left_behind, "inside the bound everything is kept");
    model.append(1);
    (0..2).for_each(|replica| store(&mut model, replica, 1));
    assert!(model.links[2].left_behind);
    assert_eq!(model.writer.kept_for_stragglers(), (0, 0));
    model.append(1);
    model.up(2);
    assert!(!model.links[2].left_behind);
    let seqs: Vec<_> = model.links[2].on_its_way.iter().map(|header| header.seq).collect();
    assert_eq!(seqs, [BASE.plus(13)], "from the oldest chunk that is not committed");
    store(&mut model, 2, 1);
    store(&mut model, 0, 1);
    assert_eq!(model.writer.in_flight(), (0, 0), "it counts towards the quorum again");
}

/// P10, in bytes; and a replica that is slow but connected takes part again once it has stored all it was sent.
#[test]
fn a_slow_replica_rejoins_when_it_has_caught_up_with_what_it_was_sent() {
    let mut model = up(3, 2);
    for _ in 0..4 {
        model.append(500);
        (0..2).for_each(|replica| store(&mut model, replica, 1));
    }
    assert!(model.links[2].left_behind, "4 times 500 bytes exceed 1500");
    model.append(10);
    assert_eq!(model.links[2].on_its_way.len(), 4, "nothing more is sent to it");
    store(&mut model, 2, 3);
    assert!(model.links[2].left_behind);
    store(&mut model, 2, 1);
    assert_eq!(model.links[2].on_its_way.len(), 1, "the chunk in flight");
}

/// P10: a bucket answers in any order. It may have stored the last chunk that it was sent, and be left behind for the first.
#[test]
fn a_replica_that_answers_in_another_order_rejoins() {
    let mut model = up(3, 2);
    (0..4).for_each(|_| _ = model.append(250));
    (0..4).for_each(|_| model.deliver(2));
    (0..3).for_each(|_| model.acknowledge(2, 1, false));
    for _ in 0..4 {
        (0..2).for_each(|replica| store(&mut model, replica, 1));
    }
    assert!(!model.links[2].left_behind, "1000 bytes are within the bound");
    for _ in 0..3 {
        model.append(250);
        model.deliver(2);
        model.acknowledge(2, 1, false);
        (0..2).for_each(|replica| store(&mut model, replica, 1));
    }
    assert!(model.links[2].left_behind, "its first chunk is still on its way, 1750 bytes are kept for it");
    model.acknowledge(2, 0, false);
    assert!(!model.links[2].left_behind, "it has stored everything and is never told so again");
    model.append(1);
    assert_eq!(model.links[2].on_its_way.len(), 1, "it takes part again");
}

/// Two outages in turn: without rejoining, the second one would stop the writer.
#[test]
fn replicas_may_fail_in_turn() {
    let mut model = up(3, 2);
    for round in 0..9 {
        let away = round % 3;
        model.down(away, 0);
        for _ in 0..40 {
            let token = model.append(100);
            (0..3).for_each(|replica| store(&mut model, replica, 1));
            assert!(matches!(model.outcomes[&token], Outcome::Committed(_)), "round {round}");
        }
        model.up(away);
        (0..12).for_each(|_| store(&mut model, away, 1));
    }
    assert_eq!(model.stopped, None);
}

/// What was put on a connection that broke is put again on the next, oldest first; what was stored is not.
#[test]
fn a_new_connection_gets_what_the_old_one_lost() {
    let mut model = up(2, 2);
    (0..4).for_each(|_| _ = model.append(1));
    store(&mut model, 1, 1);
    model.down(1, 2);
    model.up(1);
    let seqs: Vec<_> = model.links[1].on_its_way.iter().map(|header| header.seq.0 - BASE.0).collect();
    assert_eq!(seqs, [1, 2, 3], "stored ones whose acknowledgement was lost are put again, as duplicates");
    (0..2).for_each(|replica| store(&mut model, replica, 4));
    assert_eq!(model.writer.in_flight(), (0, 0));
}

/// P9: fates. What no connection got was never stored; the rest is unknown.
#[test]
fn at_the_deadline_the_writer_stops_for_good_and_says_what_is_known_of_each_append() {
    let mut model = Model::new(config(3, 2));
    let never = model.append(1);
    model.pass(DEADLINE_US - 1);
    assert_eq!(model.stopped, None);
    assert_eq!(model.writer.poll_timeout(), Some(Micros(DEADLINE_US)));
    model.pass(1);
    assert_eq!(model.outcomes[&never], Outcome::Failed(Some(BASE), Fate::NeverStored));

    let mut model = Model::new(config(3, 2));
    model.up(0);
    let unknown = model.append(1);
    store(&mut model, 0, 1);
    model.down(0, 0);
    let never = model.append(1);
    model.up(1);
    model.refuse(1, Refusal::WrongDisk { named: DiskId([1; 16]), here: DiskId([2; 16]) });
    model.pass(DEADLINE_US);
    let Some(StopReason::NoQuorum { seq, stored: 1, needed: 2, troubles, .. }) = &model.stopped else {
        panic!("{:?}", model.stopped)
    };
    assert_eq!(*seq, BASE);
    let message = model.stopped.as_ref().expect("stopped").to_string();
    assert_eq!(troubles.len(), 2, "the replica that stored it is not missed: {message}");
    assert!(message.contains("replica 1") && message.contains("the disk was replaced"), "{message}");
    assert!(message.contains("never connected") && message.contains("open the log again"), "{message}");
    assert_eq!(model.outcomes[&unknown], Outcome::Failed(Some(BASE), Fate::Unknown));
    assert_eq!(model.outcomes[&never], Outcome::Failed(Some(BASE.next()), Fate::Unknown), "replica 1 was given both");

    // For good: acknowledgements, connections and appends change nothing any more.
    (0..3).for_each(|replica| model.up(replica));
    (0..3).for_each(|replica| model.handle(WriterEvent::Stored { replica, seq: BASE }));
    let late = model.append(1);
    assert_eq!(model.outcomes[&late], Outcome::Failed(None, Fate::NeverStored));
    assert_eq!(model.writer.poll_timeout(), None);
}

/// P3: the fence of one replica is final, although the others still take puts.
#[test]
fn a_fenced_writer_says_so_once_and_for_ever() {
    let mut model = up(3, 2);
    let first = model.append(1);
    (0..2).for_each(|replica| store(&mut model, replica, 1));
    let second = model.append(1);
    store(&mut model, 2, 1);
    model.refuse(2, Refusal::Fenced { by: Epoch(6) });
    let fenced = StopReason::Fenced { mine: SEGMENT.epoch, by: Epoch(6) };
    assert_eq!(model.stopped, Some(fenced.clone()));
    assert_eq!(model.writer.stopped(), Some(&fenced));
    assert_eq!(model.outcomes[&first], Outcome::Committed(BASE));
    assert_eq!(model.outcomes[&second], Outcome::Failed(Some(BASE.next()), Fate::Unknown));
    model.handle(WriterEvent::Refused { replica: 1, seq: BASE.next(), refusal: Refusal::Fenced { by: Epoch(9) } });
    (0..3).for_each(|replica| model.handle(WriterEvent::Stored { replica, seq: BASE.next() }));
    assert_eq!(model.writer.stopped(), Some(&fenced), "the first reason stands");
}

#[test]
fn a_deleted_log_and_a_broken_name_stop_the_writer() {
    let different = Refusal::Different { segment: SEGMENT, seq: BASE };
    for refusal in [Refusal::LogDeleted { log: LOG, at: Epoch(9) }, different] {
        let mut model = up(3, 2);
        model.append(1);
        model.refuse(0, refusal);
        assert!(matches!(model.stopped, Some(StopReason::Deleted { .. } | StopReason::Broken { .. })));
    }
}

/// D7: a full disk refuses puts until there is room; the writer tries again by itself.
#[test]
fn a_full_replica_is_tried_again_after_a_pause() {
    let mut model = up(2, 2);
    let token = model.append(1);
    store(&mut model, 0, 1);
    model.refuse(1, Refusal::Full { live_bytes: 9, capacity_bytes: 10 });
    assert!(model.links[1].on_its_way.is_empty());
    model.append(1);
    assert!(model.links[1].on_its_way.is_empty(), "left alone while paused");
    for _ in 0..5 {
        let wake = model.writer.poll_timeout().expect("a pause ends");
        model.pass(wake.since(model.now));
        assert_eq!(model.links[1].on_its_way.len(), 2, "both are put again");
        (0..2).for_each(|_| model.refuse(1, Refusal::Full { live_bytes: 9, capacity_bytes: 10 }));
    }
    let wake = model.writer.poll_timeout().expect("a pause ends");
    model.pass(wake.since(model.now));
    store(&mut model, 1, 2);
    assert_eq!(model.outcomes[&token], Outcome::Committed(BASE));
}

/// What recovery copied is committed already; the writer brings it to replicas that were away.
#[test]
fn carried_chunks_reach_the_replicas_that_lack_them() {
    let mut digest = Digest::start(LOG, SEGMENT, ChunkSeq(98));
    let carried = |seq: u64, digest: &mut Digest, stored: &[usize]| {
        let payload = Bytes::from(vec![seq as u8; 5]);
        let payload_crc = crc32c::crc32c(&payload);
        *digest = digest.chain(ChunkSeq(seq), 5, payload_crc);
        let (seq, watermark) = (ChunkSeq(seq), ChunkSeq(98));
        let header =
            ChunkHeader { log: LOG, segment: SEGMENT, seq, watermark, length: 5, payload_crc, digest: *digest };
        let mut set = ReplicaSet::default();
        for replica in stored {
            set.insert(*replica);
        }
        Carried { header, payload, stored: set }
    };
    let carried = vec![carried(98, &mut digest, &[0, 1]), carried(99, &mut digest, &[0, 2])];
    let mut model = Model::new(WriterConfig { digest, carried, ..config(3, 2) });
    assert_eq!(model.writer.kept_for_stragglers(), (2, 10));
    model.up(2);
    assert_eq!(model.links[2].on_its_way.iter().map(|header| header.seq.0).collect::<Vec<_>>(), [98]);
    store(&mut model, 2, 1);
    assert_eq!(model.writer.kept_for_stragglers(), (1, 5), "99 is kept for replica 1");
    let kept = model.writer.into_carried();
    assert_eq!(kept.iter().map(|carried| carried.header.seq.0).collect::<Vec<_>>(), [99]);
}
