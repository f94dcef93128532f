//! Long holes: what a bucket lacks for good because it was left behind for a while (P10), and what lies behind it.

use super::looks::look;
use super::*;

/// Octaves above the newest chunk that looks try in turn, from 4 slots to a million above it.
const OCTAVES: usize = 18;
/// What the longest search in these tests may ask for at once.
const REQUESTS_MAX: usize = 150;
const HOLES: [u64; 7] = [5, 17, 90, 100, 127, 1_000, 10_000];
/// Where the bucket was left behind.
const LEFT_AT: u64 = 50;

impl Driven {
    /// How many requests it took.
    fn cost<T>(&mut self, what: impl FnOnce(&mut Self) -> T) -> (usize, T) {
        let before = self.asked.len();
        let done = what(self);
        (self.asked.len() - before, done)
    }

    /// A bucket that somebody looked at, that was left behind then and came back after `hole` chunks, for `more`.
    fn left_behind(hole: u64, more: u64) -> Self {
        let mut driven = Self::new();
        driven.hold(0..LEFT_AT);
        assert_eq!(driven.looked().newest, Some(ChunkSeq(LEFT_AT - 1)));
        driven.hold(LEFT_AT + hole..LEFT_AT + hole + more);
        driven
    }

    /// How many looks find the last chunk, none of which asks for much.
    fn looks_until(&mut self, newest: u64, looks_max: usize) -> usize {
        for looks in 1..=looks_max {
            let (cost, view) = self.cost(Self::looked);
            assert!(cost <= REQUESTS_MAX, "{cost} requests");
            if view.newest == Some(ChunkSeq(newest)) {
                return looks;
            }
            assert!(cost <= 6, "{cost} requests that found nothing");
        }
        panic!("{looks_max} looks did not find {newest}");
    }
}

#[test]
fn looks_find_what_is_as_long_as_the_hole_before_it() {
    for hole in HOLES {
        // However often it was looked before.
        for before in [0, 1, 7, 17, 40] {
            let mut driven = Driven::left_behind(hole, 0);
            (0..before).for_each(|_| assert_eq!(driven.looked().newest, Some(ChunkSeq(LEFT_AT - 1))));
            driven.hold(LEFT_AT + hole..LEFT_AT + 2 * hole);
            driven.looks_until(LEFT_AT + 2 * hole - 1, 2 * OCTAVES);
        }
    }
}

#[test]
fn looks_find_what_is_much_shorter_than_the_hole_before_it() {
    for (hole, more) in [(100, 10), (1_000, 50), (1_000, 7), (10_000, 500), (60, 1)] {
        let mut driven = Driven::left_behind(hole, more);
        driven.looks_until(LEFT_AT + hole + more - 1, (4 * hole.div_ceil(more) as usize + 2) * OCTAVES);
    }
}

/// A fence that begins where a look ended, and one of a machine that sees the segment for the first time.
#[test]
fn a_fence_finds_what_is_as_long_as_the_hole_before_it() {
    for hole in HOLES {
        for before in [0, 5, 18] {
            let mut driven = Driven::left_behind(hole, 0);
            (0..before).for_each(|_| _ = driven.looked());
            driven.hold(LEFT_AT + hole..LEFT_AT + 2 * hole);
            let newest = LEFT_AT + 2 * hole - 1;
            let mut fresh = Driven::new();
            fresh.store.objects = driven.store.objects.clone();
            for mut driven in [driven, fresh] {
                let (cost, view) = driven.cost(|driven| driven.fenced(5));
                assert_eq!(view.newest, Some(ChunkSeq(newest)), "a hole of {hole}");
                assert!(
                    driven.store.marker(slot(newest + u64::from(WINDOW))).is_some(),
                    "a mark that meets the writer"
                );
                assert!(cost <= REQUESTS_MAX, "{cost} requests");
            }
        }
    }
}

/// The bucket was away when the segment began.
#[test]
fn a_hole_at_the_base_hides_nothing_that_is_as_long() {
    for hole in HOLES {
        let newest = ChunkSeq(2 * hole - 1);
        let mut driven = Driven::new();
        driven.hold(hole..2 * hole);
        assert_eq!(driven.looked().newest, Some(newest), "a first look");
        let mut driven = Driven::new();
        assert_eq!(driven.looked().newest, None);
        driven.hold(hole..2 * hole);
        driven.looks_until(newest.0, 2 * OCTAVES);
        let mut driven = Driven::new();
        driven.hold(hole..2 * hole);
        assert_eq!(driven.fenced(5).newest, Some(newest), "a fence");
    }
}

/// Far slots lie inside the segment, whatever its end.
#[test]
fn no_slot_is_tried_beyond_the_end_of_the_segment() {
    let end = SegmentEnd::Boundary { at: ChunkSeq(LEFT_AT + 100) };
    let mut driven = Driven::new();
    driven.tell(BucketEvent::Known(known(0, end)));
    driven.hold(0..LEFT_AT);
    for _ in 0..3 * OCTAVES {
        driven.ask(look());
    }
    driven.fenced(5);
    let beyond = |what: &Operation| match what {
        Operation::Get { key: ObjectKey::Slot(slot), .. } | Operation::Create { key: ObjectKey::Slot(slot), .. } => {
            slot.seq >= ChunkSeq(LEFT_AT + 100)
        }
        _ => false,
    };
    assert!(!driven.asked.iter().any(beyond));
}
