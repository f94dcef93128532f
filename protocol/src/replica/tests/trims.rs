//! Floors: durable before they are confirmed, never forgotten, never lowered.

use super::*;

fn trimmed(floor: u64) -> Reply {
    Reply::Trimmed { floor: ChunkSeq(floor) }
}

/// P12: a floor is durable before it is confirmed and before anything is freed.
#[test]
fn a_trim_is_answered_once_the_floor_is_durable() {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    let effects = driven.trim(1, 3);
    assert!(has_store(&effects) && effects.len() == 1, "{effects:?}");
    assert!(driven.trim(1, 2).is_empty(), "a lower trim waits for the floor in force");
    let effects = driven.store_all();
    assert_eq!(effects[0], ReplicaEffect::Free { log: LOG, below: Some(ChunkSeq(3)) });
    assert_eq!(replies(&effects), [trimmed(3), trimmed(3)]);
    assert_eq!(only_reply(&driven.trim(1, 1)), trimmed(3), "nothing new: at once");
}

/// P12, pitfall 8 (Corfu #4120): floors and words merge by maximum.
#[test]
fn floor_and_word_never_move_back() {
    let mut driven = Driven::new();
    driven.trim(5, 3);
    driven.trim(4, 9);
    driven.trim(2, 1);
    driven.store_all();
    let record = driven.replica.log_records().next().unwrap();
    assert_eq!((record.word, record.floor), (RecordNumber(5), ChunkSeq(9)));
}

/// P4: a put below the floor counts as stored, once that floor is durable.
#[test]
fn a_put_below_the_floor_counts_as_stored_once_the_floor_is_durable() {
    let mut driven = Driven::new();
    driven.trim(1, 3);
    assert_eq!(driven.put(1, 2), [ReplicaEffect::Release { slot: Slot(1) }], "not before");
    assert!(has_store(&driven.put(1, 3)), "the floor itself is not trimmed");
    assert_eq!(stored_to(&driven.store_all()).len(), 2);
    let effects = driven.put(1, 2);
    assert!(has_release(&effects) && !has_store(&effects));
    assert_eq!(stored_to(&effects).len(), 1);
}

/// Pitfall 20a: trimmed is not never.
#[test]
fn trimmed_seqs_are_answered_as_trimmed() {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    driven.trim(1, 3);
    driven.fence(2, &[]);
    driven.store_all();
    let runs = [run(0, 3, Answer::Trimmed), run(3, 4, Answer::Have), run(4, 5, Answer::Never)].to_vec();
    assert_eq!(driven.freeze(2, 1, 0, 5), Reply::Frozen { runs });
    let end = Reply::ReadEnd { next: ChunkSeq(1), answer: Answer::Trimmed };
    assert_eq!(only_reply(&driven.read(1, 1, 9)), end);
}

/// Pitfalls 17 and 20b: freeing everything does not free the fence.
#[test]
fn a_wholly_trimmed_log_keeps_its_fence() {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    driven.fence(2, &[]);
    driven.trim(2, 100);
    driven.store_all();
    assert_eq!(refusal(&driven.put(1, 100)), Refusal::Fenced { by: Epoch(2) });
    let request = Request::Fence { log: LOG, epoch: Epoch(3), segments: [segment(1)].to_vec() };
    driven.ask(request);
    let Reply::Fenced { floor, segments, .. } = only_reply(&driven.store_all()) else { panic!("not fenced") };
    assert_eq!((floor, segments[0].newest), (ChunkSeq(100), None));
}

/// D4: chunks accepted before the trim are confirmed before it, and then freed.
#[test]
fn a_trim_above_puts_on_their_way_frees_them_when_both_are_durable() {
    let mut driven = Driven::new();
    driven.put(1, 0);
    driven.trim(1, 5);
    let effects = driven.store_all();
    assert_eq!(stored_to(&effects), [1]);
    assert!(effects.contains(&ReplicaEffect::Free { log: LOG, below: Some(ChunkSeq(5)) }));
    assert_eq!(driven.replica.log_states(LOG).next().unwrap().segments, []);
}
