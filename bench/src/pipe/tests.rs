use super::sender::Pipe;
use super::{PipeReceiver, ReceiverPlan};
use crate::measured::Until;
use crate::noise::Noise;

const CHUNK_BYTES: usize = 8192;

/// What counts was written by a quorum, and all that was sent arrives everywhere.
#[test]
fn everything_sent_is_written_by_every_receiver() {
    let dir = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("a directory");
    let plan = |name: &str| ReceiverPlan { file: dir.path().join(name), file_bytes: 1 << 20, chunk_bytes: CHUNK_BYTES };
    let receivers = ["a", "b", "c"].map(|name| PipeReceiver::prepare(&plan(name)).expect("prepared"));
    let addresses = receivers.each_ref().map(|receiver| receiver.address().expect("an address"));
    let serve = |receiver: PipeReceiver| (receiver.serve().expect("served"), receiver);
    let serving = receivers.map(|receiver| std::thread::spawn(move || serve(receiver)));
    let mut pipe = Pipe::connect(&addresses, 2, CHUNK_BYTES, Vec::new()).expect("connected");
    for (depth, chunks) in [(1, 20), (16, 700)] {
        let measured = pipe.measure(depth, Until::operations(chunks)).expect("measured");
        assert_eq!((measured.latencies.count(), measured.bytes), (chunks, chunks * CHUNK_BYTES as u64));
    }
    drop(pipe);
    let served = serving.map(|serving| serving.join().expect("joined"));
    let written = served.each_ref().map(|(written, _)| *written);
    assert!(written.iter().filter(|written| **written == 720).count() >= 2, "{written:?}");
    // More than a file holds was sent; what was sent first is overwritten with the same.
    let payload = Noise::new(4).bytes(CHUNK_BYTES);
    let whole = ["a", "b", "c"].map(|name| {
        let stored = std::fs::read(dir.path().join(name)).expect("is there while its receiver is");
        stored.chunks_exact(CHUNK_BYTES).take_while(|chunk| *chunk == payload).count()
    });
    assert!(whole.iter().filter(|chunks| **chunks >= 100).count() >= 2, "{whole:?}");
}

#[test]
fn chunks_that_no_direct_write_takes_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = ReceiverPlan { file: dir.path().join("a"), file_bytes: 1 << 20, chunk_bytes: 1000 };
    let why = PipeReceiver::prepare(&plan).expect_err("refused").to_string();
    assert!(why.contains("1000") && why.contains("4096"), "{why}");
}
