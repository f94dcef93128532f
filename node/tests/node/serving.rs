//! What a node is for.

use crate::client::{Answer, SEGMENT, log, payload};
use crate::running::Running;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, RecordNumber};
use quarry_protocol::limits::CHUNK_PAYLOAD_BYTES_MAX;
use quarry_protocol::message::{self, Refusal, Reply, Request};

#[test]
fn what_is_put_is_read_also_after_a_restart() {
    let mut running = Running::fresh();
    let mut client = running.client();
    let sizes = [1, 100, 4096, 65_536, 1 << 20, CHUNK_PAYLOAD_BYTES_MAX as usize];
    for (seq, bytes) in sizes.into_iter().enumerate() {
        client.store(log(1), SEGMENT, seq as u64, &payload(seq as u64, bytes));
    }
    for _ in 0..3 {
        let mut from = 0;
        while from < sizes.len() as u64 {
            let (chunks, end) = client.read(log(1), SEGMENT, from, 10);
            assert!(!chunks.is_empty(), "nothing from {from}: {end:?}");
            for (header, found) in chunks {
                assert_eq!(header.seq, ChunkSeq(from));
                assert_eq!(found, payload(from, sizes[from as usize]));
                from += 1;
            }
        }
        let (chunks, end) = client.read(log(1), SEGMENT, from, 10);
        assert!(chunks.is_empty());
        assert!(matches!(end, Reply::ReadEnd { next, answer: message::Answer::Never } if next.0 == from), "{end:?}");
        running.restart();
        client = running.client();
    }
}

#[test]
fn pipelined_puts_are_all_stored() {
    let running = Running::fresh();
    let mut client = running.client();
    let mut waiting: Vec<u64> = (0..500).map(|seq| client.put(log(1), SEGMENT, seq, &payload(seq, 3000))).collect();
    while !waiting.is_empty() {
        match client.answer() {
            Answer::Stored(id) => waiting.retain(|waiting| *waiting != id),
            other => panic!("a put was answered with {other:?}"),
        }
    }
    let (chunks, _) = client.read(log(1), SEGMENT, 0, 1000);
    assert_eq!(chunks.len(), 500);
}

/// Pitfall 8: a fence, a floor and a deletion outlive the process.
#[test]
fn fences_floors_and_deletions_survive_a_restart() {
    let mut running = Running::fresh();
    let mut client = running.client();
    for log_number in [1, 2] {
        for seq in 0..10 {
            client.store(log(log_number), SEGMENT, seq, &payload(seq, 1000));
        }
    }
    let fenced = client.ask(&Request::Fence { log: log(1), epoch: Epoch(7), segments: vec![SEGMENT] });
    assert!(matches!(fenced, Reply::Fenced { fence: Epoch(7), .. }), "{fenced:?}");
    let trimmed = client.ask(&Request::Trim { log: log(1), word: RecordNumber(7), floor: ChunkSeq(4) });
    assert_eq!(trimmed, Reply::Trimmed { floor: ChunkSeq(4) });
    assert_eq!(client.ask(&Request::Delete { log: log(2), epoch: Epoch(3) }), Reply::Deleted);
    running.restart();
    let mut client = running.client();
    let refusal = client.refused(log(1), SEGMENT, 10, b"from a fenced writer");
    assert_eq!(refusal, Refusal::Fenced { by: Epoch(7) });
    let refusal = client.refused(log(2), SEGMENT, 10, b"after the deletion");
    assert!(matches!(refusal, Refusal::LogDeleted { .. } | Refusal::Fenced { .. }), "{refusal:?}");
    let (chunks, end) = client.read(log(1), SEGMENT, 3, 10);
    assert!(chunks.is_empty() && matches!(end, Reply::ReadEnd { answer: message::Answer::Trimmed, .. }), "{end:?}");
    let (chunks, _) = client.read(log(1), SEGMENT, 4, 10);
    assert_eq!(chunks.len(), 6);
}

/// P4: a request names the disk it is meant for, and another disk refuses it.
#[test]
fn another_disk_is_refused() {
    let running = Running::fresh();
    let mut client = running.client();
    let here = client.disk;
    client.disk = DiskId([9; 16]);
    let refusal = client.refused(log(1), SEGMENT, 0, b"for another disk");
    assert_eq!(refusal, Refusal::WrongDisk { named: DiskId([9; 16]), here });
    let fenced = client.ask(&Request::Fence { log: log(1), epoch: Epoch(2), segments: vec![] });
    assert!(matches!(fenced, Reply::Refused(Refusal::WrongDisk { .. })), "{fenced:?}");
    client.disk = here;
    client.store(log(1), SEGMENT, 0, b"for this disk");
}

#[test]
fn another_cluster_is_refused() {
    let running = Running::fresh();
    let mut client = crate::client::Client::silent(running.address());
    let reply = client.ask(&Request::Hello { cluster: "elm".into() });
    assert!(matches!(reply, Reply::Refused(Refusal::WrongCluster { .. })), "{reply:?}");
}
