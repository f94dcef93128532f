//! Old segments that follow a log to another tier: verified copies, then the record.

use futures::TryStreamExt;
use quarry_client::receipt::RangeCopies;
use quarry_client::{ChunkStore, Gathered, OpenOptions, QuorumStore, ReadOptions, ReadRange};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use quarry_protocol::record::LogRecord;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOG: &str = "log";
const UNBOUNDED: u64 = u64::MAX;
/// Chunks of each segment of a test's log.
const CHUNKS: u64 = 20;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// Directories that are tiers, and a register beside them.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: directory() };
        for name in ["one", "a", "b", "c", "register"] {
            std::fs::create_dir(world.path(name)).expect("is made");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn one(&self) -> String {
        format!("file://{}", self.path("one").display())
    }

    fn three(&self) -> String {
        let [a, b, c] = ["a", "b", "c"].map(|name| self.path(name).display().to_string());
        format!("file://{a},{b},{c}")
    }

    async fn store(&self, tier: &str) -> QuorumStore {
        let url = format!("{tier}?register=dir:{}", self.path("register").display());
        quarry_client::connect_to_quorum(&url).await.expect("connects")
    }

    /// A log of three segments of that tier, two of them sealed.
    async fn log_on(&self, tier: &str) -> QuorumStore {
        let store = self.store(tier).await;
        for segment in 0..2 {
            append(&store, segment * CHUNKS).await;
        }
        drop(store.open(LOG, options()).await.expect("opens"));
        store
    }

    /// The file of a chunk of the log's first segment, in one of the directories.
    fn file(&self, name: &str, seq: u64) -> PathBuf {
        let log = only(&self.path(name), |name| name.len() == 32);
        let segment = std::fs::read_dir(&log).expect("a log").map(|entry| entry.expect("an entry").path()).min();
        segment.expect("a segment").join(format!("{seq:020}"))
    }

    /// Takes away everything of the log that a directory holds.
    fn empty(&self, name: &str) {
        std::fs::remove_dir_all(only(&self.path(name), |name| name.len() == 32)).expect("is removed");
    }
}

fn only(dir: &Path, wanted: impl Fn(&str) -> bool) -> PathBuf {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut found = entries.filter(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())));
    let first = found.next().expect("there is one");
    assert!(found.next().is_none(), "there are several");
    first
}

fn options() -> OpenOptions {
    OpenOptions { repair: false, ..OpenOptions::default() }
}

async fn append(store: &QuorumStore, from: u64) {
    let writer = store.open(LOG, options()).await.expect("opens").writer;
    for seq in from..from + CHUNKS {
        let append = writer.append(format!("chunk {seq}").into()).await.expect("fits");
        assert_eq!(append.await.expect("is committed").seq.0, seq);
    }
    writer.close().await.expect("closes");
}

async fn held(store: &dyn ChunkStore) -> Vec<String> {
    let stream = store.read(LOG, ReadRange::all(), ReadOptions::default()).await.expect("reads");
    let chunks: Vec<_> = stream.try_collect().await.expect("reads on");
    chunks.iter().map(|chunk| String::from_utf8(chunk.payload.to_vec()).expect("text")).collect()
}

fn written(count: u64) -> Vec<String> {
    (0..count).map(|seq| format!("chunk {seq}")).collect()
}

async fn record(store: &QuorumStore) -> LogRecord {
    store.inspect(LOG).await.expect("inspects").record
}

async fn gather(store: &QuorumStore) -> Gathered {
    store.gather(LOG, UNBOUNDED, &mut |_| {}).await.expect("gathers")
}

/// How many holders each sealed segment has, and how many of them it needs.
async fn quorums(store: &QuorumStore) -> Vec<(usize, u8)> {
    let sealed = record(store).await.segments.into_iter().filter(quarry_protocol::record::Segment::is_sealed);
    sealed.map(|segment| (segment.replicas.len(), segment.ack_quorum)).collect()
}

