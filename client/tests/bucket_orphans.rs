//! Chunks in buckets that no record needs: found by a listing, freed by the record's word, markers left.

use futures::TryStreamExt;
use quarry_client::{ChunkStore, OpenOptions, Orphan, OrphanFate, QuorumStore, ReadOptions, ReadRange};
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId};
use quarry_protocol::record::LogRecord;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOG: &str = "log";
const CHUNKS: u64 = 8;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let world = Self { dir };
        for name in ["one", "two", "register"] {
            std::fs::create_dir(world.path(name)).expect("is made");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tier(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    async fn store(&self, name: &str) -> QuorumStore {
        let url = format!("{}?register=dir:{}", self.tier(name), self.path("register").display());
        quarry_client::connect_to_quorum(&url).await.expect("connects")
    }

    fn segment(&self, log: LogId, epoch: u64, index: u32) -> PathBuf {
        self.path("one").join(log.to_string()).join(format!("{epoch:020}-{index:010}"))
    }
}

fn options() -> OpenOptions {
    OpenOptions { repair: false, ..OpenOptions::default() }
}

async fn append(store: &QuorumStore) {
    let writer = store.open(LOG, options()).await.expect("opens").writer;
    for _ in 0..CHUNKS {
        writer.append(vec![7; 100].into()).await.expect("fits").await.expect("is committed");
    }
    writer.close().await.expect("closes");
}

async fn record(store: &QuorumStore) -> LogRecord {
    store.inspect(LOG).await.expect("inspects").record
}

async fn count(store: &QuorumStore) -> usize {
    let stream = store.read(LOG, ReadRange::all(), ReadOptions::default()).await.expect("reads");
    stream.try_collect::<Vec<_>>().await.expect("reads on").len()
}

async fn orphans(store: &QuorumStore, grace_s: Option<u64>) -> Vec<Orphan> {
    store.orphans(grace_s.map(Duration::from_secs)).await.expect("looks")
}

/// How many objects there are of at least a chunk's size, and how many smaller ones.
fn objects(segment: &Path) -> (usize, usize) {
    let Ok(entries) = std::fs::read_dir(segment) else { return (0, 0) };
    let sizes: Vec<u64> = entries.map(|entry| entry.expect("an entry").metadata().expect("is there").len()).collect();
    let chunks = sizes.iter().filter(|size| **size > 100).count();
    (chunks, sizes.len() - chunks)
}

/// What a takeover leaves that lost its race: copies in a segment that is on no record.
fn copy_as(world: &World, record: &LogRecord, epoch: u64) -> PathBuf {
    use quarry_protocol::chunk::ChunkHeader;
    use quarry_protocol::limits::CHUNK_HEADER_BYTES;
    let from = world.segment(record.log, record.segments[0].id.epoch.0, 0);
    let to = world.segment(record.log, epoch, 0);
    std::fs::create_dir_all(&to).expect("is made");
    for entry in std::fs::read_dir(from).expect("a segment").map(|entry| entry.expect("an entry")) {
        let bytes = std::fs::read(entry.path()).expect("an object");
        let Some(header) = bytes.get(..CHUNK_HEADER_BYTES).and_then(|head| ChunkHeader::decode(head).ok()) else {
            continue;
        };
        let segment = quarry_protocol::ids::SegmentId { epoch: Epoch(epoch), index: 0 };
        let header = ChunkHeader { segment, ..header };
        let copy = [header.encode().as_slice(), &bytes[CHUNK_HEADER_BYTES..]].concat();
        std::fs::write(to.join(entry.file_name()), copy).expect("is written");
    }
    to
}

#[tokio::test]
async fn what_a_takeover_left_that_lost_is_freed_and_nothing_else() {
    let world = World::new();
    let store = world.store("one").await;
    append(&store).await;
    drop(store.open(LOG, options()).await.expect("opens"));
    append(&store).await;
    let before = record(&store).await;
    let (lost, under_way) = (before.epoch.0 - 1, before.epoch.0);
    assert!(before.segments.iter().all(|segment| segment.id.epoch.0 != lost), "{before:?}");
    let lost = copy_as(&world, &before, lost);
    // A recovery of the record's epoch may be about to register what it copies.
    let under_way = {
        let named = before.segments.iter().any(|segment| segment.id.epoch.0 == under_way);
        assert!(named, "{before:?}");
        let beside = world.segment(before.log, under_way, 9);
        std::fs::create_dir_all(&beside).expect("is made");
        beside
    };
    std::fs::write(under_way.join(format!("{:020}", 0)), vec![1; 300]).expect("is written");
    std::fs::write(lost.join("holiday.jpg"), vec![1; 300]).expect("is written");
    std::fs::write(lost.join(format!("{:020}", 77)), vec![1; 300]).expect("is written");

    let [waits] = &orphans(&store, None).await[..] else { panic!("one orphan") };
    assert_eq!((waits.chunks, &waits.fate, waits.name.as_deref()), (CHUNKS + 1, &OrphanFate::Waits, Some(LOG)));
    let [waits] = &orphans(&store, Some(3600)).await[..] else { panic!("one orphan") };
    assert_eq!(waits.fate, OrphanFate::Waits, "not idle for that long");
    let [freed] = &orphans(&store, Some(0)).await[..] else { panic!("one orphan") };
    assert_eq!(freed.fate, OrphanFate::Freed);
    // What is no chunk of Quarry's stays, wherever it lies.
    assert_eq!(objects(&lost).0, 2);
    assert_eq!(objects(&under_way).0, 1);
    assert_eq!(count(&store).await as u64, 2 * CHUNKS);
    assert_eq!(record(&store).await, before, "the record is not changed");
}

#[tokio::test]
async fn what_a_deletion_did_not_reach_is_freed_and_markers_stay() {
    let world = World::new();
    let home = world.store("one").await;
    append(&home).await;
    let before = record(&home).await;
    let there = home.on_tier(&world.tier("two")).await.expect("a tier");
    drop(there.open(LOG, options()).await.expect("moves"));
    there.gather(LOG, u64::MAX, &mut |_| {}).await.expect("gathers");
    let old = world.segment(before.log, before.segments[0].id.epoch.0, before.segments[0].id.index);
    let (chunks, markers) = objects(&old);
    assert!(chunks as u64 == CHUNKS && markers > 0, "{chunks} chunks, {markers} markers");
    // Its copies lie elsewhere, on record; a copy back may be under way.
    let [stays] = &orphans(&home, Some(0)).await[..] else { panic!("one orphan") };
    assert!(matches!(&stays.fate, OrphanFate::Stays(why) if why.contains("elsewhere")), "{stays:?}");
    assert_eq!(objects(&old), (chunks, markers));

    there.delete(LOG).await.expect("deletes");
    there.settle().await;
    assert_eq!(objects(&old), (chunks, markers), "the deletion went to those on record");
    let [freed] = &orphans(&home, Some(0)).await[..] else { panic!("one orphan") };
    assert_eq!(freed.fate, OrphanFate::Freed);
    assert_eq!(objects(&old), (0, markers));
    assert!(orphans(&home, Some(0)).await.is_empty());
}

#[tokio::test]
async fn what_left_the_chain_is_freed_and_what_has_no_record_stays() {
    let world = World::new();
    let home = world.store("one").await;
    append(&home).await;
    let before = record(&home).await;
    let there = home.on_tier(&world.tier("two")).await.expect("a tier");
    append(&there).await;
    there.gather(LOG, u64::MAX, &mut |_| {}).await.expect("gathers");
    there.trim(LOG, ChunkSeq(CHUNKS + 1)).await.expect("trims");
    drop(there.open(LOG, options()).await.expect("opens"));
    let old = world.segment(before.log, before.segments[0].id.epoch.0, before.segments[0].id.index);
    let strange = world.path("one").join("0".repeat(32)).join(format!("{:020}-{:010}", 1, 0));
    std::fs::create_dir_all(&strange).expect("is made");
    std::fs::write(strange.join(format!("{:020}", 0)), vec![1; 300]).expect("is written");
    let found = orphans(&home, Some(0)).await;
    let fate = |log| found.iter().find(|orphan| orphan.log == log).map(|orphan| orphan.fate.clone());
    assert_eq!(fate(before.log), Some(OrphanFate::Freed), "{found:?}");
    assert!(matches!(fate(LogId([0; 16])), Some(OrphanFate::Stays(why)) if why.contains("no record")), "{found:?}");
    assert_eq!((objects(&old).0, objects(&strange).0), (0, 1));
    assert_eq!(count(&there).await as u64, CHUNKS - 1);
}
