//! Random worlds in which buckets are left behind for a while, one after another, and somebody looks now and then.

use crate::random::{Chance, Named, finish};
use crate::world::{Owed, World};
use quarry_protocol::bucket::{BucketEvent, KnownLog, SlotName};
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::message::{Request, SegmentView};

const SEEDS: u64 = 100;
const HOLES_MAX: u64 = 3;
const HOLE_CHUNKS_MAX: u64 = 36;
/// What follows a hole is at most so many times shorter.
const SHORTER_MAX: u64 = 4;
/// Looks that find it: some `4 * SHORTER_MAX` rounds over 18 octaves.
const LOOKS_PER_HOLE_MAX: u64 = (4 * SHORTER_MAX + 2) * 18;

struct Holes {
    world: World,
    chance: Chance,
    /// Who was taken over, and only looks from then on; and who writes.
    reader: usize,
    writer: usize,
    segment: SegmentId,
}

impl Holes {
    fn new(seed: u64) -> Self {
        let mut world = World::new(3, 2);
        let mut open = || {
            let purpose = world.to_write();
            let client = world.open(purpose);
            assert!(world.run_until(500, &[], |world| world.clients[client].writer().is_some()), "it opens");
            client
        };
        let (reader, writer) = (open(), open());
        let segment = world.clients[writer].segment.expect("a writer has a segment");
        let known = KnownLog::of(world.record());
        for bucket in 0..world.buckets.len() {
            world.tell(reader, bucket, world.record().log, BucketEvent::Known(known.clone()));
        }
        Self { world, chance: Chance::of(seed), reader, writer, segment }
    }

    fn append(&mut self, chunks: u64) {
        for _ in 0..chunks {
            assert!(self.world.append(self.writer), "it goes on with two of three");
            let writer = self.writer;
            let is_committed = move |world: &World| {
                world.clients[writer].writer().is_some_and(|writer| writer.committed() == writer.next_seq())
            };
            assert!(self.world.run_until(100, &[], is_committed), "committed");
        }
    }

    fn look(&mut self, bucket: usize) -> SegmentView {
        let request = Request::Inspect { log: self.world.record().log, segments: vec![self.segment] };
        self.world.ask(self.reader, bucket, request, Owed::Look);
        assert!(self.world.run_until(100, &[], |world| world.seen.is_some()), "answered");
        self.world.seen.take().expect("just seen")
    }

    /// The newest chunk there is.
    fn newest(&self, bucket: usize) -> Option<ChunkSeq> {
        let tail = self.world.clients[self.writer].writer().expect("it writes").next_seq();
        let slot = |seq| SlotName { log: self.world.record().log, segment: self.segment, seq: ChunkSeq(seq) };
        (0..tail.0).rev().find(|seq| self.world.stores[bucket].chunk(slot(*seq)).is_some()).map(ChunkSeq)
    }

    /// A bucket is away, and comes back.
    fn leave_behind(&mut self, bucket: usize) {
        self.world.link(self.writer, bucket, false);
        let hole = 1 + self.chance.below(HOLE_CHUNKS_MAX);
        self.append(hole);
        self.world.link(self.writer, bucket, true);
        let shorter = 1 + self.chance.below(SHORTER_MAX);
        self.append(hole.div_ceil(shorter));
    }
}

/// Returns how many looks were misled.
fn run(seed: u64) -> u64 {
    let _named = Named(seed, 3, 2);
    let mut holes = Holes::new(seed);
    let mut misled = 0;
    let first = holes.chance.below(20);
    holes.append(first);
    for _ in 0..=holes.chance.below(HOLES_MAX) {
        let bucket = holes.chance.index(3);
        holes.look(bucket);
        holes.leave_behind(bucket);
    }
    holes.world.run_until(100, &[], |_| false);
    for bucket in 0..3 {
        let newest = holes.newest(bucket);
        let looks = (0..HOLES_MAX * LOOKS_PER_HOLE_MAX).take_while(|_| holes.look(bucket).newest != newest).count();
        assert_eq!(holes.look(bucket).newest, newest, "bucket {bucket}, after {looks} looks");
        misled += u64::from(looks > 0);
    }
    finish(&mut holes.world);
    misled
}

#[test]
fn what_lies_behind_a_hole_is_found() {
    let misled: u64 = (0..SEEDS).map(run).sum();
    assert!(misled > SEEDS / 4, "only {misled} looks did not see at once what there is: no holes to speak of");
}
