//! Any events in any order, with crashes that keep any prefix of what was not confirmed. What the replica said is
//! written down and held against everything it does later.

use super::crashes::replay;
use super::*;
use crate::replica::ToStore;
use crate::snapshot::Record;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put {
        epoch: u64,
        seq: u64,
    },
    Copy {
        epoch: u64,
        seq: u64,
    },
    Pin {
        word: u64,
    },
    Free {
        word: u64,
        of: u64,
    },
    Fence {
        epoch: u64,
    },
    Freeze {
        epoch: u64,
        of: u64,
    },
    Trim {
        word: u64,
        floor: u64,
    },
    Delete {
        epoch: u64,
    },
    Read {
        of: u64,
        from: u64,
    },
    Lose {
        of: u64,
        seq: u64,
    },
    Full {
        full: bool,
    },
    /// Confirms this many of what is on its way.
    Store {
        count: u64,
    },
    /// The process dies; this many store effects that were not confirmed survive.
    Crash {
        survive: u64,
    },
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    let (epoch, seq) = (|| 1..6u64, || 0..8u64);
    prop_oneof![
        12 => (epoch(), seq()).prop_map(|(epoch, seq)| Step::Put { epoch, seq }),
        4 => (epoch(), seq()).prop_map(|(epoch, seq)| Step::Copy { epoch, seq }),
        2 => epoch().prop_map(|word| Step::Pin { word }),
        2 => (epoch(), epoch()).prop_map(|(word, of)| Step::Free { word, of }),
        4 => epoch().prop_map(|epoch| Step::Fence { epoch }),
        6 => (epoch(), epoch()).prop_map(|(epoch, of)| Step::Freeze { epoch, of }),
        2 => (epoch(), seq()).prop_map(|(word, floor)| Step::Trim { word, floor }),
        1 => (4..6u64).prop_map(|epoch| Step::Delete { epoch }),
        2 => (epoch(), seq()).prop_map(|(of, from)| Step::Read { of, from }),
        1 => (epoch(), seq()).prop_map(|(of, seq)| Step::Lose { of, seq }),
        1 => any::<bool>().prop_map(|full| Step::Full { full }),
        8 => (1..4u64).prop_map(|count| Step::Store { count }),
        2 => (0..4u64).prop_map(|survive| Step::Crash { survive }),
        1 => Just(Step::Fail),
    ]
}

/// The replica's driver, and everything it was ever told.
struct World {
    driven: Driven,
    /// Every store effect that has survived, over all lives, then those of this life.
    stored: Vec<ToStore>,
    /// How many of `stored` are older than this life.
    older: usize,
    /// How many of `stored` are confirmed.
    durable: usize,
    put: BTreeMap<Ticket, (u64, u64)>,
    unanswered: BTreeSet<Ticket>,
    slots: BTreeSet<u32>,
    freezing: Option<u64>,
    fenced: u64,
    deleted: bool,
    floor: u64,
    never: BTreeSet<(u64, u64)>,
    /// Frees that wait: the word each went by.
    freeing: BTreeMap<Ticket, u64>,
    /// Slots of copies.
    copies: BTreeSet<u32>,
    /// What was freed, and may come back with a crash.
    freed: BTreeSet<(u64, u64)>,
    /// The highest word that was confirmed.
    pinned: u64,
    lossy: bool,
}

impl World {
    fn new() -> Self {
        Self {
            driven: Driven::new(),
            stored: Vec::new(),
            older: 0,
            durable: 0,
            put: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            slots: BTreeSet::new(),
            freezing: None,
            fenced: 0,
            deleted: false,
            floor: 0,
            never: BTreeSet::new(),
            freeing: BTreeMap::new(),
            copies: BTreeSet::new(),
            freed: BTreeSet::new(),
            pinned: 0,
            lossy: false,
        }
    }

