//! Every combination of answers, judged by what could be true behind them.

use super::super::witness::Testimony;
use super::{Settled, Walk, Walked, walk};
use crate::ids::{ChunkSeq, DiskId, Epoch, SegmentId};
use crate::message::Answer;
use crate::quorum::Quorum;
use crate::record::{ReplicaRef, Segment, SegmentEnd, Window};
use alloc::format;
use alloc::vec::Vec;

/// What a fenced replica said of a seq, if it said anything yet.
const ANSWERS: [Option<Answer>; 5] =
    [Some(Answer::Have), Some(Answer::Never), Some(Answer::Unknown), Some(Answer::Trimmed), None];

const BASE: ChunkSeq = ChunkSeq(10);

fn segment(replicas: usize, ack: usize) -> Segment {
    let replica =
        |i: usize| ReplicaRef { disk: DiskId([i as u8 + 1; 16]), address: "a:1".into(), zone: format!("{i}") };
    Segment {
        id: SegmentId { epoch: Epoch(1), index: 0 },
        base: BASE,
        end: SegmentEnd::Open,
        replicas: (0..replicas).map(replica).collect(),
        ack_quorum: ack as u8,
        window: Window { chunks: 8, bytes: 1000 },
    }
}

/// A fenced replica that said this of the seqs from `BASE` on.
fn testimony(answers: &[Option<Answer>]) -> Testimony {
    let mut testimony = Testimony::new();
    for (i, answer) in answers.iter().enumerate() {
        if let Some(answer) = answer {
            testimony.answers.insert(BASE.plus(i as u64), *answer);
        }
    }
    testimony
}

fn walked(segment: &Segment, testimonies: &[Testimony]) -> Walked {
    let quorum = segment.quorum().expect("valid");
    walk(BASE, BASE, &[Walk { segment, quorum, testimonies: testimonies.iter().collect() }])
}

/// Whether an ack quorum may have stored a seq: everybody who does not deny it might have, those not fenced included.
fn may_be_committed(quorum: Quorum, answers: &[Option<Answer>]) -> bool {
    let denied = answers.iter().filter(|answer| **answer == Some(Answer::Never)).count();
    quorum.replicas() - denied >= quorum.ack()
}

/// P7.3, P8: for every N, every Qa and every answer of every fenced replica (up to symmetry): the log ends at a seq only if no
/// ack quorum can have stored it and nobody knows that it was trimmed; whatever anybody has is kept; and it is proven only
/// if an ack quorum of replicas has it.
#[test]
fn every_combination_of_answers_to_one_seq() {
    for (replicas, ack) in (1..=7).flat_map(|n| (1..=n).map(move |ack| (n, ack))) {
        let segment = segment(replicas, ack);
        let quorum = segment.quorum().expect("valid");
        for fenced in quorum.read()..=replicas {
            each_multiset(fenced, &mut Vec::new(), &mut |answers| {
                let mut testimonies: Vec<_> = answers.iter().map(|answer| testimony(&[*answer])).collect();
                // The seq behind it was never stored, so the walk goes no further.
                for testimony in &mut testimonies {
                    testimony.answers.insert(BASE.next(), Answer::Never);
                }
                check_one(quorum, answers, &walked(&segment, &testimonies));
            });
        }
    }
}

fn check_one(quorum: Quorum, answers: &[Option<Answer>], walked: &Walked) {
    let count = |what| answers.iter().filter(|answer| **answer == Some(what)).count();
    let (have, trimmed) = (count(Answer::Have), count(Answer::Trimmed));
    match walked {
        Walked::Settled(Settled { end, cut, .. }) if have > 0 => {
            assert_eq!(*end, BASE.next(), "{quorum:?} {answers:?}: somebody has it");
            assert_eq!(*cut == *end, have >= quorum.ack(), "{quorum:?} {answers:?}: proven only on a quorum");
        }
        Walked::Settled(Settled { end, cut, .. }) => {
            assert_eq!((*end, *cut), (BASE, BASE));
            assert!(!may_be_committed(quorum, answers), "{quorum:?} {answers:?}: may be committed, and was dropped");
            assert_eq!(trimmed, 0, "{quorum:?} {answers:?}: below the floor, and taken for the end");
        }
        Walked::NeedsFloor { .. } => assert!(trimmed > 0 && have == 0, "{quorum:?} {answers:?}"),
        Walked::NeedsAnswers { .. } => {
            assert!(have + trimmed == 0 && may_be_committed(quorum, answers), "{quorum:?} {answers:?}: it is decided");
        }
        Walked::NeedsFences { .. } => panic!("{quorum:?} {answers:?}: enough are fenced"),
    }
}

