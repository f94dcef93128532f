use super::*;

const SIZES: Sizes = Sizes { min: 40, max: 400 };

fn ledger() -> Ledger {
    Ledger::new(1, 0, SIZES)
}

/// A ledger of epoch 1 with `count` acknowledged chunks, and their payloads.
fn with_acknowledged(count: u64) -> (Ledger, Vec<Bytes>) {
    let mut ledger = ledger();
    ledger.opened(1, 0).unwrap();
    let payloads = (0..count).map(|seq| {
        let (attempt, payload) = ledger.attempt();
        ledger.acknowledged(attempt, seq, 1, &payload).unwrap();
        payload
    });
    let payloads = payloads.collect();
    (ledger, payloads)
}

fn read_all(ledger: &mut Ledger, payloads: &[Bytes]) -> Checked {
    payloads.iter().enumerate().try_for_each(|(seq, payload)| ledger.read(seq as u64, payload))
}

#[test]
fn what_was_acknowledged_and_is_read_back_is_right() {
    let (mut ledger, payloads) = with_acknowledged(5);
    let (_, unknown) = ledger.attempt();
    read_all(&mut ledger, &payloads).unwrap();
    ledger.whole(&(0..5)).unwrap();
    ledger.read(5, &unknown).unwrap();
    ledger.whole(&(0..6)).unwrap();
    let why = ledger.whole(&(0..5)).unwrap_err();
    assert!(why.contains("seq 5 was read"), "{why}");
    assert_eq!((ledger.unknown(), ledger.acknowledged_end()), (1, 5));
}

#[test]
fn a_lost_chunk_is_found() {
    let (mut ledger, payloads) = with_acknowledged(5);
    read_all(&mut ledger, &payloads[..4]).unwrap();
    let why = ledger.whole(&(0..4)).unwrap_err();
    assert!(why.contains("LOST: seq 4"), "{why}");
    let why = ledger.whole(&(0..5)).unwrap_err();
    assert!(why.contains("never read"), "{why}");
    let why = ledger.whole(&(1..5)).unwrap_err();
    assert!(why.contains("nobody asked"), "{why}");
}

#[test]
fn a_takeover_that_cuts_off_what_was_acknowledged_is_found_in_either_order() {
    let (mut ledger, _) = with_acknowledged(5);
    assert!(ledger.opened(2, 4).unwrap_err().contains("LOST"));
    let (mut ledger, _) = with_acknowledged(5);
    ledger.opened(2, 5).unwrap();
    let (attempt, payload) = ledger.attempt();
    assert!(ledger.acknowledged(attempt, 5, 1, &payload).unwrap_err().contains("LOST"));
    let why = ledger.acknowledged(attempt, 4, 2, &payload).unwrap_err();
    assert!(why.contains("acknowledged twice"), "{why}");
    assert!(ledger.opened(2, 5).unwrap_err().contains("given twice"));
    ledger.opened(4, 9).unwrap();
    assert!(ledger.acknowledged(attempt, 8, 4, &payload).unwrap_err().contains("began at seq 9"));
}

#[test]
fn a_chunk_that_is_never_stored_must_not_appear_before_or_after() {
    let (mut ledger, _) = with_acknowledged(1);
    let (attempt, payload) = ledger.attempt();
    ledger.never_stored(attempt).unwrap();
    assert!(ledger.read(1, &payload).unwrap_err().contains("never stored"));
    let (attempt, payload) = ledger.attempt();
    ledger.read(2, &payload).unwrap();
    assert!(ledger.never_stored(attempt).unwrap_err().contains("read at seq 2"));
}

#[test]
fn two_contents_and_two_places_are_found() {
    let (mut ledger, payloads) = with_acknowledged(2);
    assert!(ledger.read(1, &payloads[0]).unwrap_err().contains("acknowledged at seq 0 and read at seq 1"));
    let ((first, one), (_, two)) = (ledger.attempt(), ledger.attempt());
    ledger.read(2, &one).unwrap();
    assert!(ledger.read(2, &two).unwrap_err().contains("two contents"));
    let (mut ledger, _) = with_acknowledged(2);
    let (attempt, payload) = ledger.attempt();
    let (_, other) = ledger.attempt();
    ledger.read(2, &other).unwrap();
    assert!(ledger.acknowledged(attempt, 2, 1, &payload).unwrap_err().contains("and read as attempt"));
    assert_eq!(first, attempt, "both ledgers count alike");
}

#[test]
fn bytes_that_nobody_appended_are_found() {
    let (mut ledger, payloads) = with_acknowledged(1);
    assert!(ledger.read(1, &Bytes::from_static(b"something else")).unwrap_err().contains("nobody appended"));
    let mut changed = payloads[0].to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(ledger.read(0, &changed.into()).unwrap_err().contains("other bytes"));
    let other_log = payload::make(1, 1, 0, SIZES);
    assert!(ledger.read(1, &other_log).unwrap_err().contains("log 1"));
    let not_made_yet = payload::make(1, 0, 9, SIZES);
    assert!(ledger.read(1, &not_made_yet).unwrap_err().contains("attempt 9"));
}

#[test]
fn a_wrong_record_is_found() {
    let (mut ledger, payloads) = with_acknowledged(3);
    read_all(&mut ledger, &payloads).unwrap();
    ledger.flip_a_checksum();
    let why = read_all(&mut ledger, &payloads).unwrap_err();
    assert!(why.contains("seq 2") && why.contains("checksum"), "{why}");
}

#[test]
fn floors_only_rise_and_only_as_far_as_was_asked() {
    let (mut ledger, payloads) = with_acknowledged(5);
    ledger.trim_asked(3);
    assert!(ledger.trimmed(3, 2).unwrap_err().contains("answered with floor 2"));
    assert!(ledger.trimmed(3, 4).unwrap_err().contains("nobody asked for more than 3"));
    ledger.trimmed(3, 3).unwrap();
    ledger.floor_seen(3, ledger.floor_confirmed()).unwrap();
    assert!(ledger.floor_seen(2, ledger.floor_confirmed()).unwrap_err().contains("moved back"));
    for (seq, payload) in payloads.iter().enumerate().skip(3) {
        ledger.read(seq as u64, payload).unwrap();
    }
    ledger.whole(&(3..5)).unwrap();
    // Asked for, of unknown outcome, and so it was.
    ledger.trim_asked(4);
    ledger.whole(&(4..5)).unwrap();
    assert!(ledger.whole(&(4..4)).unwrap_err().contains("LOST: seq 4"));
    assert!(ledger.whole(&(2..5)).unwrap_err().contains("moved back"));
}
