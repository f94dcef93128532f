use super::sender::Pipe;
use super::{PipeReceiver, ReceiverPlan};
use crate::measured::Until;

const CHUNK_BYTES: usize = 8192;

/// What counts was written by a quorum, and all that was sent arrives everywhere.
#[test]
fn everything_sent_is_written_by_every_receiver() {
    let dir = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("a directory");
    let plan = |name: &str| ReceiverPlan { file: dir.path().join(name), file_bytes: 1 << 20, chunk_bytes: CHUNK_BYTES };
    let receivers = ["a", "b", "c"].map(|name| PipeReceiver::prepare(&plan(name)).expect("prepared"));
    let addresses = receivers.each_ref().map(|receiver| receiver.address().expect("an address"));
    let serving = receivers.map(|receiver| std::thread::spawn(move || receiver.serve().expect("served")));
    let mut pipe = Pipe::connect(&addresses, 2, CHUNK_BYTES, Vec::new()).expect("connected");
    for (depth, chunks) in [(1, 20), (16, 700)] {
        let measured = pipe.measure(depth, Until::operations(chunks)).expect("measured");
        assert_eq!((measured.latencies.count(), measured.bytes), (chunks, chunks * CHUNK_BYTES as u64));
    }
    drop(pipe);
    let written = serving.map(|serving| serving.join().expect("joined"));
    assert!(written.iter().filter(|written| **written == 720).count() >= 2, "{written:?}");
}

#[test]
fn chunks_that_no_direct_write_takes_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let plan = ReceiverPlan { file: dir.path().join("a"), file_bytes: 1 << 20, chunk_bytes: 1000 };
    let why = PipeReceiver::prepare(&plan).expect_err("refused").to_string();
    assert!(why.contains("1000") && why.contains("4096"), "{why}");
}
