//! P12: a floor never exceeds the committed tail, and that has to be known.

use crate::script::{LOG, Mood, Script, id, sealed, segment, three_segments};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::message::{Reply, Request, SegmentView};
use quarry_protocol::record::{LogRecord, SegmentEnd};
use quarry_protocol::tail::{STRAGGLER_GRACE_US, TailEffect, TailEvent, TailSearch};
use quarry_protocol::time::Micros;
use quarry_protocol::trim::TrimFailure;

fn above(below: u64, tail: u64) -> TrimFailure {
    TrimFailure::AboveTail { below: ChunkSeq(below), tail: ChunkSeq(tail) }
}

#[test]
fn a_floor_above_the_tail_is_refused() {
    let mut script = Script::new(three_segments(), &[31]);
    script.read();
    script.answer();
    assert_eq!(script.failure(), above(31, 30));
    assert!(script.find_swap().is_none() && script.told.is_empty());
    let (mut script, swap) = Script::raising(&[30]);
    script.land(&swap);
    assert_eq!(script.outcome(), Ok(ChunkSeq(30)), "everything may go");
}

/// Those who wait together are told apart: the highest that may go goes.
#[test]
fn each_of_those_who_wait_together_gets_an_outcome() {
    let (mut script, swap) = Script::raising(&[5, 100, 20, 12, 31]);
    assert_eq!(swap.record.floor, ChunkSeq(20));
    script.land(&swap);
    let ok = Ok(ChunkSeq(20));
    assert_eq!(script.outcomes, Some(vec![ok.clone(), Err(above(100, 30)), ok.clone(), ok, Err(above(31, 30))]));

    // What is above the tail is refused as that, whatever becomes of the others.
    let (mut script, swap) = Script::raising(&[100, 20]);
    script.register.change(|record| LogRecord { deleted: true, ..record });
    script.land(&swap);
    script.read_back();
    assert_eq!(script.outcomes, Some(vec![Err(above(100, 30)), Err(TrimFailure::NotFound)]));
}

#[test]
fn too_few_replicas_are_named() {
    let mut script = Script::new(three_segments(), &[15]);
    script.moods[0] = Mood::Away;
    script.moods[2] = Mood::Away;
    script.read();
    script.answer();
    let error = script.failure().to_string();
    assert_eq!(
        error,
        "1 of the 2 replicas needed answered: zone0 (node0:7000): node0 is away; zone2 (node2:7000): node2 is away"
    );
    assert!(script.find_swap().is_none());
}

/// Two are enough; the third is waited for a little, since it may know more.
#[test]
fn the_last_replica_is_waited_for_a_little() {
    for late in [false, true] {
        let mut script = Script::new(three_segments(), &[29]);
        script.watermarks = [25, 26, 29, 0, 0];
        script.moods[2] = Mood::Silent;
        script.read();
        let (request, to, _) = script.calls_and_answer_others(2);
        assert_eq!(to, 2);
        assert!(script.outcomes.is_none());
        script.pass(if late { STRAGGLER_GRACE_US } else { STRAGGLER_GRACE_US - 1 });
        script.reply(request, Ok(inspected(3, 29)));
        if late {
            assert_eq!(script.failure(), above(29, 26));
        } else {
            assert_eq!(script.swap().record.floor, ChunkSeq(29));
        }
    }
}

fn inspected(epoch: u64, watermark: u64) -> Reply {
    let view = SegmentView { segment: id(epoch), watermark: ChunkSeq(watermark), newest: None, runs: Vec::new() };
    Reply::Inspected { fence: Epoch(3), floor: ChunkSeq(0), segments: vec![view] }
}

impl Script {
    /// Answers for everybody but `silent`, and gives back what that one was asked.
    fn calls_and_answer_others(&mut self, silent: usize) -> (u64, usize, Request) {
        let mut left = None;
        for (request, to, what) in self.calls() {
            if to == silent {
                left = Some((request, to, what));
            } else {
                let watermark = self.watermarks[to];
                self.reply(request, Ok(inspected(3, watermark)));
            }
        }
        left.expect("it was asked")
    }
}

/// A search on its own, and a hand that answers it.
struct Search {
    machine: TailSearch,
    asked: Vec<(u64, usize, Request)>,
    found: Option<Result<ChunkSeq, String>>,
}