/// From one directory to three and back to another one: nothing is needed of where it lay before.
#[tokio::test]
async fn old_segments_follow_whatever_the_number_of_replicas() {
    let world = World::new();
    let home = world.log_on(&world.one()).await;
    let three = home.on_tier(&world.three()).await.expect("a tier");
    assert!(three.tail(LOG).await.is_ok());
    drop(three.open(LOG, options()).await.expect("moves"));
    let gathered = gather(&three).await;
    assert_eq!((gathered.segments.len(), gathered.chunks, gathered.left.len()), (2, 6 * CHUNKS, 0), "{gathered:?}");
    assert_eq!(quorums(&three).await, [(3, 2); 2]);
    assert_eq!(gather(&three).await, Gathered::default(), "nothing is left to do");
    world.empty("one");
    assert_eq!(held(&three).await, written(2 * CHUNKS));
    // One of the three may be lost now, as of any segment of theirs.
    world.empty("b");
    assert_eq!(held(&world.store(&world.three()).await).await, written(2 * CHUNKS));

    let one = three.on_tier(&world.one()).await.expect("a tier");
    drop(one.open(LOG, options()).await.expect("moves back"));
    let gathered = gather(&one).await;
    assert_eq!((gathered.chunks, gathered.left.len()), (2 * CHUNKS, 0), "{gathered:?}");
    assert!(quorums(&one).await.iter().all(|quorum| *quorum == (1, 1)));
    world.empty("a");
    world.empty("c");
    assert_eq!(held(&world.store(&world.one()).await).await, written(2 * CHUNKS));
    append(&one, 2 * CHUNKS).await;
    assert_eq!(held(&one).await, written(3 * CHUNKS));
}

/// Cut short anywhere, and taken up by the next: what is there is not copied again, and the record names only what is complete.
#[tokio::test]
async fn what_was_cut_short_is_taken_up() {
    let world = World::new();
    let home = world.log_on(&world.one()).await;
    let three = home.on_tier(&world.three()).await.expect("a tier");
    let mut copied = 0;
    for stop_after in [1, 4, 10] {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let mut stop = Some(stop);
        let mut seen = 0;
        let mut progress = |done: &Gathered| {
            seen = done.chunks;
            if done.chunks >= stop_after {
                stop.take().map(|stop| stop.send(()));
            }
        };
        tokio::select! {
            biased;
            _ = stopped => {}
            done = three.gather(LOG, UNBOUNDED, &mut progress) => panic!("it was not cut short: {done:?}"),
        }
        copied += seen;
        assert_eq!(held(&three).await, written(2 * CHUNKS), "after {seen}");
        assert_eq!(held(&home).await, written(2 * CHUNKS), "after {seen}");
    }
    let rest = gather(&three).await;
    // What was under way when it was cut short may have been stored.
    assert!(copied >= 15 && rest.chunks <= 6 * CHUNKS - copied, "{copied}, then {rest:?}");
    assert_eq!(quorums(&three).await, [(3, 2); 2]);
    world.empty("one");
    assert_eq!(held(&world.store(&world.three()).await).await, written(2 * CHUNKS));
}

/// Readers and a writer go on while segments are copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_go_on_meanwhile() {
    let world = World::new();
    let home = world.log_on(&world.one()).await;
    let three = home.on_tier(&world.three()).await.expect("a tier");
    let writer = three.open(LOG, options()).await.expect("moves").writer;
    let done = Arc::new(AtomicBool::new(false));
    let reading = {
        let (home, done) = (home.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) || reads == 0 {
                let all = held(&home).await;
                assert!(all.len() as u64 >= 2 * CHUNKS, "{} chunks", all.len());
                assert_eq!(all, written(all.len() as u64));
                reads += 1;
            }
            reads
        })
    };
    let gathering = async {
        let gathered = gather(&three).await;
        done.store(true, Ordering::Relaxed);
        gathered
    };
    let appending = async {
        let mut next = 2 * CHUNKS;
        while !done.load(Ordering::Relaxed) {
            writer.append(format!("chunk {next}").into()).await.expect("fits").await.expect("is committed");
            next += 1;
            if next.is_multiple_of(10) {
                writer.rotate().await.expect("rotates");
            }
        }
        next
    };
    let (gathered, count) = tokio::join!(gathering, appending);
    assert!(gathered.left.is_empty(), "{gathered:?}");
    assert!(reading.await.expect("reads") > 0);
    assert!(quorums(&three).await.iter().all(|quorum| *quorum == (3, 2)));
    assert_eq!(held(&three).await, written(count));
}

