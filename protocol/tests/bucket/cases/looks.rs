//! Looks that begin where others ended, and looks that are answered together.

use super::*;

pub(super) fn look() -> Request {
    Request::Inspect { log: LOG, segments: vec![SEGMENT] }
}

fn view_of(reply: &Reply) -> SegmentView {
    let Reply::Inspected { segments, .. } = reply else { panic!("{reply:?}") };
    segments[0].clone()
}

impl Driven {
    pub(super) fn looked(&mut self) -> SegmentView {
        let reply = self.ask(look());
        view_of(&reply)
    }
}

/// What one machine saw before, wherever it was then, says no more than one that sees all of it for the first time.
#[test]
fn a_look_that_goes_on_says_what_a_first_one_says() {
    for first in 0..24 {
        for more in [0, 1, 2, 3, 5, 9, 30] {
            let mut driven = Driven::new();
            driven.hold((0..first).filter(|seq| seq % 5 != 3));
            driven.looked();
            driven.hold((first..first + more).filter(|seq| seq % 7 != 2));
            let mut fresh = Driven::new();
            fresh.store.objects = driven.store.objects.clone();
            assert_eq!(driven.looked(), fresh.looked(), "{first}, then {more}");
            let mut fresh = Driven::new();
            fresh.store.objects = driven.store.objects.clone();
            assert_eq!(driven.fenced(5), fresh.fenced(5), "{first}, then {more}");
            assert_eq!(driven.marks(), fresh.marks(), "{first}, then {more}");
        }
    }
}

#[test]
fn a_second_look_asks_for_little() {
    let mut driven = Driven::new();
    driven.hold(0..1000);
    driven.looked();
    let before = driven.asked.len();
    assert_eq!(driven.looked().newest, Some(ChunkSeq(999)));
    // Four slots, a far one, and the identity.
    assert_eq!(driven.asked.len() - before, 6);
}

/// A fence speaks of what it has looked at itself: what it says is kept rests on it.
#[test]
fn a_fence_looks_anew_at_what_it_speaks_of() {
    let mut driven = Driven::new();
    driven.hold(0..10);
    driven.looked();
    driven.store.objects.remove(&ObjectKey::Slot(slot(8)));
    let runs = driven.fenced(5).runs;
    assert!(runs.contains(&run(8, 9, Answer::Unknown)), "{runs:?}");
}

/// One look answers all who asked before it began; who asked later may know of a chunk that it did not meet any more.
#[test]
fn who_asks_during_a_look_is_answered_by_the_next() {
    let mut driven = Driven::new();
    driven.hold(0..2);
    let ask = |driven: &mut Driven, from| driven.tell(BucketEvent::Request { from, disk: DISK, request: look() });
    ask(&mut driven, 10);
    // The look has met slot 2 empty by now.
    while driven.answer() && !driven.said.iter().any(|said| matches!(said, BucketEffect::Reply { .. })) {
        let passed = |what: &Operation| matches!(what, Operation::Get { key, .. } if *key == ObjectKey::Slot(slot(2)));
        if driven.asked.iter().any(passed) && !driven.unanswered.iter().any(|(_, what)| passed(what)) {
            break;
        }
    }
    let (header, payload) = chunk(2, 1);
    let put =
        Operation::Create { key: ObjectKey::Slot(slot(2)), head: Bytes::copy_from_slice(&header.encode()), payload };
    assert_eq!(driven.store.perform(&put), Outcome::Created);
    for from in 11..15 {
        ask(&mut driven, from);
    }
    let said = driven.settle();
    let newest = |to: u64| {
        let reply = said.iter().find_map(|said| match said {
            BucketEffect::Reply { to: whom, reply } if *whom == to => Some(reply),
            _ => None,
        });
        view_of(reply.expect("everybody is answered")).newest
    };
    assert_eq!(newest(10), Some(ChunkSeq(1)));
    for from in 11..15 {
        assert_eq!(newest(from), Some(ChunkSeq(2)), "{from}");
    }
}