impl Search {
    fn new(record: &LogRecord) -> Self {
        let mut search = Self { machine: TailSearch::new(record, 100), asked: Vec::new(), found: None };
        search.drain();
        search
    }

    fn drain(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            assert!(self.found.is_none(), "{effect:?} after the end");
            match effect {
                TailEffect::Call { request, to, what } => self.asked.push((request, crate::script::number(&to), what)),
                TailEffect::Finished(found) => self.found = Some(found.map_err(|why| why.to_string())),
            }
        }
    }

    fn replied(&mut self, request: u64, reply: Reply) {
        self.machine.handle(Micros(0), TailEvent::Replied { request, result: Ok(reply) });
        self.drain();
    }

    fn asked(&mut self) -> Vec<u64> {
        self.asked.drain(..).map(|(request, ..)| request).collect()
    }
}

/// P11: the segment behind a boundary counts once everything below the boundary is committed.
#[test]
fn a_boundary_is_passed_once_it_is_reached() {
    let at = SegmentEnd::Boundary { at: ChunkSeq(30) };
    let segments = vec![segment(3, 20, at, &[0, 1, 2]), segment(4, 30, SegmentEnd::Open, &[1, 2, 3])];
    let record = LogRecord {
        number: quarry_protocol::ids::RecordNumber(4),
        epoch: Epoch(4),
        floor: ChunkSeq(20),
        segments,
        ..LogRecord::new("orders", LOG)
    };
    for (watermark, tail) in [(29, 29), (30, 33), (34, 33)] {
        let mut search = Search::new(&record);
        let whom: Vec<_> = search.asked.iter().map(|(_, to, _)| *to).collect();
        assert_eq!(whom, [0, 1, 2]);
        for request in search.asked() {
            search.replied(request, inspected(3, watermark));
        }
        for request in search.asked() {
            search.replied(request, inspected(4, 33));
        }
        assert_eq!(search.found, Some(Ok(ChunkSeq(tail))), "{watermark}");
    }
}

/// Pitfall 4, and a late answer about the segment before.
#[test]
fn an_answer_counts_once_and_for_its_own_segment() {
    let at = SegmentEnd::Boundary { at: ChunkSeq(30) };
    let segments = vec![segment(3, 20, at, &[0, 1, 2]), segment(4, 30, SegmentEnd::Open, &[1, 2, 3])];
    let record = LogRecord {
        number: quarry_protocol::ids::RecordNumber(4),
        epoch: Epoch(4),
        floor: ChunkSeq(20),
        segments,
        ..LogRecord::new("orders", LOG)
    };
    let mut search = Search::new(&record);
    let first = search.asked();
    for _ in 0..3 {
        search.replied(first[0], inspected(3, 30));
        assert_eq!(search.machine.poll_timeout(), None, "one replica, however often it answers, is no quorum");
    }
    search.replied(first[1], inspected(3, 30));
    assert_eq!(search.machine.poll_timeout(), Some(Micros(STRAGGLER_GRACE_US)));
    search.machine.handle(Micros(STRAGGLER_GRACE_US), TailEvent::Tick);
    search.drain();
    let second = search.asked();
    assert!(second.iter().all(|request| !first.contains(request)), "{first:?} {second:?}");
    search.replied(first[2], inspected(3, 99));
    search.replied(second[0], inspected(3, 99));
    search.replied(second[1], inspected(4, 31));
    search.replied(second[2], inspected(4, 32));
    assert_eq!(search.found, Some(Ok(ChunkSeq(32))), "an answer about another segment is none");
    assert!(second.contains(&(search.machine.next_request() - 1)));
}

#[test]
fn a_log_without_an_open_segment_ends_where_it_is_sealed() {
    let segments = vec![segment(1, 0, sealed(10), &[0, 1, 2])];
    let record = LogRecord {
        number: quarry_protocol::ids::RecordNumber(4),
        epoch: Epoch(4),
        segments,
        ..LogRecord::new("orders", LOG)
    };
    assert_eq!(Search::new(&record).found, Some(Ok(ChunkSeq(10))));
    let empty = LogRecord { floor: ChunkSeq(7), ..LogRecord::new("orders", LOG) };
    assert_eq!(Search::new(&empty).found, Some(Ok(ChunkSeq(7))));
}