    fn ask(&mut self, request: Request) {
        let effects = self.driven.ask(request);
        self.unanswered.insert(self.driven.tickets);
        self.hear(effects);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put { epoch, seq } => {
                let effects = self.driven.put(epoch, seq);
                self.put.insert(self.driven.tickets, (epoch, seq));
                self.unanswered.insert(self.driven.tickets);
                self.slots.insert(self.driven.slots);
                self.hear(effects);
                assert!(!self.slots.contains(&self.driven.slots), "the slot is neither stored nor released");
            }
            Step::Copy { epoch, seq } => {
                // The driver numbers its slots one by one.
                self.copies.insert(self.driven.slots + 1);
                let effects = self.driven.copy(epoch, seq);
                self.put.insert(self.driven.tickets, (epoch, seq));
                self.unanswered.insert(self.driven.tickets);
                self.slots.insert(self.driven.slots);
                self.hear(effects);
                assert!(!self.slots.contains(&self.driven.slots), "the slot is neither stored nor released");
            }
            Step::Pin { word } => self.ask(Request::Pin { log: LOG, word: RecordNumber(word) }),
            Step::Free { word, of } => {
                self.freeing.insert(self.driven.tickets + 1, word);
                self.ask(Request::Free { log: LOG, segment: segment(of), word: RecordNumber(word) });
            }
            Step::Fence { epoch } => {
                let segments = (1..6).map(segment).collect();
                self.ask(Request::Fence { log: LOG, epoch: Epoch(epoch), segments });
            }
            Step::Freeze { epoch, of } => {
                self.freezing = Some(of);
                let (from, to) = (ChunkSeq(0), ChunkSeq(9));
                self.ask(Request::Freeze { log: LOG, epoch: Epoch(epoch), segment: segment(of), from, to });
            }
            Step::Trim { word, floor } => {
                self.ask(Request::Trim { log: LOG, word: RecordNumber(word), floor: ChunkSeq(floor) });
            }
            Step::Delete { epoch } => self.ask(Request::Delete { log: LOG, epoch: Epoch(epoch) }),
            Step::Read { of, from } => {
                let (segment, from) = (segment(of), ChunkSeq(from));
                self.ask(Request::Read { log: LOG, segment, from, chunks_max: 3, bytes_max: 1 });
            }
            Step::Lose { of, seq } => {
                let held = self.driven.replica.logs.get(&LOG).and_then(|log| log.segments.get(&segment(of)));
                if held.is_some_and(|held| held.held.contains(ChunkSeq(seq))) {
                    self.lossy = true;
                    let (from, to) = (ChunkSeq(seq), ChunkSeq(seq + 1));
                    let effects = self.driven.handle(ReplicaEvent::Lost { log: LOG, segment: segment(of), from, to });
                    self.hear(effects);
                }
            }
            Step::Full { full } => {
                let effects = self.driven.handle(ReplicaEvent::Fullness { full: full.then_some((9, 10)) });
                assert!(effects.is_empty());
            }
            Step::Store { count } => self.confirm(count),
            Step::Crash { survive } => self.crash(survive as usize),
            Step::Fail => {
                let effects = self.driven.fail();
                self.hear(effects);
                assert!(self.unanswered.is_empty(), "left waiting on a failed disk: {:?}", self.unanswered);
            }
        }
    }

    fn confirm(&mut self, count: u64) {
        let replica = &self.driven.replica;
        if replica.failed().is_some() {
            return;
        }
        let through = replica.ordered.min(replica.stored + count);
        self.durable = self.older + through as usize;
        let effects = self.driven.stored(through);
        self.hear(effects);
        if self.driven.replica.in_flight() == 0 {
            assert!(self.unanswered.is_empty(), "left waiting for nothing: {:?}", self.unanswered);
        }
    }

    fn crash(&mut self, survive: usize) {
        self.stored.truncate(self.durable + survive);
        self.durable = self.stored.len();
        self.older = self.durable;
        self.unanswered.clear();
        self.put.clear();
        let (slots, tickets) = (self.driven.slots, self.driven.tickets);
        self.driven = Driven { slots, tickets, ..Driven::restored(replay(&self.stored)) };
    }

    fn hear(&mut self, effects: Vec<ReplicaEffect>) {
        for effect in effects {
            match effect {
                ReplicaEffect::Store { order, what } => self.hear_store(order, what),
                ReplicaEffect::Release { slot } => assert!(self.slots.remove(&slot.0), "{slot:?} released twice"),
                ReplicaEffect::PutStored { to, .. } => self.hear_stored(to),
                ReplicaEffect::Reply { to, reply } => {
                    assert!(self.unanswered.remove(&to), "{to} answered twice");
                    if reply == Reply::Freed {
                        let word = self.freeing[&to];
                        assert!(word >= self.pinned, "P13: freed by word {word}, {} was confirmed", self.pinned);
                        assert!(word <= self.durable_word(), "P13: freed before word {word} is durable");
                    }
                    self.hear_reply(&reply);
                }
                ReplicaEffect::Read { to, segment, from, to_seq, .. } => {
                    assert!(self.unanswered.remove(&to), "{to} answered twice");
                    (from.0..to_seq.0).for_each(|seq| self.check_held(segment.epoch.0, seq));
                }
                ReplicaEffect::Free { below, .. } => match below {
                    Some(floor) => assert!(floor.0 <= self.durable_floor(), "{floor} freed before it is durable"),
                    None => assert!(self.durable_deletion(), "freed before the deletion is durable"),
                },
                ReplicaEffect::FreeSegment { segment, seqs, .. } => {
                    let on_its_way = self.stored[self.durable..].iter();
                    let kept =
                        |what: &ToStore| matches!(what, ToStore::Chunk { header, .. } if header.segment == segment);
                    for what in on_its_way.filter(|what| kept(what)) {
                        let ToStore::Chunk { header, .. } = what else { unreachable!("only chunks are kept") };
                        assert!(!seqs.contains(header.seq), "{} is freed while a copy is on its way", header.seq);
                    }
                    let all = seqs.iter().flat_map(|(from, to)| from.0..to.0);
                    self.freed.extend(all.map(|seq| (segment.epoch.0, seq)));
                }
            }
        }
    }

    fn hear_store(&mut self, order: u64, what: ToStore) {
        assert_eq!(self.older + order as usize, self.stored.len() + 1, "orders are dense");
        self.stored.push(what);
        if let ToStore::Chunk { header, slot } = what {
            let name = (header.segment.epoch.0, header.seq.0);
            assert!(self.slots.remove(&slot.0), "{slot:?} stored twice");
            let copy = self.copies.contains(&slot.0);
            if copy {
                // Sealed: what was never there is there now.
                self.never.remove(&name);
            }
            assert!(copy || name.0 >= self.fenced, "P3: {name:?} is stored below the answered fence {}", self.fenced);
            assert!(!self.deleted, "pitfall 11: {name:?} is stored in a deleted log");
            assert!(!self.never.contains(&name), "pitfall 1: {name:?} was answered as never");
            assert!(name.1 >= self.floor, "{name:?} is stored below the answered floor {}", self.floor);
        }
    }

    fn hear_stored(&mut self, to: Ticket) {
        assert!(self.unanswered.remove(&to), "{to} answered twice");
        let (epoch, seq) = self.put[&to];
        if seq >= self.durable_floor() {
            self.check_held(epoch, seq);
        }
    }

    fn hear_reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Fenced { fence, floor, segments } => {
                self.fenced = self.fenced.max(fence.0);
                assert!(floor.0 >= self.floor, "floor {floor} is below the answered {}", self.floor);
                for view in segments {
                    for run in &view.runs {
                        self.hear_run(view.segment.epoch.0, run, fence.0);
                    }
                }
            }
            Reply::Frozen { runs } => {
                let (of, fence) = (self.freezing.expect("a freeze was asked"), self.fenced);
                for run in runs {
                    self.hear_run(of, run, fence);
                }
            }
            Reply::Trimmed { floor } => {
                assert!(floor.0 <= self.durable_floor(), "P12: floor {floor} confirmed before it is durable");
                self.floor = self.floor.max(floor.0);
            }
            Reply::Pinned { word } => {
                assert!(word.0 <= self.durable_word(), "P13: word {word} confirmed before it is durable");
                self.pinned = self.pinned.max(word.0);
            }
            Reply::Deleted => {
                assert!(self.durable_deletion(), "P12: deletion confirmed before it is durable");
                self.deleted = true;
            }
            _ => {}
        }
    }

    fn hear_run(&mut self, of: u64, run: &Run, fence: u64) {
        for seq in run.from.0..run.to.0 {
            match run.answer {
                Answer::Have => self.check_held(of, seq),
                // P3: the inventory is complete: whatever survives a crash from now on was in it.
                Answer::Never if of < fence => {
                    // A copy may come at any time: nobody asks about a sealed segment to find its end.
                    let put = |what: &ToStore| is_chunk(what, of, seq) && !self.is_copy(what);
                    let here = self.stored.iter().any(put);
                    let freed = self.freed.contains(&(of, seq));
                    assert!(!here || freed, "{seq} of segment {of} is answered as never, and was stored");
                    if !self.stored.iter().any(|what| is_chunk(what, of, seq)) {
                        self.never.insert((of, seq));
                    }
                }
                Answer::Never => {}
                Answer::Trimmed => assert!(seq < self.durable_floor(), "{seq} is not trimmed"),
                Answer::Unknown => assert!(
                    self.lossy || self.driven.replica.failed().is_some() || self.stored.iter().any(is_deletion),
                    "{seq} of segment {of} is unknown for no reason"
                ),
            }
        }
    }

    fn check_held(&self, epoch: u64, seq: u64) {
        let held = self.stored[..self.durable].iter().any(|what| is_chunk(what, epoch, seq));
        assert!(held, "P4: {seq} of segment {epoch} is called stored, and is not durable");
        assert!(!self.never.contains(&(epoch, seq)), "pitfall 1: {seq} of segment {epoch} was answered as never");
    }

    fn is_copy(&self, what: &ToStore) -> bool {
        matches!(what, ToStore::Chunk { slot, .. } if self.copies.contains(&slot.0))
    }

    fn durable_floor(&self) -> u64 {
        let floor = |what: &ToStore| match what {
            ToStore::Control(Record::Log(record)) => record.floor.0,
            _ => 0,
        };
        self.stored[..self.durable].iter().map(floor).max().unwrap_or(0)
    }

    fn durable_word(&self) -> u64 {
        let word = |what: &ToStore| match what {
            ToStore::Control(Record::Log(record)) => record.word.0,
            _ => 0,
        };
        self.stored[..self.durable].iter().map(word).max().unwrap_or(0)
    }

    fn durable_deletion(&self) -> bool {
        self.stored[..self.durable].iter().any(is_deletion)
    }
}

fn is_chunk(what: &ToStore, epoch: u64, at: u64) -> bool {
    matches!(what, ToStore::Chunk { header, .. } if header.segment.epoch.0 == epoch && header.seq.0 == at)
}

fn is_deletion(what: &ToStore) -> bool {
    matches!(what, ToStore::Control(Record::Log(record)) if record.deleted.0 > 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// P3, P4, P8, P12, pitfalls 1, 7, 8, 9, 10, 11, 17, 20a, 20b: what was answered stays true over crashes.
    #[test]
    fn what_was_answered_stays_true(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
    }
}
