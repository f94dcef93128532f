//! A replica that is healthy and slower than the other two, under bursts of appends, with the bounds of every writer (P10).

use super::tests::{LONG, Scripted, payload, scripted_keeping, settle};
use crate::link::LinkEvent;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::{
    CHUNK_PAYLOAD_BYTES_MAX, STRAGGLER_BYTES_MAX, STRAGGLER_CHUNKS_MAX, WINDOW_BYTES_DEFAULT, WINDOW_BYTES_MAX,
    WINDOW_CHUNKS_DEFAULT, WINDOW_CHUNKS_MAX,
};
use quarry_protocol::record::Window;
use std::ops::Range;

const DEFAULT: Window = Window { chunks: WINDOW_CHUNKS_DEFAULT, bytes: WINDOW_BYTES_DEFAULT };
const LARGEST: Window = Window { chunks: WINDOW_CHUNKS_MAX, bytes: WINDOW_BYTES_MAX };
/// The seq of the first append.
const FIRST: u64 = 100;

fn writer(window: Window) -> Scripted {
    scripted_keeping(window, LONG, (STRAGGLER_CHUNKS_MAX, STRAGGLER_BYTES_MAX))
}

impl Scripted {
    /// Appends chunks of so many bytes; two of three store each at once.
    async fn append_at_quorum(&self, chunks: u64, bytes: usize) {
        let payload = payload(bytes);
        for _ in 0..chunks {
            let append = self.writer.append(payload.clone()).await.unwrap();
            self.commit(append.seq().0).await;
            append.await.unwrap();
        }
    }

    /// The slow one has stored these.
    async fn slow_one_stores(&self, seqs: Range<u64>) {
        for seq in seqs {
            self.links[2].say(LinkEvent::Stored(ChunkSeq(seq)));
        }
        // Many of them at a time are more than one round of the task.
        while self.writer.shared.kept_for_stragglers().0 > 0 {
            settle().await;
        }
    }

    fn put_to_the_slow_one(&self) -> Vec<u64> {
        self.links[2].seqs()
    }
}

/// A burst of eighty windows with a replica that stores nine chunks while the others store ten: it falls back for as long as
/// the burst lasts, gets every chunk once, and is never left behind.
#[tokio::test]
async fn a_slightly_slower_replica_keeps_its_place_through_a_long_burst() {
    let scripted = writer(DEFAULT);
    let count = 80 * u64::from(WINDOW_CHUNKS_DEFAULT);
    for done in 0..count / 10 {
        scripted.append_at_quorum(10, 1).await;
        for seq in FIRST + 9 * done..FIRST + 9 * (done + 1) {
            scripted.links[2].say(LinkEvent::Stored(ChunkSeq(seq)));
        }
        settle().await;
    }
    assert_eq!(scripted.writer.shared.kept_for_stragglers().0, count / 10, "it fell back by a tenth of the burst");
    assert_eq!(scripted.put_to_the_slow_one(), (FIRST..FIRST + count).collect::<Vec<_>>());
    scripted.slow_one_stores(FIRST + 9 * (count / 10)..FIRST + count).await;
    scripted.append_at_quorum(1, 1).await;
    assert_eq!(scripted.put_to_the_slow_one().last(), Some(&(FIRST + count)), "and it takes part as before");
}

/// A burst as large as the largest window, in chunks and in bytes, however late one replica answers.
#[tokio::test]
async fn a_burst_that_fits_in_the_window_leaves_nobody_behind() {
    let large = CHUNK_PAYLOAD_BYTES_MAX as usize;
    for (count, bytes) in [(u64::from(WINDOW_CHUNKS_MAX), 1), (WINDOW_BYTES_MAX / large as u64, large)] {
        let scripted = writer(LARGEST);
        let payload = payload(bytes);
        let mut appends = Vec::new();
        for _ in 0..count {
            appends.push(scripted.writer.try_append(payload.clone()).expect("it fits in the window"));
        }
        scripted.writer.try_append(payload.clone()).expect_err("the window is full");
        for append in appends {
            scripted.commit(append.seq().0).await;
            append.await.unwrap();
        }
        scripted.slow_one_stores(FIRST..FIRST + count).await;
        scripted.append_at_quorum(1, bytes).await;
        assert_eq!(scripted.put_to_the_slow_one(), (FIRST..=FIRST + count).collect::<Vec<_>>());
    }
}

/// Past the bound it is left behind, by number or by bytes, whether it is ill or only slower; once it has stored what was on
/// its way to it, it takes part again.
#[tokio::test]
async fn a_replica_past_the_bound_is_left_behind_and_comes_back() {
    let large = CHUNK_PAYLOAD_BYTES_MAX as usize;
    for (bound, bytes) in [(u64::from(STRAGGLER_CHUNKS_MAX), 1), (STRAGGLER_BYTES_MAX / large as u64, large)] {
        let scripted = writer(DEFAULT);
        scripted.append_at_quorum(bound, bytes).await;
        assert_eq!(scripted.writer.shared.kept_for_stragglers().0, bound);
        scripted.append_at_quorum(1, bytes).await;
        assert_eq!(scripted.writer.shared.kept_for_stragglers().0, 0, "left behind: nothing is kept for it");
        scripted.append_at_quorum(5, bytes).await;
        let was_put = FIRST..FIRST + bound + 1;
        assert_eq!(scripted.put_to_the_slow_one(), was_put.clone().collect::<Vec<_>>(), "it is put nothing more");
        scripted.slow_one_stores(was_put.clone()).await;
        for _ in 0..100 {
            settle().await;
        }
        scripted.append_at_quorum(2, bytes).await;
        let back = scripted.put_to_the_slow_one();
        assert_eq!(back[was_put.count()..], [FIRST + bound + 6, FIRST + bound + 7], "it lacks the five between");
    }
}