/// Calls `check` with every multiset of `count` answers.
fn each_multiset(count: usize, so_far: &mut Vec<Option<Answer>>, check: &mut impl FnMut(&[Option<Answer>])) {
    if so_far.len() == count {
        return check(so_far);
    }
    let least = so_far.last().map_or(0, |last| ANSWERS.iter().position(|answer| answer == last).unwrap_or(0));
    for answer in &ANSWERS[least..] {
        so_far.push(*answer);
        each_multiset(count, so_far, check);
        so_far.pop();
    }
}

/// The same over two seqs for two of three: 25^3 worlds.
#[test]
fn every_combination_of_answers_to_two_seqs() {
    let segment = segment(3, 2);
    let quorum = segment.quorum().expect("valid");
    let pairs: Vec<[Option<Answer>; 2]> = ANSWERS.iter().flat_map(|a| ANSWERS.map(|b| [*a, b])).collect();
    for (a, b, c) in triples(&pairs) {
        let mut testimonies = [testimony(&a), testimony(&b), testimony(&c)];
        for testimony in &mut testimonies {
            testimony.answers.insert(BASE.plus(2), Answer::Never);
        }
        if let Walked::Settled(Settled { end, cut, .. }) = walked(&segment, &testimonies) {
            for (i, seq) in [BASE, BASE.next()].into_iter().enumerate() {
                let answers = [a[i], b[i], c[i]];
                let have = answers.iter().filter(|answer| **answer == Some(Answer::Have)).count();
                assert!(seq != end || !may_be_committed(quorum, &answers), "{a:?} {b:?} {c:?}: ends at {end}");
                assert!(seq >= cut || have >= 2, "{a:?} {b:?} {c:?}: {seq} is below the cut {cut}, and not proven");
                assert!(seq >= end || have >= 1, "{a:?} {b:?} {c:?}: {seq} is kept, and nobody has it");
            }
        }
    }
}

type Pair = [Option<Answer>; 2];

fn triples(pairs: &[Pair]) -> impl Iterator<Item = (Pair, Pair, Pair)> + '_ {
    pairs.iter().flat_map(move |a| pairs.iter().flat_map(move |b| pairs.iter().map(move |c| (*a, *b, *c))))
}

/// Pitfall 19: three replicas, each lacking another chunk. Every chunk is proven by itself; nothing is copied.
#[test]
fn a_stitched_quorum_is_a_quorum() {
    let (have, never) = (Some(Answer::Have), Some(Answer::Never));
    let testimonies = [
        testimony(&[have, have, never, never]),
        testimony(&[have, never, have, never]),
        testimony(&[never, have, have, never]),
    ];
    let Walked::Settled(settled) = walked(&segment(3, 2), &testimonies) else { panic!("all have answered") };
    assert_eq!((settled.cut, settled.end), (BASE.plus(3), BASE.plus(3)));
}

/// P7.2: with fewer than `Qr` fenced replicas nothing is believed, however sure they are.
#[test]
fn too_few_fenced_replicas_decide_nothing() {
    let sure = testimony(&[Some(Answer::Have), Some(Answer::Never)]);
    assert_eq!(walked(&segment(3, 2), &[sure]), Walked::NeedsFences { segment: 0 });
}

/// P7.3: base, floor, watermark and window: the largest counts. Numbers at the end of the range do no harm.
#[test]
fn the_walk_starts_at_the_largest_bound() {
    let (open, mut one) = (segment(1, 1), testimony(&[]));
    let start = |floor: u64, testimony: &Testimony| {
        let quorum = open.quorum().expect("valid");
        match walk(ChunkSeq(floor), BASE, &[Walk { segment: &open, quorum, testimonies: [testimony].to_vec() }]) {
            Walked::NeedsAnswers { seq, .. } => seq.0,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(start(5, &one), 10, "base");
    assert_eq!(start(12, &one), 12, "floor");
    one.watermark = ChunkSeq(14);
    assert_eq!(start(12, &one), 14, "watermark");
    one.newest = Some(ChunkSeq(23));
    assert_eq!(start(12, &one), 16, "newest + 1 - window");
    one.newest = Some(ChunkSeq(u64::MAX));
    assert_eq!(start(12, &one), u64::MAX - 8);
}