/// A chunk that says of itself that it is whole, and is not what its writer put there.
fn forge(file: &Path) {
    let bytes = std::fs::read(file).expect("a chunk");
    let header = ChunkHeader::decode(&bytes[..CHUNK_HEADER_BYTES]).expect("a header");
    let payload = b"somebody else's";
    let length = payload.len() as u32;
    let payload_crc = crc32c::crc32c(payload);
    let digest = Digest([7; 16]);
    let header = ChunkHeader { length, payload_crc, digest, ..header };
    std::fs::write(file, [header.encode().as_slice(), payload].concat()).expect("is written");
}

/// One source's damage is made good by another one; the only source's is not copied anywhere.
#[tokio::test]
async fn damage_is_not_copied() {
    let world = World::new();
    let store = world.log_on(&world.three()).await;
    let damaged = world.file("a", 4);
    let mut bytes = std::fs::read(&damaged).expect("a chunk");
    *bytes.last_mut().expect("a payload") ^= 1;
    std::fs::write(&damaged, bytes).expect("is written");
    std::fs::remove_file(world.file("b", 11)).expect("is removed");
    (0..3).for_each(|turn| forge(&world.file(["a", "b", "c"][turn], 6 + turn as u64)));
    let one = store.on_tier(&world.one()).await.expect("a tier");
    let gathered = gather(&one).await;
    assert_eq!((gathered.chunks, gathered.left.len()), (2 * CHUNKS, 0), "{gathered:?}");
    for name in ["a", "b", "c"] {
        world.empty(name);
    }
    let copied = record(&one).await;
    assert!(copied.segments[..2].iter().all(|segment| segment.replicas.len() == 1));
    let fresh = world.store(&world.one()).await;
    drop(fresh.open(LOG, options()).await.map(drop));
    let to = ChunkSeq(2 * CHUNKS);
    let range = ReadRange { from: None, to: Some(to) };
    let chunks: Vec<_> =
        fresh.read(LOG, range, ReadOptions::default()).await.expect("reads").try_collect().await.expect("on");
    assert!(
        chunks.iter().map(|chunk| chunk.payload.to_vec()).eq(written(2 * CHUNKS).into_iter().map(String::into_bytes))
    );

    for spoil in [|file: &Path| std::fs::remove_file(file).expect("is removed"), forge] {
        let world = World::new();
        let store = world.log_on(&world.one()).await;
        spoil(&world.file("one", 5));
        let before = record(&store).await;
        let three = store.on_tier(&world.three()).await.expect("a tier");
        let gathered = gather(&three).await;
        assert_eq!(gathered.segments.len(), 1, "the other one: {gathered:?}");
        let [(left, why)] = &gathered.left[..] else { panic!("{gathered:?}") };
        assert_eq!(*left, before.segments[0].id);
        assert!(why.contains("seq 5 cannot be read"), "{why}");
        let after = record(&three).await;
        assert_eq!(after.segments[0], before.segments[0], "it stays where it is");
        assert_eq!(after.segments[1].replicas.len(), 3);
    }
}

/// Copies in buckets are counted, slot by slot.
#[tokio::test]
async fn a_receipt_counts_copies_in_buckets() {
    let world = World::new();
    let home = world.log_on(&world.one()).await;
    let three = home.on_tier(&world.three()).await.expect("a tier");
    gather(&three).await;
    let copies = async |segment: usize| three.receipt(LOG).await.expect("a receipt").segments[segment].copies();
    let range = |from, to, copies| RangeCopies { from: ChunkSeq(from), to: ChunkSeq(to), copies };
    assert_eq!(copies(0).await, [range(0, CHUNKS, 3)]);
    std::fs::remove_file(world.file("a", 4)).expect("is removed");
    std::fs::write(world.file("b", 4), b"rot").expect("is written");
    assert_eq!(copies(0).await, [range(0, 4, 3), range(4, 5, 1), range(5, CHUNKS, 3)]);
    assert_eq!(copies(1).await, [range(CHUNKS, 2 * CHUNKS, 3)]);
}

#[tokio::test]
async fn a_log_that_is_not_there_is_named() {
    let world = World::new();
    let store = world.store(&world.one()).await;
    let error = store.gather("absent", UNBOUNDED, &mut |_| {}).await.expect_err("is not there");
    assert!(error.to_string().contains("\"absent\" does not exist"), "{error}");
}
