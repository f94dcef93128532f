//! What does not speak the protocol, or speaks it badly. Whatever comes, the node hangs up or refuses, keeps nothing of
//! it, and goes on serving others.

use crate::client::{Answer, Client, SEGMENT, header, log, payload};
use crate::running::{CLUSTER, Running};
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{ChunkSeq, Epoch, RecordNumber};
use quarry_protocol::limits::{CHUNK_PAYLOAD_BYTES_MAX, FRAME_CHUNK_BODY_BYTES_MAX, FRAME_HEADER_BYTES};
use quarry_protocol::message::{self, Refusal, Reply, Request};

/// The node serves a newcomer, and holds nothing but what was stored before.
fn still_serves(running: &Running, stored: u64) {
    let mut client = running.client();
    let (chunks, _) = client.read(log(1), SEGMENT, 0, 100);
    assert_eq!(chunks.len() as u64, stored, "chunks held");
    client.store(log(2), SEGMENT, 0, b"from a newcomer");
}

fn put_frame(client: &mut Client, seq: u64, bytes: usize) -> Vec<u8> {
    let payload = payload(seq, bytes);
    client.put_frame(&header(log(1), SEGMENT, seq, &payload), &payload).1
}

/// Seals a frame header that was tampered with.
fn sealed(mut head: [u8; FRAME_HEADER_BYTES]) -> [u8; FRAME_HEADER_BYTES] {
    let crc = crc32c::crc32c(&head[..60]);
    head[60..].copy_from_slice(&crc.to_le_bytes());
    head
}

#[test]
fn a_truncated_frame_is_dropped() {
    let running = Running::fresh();
    // Small bodies and large ones are received in different ways.
    for payload_bytes in [3000, 10_000] {
        let whole = put_frame(&mut running.client(), 0, payload_bytes).len();
        for cut in [1, 63, 64, 65, 159, 160, 161, whole - 1] {
            let mut client = running.client();
            let frame = put_frame(&mut client, 0, payload_bytes);
            client.send(&frame[..cut]);
            client.finish_sending();
            assert!(client.is_hung_up_on(), "{payload_bytes} bytes, cut at {cut}");
        }
    }
    still_serves(&running, 0);
}

/// D8: a frame that does not fit is refused before its body is read, which never comes here.
#[test]
fn an_oversized_frame_is_refused_before_its_body_comes() {
    let running = Running::fresh();
    for (kind, body_bytes) in [
        (FrameKind::Put, FRAME_CHUNK_BODY_BYTES_MAX + 1),
        (FrameKind::Put, u32::MAX),
        (FrameKind::Request, 1 << 20),
        (FrameKind::Put, 96),
        (FrameKind::Request, 0),
    ] {
        let mut client = running.client();
        let head = FrameHeader { kind, request_id: 1, disk: client.disk, body_bytes, body_crc: 0 };
        client.send(&head.encode());
        assert!(client.is_hung_up_on(), "{kind:?} of {body_bytes}");
    }
    still_serves(&running, 0);
}

#[test]
fn another_version_a_bad_checksum_and_a_reply_are_hung_up_on() {
    let running = Running::fresh();
    let mut client = running.client();
    let good: [u8; FRAME_HEADER_BYTES] =
        put_frame(&mut client, 0, 10)[..FRAME_HEADER_BYTES].try_into().expect("a header");
    let tampered = |at: usize, value: u8| {
        let mut head = good;
        head[at] = value;
        head
    };
    for (what, head) in [
        ("another version", sealed(tampered(4, 2))),
        ("not our magic", sealed(tampered(0, b'X'))),
        ("an unknown kind", sealed(tampered(6, 77))),
        ("bytes that must be zero", sealed(tampered(40, 1))),
        ("a bad header checksum", tampered(8, 99)),
        ("a frame that only nodes send", FrameHeader::control(FrameKind::Stored, 1, client.disk, &[]).encode()),
    ] {
        let mut client = running.client();
        client.send(&head);
        assert!(client.is_hung_up_on(), "{what}");
    }
    let mut client = running.client();
    let body = Request::Hello { cluster: CLUSTER.into() }.encode();
    let mut head = FrameHeader::control(FrameKind::Request, 1, client.disk, &body);
    head.body_crc ^= 1;
    client.send(&[&head.encode()[..], &body].concat());
    assert!(client.is_hung_up_on(), "a bad body checksum");
    still_serves(&running, 0);
}

/// Pitfall 23: checksums come from the client. A chunk that does not verify is refused by name; the stream is sound, so
/// the connection goes on.
#[test]
fn a_chunk_that_does_not_verify_is_refused_and_not_stored() {
    let running = Running::fresh();
    let mut client = running.client();
    client.store(log(1), SEGMENT, 0, b"good");
    let good = put_frame(&mut client, 1, 5000);
    // In the chunk header, in the payload's middle and at its end.
    for at in [64 + 40, 64 + 96 + 2500, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        client.send(&bad);
        let answer = client.answer();
        let refused = matches!(&answer, Answer::Reply(_, Reply::Refused(Refusal::BadRequest { why })) if why.contains("checksum"));
        assert!(refused, "a flipped bit at {at} was answered with {answer:?}");
    }
    // A header that says another length than the frame, and is otherwise sound.
    let (short, long) = (payload(1, 10), payload(1, 20));
    let (_, mut bytes) = client.put_frame(&header(log(1), SEGMENT, 1, &long), &long);
    bytes[64..160].copy_from_slice(&header(log(1), SEGMENT, 1, &short).encode());
    client.send(&bytes);
    assert!(matches!(client.answer(), Answer::Reply(_, Reply::Refused(Refusal::BadRequest { .. }))));
    still_serves(&running, 1);
}

#[test]
fn a_chunk_of_no_bytes_or_too_many_is_refused() {
    let running = Running::fresh();
    for bytes in [0, CHUNK_PAYLOAD_BYTES_MAX as usize + 1] {
        let mut client = running.client();
        let frame = put_frame(&mut client, 0, bytes);
        client.send_anyway(&frame);
        assert!(client.is_hung_up_on(), "{bytes} bytes");
    }
    still_serves(&running, 0);
}

/// A body that is sound as bytes and no request: refused, the connection goes on.
#[test]
fn a_request_that_does_not_decode_is_refused() {
    let running = Running::fresh();
    let mut client = running.client();
    for body in [&[0u8; 16][..], &[0xff; 300], b"x"] {
        let head = FrameHeader::control(FrameKind::Request, 9, client.disk, body);
        client.send(&[&head.encode()[..], body].concat());
        let answer = client.answer();
        assert!(matches!(answer, Answer::Reply(9, Reply::Refused(Refusal::BadRequest { .. }))), "{answer:?}");
    }
    let reply = client.ask(&Request::Freeze {
        log: log(1),
        epoch: Epoch(1),
        segment: SEGMENT,
        from: ChunkSeq(9),
        to: ChunkSeq(3),
    });
    assert!(matches!(reply, Reply::Refused(Refusal::BadRequest { .. })), "{reply:?}");
    still_serves(&running, 0);
}

#[test]
fn random_bytes_are_hung_up_on() {
    let running = Running::fresh();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..100 {
        let mut client = if round % 2 == 0 { running.client() } else { Client::silent(running.address()) };
        let mut bytes: Vec<u8> = (0..64 + random() % 4000).map(|_| random() as u8).collect();
        if round % 3 == 0 {
            // As far as the magic and the version go, it is a frame.
            bytes[..6].copy_from_slice(b"QRRY\x01\0");
        }
        client.send_anyway(&bytes);
        assert!(client.is_hung_up_on(), "round {round}");
    }
    still_serves(&running, 0);
}

#[test]
fn unknown_logs_and_seqs_beyond_the_end_are_answered() {
    let running = Running::fresh();
    let mut client = running.client();
    client.store(log(1), SEGMENT, 0, b"the only one");
    for (log, from) in [(log(77), 0), (log(1), 1), (log(1), u64::MAX - 1)] {
        let (chunks, end) = client.read(log, SEGMENT, from, 10);
        assert!(chunks.is_empty());
        let never = matches!(end, Reply::ReadEnd { next, answer: message::Answer::Never } if next == ChunkSeq(from));
        assert!(never, "{log} from {from}: {end:?}");
    }
    let reply = client.ask(&Request::Trim { log: log(77), word: RecordNumber(1), floor: ChunkSeq(5) });
    assert!(matches!(reply, Reply::Trimmed { .. }), "{reply:?}");
}

/// D8: bodies that are announced and never come hold the shard's memory only until their senders are cut off.
#[test]
fn memory_that_a_silent_client_holds_comes_back() {
    let running = Running::fresh();
    let mut silent: Vec<Client> = (0..80).map(|_| running.client()).collect();
    for client in &mut silent {
        let frame = put_frame(client, 0, CHUNK_PAYLOAD_BYTES_MAX as usize);
        client.send(&frame[..100_000]);
    }
    // All memory is taken by now, or will be before this body's turn comes.
    running.client().store(log(2), SEGMENT, 0, &payload(0, 1 << 20));
    still_serves(&running, 0);
    let cut_off = silent.iter_mut().filter_map(|client| client.try_answer().err()).count();
    assert_eq!(cut_off, silent.len());
}

/// Who asks and does not listen is not read from any more; others are.
#[test]
fn a_client_that_takes_no_answers_costs_bounded_memory() {
    let running = Running::fresh();
    let mut client = running.client();
    for seq in 0..8 {
        client.store(log(1), SEGMENT, seq, &payload(seq, 1 << 20));
    }
    let mut deaf = running.client();
    for _ in 0..200 {
        deaf.request(&Request::Read {
            log: log(1),
            segment: SEGMENT,
            from: ChunkSeq(0),
            chunks_max: 8,
            bytes_max: 4 << 20,
        });
    }
    for seq in 8..30 {
        client.store(log(1), SEGMENT, seq, &payload(seq, 1000));
    }
    let (chunks, _) = client.read(log(1), SEGMENT, 8, 100);
    assert_eq!(chunks.len(), 22);
}
